/* tiered.c: see tiered.h. */
#include "tensor/tiered.h"
#include "tensor/pooled.h"
#include "tensor/trace.h"

#include <errno.h>
#include <string.h>

struct rf_tiered {
    rf_context *ctx;
    rf_tiered *before, *after; /* in order of sending */
    rf_tier tier;
    uint8_t device, cls;
    size_t bytes;
    uint64_t id;        /* of the storage that was sent */
    rf_storage *source; /* being written; referenced    */
    rf_storage *ahead;  /* being read ahead             */
    int hosted;         /* on the host: counted there; host is NULL in a dry run */
    void *host;
    rf_spill_piece piece;
    rf_spill_job job;
    int busy;  /* the thread has the job        */
    int given; /* it was asked for already      */
    int error; /* an errno of the write         */
};

/* What a context has of tiers. */
struct rf_tiers {
    rf_spill *spill;
    int counted;                         /* the file's footprint is in the ledger */
    int lent;                            /* to others: rf_tiered_spill            */
    double idle;                         /* dry: when the file has done all its jobs */
    rf_tiered *last;                     /* the latest sent            */
    rf_tiered *flight[RF_TIERED_FLIGHT]; /* being written, oldest first */
};

/* Shapes on the meta device have nothing that could go anywhere. In a dry run the ledger is kept
 * as if they had. */
static int tiered_counts(const rf_tiered *t)
{
    return t->device != RF_DEVICE_META;
}

static rf_status tiered_failed(rf_context *ctx, const char *what, int error)
{
    if (error == ENOMEM)
        return rf_fail(ctx, RF_E_MEMORY, "spill: no memory to %s a file", what);
    return rf_fail(ctx, RF_E_IO, "spill: cannot %s a file in %s: %s", what,
                   ctx->spill_folder ? ctx->spill_folder : ".", strerror(error));
}

/* Bytes that are no storage's. */
static int tiered_enter(rf_context *ctx, unsigned device, rf_mem_class cls, size_t bytes,
                        rf_ledger_refusal *why)
{
    if (!rf_ledger_enter(&ctx->ledger, device, cls, bytes, why))
        return 0;
    rf_trace_memory(ctx, device, cls, (int64_t)bytes, 0);
    return 1;
}

static void tiered_leave(rf_context *ctx, unsigned device, rf_mem_class cls, size_t bytes)
{
    rf_ledger_leave(&ctx->ledger, device, cls, bytes);
    rf_trace_memory(ctx, device, cls, -(int64_t)bytes, 0);
}

/* ---- the context's part ---- */

static rf_status tiered_tiers(rf_context *ctx)
{
    if (!ctx->tiers)
        ctx->tiers = rf_host_alloc(ctx, sizeof *ctx->tiers);
    return ctx->tiers ? RF_OK : ctx->record.error.code;
}

static rf_status tiered_file(rf_context *ctx)
{
    rf_ledger_refusal why;
    struct rf_tiers *tiers = ctx->tiers;
    size_t bytes = rf_spill_footprint();
    if (tiers->spill || (ctx->dry && tiers->counted))
        return RF_OK;
    if (!tiered_enter(ctx, RF_DEVICE_CPU, RF_MEM_OTHER, bytes, &why))
        return rf_fail(ctx, RF_E_BUDGET, "%zu bytes for a spill file would pass the limit of %llu",
                       bytes, (unsigned long long)why.limit);
    tiers->counted = 1;
    if (ctx->dry)
        return RF_OK;
    int error =
        rf_spill_open(&tiers->spill, &ctx->alloc, ctx->spill_folder ? ctx->spill_folder : ".");
    if (!error)
        return RF_OK;
    tiers->counted = 0;
    tiered_leave(ctx, RF_DEVICE_CPU, RF_MEM_OTHER, bytes);
    return tiered_failed(ctx, "open", error);
}

void rf_tiered_close(rf_context *ctx)
{
    if (!ctx->tiers)
        return;
    if (ctx->tiers->spill)
        rf_spill_close(ctx->tiers->spill);
    if (ctx->tiers->counted)
        tiered_leave(ctx, RF_DEVICE_CPU, RF_MEM_OTHER, rf_spill_footprint());
    rf_host_free(ctx, ctx->tiers, sizeof *ctx->tiers);
    ctx->tiers = NULL;
}

int rf_tiered_any(const rf_context *ctx)
{
    return ctx->tiers && ctx->tiers->last;
}

void rf_tiered_dry_rest(rf_context *ctx)
{
    if (ctx->tiers && !ctx->tiers->spill && !ctx->tiers->lent && !ctx->tiers->last)
        rf_tiered_close(ctx);
}

size_t rf_tiered_dry_footprint(const rf_context *ctx)
{
    const struct rf_tiers *tiers = ctx->tiers;
    return tiers && tiers->counted && !tiers->spill && !tiers->lent ? rf_spill_footprint() : 0;
}

void rf_tiered_dry_end(rf_context *ctx)
{
    if (!ctx->tiers)
        return;
    ctx->tiers->counted = ctx->tiers->spill != NULL;
    ctx->tiers->idle = 0;
}

/* ---- jobs ---- */

/* When the thread would have worked on it: one job after the other. */
static void tiered_dry_job(rf_tiered *t)
{
    const rf_context *ctx = t->ctx;
    double idle = ctx->tiers->idle;
    t->job.begin = idle > ctx->dry_seconds ? idle : ctx->dry_seconds;
    t->job.end = t->job.begin + (double)t->bytes * ctx->cost_file;
    ctx->tiers->idle = t->job.end;
}

static void tiered_dry_wait(const rf_tiered *t)
{
    if (t->job.end > t->ctx->dry_seconds)
        t->ctx->dry_seconds = t->job.end;
}

static void tiered_submit(rf_tiered *t, int write, void *data)
{
    t->job = (rf_spill_job){.write = write, .data = data, .bytes = t->bytes, .at = t->piece.at};
    t->busy = 1;
    if (t->ctx->dry)
        tiered_dry_job(t);
    else
        rf_spill_submit(t->ctx->tiers->spill, &t->job);
}

/* Bytes were moved, away (bytes > 0) or back; when, on the clock of jobs. */
static void tiered_tell(const rf_tiered *t, int away, double begin, double end)
{
    rf_context *ctx = t->ctx;
    double origin = ctx->trace.origin;
    if (!rf_tracing(ctx))
        return;
    rf_event event = {.kind = RF_EVENT_COPY,
                      .device = t->tier == RF_TIER_HOST ? RF_DEVICE_HOST : RF_DEVICE_FILE,
                      .cls = (rf_mem_class)t->cls,
                      .bytes = away ? (int64_t)t->bytes : -(int64_t)t->bytes,
                      .storage = t->id,
                      .begin = begin - origin,
                      .end = end - origin};
    rf_trace_emit(ctx, &event);
}

/* Until the thread has done with t. Returns the job's errno. */
static int tiered_wait(rf_tiered *t)
{
    if (!t->busy)
        return 0;
    if (t->ctx->dry)
        tiered_dry_wait(t);
    else
        rf_spill_wait(t->ctx->tiers->spill, &t->job);
    t->busy = 0;
    tiered_tell(t, t->job.write, t->job.begin, t->job.end);
    return t->job.error;
}

/* Between the host tier and where it came from: now, and told. */
static rf_status tiered_copy(const rf_tiered *t, void *data, int away)
{
    const rf_device_class *device = t->ctx->devices[t->device];
    double begin = rf_clock(t->ctx);
    rf_context_spend(t->ctx, 2.0 * (double)t->bytes);
    rf_status status = t->ctx->dry ? RF_OK
                       : away      ? device->copy_out(NULL, t->host, data, t->bytes)
                                   : device->copy_in(NULL, data, t->host, t->bytes);
    tiered_tell(t, away, begin, rf_clock(t->ctx));
    return status;
}

/* A write is over: what was written may go. */
static void tiered_written(rf_tiered *t)
{
    struct rf_tiers *tiers = t->ctx->tiers;
    rf_storage *source = t->source;
    int error = tiered_wait(t);
    if (error)
        t->error = error;
    t->source = NULL;
    source->leaving--;
    size_t n = 0;
    for (size_t i = 0; i < RF_TIERED_FLIGHT; i++)
        if (tiers->flight[i] != t)
            tiers->flight[n++] = tiers->flight[i];
    while (n < RF_TIERED_FLIGHT)
        tiers->flight[n++] = NULL;
    rf_storage_unref(source);
}

void rf_tiered_settle(rf_context *ctx, const rf_storage *s)
{
    for (size_t i = 0; ctx->tiers && i < RF_TIERED_FLIGHT;) {
        rf_tiered *t = ctx->tiers->flight[i];
        if (t && (!s || t->source == s))
            tiered_written(t);
        else
            i++;
    }
}

/* ---- sending ---- */

static void *tiered_host_bytes(const rf_tiered *t)
{
    rf_context *ctx = t->ctx;
    size_t bytes = t->bytes ? t->bytes : 1;
    void *host = ctx->dry ? NULL : rf_allocator_get(&ctx->alloc, bytes);
    if (!host && !ctx->dry && (ctx->recycle.bytes || rf_context_pool_trim(ctx))) {
        rf_recycle_trim(&ctx->recycle, &ctx->alloc, 0);
        host = rf_allocator_get(&ctx->alloc, bytes);
    }
    return host;
}

static rf_status tiered_to_host(rf_tiered *t, const rf_storage *s)
{
    rf_context *ctx = t->ctx;
    rf_ledger_refusal why;
    if (!tiered_counts(t))
        return RF_OK;
    if (!tiered_enter(ctx, RF_DEVICE_HOST, RF_MEM_ACTIVATION, t->bytes, &why))
        return rf_fail(ctx, RF_E_BUDGET, "%zu bytes on the host would pass its limit of %llu",
                       t->bytes, (unsigned long long)why.limit);
    t->hosted = 1;
    t->host = tiered_host_bytes(t);
    if (t->host || ctx->dry)
        return tiered_copy(t, s->data, 1);
    t->hosted = 0;
    tiered_leave(ctx, RF_DEVICE_HOST, RF_MEM_ACTIVATION, t->bytes);
    return rf_fail(ctx, RF_E_MEMORY, "no memory for %zu bytes on the host", t->bytes);
}

static rf_status tiered_to_file(rf_tiered *t, rf_storage *s)
{
    rf_context *ctx = t->ctx;
    rf_ledger_refusal why;
    struct rf_tiers *tiers = ctx->tiers;
    if (!tiered_counts(t))
        return RF_OK;
    rf_status status = tiered_file(ctx);
    if (!status && !tiered_enter(ctx, RF_DEVICE_FILE, RF_MEM_ACTIVATION, t->bytes, &why))
        status =
            rf_fail(ctx, RF_E_BUDGET, "%zu bytes in the spill file would pass its limit of %llu",
                    t->bytes, (unsigned long long)why.limit);
    if (status)
        return status;
    t->piece = ctx->dry ? (rf_spill_piece){0, t->bytes} : rf_spill_reserve(tiers->spill, t->bytes);
    if (tiers->flight[RF_TIERED_FLIGHT - 1]) {
        rf_tiered *oldest = tiers->flight[0];
        tiered_written(oldest);
        if (oldest->error)
            return tiered_failed(ctx, "write", oldest->error);
    }
    t->source = rf_storage_ref(s);
    s->leaving++;
    for (size_t i = 0; i < RF_TIERED_FLIGHT; i++)
        if (!tiers->flight[i]) {
            tiers->flight[i] = t;
            break;
        }
    tiered_submit(t, 1, s->data);
    return RF_OK;
}

rf_status rf_tiered_put(rf_tiered **out, rf_storage *s, rf_tier tier)
{
    rf_context *ctx = s->ctx;
    *out = NULL;
    rf_status status = tiered_tiers(ctx);
    rf_tiered *t = status ? NULL : rf_host_alloc(ctx, sizeof *t);
    if (!t)
        return ctx->record.error.code;
    t->ctx = ctx;
    t->tier = tier;
    t->device = s->device;
    t->cls = s->cls;
    t->bytes = s->bytes;
    t->id = s->id;
    t->before = ctx->tiers->last;
    if (t->before)
        t->before->after = t;
    ctx->tiers->last = t;
    status = tier == RF_TIER_HOST ? tiered_to_host(t, s) : tiered_to_file(t, s);
    if (status)
        rf_tiered_end(t);
    else
        *out = t;
    return status;
}

/* ---- fetching ---- */

/* The one sent before t will be asked for next. No room for it is no failure. A few bytes, which
 * are a storage's own, could not be given to another while they are read. */
static void tiered_read_ahead(const rf_tiered *t)
{
    rf_context *ctx = t->ctx;
    rf_tiered *next = t->before;
    if (!next || next->tier != RF_TIER_FILE || next->ahead || next->given || next->error ||
        next->bytes <= RF_STORAGE_FEW)
        return;
    rf_error_record record = ctx->record;
    uint64_t errors = ctx->errors;
    if (rf_storage_create(&next->ahead, ctx, next->device, (rf_mem_class)next->cls, next->bytes)) {
        ctx->record = record;
        ctx->errors = errors;
    } else if (tiered_counts(next)) {
        tiered_submit(next, 0, next->ahead->data);
    }
}

static void tiered_forget(rf_tiered *t)
{
    rf_storage *ahead = t->ahead;
    if (ahead)
        tiered_wait(t);
    t->ahead = NULL;
    rf_storage_unref(ahead);
}

/* Into the bytes of s, which it has by now; the next one is read behind it. */
static rf_status tiered_read(rf_tiered *t, rf_storage *s)
{
    rf_context *ctx = t->ctx;
    t->given = 1;
    if (!tiered_counts(t))
        return RF_OK;
    if (t->hosted)
        return tiered_copy(t, s->data, 0);
    if (!t->busy)
        tiered_submit(t, 0, s->data);
    tiered_read_ahead(t);
    int error = tiered_wait(t);
    return error ? tiered_failed(ctx, "read", error) : RF_OK;
}

rf_status rf_tiered_fill(rf_tiered *t, rf_storage *s)
{
    rf_context *ctx = t->ctx;
    rf_status status = RF_OK;
    rf_tiered_settle(ctx, NULL);
    if (t->error)
        return tiered_failed(ctx, "write", t->error);
    if (t->ahead)
        rf_storage_take(s, t->ahead);
    else
        status = rf_storage_materialize(s);
    t->ahead = NULL;
    if (status)
        return status;
    status = tiered_read(t, s);
    if (status)
        rf_storage_dematerialize(s);
    return status;
}

rf_status rf_tiered_get(rf_tiered *t, rf_storage **out)
{
    rf_context *ctx = t->ctx;
    rf_status status = RF_OK;
    *out = NULL;
    rf_tiered_settle(ctx, NULL);
    if (t->error)
        return tiered_failed(ctx, "write", t->error);
    rf_storage *s = t->ahead;
    t->ahead = NULL;
    if (!s)
        status = rf_storage_create(&s, ctx, t->device, (rf_mem_class)t->cls, t->bytes);
    if (status)
        return status;
    status = tiered_read(t, s);
    if (status)
        rf_storage_unref(s);
    else
        *out = s;
    return status;
}

void rf_tiered_again(rf_tiered *t)
{
    t->given = 0;
}

size_t rf_tiered_bytes(const rf_tiered *t)
{
    return t->bytes;
}

void rf_tiered_end(rf_tiered *t)
{
    if (!t)
        return;
    rf_context *ctx = t->ctx;
    if (t->source)
        tiered_written(t);
    tiered_forget(t);
    if (t->hosted) {
        rf_allocator_put(&ctx->alloc, t->host, t->bytes ? t->bytes : 1);
        tiered_leave(ctx, RF_DEVICE_HOST, RF_MEM_ACTIVATION, t->bytes);
    }
    if (t->piece.bytes) {
        if (!ctx->dry)
            rf_spill_release(ctx->tiers->spill, t->piece);
        tiered_leave(ctx, RF_DEVICE_FILE, RF_MEM_ACTIVATION, t->bytes);
    }
    if (t->after)
        t->after->before = t->before;
    else
        ctx->tiers->last = t->before;
    if (t->before)
        t->before->after = t->after;
    rf_host_free(ctx, t, sizeof *t);
}

/* ---- for others -------------------------------------------------------------------------------
 */

rf_status rf_tiered_spill(rf_spill **out, rf_context *ctx)
{
    rf_status status = tiered_tiers(ctx);
    if (!status)
        status = tiered_file(ctx);
    *out = status ? NULL : ctx->tiers->spill;
    if (!status)
        ctx->tiers->lent = 1;
    return status;
}

rf_status rf_tiered_failed(rf_context *ctx, const char *what, int error)
{
    return tiered_failed(ctx, what, error);
}
