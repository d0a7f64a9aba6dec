/* op_sub.c: z = x - y, with broadcasting.
 * dx = g, dy = -g; each summed down to its input's shape.
 */
#include "op/expr.h"

static rf_status sub_forward(rf_op_call *call)
{
    return rf_forward_binary(call, RF_BINARY_SUB);
}

static rf_status sub_backward(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    rf_tensor *g = grad->grad_out[0];
    if (grad->wanted & 1)
        grad->grad_in[0] = rf_grad_to(grad, g, 0);
    if (grad->wanted & 2)
        grad->grad_in[1] = rf_neg(s, rf_grad_to(grad, g, 1));
    return s->status;
}

const rf_op_class rf_op_sub = {
    .size = sizeof(rf_op_class),
    .name = "sub",
    .doc = "x - y",
    .num_out = 1,
    .infer = rf_infer_broadcast,
    .forward = sub_forward,
    .reads = rf_reads_none,
    .backward = sub_backward,
    .sample = rf_sample_binary,
};

rf_tensor *rf_sub(rf_scope *s, rf_tensor *a, rf_tensor *b)
{
    return rf_expr2(s, &rf_op_sub, a, b);
}
