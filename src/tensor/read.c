/* read.c: what can be asked of a tensor, and its elements. Asking for elements computes a value
 * that a recompute has only noted so far. */
#include "tensor/handle.h"
#include "tensor/tiered.h"

#include <string.h>

rf_context *rf_tensor_context(const rf_tensor *t)
{
    return t->ctx;
}

rf_dtype rf_tensor_dtype(const rf_tensor *t)
{
    return (rf_dtype)t->view.shape.dtype;
}

rf_device rf_tensor_device(const rf_tensor *t)
{
    return (rf_device)t->view.shape.device;
}

size_t rf_tensor_rank(const rf_tensor *t)
{
    return t->view.shape.rank;
}

const int64_t *rf_tensor_dims(const rf_tensor *t)
{
    return t->view.shape.dims;
}

const int64_t *rf_tensor_strides(const rf_tensor *t)
{
    return t->view.strides;
}

int64_t rf_tensor_dim(const rf_tensor *t, int axis)
{
    int rank = t->view.shape.rank;
    if (axis < 0)
        axis += rank;
    return axis >= 0 && axis < rank ? t->view.shape.dims[axis] : 0;
}

int64_t rf_tensor_count(const rf_tensor *t)
{
    return rf_shape_count(&t->view.shape);
}

size_t rf_tensor_bytes(const rf_tensor *t)
{
    return (size_t)rf_tensor_count(t) * rf_dtype_size(rf_tensor_dtype(t));
}

uint32_t rf_tensor_version(const rf_tensor *t)
{
    return t->storage ? t->storage->version : 0;
}

int rf_tensor_same(const rf_tensor *a, const rf_tensor *b)
{
    if (!a->storage || a->storage != b->storage || a->view.offset != b->view.offset ||
        !rf_shape_equal(&a->view.shape, &b->view.shape))
        return 0;
    for (unsigned i = 0; i < a->view.shape.rank; i++)
        if (a->view.strides[i] != b->view.strides[i])
            return 0;
    return 1;
}

/* Computed bytes on the processor, or the reason why there are none. */
static rf_status read_ready(const rf_tensor *t)
{
    rf_context *ctx = t->ctx;
    if (!t->storage)
        return rf_fail(ctx, RF_E_STALE,
                       "the tensor's bytes were used up by a backward; rf_tensor_hold keeps them");
    if (t->storage->dry)
        return rf_fail(ctx, RF_E_DEVICE,
                       "a dry run has no values: what is read here is a result of %s",
                       t->storage->maker ? t->storage->maker : "no op");
    rf_storage_note_read(t->storage);
    if (t->storage->device == RF_DEVICE_META)
        return rf_fail(ctx, RF_E_DEVICE, "a tensor on the meta device has no values to read");
    return rf_storage_force(t->storage);
}

static rf_status read_check(const rf_tensor *t, size_t bytes)
{
    rf_status status = read_ready(t);
    if (!status && bytes != rf_tensor_bytes(t))
        status = rf_fail(t->ctx, RF_E_ARGUMENT, "the tensor has %zu bytes, the buffer %zu",
                         rf_tensor_bytes(t), bytes);
    return status;
}

/* The caller's row-major buffer as a view. */
static rf_view read_host_view(const rf_tensor *t, void *host)
{
    rf_view view = t->view;
    rf_view_set_contiguous(&view);
    view.data = host;
    return view;
}

rf_status rf_tensor_copy_out(const rf_tensor *t, void *host, size_t bytes)
{
    rf_status status = read_check(t, bytes);
    if (status || !bytes)
        return status;
    rf_view from = rf_tensor_view(t), to = read_host_view(t, host);
    return t->ctx->kernels->unary(&(rf_exec){t->ctx->threads, NULL}, RF_UNARY_COPY, &from, &to);
}

rf_status rf_tensor_copy_from(rf_tensor *t, const void *host, size_t bytes)
{
    if (t->ctx->dry && t->storage && bytes == rf_tensor_bytes(t))
        return rf_storage_before_write(t->storage);
    rf_status status = read_check(t, bytes);
    if (!status)
        status = rf_storage_before_write(t->storage);
    if (status || !bytes)
        return status;
    rf_view from, to = rf_tensor_view(t);
    union {
        const void *in;
        void *out;
    } cast = {.in = host}; /* a view has no const; COPY only reads its first */
    from = read_host_view(t, cast.out);
    t->storage->version++;
    return t->ctx->kernels->unary(&(rf_exec){t->ctx->threads, NULL}, RF_UNARY_COPY, &from, &to);
}

rf_status rf_tensor_item(const rf_tensor *t, double *out)
{
    if (rf_tensor_count(t) != 1)
        return rf_fail(t->ctx, RF_E_SHAPE, "rf_tensor_item: the tensor has %lld elements, not one",
                       (long long)rf_tensor_count(t));
    rf_status status = read_ready(t);
    if (status)
        return status;
    rf_view from = rf_tensor_view(t), to = read_host_view(t, out);
    to.shape.dtype = RF_F64;
    return t->ctx->kernels->unary(&(rf_exec){1, NULL}, RF_UNARY_COPY, &from, &to);
}

void *rf_tensor_data(rf_tensor *t)
{
    if (read_ready(t))
        return NULL;
    rf_tiered_settle(t->ctx, t->storage); /* the caller may write */
    return rf_tensor_view(t).data;
}

void rf_tensor_touch(rf_tensor *t)
{
    if (t->storage)
        t->storage->version++;
}
