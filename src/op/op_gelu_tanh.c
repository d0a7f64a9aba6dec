/* op_gelu_tanh.c: y = x/2 (1 + tanh(u)), u = sqrt(2/pi) (x + 0.044715 x^3).
 * dx = g ((1 + t)/2 + x/2 (1 - t^2) u'), t = tanh(u)
 * Its gradient is an op of its own, fused, whose gradient in turn is made of plain ops, so that
 * gradients of any order exist: second = (1 - t^2) (u' + x/2 u'' - x t u'^2).
 */
#include "op/expr.h"
#include "op/table.h"

static rf_status gelu_tanh_grad_forward(rf_op_call *call)
{
    return rf_forward_binary(call, RF_BINARY_GELU_TANH_GRAD);
}

static rf_op_reads gelu_tanh_grad_reads(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    return (rf_op_reads){wanted & 2 ? 3u : 2u, 0};
}

static rf_status gelu_tanh_grad_backward(rf_op_grad *grad)
{
    static const double c = 0.7978845608028654, a = 0.044715; /* sqrt(2 / pi) */
    rf_scope *s = grad->scope;
    rf_tensor *h = grad->grad_out[0], *x = rf_op_saved_input(grad, 1);
    if (grad->wanted & 1)
        grad->grad_in[0] = rf_expr2(s, &rf_op_gelu_tanh_grad, h, x);
    if (grad->wanted & 2) {
        rf_tensor *g = rf_op_saved_input(grad, 0);
        rf_tensor *square = rf_mul(s, x, x);
        rf_tensor *u = rf_mul(s, x, rf_affine(s, square, c * a, c));
        rf_tensor *slope = rf_affine(s, square, 3 * c * a, c);
        rf_tensor *t = rf_tanh(s, u);
        rf_tensor *bend = rf_affine(s, square, 3 * c * a, 0); /* x/2 u'' */
        rf_tensor *turn = rf_mul(s, rf_mul(s, x, t), rf_mul(s, slope, slope));
        rf_tensor *second = rf_mul(s, rf_affine(s, rf_mul(s, t, t), -1, 1),
                                   rf_sub(s, rf_add(s, slope, bend), turn));
        grad->grad_in[1] = rf_mul(s, h, rf_mul(s, g, second));
    }
    return s->status;
}

const rf_op_class rf_op_gelu_tanh_grad = {
    .size = sizeof(rf_op_class),
    .name = "gelu_tanh_grad",
    .doc = "g ((1 + t)/2 + x/2 (1 - t^2) u'), t = tanh(u)",
    .num_out = 1,
    .infer = rf_infer_same,
    .forward = gelu_tanh_grad_forward,
    .reads = gelu_tanh_grad_reads,
    .backward = gelu_tanh_grad_backward,
    .sample = rf_sample_binary_same,
};

static rf_status gelu_tanh_forward(rf_op_call *call)
{
    return rf_forward_unary(call, RF_UNARY_GELU_TANH);
}

static rf_status gelu_tanh_backward(rf_op_grad *grad)
{
    grad->grad_in[0] =
        rf_expr2(grad->scope, &rf_op_gelu_tanh_grad, grad->grad_out[0], rf_op_saved_input(grad, 0));
    return grad->scope->status;
}

const rf_op_class rf_op_gelu_tanh = {
    .size = sizeof(rf_op_class),
    .name = "gelu_tanh",
    .doc = "x/2 (1 + tanh(u)), u = sqrt(2/pi) (x + 0.044715 x^3)",
    .num_out = 1,
    .infer = rf_infer_first,
    .forward = gelu_tanh_forward,
    .reads = rf_reads_input,
    .backward = gelu_tanh_backward,
    .sample = rf_sample_unary,
};

rf_tensor *rf_gelu_tanh(rf_scope *s, rf_tensor *x)
{
    return rf_expr1(s, &rf_op_gelu_tanh, x);
}
