/* op_log.c: y = log(x).
 * dx = g / x
 */
#include "op/expr.h"

static rf_status log_forward(rf_op_call *call)
{
    return rf_forward_unary(call, RF_UNARY_LOG);
}

static rf_status log_backward(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    rf_tensor *g = grad->grad_out[0];
    grad->grad_in[0] = rf_div(s, g, rf_op_saved_input(grad, 0));
    return s->status;
}

const rf_op_class rf_op_log = {
    .size = sizeof(rf_op_class),
    .name = "log",
    .doc = "log(x)",
    .num_out = 1,
    .infer = rf_infer_first,
    .forward = log_forward,
    .reads = rf_reads_input,
    .backward = log_backward,
    .sample = rf_sample_unary_positive,
};

rf_tensor *rf_log(rf_scope *s, rf_tensor *x)
{
    return rf_expr1(s, &rf_op_log, x);
}
