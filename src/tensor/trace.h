/* trace.h: how events are told. Whoever makes one asks rf_tracing first, fills in what only he
 * knows, and leaves the rest to rf_trace_emit.
 *
 * Invariant: every change of the ledger's figures is told (rf_trace_memory stands next to each), so
 * the sum of the events is the ledger.
 */
#ifndef RF_TENSOR_TRACE_H
#define RF_TENSOR_TRACE_H

#include "tensor/context_struct.h"

static inline int rf_tracing(const rf_context *ctx)
{
    return ctx->trace.fn != NULL;
}

/* Seconds, going forward only: of a real run by the system's clock, of a dry one what its ops would
 * have taken so far. */
double rf_clock(const rf_context *ctx);
/* Seconds since the trace was set. */
double rf_trace_clock(const rf_context *ctx);
/* Tell an event: number and phase are filled in, texts that are NULL and the region if it is 0;
 * end if it is 0, and begin if that is 0 (a moment). */
void rf_trace_emit(rf_context *ctx, rf_event *event);
/* Bytes entered the ledger (or left it, negative), for a storage or, 0, for bookkeeping. */
void rf_trace_bytes(rf_context *ctx, unsigned device, rf_mem_class cls, int64_t bytes,
                    uint64_t storage);

static inline void rf_trace_memory(rf_context *ctx, unsigned device, rf_mem_class cls,
                                   int64_t bytes, uint64_t storage)
{
    if (rf_tracing(ctx))
        rf_trace_bytes(ctx, device, cls, bytes, storage);
}

#endif
