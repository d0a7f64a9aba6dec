/* op_slice.c: a part of an axis, its undoing (pad), and parts put together (concat).
 * slice is undone by pad: zeros with g in its place. pad is undone by slice, concat by slices.
 */
#include "op/expr.h"
#include "op/table.h"

typedef struct slice_attrs {
    int64_t axis, start, stop;
    int64_t full; /* pad: size of the axis of the result */
} slice_attrs;

static rf_status slice_infer(rf_op_call *call)
{
    const slice_attrs *a = call->attrs;
    rf_view *out = &call->out[0];
    *out = call->in[0];
    if (a->start < 0 || a->stop < a->start || a->stop > out->shape.dims[a->axis])
        return rf_fail(call->ctx, RF_E_SHAPE, "slice: %lld to %lld of an axis of %lld",
                       (long long)a->start, (long long)a->stop,
                       (long long)out->shape.dims[a->axis]);
    out->shape.dims[a->axis] = a->stop - a->start;
    out->offset += a->start * out->strides[a->axis];
    return RF_OK;
}

static rf_status slice_backward(rf_op_grad *grad)
{
    slice_attrs a = *(const slice_attrs *)grad->attrs;
    a.full = grad->in_shape[0].dims[a.axis];
    grad->grad_in[0] = rf_expr(grad->scope, &rf_op_pad, grad->grad_out, 1, &a, sizeof a);
    return grad->scope->status;
}

static int slice_sample(size_t index, rf_op_sample *out)
{
    *(slice_attrs *)(void *)out->attrs = (slice_attrs){(int64_t)index, 1, 3 - (int64_t)index, 0};
    return index < 2 && rf_sample_unary(index + 1, out);
}

const rf_op_class rf_op_slice = {
    .size = sizeof(rf_op_class),
    .name = "slice",
    .doc = "elements start to stop - 1 of an axis",
    .traits = RF_OP_VIEW,
    .num_out = 1,
    .infer = slice_infer,
    .reads = rf_reads_none,
    .backward = slice_backward,
    .sample = slice_sample,
};

static rf_status pad_infer(rf_op_call *call)
{
    const slice_attrs *a = call->attrs;
    call->out[0].shape = call->in[0].shape;
    call->out[0].shape.dims[a->axis] = a->full;
    if (a->start + call->in[0].shape.dims[a->axis] > a->full)
        return rf_op_fail(call, RF_E_SHAPE, "the part does not fit");
    return RF_OK;
}

/* Elements start to start + length - 1 of an axis of out. */
static rf_view slice_part(const rf_view *out, int64_t axis, int64_t start, int64_t length)
{
    rf_view part = *out;
    part.shape.dims[axis] = length;
    if (part.data)
        part.data = (char *)part.data +
                    (size_t)(start * part.strides[axis]) * rf_dtype_size(part.shape.dtype);
    return part;
}

static rf_status pad_forward(rf_op_call *call)
{
    const slice_attrs *a = call->attrs;
    rf_exec e = rf_call_exec(call);
    const rf_kernels *k = rf_call_kernels(call);
    rf_view part = slice_part(&call->out[0], a->axis, a->start, call->in[0].shape.dims[a->axis]);
    rf_status status = k->fill(&e, 0, &call->out[0]);
    return status ? status : k->unary(&e, RF_UNARY_COPY, &call->in[0], &part);
}

static rf_status pad_backward(rf_op_grad *grad)
{
    const slice_attrs *a = grad->attrs;
    grad->grad_in[0] = rf_slice(grad->scope, grad->grad_out[0], (int)a->axis, a->start,
                                a->start + grad->in_shape[0].dims[a->axis]);
    return grad->scope->status;
}

static int pad_sample(size_t index, rf_op_sample *out)
{
    *(slice_attrs *)(void *)out->attrs = (slice_attrs){1, 2, 0, 7};
    return index == 0 && rf_sample_unary(1, out);
}

const rf_op_class rf_op_pad = {
    .size = sizeof(rf_op_class),
    .name = "pad",
    .doc = "zeros around x along an axis",
    .num_out = 1,
    .infer = pad_infer,
    .forward = pad_forward,
    .reads = rf_reads_none,
    .backward = pad_backward,
    .sample = pad_sample,
};

rf_tensor *rf_slice(rf_scope *s, rf_tensor *x, int axis, int64_t start, int64_t stop)
{
    axis = rf_expr_axis(s, x, axis, "slice");
    slice_attrs a = {axis, start, stop, 0};
    if (axis < 0)
        return NULL;
    int64_t size = x->view.shape.dims[axis];
    a.start += start < 0 ? size : 0;
    a.stop += stop < 0 ? size : 0;
    return rf_expr(s, &rf_op_slice, &x, 1, &a, sizeof a);
}

/* ---- concat ---- */

static rf_status concat_infer(rf_op_call *call)
{
    const slice_attrs *a = call->attrs;
    rf_shape *out = &call->out[0].shape;
    *out = call->in[0].shape;
    for (size_t i = 1; i < call->num_in; i++) {
        rf_shape like = call->in[i].shape;
        int64_t size = like.dims[a->axis];
        like.dims[a->axis] = out->dims[a->axis];
        if (!rf_shape_equal(&like, out))
            return rf_op_fail(call, RF_E_SHAPE, "the parts differ in more than the axis");
        out->dims[a->axis] += size;
    }
    return RF_OK;
}

static rf_status concat_forward(rf_op_call *call)
{
    const slice_attrs *a = call->attrs;
    rf_exec e = rf_call_exec(call);
    rf_status status = RF_OK;
    int64_t at = 0;
    for (size_t i = 0; i < call->num_in && !status; i++) {
        int64_t size = call->in[i].shape.dims[a->axis];
        rf_view part = slice_part(&call->out[0], a->axis, at, size);
        status = rf_call_kernels(call)->unary(&e, RF_UNARY_COPY, &call->in[i], &part);
        at += size;
    }
    return status;
}

static rf_status concat_backward(rf_op_grad *grad)
{
    const slice_attrs *a = grad->attrs;
    int64_t at = 0;
    for (size_t i = 0; i < grad->num_in; i++) {
        int64_t size = grad->in_shape[i].dims[a->axis];
        if (grad->wanted & (1u << i))
            grad->grad_in[i] =
                rf_slice(grad->scope, grad->grad_out[0], (int)a->axis, at, at + size);
        at += size;
    }
    return grad->scope->status;
}

static int concat_sample(size_t index, rf_op_sample *out)
{
    static const int64_t a[2] = {2, 3}, b[2] = {2, 1};
    *(slice_attrs *)(void *)out->attrs = (slice_attrs){1, 0, 0, 0};
    rf_sample_float(out, 0, -1, 1, 2, a);
    rf_sample_float(out, 1, -1, 1, 2, b);
    rf_sample_float(out, 2, -1, 1, 2, a);
    return index == 0;
}

const rf_op_class rf_op_concat = {
    .size = sizeof(rf_op_class),
    .name = "concat",
    .doc = "parts one after the other along an axis",
    .num_out = 1,
    .infer = concat_infer,
    .forward = concat_forward,
    .reads = rf_reads_none,
    .backward = concat_backward,
    .sample = concat_sample,
};

rf_tensor *rf_concat(rf_scope *s, const rf_values *xs, int axis)
{
    axis = rf_expr_axis(s, xs->num ? xs->v[0] : NULL, axis, "concat");
    slice_attrs a = {axis, 0, 0, 0};
    if (axis < 0)
        return NULL;
    for (size_t i = 0; i < xs->num; i++)
        if (xs->v[i] && xs->v[i]->view.shape.rank <= axis) {
            rf_fail(s->ctx, RF_E_SHAPE, "concat: the parts differ in rank");
            rf_scope_fail(s, RF_E_SHAPE, NULL);
            return NULL;
        }
    if (xs->num <= RF_MAX_INPUTS)
        return rf_expr(s, &rf_op_concat, xs->v, xs->num, &a, sizeof a);
    /* More parts than an op takes: the first of them make one part. */
    rf_values first = {xs->v, xs->num / 2}, rest = {xs->v + first.num, xs->num - first.num};
    rf_tensor *halves[2] = {rf_concat(s, &first, axis), rf_concat(s, &rest, axis)};
    return rf_expr(s, &rf_op_concat, halves, 2, &a, sizeof a);
}

/* ---- split ---- */

typedef struct split_attrs {
    int64_t axis, parts;
} split_attrs;

static rf_status split_infer(rf_op_call *call)
{
    const split_attrs *a = call->attrs;
    int64_t size = call->in[0].shape.dims[a->axis] / a->parts;
    call->num_out = (size_t)a->parts;
    for (int64_t j = 0; j < a->parts; j++) {
        rf_view *out = &call->out[j];
        *out = call->in[0];
        out->shape.dims[a->axis] = size;
        out->offset += j * size * out->strides[a->axis];
    }
    return RF_OK;
}

static rf_status split_backward(rf_op_grad *grad)
{
    const split_attrs *a = grad->attrs;
    rf_scope *s = grad->scope;
    rf_tensor *parts[RF_MAX_OUTPUTS];
    rf_values xs = {parts, grad->num_out};
    for (size_t j = 0; j < grad->num_out; j++) {
        const rf_shape *shape = &grad->out_shape[j];
        parts[j] = grad->grad_out[j]
                       ? grad->grad_out[j]
                       : rf_zeros(s, (rf_dtype)shape->dtype, shape->rank, shape->dims);
    }
    grad->grad_in[0] = rf_concat(s, &xs, (int)a->axis);
    return s->status;
}

static int split_sample(size_t index, rf_op_sample *out)
{
    *(split_attrs *)(void *)out->attrs = (split_attrs){(int64_t)index, index ? 4 : 3};
    return index < 2 && rf_sample_unary(1, out);
}

const rf_op_class rf_op_split = {
    .size = sizeof(rf_op_class),
    .name = "split",
    .doc = "equal parts of an axis",
    .traits = RF_OP_VIEW,
    .num_out = RF_MAX_OUTPUTS,
    .infer = split_infer,
    .reads = rf_reads_none,
    .backward = split_backward,
    .sample = split_sample,
};

rf_status rf_split(rf_scope *s, rf_tensor *x, int axis, rf_values *parts)
{
    axis = rf_expr_axis(s, x, axis, "split");
    if (axis < 0)
        return s->status;
    int64_t size = x->view.shape.dims[axis], num = (int64_t)parts->num;
    if (!num || size % num) {
        rf_fail(s->ctx, RF_E_SHAPE, "split: an axis of %lld does not make %lld equal parts",
                (long long)size, (long long)num);
        return rf_scope_fail(s, RF_E_SHAPE, NULL);
    }
    if (num <= RF_MAX_OUTPUTS) {
        split_attrs a = {axis, num};
        return rf_op_run(s, &rf_op_split, &(rf_values){&x, 1}, &a, sizeof a, parts);
    }
    for (int64_t i = 0; i < num; i++)
        parts->v[i] = rf_slice(s, x, axis, i * (size / num), (i + 1) * (size / num));
    return s->status;
}
