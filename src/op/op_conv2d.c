/* op_conv2d.c: convolution over images, and its two gradients. With y = conv(x, w) + b,
 *   dx = I(g, w),  dw = W(g, x),  db = the sum of g over all but the channels.
 * All three are linear in either input and made of each other, so every order is closed:
 *   I(g, w):  dg = conv(h, w),  dw = W(g, h)
 *   W(g, x):  dg = conv(x, h),  dx = I(g, h)
 */
#include "op/expr.h"
#include "op/table.h"
#include "kernel/window.h"

#include <string.h>

/* Of all three ops. size is the weight's; image, (H, W), is there because several have one y. */
typedef struct conv_attrs {
    rf_window window;
    int64_t groups;
    int64_t image[2];
} conv_attrs;

/* ---- shapes ---- */

static int conv_number_fits(int64_t n, int64_t least)
{
    return n >= least && n <= INT32_MAX;
}

static rf_status conv_check_attrs(rf_op_call *call)
{
    const conv_attrs *c = call->attrs;
    const rf_window *w = &c->window;
    int good = conv_number_fits(c->groups, 1);
    for (int a = 0; a < 2; a++)
        good = good && conv_number_fits(w->size[a], 1) && conv_number_fits(w->stride[a], 1) &&
               conv_number_fits(w->padding[a], 0) && conv_number_fits(w->dilation[a], 1) &&
               conv_number_fits(c->image[a], 1);
    return good ? RF_OK
                : rf_op_fail(call, RF_E_SHAPE,
                             "kernel, stride, dilation, groups and image must be positive and "
                             "padding not negative, all below 2^31");
}

static rf_status conv_check_inputs(rf_op_call *call)
{
    for (size_t i = 0; i < 2; i++) {
        rf_status status = rf_infer_need_float(call, i);
        if (!status)
            status = rf_infer_need_contiguous(call, i);
        if (status)
            return status;
        if (call->in[i].shape.rank != 4)
            return rf_op_fail(call, RF_E_SHAPE, "images and kernels have four axes");
    }
    if (call->in[0].shape.dtype != call->in[1].shape.dtype)
        return rf_op_fail(call, RF_E_DTYPE, "the inputs differ in type");
    return conv_check_attrs(call);
}

/* The three shapes of a call; those that are inputs are there, the other is to be checked against
 * them or made. */
typedef struct conv_shapes {
    const int64_t *x, *w, *y; /* NULL: the one that is made */
} conv_shapes;

static rf_status conv_unlike(rf_op_call *call)
{
    char a[128], b[128];
    return rf_fail(call->ctx, RF_E_SHAPE,
                   "%s: %s and %s do not go together with this kernel, stride, padding, dilation "
                   "and %lld groups",
                   call->op->name, rf_shape_text(&call->in[0].shape, a, sizeof a),
                   rf_shape_text(&call->in[1].shape, b, sizeof b),
                   (long long)((const conv_attrs *)call->attrs)->groups);
}

/* Fill the dims of the third from those of the two that are there. */
static rf_status conv_third(rf_op_call *call, conv_shapes v)
{
    const conv_attrs *c = call->attrs;
    rf_shape *out = &call->out[0].shape;
    int64_t places[2], n = v.x ? v.x[0] : v.y[0];
    int64_t in = v.x ? v.x[1] : v.w[1] * c->groups, features = v.w ? v.w[0] : v.y[1];
    int good = in > 0 && features > 0 && in % c->groups == 0 && features % c->groups == 0;
    for (int a = 0; a < 2; a++) {
        places[a] = rf_window_places(&c->window, a, c->image[a]);
        good = good && places[a] > 0 && (!v.w || v.w[a + 2] == c->window.size[a]) &&
               (!v.x || v.x[a + 2] == c->image[a]) && (!v.y || v.y[a + 2] == places[a]);
    }
    good = good && (!v.x || !v.w || v.w[1] == in / c->groups) && (!v.y || v.y[1] == features) &&
           (!v.x || !v.y || v.x[0] == v.y[0]);
    if (!good)
        return conv_unlike(call);
    const int64_t y[4] = {n, features, places[0], places[1]};
    const int64_t x[4] = {n, in, c->image[0], c->image[1]};
    const int64_t w[4] = {features, in / c->groups, c->window.size[0], c->window.size[1]};
    out->dtype = call->in[0].shape.dtype;
    out->rank = 4;
    memcpy(out->dims, !v.y ? y : !v.x ? x : w, sizeof y);
    return RF_OK;
}

static rf_status conv2d_infer(rf_op_call *call)
{
    const rf_shape *b = &call->in[2].shape;
    rf_status status = conv_check_inputs(call);
    if (!status)
        status =
            conv_third(call, (conv_shapes){call->in[0].shape.dims, call->in[1].shape.dims, NULL});
    if (status || b->dtype == RF_ABSENT)
        return status;
    if (b->rank != 1 || b->dims[0] != call->in[1].shape.dims[0])
        return rf_op_fail(call, RF_E_SHAPE, "the bias has not one element per feature");
    if (b->dtype != call->in[0].shape.dtype)
        return rf_op_fail(call, RF_E_DTYPE, "the inputs differ in type");
    return rf_infer_need_contiguous(call, 2);
}

static rf_status conv2d_grad_input_infer(rf_op_call *call)
{
    rf_status status = conv_check_inputs(call);
    return status ? status
                  : conv_third(call,
                               (conv_shapes){NULL, call->in[1].shape.dims, call->in[0].shape.dims});
}

static rf_status conv2d_grad_weight_infer(rf_op_call *call)
{
    rf_status status = conv_check_inputs(call);
    return status ? status
                  : conv_third(call,
                               (conv_shapes){call->in[1].shape.dims, NULL, call->in[0].shape.dims});
}

/* ---- computing ---- */

static rf_conv_call conv_of(const rf_op_call *call)
{
    const conv_attrs *a = call->attrs;
    const rf_view *in = call->in, *out = call->out;
    rf_conv_call c = {.window = a->window, .groups = a->groups, .kernels = rf_call_kernels(call)};
    if (call->op == &rf_op_conv2d) {
        c.pass = RF_CONV_FORWARD;
        c.x = &in[0];
        c.w = &in[1];
        c.bias = in[2].shape.dtype == RF_ABSENT ? NULL : &in[2];
        c.y = &out[0];
    } else if (call->op == &rf_op_conv2d_grad_input) {
        c.pass = RF_CONV_GRAD_INPUT;
        c.y = &in[0];
        c.w = &in[1];
        c.x = &out[0];
    } else {
        c.pass = RF_CONV_GRAD_WEIGHT;
        c.y = &in[0];
        c.x = &in[1];
        c.w = &out[0];
    }
    return c;
}

static size_t conv_workspace(const rf_op_call *call)
{
    rf_conv_call c = conv_of(call);
    return c.kernels->conv2d_workspace(call->ctx->threads, &c);
}

static rf_status conv_forward(rf_op_call *call)
{
    rf_conv_call c = conv_of(call);
    rf_exec e = rf_call_exec(call);
    return c.kernels->conv2d(&e, &c);
}

static rf_op_cost conv_cost(const rf_op_call *call)
{
    rf_conv_call c = conv_of(call);
    double y = (double)rf_shape_count(&c.y->shape), w = (double)rf_shape_count(&c.w->shape);
    double bytes = y + w + (double)rf_shape_count(&c.x->shape);
    return (rf_op_cost){2 * y * w / (double)c.w->shape.dims[0],
                        bytes * (double)rf_dtype_size((rf_dtype)c.x->shape.dtype)};
}

/* ---- gradients ---- */

static rf_tensor *conv_run(rf_scope *s, const rf_op_class *op, rf_tensor *const in[2],
                           const conv_attrs *attrs)
{
    rf_tensor *both[3] = {rf_contiguous(s, in[0]), rf_contiguous(s, in[1]), NULL};
    return rf_expr_optional(s, op, both, op == &rf_op_conv2d ? 3 : 2, 4, attrs, sizeof *attrs);
}

/* Each of the first two inputs' gradients reads the other. */
static rf_op_reads conv_reads(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    return (rf_op_reads){(wanted & 1 ? 2u : 0) | (wanted & 2 ? 1u : 0), 0};
}

static rf_status conv2d_backward(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    rf_tensor *g = grad->grad_out[0];
    if (grad->wanted & 1)
        grad->grad_in[0] = conv_run(s, &rf_op_conv2d_grad_input,
                                    (rf_tensor *[]){g, rf_op_saved_input(grad, 1)}, grad->attrs);
    if (grad->wanted & 2)
        grad->grad_in[1] = conv_run(s, &rf_op_conv2d_grad_weight,
                                    (rf_tensor *[]){g, rf_op_saved_input(grad, 0)}, grad->attrs);
    if (grad->wanted & 4) {
        const rf_shape *y = &grad->out_shape[0];
        rf_tensor *planes = rf_reshape(s, g, 3, (int64_t[]){y->dims[0], y->dims[1], -1});
        grad->grad_in[2] = rf_sum_axis(s, rf_sum_axis(s, planes, 2, 0), 0, 0);
    }
    return s->status;
}

static rf_status conv2d_grad_input_backward(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    rf_tensor *h = grad->grad_out[0];
    if (grad->wanted & 1)
        grad->grad_in[0] =
            conv_run(s, &rf_op_conv2d, (rf_tensor *[]){h, rf_op_saved_input(grad, 1)}, grad->attrs);
    if (grad->wanted & 2)
        grad->grad_in[1] = conv_run(s, &rf_op_conv2d_grad_weight,
                                    (rf_tensor *[]){rf_op_saved_input(grad, 0), h}, grad->attrs);
    return s->status;
}

static rf_status conv2d_grad_weight_backward(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    rf_tensor *h = grad->grad_out[0];
    if (grad->wanted & 1)
        grad->grad_in[0] =
            conv_run(s, &rf_op_conv2d, (rf_tensor *[]){rf_op_saved_input(grad, 1), h}, grad->attrs);
    if (grad->wanted & 2)
        grad->grad_in[1] = conv_run(s, &rf_op_conv2d_grad_input,
                                    (rf_tensor *[]){rf_op_saved_input(grad, 0), h}, grad->attrs);
    return s->status;
}

/* ---- samples ---- */

/* Plain with bias; strided, padded, dilated, without; in groups. */
typedef struct conv_sample {
    conv_attrs attrs;
    int64_t x[4], w[4], y[4];
} conv_sample;
static const conv_sample conv_samples[3] = {
    {{{{2, 2}, {1, 1}, {0, 0}, {1, 1}}, 1, {3, 4}}, {2, 2, 3, 4}, {3, 2, 2, 2}, {2, 3, 2, 3}},
    {{{{3, 2}, {2, 1}, {2, 1}, {1, 2}}, 1, {4, 3}}, {1, 2, 4, 3}, {2, 2, 3, 2}, {1, 2, 3, 3}},
    {{{{1, 1}, {1, 1}, {0, 0}, {1, 1}}, 2, {2, 3}}, {2, 4, 2, 3}, {2, 2, 1, 1}, {2, 2, 2, 3}},
};

static int conv2d_sample(size_t index, rf_op_sample *out)
{
    if (index >= 3)
        return 0;
    memcpy(out->attrs, &conv_samples[index].attrs, sizeof(conv_attrs));
    rf_sample_float(out, 0, -1, 1, 4, conv_samples[index].x);
    rf_sample_float(out, 1, -1, 1, 4, conv_samples[index].w);
    rf_sample_float(out, 2, -1, 1, 1, conv_samples[index].w);
    out->in[2].absent = index == 1;
    return 1;
}

static int conv2d_grad_input_sample(size_t index, rf_op_sample *out)
{
    if (index >= 3)
        return 0;
    memcpy(out->attrs, &conv_samples[index].attrs, sizeof(conv_attrs));
    rf_sample_float(out, 0, -1, 1, 4, conv_samples[index].y);
    rf_sample_float(out, 1, -1, 1, 4, conv_samples[index].w);
    return 1;
}

static int conv2d_grad_weight_sample(size_t index, rf_op_sample *out)
{
    if (index >= 3)
        return 0;
    memcpy(out->attrs, &conv_samples[index].attrs, sizeof(conv_attrs));
    rf_sample_float(out, 0, -1, 1, 4, conv_samples[index].y);
    rf_sample_float(out, 1, -1, 1, 4, conv_samples[index].x);
    return 1;
}

const rf_op_class rf_op_conv2d = {
    .size = sizeof(rf_op_class),
    .name = "conv2d",
    .doc = "y[n,o,i,j] = b[o] + the sum of w[o,c,k,l] x[n,c,i s + k d - p,j s + l d - p]",
    .traits = RF_OP_PRODUCT,
    .num_out = 1,
    .infer = conv2d_infer,
    .forward = conv_forward,
    .reads = conv_reads,
    .backward = conv2d_backward,
    .workspace = conv_workspace,
    .cost = conv_cost,
    .sample = conv2d_sample,
};

const rf_op_class rf_op_conv2d_grad_input = {
    .size = sizeof(rf_op_class),
    .name = "conv2d_grad_input",
    .doc = "dx of a convolution, from g and w",
    .num_out = 1,
    .infer = conv2d_grad_input_infer,
    .forward = conv_forward,
    .reads = conv_reads,
    .backward = conv2d_grad_input_backward,
    .workspace = conv_workspace,
    .cost = conv_cost,
    .sample = conv2d_grad_input_sample,
};

const rf_op_class rf_op_conv2d_grad_weight = {
    .size = sizeof(rf_op_class),
    .name = "conv2d_grad_weight",
    .doc = "dw of a convolution, from g and x",
    .num_out = 1,
    .infer = conv2d_grad_weight_infer,
    .forward = conv_forward,
    .reads = conv_reads,
    .backward = conv2d_grad_weight_backward,
    .workspace = conv_workspace,
    .cost = conv_cost,
    .sample = conv2d_grad_weight_sample,
};

/* ---- the expression ---- */

rf_tensor *rf_conv2d(rf_scope *s, rf_tensor *x, rf_tensor *weight, rf_tensor *bias,
                     const rf_conv2d_options *opts)
{
    static const rf_conv2d_options defaults = RF_CONV2D_OPTIONS_INIT;
    const rf_conv2d_options *o = opts ? opts : &defaults;
    conv_attrs attrs = {.groups = o->groups ? o->groups : 1};
    if (!s->status && o->size != sizeof *o) {
        rf_scope_fail(s, RF_E_ARGUMENT, "conv2d: the options' size is not set");
        return NULL;
    }
    for (int a = 0; a < 2; a++) {
        attrs.window.stride[a] = o->stride[a] ? o->stride[a] : 1;
        attrs.window.padding[a] = o->padding[a];
        attrs.window.dilation[a] = o->dilation[a] ? o->dilation[a] : 1;
        if (x && weight && x->view.shape.rank == 4 && weight->view.shape.rank == 4) {
            attrs.window.size[a] = weight->view.shape.dims[a + 2];
            attrs.image[a] = x->view.shape.dims[a + 2];
        }
    }
    rf_tensor *in[3] = {rf_contiguous(s, x), weight ? rf_contiguous(s, weight) : NULL, bias};
    return rf_expr_optional(s, &rf_op_conv2d, in, 3, 4, &attrs, sizeof attrs);
}
