/* room.c: see room.h. */
#include "tensor/room.h"
#include "tensor/trace.h"

static rf_status room_enter(rf_room *room, uint64_t bytes)
{
    rf_context *ctx = room->ctx;
    rf_ledger_refusal why;
    if (!rf_ledger_enter(&ctx->ledger, RF_DEVICE_FILE, room->cls, bytes, &why)) {
        rf_fail(ctx, RF_E_BUDGET, "%llu bytes in the spill file would pass its limit of %llu",
                (unsigned long long)bytes, (unsigned long long)why.limit);
        ctx->record.error.bytes_wanted = bytes;
        ctx->record.error.bytes_free = why.free;
        ctx->record.error.limit = why.limit;
        return RF_E_BUDGET;
    }
    room->bytes = bytes;
    rf_trace_memory(ctx, RF_DEVICE_FILE, room->cls, (int64_t)bytes, 0);
    return RF_OK;
}

rf_status rf_room_open(rf_room *room, uint64_t bytes, uint64_t length)
{
    rf_spill *spill;
    rf_status status = rf_tiered_spill(&spill, room->ctx);
    if (!status)
        status = room_enter(room, bytes);
    if (status || room->ctx->dry)
        return status;
    room->spill = spill;
    rf_room_job assure = {0};
    room->piece = rf_spill_reserve(room->spill, (size_t)length);
    rf_room_begin(room, &assure, 1, NULL, (size_t)length, 0);
    int error = rf_room_wait(room, &assure);
    if (!error)
        return RF_OK;
    rf_room_close(room);
    return rf_tiered_failed(room->ctx, "make room in", error);
}

void rf_room_close(rf_room *room)
{
    rf_context *ctx = room->ctx;
    if (room->piece.bytes)
        rf_spill_release(room->spill, room->piece);
    if (room->bytes) {
        rf_ledger_leave(&ctx->ledger, RF_DEVICE_FILE, room->cls, room->bytes);
        rf_trace_memory(ctx, RF_DEVICE_FILE, room->cls, -(int64_t)room->bytes, 0);
    }
    *room = (rf_room){.ctx = ctx, .cls = room->cls};
}

void rf_room_begin(const rf_room *room, rf_room_job *job, int write, void *data, size_t bytes,
                   uint64_t at)
{
    if (!room->spill)
        return;
    job->job =
        (rf_spill_job){.write = write, .data = data, .bytes = bytes, .at = room->piece.at + at};
    job->busy = 1;
    rf_spill_submit(room->spill, &job->job);
}

static void room_tell(const rf_room *room, const rf_room_job *job)
{
    rf_context *ctx = room->ctx;
    const rf_spill_job *done = &job->job;
    if (!rf_tracing(ctx) || !done->data)
        return;
    rf_event event = {.kind = RF_EVENT_COPY,
                      .device = RF_DEVICE_FILE,
                      .cls = (rf_mem_class)room->cls,
                      .bytes = done->write ? (int64_t)done->bytes : -(int64_t)done->bytes,
                      .storage = job->storage,
                      .begin = done->begin - ctx->trace.origin,
                      .end = done->end - ctx->trace.origin};
    rf_trace_emit(ctx, &event);
}

int rf_room_wait(const rf_room *room, rf_room_job *job)
{
    if (!job->busy)
        return 0;
    rf_spill_wait(room->spill, &job->job);
    job->busy = 0;
    room_tell(room, job);
    return job->job.error;
}
