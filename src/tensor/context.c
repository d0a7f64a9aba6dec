/* context.c: making and ending contexts, their errors and their bookkeeping memory. */
#include "tensor/dry.h"
#include "tensor/pooled.h"
#include "tensor/tiered.h"
#include "tensor/trace.h"
#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- bookkeeping memory ---- */

/* Bookkeeping is real in a dry run too: it is in both ledgers. */
static int context_enter(rf_context *ctx, size_t bytes, rf_ledger_refusal *why)
{
    rf_ledger *real = ctx->dry_run ? &ctx->dry_run->ledger : NULL;
    if (real && !rf_ledger_enter(real, RF_DEVICE_CPU, RF_MEM_OTHER, bytes, why))
        return 0;
    if (rf_ledger_enter(&ctx->ledger, RF_DEVICE_CPU, RF_MEM_OTHER, bytes, why))
        return 1;
    if (real)
        rf_ledger_leave(real, RF_DEVICE_CPU, RF_MEM_OTHER, bytes);
    return 0;
}

static void context_leave(rf_context *ctx, size_t bytes)
{
    if (ctx->dry_run)
        rf_ledger_leave(&ctx->dry_run->ledger, RF_DEVICE_CPU, RF_MEM_OTHER, bytes);
    rf_ledger_leave(&ctx->ledger, RF_DEVICE_CPU, RF_MEM_OTHER, bytes);
    rf_trace_memory(ctx, RF_DEVICE_CPU, RF_MEM_OTHER, -(int64_t)bytes, 0);
}

static void *context_chunk_get(void *payload, size_t bytes)
{
    rf_context *ctx = payload;
    rf_ledger_refusal why;
    if (!context_enter(ctx, bytes, &why)) {
        rf_fail(ctx, RF_E_BUDGET, "%zu bytes of bookkeeping would pass the %s limit of %llu", bytes,
                rf_mem_class_name(why.cls), (unsigned long long)why.limit);
        ctx->record.error.bytes_wanted = bytes;
        ctx->record.error.bytes_free = why.free;
        ctx->record.error.limit = why.limit;
        return NULL;
    }
    rf_trace_memory(ctx, RF_DEVICE_CPU, RF_MEM_OTHER, (int64_t)bytes, 0);
    rf_recycle_make_room(&ctx->recycle, &ctx->alloc,
                         ctx->ledger.row[RF_DEVICE_CPU][RF_MEM_ALL].used);
    rf_context_pool_room(ctx);
    void *p = rf_allocator_get(&ctx->alloc, bytes);
    if (!p && (ctx->recycle.bytes || rf_context_pool_trim(ctx))) {
        rf_recycle_trim(&ctx->recycle, &ctx->alloc, 0);
        p = rf_allocator_get(&ctx->alloc, bytes);
    }
    if (!p) {
        context_leave(ctx, bytes);
        rf_fail(ctx, RF_E_MEMORY, "no memory for %zu bytes of bookkeeping", bytes);
        ctx->record.error.bytes_wanted = bytes;
    }
    return p;
}

static void context_chunk_put(void *payload, void *p, size_t bytes)
{
    rf_context *ctx = payload;
    rf_allocator_put(&ctx->alloc, p, bytes);
    context_leave(ctx, bytes);
}

void *rf_host_alloc(rf_context *ctx, size_t bytes)
{
    return rf_slab_get(&ctx->slab, bytes);
}

void rf_host_free(rf_context *ctx, void *p, size_t bytes)
{
    rf_slab_put(&ctx->slab, p, bytes);
}

char *rf_host_copy_text(rf_context *ctx, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = rf_host_alloc(ctx, bytes);
    return copy ? memcpy(copy, text, bytes) : NULL;
}

void rf_host_free_text(rf_context *ctx, char *text)
{
    if (text)
        rf_host_free(ctx, text, strlen(text) + 1);
}

/* Bytes that a list begins with, about: a region around a few ops has three lists of large items.
 */
enum { GROW_FIRST = 256 };

rf_status rf_host_grow(rf_context *ctx, void *items, size_t num, size_t *capacity,
                       size_t item_bytes)
{
    void **array = items;
    if (num < *capacity)
        return RF_OK;
    size_t first = item_bytes < GROW_FIRST / 8 ? 8
                   : item_bytes < GROW_FIRST   ? GROW_FIRST / item_bytes
                                               : 1;
    size_t wanted = *capacity ? *capacity * 2 : first, bytes;
    if (!rf_mul_size(wanted, item_bytes, &bytes))
        return rf_fail(ctx, RF_E_MEMORY, "a list grew too long");
    void *grown = rf_host_alloc(ctx, bytes);
    if (!grown)
        return ctx->record.error.code;
    if (*array)
        memcpy(grown, *array, num * item_bytes);
    rf_host_free(ctx, *array, *capacity * item_bytes);
    *array = grown;
    *capacity = wanted;
    return RF_OK;
}

/* ---- errors ---- */

rf_status rf_fail(rf_context *ctx, rf_status status, const char *format, ...)
{
    rf_error_record *r = &ctx->record;
    va_list args;
    va_start(args, format);
    vsnprintf(r->message, sizeof r->message, format, args);
    va_end(args);
    for (char *c = r->message; *c; c++) /* one line, whatever a file put into a name */
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            *c = '?';
    snprintf(r->op, sizeof r->op, "%s", ctx->op ? ctx->op : "");
    r->path[0] = 0;
    ctx->errors++;
    if (ctx->module && ctx->path_writer)
        ctx->path_writer(ctx->module, r->path, sizeof r->path);
    r->error = (rf_error){.size = sizeof(rf_error),
                          .code = status,
                          .message = r->message,
                          .op = r->op,
                          .path = r->path,
                          .slot = -1};
    return status;
}

const rf_error *rf_context_error(const rf_context *ctx)
{
    return &ctx->record.error;
}

uint64_t rf_context_errors(const rf_context *ctx)
{
    return ctx->errors;
}

void rf_context_set_module(rf_context *ctx, const void *module, rf_path_writer writer,
                           const void **previous)
{
    if (previous)
        *previous = ctx->module;
    ctx->module = module;
    ctx->path_writer = writer;
}

void rf_error_set_path(rf_context *ctx, const char *path)
{
    snprintf(ctx->record.path, sizeof ctx->record.path, "%s", path);
}

void rf_context_set_param_finder(rf_context *ctx, rf_param_finder finder)
{
    ctx->param_finder = finder;
}

void rf_log_line(rf_context *ctx, const char *format, ...)
{
    char line[RF_ERROR_MESSAGE];
    if (!ctx->log)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    ctx->log(ctx->log_payload, line);
}

/* ---- making and ending ---- */

static size_t context_processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (size_t)n : 1;
}

static rf_status context_allocator(rf_allocator *alloc, const rf_context_options *opts)
{
    *alloc = (rf_allocator){rf_alloc_libc, NULL};
    if (opts->alloc)
        *alloc = (rf_allocator){opts->alloc, opts->alloc_payload};
    if (!opts->memory)
        return RF_OK;
    if (opts->alloc)
        return RF_E_ARGUMENT;
    alloc->fn = rf_alloc_heap;
    alloc->payload = rf_heap_begin(opts->memory, opts->memory_bytes);
    return alloc->payload ? RF_OK : RF_E_ARGUMENT;
}

rf_status rf_context_create(rf_context **out, const rf_context_options *opts)
{
    static const rf_context_options defaults = RF_CONTEXT_OPTIONS_INIT;
    rf_allocator alloc;
    *out = NULL;
    opts = opts ? opts : &defaults;
    const rf_kernels *kernels = rf_kernels_find(opts->isa);
    if (opts->size != sizeof *opts || !kernels)
        return RF_E_ARGUMENT;
    rf_status status = context_allocator(&alloc, opts);
    if (status)
        return status;
    rf_context *ctx = rf_allocator_get(&alloc, sizeof *ctx);
    if (!ctx)
        return opts->memory ? RF_E_ARGUMENT : RF_E_MEMORY;
    memset(ctx, 0, sizeof *ctx);
    ctx->alloc = alloc;
    ctx->slab =
        (rf_slab){.chunk_get = context_chunk_get, .chunk_put = context_chunk_put, .payload = ctx};
    ctx->dry = opts->dry != 0;
    ctx->devices[RF_DEVICE_CPU] = ctx->dry ? &rf_device_dry : &rf_device_cpu;
    ctx->devices[RF_DEVICE_META] = &rf_device_meta;
    ctx->kernels = kernels;
    ctx->threads = opts->threads ? opts->threads : context_processors();
    ctx->rng.seed = opts->seed;
    ctx->log = opts->log;
    ctx->log_payload = opts->log_payload;
    rf_fail(ctx, RF_OK, "%s", "");
    if (opts->spill_folder && !(ctx->spill_folder = rf_host_copy_text(ctx, opts->spill_folder))) {
        rf_context_destroy(ctx);
        return RF_E_MEMORY;
    }
    *out = ctx;
    return RF_OK;
}

static void context_free_retired(rf_context *ctx)
{
    while (ctx->retired) {
        rf_retired *block = ctx->retired;
        ctx->retired = block->next;
        rf_host_free(ctx, block, block->bytes);
    }
}

void rf_context_retire(rf_context *ctx, rf_retired *block, size_t bytes)
{
    *block = (rf_retired){ctx->retired, bytes};
    ctx->retired = block;
    if (!ctx->live_nodes)
        context_free_retired(ctx);
}

static void context_report_leftovers(rf_context *ctx)
{
    if (ctx->live_handles)
        rf_log_line(ctx, "context ended with %llu tensors still held",
                    (unsigned long long)ctx->live_handles);
    if (ctx->live_nodes)
        rf_log_line(ctx, "context ended with %llu graph nodes alive",
                    (unsigned long long)ctx->live_nodes);
}

void rf_context_destroy(rf_context *ctx)
{
    if (!ctx)
        return;
    context_report_leftovers(ctx);
    context_free_retired(ctx);
    if (ctx->mismatch_end)
        ctx->mismatch_end(ctx);
    if (ctx->costs_end)
        ctx->costs_end(ctx);
    rf_tiered_close(ctx);
    rf_host_free_text(ctx, ctx->spill_folder);
    rf_host_free(ctx, ctx->ops, ctx->cap_ops * sizeof *ctx->ops);
    rf_pool *pool = ctx->pool;
    ctx->pool = NULL;
    rf_pool_destroy(pool);
    rf_slab_end(&ctx->slab);
    rf_recycle_trim(&ctx->recycle, &ctx->alloc, 0);
    rf_allocator alloc = ctx->alloc;
    rf_allocator_put(&alloc, ctx, sizeof *ctx);
}

size_t rf_context_threads(const rf_context *ctx)
{
    return ctx->threads;
}

const char *rf_context_isa(const rf_context *ctx)
{
    return ctx->kernels->name;
}

const rf_kernels *rf_context_kernels(const rf_context *ctx)
{
    return ctx->kernels;
}

double rf_context_recompute_seconds(const rf_context *ctx)
{
    return ctx->recompute_seconds;
}

rf_rng rf_context_rng(const rf_context *ctx)
{
    return ctx->rng;
}

void rf_context_set_rng(rf_context *ctx, rf_rng rng)
{
    ctx->rng = rng;
}
