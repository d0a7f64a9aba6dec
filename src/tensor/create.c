/* create.c: tensors that begin with the caller: zeros of an owner, copies in, borrowed buffers. */
#include "tensor/handle.h"

#include <string.h>

static rf_status create_view(rf_context *ctx, const rf_tensor_options *opts, rf_view *view,
                             size_t *bytes)
{
    if (opts->rank > RF_MAX_RANK)
        return rf_fail(ctx, RF_E_SHAPE, "rank %zu is more than %d", opts->rank, RF_MAX_RANK);
    if ((unsigned)opts->dtype >= RF_DTYPES)
        return rf_fail(ctx, RF_E_DTYPE, "no element type number %d", (int)opts->dtype);
    if ((unsigned)opts->device >= RF_MAX_DEVICES || !ctx->devices[opts->device])
        return rf_fail(ctx, RF_E_DEVICE, "no device number %d", (int)opts->device);
    memset(view, 0, sizeof *view);
    view->shape.dtype = (uint8_t)opts->dtype;
    view->shape.device = (uint8_t)opts->device;
    view->shape.rank = (uint8_t)opts->rank;
    for (size_t i = 0; i < opts->rank; i++)
        view->shape.dims[i] = opts->dims[i];
    rf_view_set_contiguous(view);
    if (!rf_shape_bytes(&view->shape, bytes))
        return rf_fail(ctx, RF_E_SHAPE, "a size is negative, or the bytes overflow");
    return RF_OK;
}

/* A tensor of uninitialised bytes. */
static rf_status create_tensor(rf_tensor **out, rf_context *ctx, rf_scope *s,
                               const rf_tensor_options *opts)
{
    rf_view view;
    size_t bytes;
    rf_storage *storage;
    *out = NULL;
    rf_status status = create_view(ctx, opts, &view, &bytes);
    rf_mem_class cls = opts->mem_class == RF_MEM_ALL ? RF_MEM_ACTIVATION : opts->mem_class;
    if (!status)
        status = rf_storage_create(&storage, ctx, (unsigned)opts->device, cls, bytes);
    if (status)
        return status;
    *out = rf_handle_create(ctx, s, storage, &view);
    return *out ? RF_OK : ctx->record.error.code;
}

rf_status rf_tensor_create(rf_tensor **out, rf_context *ctx, const rf_tensor_options *opts)
{
    rf_status status = create_tensor(out, ctx, NULL, opts);
    if (status)
        return status;
    if ((*out)->storage->data)
        memset((*out)->storage->data, 0, (*out)->storage->bytes);
    if (opts->requires_grad) {
        rf_dtype d = opts->dtype;
        if (d != RF_F32 && d != RF_F64 && d != RF_BF16) {
            rf_tensor_drop(*out);
            *out = NULL;
            return rf_fail(ctx, RF_E_DTYPE, "%s tensors have no gradient", rf_dtype_name(d));
        }
        (*out)->requires_grad = 1;
    }
    return RF_OK;
}

rf_tensor *rf_tensor_copy_in(rf_scope *s, rf_dtype dtype, size_t rank, const int64_t *dims,
                             const void *host)
{
    if (s->status)
        return NULL;
    rf_tensor *t;
    rf_tensor_options opts = RF_TENSOR_OPTIONS_INIT;
    opts.dtype = dtype;
    opts.rank = rank;
    opts.dims = dims;
    rf_status status = create_tensor(&t, s->ctx, s, &opts);
    if (status) {
        rf_scope_fail(s, status, NULL);
        return NULL;
    }
    if (t->storage->data)
        memcpy(t->storage->data, host, t->storage->bytes);
    return t;
}

/* A borrowed buffer's release runs also when wrapping it fails. */
static rf_tensor *borrow_failed(rf_scope *s, rf_status status, rf_buffer buffer)
{
    rf_scope_fail(s, status, NULL);
    if (buffer.release)
        buffer.release(buffer.payload);
    return NULL;
}

rf_tensor *rf_tensor_borrow(rf_scope *s, rf_dtype dtype, size_t rank, const int64_t *dims,
                            rf_buffer buffer)
{
    rf_view view;
    size_t bytes;
    rf_storage *storage;
    rf_tensor_options opts = RF_TENSOR_OPTIONS_INIT;
    opts.dtype = dtype;
    opts.rank = rank;
    opts.dims = dims;
    if (s->status)
        return borrow_failed(s, s->status, buffer);
    rf_status status = create_view(s->ctx, &opts, &view, &bytes);
    if (!status && bytes != buffer.bytes)
        status = rf_fail(s->ctx, RF_E_ARGUMENT, "the buffer has %zu bytes, the shape wants %zu",
                         buffer.bytes, bytes);
    if (!status)
        status = rf_storage_borrow(&storage, s->ctx, buffer);
    if (status)
        return borrow_failed(s, status, buffer);
    rf_tensor *t = rf_handle_create(s->ctx, s, storage, &view);
    if (!t)
        rf_scope_fail(s, s->ctx->record.error.code, NULL);
    return t;
}
