/* op_affine.c: y = alpha x + beta, alpha and beta plain numbers. dx = alpha g. */
#include "op/expr.h"
#include "op/table.h"

typedef struct affine_attrs {
    double alpha, beta;
} affine_attrs;

static rf_status affine_forward(rf_op_call *call)
{
    const affine_attrs *a = call->attrs;
    rf_exec e = rf_call_exec(call);
    return rf_call_kernels(call)->affine(&e, a->alpha, a->beta, &call->in[0], &call->out[0]);
}

static rf_status affine_backward(rf_op_grad *grad)
{
    const affine_attrs *a = grad->attrs;
    grad->grad_in[0] = rf_affine(grad->scope, grad->grad_out[0], a->alpha, 0);
    return grad->scope->status;
}

static int affine_sample(size_t index, rf_op_sample *out)
{
    *(affine_attrs *)(void *)out->attrs = (affine_attrs){-1.5, 0.25};
    return rf_sample_unary(index, out);
}

const rf_op_class rf_op_affine = {
    .size = sizeof(rf_op_class),
    .name = "affine",
    .doc = "alpha x + beta",
    .num_out = 1,
    .infer = rf_infer_first,
    .forward = affine_forward,
    .reads = rf_reads_none,
    .backward = affine_backward,
    .sample = affine_sample,
};

rf_tensor *rf_affine(rf_scope *s, rf_tensor *x, double alpha, double beta)
{
    affine_attrs a = {alpha, beta};
    return rf_expr(s, &rf_op_affine, &x, 1, &a, sizeof a);
}
