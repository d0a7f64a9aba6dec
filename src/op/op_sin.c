/* op_sin.c: y = sin(x).
 * dx = g cos(x)
 */
#include "op/expr.h"

static rf_status sin_forward(rf_op_call *call)
{
    return rf_forward_unary(call, RF_UNARY_SIN);
}

static rf_status sin_backward(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    rf_tensor *g = grad->grad_out[0];
    grad->grad_in[0] = rf_mul(s, g, rf_cos(s, rf_op_saved_input(grad, 0)));
    return s->status;
}

const rf_op_class rf_op_sin = {
    .size = sizeof(rf_op_class),
    .name = "sin",
    .doc = "sin(x)",
    .num_out = 1,
    .infer = rf_infer_first,
    .forward = sin_forward,
    .reads = rf_reads_input,
    .backward = sin_backward,
    .sample = rf_sample_unary,
};

rf_tensor *rf_sin(rf_scope *s, rf_tensor *x)
{
    return rf_expr1(s, &rf_op_sin, x);
}
