/* op_cos.c: y = cos(x).
 * dx = -g sin(x)
 */
#include "op/expr.h"

static rf_status cos_forward(rf_op_call *call)
{
    return rf_forward_unary(call, RF_UNARY_COS);
}

static rf_status cos_backward(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    rf_tensor *g = grad->grad_out[0];
    grad->grad_in[0] = rf_neg(s, rf_mul(s, g, rf_sin(s, rf_op_saved_input(grad, 0))));
    return s->status;
}

const rf_op_class rf_op_cos = {
    .size = sizeof(rf_op_class),
    .name = "cos",
    .doc = "cos(x)",
    .num_out = 1,
    .infer = rf_infer_first,
    .forward = cos_forward,
    .reads = rf_reads_input,
    .backward = cos_backward,
    .sample = rf_sample_unary,
};

rf_tensor *rf_cos(rf_scope *s, rf_tensor *x)
{
    return rf_expr1(s, &rf_op_cos, x);
}
