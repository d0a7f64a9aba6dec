/* copy.c: deep copies of module trees: parameters and buffers of their own, tied where they were
 * tied, hooks and applied APIs in place.
 *
 * The new tree is made parent by parent in the order of a walk of the old one, so that the n-th
 * module of one is the n-th of the other.
 */
#include "nn/module.h"
#include "tensor/handle.h"

#include <refrain/ops.h>

typedef struct copy_pair {
    const rf_tensor *from;
    rf_tensor *to; /* held */
} copy_pair;

typedef struct tree_copy {
    rf_context *ctx;
    rf_module **from, **to;
    size_t num, cap_from, cap_to;
    copy_pair *pairs; /* tensors copied so far */
    size_t num_pairs, cap_pairs;
} tree_copy;

/* ---- tensors ---- */

static rf_status copy_values(rf_tensor *to, rf_tensor *from)
{
    rf_scope *s;
    rf_context *ctx = rf_tensor_context(from);
    rf_status status = rf_scope_open(&s, ctx, NULL);
    if (status)
        return status;
    rf_scope_set_grad(s, 0);
    rf_tensor *same = rf_contiguous(s, rf_detach(s, from));
    void *bytes = same ? rf_tensor_data(same) : NULL;
    status = rf_scope_status(s);
    if (!status && bytes)
        status = rf_tensor_copy_from(to, bytes, rf_tensor_bytes(to));
    rf_scope_close(s);
    return status;
}

static rf_status copy_tensor(tree_copy *c, rf_tensor *from, rf_tensor **out)
{
    for (size_t i = 0; i < c->num_pairs; i++)
        if (c->pairs[i].from == from) {
            *out = c->pairs[i].to;
            return RF_OK;
        }
    rf_status status =
        rf_host_grow(c->ctx, &c->pairs, c->num_pairs, &c->cap_pairs, sizeof *c->pairs);
    rf_tensor_options opts = RF_TENSOR_OPTIONS_INIT;
    opts.dtype = rf_tensor_dtype(from);
    opts.rank = rf_tensor_rank(from);
    opts.dims = rf_tensor_dims(from);
    opts.device = rf_tensor_device(from);
    opts.mem_class = from->storage ? (rf_mem_class)from->storage->cls : RF_MEM_PARAM;
    if (opts.mem_class == RF_MEM_BORROWED)
        opts.mem_class = RF_MEM_PARAM;
    if (!status)
        status = rf_tensor_create(out, c->ctx, &opts);
    if (status)
        return status;
    c->pairs[c->num_pairs++] = (copy_pair){from, *out};
    return rf_tensor_device(from) == RF_DEVICE_META ? RF_OK : copy_values(*out, from);
}

static rf_status copy_named(tree_copy *c, const rf_module *from, rf_module *to)
{
    rf_status status = RF_OK;
    rf_tensor *t;
    for (size_t i = 0; i < from->params.num && !status; i++) {
        const rf_named *p = &from->params.v[i];
        status = copy_tensor(c, p->t, &t);
        if (!status)
            status = rf_module_add_param(to, p->name, t);
        if (!status)
            status = rf_tensor_set_requires_grad(t, rf_tensor_requires_grad(p->t));
    }
    for (size_t i = 0; i < from->buffers.num && !status; i++) {
        status = copy_tensor(c, from->buffers.v[i].t, &t);
        if (!status)
            status = rf_module_add_buffer(to, from->buffers.v[i].name, t);
    }
    return status;
}

/* ---- modules ---- */

/* A copier of a user's that only gave a status. */
static rf_status copy_explain(const rf_module *m, uint64_t errors, rf_status status)
{
    if (status && errors == rf_context_errors(m->ctx))
        rf_fail(m->ctx, status, "%s could not be copied: %s", m->cls->name, rf_status_text(status));
    return status;
}

static rf_status copy_hooks(const rf_module *from, rf_module *to)
{
    uint64_t errors = rf_context_errors(from->ctx);
    rf_status status = RF_OK;
    for (size_t i = 0; i < from->num_hooks && !status; i++) {
        rf_shared_hook *shared = from->hooks[i].shared;
        rf_module_hook hook = shared->hook;
        if (!hook.copy) {
            status = rf_module_share_hook(to, shared, NULL);
            continue;
        }
        status = hook.copy(hook.payload, &hook.payload);
        if (status)
            return copy_explain(from, errors, status);
        status = rf_module_add_hook(to, hook, NULL);
        if (status && hook.destroy)
            hook.destroy(hook.payload);
    }
    return status;
}

/* The class's copy of self; without one self is shared, and must have no destroy. */
static rf_status copy_module(rf_module *from, rf_module **out)
{
    void *self = from->self;
    uint64_t errors = rf_context_errors(from->ctx);
    rf_status status = RF_OK;
    *out = NULL;
    if (from->cls->copy)
        status = from->cls->copy(from, &self);
    else if (from->cls->destroy)
        status = rf_fail(from->ctx, RF_E_UNSUPPORTED, "%s cannot be copied: its class has no copy",
                         from->cls->name);
    if (status)
        return copy_explain(from, errors, status);
    status = rf_module_create(out, from->ctx, from->cls, self);
    if (status && from->cls->destroy)
        from->cls->destroy(self);
    if (!status) {
        (*out)->training = from->training;
        status = copy_hooks(from, *out);
    }
    return status;
}

static rf_module *copy_of(const tree_copy *c, const rf_module *from)
{
    for (size_t i = c->num; i-- > 0;)
        if (c->from[i] == from)
            return c->to[i];
    return NULL;
}

static rf_status copy_one(tree_copy *c, rf_module *from, const rf_module *root)
{
    rf_module *to;
    rf_status status = rf_host_grow(c->ctx, &c->from, c->num, &c->cap_from, sizeof *c->from);
    if (!status)
        status = rf_host_grow(c->ctx, &c->to, c->num, &c->cap_to, sizeof *c->to);
    if (!status)
        status = copy_module(from, &to);
    else
        return status;
    if (!status && from != root)
        status = rf_module_add_child(copy_of(c, from->parent), from->name, to);
    if (status) {
        rf_module_destroy(to);
        return status;
    }
    c->from[c->num] = from;
    c->to[c->num++] = to;
    return copy_named(c, from, to);
}

/* ---- APIs ---- */

/* The group of the copies, once per group: at the first of its modules in the walk. */
static rf_status copy_group(tree_copy *c, const rf_api_group *group)
{
    const rf_api *api = group->api;
    void *state = NULL;
    size_t bytes = group->num * sizeof(rf_module *), num = 0;
    rf_module **modules = rf_host_alloc(c->ctx, bytes);
    if (!modules)
        return rf_context_error(c->ctx)->code;
    for (size_t i = 0; i < group->num; i++)
        if ((modules[num] = copy_of(c, group->modules[i])) != NULL)
            num++;
    rf_status status = api->copy
                           ? api->copy(group->state, c->ctx, &state)
                           : rf_fail(c->ctx, RF_E_UNSUPPORTED,
                                     "a module that %s was applied to cannot be copied", api->name);
    if (!status)
        status = rf_api_group_create(api, modules, num, state);
    rf_host_free(c->ctx, modules, bytes);
    return status;
}

static rf_status copy_apis(tree_copy *c)
{
    rf_status status = RF_OK;
    for (size_t i = 0; i < c->num && !status; i++) {
        rf_module *from = c->from[i];
        c->to[i]->run = from->run;
        for (size_t k = 0; k < from->num_groups && !status; k++)
            if (!rf_api_state(from->groups[k]->api, c->to[i]))
                status = copy_group(c, from->groups[k]);
    }
    return status;
}

rf_status rf_module_copy(rf_module **out, rf_module *m)
{
    tree_copy c = {.ctx = m->ctx};
    rf_status status = RF_OK;
    for (rf_module *at = m; at && !status; at = rf_module_next(at, m))
        status = copy_one(&c, at, m);
    if (!status)
        status = copy_apis(&c);
    *out = c.num ? c.to[0] : NULL;
    for (size_t i = 0; i < c.num_pairs; i++)
        rf_tensor_drop(c.pairs[i].to);
    rf_host_free(c.ctx, c.pairs, c.cap_pairs * sizeof *c.pairs);
    rf_host_free(c.ctx, c.from, c.cap_from * sizeof *c.from);
    rf_host_free(c.ctx, c.to, c.cap_to * sizeof *c.to);
    if (status) {
        rf_module_destroy(*out);
        *out = NULL;
    }
    return status;
}
