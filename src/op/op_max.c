/* op_max.c: the largest along the last axis (other axes are brought there by a permutation).
 * dx = g at the first of the largest, else 0. Linear in g, so its own gradient picks from there.
 */
#include "op/expr.h"
#include "op/table.h"

static rf_status max_infer(rf_op_call *call)
{
    rf_shape *y = &call->out[0].shape, *index = &call->out[1].shape;
    rf_status status = rf_infer_first(call);
    if (!status)
        status = rf_infer_need_contiguous(call, 0);
    if (status)
        return status;
    if (!y->rank || !y->dims[y->rank - 1])
        return rf_op_fail(call, RF_E_SHAPE, "there is nothing to be the largest of");
    y->dims[y->rank - 1] = 1;
    *index = *y;
    index->dtype = RF_I64;
    return RF_OK;
}

static rf_status max_forward(rf_op_call *call)
{
    rf_exec e = rf_call_exec(call);
    return rf_call_kernels(call)->max_last(&e, &call->in[0], &call->out[0], &call->out[1]);
}

static rf_op_reads max_reads(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    return (rf_op_reads){0, wanted ? 2u : 0};
}

static rf_tensor *max_scatter(rf_scope *s, rf_tensor *g, rf_tensor *index, const rf_shape *x)
{
    int64_t attrs = x->dims[x->rank - 1];
    g = rf_contiguous(s, g);
    return rf_expr(s, &rf_op_max_grad, (rf_tensor *[]){g, index}, 2, &attrs, sizeof attrs);
}

static rf_status max_backward(rf_op_grad *grad)
{
    grad->grad_in[0] = max_scatter(grad->scope, grad->grad_out[0], rf_op_saved_output(grad, 1),
                                   &grad->in_shape[0]);
    return grad->scope->status;
}

const rf_op_class rf_op_max = {
    .size = sizeof(rf_op_class),
    .name = "max",
    .doc = "the largest along the last axis",
    .num_out = 1,
    .num_aux = 1,
    .infer = max_infer,
    .forward = max_forward,
    .reads = max_reads,
    .backward = max_backward,
    .sample = rf_sample_unary,
};

static rf_status max_grad_infer(rf_op_call *call)
{
    rf_shape *dx = &call->out[0].shape;
    rf_status status = rf_infer_first(call);
    dx->dims[dx->rank - 1] = *(const int64_t *)call->attrs;
    return status;
}

static rf_status max_grad_forward(rf_op_call *call)
{
    rf_exec e = rf_call_exec(call);
    return rf_call_kernels(call)->max_last_grad(&e, &call->in[0], &call->in[1], &call->out[0]);
}

static rf_op_reads max_grad_reads(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    return (rf_op_reads){wanted ? 2u : 0, 0};
}

/* dg = h where the ones of the mask are, summed along the axis. */
static rf_status max_grad_backward(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    const rf_shape *g = &grad->in_shape[0];
    rf_tensor *ones = rf_full(s, (rf_dtype)g->dtype, g->rank, g->dims, 1);
    rf_tensor *mask = max_scatter(s, ones, rf_op_saved_input(grad, 1), &grad->out_shape[0]);
    grad->grad_in[0] = rf_sum_axis(s, rf_mul(s, grad->grad_out[0], mask), -1, 1);
    return s->status;
}

static int64_t max_grad_below(const rf_op_call *call, size_t input)
{
    return input == 1 ? *(const int64_t *)call->attrs : 0;
}

static int max_grad_sample(size_t index, rf_op_sample *out)
{
    static const int64_t dims[2] = {3, 1};
    *(int64_t *)(void *)out->attrs = 4;
    rf_sample_float(out, 0, -1, 1, 2, dims);
    rf_sample_integer(out, 1, 4, 2, dims);
    return index == 0;
}

const rf_op_class rf_op_max_grad = {
    .size = sizeof(rf_op_class),
    .name = "max_grad",
    .doc = "g at an index of the last axis, else 0",
    .num_out = 1,
    .infer = max_grad_infer,
    .forward = max_grad_forward,
    .reads = max_grad_reads,
    .backward = max_grad_backward,
    .sample = max_grad_sample,
    .index_below = max_grad_below,
};

rf_tensor *rf_max_axis(rf_scope *s, rf_tensor *x, int axis, int keep)
{
    axis = rf_expr_axis(s, x, axis, "max");
    if (axis < 0)
        return NULL;
    rf_tensor *last = rf_contiguous(s, rf_transpose_axes(s, x, axis, -1));
    rf_tensor *y = rf_transpose_axes(s, rf_expr1(s, &rf_op_max, last), axis, -1);
    if (keep || !y)
        return y;
    int64_t dims[RF_MAX_RANK];
    size_t rank = 0;
    for (int i = 0; i < y->view.shape.rank; i++)
        if (i != axis)
            dims[rank++] = y->view.shape.dims[i];
    return rf_reshape(s, y, rank, dims);
}
