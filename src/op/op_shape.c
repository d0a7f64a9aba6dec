/* op_shape.c: reshape, expand, permute: the same bytes under another shape.
 * Each is undone by its like: reshape by reshape, permute by the inverse order, expand by the sum
 * over what it repeated.
 */
#include "op/expr.h"
#include "op/table.h"

#include <string.h>

typedef struct dims_attrs {
    int64_t rank;
    int64_t dims[RF_MAX_RANK];
} dims_attrs;

static int dims_copy(rf_scope *s, dims_attrs *a, size_t rank, const int64_t *dims, const char *op)
{
    if (s->status)
        return 0;
    if (rank > RF_MAX_RANK) {
        rf_fail(s->ctx, RF_E_SHAPE, "%s: rank %zu is more than %d", op, rank, RF_MAX_RANK);
        rf_scope_fail(s, RF_E_SHAPE, NULL);
        return 0;
    }
    memset(a, 0, sizeof *a);
    a->rank = (int64_t)rank;
    if (rank)
        memcpy(a->dims, dims, rank * sizeof *dims);
    return 1;
}

static void dims_set_shape(const dims_attrs *a, rf_view *out)
{
    out->shape.rank = (uint8_t)a->rank;
    memcpy(out->shape.dims, a->dims, sizeof a->dims);
}

/* ---- reshape ---- */

/* Fill strides so that the elements of x look like to->shape without moving; 0 if they cannot. Axes
 * are matched in groups with equally many elements; within a group every axis of x must follow on
 * the next. Counts are equal. */
static int reshape_strides(const rf_view *x, rf_view *to)
{
    unsigned old[RF_MAX_RANK], num = 0, i = 0, j = 0;
    for (unsigned k = 0; k < x->shape.rank; k++)
        if (x->shape.dims[k] != 1)
            old[num++] = k;
    rf_view_set_contiguous(to);
    if (rf_view_contiguous(x))
        return 1;
    while (i < num) {
        unsigned group = i, first = j;
        int64_t have = x->shape.dims[old[i++]], want = to->shape.dims[j++];
        while (have != want) {
            if (have < want)
                have *= x->shape.dims[old[i++]];
            else
                want *= to->shape.dims[j++];
        }
        for (unsigned k = group; k + 1 < i; k++)
            if (x->strides[old[k]] != x->strides[old[k + 1]] * x->shape.dims[old[k + 1]])
                return 0;
        int64_t stride = x->strides[old[i - 1]];
        for (unsigned k = j; k-- > first;) {
            to->strides[k] = stride;
            stride *= to->shape.dims[k];
        }
    }
    return 1;
}

static rf_status reshape_infer(rf_op_call *call)
{
    const dims_attrs *a = call->attrs;
    rf_view *out = &call->out[0];
    char was[128], is[128];
    out->shape = call->in[0].shape;
    dims_set_shape(a, out);
    if (rf_shape_count(&out->shape) != rf_shape_count(&call->in[0].shape))
        return rf_fail(call->ctx, RF_E_SHAPE, "reshape: %s has another number of elements than %s",
                       rf_shape_text(&call->in[0].shape, was, sizeof was),
                       rf_shape_text(&out->shape, is, sizeof is));
    if (!reshape_strides(&call->in[0], out))
        return rf_op_fail(call, RF_E_SHAPE, "the elements would have to move");
    out->offset = call->in[0].offset;
    return RF_OK;
}

static rf_status reshape_backward(rf_op_grad *grad)
{
    const rf_shape *x = &grad->in_shape[0];
    grad->grad_in[0] = rf_reshape(grad->scope, grad->grad_out[0], x->rank, x->dims);
    return grad->scope->status;
}

static int reshape_sample(size_t index, rf_op_sample *out)
{
    *(dims_attrs *)(void *)out->attrs = (dims_attrs){2, {6, 2}};
    return index == 0 && rf_sample_unary(2, out);
}

const rf_op_class rf_op_reshape = {
    .size = sizeof(rf_op_class),
    .name = "reshape",
    .doc = "the same elements in row-major order",
    .traits = RF_OP_VIEW,
    .num_out = 1,
    .infer = reshape_infer,
    .reads = rf_reads_none,
    .backward = reshape_backward,
    .sample = reshape_sample,
};

/* Put the size that makes the count right in the place of a -1. */
static void reshape_complete(dims_attrs *a, int64_t count)
{
    int64_t known = 1, open = -1;
    for (int64_t i = 0; i < a->rank; i++) {
        if (a->dims[i] == -1 && open < 0)
            open = i;
        else
            known *= a->dims[i];
    }
    if (open >= 0)
        a->dims[open] = known > 0 ? count / known : 0;
}

rf_tensor *rf_reshape(rf_scope *s, rf_tensor *x, size_t rank, const int64_t *dims)
{
    dims_attrs a;
    rf_view to = {0};
    if (!dims_copy(s, &a, rank, dims, "reshape"))
        return NULL;
    if (x) {
        reshape_complete(&a, rf_tensor_count(x));
        dims_set_shape(&a, &to);
        if (rf_shape_count(&to.shape) == rf_tensor_count(x) && !reshape_strides(&x->view, &to))
            x = rf_clone(s, x);
    }
    return rf_expr(s, &rf_op_reshape, &x, 1, &a, sizeof a);
}

/* ---- expand ---- */

static rf_status expand_infer(rf_op_call *call)
{
    const dims_attrs *a = call->attrs;
    const rf_view *x = &call->in[0];
    rf_view *out = &call->out[0];
    size_t lead = (size_t)a->rank - x->shape.rank;
    int fits = (size_t)a->rank >= x->shape.rank;
    for (size_t i = 0; fits && i < x->shape.rank; i++)
        fits = x->shape.dims[i] == a->dims[lead + i] || x->shape.dims[i] == 1;
    if (!fits)
        return rf_op_fail(call, RF_E_SHAPE, "the tensor does not broadcast to the shape");
    rf_shape to = x->shape;
    to.rank = (uint8_t)a->rank;
    memcpy(to.dims, a->dims, sizeof a->dims);
    *out = *x;
    rf_view_broadcast(out, &to);
    return RF_OK;
}

static rf_status expand_backward(rf_op_grad *grad)
{
    grad->grad_in[0] = rf_grad_to(grad, grad->grad_out[0], 0);
    return grad->scope->status;
}

static int expand_sample(size_t index, rf_op_sample *out)
{
    static const int64_t dims[3] = {3, 1, 2};
    *(dims_attrs *)(void *)out->attrs = (dims_attrs){4, {2, 3, 4, 2}};
    rf_sample_float(out, 0, -1, 1, 3, dims);
    return index == 0;
}

const rf_op_class rf_op_expand = {
    .size = sizeof(rf_op_class),
    .name = "expand",
    .doc = "x repeated along axes of size 1 and new leading axes",
    .traits = RF_OP_VIEW,
    .num_out = 1,
    .infer = expand_infer,
    .reads = rf_reads_none,
    .backward = expand_backward,
    .sample = expand_sample,
};

rf_tensor *rf_expand(rf_scope *s, rf_tensor *x, size_t rank, const int64_t *dims)
{
    dims_attrs a;
    return dims_copy(s, &a, rank, dims, "expand") ? rf_expr(s, &rf_op_expand, &x, 1, &a, sizeof a)
                                                  : NULL;
}

/* ---- permute ---- */

static rf_status permute_infer(rf_op_call *call)
{
    const dims_attrs *a = call->attrs;
    const rf_view *x = &call->in[0];
    uint32_t seen = 0;
    if ((size_t)a->rank != x->shape.rank)
        return rf_op_fail(call, RF_E_SHAPE, "not as many axes as the tensor has");
    call->out[0] = *x;
    for (int64_t i = 0; i < a->rank; i++) {
        int64_t from = a->dims[i];
        if (from < 0 || from >= a->rank || seen & (1u << from))
            return rf_op_fail(call, RF_E_SHAPE, "the axes are not a permutation");
        seen |= 1u << from;
        call->out[0].shape.dims[i] = x->shape.dims[from];
        call->out[0].strides[i] = x->strides[from];
    }
    return RF_OK;
}

static rf_status permute_backward(rf_op_grad *grad)
{
    const dims_attrs *a = grad->attrs;
    int inverse[RF_MAX_RANK] = {0};
    for (int64_t i = 0; i < a->rank; i++)
        inverse[a->dims[i]] = (int)i;
    grad->grad_in[0] = rf_permute(grad->scope, grad->grad_out[0], (size_t)a->rank, inverse);
    return grad->scope->status;
}

static int permute_sample(size_t index, rf_op_sample *out)
{
    *(dims_attrs *)(void *)out->attrs = (dims_attrs){3, {2, 0, 1}};
    return index == 0 && rf_sample_unary(2, out);
}

const rf_op_class rf_op_permute = {
    .size = sizeof(rf_op_class),
    .name = "permute",
    .doc = "axes in another order",
    .traits = RF_OP_VIEW,
    .num_out = 1,
    .infer = permute_infer,
    .reads = rf_reads_none,
    .backward = permute_backward,
    .sample = permute_sample,
};

rf_tensor *rf_permute(rf_scope *s, rf_tensor *x, size_t rank, const int *axes)
{
    dims_attrs a = {(int64_t)rank, {0}};
    if (rank > RF_MAX_RANK)
        return rf_transpose_axes(s, x, RF_MAX_RANK, 0); /* fails by name */
    for (size_t i = 0; i < rank; i++)
        a.dims[i] = axes[i] < 0 ? axes[i] + (int)rank : axes[i];
    return rf_expr(s, &rf_op_permute, &x, 1, &a, sizeof a);
}

rf_tensor *rf_transpose_axes(rf_scope *s, rf_tensor *x, int a, int b)
{
    int axes[RF_MAX_RANK];
    a = rf_expr_axis(s, x, a, "transpose");
    b = rf_expr_axis(s, x, b, "transpose");
    if (a < 0 || b < 0)
        return NULL;
    for (int i = 0; i < RF_MAX_RANK; i++)
        axes[i] = i == a ? b : i == b ? a : i;
    return rf_permute(s, x, x->view.shape.rank, axes);
}
