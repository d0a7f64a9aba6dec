/* op_linear.c: y = x W' + b over the last axis; W (O, I) swapped, or W (I, O) as it is.
 * With G, X the rows of g and x:
 *   dx = G W,   dW = G^T X  (W of (O, I));   dx = G W^T, dW = X^T G  (W of (I, O));   db = sum of
 * rows
 */
#include "op/expr.h"
#include "op/table.h"

static rf_status linear_infer(rf_op_call *call)
{
    int64_t swapped = *(const int64_t *)call->attrs;
    const rf_shape *x = &call->in[0].shape, *w = &call->in[1].shape, *b = &call->in[2].shape;
    char xt[128], wt[128];
    rf_status status = rf_infer_first(call);
    if (!status)
        status = rf_infer_need_contiguous(call, 0);
    if (status)
        return status;
    if (x->rank < 1 || w->rank != 2 || x->dims[x->rank - 1] != w->dims[swapped])
        return rf_fail(call->ctx, RF_E_SHAPE, "linear: x is %s, weight is %s",
                       rf_shape_text(x, xt, sizeof xt), rf_shape_text(w, wt, sizeof wt));
    int64_t features = w->dims[!swapped];
    if (b->dtype != RF_ABSENT && (b->rank != 1 || b->dims[0] != features))
        return rf_op_fail(call, RF_E_SHAPE, "the bias has not one element per feature");
    if (w->dtype != x->dtype || (b->dtype != RF_ABSENT && b->dtype != x->dtype))
        return rf_op_fail(call, RF_E_DTYPE, "the inputs differ in type");
    call->out[0].shape.dims[x->rank - 1] = features;
    return RF_OK;
}

static void linear_views(const rf_op_call *call, rf_view *x, rf_view *w, rf_view *y)
{
    *x = call->in[0];
    *w = call->in[1];
    *y = call->out[0];
    rf_view_rows(x);
    rf_view_rows(y);
    if (*(const int64_t *)call->attrs)
        rf_view_swap_last(w);
}

static size_t linear_workspace(const rf_op_call *call)
{
    rf_view x, w, y;
    linear_views(call, &x, &w, &y);
    return rf_call_kernels(call)->matmul_workspace(call->ctx->threads, &x, &w, &y);
}

static rf_status linear_forward(rf_op_call *call)
{
    rf_view x, w, y, b = call->in[2];
    rf_exec e = rf_call_exec(call);
    linear_views(call, &x, &w, &y);
    rf_status status = rf_call_kernels(call)->matmul(&e, &x, &w, &y);
    if (status || b.shape.dtype == RF_ABSENT)
        return status;
    rf_view_broadcast(&b, &y.shape);
    return rf_call_kernels(call)->binary(&e, RF_BINARY_ADD, &y, &b, &y);
}

static rf_op_reads linear_reads(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    return (rf_op_reads){(wanted & 1 ? 2u : 0) | (wanted & 2 ? 1u : 0), 0};
}

static rf_status linear_backward(rf_op_grad *grad)
{
    int64_t swapped = *(const int64_t *)grad->attrs;
    rf_scope *s = grad->scope;
    const rf_shape *x = &grad->in_shape[0], *y = &grad->out_shape[0];
    rf_tensor *g = rf_reshape(s, grad->grad_out[0], 2, (int64_t[]){-1, y->dims[y->rank - 1]});
    if (grad->wanted & 1) {
        rf_tensor *dx = rf_matmul_with(s, g, rf_op_saved_input(grad, 1),
                                       swapped ? RF_TRANSPOSE_NONE : RF_TRANSPOSE_B);
        grad->grad_in[0] = rf_reshape(s, dx, x->rank, x->dims);
    }
    if (grad->wanted & 2) {
        rf_tensor *rows =
            rf_reshape(s, rf_op_saved_input(grad, 0), 2, (int64_t[]){-1, x->dims[x->rank - 1]});
        grad->grad_in[1] = swapped ? rf_matmul_with(s, g, rows, RF_TRANSPOSE_A)
                                   : rf_matmul_with(s, rows, g, RF_TRANSPOSE_A);
    }
    if (grad->wanted & 4)
        grad->grad_in[2] = rf_sum_axis(s, g, 0, 0);
    return s->status;
}

static rf_op_cost linear_cost(const rf_op_call *call)
{
    const rf_shape *x = &call->in[0].shape;
    double k = (double)x->dims[x->rank - 1], y = (double)rf_shape_count(&call->out[0].shape);
    double bytes = y + (double)rf_shape_count(x) + (double)rf_shape_count(&call->in[1].shape);
    return (rf_op_cost){2 * k * y, bytes * (double)rf_dtype_size(x->dtype)};
}

static int linear_sample(size_t index, rf_op_sample *out)
{
    static const int64_t x[3] = {2, 3, 4}, w[2][2] = {{4, 5}, {5, 4}}, b[1] = {5};
    if (index >= 3)
        return 0;
    *(int64_t *)(void *)out->attrs = index > 0;
    rf_sample_float(out, 0, -1, 1, 3, x);
    rf_sample_float(out, 1, -1, 1, 2, w[index > 0]);
    rf_sample_float(out, 2, -1, 1, 1, b);
    out->in[2].absent = index == 2;
    return 1;
}

const rf_op_class rf_op_linear = {
    .size = sizeof(rf_op_class),
    .name = "linear",
    .doc = "x W^T + b, or x W + b, over the last axis",
    .traits = RF_OP_PRODUCT,
    .num_out = 1,
    .infer = linear_infer,
    .forward = linear_forward,
    .reads = linear_reads,
    .backward = linear_backward,
    .workspace = linear_workspace,
    .cost = linear_cost,
    .sample = linear_sample,
};

rf_tensor *rf_linear_with(rf_scope *s, rf_tensor *x, rf_tensor *weight, rf_tensor *bias,
                          rf_transpose transpose)
{
    int64_t attrs = transpose == RF_TRANSPOSE_B;
    x = rf_contiguous(s, x);
    return rf_expr_optional(s, &rf_op_linear, (rf_tensor *[]){x, weight, bias}, 3, 4, &attrs,
                            sizeof attrs);
}

rf_tensor *rf_linear(rf_scope *s, rf_tensor *x, rf_tensor *weight, rf_tensor *bias)
{
    return rf_linear_with(s, x, weight, bias, RF_TRANSPOSE_B);
}
