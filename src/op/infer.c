/* infer.c: shape rules that several ops share. See expr.h. */
#include "op/expr.h"

#include <string.h>

static int infer_is_float(uint8_t dtype)
{
    return dtype == RF_F32 || dtype == RF_F64 || dtype == RF_BF16;
}

rf_status rf_infer_need_float(rf_op_call *call, size_t input)
{
    uint8_t dtype = call->in[input].shape.dtype;
    if (infer_is_float(dtype))
        return RF_OK;
    return rf_fail(call->ctx, RF_E_DTYPE, "%s: input %zu must be a float type, not %s",
                   call->op->name, input, rf_dtype_name((rf_dtype)dtype));
}

rf_status rf_infer_need_contiguous(rf_op_call *call, size_t input)
{
    if (rf_view_contiguous(&call->in[input]))
        return RF_OK;
    return rf_fail(call->ctx, RF_E_SHAPE, "%s: input %zu must be row-major without gaps",
                   call->op->name, input);
}

rf_status rf_infer_first_any(rf_op_call *call)
{
    call->out[0].shape = call->in[0].shape;
    return RF_OK;
}

rf_status rf_infer_first(rf_op_call *call)
{
    rf_status status = rf_infer_need_float(call, 0);
    return status ? status : rf_infer_first_any(call);
}

static rf_status infer_unlike(rf_op_call *call, rf_status status)
{
    char a[128], b[128];
    return rf_fail(call->ctx, status, "%s: %s and %s do not go together", call->op->name,
                   rf_shape_text(&call->in[0].shape, a, sizeof a),
                   rf_shape_text(&call->in[1].shape, b, sizeof b));
}

rf_status rf_infer_same(rf_op_call *call)
{
    rf_status status = rf_infer_need_float(call, 0);
    if (status)
        return status;
    if (!rf_shape_equal(&call->in[0].shape, &call->in[1].shape))
        return infer_unlike(call, RF_E_SHAPE);
    return rf_infer_first_any(call);
}

rf_status rf_infer_broadcast(rf_op_call *call)
{
    const rf_shape *a = &call->in[0].shape, *b = &call->in[1].shape;
    if (a->dtype != b->dtype)
        return infer_unlike(call, RF_E_DTYPE);
    rf_shape *out = &call->out[0].shape;
    const rf_shape *longer = a->rank >= b->rank ? a : b, *shorter = longer == a ? b : a;
    *out = *longer;
    size_t lead = (size_t)(longer->rank - shorter->rank);
    for (size_t i = 0; i < shorter->rank; i++) {
        int64_t x = longer->dims[lead + i], y = shorter->dims[i];
        if (x != y && x != 1 && y != 1)
            return infer_unlike(call, RF_E_SHAPE);
        out->dims[lead + i] = x == 1 ? y : x;
    }
    return RF_OK;
}

void rf_view_broadcast(rf_view *x, const rf_shape *shape)
{
    size_t lead = (size_t)(shape->rank - x->shape.rank);
    x->shape.rank = shape->rank;
    for (size_t i = shape->rank; i-- > 0;) { /* from the last: what is read is not written yet */
        int repeats = i < lead || (x->shape.dims[i - lead] == 1 && shape->dims[i] != 1);
        x->strides[i] = repeats ? 0 : x->strides[i - lead];
        x->shape.dims[i] = shape->dims[i];
    }
}

void rf_view_swap_last(rf_view *view)
{
    unsigned r = view->shape.rank;
    int64_t dim = view->shape.dims[r - 1], stride = view->strides[r - 1];
    view->shape.dims[r - 1] = view->shape.dims[r - 2];
    view->strides[r - 1] = view->strides[r - 2];
    view->shape.dims[r - 2] = dim;
    view->strides[r - 2] = stride;
}

void rf_view_rows(rf_view *view)
{
    unsigned r = view->shape.rank;
    int64_t last = r ? view->shape.dims[r - 1] : 1, rows = 1;
    for (unsigned i = 0; i + 1 < r; i++)
        rows *= view->shape.dims[i];
    view->shape.rank = 2;
    view->shape.dims[0] = rows;
    view->shape.dims[1] = last;
    view->strides[0] = last;
    view->strides[1] = 1;
}

/* ---- samples ---- */

void rf_sample_float(rf_op_sample *out, size_t i, double low, double high, size_t rank,
                     const int64_t *dims)
{
    rf_op_sample_input *in = &out->in[i];
    *in = (rf_op_sample_input){.low = low, .high = high, .rank = rank};
    if (rank)
        memcpy(in->dims, dims, rank * sizeof *dims);
    if (out->num_in <= i)
        out->num_in = i + 1;
}

void rf_sample_integer(rf_op_sample *out, size_t i, int64_t below, size_t rank, const int64_t *dims)
{
    rf_sample_float(out, i, 0, (double)below, rank, dims);
    out->in[i].integer = 1;
}

static int sample_shapes(size_t index, rf_op_sample *out, size_t num, double low, double high)
{
    static const int64_t dims[3][3] = {{5}, {3, 4}, {2, 3, 2}};
    if (index >= 3)
        return 0;
    for (size_t i = 0; i < num; i++)
        rf_sample_float(out, i, low, high, index + 1, dims[index]);
    return 1;
}

int rf_sample_unary(size_t index, rf_op_sample *out)
{
    return sample_shapes(index, out, 1, -2, 2);
}

int rf_sample_unary_positive(size_t index, rf_op_sample *out)
{
    return sample_shapes(index, out, 1, 0.5, 2);
}

int rf_sample_binary_same(size_t index, rf_op_sample *out)
{
    return sample_shapes(index, out, 2, 0.5, 2);
}

int rf_sample_binary(size_t index, rf_op_sample *out)
{
    static const int64_t full[3] = {2, 3, 4}, row[1] = {4}, column[3] = {2, 1, 1};
    if (index < 3)
        return rf_sample_binary_same(index, out);
    if (index > 5)
        return 0;
    rf_sample_float(out, index == 4, 0.5, 2, 3, full);
    if (index == 5)
        rf_sample_float(out, 1, 0.5, 2, 0, NULL);
    else
        rf_sample_float(out, index != 4, 0.5, 2, index == 3 ? 1 : 3, index == 3 ? row : column);
    return 1;
}
