/* module.c: making and ending modules, and what they own. */
#include "nn/params.h"
#include "tensor/handle.h"

#include <string.h>

rf_status rf_module_create(rf_module **out, rf_context *ctx, const rf_module_class *cls, void *self)
{
    *out = NULL;
    if (cls->size != sizeof *cls || !cls->forward || !cls->name)
        return rf_fail(ctx, RF_E_ARGUMENT, "a module class needs its size, a name and a forward");
    rf_module *m = rf_host_alloc(ctx, sizeof *m);
    if (!m)
        return rf_context_error(ctx)->code;
    rf_context_set_param_finder(ctx, rf_params_find);
    m->ctx = ctx;
    m->cls = cls;
    m->self = self;
    m->refs = 1;
    m->training = 1;
    m->next_hook = 1;
    *out = m;
    return RF_OK;
}

static void module_drop_named(rf_module *m, rf_named_list *list)
{
    for (size_t i = 0; i < list->num; i++) {
        rf_tensor_drop(list->v[i].t);
        rf_host_free_text(m->ctx, list->v[i].name);
    }
    rf_host_free(m->ctx, list->v, list->capacity * sizeof *list->v);
    *list = (rf_named_list){NULL, 0, 0};
}

/* Everything but the struct itself, which regions may still point at. */
static void module_end(rf_module *m)
{
    rf_context *ctx = m->ctx;
    m->dead = 1;
    while (m->num_groups)
        rf_api_group_leave(m->groups[m->num_groups - 1], m);
    rf_module_drop_hooks(m, 0);
    if (m->cls->destroy)
        m->cls->destroy(m->self);
    module_drop_named(m, &m->params);
    module_drop_named(m, &m->buffers);
    rf_host_free(ctx, m->children, m->cap_children * sizeof *m->children);
    rf_host_free(ctx, m->hooks, m->cap_hooks * sizeof *m->hooks);
    rf_host_free(ctx, m->groups, m->cap_groups * sizeof *m->groups);
    rf_host_free_text(ctx, m->name);
    m->children = NULL;
    m->hooks = NULL;
    m->groups = NULL;
    m->name = NULL;
    m->parent = NULL;
    m->num_children = 0;
    rf_module_unref(m);
}

void rf_module_unref(rf_module *m)
{
    if (--m->refs == 0)
        rf_context_retire(m->ctx, &m->retired, sizeof *m);
}

static void module_leave_parent(rf_module *m)
{
    rf_module *p = m->parent;
    if (!p)
        return;
    rf_module_changed(p);
    for (size_t i = m->index; i + 1 < p->num_children; i++) {
        p->children[i] = p->children[i + 1];
        p->children[i]->index = i;
    }
    p->num_children--;
    m->parent = NULL;
}

/* While an API is applied to a tree, its modules stay: the attempt makes the API fail. */
static int module_refuses_destroy(rf_module *m)
{
    int refused = 0;
    for (rf_module *at = m; at; at = rf_module_next(at, m))
        if (at->noted)
            refused = at->destroy_refused = 1;
    return refused;
}

/* Leaves first, without recursion: the last child of the last child ... ends, again and again. */
void rf_module_destroy(rf_module *m)
{
    if (!m || module_refuses_destroy(m))
        return;
    module_leave_parent(m);
    for (rf_module *at = m; at;) {
        if (at->num_children) {
            at = at->children[at->num_children - 1];
            continue;
        }
        rf_module *up = at == m ? NULL : at->parent;
        if (up)
            up->num_children--;
        module_end(at);
        at = up;
    }
}

/* ---- getters ---- */

void *rf_module_self(const rf_module *m)
{
    return m->self;
}

const rf_module_class *rf_module_class_of(const rf_module *m)
{
    return m->cls;
}

rf_context *rf_module_context(const rf_module *m)
{
    return m->ctx;
}

rf_module *rf_module_parent(const rf_module *m)
{
    return m->parent;
}

const char *rf_module_name(const rf_module *m)
{
    return m->name ? m->name : "";
}

size_t rf_module_num_children(const rf_module *m)
{
    return m->num_children;
}

rf_module *rf_module_child(const rf_module *m, size_t index)
{
    return index < m->num_children ? m->children[index] : NULL;
}

/* ---- train and eval ---- */

void rf_module_changed(rf_module *m)
{
    for (; m; m = m->parent) {
        if (m->noted) { /* may be undone: see notes.c */
            m->changed_meanwhile = 1;
            return;
        }
        m->stamp++;
    }
}

void rf_module_train(rf_module *m, int training)
{
    training = training != 0;
    for (rf_module *at = m; at; at = rf_module_next(at, m)) {
        if (at->training != training)
            rf_module_changed(at);
        at->training = training;
    }
}

int rf_module_training(const rf_module *m)
{
    return m->training;
}

/* ---- the dial ---- */

const rf_dial *rf_module_dial(const rf_module *m)
{
    return m->cls->dial;
}

rf_status rf_module_set_dial(rf_module *m, const char *name, uint64_t bytes)
{
    const rf_dial *dial = m->cls->dial;
    if (!dial || strcmp(dial->name, name) != 0)
        return rf_fail(m->ctx, RF_E_NOT_FOUND, "%s has no dial '%s'", m->cls->name, name);
    if (dial->get(m) == bytes)
        return RF_OK;
    dial->set(m, bytes);
    rf_module_changed(m);
    return RF_OK;
}

/* ---- names ---- */

static int module_has_child(const rf_module *m, const char *name)
{
    for (size_t i = 0; i < m->num_children; i++)
        if (!strcmp(m->children[i]->name, name))
            return 1;
    return 0;
}

static int module_has_named(const rf_named_list *list, const char *name)
{
    for (size_t i = 0; i < list->num; i++)
        if (!strcmp(list->v[i].name, name))
            return 1;
    return 0;
}

static rf_status module_check_name(rf_module *m, const char *name)
{
    if (!name || !*name || strchr(name, '.'))
        return rf_fail(m->ctx, RF_E_ARGUMENT, "'%s' is no name: empty, or with a dot in it",
                       name ? name : "");
    if (module_has_child(m, name) || module_has_named(&m->params, name) ||
        module_has_named(&m->buffers, name))
        return rf_fail(m->ctx, RF_E_ARGUMENT, "%s has something named '%s' already", m->cls->name,
                       name);
    return RF_OK;
}

static rf_status module_check_tensor(rf_module *m, const char *name, const rf_tensor *t)
{
    if (!t || rf_tensor_context(t) != m->ctx)
        return rf_fail(m->ctx, RF_E_ARGUMENT, "'%s': no tensor, or one of another context", name);
    if (!rf_tensor_is_leaf(t))
        return rf_fail(m->ctx, RF_E_STATE, "'%s': a parameter or buffer must be a leaf", name);
    return RF_OK;
}

/* Hold it; what a module holds is no activation. */
static rf_tensor *module_take(rf_tensor *t)
{
    if (t->storage && t->storage->cls == RF_MEM_ACTIVATION)
        rf_storage_set_class(t->storage, RF_MEM_PARAM);
    return rf_tensor_hold(t);
}

static rf_status module_add_named(rf_module *m, rf_named_list *list, const char *name, rf_tensor *t)
{
    rf_status status = module_check_name(m, name);
    if (!status)
        status = module_check_tensor(m, name, t);
    if (!status)
        status = rf_host_grow(m->ctx, &list->v, list->num, &list->capacity, sizeof *list->v);
    char *copy = status ? NULL : rf_host_copy_text(m->ctx, name);
    if (!copy)
        return status ? status : rf_context_error(m->ctx)->code;
    list->v[list->num++] = (rf_named){copy, module_take(t)};
    rf_module_changed(m);
    return RF_OK;
}

rf_status rf_module_add_param(rf_module *m, const char *name, rf_tensor *t)
{
    rf_status status = module_check_name(m, name);
    if (!status)
        status = module_check_tensor(m, name, t);
    if (status)
        return status;
    int wanted = rf_tensor_requires_grad(t);
    status = rf_tensor_set_requires_grad(t, 1);
    if (status)
        return status;
    status = module_add_named(m, &m->params, name, t);
    if (status && !wanted)
        (void)!rf_tensor_set_requires_grad(t, 0);
    return status;
}

rf_status rf_module_set_param(rf_module *m, const char *name, rf_tensor *t)
{
    rf_named *named = NULL;
    for (size_t i = 0; i < m->params.num && !named; i++)
        if (!strcmp(m->params.v[i].name, name))
            named = &m->params.v[i];
    if (!named)
        return rf_fail(m->ctx, RF_E_NOT_FOUND, "%s has no parameter '%s'", m->cls->name, name);
    rf_status status = module_check_tensor(m, name, t);
    if (!status)
        status = rf_tensor_set_requires_grad(t, 1);
    if (status)
        return status;
    rf_tensor *old = named->t;
    named->t = module_take(t);
    rf_tensor_drop(old);
    rf_module_changed(m);
    return RF_OK;
}

rf_status rf_module_add_buffer(rf_module *m, const char *name, rf_tensor *t)
{
    if (t && rf_tensor_requires_grad(t))
        return rf_fail(m->ctx, RF_E_STATE,
                       "a buffer never gets a gradient, and this tensor wants one");
    return module_add_named(m, &m->buffers, name, t);
}

rf_status rf_module_add_child(rf_module *m, const char *name, rf_module *child)
{
    rf_status status = module_check_name(m, name);
    if (!status && (!child || child->parent || child->ctx != m->ctx))
        status = rf_fail(m->ctx, RF_E_ARGUMENT,
                         "'%s': no module, one of another context, or one that has a parent", name);
    for (rf_module *up = m; up && !status; up = up->parent)
        if (up == child)
            status = rf_fail(m->ctx, RF_E_ARGUMENT, "'%s': a module cannot be inside itself", name);
    if (!status)
        status = rf_host_grow(m->ctx, &m->children, m->num_children, &m->cap_children,
                              sizeof *m->children);
    char *copy = status ? NULL : rf_host_copy_text(m->ctx, name);
    if (!copy)
        return status ? status : rf_context_error(m->ctx)->code;
    child->name = copy;
    child->parent = m;
    child->index = m->num_children;
    m->children[m->num_children++] = child;
    rf_module_changed(m);
    return RF_OK;
}
