/* op_relu.c: y = max(x, 0).
 * dx = g where y > 0, else 0. The gradient op is linear in g, so its own gradient is itself; with
 * respect to y it is zero almost everywhere.
 */
#include "op/expr.h"
#include "op/table.h"

static rf_status relu_grad_forward(rf_op_call *call)
{
    return rf_forward_binary(call, RF_BINARY_RELU_GRAD);
}

static rf_op_reads relu_grad_reads(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    return (rf_op_reads){wanted & 1 ? 2u : 0u, 0};
}

static rf_status relu_grad_backward(rf_op_grad *grad)
{
    if (grad->wanted & 1)
        grad->grad_in[0] =
            rf_expr2(grad->scope, &rf_op_relu_grad, grad->grad_out[0], rf_op_saved_input(grad, 1));
    return grad->scope->status;
}

const rf_op_class rf_op_relu_grad = {
    .size = sizeof(rf_op_class),
    .name = "relu_grad",
    .doc = "g where y > 0, else 0",
    .num_out = 1,
    .infer = rf_infer_same,
    .forward = relu_grad_forward,
    .reads = relu_grad_reads,
    .backward = relu_grad_backward,
    .sample = rf_sample_binary_same,
};

static rf_status relu_forward(rf_op_call *call)
{
    return rf_forward_unary(call, RF_UNARY_RELU);
}

static rf_status relu_backward(rf_op_grad *grad)
{
    grad->grad_in[0] =
        rf_expr2(grad->scope, &rf_op_relu_grad, grad->grad_out[0], rf_op_saved_output(grad, 0));
    return grad->scope->status;
}

const rf_op_class rf_op_relu = {
    .size = sizeof(rf_op_class),
    .name = "relu",
    .doc = "max(x, 0)",
    .num_out = 1,
    .infer = rf_infer_first,
    .forward = relu_forward,
    .reads = rf_reads_output,
    .backward = relu_backward,
    .sample = rf_sample_unary,
};

const rf_op_class rf_op_relu_inplace = {
    .size = sizeof(rf_op_class),
    .name = "relu_inplace",
    .doc = "x becomes max(x, 0)",
    .traits = RF_OP_INPLACE,
    .num_out = 1,
    .infer = rf_infer_first,
    .forward = relu_forward,
    .reads = rf_reads_output,
    .backward = relu_backward,
    .sample = rf_sample_unary,
};

rf_tensor *rf_relu(rf_scope *s, rf_tensor *x)
{
    return rf_expr1(s, &rf_op_relu, x);
}

rf_tensor *rf_relu_inplace(rf_scope *s, rf_tensor *a)
{
    return rf_expr1(s, &rf_op_relu_inplace, a);
}
