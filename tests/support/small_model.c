/* small_model.c: see small_model.h. */
#include "support/small_model.h"

const char *const small_model_params[] = {"wte", "scale", "h.0.weight", "h.0.bias", "h.1.weight"};
const char *const small_model_buffers[] = {"mask", "h.0.count"};

static rf_status small_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)m;
    (void)s;
    (void)in;
    (void)out;
    return RF_E_UNSUPPORTED;
}

static const rf_module_class small_class = {
    .size = sizeof(rf_module_class), .name = "Small", .forward = small_forward};

typedef struct small_tensor {
    rf_dtype dtype;
    size_t rank;
    int64_t dims[3];
} small_tensor;

/* Any bytes will do, but floats should stay far from NaN, which would not compare. */
static rf_status small_fill(rf_tensor *t, unsigned salt)
{
    unsigned char bytes[512] = {0};
    for (size_t i = 0; i < rf_tensor_bytes(t); i++)
        bytes[i] = (unsigned char)((i * 29 + salt * 101 + 7) % 61);
    return rf_tensor_copy_from(t, bytes, rf_tensor_bytes(t));
}

/* Put a tensor under a name; once more, for another module, if tied is given. */
static rf_status small_add(rf_module *m, const char *name, const small_tensor *kind, unsigned salt,
                           rf_module *tied)
{
    rf_tensor_options opts = RF_TENSOR_OPTIONS_INIT;
    rf_tensor *t;
    opts.dtype = kind->dtype;
    opts.rank = kind->rank;
    opts.dims = kind->dims;
    opts.mem_class = RF_MEM_PARAM;
    rf_status status = rf_tensor_create(&t, rf_module_context(m), &opts);
    if (status)
        return status;
    status = small_fill(t, salt);
    int is_float = kind->dtype == RF_F32 || kind->dtype == RF_F64 || kind->dtype == RF_BF16;
    if (!status)
        status = is_float ? rf_module_add_param(m, name, t) : rf_module_add_buffer(m, name, t);
    if (!status && tied)
        status = rf_module_add_param(tied, "tied", t);
    if (!status && kind->dtype == RF_BF16)
        status = rf_tensor_set_requires_grad(t, 0); /* optimisers move f32 and f64 */
    rf_tensor_drop(t);
    return status;
}

static rf_status small_child(rf_module **out, rf_module *parent, const char *name)
{
    rf_status status = rf_module_create(out, rf_module_context(parent), &small_class, NULL);
    if (status)
        return status;
    status = rf_module_add_child(parent, name, *out);
    if (status)
        rf_module_destroy(*out);
    return status;
}

static rf_status small_fill_model(rf_module *m, unsigned salt)
{
    static const small_tensor wte = {RF_F32, 2, {5, 3}}, scale = {RF_BF16, 0, {0}},
                              weight = {RF_F64, 3, {2, 1, 3}}, bias = {RF_F32, 1, {0}},
                              half = {RF_BF16, 1, {7}}, mask = {RF_U8, 1, {5}},
                              count = {RF_I64, 0, {0}};
    rf_module *h, *first, *second;
    rf_status status = small_child(&h, m, "h");
    if (!status)
        status = small_child(&first, h, "0");
    if (!status)
        status = small_child(&second, h, "1");
    if (!status)
        status = small_add(m, "wte", &wte, salt, second);
    if (!status)
        status = small_add(m, "scale", &scale, salt + 1, NULL);
    if (!status)
        status = small_add(m, "mask", &mask, salt + 2, NULL);
    if (!status)
        status = small_add(first, "weight", &weight, salt + 3, NULL);
    if (!status)
        status = small_add(first, "bias", &bias, salt + 4, NULL);
    if (!status)
        status = small_add(first, "count", &count, salt + 5, NULL);
    if (!status)
        status = small_add(second, "weight", &half, salt + 6, NULL);
    return status;
}

rf_module *small_model(rf_context *ctx, unsigned salt)
{
    rf_module *m;
    if (rf_module_create(&m, ctx, &small_class, NULL))
        return NULL;
    if (small_fill_model(m, salt)) {
        rf_module_destroy(m);
        return NULL;
    }
    return m;
}
