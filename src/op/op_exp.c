/* op_exp.c: y = exp(x).
 * dx = g y
 */
#include "op/expr.h"

static rf_status exp_forward(rf_op_call *call)
{
    return rf_forward_unary(call, RF_UNARY_EXP);
}

static rf_status exp_backward(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    rf_tensor *g = grad->grad_out[0];
    grad->grad_in[0] = rf_mul(s, g, rf_op_saved_output(grad, 0));
    return s->status;
}

const rf_op_class rf_op_exp = {
    .size = sizeof(rf_op_class),
    .name = "exp",
    .doc = "exp(x)",
    .num_out = 1,
    .infer = rf_infer_first,
    .forward = exp_forward,
    .reads = rf_reads_output,
    .backward = exp_backward,
    .sample = rf_sample_unary,
};

rf_tensor *rf_exp(rf_scope *s, rf_tensor *x)
{
    return rf_expr1(s, &rf_op_exp, x);
}
