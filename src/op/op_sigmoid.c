/* op_sigmoid.c: y = 1 / (1 + exp(-x)).
 * dx = g y (1 - y)
 * Its gradient is an op of its own, fused, whose gradient in turn is made of plain ops, so that
 * gradients of any order exist: d/dy = g (1 - 2 y).
 */
#include "op/expr.h"
#include "op/table.h"

static rf_status sigmoid_grad_forward(rf_op_call *call)
{
    return rf_forward_binary(call, RF_BINARY_SIGMOID_GRAD);
}

static rf_op_reads sigmoid_grad_reads(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    return (rf_op_reads){wanted & 2 ? 3u : 2u, 0};
}

static rf_status sigmoid_grad_backward(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    rf_tensor *h = grad->grad_out[0], *y = rf_op_saved_input(grad, 1);
    if (grad->wanted & 1)
        grad->grad_in[0] = rf_expr2(s, &rf_op_sigmoid_grad, h, y);
    if (grad->wanted & 2) {
        rf_tensor *g = rf_op_saved_input(grad, 0);
        grad->grad_in[1] = rf_mul(s, h, rf_mul(s, g, rf_affine(s, y, -2, 1)));
    }
    return s->status;
}

const rf_op_class rf_op_sigmoid_grad = {
    .size = sizeof(rf_op_class),
    .name = "sigmoid_grad",
    .doc = "g y (1 - y)",
    .num_out = 1,
    .infer = rf_infer_same,
    .forward = sigmoid_grad_forward,
    .reads = sigmoid_grad_reads,
    .backward = sigmoid_grad_backward,
    .sample = rf_sample_binary_same,
};

static rf_status sigmoid_forward(rf_op_call *call)
{
    return rf_forward_unary(call, RF_UNARY_SIGMOID);
}

static rf_status sigmoid_backward(rf_op_grad *grad)
{
    grad->grad_in[0] =
        rf_expr2(grad->scope, &rf_op_sigmoid_grad, grad->grad_out[0], rf_op_saved_output(grad, 0));
    return grad->scope->status;
}

const rf_op_class rf_op_sigmoid = {
    .size = sizeof(rf_op_class),
    .name = "sigmoid",
    .doc = "1 / (1 + exp(-x))",
    .num_out = 1,
    .infer = rf_infer_first,
    .forward = sigmoid_forward,
    .reads = rf_reads_output,
    .backward = sigmoid_backward,
    .sample = rf_sample_unary,
};

rf_tensor *rf_sigmoid(rf_scope *s, rf_tensor *x)
{
    return rf_expr1(s, &rf_op_sigmoid, x);
}
