/* hook.c: pre- and post-forward hooks of modules. */
#include "nn/module.h"

rf_status rf_module_add_hook(rf_module *m, rf_module_hook hook, uint64_t *id)
{
    rf_status status =
        rf_host_grow(m->ctx, &m->hooks, m->num_hooks, &m->cap_hooks, sizeof *m->hooks);
    if (status)
        return status;
    m->hooks[m->num_hooks++] = (rf_hook_entry){m->next_hook, hook};
    if (id)
        *id = m->next_hook;
    m->next_hook++;
    rf_module_changed(m);
    return RF_OK;
}

static void hook_end(const rf_module_hook *hook)
{
    if (hook->destroy)
        hook->destroy(hook->payload);
}

rf_status rf_module_remove_hook(rf_module *m, uint64_t id)
{
    size_t i = 0;
    while (i < m->num_hooks && m->hooks[i].id != id)
        i++;
    if (i == m->num_hooks)
        return rf_fail(m->ctx, RF_E_NOT_FOUND, "%s has no hook number %llu", m->cls->name,
                       (unsigned long long)id);
    rf_module_hook hook = m->hooks[i].hook;
    for (m->num_hooks--; i < m->num_hooks; i++)
        m->hooks[i] = m->hooks[i + 1];
    rf_module_changed(m);
    hook_end(&hook);
    return RF_OK;
}

void rf_module_drop_hooks(rf_module *m, size_t from)
{
    while (m->num_hooks > from)
        hook_end(&m->hooks[--m->num_hooks].hook);
}
