/* dry.c: see dry.h. */
#include "tensor/dry.h"
#include "tensor/tiered.h"
#include "tensor/trace.h"

#include <string.h>

int rf_context_dry(const rf_context *ctx)
{
    return ctx->dry;
}

void rf_context_spend(rf_context *ctx, double bytes)
{
    if (ctx->dry)
        ctx->dry_seconds += bytes * ctx->cost_byte;
}

static rf_status dry_check(rf_context *ctx)
{
    const char *inside = ctx->dry_run  ? "another dry run"
                         : ctx->run    ? "a backward"
                         : ctx->keeper ? "a region"
                         : ctx->group  ? "a group of backward calls"
                                       : NULL;
    if (inside)
        return rf_fail(ctx, RF_E_STATE, "a dry run cannot begin inside %s", inside);
    if (rf_tiered_any(ctx))
        return rf_fail(ctx, RF_E_STATE,
                       "a dry run cannot begin while a graph has values on the host or in a file");
    return RF_OK;
}

/* Limits are what a prediction is asked for; marks belong to the real ledger. */
static void dry_ledger_begin(rf_dry *dry, rf_ledger *ledger)
{
    for (unsigned d = 0; d < RF_MAX_DEVICES; d++)
        for (unsigned c = 0; c < RF_MEM_CLASSES; c++) {
            dry->limit[d][c] = ledger->row[d][c].limit;
            ledger->row[d][c].limit = 0;
        }
    dry->ledger = *ledger;
    ledger->marks = NULL;
    for (unsigned d = 0; d < RF_MAX_DEVICES; d++)
        for (unsigned c = 0; c < RF_MEM_CLASSES; c++)
            ledger->row[d][c].peak = ledger->row[d][c].used;
}

static void dry_ledger_end(const rf_dry *dry, rf_ledger *ledger)
{
    *ledger = dry->ledger;
    for (unsigned d = 0; d < RF_MAX_DEVICES; d++)
        for (unsigned c = 0; c < RF_MEM_CLASSES; c++)
            ledger->row[d][c].limit = dry->limit[d][c];
}

rf_status rf_dry_begin(rf_context *ctx)
{
    rf_status status = dry_check(ctx);
    if (status)
        return status;
    if (ctx->dry) {
        rf_memory_reset_peak(ctx);
        return RF_OK;
    }
    rf_dry *dry = rf_allocator_get(&ctx->alloc, sizeof *dry);
    if (!dry)
        return rf_fail(ctx, RF_E_MEMORY, "no memory to begin a dry run");
    memset(dry, 0, sizeof *dry);
    dry->device = ctx->devices[RF_DEVICE_CPU];
    dry->rng = ctx->rng;
    dry->trace = ctx->trace;
    dry->recompute_seconds = ctx->recompute_seconds;
    memcpy(dry->tally, ctx->tally, sizeof dry->tally);
    dry_ledger_begin(dry, &ctx->ledger);
    ctx->devices[RF_DEVICE_CPU] = &rf_device_dry;
    ctx->trace = (rf_tracer){0};
    ctx->dry = 1;
    ctx->dry_run = dry;
    ctx->dry_seconds = 0;
    return RF_OK;
}

/* Real storages that lost their last user: now they go, from the real ledger. */
static void dry_free(rf_storage *list)
{
    while (list) {
        rf_storage *s = list;
        list = s->later;
        s->later = NULL;
        s->refs = 1;
        rf_storage_unref(s);
    }
}

void rf_dry_end(rf_context *ctx)
{
    rf_dry *dry = ctx->dry_run;
    if (!dry)
        return;
    if (dry->leaves_restore)
        dry->leaves_restore(ctx);
    rf_tiered_dry_end(ctx);
    ctx->dry = 0;
    ctx->dry_run = NULL;
    dry_ledger_end(dry, &ctx->ledger);
    ctx->devices[RF_DEVICE_CPU] = dry->device;
    ctx->rng = dry->rng;
    ctx->trace = dry->trace;
    ctx->recompute_seconds = dry->recompute_seconds;
    memcpy(ctx->tally, dry->tally, sizeof dry->tally);
    dry_free(dry->freed);
    rf_allocator_put(&ctx->alloc, dry, sizeof *dry);
}

void rf_dry_put_aside(rf_storage *s)
{
    if (!s->dry && s->refs == 1)
        rf_storage_leave(s);
}

int rf_dry_retains(rf_storage *s)
{
    rf_dry *dry = s->ctx->dry_run;
    if (!dry || s->dry || s->pending)
        return 0;
    rf_storage_leave(s);
    s->later = dry->freed;
    dry->freed = s;
    return 1;
}

void rf_dry_spend(rf_context *ctx, const rf_op_call *call)
{
    if (ctx->cost)
        ctx->dry_seconds += ctx->cost(ctx->cost_payload, call);
}
