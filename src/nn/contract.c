/* contract.c: applying APIs to modules, all or nothing.
 *
 * Before an API runs, what it may not leave changed by a failure is written down (notes.c) for
 * every tree that is concerned. After it, the names must be the same, in order; if they are not, or
 * if it failed, what was written down is put back.
 */
#include "nn/notes.h"

static const char *contract_path(const rf_module *m, char *buffer, size_t bytes)
{
    return rf_module_path(m, buffer, bytes) ? buffer : "the root";
}

/* ---- checks ---- */

static int contract_refuses(const rf_api *api, const rf_api *other)
{
    for (const rf_api *const *c = api->conflicts; c && *c; c++)
        if (*c == other)
            return 1;
    return 0;
}

static rf_status contract_may_apply(const rf_api *api, rf_module *m)
{
    char path[160];
    if (api->size != sizeof *api || !api->name || !api->apply)
        return rf_fail(m->ctx, RF_E_ARGUMENT, "an API needs its size, a name and apply");
    if (rf_api_group_find(m, api))
        return rf_fail(m->ctx, RF_E_APPLIED, "%s was applied to %s already", api->name,
                       contract_path(m, path, sizeof path));
    for (size_t i = 0; i < m->num_groups; i++) {
        const rf_api *other = m->groups[i]->api;
        if (contract_refuses(api, other) || contract_refuses(other, api))
            return rf_fail(m->ctx, RF_E_CONFLICT, "%s and %s do not go together on %s", api->name,
                           other->name, contract_path(m, path, sizeof path));
    }
    return RF_OK;
}

/* Each module once, and all of one context. */
static rf_status contract_check_list(const rf_api *api, rf_module *const *modules, size_t num)
{
    rf_status status = num ? RF_OK : RF_E_ARGUMENT;
    for (size_t i = 0; i < num && !status; i++) {
        status = contract_may_apply(api, modules[i]);
        if (!status && modules[i]->ctx != modules[0]->ctx)
            status =
                rf_fail(modules[0]->ctx, RF_E_ARGUMENT, "%s: modules of two contexts", api->name);
        for (size_t k = 0; k < i && !status; k++)
            if (modules[k] == modules[i])
                status = rf_fail(modules[i]->ctx, RF_E_ARGUMENT,
                                 "%s: a module stands twice in the list", api->name);
    }
    return status;
}

/* ---- applying ---- */

static rf_status contract_run(const rf_api *api, rf_module *const *modules, size_t num,
                              const void *opts)
{
    rf_context *ctx = modules[0]->ctx;
    uint64_t errors = rf_context_errors(ctx);
    rf_status status = api->apply(rf_api_state(api, modules[0]), modules, num, opts);
    if (status && (errors == rf_context_errors(ctx) || rf_context_error(ctx)->code != status))
        rf_fail(ctx, status, "%s failed: %s", api->name, rf_status_text(status));
    return status;
}

static rf_status contract_apply_noted(const rf_api *api, rf_module *const *modules, size_t num,
                                      const void *opts)
{
    rf_notes notes = {.ctx = modules[0]->ctx};
    rf_status status = rf_notes_take(&notes, modules, num);
    if (!status) {
        status = contract_run(api, modules, num, opts);
        int applied = !status;
        if (!status)
            status = rf_notes_check_names(&notes, api, modules, num);
        if (!status && api->strict)
            status = rf_notes_check_params(&notes, api);
        if (status && applied && api->remove)
            api->remove(rf_api_state(api, modules[0]), modules, num);
        if (status)
            rf_notes_restore(&notes);
    }
    rf_notes_end(&notes);
    return status;
}

rf_status rf_api_apply(const rf_api *api, rf_module *const *modules, size_t num, void *state,
                       const void *opts)
{
    rf_status status = contract_check_list(api, modules, num);
    if (status) {
        if (api->destroy)
            api->destroy(state);
        return status;
    }
    status = rf_api_group_create(api, modules, num, state);
    if (status)
        return status;
    status = contract_apply_noted(api, modules, num, opts);
    for (size_t i = 0; i < num && status; i++)
        rf_api_group_leave(rf_api_group_find(modules[i], api), modules[i]);
    return status;
}

/* ---- applying to many, each on its own ---- */

static rf_status contract_apply_one(const rf_api *api, rf_module *m, void **state)
{
    void *mine = *state;
    *state = NULL;
    rf_status status = contract_may_apply(api, m);
    if (status) {
        if (api->destroy)
            api->destroy(mine);
        return status;
    }
    status = rf_api_group_create(api, &m, 1, mine);
    return status ? status : contract_run(api, &m, 1, NULL);
}

/* One note of the whole tree, which undoes all of them. */
rf_status rf_api_apply_each(const rf_api *api, rf_module *root, rf_module *const *modules,
                            size_t num, void **states)
{
    rf_notes notes = {.ctx = root->ctx};
    rf_status status = rf_notes_take(&notes, &root, 1);
    for (size_t i = 0; i < num && !status; i++)
        status = contract_apply_one(api, modules[i], &states[i]);
    if (!status)
        status = rf_notes_check_names(&notes, api, &root, 1);
    if (status)
        rf_notes_restore(&notes);
    rf_notes_end(&notes);
    return status;
}

/* What cannot fail need not be written down, which costs more than it does in a big tree. */
rf_status rf_api_apply_run(const rf_api *api, rf_module *m, void *state)
{
    return contract_apply_one(api, m, &state);
}

/* ---- removing ---- */

/* A group that stood when an API that is being applied to one of its modules began. */
static int contract_locked(const rf_api_group *group)
{
    for (size_t i = 0; i < group->num; i++) {
        const rf_module *m = group->modules[i];
        for (size_t k = 0; k < m->locked_groups && k < m->num_groups; k++)
            if (m->groups[k] == group)
                return 1;
    }
    return 0;
}

rf_status rf_api_remove(const rf_api *api, rf_module *m)
{
    char path[160];
    rf_api_group *group = rf_api_group_find(m, api);
    if (!group)
        return rf_fail(m->ctx, RF_E_NOT_FOUND, "%s is not applied to %s", api->name,
                       contract_path(m, path, sizeof path));
    if (!api->remove)
        return rf_fail(m->ctx, RF_E_UNSUPPORTED, "%s cannot be taken away", api->name);
    if (contract_locked(group))
        return rf_fail(m->ctx, RF_E_STATE,
                       "%s cannot be taken away while an API is being applied to %s", api->name,
                       contract_path(m, path, sizeof path));
    rf_api_group_dissolve(group);
    return RF_OK;
}

void *rf_api_state(const rf_api *api, const rf_module *m)
{
    rf_api_group *group = rf_api_group_find(m, api);
    return group ? group->state : NULL;
}

size_t rf_module_num_apis(const rf_module *m)
{
    return m->num_groups;
}

const rf_api *rf_module_api(const rf_module *m, size_t index)
{
    return index < m->num_groups ? m->groups[index]->api : NULL;
}
