/* op_sqrt.c: y = sqrt(x).
 * dx = g / (2 y)
 */
#include "op/expr.h"

static rf_status sqrt_forward(rf_op_call *call)
{
    return rf_forward_unary(call, RF_UNARY_SQRT);
}

static rf_status sqrt_backward(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    rf_tensor *g = grad->grad_out[0];
    grad->grad_in[0] = rf_affine(s, rf_div(s, g, rf_op_saved_output(grad, 0)), 0.5, 0);
    return s->status;
}

const rf_op_class rf_op_sqrt = {
    .size = sizeof(rf_op_class),
    .name = "sqrt",
    .doc = "sqrt(x)",
    .num_out = 1,
    .infer = rf_infer_first,
    .forward = sqrt_forward,
    .reads = rf_reads_output,
    .backward = sqrt_backward,
    .sample = rf_sample_unary_positive,
};

rf_tensor *rf_sqrt(rf_scope *s, rf_tensor *x)
{
    return rf_expr1(s, &rf_op_sqrt, x);
}
