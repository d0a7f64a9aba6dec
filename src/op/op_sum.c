/* op_sum.c: sums and means over axes, and the sum that undoes broadcasting.
 * y = scale * sum of x over the axes of a mask. dx = scale g, repeated over those axes.
 */
#include "op/expr.h"
#include "op/table.h"

typedef struct sum_attrs {
    uint32_t axes; /* bit i: axis i goes */
    int32_t keep;  /* as size 1          */
    double scale;
} sum_attrs;

static rf_status sum_infer(rf_op_call *call)
{
    const sum_attrs *a = call->attrs;
    const rf_shape *x = &call->in[0].shape;
    rf_shape *y = &call->out[0].shape;
    rf_status status = rf_infer_need_float(call, 0);
    if (status)
        return status;
    y->dtype = x->dtype;
    y->rank = 0;
    for (unsigned i = 0; i < x->rank; i++) {
        if (!(a->axes & (1u << i)))
            y->dims[y->rank++] = x->dims[i];
        else if (a->keep)
            y->dims[y->rank++] = 1;
    }
    return RF_OK;
}

static rf_status sum_forward(rf_op_call *call)
{
    const sum_attrs *a = call->attrs;
    rf_exec e = rf_call_exec(call);
    rf_view y = call->out[0];
    y.shape.rank = call->in[0].shape.rank;
    for (unsigned i = 0; i < y.shape.rank; i++)
        y.shape.dims[i] = a->axes & (1u << i) ? 1 : call->in[0].shape.dims[i];
    void *data = y.data;
    rf_view_set_contiguous(&y);
    y.data = data;
    return rf_call_kernels(call)->sum(&e, a->scale, &call->in[0], &y);
}

static rf_status sum_backward(rf_op_grad *grad)
{
    const sum_attrs *a = grad->attrs;
    rf_scope *s = grad->scope;
    const rf_shape *x = &grad->in_shape[0];
    int64_t dims[RF_MAX_RANK];
    for (unsigned i = 0; i < x->rank; i++)
        dims[i] = a->axes & (1u << i) ? 1 : x->dims[i];
    rf_tensor *g = rf_reshape(s, grad->grad_out[0], x->rank, dims);
    if (a->scale != 1)
        g = rf_affine(s, g, a->scale, 0);
    grad->grad_in[0] = rf_expand(s, g, x->rank, x->dims);
    return s->status;
}

static int sum_sample(size_t index, rf_op_sample *out)
{
    static const sum_attrs rows[] = {{1, 0, 1}, {2, 1, 0.25}, {5, 0, 1}};
    if (index >= 3)
        return 0;
    *(sum_attrs *)(void *)out->attrs = rows[index];
    return rf_sample_unary(index, out);
}

static rf_op_cost sum_cost(const rf_op_call *call)
{
    double n = (double)rf_shape_count(&call->in[0].shape);
    return (rf_op_cost){n, n * (double)rf_dtype_size(call->in[0].shape.dtype)};
}

const rf_op_class rf_op_sum = {
    .size = sizeof(rf_op_class),
    .name = "sum",
    .doc = "scale times the sum of x over some axes",
    .num_out = 1,
    .infer = sum_infer,
    .forward = sum_forward,
    .reads = rf_reads_none,
    .backward = sum_backward,
    .cost = sum_cost,
    .sample = sum_sample,
};

static rf_tensor *sum_run(rf_scope *s, rf_tensor *x, uint32_t axes, int keep, int mean)
{
    sum_attrs a = {axes, keep, 1};
    if (mean && x) {
        double n = 1;
        for (unsigned i = 0; i < x->view.shape.rank; i++)
            if (axes & (1u << i))
                n *= (double)x->view.shape.dims[i];
        a.scale = 1 / n;
    }
    return rf_expr(s, &rf_op_sum, &x, 1, &a, sizeof a);
}

static uint32_t sum_all(const rf_tensor *x)
{
    return x ? (1u << x->view.shape.rank) - 1 : 0;
}

rf_tensor *rf_sum(rf_scope *s, rf_tensor *x)
{
    return sum_run(s, x, sum_all(x), 0, 0);
}

rf_tensor *rf_mean(rf_scope *s, rf_tensor *x)
{
    return sum_run(s, x, sum_all(x), 0, 1);
}

rf_tensor *rf_sum_axis(rf_scope *s, rf_tensor *x, int axis, int keep)
{
    axis = rf_expr_axis(s, x, axis, "sum");
    return axis < 0 ? NULL : sum_run(s, x, 1u << axis, keep, 0);
}

rf_tensor *rf_mean_axis(rf_scope *s, rf_tensor *x, int axis, int keep)
{
    axis = rf_expr_axis(s, x, axis, "mean");
    return axis < 0 ? NULL : sum_run(s, x, 1u << axis, keep, 1);
}

rf_tensor *rf_sum_to(rf_scope *s, rf_tensor *x, size_t rank, const int64_t *dims)
{
    if (s->status || !x)
        return rf_expr1(s, &rf_op_sum, x);
    const rf_shape *shape = &x->view.shape;
    size_t lead = shape->rank - rank;
    uint32_t axes = 0;
    for (size_t i = 0; rank <= shape->rank && i < shape->rank; i++) {
        int64_t want = i < lead ? 1 : dims[i - lead];
        if (i < lead || (want == 1 && shape->dims[i] != 1))
            axes |= 1u << i;
        else if (want != shape->dims[i])
            rank = RF_MAX_RANK + 1;
    }
    if (rank > shape->rank) {
        rf_fail(s->ctx, RF_E_SHAPE, "sum_to: the shape does not broadcast to the tensor's");
        rf_scope_fail(s, RF_E_SHAPE, NULL);
        return NULL;
    }
    if (!axes)
        return x;
    x = sum_run(s, x, axes, 1, 0);
    return lead ? rf_reshape(s, x, rank, dims) : x;
}
