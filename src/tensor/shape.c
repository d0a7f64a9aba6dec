/* shape.c: element types, shapes and views. */
#include "tensor/handle.h"
#include "base/check.h"

#include <stdio.h>

static const struct {
    const char *name;
    size_t size;
} dtype_rows[RF_DTYPES] = {{"f32", 4}, {"f64", 8}, {"bf16", 2}, {"i32", 4}, {"i64", 8}, {"u8", 1}};

const char *rf_dtype_name(rf_dtype dtype)
{
    return (unsigned)dtype < RF_DTYPES ? dtype_rows[dtype].name : "unknown";
}

size_t rf_dtype_size(rf_dtype dtype)
{
    return (unsigned)dtype < RF_DTYPES ? dtype_rows[dtype].size : 0;
}

int rf_shape_bytes(const rf_shape *shape, size_t *bytes)
{
    size_t n = rf_dtype_size(shape->dtype);
    if (!n)
        return 0;
    for (unsigned i = 0; i < shape->rank; i++)
        if (shape->dims[i] < 0 || !rf_mul_size(n, (size_t)shape->dims[i], &n))
            return 0;
    *bytes = n;
    return n <= INT64_MAX;
}

int rf_shape_equal(const rf_shape *a, const rf_shape *b)
{
    if (a->dtype != b->dtype || a->device != b->device || a->rank != b->rank)
        return 0;
    for (unsigned i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i])
            return 0;
    return 1;
}

const char *rf_shape_text(const rf_shape *shape, char *buffer, size_t bytes)
{
    size_t at = 0;
    buffer[0] = 0;
    for (unsigned i = 0; i <= shape->rank && at < bytes; i++) {
        int n = i < shape->rank ? snprintf(buffer + at, bytes - at, "%s%lld", i ? ", " : "(",
                                           (long long)shape->dims[i])
                                : snprintf(buffer + at, bytes - at, "%s %s", i ? ")" : "()",
                                           rf_dtype_name(shape->dtype));
        at += n > 0 ? (size_t)n : 0;
    }
    return buffer;
}

void rf_view_set_contiguous(rf_view *view)
{
    int64_t stride = 1;
    for (int i = view->shape.rank - 1; i >= 0; i--) {
        view->strides[i] = stride;
        stride *= view->shape.dims[i] > 0 ? view->shape.dims[i] : 1;
    }
    view->offset = 0;
    view->data = NULL;
}

rf_view rf_tensor_view(const rf_tensor *t)
{
    rf_view view = t->view;
    if (t->storage && t->storage->data)
        view.data =
            (char *)t->storage->data + (size_t)view.offset * rf_dtype_size(view.shape.dtype);
    return view;
}
