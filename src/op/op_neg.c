/* op_neg.c: y = -x.
 * dx = -g
 */
#include "op/expr.h"

static rf_status neg_forward(rf_op_call *call)
{
    return rf_forward_unary(call, RF_UNARY_NEG);
}

static rf_status neg_backward(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    rf_tensor *g = grad->grad_out[0];
    grad->grad_in[0] = rf_neg(s, g);
    return s->status;
}

const rf_op_class rf_op_neg = {
    .size = sizeof(rf_op_class),
    .name = "neg",
    .doc = "-x",
    .num_out = 1,
    .infer = rf_infer_first,
    .forward = neg_forward,
    .reads = rf_reads_none,
    .backward = neg_backward,
    .sample = rf_sample_unary,
};

rf_tensor *rf_neg(rf_scope *s, rf_tensor *x)
{
    return rf_expr1(s, &rf_op_neg, x);
}
