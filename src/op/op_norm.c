/* op_norm.c: layer norm and rms norm over the last axis.
 *   layer norm: h = (x - mean) r, r = 1 / sqrt(var + eps), y = h w + b, d = g w:
 *     dx = r (d - mean(d) - h mean(d h)),  dw = sum of g h,  db = sum of g
 *   rms norm: r = 1 / sqrt(mean(x^2) + eps), y = x r w:
 *     dx = r (d - x r mean(d x r)),  dw = sum of g x r
 * Both keep x and one or two numbers a row. The fused gradients are of first order.
 */
#include "op/expr.h"
#include "op/table.h"

static rf_status norm_check_row(rf_op_call *call, size_t input)
{
    const rf_shape *x = &call->in[0].shape, *w = &call->in[input].shape;
    if (w->dtype == RF_ABSENT)
        return RF_OK;
    if (w->rank != 1 || w->dims[0] != x->dims[x->rank - 1])
        return rf_op_fail(call, RF_E_SHAPE, "gain and bias want one element per column");
    if (w->dtype != x->dtype)
        return rf_op_fail(call, RF_E_DTYPE, "the inputs differ in type");
    return rf_infer_need_contiguous(call, input);
}

/* y like x, and num numbers a row. */
static rf_status norm_infer(rf_op_call *call, size_t num)
{
    rf_status status = rf_infer_need_contiguous(call, 0);
    if (!status && !call->in[0].shape.rank)
        return rf_op_fail(call, RF_E_SHAPE, "wants at least one axis");
    for (size_t i = 1; i < call->num_in && !status; i++)
        status = norm_check_row(call, i);
    for (size_t j = 1; j <= num; j++) {
        call->out[j].shape = call->in[0].shape;
        call->out[j].shape.rank--;
        call->out[j].shape.dtype = call->in[0].shape.dtype == RF_F64 ? RF_F64 : RF_F32;
    }
    return status ? status : rf_infer_first(call);
}

static rf_status layer_norm_infer(rf_op_call *call)
{
    return norm_infer(call, 2);
}

static rf_status rms_norm_infer(rf_op_call *call)
{
    return norm_infer(call, 1);
}

static const rf_view *norm_view(const rf_view *view)
{
    return view->shape.dtype == RF_ABSENT ? NULL : view;
}

static rf_status layer_norm_forward(rf_op_call *call)
{
    rf_exec e = rf_call_exec(call);
    return rf_call_kernels(call)->layer_norm(&e, *(const double *)call->attrs, &call->in[0],
                                             norm_view(&call->in[1]), norm_view(&call->in[2]),
                                             &call->out[0], &call->out[1], &call->out[2]);
}

static rf_status rms_norm_forward(rf_op_call *call)
{
    rf_exec e = rf_call_exec(call);
    return rf_call_kernels(call)->rms_norm(&e, *(const double *)call->attrs, &call->in[0],
                                           norm_view(&call->in[1]), &call->out[0], &call->out[1]);
}

/* x and the numbers of its rows for dx and dw; the gain for dx. */
static rf_op_reads norm_reads(const rf_op_call *call, uint32_t wanted, uint32_t rows)
{
    uint32_t gain = wanted & 1 && call->in[1].shape.dtype != RF_ABSENT ? 2u : 0;
    return wanted & 3 ? (rf_op_reads){1u | gain, rows} : (rf_op_reads){0, 0};
}

static rf_op_reads layer_norm_reads(const rf_op_call *call, uint32_t wanted)
{
    return norm_reads(call, wanted, 6);
}

static rf_op_reads rms_norm_reads(const rf_op_call *call, uint32_t wanted)
{
    return norm_reads(call, wanted, 2);
}

static rf_tensor *norm_gain(rf_op_grad *grad)
{
    return grad->wanted & 1 && grad->in_shape[1].dtype != RF_ABSENT ? rf_op_saved_input(grad, 1)
                                                                    : NULL;
}

/* The gradient op's results are dx, dw (, db); those not wanted are empty. attrs: the wanted mask.
 */
static rf_status norm_fused(rf_op_grad *grad, const rf_op_class *op, rf_tensor **in, size_t num)
{
    rf_scope *s = grad->scope;
    rf_tensor *out[3] = {NULL, NULL, NULL};
    int64_t attrs = grad->wanted;
    if (s->status)
        return s->status;
    rf_values from = {in, num}, to = {out, op->num_out};
    rf_status status = rf_op_run(s, op, &from, &attrs, sizeof attrs, &to);
    for (size_t i = 0; i < op->num_out && !status; i++)
        if (grad->wanted & (1u << i))
            grad->grad_in[i] = out[i];
    return status;
}

static rf_status layer_norm_backward(rf_op_grad *grad)
{
    rf_tensor *g = rf_contiguous(grad->scope, grad->grad_out[0]);
    if (!(grad->wanted & 3)) {
        grad->grad_in[2] = rf_grad_to(grad, g, 2);
        return grad->scope->status;
    }
    rf_tensor *in[5] = {g, rf_op_saved_input(grad, 0), norm_gain(grad), rf_op_saved_output(grad, 1),
                        rf_op_saved_output(grad, 2)};
    return norm_fused(grad, &rf_op_layer_norm_grad, in, 5);
}

static rf_status rms_norm_backward(rf_op_grad *grad)
{
    rf_tensor *g = rf_contiguous(grad->scope, grad->grad_out[0]);
    rf_tensor *in[4] = {g, rf_op_saved_input(grad, 0), norm_gain(grad),
                        rf_op_saved_output(grad, 1)};
    return norm_fused(grad, &rf_op_rms_norm_grad, in, 4);
}

/* The formulas at the top, with h = (x - center) r made of plain ops. */
static rf_status norm_composed(rf_op_grad *grad, int centered)
{
    rf_scope *s = grad->scope;
    rf_tensor *g = grad->grad_out[0];
    if (centered && grad->wanted & 4)
        grad->grad_in[2] = rf_grad_to(grad, g, 2);
    if (!(grad->wanted & 3))
        return s->status;
    rf_tensor *x = rf_op_saved_input(grad, 0), *gain = norm_gain(grad);
    double eps = *(const double *)grad->attrs;
    if (centered)
        x = rf_sub(s, x, rf_mean_axis(s, x, -1, 1));
    rf_tensor *var = rf_mean_axis(s, rf_mul(s, x, x), -1, 1);
    rf_tensor *spread = rf_sqrt(s, rf_affine(s, var, 1, eps));
    rf_tensor *h = rf_div(s, x, spread);
    if (grad->wanted & 2)
        grad->grad_in[1] = rf_grad_to(grad, rf_mul(s, g, h), 1);
    if (!(grad->wanted & 1))
        return s->status;
    rf_tensor *d = gain ? rf_mul(s, g, gain) : g;
    rf_tensor *along = rf_mul(s, h, rf_mean_axis(s, rf_mul(s, d, h), -1, 1));
    rf_tensor *inner = rf_sub(s, d, along);
    if (centered)
        inner = rf_sub(s, inner, rf_mean_axis(s, d, -1, 1));
    grad->grad_in[0] = rf_div(s, inner, spread);
    return s->status;
}

static rf_status layer_norm_composed(rf_op_grad *grad)
{
    return norm_composed(grad, 1);
}

static rf_status rms_norm_composed(rf_op_grad *grad)
{
    return norm_composed(grad, 0);
}

static int norm_sample(size_t index, rf_op_sample *out, size_t rows)
{
    static const int64_t x[3] = {2, 3, 4}, w[1] = {4};
    if (index >= 2)
        return 0;
    *(double *)(void *)out->attrs = 1e-5;
    rf_sample_float(out, 0, -2, 2, 3, x);
    for (size_t i = 1; i <= rows; i++) {
        rf_sample_float(out, i, 0.5, 1.5, 1, w);
        out->in[i].absent = index == 1;
    }
    return 1;
}

static int layer_norm_sample(size_t index, rf_op_sample *out)
{
    return norm_sample(index, out, 2);
}

static int rms_norm_sample(size_t index, rf_op_sample *out)
{
    return norm_sample(index, out, 1);
}

const rf_op_class rf_op_layer_norm = {
    .size = sizeof(rf_op_class),
    .name = "layer_norm",
    .doc = "(x - mean) / sqrt(var + eps) gain + bias over the last axis",
    .traits = RF_OP_FIRST_ORDER,
    .num_out = 1,
    .num_aux = 2,
    .infer = layer_norm_infer,
    .forward = layer_norm_forward,
    .reads = layer_norm_reads,
    .backward = layer_norm_backward,
    .backward_composed = layer_norm_composed,
    .sample = layer_norm_sample,
};

const rf_op_class rf_op_rms_norm = {
    .size = sizeof(rf_op_class),
    .name = "rms_norm",
    .doc = "x / sqrt(mean(x^2) + eps) gain over the last axis",
    .traits = RF_OP_FIRST_ORDER,
    .num_out = 1,
    .num_aux = 1,
    .infer = rms_norm_infer,
    .forward = rms_norm_forward,
    .reads = rms_norm_reads,
    .backward = rms_norm_backward,
    .backward_composed = rms_norm_composed,
    .sample = rms_norm_sample,
};

/* ---- the fused gradients ---- */

static rf_status norm_grad_infer(rf_op_call *call)
{
    int64_t wanted = *(const int64_t *)call->attrs;
    const rf_shape *x = &call->in[1].shape;
    for (size_t j = 0; j < call->num_out; j++) {
        rf_shape *out = &call->out[j].shape;
        *out = *x;
        if (j > 0 || !(wanted & 1)) {
            out->rank = 1;
            out->dims[0] = wanted & (1 << j) ? x->dims[x->rank - 1] : 0;
        }
    }
    if (!rf_shape_equal(&call->in[0].shape, x))
        return rf_op_fail(call, RF_E_SHAPE, "g and x differ in shape");
    rf_status status = rf_infer_need_contiguous(call, 0);
    return status ? status : rf_infer_need_contiguous(call, 1);
}

static size_t norm_grad_workspace(const rf_op_call *call)
{
    return rf_call_kernels(call)->norm_grad_workspace(call->ctx->threads, &call->in[1]);
}

static const rf_view *norm_wanted(const rf_op_call *call, size_t out)
{
    return *(const int64_t *)call->attrs & (1 << out) ? &call->out[out] : NULL;
}

static rf_status layer_norm_grad_forward(rf_op_call *call)
{
    rf_exec e = rf_call_exec(call);
    const rf_view *in[5] = {&call->in[0], &call->in[1], norm_view(&call->in[2]), &call->in[3],
                            &call->in[4]};
    const rf_view *out[3] = {norm_wanted(call, 0), norm_wanted(call, 1), norm_wanted(call, 2)};
    return rf_call_kernels(call)->layer_norm_grad(&e, in, out);
}

static rf_status rms_norm_grad_forward(rf_op_call *call)
{
    rf_exec e = rf_call_exec(call);
    const rf_view *in[4] = {&call->in[0], &call->in[1], norm_view(&call->in[2]), &call->in[3]};
    const rf_view *out[2] = {norm_wanted(call, 0), norm_wanted(call, 1)};
    return rf_call_kernels(call)->rms_norm_grad(&e, in, out);
}

const rf_op_class rf_op_layer_norm_grad = {
    .size = sizeof(rf_op_class),
    .name = "layer_norm_grad",
    .doc = "dx, dgain, dbias of a layer norm",
    .num_out = 3,
    .infer = norm_grad_infer,
    .forward = layer_norm_grad_forward,
    .workspace = norm_grad_workspace,
};

const rf_op_class rf_op_rms_norm_grad = {
    .size = sizeof(rf_op_class),
    .name = "rms_norm_grad",
    .doc = "dx, dgain of an rms norm",
    .num_out = 2,
    .infer = norm_grad_infer,
    .forward = rms_norm_grad_forward,
    .workspace = norm_grad_workspace,
};

rf_tensor *rf_layer_norm(rf_scope *s, rf_tensor *x, rf_tensor *gain, rf_tensor *bias, double eps)
{
    rf_tensor *in[3] = {rf_contiguous(s, x), gain, bias};
    return rf_expr_optional(s, &rf_op_layer_norm, in, 3, 6, &eps, sizeof eps);
}

rf_tensor *rf_rms_norm(rf_scope *s, rf_tensor *x, rf_tensor *gain, double eps)
{
    rf_tensor *in[2] = {rf_contiguous(s, x), gain};
    return rf_expr_optional(s, &rf_op_rms_norm, in, 2, 2, &eps, sizeof eps);
}
