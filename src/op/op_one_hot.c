/* op_one_hot.c: ids (...) -> (..., V) with a one at each id, zeros elsewhere; an ignored id has
 * none. Only composed gradients use it.
 */
#include "op/expr.h"
#include "op/table.h"

typedef struct hot_attrs {
    int64_t shape; /* element type, and V << 8 */
    int64_t has_ignored, ignored;
} hot_attrs;

static rf_status hot_infer(rf_op_call *call)
{
    const hot_attrs *a = call->attrs;
    rf_shape *out = &call->out[0].shape;
    *out = call->in[0].shape;
    out->dtype = (uint8_t)(a->shape & 0xFF);
    if (out->rank == RF_MAX_RANK)
        return rf_op_fail(call, RF_E_SHAPE, "the rank is too large");
    out->dims[out->rank++] = a->shape >> 8;
    return rf_infer_need_contiguous(call, 0);
}

static int64_t hot_id(const rf_view *ids, int64_t i)
{
    switch (ids->shape.dtype) {
    case RF_I64:
        return ((const int64_t *)ids->data)[i];
    case RF_I32:
        return ((const int32_t *)ids->data)[i];
    default:
        return ((const uint8_t *)ids->data)[i];
    }
}

static void hot_set(const rf_view *out, int64_t at)
{
    if (out->shape.dtype == RF_F64)
        ((double *)out->data)[at] = 1;
    else if (out->shape.dtype == RF_F32)
        ((float *)out->data)[at] = 1;
    else
        ((uint16_t *)out->data)[at] = 0x3F80; /* 1 in bf16 */
}

static rf_status hot_forward(rf_op_call *call)
{
    const hot_attrs *a = call->attrs;
    rf_exec e = rf_call_exec(call);
    int64_t v = a->shape >> 8, n = rf_shape_count(&call->in[0].shape);
    rf_status status = rf_call_kernels(call)->fill(&e, 0, &call->out[0]);
    for (int64_t i = 0; i < n && !status; i++) {
        int64_t id = hot_id(&call->in[0], i);
        if (a->has_ignored && id == a->ignored)
            continue;
        if (id < 0 || id >= v)
            return rf_op_fail(call, RF_E_ARGUMENT, "an id is outside of the vocabulary");
        hot_set(&call->out[0], i * v + id);
    }
    return status;
}

static int64_t hot_below(const rf_op_call *call, size_t input)
{
    return input ? 0 : ((const hot_attrs *)call->attrs)->shape >> 8;
}

static int hot_sample(size_t index, rf_op_sample *out)
{
    static const int64_t dims[2] = {2, 3};
    *(hot_attrs *)(void *)out->attrs = (hot_attrs){RF_F64 | 5 << 8, 0, 0};
    rf_sample_integer(out, 0, 5, 2, dims);
    return index == 0;
}

const rf_op_class rf_op_one_hot = {
    .size = sizeof(rf_op_class),
    .name = "one_hot",
    .doc = "a one at each id, zeros elsewhere",
    .traits = RF_OP_NO_GRAD,
    .num_out = 1,
    .infer = hot_infer,
    .forward = hot_forward,
    .sample = hot_sample,
    .index_below = hot_below,
};
