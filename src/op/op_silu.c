/* op_silu.c: y = x sigmoid(x).
 * dx = g q (1 + x (1 - q)), q = sigmoid(x)
 * Its gradient is an op of its own, fused, whose gradient in turn is made of plain ops, so that
 * gradients of any order exist: silu'' = q (1 - q) (2 + x (1 - 2 q)).
 */
#include "op/expr.h"
#include "op/table.h"

static rf_status silu_grad_forward(rf_op_call *call)
{
    return rf_forward_binary(call, RF_BINARY_SILU_GRAD);
}

static rf_op_reads silu_grad_reads(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    return (rf_op_reads){wanted & 2 ? 3u : 2u, 0};
}

static rf_status silu_grad_backward(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    rf_tensor *h = grad->grad_out[0], *x = rf_op_saved_input(grad, 1);
    if (grad->wanted & 1)
        grad->grad_in[0] = rf_expr2(s, &rf_op_silu_grad, h, x);
    if (grad->wanted & 2) {
        rf_tensor *g = rf_op_saved_input(grad, 0);
        rf_tensor *q = rf_sigmoid(s, x);
        rf_tensor *slope = rf_mul(s, q, rf_affine(s, q, -1, 1));
        rf_tensor *bend = rf_affine(s, rf_mul(s, x, rf_affine(s, q, -2, 1)), 1, 2);
        grad->grad_in[1] = rf_mul(s, h, rf_mul(s, g, rf_mul(s, slope, bend)));
    }
    return s->status;
}

const rf_op_class rf_op_silu_grad = {
    .size = sizeof(rf_op_class),
    .name = "silu_grad",
    .doc = "g q (1 + x (1 - q)), q = sigmoid(x)",
    .num_out = 1,
    .infer = rf_infer_same,
    .forward = silu_grad_forward,
    .reads = silu_grad_reads,
    .backward = silu_grad_backward,
    .sample = rf_sample_binary_same,
};

static rf_status silu_forward(rf_op_call *call)
{
    return rf_forward_unary(call, RF_UNARY_SILU);
}

static rf_status silu_backward(rf_op_grad *grad)
{
    grad->grad_in[0] =
        rf_expr2(grad->scope, &rf_op_silu_grad, grad->grad_out[0], rf_op_saved_input(grad, 0));
    return grad->scope->status;
}

const rf_op_class rf_op_silu = {
    .size = sizeof(rf_op_class),
    .name = "silu",
    .doc = "x sigmoid(x)",
    .num_out = 1,
    .infer = rf_infer_first,
    .forward = silu_forward,
    .reads = rf_reads_input,
    .backward = silu_backward,
    .sample = rf_sample_unary,
};

rf_tensor *rf_silu(rf_scope *s, rf_tensor *x)
{
    return rf_expr1(s, &rf_op_silu, x);
}
