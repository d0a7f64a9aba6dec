/* op_gelu.c: y = x/2 (1 + erf(x / sqrt 2)).
 * dx = g (Phi(x) + x phi(x)), Phi, phi of the normal distribution
 * Its gradient is an op of its own, fused, whose gradient in turn is made of plain ops, so that
 * gradients of any order exist: gelu'' = phi(x) (2 - x^2).
 */
#include "op/expr.h"
#include "op/table.h"

static rf_status gelu_grad_forward(rf_op_call *call)
{
    return rf_forward_binary(call, RF_BINARY_GELU_GRAD);
}

static rf_op_reads gelu_grad_reads(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    return (rf_op_reads){wanted & 2 ? 3u : 2u, 0};
}

static rf_status gelu_grad_backward(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    rf_tensor *h = grad->grad_out[0], *x = rf_op_saved_input(grad, 1);
    if (grad->wanted & 1)
        grad->grad_in[0] = rf_expr2(s, &rf_op_gelu_grad, h, x);
    if (grad->wanted & 2) {
        rf_tensor *g = rf_op_saved_input(grad, 0);
        rf_tensor *square = rf_mul(s, x, x);
        rf_tensor *phi =
            rf_affine(s, rf_exp(s, rf_affine(s, square, -0.5, 0)), 0.3989422804014327, 0);
        rf_tensor *second = rf_mul(s, phi, rf_affine(s, square, -1, 2));
        grad->grad_in[1] = rf_mul(s, h, rf_mul(s, g, second));
    }
    return s->status;
}

const rf_op_class rf_op_gelu_grad = {
    .size = sizeof(rf_op_class),
    .name = "gelu_grad",
    .doc = "g (Phi(x) + x phi(x)), Phi, phi of the normal distribution",
    .num_out = 1,
    .infer = rf_infer_same,
    .forward = gelu_grad_forward,
    .reads = gelu_grad_reads,
    .backward = gelu_grad_backward,
    .sample = rf_sample_binary_same,
};

static rf_status gelu_forward(rf_op_call *call)
{
    return rf_forward_unary(call, RF_UNARY_GELU);
}

static rf_status gelu_backward(rf_op_grad *grad)
{
    grad->grad_in[0] =
        rf_expr2(grad->scope, &rf_op_gelu_grad, grad->grad_out[0], rf_op_saved_input(grad, 0));
    return grad->scope->status;
}

const rf_op_class rf_op_gelu = {
    .size = sizeof(rf_op_class),
    .name = "gelu",
    .doc = "x/2 (1 + erf(x / sqrt 2))",
    .num_out = 1,
    .infer = rf_infer_first,
    .forward = gelu_forward,
    .reads = rf_reads_input,
    .backward = gelu_backward,
    .sample = rf_sample_unary,
};

rf_tensor *rf_gelu(rf_scope *s, rf_tensor *x)
{
    return rf_expr1(s, &rf_op_gelu, x);
}
