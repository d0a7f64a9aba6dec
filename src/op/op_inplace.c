/* op_inplace.c: x becomes x + y, or x y; y broadcasts to x.
 * d(x + y): dx = g, dy = g.  d(x y): dx = g y, dy = g x, where x is the value before: it is gone,
 * so asking for dy of a product in place is RF_E_MUTATED.
 */
#include "op/expr.h"
#include "op/table.h"

static rf_status inplace_infer(rf_op_call *call)
{
    rf_status status = rf_infer_broadcast(call);
    if (!status && !rf_shape_equal(&call->out[0].shape, &call->in[0].shape))
        return rf_op_fail(call, RF_E_SHAPE, "the second input does not broadcast to the first");
    return status;
}

static rf_status add_inplace_forward(rf_op_call *call)
{
    return rf_forward_binary(call, RF_BINARY_ADD);
}

static rf_status add_inplace_backward(rf_op_grad *grad)
{
    rf_tensor *g = grad->grad_out[0];
    if (grad->wanted & 1)
        grad->grad_in[0] = g;
    if (grad->wanted & 2)
        grad->grad_in[1] = rf_grad_to(grad, g, 1);
    return grad->scope->status;
}

const rf_op_class rf_op_add_inplace = {
    .size = sizeof(rf_op_class),
    .name = "add_inplace",
    .doc = "x becomes x + y",
    .traits = RF_OP_INPLACE,
    .num_out = 1,
    .infer = inplace_infer,
    .forward = add_inplace_forward,
    .reads = rf_reads_none,
    .backward = add_inplace_backward,
    .sample = rf_sample_binary_same,
};

static rf_status mul_inplace_forward(rf_op_call *call)
{
    return rf_forward_binary(call, RF_BINARY_MUL);
}

static rf_op_reads mul_inplace_reads(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    return (rf_op_reads){(wanted & 1 ? 2u : 0) | (wanted & 2 ? 1u : 0), 0};
}

static rf_status mul_inplace_backward(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    rf_tensor *g = grad->grad_out[0];
    if (grad->wanted & 1)
        grad->grad_in[0] = rf_mul(s, g, rf_op_saved_input(grad, 1));
    if (grad->wanted & 2)
        grad->grad_in[1] = rf_grad_to(grad, rf_mul(s, g, rf_op_saved_input(grad, 0)), 1);
    return s->status;
}

const rf_op_class rf_op_mul_inplace = {
    .size = sizeof(rf_op_class),
    .name = "mul_inplace",
    .doc = "x becomes x y",
    .traits = RF_OP_INPLACE,
    .num_out = 1,
    .infer = inplace_infer,
    .forward = mul_inplace_forward,
    .reads = mul_inplace_reads,
    .backward = mul_inplace_backward,
    .sample = rf_sample_binary_same,
};

rf_tensor *rf_add_inplace(rf_scope *s, rf_tensor *a, rf_tensor *b)
{
    return rf_expr2(s, &rf_op_add_inplace, a, b);
}

rf_tensor *rf_mul_inplace(rf_scope *s, rf_tensor *a, rf_tensor *b)
{
    return rf_expr2(s, &rf_op_mul_inplace, a, b);
}
