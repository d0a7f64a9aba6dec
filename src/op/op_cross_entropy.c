/* op_cross_entropy.c: the mean (or sum) over rows of log sum exp(row) - row[target].
 * dlogits = (softmax(row) - onehot(target)) g / rows that count; 0 for ignored rows.
 * No gradient is computed in the forward: it keeps the logits and one number a row. The gradient
 * takes the place of the logits, which may be the largest tensor of all.
 */
#include "op/entropy.h"
#include "op/table.h"

/* logits (..., V) and targets (...) that go together. */
static rf_status entropy_check(rf_op_call *call, size_t logits, size_t targets)
{
    const rf_shape *x = &call->in[logits].shape, *t = &call->in[targets].shape;
    char a[128], b[128];
    int fits = x->rank == t->rank + 1;
    for (unsigned i = 0; fits && i < t->rank; i++)
        fits = x->dims[i] == t->dims[i];
    if (!rf_entropy_is_integer(t->dtype))
        return rf_op_fail(call, RF_E_DTYPE, "targets must be i64, i32 or u8");
    if (!fits)
        return rf_fail(call->ctx, RF_E_SHAPE, "%s: logits are %s, targets are %s", call->op->name,
                       rf_shape_text(x, a, sizeof a), rf_shape_text(t, b, sizeof b));
    rf_status status = rf_infer_need_float(call, logits);
    if (!status)
        status = rf_infer_need_contiguous(call, logits);
    return status ? status : rf_infer_need_contiguous(call, targets);
}

static rf_status entropy_infer(rf_op_call *call)
{
    rf_status status = entropy_check(call, 0, 1);
    if (status)
        return status;
    call->out[0].shape.dtype = rf_entropy_wide(call->in[0].shape.dtype);
    call->out[0].shape.rank = 0;
    call->out[1].shape = call->in[1].shape; /* log sum exp of each row */
    call->out[1].shape.dtype = rf_entropy_wide(call->in[0].shape.dtype);
    return RF_OK;
}

static size_t entropy_workspace(const rf_op_call *call)
{
    return (size_t)rf_shape_count(&call->in[1].shape) * sizeof(double) + 64;
}

static rf_status entropy_forward(rf_op_call *call)
{
    const rf_kernels *k = rf_call_kernels(call);
    rf_exec e = rf_call_exec(call);
    rf_view logits = call->in[0], targets = call->in[1], lse = call->out[1], losses;
    rf_view loss = call->out[0];
    rf_view_rows(&logits);
    rf_entropy_flatten(&targets);
    rf_entropy_flatten(&lse);
    losses = lse;
    losses.data = call->workspace;
    rf_status status =
        k->cross_entropy(&e, rf_entropy_ignored(call->attrs), &logits, &targets, &losses, &lse);
    if (status)
        return status == RF_E_ARGUMENT
                   ? rf_op_fail(call, status, "a target is outside of the vocabulary")
                   : status;
    loss.shape.rank = 1;
    loss.shape.dims[0] = 1;
    loss.strides[0] = 1;
    return k->sum(&e, rf_entropy_scale(call, &targets), &losses, &loss);
}

static rf_op_reads entropy_reads(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    return (rf_op_reads){wanted ? 3u : 0, wanted ? 2u : 0};
}

static rf_status entropy_backward(rf_op_grad *grad)
{
    rf_tensor *in[4] = {NULL, grad->grad_out[0]};
    in[2] = rf_op_saved_input(grad, 1);
    in[3] = rf_op_saved_output(grad, 1);
    in[0] = rf_op_take_input(grad, 0); /* last: in a recompute the others are made of it */
    grad->grad_in[0] = rf_expr(grad->scope, &rf_op_cross_entropy_grad_inplace, in, 4, grad->attrs,
                               sizeof(rf_entropy_attrs));
    return grad->scope->status;
}

rf_tensor *rf_entropy_slope(rf_scope *s, const rf_entropy_attrs *a, rf_tensor *const in[3])
{
    rf_tensor *x = in[0], *t = in[1], *g = in[2];
    rf_entropy_attrs hot = *a;
    if (!x)
        return NULL;
    hot.sum = (int64_t)x->view.shape.dtype | rf_tensor_dim(x, -1) << 8;
    rf_tensor *onehot = rf_expr(s, &rf_op_one_hot, &t, 1, &hot, sizeof hot);
    rf_tensor *counts = rf_sum_axis(s, onehot, -1, 1);
    if (!a->sum)
        g = rf_div(s, g, rf_cast(s, rf_sum(s, onehot), rf_tensor_dtype(g)));
    rf_tensor *slope = rf_sub(s, rf_mul(s, rf_softmax(s, x), counts), onehot);
    return rf_mul(s, slope, rf_cast(s, g, rf_tensor_dtype(x)));
}

static rf_status entropy_composed(rf_op_grad *grad)
{
    rf_tensor *in[3] = {rf_op_saved_input(grad, 0), rf_op_saved_input(grad, 1), grad->grad_out[0]};
    grad->grad_in[0] = rf_entropy_slope(grad->scope, grad->attrs, in);
    return grad->scope->status;
}

/* The targets, just behind the logits. */
static int64_t entropy_below(const rf_op_call *call, size_t input)
{
    size_t targets = call->op == &rf_op_cross_entropy ? 1 : 2;
    const rf_shape *x = &call->in[targets - 1].shape;
    return input == targets ? x->dims[x->rank - 1] : 0;
}

static int entropy_sample(size_t index, rf_op_sample *out)
{
    static const int64_t x[3] = {2, 3, 5}, t[2] = {2, 3};
    static const rf_entropy_attrs rows[3] = {{0, 0, 0}, {1, 0, 0}, {0, 1, 2}};
    if (index >= 3)
        return 0;
    *(rf_entropy_attrs *)(void *)out->attrs = rows[index];
    rf_sample_float(out, 0, -2, 2, 3, x);
    rf_sample_integer(out, 1, 5, 2, t);
    return 1;
}

const rf_op_class rf_op_cross_entropy = {
    .size = sizeof(rf_op_class),
    .name = "cross_entropy",
    .doc = "mean or sum over rows of log sum exp(row) - row[target]",
    .traits = RF_OP_FIRST_ORDER,
    .num_out = 1,
    .num_aux = 1,
    .infer = entropy_infer,
    .forward = entropy_forward,
    .reads = entropy_reads,
    .backward = entropy_backward,
    .backward_composed = entropy_composed,
    .workspace = entropy_workspace,
    .sample = entropy_sample,
    .index_below = entropy_below,
};

static rf_status entropy_grad_infer(rf_op_call *call)
{
    call->out[0].shape = call->in[0].shape;
    return entropy_check(call, 0, 2);
}

static size_t entropy_grad_workspace(const rf_op_call *call)
{
    (void)call;
    return 64; /* the scaled g */
}

static rf_status entropy_grad_forward(rf_op_call *call)
{
    const rf_kernels *k = rf_call_kernels(call);
    rf_exec e = rf_call_exec(call);
    rf_view logits = call->in[0], targets = call->in[2], lse = call->in[3];
    rf_view g = call->in[1], scaled = call->in[1];
    rf_view_rows(&logits);
    rf_entropy_flatten(&targets);
    rf_entropy_flatten(&lse);
    scaled.data = call->workspace;
    rf_status status = k->affine(&e, rf_entropy_scale(call, &targets), 0, &g, &scaled);
    if (status)
        return status;
    const rf_view *in[4] = {&scaled, &logits, &targets, &lse};
    return k->cross_entropy_grad(&e, rf_entropy_ignored(call->attrs), in, &logits);
}

const rf_op_class rf_op_cross_entropy_grad_inplace = {
    .size = sizeof(rf_op_class),
    .name = "cross_entropy_grad_inplace",
    .doc = "row becomes (softmax(row) - onehot(target)) g / rows that count",
    .traits = RF_OP_INPLACE,
    .num_out = 1,
    .infer = entropy_grad_infer,
    .forward = entropy_grad_forward,
    .workspace = entropy_grad_workspace,
    .index_below = entropy_below,
};

rf_tensor *rf_cross_entropy(rf_scope *s, rf_tensor *logits, rf_tensor *targets,
                            const rf_cross_entropy_options *opts)
{
    static const rf_cross_entropy_options defaults = RF_CROSS_ENTROPY_OPTIONS_INIT;
    opts = opts ? opts : &defaults;
    rf_entropy_attrs a = {opts->reduction == RF_REDUCTION_SUM, opts->has_ignored != 0,
                          opts->ignored};
    rf_tensor *in[2] = {rf_contiguous(s, logits), rf_contiguous(s, targets)};
    return rf_expr(s, &rf_op_cross_entropy, in, 2, &a, sizeof a);
}
