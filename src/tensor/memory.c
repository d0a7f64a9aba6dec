/* memory.c: the public face of the ledger. */
#include "tensor/context_struct.h"

static rf_status memory_check(rf_context *ctx, rf_device device, rf_mem_class cls)
{
    int tier = device == RF_DEVICE_HOST || device == RF_DEVICE_FILE;
    if ((unsigned)device >= RF_MAX_DEVICES || (!ctx->devices[device] && !tier))
        return rf_fail(ctx, RF_E_DEVICE, "no device number %d", (int)device);
    if ((unsigned)cls >= RF_MEM_CLASSES)
        return rf_fail(ctx, RF_E_ARGUMENT, "no memory class number %d", (int)cls);
    return RF_OK;
}

rf_status rf_memory_get(rf_context *ctx, rf_device device, rf_mem_class cls, rf_memory_info *out)
{
    rf_status status = memory_check(ctx, device, cls);
    if (!status)
        *out = ctx->ledger.row[device][cls];
    return status;
}

rf_status rf_memory_set_limit(rf_context *ctx, rf_device device, rf_mem_class cls, uint64_t bytes)
{
    rf_status status = memory_check(ctx, device, cls);
    if (!status)
        ctx->ledger.row[device][cls].limit = bytes;
    return status;
}

void rf_memory_reset_peak(rf_context *ctx)
{
    for (unsigned d = 0; d < RF_MAX_DEVICES; d++)
        for (unsigned c = 0; c < RF_MEM_CLASSES; c++)
            ctx->ledger.row[d][c].peak = ctx->ledger.row[d][c].used;
}

rf_status rf_memory_mark_create(rf_memory_mark **out, rf_context *ctx)
{
    *out = rf_host_alloc(ctx, sizeof **out);
    if (!*out)
        return ctx->record.error.code;
    (*out)->ctx = ctx;
    rf_ledger_mark(&ctx->ledger, *out);
    return RF_OK;
}

void rf_memory_mark_destroy(rf_memory_mark *mark)
{
    if (!mark)
        return;
    rf_ledger_unmark(mark->ledger, mark);
    rf_host_free(mark->ctx, mark, sizeof *mark);
}

rf_status rf_memory_delta(const rf_memory_mark *mark, rf_device device, rf_mem_class cls,
                          rf_memory_change *out)
{
    rf_status status = memory_check(mark->ctx, device, cls);
    if (status)
        return status;
    uint64_t then = mark->used[device][cls];
    out->live = (int64_t)(mark->ledger->row[device][cls].used - then);
    out->peak = (int64_t)(mark->peak[device][cls] - then);
    return RF_OK;
}
