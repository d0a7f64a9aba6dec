/* op_div.c: z = x / y, with broadcasting.
 * dx = g / y, dy = -g z / y; each summed down to its input's shape.
 */
#include "op/expr.h"

static rf_status div_forward(rf_op_call *call)
{
    return rf_forward_binary(call, RF_BINARY_DIV);
}

static rf_op_reads div_reads(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    return (rf_op_reads){2u, wanted & 2 ? 1u : 0};
}

static rf_status div_backward(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    rf_tensor *g = grad->grad_out[0];
    rf_tensor *slope = rf_div(s, g, rf_op_saved_input(grad, 1));
    if (grad->wanted & 1)
        grad->grad_in[0] = rf_grad_to(grad, slope, 0);
    if (grad->wanted & 2) {
        rf_tensor *z = rf_op_saved_output(grad, 0);
        grad->grad_in[1] = rf_neg(s, rf_grad_to(grad, rf_mul(s, slope, z), 1));
    }
    return s->status;
}

const rf_op_class rf_op_div = {
    .size = sizeof(rf_op_class),
    .name = "div",
    .doc = "x / y",
    .num_out = 1,
    .infer = rf_infer_broadcast,
    .forward = div_forward,
    .reads = div_reads,
    .backward = div_backward,
    .sample = rf_sample_binary,
};

rf_tensor *rf_div(rf_scope *s, rf_tensor *a, rf_tensor *b)
{
    return rf_expr2(s, &rf_op_div, a, b);
}
