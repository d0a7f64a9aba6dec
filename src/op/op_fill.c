/* op_fill.c: tensors from nothing: one value everywhere, uniform and normal random numbers. */
#include "op/expr.h"
#include "op/table.h"

#include <string.h>

typedef struct fill_attrs {
    int32_t dtype, rank;
    int64_t dims[RF_MAX_RANK];
    double value;
} fill_attrs;

static rf_status fill_infer(rf_op_call *call)
{
    const fill_attrs *a = call->attrs;
    rf_shape *out = &call->out[0].shape;
    size_t bytes;
    out->dtype = (uint8_t)a->dtype;
    out->rank = (uint8_t)a->rank;
    memcpy(out->dims, a->dims, sizeof a->dims);
    if (!rf_shape_bytes(out, &bytes))
        return rf_op_fail(call, RF_E_SHAPE, "a size is negative, or the bytes overflow");
    return RF_OK;
}

static rf_status fill_infer_float(rf_op_call *call)
{
    const fill_attrs *a = call->attrs;
    if (a->dtype != RF_F32 && a->dtype != RF_F64 && a->dtype != RF_BF16)
        return rf_op_fail(call, RF_E_DTYPE, "random numbers are of a float type");
    return fill_infer(call);
}

static rf_status fill_forward(rf_op_call *call)
{
    const fill_attrs *a = call->attrs;
    rf_exec e = rf_call_exec(call);
    return rf_call_kernels(call)->fill(&e, a->value, &call->out[0]);
}

static rf_status uniform_forward(rf_op_call *call)
{
    rf_exec e = rf_call_exec(call);
    return rf_call_kernels(call)->uniform(&e, call->rng, &call->out[0]);
}

static rf_status normal_forward(rf_op_call *call)
{
    rf_exec e = rf_call_exec(call);
    return rf_call_kernels(call)->normal(&e, call->rng, &call->out[0]);
}

static uint64_t fill_blocks(const rf_op_call *call)
{
    return ((uint64_t)rf_shape_count(&call->out[0].shape) + 3) / 4;
}

static int fill_sample(size_t index, rf_op_sample *out)
{
    *(fill_attrs *)(void *)out->attrs = (fill_attrs){RF_F64, 2, {3, 5}, 1.5};
    return index == 0;
}

const rf_op_class rf_op_fill = {
    .size = sizeof(rf_op_class),
    .name = "fill",
    .doc = "one value everywhere",
    .traits = RF_OP_NO_GRAD,
    .num_out = 1,
    .infer = fill_infer,
    .forward = fill_forward,
    .sample = fill_sample,
};

const rf_op_class rf_op_uniform = {
    .size = sizeof(rf_op_class),
    .name = "uniform",
    .doc = "uniform random numbers in [0, 1)",
    .traits = RF_OP_NO_GRAD | RF_OP_RANDOM,
    .num_out = 1,
    .infer = fill_infer_float,
    .forward = uniform_forward,
    .random_blocks = fill_blocks,
    .sample = fill_sample,
};

const rf_op_class rf_op_normal = {
    .size = sizeof(rf_op_class),
    .name = "normal",
    .doc = "normal random numbers, mean 0, variance 1",
    .traits = RF_OP_NO_GRAD | RF_OP_RANDOM,
    .num_out = 1,
    .infer = fill_infer_float,
    .forward = normal_forward,
    .random_blocks = fill_blocks,
    .sample = fill_sample,
};

static rf_tensor *fill_run(rf_scope *s, const rf_op_class *op, const rf_tensor_options *shape,
                           double value)
{
    fill_attrs a = {(int32_t)shape->dtype, (int32_t)shape->rank, {0}, value};
    if (s->status)
        return NULL;
    if (shape->rank > RF_MAX_RANK || (unsigned)shape->dtype >= RF_DTYPES) {
        rf_fail(s->ctx, RF_E_SHAPE, "%s: rank %zu is more than %d, or no element type", op->name,
                shape->rank, RF_MAX_RANK);
        rf_scope_fail(s, RF_E_SHAPE, NULL);
        return NULL;
    }
    if (shape->rank)
        memcpy(a.dims, shape->dims, shape->rank * sizeof *shape->dims);
    return rf_expr(s, op, NULL, 0, &a, sizeof a);
}

rf_tensor *rf_full(rf_scope *s, rf_dtype dtype, size_t rank, const int64_t *dims, double value)
{
    rf_tensor_options shape = {.dtype = dtype, .rank = rank, .dims = dims};
    return fill_run(s, &rf_op_fill, &shape, value);
}

rf_tensor *rf_zeros(rf_scope *s, rf_dtype dtype, size_t rank, const int64_t *dims)
{
    return rf_full(s, dtype, rank, dims, 0);
}

rf_tensor *rf_uniform(rf_scope *s, rf_dtype dtype, size_t rank, const int64_t *dims)
{
    rf_tensor_options shape = {.dtype = dtype, .rank = rank, .dims = dims};
    return fill_run(s, &rf_op_uniform, &shape, 0);
}

rf_tensor *rf_normal(rf_scope *s, rf_dtype dtype, size_t rank, const int64_t *dims)
{
    rf_tensor_options shape = {.dtype = dtype, .rank = rank, .dims = dims};
    return fill_run(s, &rf_op_normal, &shape, 0);
}
