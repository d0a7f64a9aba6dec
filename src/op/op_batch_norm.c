/* op_batch_norm.c: normalising each channel of (N, C, ...) by the batch, and following its
 * statistics. h = (x - mean) r, r = 1 / sqrt(var + eps), y = h w + b, over the n elements of a
 * channel: dx = w r (g - mean(g) - h mean(g h)),  dw = sum of g h,  db = sum of g mean and var are
 * results too, for whoever follows them: dx += gm / n + 2 gv (x - mean) / n It keeps x and two
 * numbers a channel. The fused gradient is of first order. The running statistics change by an op
 * of their own, once: a recompute skips it.
 */
#include "op/expr.h"
#include "op/table.h"
#include "kernel/reference.h"

static const rf_view *batch_view(const rf_view *view)
{
    return view->shape.dtype == RF_ABSENT ? NULL : view;
}

/* Input i is one number per channel of `type`, or absent. */
static rf_status batch_check_channel(rf_op_call *call, size_t i, uint8_t type)
{
    const rf_shape *x = &call->in[0].shape, *w = &call->in[i].shape;
    if (w->dtype == RF_ABSENT)
        return RF_OK;
    if (w->rank != 1 || w->dims[0] != x->dims[1])
        return rf_op_fail(call, RF_E_SHAPE, "gain and bias want one element per channel");
    if (w->dtype != type)
        return rf_op_fail(call, RF_E_DTYPE, "the inputs differ in type");
    return rf_infer_need_contiguous(call, i);
}

/* The elements of a channel. */
static int64_t batch_count(const rf_shape *x)
{
    int64_t n = x->dims[0];
    for (unsigned i = 2; i < x->rank; i++)
        n *= x->dims[i];
    return n;
}

static uint8_t batch_statistic(uint8_t dtype)
{
    return dtype == RF_F64 ? RF_F64 : RF_F32;
}

static rf_status batch_norm_infer(rf_op_call *call)
{
    const rf_shape *x = &call->in[0].shape;
    rf_status status = rf_infer_first(call);
    if (!status)
        status = rf_infer_need_contiguous(call, 0);
    if (!status && x->rank < 2)
        return rf_op_fail(call, RF_E_SHAPE, "wants a batch and channels: (N, C, ...)");
    if (!status && batch_count(x) < 2)
        return rf_op_fail(call, RF_E_SHAPE, "a channel of the batch wants at least two elements");
    for (size_t i = 1; i < 3 && !status; i++)
        status = batch_check_channel(call, i, x->dtype);
    for (size_t j = 1; j < 3; j++) {
        call->out[j].shape.dtype = batch_statistic(x->dtype);
        call->out[j].shape.rank = 1;
        call->out[j].shape.dims[0] = x->dims[1];
    }
    return status;
}

static rf_status batch_norm_forward(rf_op_call *call)
{
    rf_exec e = rf_call_exec(call);
    const rf_view *in[3] = {&call->in[0], batch_view(&call->in[1]), batch_view(&call->in[2])};
    const rf_view *out[3] = {&call->out[0], &call->out[1], &call->out[2]};
    return rf_call_kernels(call)->batch_norm(&e, *(const double *)call->attrs, in, out);
}

/* x and the statistics for dx and dw; the gain for dx. */
static rf_op_reads batch_norm_reads(const rf_op_call *call, uint32_t wanted)
{
    uint32_t gain = wanted & 1 && call->in[1].shape.dtype != RF_ABSENT ? 2u : 0;
    return wanted & 3 ? (rf_op_reads){1u | gain, 6} : (rf_op_reads){0, 0};
}

static rf_op_cost batch_norm_cost(const rf_op_call *call)
{
    double n = (double)rf_shape_count(&call->in[0].shape);
    double w = (double)rf_dtype_size((rf_dtype)call->in[0].shape.dtype);
    return (rf_op_cost){8 * n, 2 * n * w};
}

/* ---- gradients ---- */

/* One number per channel, (C), as it broadcasts over (N, C, n). */
static rf_tensor *batch_wide(rf_scope *s, rf_tensor *t)
{
    return rf_reshape(s, t, 3, (int64_t[]){1, -1, 1});
}

/* x as (N, C, the rest). */
static rf_tensor *batch_planes(rf_scope *s, rf_tensor *x, const rf_shape *shape)
{
    int64_t n = batch_count(shape);
    return rf_reshape(
        s, x, 3,
        (int64_t[]){shape->dims[0], shape->dims[1], shape->dims[0] ? n / shape->dims[0] : 0});
}

/* The mean over a channel of (N, C, n), kept. */
static rf_tensor *batch_mean(rf_scope *s, rf_tensor *t)
{
    return rf_mean_axis(s, rf_mean_axis(s, t, 2, 1), 0, 1);
}

static rf_tensor *batch_sum(rf_scope *s, rf_tensor *t)
{
    return rf_sum_axis(s, rf_sum_axis(s, t, 2, 0), 0, 0);
}

/* What reaches x through the statistics, in h = x - mean of shape (N, C, n); NULL: nothing. */
static rf_tensor *batch_through_statistics(rf_op_grad *grad, rf_tensor *h)
{
    rf_scope *s = grad->scope;
    rf_dtype type = (rf_dtype)grad->in_shape[0].dtype;
    double n = (double)batch_count(&grad->in_shape[0]);
    rf_tensor *gm = grad->grad_out[1], *gv = grad->grad_out[2], *d = NULL;
    if (gv)
        d = rf_mul(s, h, batch_wide(s, rf_cast(s, rf_affine(s, gv, 2 / n, 0), type)));
    if (gm) {
        gm = batch_wide(s, rf_cast(s, rf_affine(s, gm, 1 / n, 0), type));
        d = d ? rf_add(s, d, gm) : rf_add(s, rf_affine(s, h, 0, 0), gm);
    }
    return d;
}

/* dx += what comes through the statistics. */
static void batch_finish(rf_op_grad *grad, rf_tensor *through)
{
    const rf_shape *x = &grad->in_shape[0];
    rf_tensor *dx = through ? rf_reshape(grad->scope, through, x->rank, x->dims) : NULL;
    if (dx && grad->grad_in[0])
        dx = rf_add(grad->scope, grad->grad_in[0], dx);
    if (dx)
        grad->grad_in[0] = dx;
}

static rf_tensor *batch_gain(rf_op_grad *grad)
{
    return grad->wanted & 1 && grad->in_shape[1].dtype != RF_ABSENT ? rf_op_saved_input(grad, 1)
                                                                    : NULL;
}

/* The gradient op's results are dx, dw, db; those not wanted are empty. */
typedef struct batch_grad_attrs {
    double eps;
    int64_t wanted;
} batch_grad_attrs;

static rf_status batch_norm_fused(rf_op_grad *grad, rf_tensor *g)
{
    rf_scope *s = grad->scope;
    rf_tensor *out[3] = {NULL, NULL, NULL};
    batch_grad_attrs attrs = {*(const double *)grad->attrs, grad->wanted};
    rf_tensor *in[5] = {g, rf_op_saved_input(grad, 0), batch_gain(grad),
                        rf_op_saved_output(grad, 1), rf_op_saved_output(grad, 2)};
    if (s->status)
        return s->status;
    rf_values from = {in, 5}, to = {out, 3};
    rf_status status = rf_op_run(s, &rf_op_batch_norm_grad, &from, &attrs, sizeof attrs, &to);
    for (size_t i = 0; i < 3 && !status; i++)
        if (grad->wanted & (1u << i))
            grad->grad_in[i] = out[i];
    return status;
}

static rf_status batch_norm_backward(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    const rf_shape *x = &grad->in_shape[0];
    rf_tensor *g = grad->grad_out[0] ? rf_contiguous(s, grad->grad_out[0]) : NULL;
    if (g && !(grad->wanted & 3))
        grad->grad_in[2] = batch_sum(s, batch_planes(s, g, x));
    else if (g && batch_norm_fused(grad, g))
        return s->status;
    if (grad->wanted & 1 && (grad->grad_out[1] || grad->grad_out[2])) {
        rf_tensor *mean = rf_cast(s, rf_op_saved_output(grad, 1), (rf_dtype)x->dtype);
        rf_tensor *planes = batch_planes(s, rf_op_saved_input(grad, 0), x);
        rf_tensor *h = rf_sub(s, planes, batch_wide(s, mean));
        batch_finish(grad, batch_through_statistics(grad, h));
    }
    return s->status;
}

/* The formulas at the top, of plain ops, on (N, C, n). */
static rf_tensor *batch_composed_input(rf_op_grad *grad, rf_tensor *g, rf_tensor *h,
                                       rf_tensor *spread)
{
    rf_scope *s = grad->scope;
    rf_tensor *gain = batch_gain(grad);
    rf_tensor *d = gain ? rf_mul(s, g, batch_wide(s, gain)) : g;
    rf_tensor *along = rf_mul(s, h, batch_mean(s, rf_mul(s, d, h)));
    return rf_div(s, rf_sub(s, rf_sub(s, d, along), batch_mean(s, d)), spread);
}

static rf_status batch_norm_composed(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    const rf_shape *shape = &grad->in_shape[0];
    rf_tensor *g = grad->grad_out[0] ? batch_planes(s, grad->grad_out[0], shape) : NULL;
    if (g && grad->wanted & 4)
        grad->grad_in[2] = batch_sum(s, g);
    if (!(grad->wanted & 3))
        return s->status;
    rf_tensor *x = batch_planes(s, rf_op_saved_input(grad, 0), shape);
    x = rf_sub(s, x, batch_mean(s, x));
    rf_tensor *var = batch_mean(s, rf_mul(s, x, x));
    rf_tensor *spread = rf_sqrt(s, rf_affine(s, var, 1, *(const double *)grad->attrs));
    rf_tensor *h = rf_div(s, x, spread);
    if (g && grad->wanted & 2)
        grad->grad_in[1] = batch_sum(s, rf_mul(s, g, h));
    if (grad->wanted & 1) {
        rf_tensor *dx = g ? batch_composed_input(grad, g, h, spread) : NULL;
        grad->grad_in[0] = dx ? rf_reshape(s, dx, shape->rank, shape->dims) : NULL;
        batch_finish(grad, batch_through_statistics(grad, x));
    }
    return s->status;
}

static int batch_norm_sample(size_t index, rf_op_sample *out)
{
    static const int64_t x[2][4] = {{2, 3, 2, 2}, {4, 2}}, w[2][1] = {{3}, {2}};
    if (index >= 3)
        return 0;
    size_t of = index == 2;
    *(double *)(void *)out->attrs = 1e-5;
    rf_sample_float(out, 0, -2, 2, of ? 2 : 4, x[of]);
    for (size_t i = 1; i <= 2; i++) {
        rf_sample_float(out, i, 0.5, 1.5, 1, w[of]);
        out->in[i].absent = index == 1;
    }
    return 1;
}

const rf_op_class rf_op_batch_norm = {
    .size = sizeof(rf_op_class),
    .name = "batch_norm",
    .doc = "(x - mean) / sqrt(var + eps) gain + bias over all but the channels; mean; var",
    .traits = RF_OP_FIRST_ORDER,
    .num_out = 3,
    .infer = batch_norm_infer,
    .forward = batch_norm_forward,
    .reads = batch_norm_reads,
    .backward = batch_norm_backward,
    .backward_composed = batch_norm_composed,
    .cost = batch_norm_cost,
    .sample = batch_norm_sample,
};

/* ---- the fused gradient ---- */

static rf_status batch_norm_grad_infer(rf_op_call *call)
{
    int64_t wanted = ((const batch_grad_attrs *)call->attrs)->wanted;
    const rf_shape *x = &call->in[1].shape;
    if (!rf_shape_equal(&call->in[0].shape, x) || x->rank < 2)
        return rf_op_fail(call, RF_E_SHAPE, "g and x differ in shape");
    for (size_t j = 0; j < 3; j++) {
        rf_shape *out = &call->out[j].shape;
        *out = *x;
        if (j > 0 || !(wanted & 1)) {
            out->rank = 1;
            out->dims[0] = wanted & (1 << j) ? x->dims[1] : 0;
        }
    }
    rf_status status = rf_infer_need_contiguous(call, 0);
    return status ? status : rf_infer_need_contiguous(call, 1);
}

static const rf_view *batch_wanted(const rf_op_call *call, size_t out)
{
    const batch_grad_attrs *a = call->attrs;
    return a->wanted & (1 << out) ? &call->out[out] : NULL;
}

static rf_status batch_norm_grad_forward(rf_op_call *call)
{
    rf_exec e = rf_call_exec(call);
    const rf_view *in[5] = {&call->in[0], &call->in[1], batch_view(&call->in[2]), &call->in[3],
                            &call->in[4]};
    const rf_view *out[3] = {batch_wanted(call, 0), batch_wanted(call, 1), batch_wanted(call, 2)};
    return rf_call_kernels(call)->batch_norm_grad(&e, ((const batch_grad_attrs *)call->attrs)->eps,
                                                  in, out);
}

static rf_op_cost batch_norm_grad_cost(const rf_op_call *call)
{
    double n = (double)rf_shape_count(&call->in[1].shape);
    double w = (double)rf_dtype_size((rf_dtype)call->in[1].shape.dtype);
    return (rf_op_cost){12 * n, 3 * n * w};
}

const rf_op_class rf_op_batch_norm_grad = {
    .size = sizeof(rf_op_class),
    .name = "batch_norm_grad",
    .doc = "dx, dgain, dbias of a batch norm",
    .num_out = 3,
    .infer = batch_norm_grad_infer,
    .forward = batch_norm_grad_forward,
    .cost = batch_norm_grad_cost,
};

/* ---- following ---- */

typedef struct batch_update_attrs {
    double momentum, scale;
} batch_update_attrs;

static rf_status batch_norm_update_infer(rf_op_call *call)
{
    rf_status status = rf_infer_need_contiguous(call, 0);
    if (!status)
        status = rf_infer_need_contiguous(call, 1);
    return status ? status : rf_infer_same(call);
}

static rf_status batch_norm_update_forward(rf_op_call *call)
{
    const batch_update_attrs *a = call->attrs;
    int64_t n = rf_shape_count(&call->in[0].shape);
    for (int64_t i = 0; i < n; i++) {
        double running = rf_element_get(&call->in[0], i);
        double batch = a->scale * rf_element_get(&call->in[1], i);
        rf_element_set(&call->out[0], i, (1 - a->momentum) * running + a->momentum * batch);
    }
    return RF_OK;
}

static int batch_norm_update_sample(size_t index, rf_op_sample *out)
{
    static const int64_t c[1] = {4};
    batch_update_attrs *a = (batch_update_attrs *)(void *)out->attrs;
    *a = (batch_update_attrs){0.1, 1.5};
    rf_sample_float(out, 0, -1, 1, 1, c);
    rf_sample_float(out, 1, -1, 1, 1, c);
    return index == 0;
}

const rf_op_class rf_op_batch_norm_update = {
    .size = sizeof(rf_op_class),
    .name = "batch_norm_update",
    .doc = "running becomes (1 - momentum) running + momentum scale batch, once",
    .traits = RF_OP_INPLACE | RF_OP_NO_GRAD | RF_OP_ONCE,
    .num_out = 1,
    .infer = batch_norm_update_infer,
    .forward = batch_norm_update_forward,
    .sample = batch_norm_update_sample,
};

/* ---- the expression ---- */

static void batch_follow(rf_scope *s, rf_tensor *running, rf_tensor *batch,
                         batch_update_attrs attrs)
{
    if (running)
        rf_expr(s, &rf_op_batch_norm_update, (rf_tensor *[]){running, batch}, 2, &attrs,
                sizeof attrs);
}

static rf_tensor *batch_norm_train(rf_scope *s, rf_tensor *x, const rf_batch_norm_tensors *with,
                                   double momentum, double eps)
{
    rf_tensor *in[3] = {x, with->gain, with->bias}, *out[3] = {NULL, NULL, NULL};
    rf_values from = {in, 3}, to = {out, 3};
    double n = (double)batch_count(&x->view.shape);
    if (rf_op_run(s, &rf_op_batch_norm, &from, &eps, sizeof eps, &to))
        return NULL;
    batch_follow(s, with->running_mean, out[1], (batch_update_attrs){momentum, 1});
    batch_follow(s, with->running_var, out[2], (batch_update_attrs){momentum, n / (n - 1)});
    rf_release(s, out[1]);
    rf_release(s, out[2]);
    return s->status ? NULL : out[0];
}

/* y = x scale + shift, scale = gain / sqrt(var + eps), shift = bias - mean scale; (C) numbers. */
static rf_tensor *batch_norm_running(rf_scope *s, rf_tensor *x, const rf_batch_norm_tensors *with,
                                     double eps)
{
    rf_dtype type = (rf_dtype)x->view.shape.dtype, wide = (rf_dtype)batch_statistic(type);
    rf_tensor *spread = rf_sqrt(s, rf_affine(s, with->running_var, 1, eps));
    rf_tensor *gain = with->gain ? rf_cast(s, with->gain, wide) : NULL;
    rf_tensor *scale =
        gain ? rf_div(s, gain, spread) : rf_div(s, rf_full(s, wide, 0, NULL, 1), spread);
    rf_tensor *shift = rf_neg(s, rf_mul(s, with->running_mean, scale));
    if (with->bias)
        shift = rf_add(s, shift, rf_cast(s, with->bias, wide));
    rf_tensor *planes = batch_planes(s, x, &x->view.shape); /* (N, C, n) */
    rf_tensor *y = rf_mul(s, planes, batch_wide(s, rf_cast(s, scale, type)));
    y = rf_add(s, y, batch_wide(s, rf_cast(s, shift, type)));
    return rf_reshape(s, y, x->view.shape.rank, x->view.shape.dims);
}

static int batch_running_fits(const rf_tensor *running, const rf_tensor *x)
{
    const rf_shape *r = &running->view.shape;
    return r->rank == 1 && r->dims[0] == x->view.shape.dims[1] &&
           r->dtype == batch_statistic(x->view.shape.dtype) && !running->requires_grad;
}

static rf_status batch_norm_check(rf_scope *s, const rf_tensor *x,
                                  const rf_batch_norm_tensors *with, const rf_batch_norm_options *o)
{
    const rf_tensor *mean = with->running_mean, *var = with->running_var;
    if (s->status)
        return s->status;
    if (!x || o->size != sizeof *o)
        return rf_scope_fail(s, RF_E_ARGUMENT, "batch_norm: x and the options' size are required");
    if (x->view.shape.rank < 2)
        return rf_scope_fail(s, RF_E_SHAPE, "batch_norm: wants a batch and channels: (N, C, ...)");
    if (!mean != !var || (!o->training && !mean))
        return rf_scope_fail(s, RF_E_ARGUMENT,
                             "batch_norm: running_mean and running_var go together, and outside "
                             "of training they are required");
    if (mean && (!batch_running_fits(mean, x) || !batch_running_fits(var, x)))
        return rf_scope_fail(s, RF_E_SHAPE,
                             "batch_norm: running statistics are (C), f32 (f64 if x is), and want "
                             "no gradient");
    if (!(o->momentum >= 0 && o->momentum <= 1) || !(o->eps >= 0))
        return rf_scope_fail(s, RF_E_ARGUMENT,
                             "batch_norm: momentum must be in [0, 1] and eps not negative");
    return RF_OK;
}

rf_tensor *rf_batch_norm(rf_scope *s, rf_tensor *x, const rf_batch_norm_tensors *with,
                         const rf_batch_norm_options *opts)
{
    static const rf_batch_norm_options defaults = RF_BATCH_NORM_OPTIONS_INIT;
    static const rf_batch_norm_tensors nothing = {NULL, NULL, NULL, NULL};
    const rf_batch_norm_options *o = opts ? opts : &defaults;
    double momentum = o->momentum > 0 ? o->momentum : 0.1, eps = o->eps > 0 ? o->eps : 1e-5;
    with = with ? with : &nothing;
    if (batch_norm_check(s, x, with, o))
        return NULL;
    x = rf_contiguous(s, x);
    if (!x)
        return NULL;
    return o->training ? batch_norm_train(s, x, with, momentum, eps)
                       : batch_norm_running(s, x, with, eps);
}
