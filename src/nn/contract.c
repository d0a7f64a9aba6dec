/* contract.c: applying APIs to modules, all or nothing.
 *
 * Before an API runs, what it may not leave changed by a failure is written down for every tree
 * that is concerned: names in order, how many hooks each module has, which parameters it holds, its
 * run function. After it, the names must be the same, in order; if they are not, or if it failed,
 * what was written down is put back.
 */
#include "nn/module.h"

#include <string.h>

/* ---- what is written down ---- */

typedef struct module_note {
    rf_module *m;
    size_t num_hooks;
    uint64_t hook_ids; /* next_hook then: newer hooks are the API's */
    rf_status (*run)(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out);
    rf_tensor **tensors; /* held: parameters, then buffers */
    size_t num_params, num_buffers;
} module_note;

typedef struct contract_notes {
    rf_context *ctx;
    module_note *v;
    size_t num, capacity;
    uint64_t names; /* a hash of all names in order */
} contract_notes;

static uint64_t contract_mix(uint64_t h, const char *text)
{
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 0x100000001B3u;
    return (h ^ 0xFF) * 0x100000001B3u;
}

/* Of every name of a tree, in order, with what kind it is. */
static uint64_t contract_names(const rf_module *root, uint64_t h)
{
    for (const rf_module *m = root; m; m = rf_module_next(m, root)) {
        h = contract_mix(h, m == root ? "/" : rf_module_name(m));
        for (size_t i = 0; i < m->params.num; i++)
            h = contract_mix(contract_mix(h, "p"), m->params.v[i].name);
        for (size_t i = 0; i < m->buffers.num; i++)
            h = contract_mix(contract_mix(h, "b"), m->buffers.v[i].name);
        h = contract_mix(h, m->num_children ? "(" : ")");
    }
    return h;
}

static rf_status note_module(contract_notes *notes, rf_module *m)
{
    rf_status status =
        rf_host_grow(notes->ctx, &notes->v, notes->num, &notes->capacity, sizeof *notes->v);
    if (status)
        return status;
    module_note *note = &notes->v[notes->num];
    size_t count = m->params.num + m->buffers.num;
    *note = (module_note){.m = m,
                          .num_hooks = m->num_hooks,
                          .hook_ids = m->next_hook,
                          .run = m->run,
                          .num_params = m->params.num,
                          .num_buffers = m->buffers.num};
    note->tensors = rf_host_alloc(notes->ctx, (count + 1) * sizeof *note->tensors);
    if (!note->tensors)
        return rf_context_error(notes->ctx)->code;
    for (size_t i = 0; i < m->params.num; i++)
        note->tensors[i] = rf_tensor_hold(m->params.v[i].t);
    for (size_t i = 0; i < m->buffers.num; i++)
        note->tensors[m->params.num + i] = rf_tensor_hold(m->buffers.v[i].t);
    notes->num++;
    return RF_OK;
}

static rf_status notes_take(contract_notes *notes, rf_module *const *modules, size_t num)
{
    rf_status status = RF_OK;
    for (size_t i = 0; i < num && !status; i++) {
        notes->names = contract_names(modules[i], notes->names);
        for (rf_module *m = modules[i]; m && !status; m = rf_module_next(m, modules[i]))
            status = note_module(notes, m);
    }
    return status;
}

static void notes_end(contract_notes *notes)
{
    for (size_t i = 0; i < notes->num; i++) {
        module_note *note = &notes->v[i];
        size_t count = note->num_params + note->num_buffers;
        for (size_t k = 0; k < count; k++)
            rf_tensor_drop(note->tensors[k]);
        rf_host_free(notes->ctx, note->tensors, (count + 1) * sizeof *note->tensors);
    }
    rf_host_free(notes->ctx, notes->v, notes->capacity * sizeof *notes->v);
}

/* ---- putting back ---- */

static void restore_list(rf_context *ctx, rf_named_list *list, rf_tensor **were, size_t num)
{
    while (list->num > num) { /* names that were added */
        rf_named *last = &list->v[--list->num];
        rf_tensor_drop(last->t);
        rf_host_free_text(ctx, last->name);
    }
    for (size_t i = 0; i < list->num; i++) {
        rf_tensor *old = list->v[i].t;
        list->v[i].t = rf_tensor_hold(were[i]);
        rf_tensor_drop(old);
    }
}

static void notes_restore(const contract_notes *notes)
{
    for (size_t i = 0; i < notes->num; i++) {
        const module_note *note = &notes->v[i];
        rf_module *m = note->m;
        for (size_t k = m->num_hooks; k-- > 0;)
            if (m->hooks[k].id >= note->hook_ids)
                (void)!rf_module_remove_hook(m, m->hooks[k].id);
        m->run = note->run;
        restore_list(notes->ctx, &m->params, note->tensors, note->num_params);
        restore_list(notes->ctx, &m->buffers, note->tensors + note->num_params, note->num_buffers);
    }
}

/* ---- checks ---- */

static rf_api_group *contract_group(const rf_module *m, const rf_api *api)
{
    for (size_t i = 0; i < m->num_groups; i++)
        if (m->groups[i]->api == api)
            return m->groups[i];
    return NULL;
}

static const char *contract_path(const rf_module *m, char *buffer, size_t bytes)
{
    return rf_module_path(m, buffer, bytes) ? buffer : "the root";
}

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
    if (contract_group(m, api))
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

/* In a strict API parameters must be the same objects of the same shape and type: a tensor cannot
 * change its shape, so the same object is enough. */
static rf_status contract_check_strict(const contract_notes *notes, const rf_api *api)
{
    for (size_t i = 0; i < notes->num; i++) {
        const module_note *note = &notes->v[i];
        for (size_t k = 0; k < note->num_params; k++)
            if (note->m->params.v[k].t != note->tensors[k])
                return rf_fail(notes->ctx, RF_E_CONFLICT, "%s replaced the parameter '%s'",
                               api->name, note->m->params.v[k].name);
    }
    return RF_OK;
}

static rf_status contract_check_after(const contract_notes *notes, const rf_api *api,
                                      rf_module *const *modules, size_t num)
{
    uint64_t names = 0;
    for (size_t i = 0; i < num; i++)
        names = contract_names(modules[i], names);
    if (names != notes->names)
        return rf_fail(notes->ctx, RF_E_NAMES,
                       "%s changed the names in %s, or their order: an API may not", api->name,
                       modules[0]->cls->name);
    return api->strict ? contract_check_strict(notes, api) : RF_OK;
}

/* ---- groups ---- */

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

/* ---- applying ---- */

static rf_status apply_noted(const rf_api *api, rf_module *const *modules, size_t num,
                             const void *opts)
{
    contract_notes notes = {.ctx = modules[0]->ctx};
    void *state = contract_group(modules[0], api)->state;
    rf_status status = notes_take(&notes, modules, num);
    if (!status) {
        status = api->apply(state, modules, num, opts);
        rf_status checked = status ? status : contract_check_after(&notes, api, modules, num);
        if (!status && checked && api->remove)
            api->remove(state, modules, num);
        status = checked;
        if (status)
            notes_restore(&notes);
    }
    notes_end(&notes);
    return status;
}

rf_status rf_api_apply(const rf_api *api, rf_module *const *modules, size_t num, void *state,
                       const void *opts)
{
    rf_status status = num ? RF_OK : RF_E_ARGUMENT;
    for (size_t i = 0; i < num && !status; i++) {
        status = contract_may_apply(api, modules[i]);
        for (size_t k = 0; k < i && !status; k++)
            if (modules[k] == modules[i])
                status = rf_fail(modules[i]->ctx, RF_E_ARGUMENT,
                                 "%s: a module stands twice in the list", api->name);
    }
    if (status) {
        if (api->destroy)
            api->destroy(state);
        return status;
    }
    status = rf_api_group_create(api, modules, num, state);
    if (status)
        return status;
    status = apply_noted(api, modules, num, opts);
    for (size_t i = 0; i < num && status; i++)
        rf_api_group_leave(contract_group(modules[i], api), modules[i]);
    return status;
}

rf_status rf_api_remove(const rf_api *api, rf_module *m)
{
    char path[160];
    rf_api_group *group = contract_group(m, api);
    if (!group)
        return rf_fail(m->ctx, RF_E_NOT_FOUND, "%s is not applied to %s", api->name,
                       contract_path(m, path, sizeof path));
    if (!api->remove)
        return rf_fail(m->ctx, RF_E_UNSUPPORTED, "%s cannot be taken away", api->name);
    api->remove(group->state, group->modules, group->num);
    for (size_t left = group->num; left-- > 0;)
        rf_api_group_leave(group, group->modules[left]);
    return RF_OK;
}

void *rf_api_state(const rf_api *api, const rf_module *m)
{
    rf_api_group *group = contract_group(m, api);
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
