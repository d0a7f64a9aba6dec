/* op_mul.c: z = x * y, with broadcasting.
 * dx = g y, dy = g x; each summed down to its input's shape.
 */
#include "op/expr.h"

static rf_status mul_forward(rf_op_call *call)
{
    return rf_forward_binary(call, RF_BINARY_MUL);
}

/* The gradient of either reads the other. */
static rf_op_reads mul_reads(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    return (rf_op_reads){(wanted & 1 ? 2u : 0) | (wanted & 2 ? 1u : 0), 0};
}

static rf_status mul_backward(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    rf_tensor *g = grad->grad_out[0];
    if (grad->wanted & 1)
        grad->grad_in[0] = rf_grad_to(grad, rf_mul(s, g, rf_op_saved_input(grad, 1)), 0);
    if (grad->wanted & 2)
        grad->grad_in[1] = rf_grad_to(grad, rf_mul(s, g, rf_op_saved_input(grad, 0)), 1);
    return s->status;
}

const rf_op_class rf_op_mul = {
    .size = sizeof(rf_op_class),
    .name = "mul",
    .doc = "x * y",
    .num_out = 1,
    .infer = rf_infer_broadcast,
    .forward = mul_forward,
    .reads = mul_reads,
    .backward = mul_backward,
    .sample = rf_sample_binary,
};

rf_tensor *rf_mul(rf_scope *s, rf_tensor *a, rf_tensor *b)
{
    return rf_expr2(s, &rf_op_mul, a, b);
}
