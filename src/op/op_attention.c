/* op_attention.c: causal attention, o = softmax(q k^T scale, keys up to the query's own) v.
 * With p the softmax, ds = p (dp - sum(dp p)), dp = do v^T:
 *   dv = p^T do,  dq = ds k scale,  dk = ds^T q scale          (Dao et al. 2022, section 3.1)
 * By tiles, keeping q, k, v, o and one number a query. Recorded for gradients of gradients it is
 * composed of plain ops, with the T x T matrix that the fused form avoids.
 */
#include "op/expr.h"
#include "op/table.h"

#include <math.h>
#include <string.h>

static rf_status attention_check(rf_op_call *call, size_t first)
{
    const rf_shape *q = &call->in[first].shape;
    rf_status status = rf_infer_need_float(call, first);
    for (size_t i = first; i < first + 3 && !status; i++) {
        const rf_view *x = &call->in[i];
        if (x->shape.rank != 4 || !rf_shape_equal(&x->shape, q))
            status = rf_op_fail(call, RF_E_SHAPE, "q, k and v must be alike: (B, H, T, D)");
        else if (x->strides[3] != 1 && x->shape.dims[3] > 1)
            status = rf_op_fail(call, RF_E_SHAPE, "the last stride of q, k and v must be 1");
    }
    return status;
}

/* Row-major, in the order of memory that like has: (B, H, T, D) or, as views of (B, T, H, D) are,
 * with H inside of T. Then merging the heads again moves nothing. */
static void attention_strides(rf_view *out, const rf_view *like)
{
    const int64_t *d = out->shape.dims;
    rf_view_set_contiguous(out);
    if (like->strides[1] >= like->strides[2] || d[1] <= 1 || d[2] <= 1)
        return;
    out->strides[1] = d[3];
    out->strides[2] = d[1] * d[3];
}

static rf_status attention_infer(rf_op_call *call)
{
    rf_status status = attention_check(call, 0);
    call->out[0].shape = call->in[0].shape;
    call->out[1].shape = call->in[0].shape;
    call->out[1].shape.rank = 3;
    call->out[1].shape.dtype = call->in[0].shape.dtype == RF_F64 ? RF_F64 : RF_F32;
    if (!status) {
        attention_strides(&call->out[0], &call->in[0]);
        rf_view_set_contiguous(&call->out[1]);
    }
    return status;
}

static size_t attention_workspace(const rf_op_call *call)
{
    return rf_call_kernels(call)->attention_workspace(call->ctx->threads, &call->in[0]);
}

static rf_status attention_forward(rf_op_call *call)
{
    rf_exec e = rf_call_exec(call);
    const rf_view *in[3] = {&call->in[0], &call->in[1], &call->in[2]};
    return rf_call_kernels(call)->attention(&e, *(const double *)call->attrs, in, &call->out[0],
                                            &call->out[1]);
}

static rf_op_reads attention_reads(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    return (rf_op_reads){wanted ? 7u : 0, wanted ? 3u : 0};
}

/* Any strides, but elements of a row side by side. */
static rf_tensor *attention_rows(rf_scope *s, rf_tensor *x)
{
    return x && x->view.shape.rank == 4 && x->view.strides[3] == 1 ? x : rf_contiguous(s, x);
}

static rf_status attention_backward(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    rf_tensor *out[3] = {NULL, NULL, NULL};
    rf_tensor *in[6] = {attention_rows(s, grad->grad_out[0]), rf_op_saved_input(grad, 0),
                        rf_op_saved_input(grad, 1),           rf_op_saved_input(grad, 2),
                        rf_op_saved_output(grad, 0),          rf_op_saved_output(grad, 1)};
    if (s->status)
        return s->status;
    rf_values from = {in, 6}, to = {out, 3};
    rf_status status =
        rf_op_run(s, &rf_op_causal_attention_grad, &from, grad->attrs, sizeof(double), &to);
    for (size_t i = 0; i < 3 && !status; i++)
        if (grad->wanted & (1u << i))
            grad->grad_in[i] = out[i];
    return status;
}

/* 0 for keys up to the query's own, else a number so low that its exp is 0. (T, T) */
static rf_tensor *attention_mask(rf_scope *s, const rf_shape *q)
{
    int64_t t = q->dims[2];
    rf_tensor *mask = rf_zeros(s, RF_F64, 2, (int64_t[]){t, t});
    double *m = mask ? rf_tensor_data(mask) : NULL;
    if (mask && !m && t && !rf_context_dry(rf_scope_context(s)))
        rf_scope_fail(s, RF_E_DEVICE, "causal_attention: gradients of gradients need values");
    for (int64_t i = 0; m && i < t; i++)
        for (int64_t j = i + 1; j < t; j++)
            m[i * t + j] = -1e30;
    return rf_cast(s, mask, (rf_dtype)q->dtype);
}

static rf_status attention_composed(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    double scale = *(const double *)grad->attrs;
    rf_tensor *g = grad->grad_out[0], *q = rf_op_saved_input(grad, 0);
    rf_tensor *k = rf_op_saved_input(grad, 1), *v = rf_op_saved_input(grad, 2);
    rf_tensor *scores = rf_affine(s, rf_matmul_with(s, q, k, RF_TRANSPOSE_B), scale, 0);
    rf_tensor *p = rf_softmax(s, rf_add(s, scores, attention_mask(s, &grad->in_shape[0])));
    rf_tensor *dp = rf_matmul_with(s, g, v, RF_TRANSPOSE_B);
    rf_tensor *mean = rf_sum_axis(s, rf_mul(s, dp, p), -1, 1);
    rf_tensor *ds = rf_affine(s, rf_mul(s, p, rf_sub(s, dp, mean)), scale, 0);
    if (grad->wanted & 1)
        grad->grad_in[0] = rf_matmul(s, ds, k);
    if (grad->wanted & 2)
        grad->grad_in[1] = rf_matmul_with(s, ds, q, RF_TRANSPOSE_A);
    if (grad->wanted & 4)
        grad->grad_in[2] = rf_matmul_with(s, p, g, RF_TRANSPOSE_A);
    return s->status;
}

static rf_op_cost attention_cost(const rf_op_call *call)
{
    const int64_t *d = call->in[0].shape.dims;
    double n = (double)rf_shape_count(&call->in[0].shape);
    double flops = 2 * n * (double)d[2]; /* two products over half of the keys */
    return (rf_op_cost){flops, 4 * n * (double)rf_dtype_size(call->in[0].shape.dtype)};
}

static int attention_sample(size_t index, rf_op_sample *out)
{
    static const int64_t dims[2][4] = {{2, 2, 5, 4}, {1, 1, 70, 3}};
    if (index >= 2)
        return 0;
    *(double *)(void *)out->attrs = 0.5;
    for (size_t i = 0; i < 3; i++)
        rf_sample_float(out, i, -1, 1, 4, dims[index]);
    return 1;
}

const rf_op_class rf_op_causal_attention = {
    .size = sizeof(rf_op_class),
    .name = "causal_attention",
    .doc = "softmax(q k^T scale, keys up to the query's own) v",
    .traits = RF_OP_FIRST_ORDER | RF_OP_STRIDED,
    .num_out = 1,
    .num_aux = 1,
    .infer = attention_infer,
    .forward = attention_forward,
    .reads = attention_reads,
    .backward = attention_backward,
    .backward_composed = attention_composed,
    .workspace = attention_workspace,
    .cost = attention_cost,
    .sample = attention_sample,
};

static rf_status attention_grad_infer(rf_op_call *call)
{
    rf_status status = attention_check(call, 1);
    for (size_t j = 0; j < 3; j++)
        call->out[j].shape = call->in[1].shape;
    if (!status && !rf_shape_equal(&call->in[0].shape, &call->in[1].shape))
        status = rf_op_fail(call, RF_E_SHAPE, "g and q differ in shape");
    for (size_t j = 0; j < 3 && !status; j++)
        attention_strides(&call->out[j], &call->in[1 + j]);
    return status;
}

static size_t attention_grad_workspace(const rf_op_call *call)
{
    return rf_call_kernels(call)->attention_grad_workspace(call->ctx->threads, &call->in[1]);
}

static rf_status attention_grad_forward(rf_op_call *call)
{
    rf_exec e = rf_call_exec(call);
    const rf_view *in[6], *out[3];
    for (size_t i = 0; i < 6; i++)
        in[i] = &call->in[i];
    for (size_t j = 0; j < 3; j++)
        out[j] = &call->out[j];
    return rf_call_kernels(call)->attention_grad(&e, *(const double *)call->attrs, in, out);
}

static rf_op_cost attention_grad_cost(const rf_op_call *call)
{
    const int64_t *d = call->in[1].shape.dims;
    double n = (double)rf_shape_count(&call->in[1].shape);
    double flops = 5 * n * (double)d[2];
    return (rf_op_cost){flops, 8 * n * (double)rf_dtype_size(call->in[1].shape.dtype)};
}

const rf_op_class rf_op_causal_attention_grad = {
    .size = sizeof(rf_op_class),
    .name = "causal_attention_grad",
    .doc = "dq, dk, dv of causal attention",
    .traits = RF_OP_STRIDED,
    .num_out = 3,
    .infer = attention_grad_infer,
    .forward = attention_grad_forward,
    .workspace = attention_grad_workspace,
    .cost = attention_grad_cost,
};

rf_tensor *rf_causal_attention(rf_scope *s, rf_tensor *q, rf_tensor *k, rf_tensor *v, double scale)
{
    rf_tensor *in[3] = {attention_rows(s, q), attention_rows(s, k), attention_rows(s, v)};
    if (scale == 0 && q)
        scale = 1 / sqrt((double)rf_tensor_dim(q, -1));
    return rf_expr(s, &rf_op_causal_attention, in, 3, &scale, sizeof scale);
}
