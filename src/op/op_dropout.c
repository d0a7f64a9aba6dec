/* op_dropout.c: y = x m / (1 - rate), m 0 with probability rate, else 1.
 * dx = g m / (1 - rate). The mask is a function of the generator's state, which is all that is
 * remembered: 16 bytes.
 */
#include "op/expr.h"
#include "op/table.h"

typedef struct dropout_attrs {
    double rate;
    rf_rng rng; /* dropout_grad: where the forward's numbers began */
} dropout_attrs;

static rf_status dropout_infer(rf_op_call *call)
{
    const dropout_attrs *a = call->attrs;
    rf_status status = rf_infer_need_contiguous(call, 0);
    if (!(a->rate >= 0 && a->rate < 1))
        return rf_op_fail(call, RF_E_ARGUMENT, "the rate must be in [0, 1)");
    return status ? status : rf_infer_first(call);
}

static rf_status dropout_apply(rf_op_call *call, rf_rng rng)
{
    const dropout_attrs *a = call->attrs;
    rf_exec e = rf_call_exec(call);
    return rf_call_kernels(call)->dropout(&e, rng, a->rate, &call->in[0], &call->out[0]);
}

static rf_status dropout_forward(rf_op_call *call)
{
    return dropout_apply(call, call->rng);
}

static rf_status dropout_grad_forward(rf_op_call *call)
{
    return dropout_apply(call, ((const dropout_attrs *)call->attrs)->rng);
}

static rf_status dropout_mask(rf_op_grad *grad, dropout_attrs a)
{
    rf_tensor *g = rf_contiguous(grad->scope, grad->grad_out[0]);
    grad->grad_in[0] = rf_expr(grad->scope, &rf_op_dropout_grad, &g, 1, &a, sizeof a);
    return grad->scope->status;
}

static rf_status dropout_backward(rf_op_grad *grad)
{
    return dropout_mask(grad, (dropout_attrs){*(const double *)grad->attrs, grad->rng});
}

static rf_status dropout_grad_backward(rf_op_grad *grad)
{
    return dropout_mask(grad, *(const dropout_attrs *)grad->attrs);
}

static uint64_t dropout_blocks(const rf_op_call *call)
{
    return ((uint64_t)rf_shape_count(&call->in[0].shape) + 3) / 4;
}

static int dropout_sample(size_t index, rf_op_sample *out)
{
    *(dropout_attrs *)(void *)out->attrs = (dropout_attrs){0.4, {7, 3}};
    return rf_sample_unary(index, out);
}

const rf_op_class rf_op_dropout_grad = {
    .size = sizeof(rf_op_class),
    .name = "dropout_grad",
    .doc = "g through the mask of a dropout",
    .num_out = 1,
    .infer = dropout_infer,
    .forward = dropout_grad_forward,
    .reads = rf_reads_none,
    .backward = dropout_grad_backward,
    .sample = dropout_sample,
};

const rf_op_class rf_op_dropout = {
    .size = sizeof(rf_op_class),
    .name = "dropout",
    .doc = "x m / (1 - rate), m 0 with probability rate, else 1",
    .traits = RF_OP_RANDOM,
    .num_out = 1,
    .infer = dropout_infer,
    .forward = dropout_forward,
    .reads = rf_reads_none,
    .backward = dropout_backward,
    .random_blocks = dropout_blocks,
    .sample = dropout_sample,
};

rf_tensor *rf_dropout(rf_scope *s, rf_tensor *x, double rate)
{
    dropout_attrs a = {rate, {0, 0}};
    if (rate == 0)
        return x;
    x = rf_contiguous(s, x);
    return rf_expr(s, &rf_op_dropout, &x, 1, &a, sizeof a);
}
