/* op_add.c: z = x + y, with broadcasting.
 * dx = g, dy = g; each summed down to its input's shape.
 */
#include "op/expr.h"

static rf_status add_forward(rf_op_call *call)
{
    return rf_forward_binary(call, RF_BINARY_ADD);
}

static rf_status add_backward(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    rf_tensor *g = grad->grad_out[0];
    if (grad->wanted & 1)
        grad->grad_in[0] = rf_grad_to(grad, g, 0);
    if (grad->wanted & 2)
        grad->grad_in[1] = rf_grad_to(grad, g, 1);
    return s->status;
}

const rf_op_class rf_op_add = {
    .size = sizeof(rf_op_class),
    .name = "add",
    .doc = "x + y",
    .num_out = 1,
    .infer = rf_infer_broadcast,
    .forward = add_forward,
    .reads = rf_reads_none,
    .backward = add_backward,
    .sample = rf_sample_binary,
};

rf_tensor *rf_add(rf_scope *s, rf_tensor *a, rf_tensor *b)
{
    return rf_expr2(s, &rf_op_add, a, b);
}
