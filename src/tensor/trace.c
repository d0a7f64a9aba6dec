/* trace.c: see trace.h, and include/refrain/trace.h for what is told. */
#include "tensor/trace.h"
#include "base/clock.h"

static const char *const phase_names[RF_PHASES] = {"other", "forward", "recompute", "backward"};

const char *rf_phase_name(rf_phase phase)
{
    return (unsigned)phase < RF_PHASES ? phase_names[phase] : "unknown";
}

double rf_clock(const rf_context *ctx)
{
    return ctx->dry ? ctx->dry_seconds : rf_seconds();
}

void rf_trace_set(rf_context *ctx, rf_trace_fn fn, void *payload)
{
    ctx->trace.fn = fn;
    ctx->trace.payload = payload;
    ctx->trace.number = 0;
    ctx->trace.origin = rf_clock(ctx);
}

int rf_trace_is_set(const rf_context *ctx)
{
    return rf_tracing(ctx);
}

double rf_trace_clock(const rf_context *ctx)
{
    return rf_clock(ctx) - ctx->trace.origin;
}

/* A value is computed again wherever it is asked for, so the depth of recomputing decides before
 * the backward that asks. */
static rf_phase trace_phase(const rf_context *ctx)
{
    if (ctx->recompute_depth)
        return RF_PHASE_RECOMPUTE;
    if (ctx->run)
        return RF_PHASE_BACKWARD;
    return ctx->op || ctx->module || ctx->keeper ? RF_PHASE_FORWARD : RF_PHASE_OTHER;
}

/* An rf_pass (checkpoint.h), which is of a layer above: plain, forward, recompute. */
static int trace_pass(const rf_context *ctx)
{
    return ctx->recompute_depth ? 2 : ctx->keeper != NULL;
}

void rf_trace_emit(rf_context *ctx, rf_event *event)
{
    char path[RF_ERROR_PATH] = "";
    if (!event->path && ctx->module && ctx->path_writer)
        ctx->path_writer(ctx->module, path, sizeof path);
    event->size = sizeof *event;
    event->number = ++ctx->trace.number;
    event->phase = trace_phase(ctx);
    event->pass = trace_pass(ctx);
    event->op = event->op ? event->op : ctx->op ? ctx->op : "";
    event->path = event->path ? event->path : path;
    event->label = event->label ? event->label : "";
    event->region = event->region ? event->region : ctx->region;
    event->end = event->end > 0 ? event->end : rf_trace_clock(ctx);
    event->begin = event->begin > 0 ? event->begin : event->end;
    ctx->trace.fn(ctx->trace.payload, event);
}

void rf_trace_bytes(rf_context *ctx, unsigned device, rf_mem_class cls, int64_t bytes,
                    uint64_t storage)
{
    rf_event event = {.kind = RF_EVENT_MEMORY,
                      .device = (rf_device)device,
                      .cls = cls,
                      .bytes = bytes,
                      .storage = storage};
    if (bytes)
        rf_trace_emit(ctx, &event);
}
