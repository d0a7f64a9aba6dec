/* op_rotary.c: rotate pairs (i, i + D/2) of row t by the angle t base^(-2i/D).
 * A rotation is undone by its inverse: dx = g rotated backwards.
 */
#include "op/expr.h"
#include "op/table.h"

typedef struct rotary_attrs {
    double base;
    int64_t inverse;
} rotary_attrs;

static rf_status rotary_infer(rf_op_call *call)
{
    const rf_shape *x = &call->in[0].shape;
    if (x->rank < 2 || x->dims[x->rank - 1] % 2)
        return rf_op_fail(call, RF_E_SHAPE, "wants (..., T, D) with D even");
    return rf_infer_first(call);
}

static rf_status rotary_forward(rf_op_call *call)
{
    const rotary_attrs *a = call->attrs;
    rf_exec e = rf_call_exec(call);
    return rf_call_kernels(call)->rotary(&e, a->base, (int)a->inverse, &call->in[0], &call->out[0]);
}

static rf_status rotary_backward(rf_op_grad *grad)
{
    rotary_attrs a = *(const rotary_attrs *)grad->attrs;
    a.inverse = !a.inverse;
    grad->grad_in[0] = rf_expr(grad->scope, &rf_op_rotary, grad->grad_out, 1, &a, sizeof a);
    return grad->scope->status;
}

static int rotary_sample(size_t index, rf_op_sample *out)
{
    static const int64_t dims[3] = {2, 3, 4};
    *(rotary_attrs *)(void *)out->attrs = (rotary_attrs){10000, (int64_t)index};
    rf_sample_float(out, 0, -1, 1, 3, dims);
    return index < 2;
}

const rf_op_class rf_op_rotary = {
    .size = sizeof(rf_op_class),
    .name = "rotary",
    .doc = "pairs (i, i + D/2) of row t rotated by t base^(-2i/D)",
    .num_out = 1,
    .infer = rotary_infer,
    .forward = rotary_forward,
    .reads = rf_reads_none,
    .backward = rotary_backward,
    .sample = rotary_sample,
};

rf_tensor *rf_rotary(rf_scope *s, rf_tensor *x, double base)
{
    rotary_attrs a = {base, 0};
    return rf_expr(s, &rf_op_rotary, &x, 1, &a, sizeof a);
}
