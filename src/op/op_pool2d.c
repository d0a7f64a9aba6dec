/* op_pool2d.c: the largest or the mean in a window that slides over images.
 *   max: y = x[index]. dx = the g whose index is there, summed; linear in g, and its transpose is
 *   picking at the index, whose gradient is that sum again.
 *   mean: linear, and so is its transpose; each is the other's gradient.
 */
#include "op/expr.h"
#include "op/table.h"
#include "kernel/window.h"

#include <string.h>

typedef struct pool_attrs {
    rf_window window;
    int64_t image[2]; /* (H, W) */
} pool_attrs;

static rf_status pool_check(rf_op_call *call, size_t inputs)
{
    const pool_attrs *p = call->attrs;
    rf_status status = rf_infer_need_float(call, 0);
    for (size_t i = 0; i < inputs && !status; i++)
        status = rf_infer_need_contiguous(call, i);
    for (size_t i = 0; i < inputs && !status; i++)
        if (call->in[i].shape.rank != 4)
            status = rf_op_fail(call, RF_E_SHAPE, "images have four axes");
    for (int a = 0; a < 2 && !status; a++) {
        const rf_window *w = &p->window;
        if (w->size[a] < 1 || w->size[a] > INT32_MAX || w->stride[a] < 1 ||
            w->stride[a] > INT32_MAX || w->padding[a] < 0 || w->padding[a] > w->size[a] / 2)
            status = rf_op_fail(call, RF_E_SHAPE,
                                "kernel and stride must be positive, padding at most half of the "
                                "kernel");
    }
    if (!status && (p->image[0] < 1 || p->image[1] < 1 || p->image[0] > INT32_MAX / p->image[1]))
        status = rf_op_fail(call, RF_E_SHAPE, "an image wants at least one, below 2^31 elements");
    return status;
}

/* What a window leaves of an image; RF_E_SHAPE if it does not fit. */
static rf_status pool_places(rf_op_call *call, int64_t places[2])
{
    const pool_attrs *p = call->attrs;
    for (int a = 0; a < 2; a++) {
        places[a] = rf_window_places(&p->window, a, p->image[a]);
        if (!places[a])
            return rf_op_fail(call, RF_E_SHAPE, "the kernel is larger than the image");
    }
    return RF_OK;
}

/* x (N, C, H, W) -> (N, C, OH, OW) */
static rf_status pool_narrow_infer(rf_op_call *call)
{
    int64_t places[2];
    rf_status status = pool_check(call, 1);
    if (!status)
        status = pool_places(call, places);
    if (status)
        return status;
    call->out[0].shape = call->in[0].shape;
    memcpy(&call->out[0].shape.dims[2], places, sizeof places);
    return RF_OK;
}

/* g (N, C, OH, OW) -> (N, C, H, W) */
static rf_status pool_widen_infer(rf_op_call *call)
{
    const pool_attrs *p = call->attrs;
    rf_status status = pool_check(call, call->num_in);
    if (status)
        return status;
    call->out[0].shape = call->in[0].shape;
    memcpy(&call->out[0].shape.dims[2], p->image, sizeof p->image);
    return RF_OK;
}

static rf_op_reads pool_index_reads(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    return (rf_op_reads){wanted ? 2u : 0, 0};
}

/* One of the ops below, which take g or x and some an index. */
static rf_tensor *pool_run(rf_scope *s, const rf_op_class *op, rf_tensor *const in[2],
                           const pool_attrs *attrs)
{
    rf_tensor *both[2] = {rf_contiguous(s, in[0]), in[1]};
    return rf_expr(s, op, both, in[1] ? 2 : 1, attrs, sizeof *attrs);
}

/* ---- the largest ---- */

static rf_status max_pool2d_infer(rf_op_call *call)
{
    rf_status status = pool_narrow_infer(call);
    call->out[1].shape = call->out[0].shape;
    call->out[1].shape.dtype = RF_I32;
    return status;
}

static rf_status max_pool2d_forward(rf_op_call *call)
{
    rf_exec e = rf_call_exec(call);
    const pool_attrs *p = call->attrs;
    return rf_call_kernels(call)->max_pool2d(&e, &p->window, &call->in[0], &call->out[0],
                                             &call->out[1]);
}

static rf_op_reads max_pool2d_reads(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    return (rf_op_reads){0, wanted ? 2u : 0};
}

static rf_status max_pool2d_backward(rf_op_grad *grad)
{
    rf_tensor *in[2] = {grad->grad_out[0], rf_op_saved_output(grad, 1)};
    grad->grad_in[0] = pool_run(grad->scope, &rf_op_max_pool2d_grad, in, grad->attrs);
    return grad->scope->status;
}

static rf_status max_pool2d_grad_infer(rf_op_call *call)
{
    rf_status status = pool_widen_infer(call);
    if (!status && memcmp(call->in[0].shape.dims, call->in[1].shape.dims, 4 * sizeof(int64_t)))
        return rf_op_fail(call, RF_E_SHAPE, "g and index differ in shape");
    if (!status && call->in[1].shape.dtype != RF_I32 && call->in[1].shape.dtype != RF_I64)
        return rf_op_fail(call, RF_E_DTYPE, "an index is of type i32 or i64");
    return status;
}

static rf_status max_pool2d_grad_forward(rf_op_call *call)
{
    rf_exec e = rf_call_exec(call);
    return rf_call_kernels(call)->pool2d_scatter(&e, &call->in[0], &call->in[1], &call->out[0]);
}

static rf_status max_pool2d_grad_backward(rf_op_grad *grad)
{
    rf_tensor *in[2] = {grad->grad_out[0], rf_op_saved_input(grad, 1)};
    grad->grad_in[0] = pool_run(grad->scope, &rf_op_pool2d_pick, in, grad->attrs);
    return grad->scope->status;
}

static rf_status pool2d_pick_infer(rf_op_call *call)
{
    const rf_shape *x = &call->in[0].shape, *index = &call->in[1].shape;
    const pool_attrs *p = call->attrs;
    rf_status status = pool_check(call, 2);
    if (!status && (memcmp(x->dims, index->dims, 2 * sizeof(int64_t)) ||
                    memcmp(&x->dims[2], p->image, sizeof p->image)))
        return rf_op_fail(call, RF_E_SHAPE, "x and index do not go together");
    if (!status && index->dtype != RF_I32 && index->dtype != RF_I64)
        return rf_op_fail(call, RF_E_DTYPE, "an index is of type i32 or i64");
    call->out[0].shape = *index;
    call->out[0].shape.dtype = x->dtype;
    return status;
}

static rf_status pool2d_pick_forward(rf_op_call *call)
{
    rf_exec e = rf_call_exec(call);
    return rf_call_kernels(call)->pool2d_pick(&e, &call->in[0], &call->in[1], &call->out[0]);
}

static rf_status pool2d_pick_backward(rf_op_grad *grad)
{
    rf_tensor *in[2] = {grad->grad_out[0], rf_op_saved_input(grad, 1)};
    grad->grad_in[0] = pool_run(grad->scope, &rf_op_max_pool2d_grad, in, grad->attrs);
    return grad->scope->status;
}

/* ---- the mean ---- */

static rf_status avg_pool2d_forward(rf_op_call *call)
{
    rf_exec e = rf_call_exec(call);
    const pool_attrs *p = call->attrs;
    return rf_call_kernels(call)->avg_pool2d(&e, &p->window, &call->in[0], &call->out[0]);
}

static rf_status avg_pool2d_backward(rf_op_grad *grad)
{
    rf_tensor *in[2] = {grad->grad_out[0], NULL};
    grad->grad_in[0] = pool_run(grad->scope, &rf_op_avg_pool2d_grad, in, grad->attrs);
    return grad->scope->status;
}

static rf_status avg_pool2d_grad_infer(rf_op_call *call)
{
    int64_t places[2];
    rf_status status = pool_widen_infer(call);
    if (!status)
        status = pool_places(call, places);
    if (!status && memcmp(&call->in[0].shape.dims[2], places, sizeof places))
        return rf_op_fail(call, RF_E_SHAPE, "g has not one element per place of the window");
    return status;
}

static rf_status avg_pool2d_grad_forward(rf_op_call *call)
{
    rf_exec e = rf_call_exec(call);
    const pool_attrs *p = call->attrs;
    return rf_call_kernels(call)->avg_pool2d_grad(&e, &p->window, &call->in[0], &call->out[0]);
}

static rf_status avg_pool2d_grad_backward(rf_op_grad *grad)
{
    rf_tensor *in[2] = {grad->grad_out[0], NULL};
    grad->grad_in[0] = pool_run(grad->scope, &rf_op_avg_pool2d, in, grad->attrs);
    return grad->scope->status;
}

/* Elements of the window for each element of the smaller side. */
static rf_op_cost avg_pool2d_cost(const rf_op_call *call)
{
    const pool_attrs *p = call->attrs;
    double in = (double)rf_shape_count(&call->in[0].shape);
    double out = (double)rf_shape_count(&call->out[0].shape), few = in < out ? in : out;
    return (rf_op_cost){few * (double)(p->window.size[0] * p->window.size[1]),
                        (in + out) * (double)rf_dtype_size((rf_dtype)call->in[0].shape.dtype)};
}

/* ---- samples ---- */

/* Side by side; overlapping and padded. */
typedef struct pool_sample {
    pool_attrs attrs;
    int64_t x[4], y[4];
} pool_sample;
static const pool_sample pool_samples[2] = {
    {{{{2, 2}, {2, 2}, {0, 0}, {1, 1}}, {4, 5}}, {2, 2, 4, 5}, {2, 2, 2, 2}},
    {{{{3, 2}, {2, 1}, {1, 1}, {1, 1}}, {5, 3}}, {1, 2, 5, 3}, {1, 2, 3, 4}},
};

static int pool_narrow_sample(size_t index, rf_op_sample *out)
{
    if (index >= 2)
        return 0;
    memcpy(out->attrs, &pool_samples[index].attrs, sizeof(pool_attrs));
    rf_sample_float(out, 0, -2, 2, 4, pool_samples[index].x);
    return 1;
}

static int pool_widen_sample(size_t index, rf_op_sample *out)
{
    if (index >= 2)
        return 0;
    memcpy(out->attrs, &pool_samples[index].attrs, sizeof(pool_attrs));
    rf_sample_float(out, 0, -2, 2, 4, pool_samples[index].y);
    return 1;
}

static int pool_indexed(int more, size_t index, rf_op_sample *out)
{
    if (more)
        rf_sample_integer(out, 1, pool_samples[index].x[2] * pool_samples[index].x[3], 4,
                          pool_samples[index].y);
    return more;
}

static int max_pool2d_grad_sample(size_t index, rf_op_sample *out)
{
    return pool_indexed(pool_widen_sample(index, out), index, out);
}

static int pool2d_pick_sample(size_t index, rf_op_sample *out)
{
    return pool_indexed(pool_narrow_sample(index, out), index, out);
}

static int64_t pool_index_below(const rf_op_call *call, size_t input)
{
    const pool_attrs *p = call->attrs;
    return input == 1 ? p->image[0] * p->image[1] : 0;
}

const rf_op_class rf_op_max_pool2d = {
    .size = sizeof(rf_op_class),
    .name = "max_pool2d",
    .doc = "the largest in each place of a window",
    .num_out = 1,
    .num_aux = 1,
    .infer = max_pool2d_infer,
    .forward = max_pool2d_forward,
    .reads = max_pool2d_reads,
    .backward = max_pool2d_backward,
    .sample = pool_narrow_sample,
};

const rf_op_class rf_op_max_pool2d_grad = {
    .size = sizeof(rf_op_class),
    .name = "max_pool2d_grad",
    .doc = "g added up at an index of each (H, W) plane, else 0",
    .num_out = 1,
    .infer = max_pool2d_grad_infer,
    .forward = max_pool2d_grad_forward,
    .reads = pool_index_reads,
    .backward = max_pool2d_grad_backward,
    .sample = max_pool2d_grad_sample,
    .index_below = pool_index_below,
};

const rf_op_class rf_op_pool2d_pick = {
    .size = sizeof(rf_op_class),
    .name = "pool2d_pick",
    .doc = "x at an index of each (H, W) plane",
    .num_out = 1,
    .infer = pool2d_pick_infer,
    .forward = pool2d_pick_forward,
    .reads = pool_index_reads,
    .backward = pool2d_pick_backward,
    .sample = pool2d_pick_sample,
    .index_below = pool_index_below,
};

const rf_op_class rf_op_avg_pool2d = {
    .size = sizeof(rf_op_class),
    .name = "avg_pool2d",
    .doc = "the mean over each place of a window, padding counting as zeros",
    .num_out = 1,
    .infer = pool_narrow_infer,
    .forward = avg_pool2d_forward,
    .reads = rf_reads_none,
    .backward = avg_pool2d_backward,
    .cost = avg_pool2d_cost,
    .sample = pool_narrow_sample,
};

const rf_op_class rf_op_avg_pool2d_grad = {
    .size = sizeof(rf_op_class),
    .name = "avg_pool2d_grad",
    .doc = "each g divided among the elements that its place of the window sees",
    .num_out = 1,
    .infer = avg_pool2d_grad_infer,
    .forward = avg_pool2d_grad_forward,
    .reads = rf_reads_none,
    .backward = avg_pool2d_grad_backward,
    .cost = avg_pool2d_cost,
    .sample = pool_widen_sample,
};

/* ---- the expressions ---- */

static rf_tensor *pool_expr(rf_scope *s, const rf_op_class *op, rf_tensor *x,
                            const rf_pool2d_options *o)
{
    pool_attrs attrs = {.window.dilation = {1, 1}};
    if (!s->status && (!o || o->size != sizeof *o)) {
        rf_fail(s->ctx, RF_E_ARGUMENT, "%s: options are required, with their size set", op->name);
        rf_scope_fail(s, RF_E_ARGUMENT, NULL);
    }
    if (s->status)
        return NULL;
    for (int a = 0; a < 2; a++) {
        attrs.window.size[a] = o->kernel[a];
        attrs.window.stride[a] = o->stride[a] ? o->stride[a] : o->kernel[a];
        attrs.window.padding[a] = o->padding[a];
        attrs.image[a] = x && x->view.shape.rank == 4 ? x->view.shape.dims[a + 2] : 1;
    }
    return pool_run(s, op, (rf_tensor *[]){x, NULL}, &attrs);
}

rf_tensor *rf_max_pool2d(rf_scope *s, rf_tensor *x, const rf_pool2d_options *opts)
{
    return pool_expr(s, &rf_op_max_pool2d, x, opts);
}

rf_tensor *rf_avg_pool2d(rf_scope *s, rf_tensor *x, const rf_pool2d_options *opts)
{
    return pool_expr(s, &rf_op_avg_pool2d, x, opts);
}
