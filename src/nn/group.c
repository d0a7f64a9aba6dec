/* group.c: which APIs are applied to which modules. A group is one application: one state, and the
 * modules that it was given. It ends with the last of them. */
#include "nn/module.h"

rf_api_group *rf_api_group_find(const rf_module *m, const rf_api *api)
{
    for (size_t i = 0; i < m->num_groups; i++)
        if (m->groups[i]->api == api)
            return m->groups[i];
    return NULL;
}

static void group_end(rf_api_group *group)
{
    rf_context *ctx = group->ctx;
    if (group->api->destroy)
        group->api->destroy(group->state);
    rf_host_free(ctx, group->modules, group->capacity * sizeof *group->modules);
    rf_host_free(ctx, group, sizeof *group);
}

void rf_api_group_leave(rf_api_group *group, rf_module *m)
{
    size_t k = 0;
    for (size_t i = 0; i < m->num_groups; i++)
        if (m->groups[i] != group)
            m->groups[k++] = m->groups[i];
    m->num_groups = k;
    k = 0;
    for (size_t i = 0; i < group->num; i++)
        if (group->modules[i] != m)
            group->modules[k++] = group->modules[i];
    group->num = k;
    if (!group->num)
        group_end(group);
}

void rf_api_group_dissolve(rf_api_group *group)
{
    if (group->api->remove)
        group->api->remove(group->state, group->modules, group->num);
    for (size_t left = group->num; left-- > 0;)
        rf_api_group_leave(group, group->modules[left]);
}

/* Room first, so that joining cannot fail half way. */
static rf_status group_join(rf_api_group *group, rf_module *const *modules, size_t num)
{
    rf_status status = RF_OK;
    for (size_t i = 0; i < num && !status; i++) {
        rf_module *m = modules[i];
        status = rf_host_grow(m->ctx, &m->groups, m->num_groups, &m->cap_groups, sizeof *m->groups);
        if (!status)
            status = rf_host_grow(m->ctx, &group->modules, group->num + i, &group->capacity,
                                  sizeof *group->modules);
    }
    for (size_t i = 0; i < num && !status; i++) {
        group->modules[group->num++] = modules[i];
        modules[i]->groups[modules[i]->num_groups++] = group;
    }
    return status;
}

rf_status rf_api_group_create(const rf_api *api, rf_module *const *modules, size_t num, void *state)
{
    rf_context *ctx = modules[0]->ctx;
    rf_api_group *group = rf_host_alloc(ctx, sizeof *group);
    if (!group) {
        if (api->destroy)
            api->destroy(state);
        return rf_context_error(ctx)->code;
    }
    *group = (rf_api_group){.api = api, .state = state, .ctx = ctx};
    rf_status status = group_join(group, modules, num);
    if (status)
        group_end(group);
    return status;
}
