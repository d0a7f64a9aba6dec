/* notes.c: writing modules down before an API is applied, and putting them back.
 *
 * Invariant: while a module is written down, nothing that stood then can be taken away: hooks and
 * groups are locked, destroying it is refused, and its stamp waits. So putting back is only taking
 * away what is new, which needs no memory and cannot fail. Applying may nest: an API's apply may
 * apply another one.
 */
#include "nn/notes.h"

#include <string.h>

/* ---- names ---- */

static uint64_t notes_mix(uint64_t h, const char *text)
{
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 0x100000001B3u;
    return (h ^ 0xFF) * 0x100000001B3u;
}

/* Of every name of a tree, in order, with what kind it is. */
static uint64_t notes_names(const rf_module *root, uint64_t h)
{
    for (const rf_module *m = root; m; m = rf_module_next(m, root)) {
        h = notes_mix(h, m == root ? "/" : rf_module_name(m));
        for (size_t i = 0; i < m->params.num; i++)
            h = notes_mix(notes_mix(h, "p"), m->params.v[i].name);
        for (size_t i = 0; i < m->buffers.num; i++)
            h = notes_mix(notes_mix(h, "b"), m->buffers.v[i].name);
        h = notes_mix(h, m->num_children ? "(" : ")");
    }
    return h;
}

/* ---- taking ---- */

static rf_status note_tensors(rf_context *ctx, rf_module_note *note)
{
    const rf_module *m = note->m;
    size_t count = m->params.num + m->buffers.num;
    note->tensors = rf_host_alloc(ctx, (count + 1) * sizeof *note->tensors);
    note->wanted = note->tensors ? rf_host_alloc(ctx, count + 1) : NULL;
    if (!note->wanted) {
        rf_host_free(ctx, note->tensors, (count + 1) * sizeof *note->tensors);
        return rf_context_error(ctx)->code;
    }
    note->num_params = m->params.num;
    note->num_buffers = m->buffers.num;
    for (size_t i = 0; i < m->params.num; i++) {
        note->tensors[i] = rf_tensor_hold(m->params.v[i].t);
        note->wanted[i] = (uint8_t)rf_tensor_requires_grad(m->params.v[i].t);
    }
    for (size_t i = 0; i < m->buffers.num; i++)
        note->tensors[m->params.num + i] = rf_tensor_hold(m->buffers.v[i].t);
    return RF_OK;
}

static rf_status note_module(rf_notes *notes, rf_module *m)
{
    rf_status status =
        rf_host_grow(notes->ctx, &notes->v, notes->num, &notes->capacity, sizeof *notes->v);
    if (status)
        return status;
    rf_module_note *note = &notes->v[notes->num];
    *note = (rf_module_note){.m = m,
                             .num_children = m->num_children,
                             .num_groups = m->num_groups,
                             .next_hook = m->next_hook,
                             .locked_hooks = m->locked_hooks,
                             .locked_groups = m->locked_groups,
                             .training = m->training,
                             .changed_meanwhile = m->changed_meanwhile,
                             .run = m->run};
    status = note_tensors(notes->ctx, note);
    if (status)
        return status;
    m->noted++;
    m->locked_hooks = m->next_hook;
    m->locked_groups = m->num_groups;
    notes->num++;
    return RF_OK;
}

rf_status rf_notes_take(rf_notes *notes, rf_module *const *modules, size_t num)
{
    rf_status status = RF_OK;
    for (size_t i = 0; i < num && !status; i++) {
        notes->names = notes_names(modules[i], notes->names);
        for (rf_module *m = modules[i]; m && !status; m = rf_module_next(m, modules[i]))
            status = note_module(notes, m);
    }
    return status;
}

/* In the opposite order, as a module may stand in the list twice. */
void rf_notes_end(rf_notes *notes)
{
    for (size_t i = notes->num; i-- > 0;) {
        rf_module_note *note = &notes->v[i];
        size_t count = note->num_params + note->num_buffers;
        for (size_t k = 0; k < count; k++)
            rf_tensor_drop(note->tensors[k]);
        rf_host_free(notes->ctx, note->tensors, (count + 1) * sizeof *note->tensors);
        rf_host_free(notes->ctx, note->wanted, count + 1);
        note->m->locked_hooks = note->locked_hooks;
        note->m->locked_groups = note->locked_groups;
        note->m->destroy_refused = 0;
        note->m->noted--;
    }
    for (size_t i = 0; i < notes->num; i++) {
        rf_module *m = notes->v[i].m;
        if (!m->noted && m->changed_meanwhile) {
            m->changed_meanwhile = 0;
            rf_module_changed(m);
        }
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

static void restore_module(rf_context *ctx, const rf_module_note *note)
{
    rf_module *m = note->m;
    for (size_t k = m->num_hooks; k-- > 0;)
        if (m->hooks[k].id >= note->next_hook)
            (void)!rf_module_remove_hook(m, m->hooks[k].id);
    m->run = note->run;
    m->training = note->training;
    restore_list(ctx, &m->params, note->tensors, note->num_params);
    restore_list(ctx, &m->buffers, note->tensors + note->num_params, note->num_buffers);
    for (size_t k = 0; k < note->num_params; k++)
        if (rf_tensor_requires_grad(note->tensors[k]) != note->wanted[k])
            (void)!rf_tensor_set_requires_grad(note->tensors[k], note->wanted[k]);
    while (m->num_children > note->num_children)
        rf_module_destroy(m->children[m->num_children - 1]);
}

/* APIs that were applied meanwhile first, since undoing them looks at the modules. */
void rf_notes_restore(const rf_notes *notes)
{
    for (size_t i = notes->num; i-- > 0;)
        while (notes->v[i].m->num_groups > notes->v[i].num_groups)
            rf_api_group_dissolve(notes->v[i].m->groups[notes->v[i].m->num_groups - 1]);
    for (size_t i = notes->num; i-- > 0;)
        restore_module(notes->ctx, &notes->v[i]);
    for (size_t i = notes->num; i-- > 0;)
        notes->v[i].m->changed_meanwhile = notes->v[i].changed_meanwhile;
}

/* ---- checking ---- */

static const char *note_path(const rf_module *m, char *buffer, size_t bytes)
{
    return rf_module_path(m, buffer, bytes) ? buffer : "the root";
}

static rf_status note_refuse(const rf_api *api, const rf_module *m, const char *what,
                             const char *name)
{
    char path[160];
    return rf_fail(m->ctx, RF_E_NAMES, "%s %s '%s' in %s: an API may not change names", api->name,
                   what, name, note_path(m, path, sizeof path));
}

/* Nothing can be taken away, so a difference is something new or an attempt to take away. */
static rf_status note_check(const rf_module_note *note, const rf_api *api)
{
    const rf_module *m = note->m;
    char path[160];
    if (m->destroy_refused)
        return rf_fail(m->ctx, RF_E_NAMES, "%s tried to destroy %s: an API may not change names",
                       api->name, note_path(m, path, sizeof path));
    if (m->params.num > note->num_params)
        return note_refuse(api, m, "added the parameter", m->params.v[note->num_params].name);
    if (m->buffers.num > note->num_buffers)
        return note_refuse(api, m, "added the buffer", m->buffers.v[note->num_buffers].name);
    if (m->num_children > note->num_children)
        return note_refuse(api, m, "added the module", m->children[note->num_children]->name);
    return RF_OK;
}

rf_status rf_notes_check_names(const rf_notes *notes, const rf_api *api, rf_module *const *modules,
                               size_t num)
{
    uint64_t names = 0;
    rf_status status = RF_OK;
    for (size_t i = 0; i < notes->num && !status; i++)
        status = note_check(&notes->v[i], api);
    for (size_t i = 0; i < num; i++)
        names = notes_names(modules[i], names);
    if (!status && names != notes->names)
        status = note_refuse(api, modules[0], "changed the names or their order", "");
    return status;
}

rf_status rf_notes_check_params(const rf_notes *notes, const rf_api *api)
{
    char path[160];
    for (size_t i = 0; i < notes->num; i++) {
        const rf_module_note *note = &notes->v[i];
        for (size_t k = 0; k < note->num_params; k++)
            if (note->m->params.v[k].t != note->tensors[k])
                return rf_fail(notes->ctx, RF_E_CONFLICT,
                               "%s is strict and replaced the parameter '%s' in %s", api->name,
                               note->m->params.v[k].name, note_path(note->m, path, sizeof path));
    }
    return RF_OK;
}
