/* layer.c: see layer.h. */
#include "nn/layer.h"

#include <refrain/ops.h>

#include <string.h>

/* A self that knows how to end itself. */
typedef struct layer_self {
    rf_context *ctx;
    size_t bytes;   /* of value */
    double value[]; /* of any type, aligned */
} layer_self;

static layer_self *layer_of(void *self)
{
    return (layer_self *)(void *)((char *)self - offsetof(layer_self, value));
}

static void *layer_new_self(rf_context *ctx, const void *value, size_t bytes)
{
    layer_self *made = rf_host_alloc(ctx, sizeof *made + bytes);
    if (!made)
        return NULL;
    made->ctx = ctx;
    made->bytes = bytes;
    return memcpy(made->value, value, bytes);
}

rf_status rf_layer_create(rf_module **out, rf_context *ctx, const rf_module_class *cls,
                          const void *value, size_t bytes)
{
    *out = NULL;
    void *self = layer_new_self(ctx, value, bytes);
    if (!self)
        return rf_context_error(ctx)->code;
    rf_status status = rf_module_create(out, ctx, cls, self);
    if (status)
        rf_layer_destroy_self(self);
    return status;
}

rf_status rf_layer_copy_self(rf_module *m, void **self_out)
{
    *self_out = layer_new_self(m->ctx, m->self, layer_of(m->self)->bytes);
    return *self_out ? RF_OK : rf_context_error(m->ctx)->code;
}

void rf_layer_destroy_self(void *self)
{
    layer_self *made = layer_of(self);
    rf_host_free(made->ctx, made, sizeof *made + made->bytes);
}

rf_status rf_layer_one(rf_module *m, rf_scope *s, const rf_values *in, const rf_values *out)
{
    if (rf_scope_status(s) || (in->num && in->v[0] && out->num))
        return rf_scope_status(s);
    rf_fail(m->ctx, RF_E_ARGUMENT, "%s takes a tensor and gives one", m->cls->name);
    return rf_scope_fail(s, RF_E_ARGUMENT, NULL);
}

void rf_layer_done(rf_scope *s, rf_tensor *t, const rf_tensor *next)
{
    if (t != next)
        rf_release(s, t);
}

/* First values, written into t in place. */
static rf_status layer_fill(rf_tensor *t, rf_init init)
{
    rf_scope *s;
    rf_context *ctx = rf_tensor_context(t);
    rf_status status = rf_scope_open(&s, ctx, NULL);
    if (status)
        return status;
    rf_scope_set_grad(s, 0);
    size_t rank = rf_tensor_rank(t);
    const int64_t *dims = rf_tensor_dims(t);
    rf_tensor *values;
    if (init.kind == RF_INIT_UNIFORM)
        values = rf_affine(s, rf_uniform(s, RF_F32, rank, dims), 2 * init.value, -init.value);
    else if (init.kind == RF_INIT_NORMAL)
        values = rf_affine(s, rf_normal(s, RF_F32, rank, dims), init.value, 0);
    else
        values = rf_full(s, RF_F32, rank, dims, init.value);
    rf_add_inplace(s, t, values);
    status = rf_scope_status(s);
    rf_scope_close(s);
    return status;
}

/* Make a tensor with its first values, and add it to m by `add`. */
static rf_status layer_add(rf_module *m, const char *name, const rf_tensor_options *opts,
                           rf_init init,
                           rf_status (*add)(rf_module *m, const char *name, rf_tensor *t))
{
    rf_tensor *t;
    rf_status status = rf_tensor_create(&t, m->ctx, opts);
    if (status)
        return status;
    status = layer_fill(t, init);
    if (!status)
        status = add(m, name, t);
    rf_tensor_drop(t);
    return status;
}

static rf_tensor_options layer_options(size_t rank, const int64_t *dims)
{
    rf_tensor_options opts = RF_TENSOR_OPTIONS_INIT;
    opts.rank = rank;
    opts.dims = dims;
    opts.mem_class = RF_MEM_PARAM;
    return opts;
}

rf_status rf_layer_param(rf_module *m, const char *name, size_t rank, const int64_t *dims,
                         rf_init init)
{
    rf_tensor_options opts = layer_options(rank, dims);
    return layer_add(m, name, &opts, init, rf_module_add_param);
}

rf_status rf_layer_buffer(rf_module *m, const char *name, size_t rank, const int64_t *dims,
                          rf_init init)
{
    rf_tensor_options opts = layer_options(rank, dims);
    return layer_add(m, name, &opts, init, rf_module_add_buffer);
}

rf_status rf_layer_made(rf_module **out, rf_status status)
{
    if (status) {
        rf_module_destroy(*out);
        *out = NULL;
    }
    return status;
}

rf_status rf_layer_child(rf_module *m, const char *name, rf_module *child, rf_status status)
{
    if (!status)
        status = rf_module_add_child(m, name, child);
    if (status)
        rf_module_destroy(child);
    return status;
}
