/* hook.c: pre- and post-forward hooks of modules.
 *
 * Ids rise along a module's list and are never used twice, so a call goes from id to id and stays
 * right when hooks come and go while it runs.
 */
#include "nn/module.h"

rf_shared_hook *rf_hook_next(const rf_module *m, uint64_t after, uint64_t *id)
{
    for (size_t i = 0; i < m->num_hooks; i++)
        if (m->hooks[i].id > after) {
            *id = m->hooks[i].id;
            m->hooks[i].shared->refs++;
            return m->hooks[i].shared;
        }
    return NULL;
}

void rf_hook_unref(rf_shared_hook *shared)
{
    if (--shared->refs)
        return;
    if (shared->hook.destroy)
        shared->hook.destroy(shared->hook.payload);
    rf_host_free(shared->ctx, shared, sizeof *shared);
}

rf_status rf_module_share_hook(rf_module *m, rf_shared_hook *shared, uint64_t *id)
{
    rf_status status =
        rf_host_grow(m->ctx, &m->hooks, m->num_hooks, &m->cap_hooks, sizeof *m->hooks);
    if (status)
        return status;
    shared->refs++;
    m->hooks[m->num_hooks++] = (rf_hook_entry){m->next_hook, shared};
    if (id)
        *id = m->next_hook;
    m->next_hook++;
    rf_module_changed(m);
    return RF_OK;
}

rf_status rf_module_add_hook(rf_module *m, rf_module_hook hook, uint64_t *id)
{
    rf_shared_hook *shared = rf_host_alloc(m->ctx, sizeof *shared);
    if (!shared)
        return rf_context_error(m->ctx)->code;
    *shared = (rf_shared_hook){m->ctx, 0, hook};
    rf_status status = rf_module_share_hook(m, shared, id);
    if (status)
        rf_host_free(m->ctx, shared, sizeof *shared); /* the payload is still the caller's */
    return status;
}

rf_status rf_module_remove_hook(rf_module *m, uint64_t id)
{
    size_t i = 0;
    while (i < m->num_hooks && m->hooks[i].id != id)
        i++;
    if (i == m->num_hooks)
        return rf_fail(m->ctx, RF_E_NOT_FOUND, "%s has no hook number %llu", m->cls->name,
                       (unsigned long long)id);
    if (id < m->locked_hooks)
        return rf_fail(m->ctx, RF_E_STATE,
                       "while an API is applied to a module, hooks that stood before stay");
    rf_shared_hook *shared = m->hooks[i].shared;
    for (m->num_hooks--; i < m->num_hooks; i++)
        m->hooks[i] = m->hooks[i + 1];
    rf_module_changed(m);
    rf_hook_unref(shared);
    return RF_OK;
}

void rf_module_drop_hooks(rf_module *m, size_t from)
{
    while (m->num_hooks > from)
        rf_hook_unref(m->hooks[--m->num_hooks].shared);
}
