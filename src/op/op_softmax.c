/* op_softmax.c: y = exp(x) / sum exp(x) over the last axis, and its logarithm.
 *   softmax:     dx = y (g - sum(g y))
 *   log-softmax: dx = g - exp(y) sum(g)
 * The fused gradients are of first order; recorded, they are these formulas in plain ops.
 */
#include "op/expr.h"
#include "op/table.h"

static rf_status softmax_infer(rf_op_call *call)
{
    rf_status status = rf_infer_need_contiguous(call, 0);
    if (!status && !call->in[0].shape.rank)
        return rf_op_fail(call, RF_E_SHAPE, "wants at least one axis");
    return status ? status : rf_infer_first(call);
}

static rf_status softmax_apply(rf_op_call *call, int logarithm)
{
    rf_exec e = rf_call_exec(call);
    return rf_call_kernels(call)->softmax(&e, logarithm, &call->in[0], &call->out[0]);
}

static rf_status softmax_forward(rf_op_call *call)
{
    return softmax_apply(call, 0);
}

static rf_status log_softmax_forward(rf_op_call *call)
{
    return softmax_apply(call, 1);
}

static rf_status softmax_grad_apply(rf_op_call *call, int logarithm)
{
    rf_exec e = rf_call_exec(call);
    return rf_call_kernels(call)->softmax_grad(&e, logarithm, &call->in[0], &call->in[1],
                                               &call->out[0]);
}

static rf_status softmax_grad_forward(rf_op_call *call)
{
    return softmax_grad_apply(call, 0);
}

static rf_status log_softmax_grad_forward(rf_op_call *call)
{
    return softmax_grad_apply(call, 1);
}

static rf_status softmax_grad_infer(rf_op_call *call)
{
    rf_status status = rf_infer_need_contiguous(call, 0);
    if (!status)
        status = rf_infer_need_contiguous(call, 1);
    return status ? status : rf_infer_same(call);
}

static rf_status softmax_fused(rf_op_grad *grad, const rf_op_class *op)
{
    rf_scope *s = grad->scope;
    rf_tensor *g = rf_contiguous(s, grad->grad_out[0]);
    grad->grad_in[0] = rf_expr2(s, op, g, rf_op_saved_output(grad, 0));
    return s->status;
}

static rf_status softmax_backward(rf_op_grad *grad)
{
    return softmax_fused(grad, &rf_op_softmax_grad);
}

static rf_status log_softmax_backward(rf_op_grad *grad)
{
    return softmax_fused(grad, &rf_op_log_softmax_grad);
}

static rf_status softmax_composed(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    rf_tensor *g = grad->grad_out[0], *y = rf_op_saved_output(grad, 0);
    rf_tensor *mean = rf_sum_axis(s, rf_mul(s, g, y), -1, 1);
    grad->grad_in[0] = rf_mul(s, y, rf_sub(s, g, mean));
    return s->status;
}

static rf_status log_softmax_composed(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    rf_tensor *g = grad->grad_out[0], *y = rf_op_saved_output(grad, 0);
    rf_tensor *sum = rf_sum_axis(s, g, -1, 1);
    grad->grad_in[0] = rf_sub(s, g, rf_mul(s, rf_exp(s, y), sum));
    return s->status;
}

const rf_op_class rf_op_softmax_grad = {
    .size = sizeof(rf_op_class),
    .name = "softmax_grad",
    .doc = "y (g - sum(g y))",
    .num_out = 1,
    .infer = softmax_grad_infer,
    .forward = softmax_grad_forward,
};

const rf_op_class rf_op_log_softmax_grad = {
    .size = sizeof(rf_op_class),
    .name = "log_softmax_grad",
    .doc = "g - exp(y) sum(g)",
    .num_out = 1,
    .infer = softmax_grad_infer,
    .forward = log_softmax_grad_forward,
};

const rf_op_class rf_op_softmax = {
    .size = sizeof(rf_op_class),
    .name = "softmax",
    .doc = "exp(x) / sum exp(x) over the last axis",
    .traits = RF_OP_FIRST_ORDER,
    .num_out = 1,
    .infer = softmax_infer,
    .forward = softmax_forward,
    .reads = rf_reads_output,
    .backward = softmax_backward,
    .backward_composed = softmax_composed,
    .sample = rf_sample_unary,
};

const rf_op_class rf_op_log_softmax = {
    .size = sizeof(rf_op_class),
    .name = "log_softmax",
    .doc = "x - log sum exp(x) over the last axis",
    .traits = RF_OP_FIRST_ORDER,
    .num_out = 1,
    .infer = softmax_infer,
    .forward = log_softmax_forward,
    .reads = rf_reads_output,
    .backward = log_softmax_backward,
    .backward_composed = log_softmax_composed,
    .sample = rf_sample_unary,
};

rf_tensor *rf_softmax(rf_scope *s, rf_tensor *x)
{
    return rf_expr1(s, &rf_op_softmax, rf_contiguous(s, x));
}

rf_tensor *rf_log_softmax(rf_scope *s, rf_tensor *x)
{
    return rf_expr1(s, &rf_op_log_softmax, rf_contiguous(s, x));
}
