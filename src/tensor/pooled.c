/* pooled.c: see pooled.h. */
#include "tensor/pooled.h"
#include "tensor/dry.h"

#include <unistd.h>

enum {
    POOLED_BLOCKS = 1024, /* in use beside those of a plan, about */
    POOLED_LEAST = 1 << 24,
    POOLED_SLACK = 64, /* a 64th of the bytes, for what lies beside blocks in their pages */
};

static uint64_t pooled_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : (uint64_t)1 << 32;
}

/* With less than the arena wanted where addresses are scarce and no budget says what it must be. */
static rf_status pooled_create(rf_context *ctx, uint64_t bytes)
{
    rf_pool_options opts = {.limit = bytes, .blocks = POOLED_BLOCKS};
    opts.arena = bytes ? bytes : pooled_memory();
    do
        ctx->pool = rf_pool_create(&ctx->alloc, &opts);
    while (!ctx->pool && !bytes && (opts.arena /= 2) > POOLED_LEAST);
    if (!ctx->pool)
        return rf_fail(ctx, RF_E_MEMORY,
                       "no memory or no addresses for a pool of %llu bytes "
                       "(ulimit -v?)",
                       (unsigned long long)bytes);
    rf_recycle_trim(&ctx->recycle, &ctx->alloc, 0);
    return RF_OK;
}

rf_status rf_context_set_pool(rf_context *ctx, uint64_t bytes, const rf_pool_block *blocks,
                              size_t num)
{
    if (ctx->alloc.fn != rf_alloc_libc || ctx->dry)
        return rf_fail(ctx, RF_E_STATE, "no pool in a context %s",
                       ctx->dry ? "that is dry" : "whose memory is the caller's own");
    rf_status status = ctx->pool ? RF_OK : pooled_create(ctx, bytes);
    if (status)
        return status;
    ctx->pool_bytes = bytes;
    rf_context_pool_room(ctx);
    if (rf_pool_plan(ctx->pool, blocks, num))
        return RF_OK;
    return rf_fail(ctx, RF_E_ARGUMENT, "%zu blocks that do not lie in a pool of %llu bytes", num,
                   (unsigned long long)bytes);
}

void rf_context_pool_step(rf_context *ctx)
{
    if (ctx->pool)
        rf_pool_step_begin(ctx->pool);
}

void rf_context_pool_room(rf_context *ctx)
{
    const rf_ledger *ledger = ctx->dry_run ? &ctx->dry_run->ledger : &ctx->ledger;
    rf_pool_info info;
    if (!ctx->pool)
        return;
    rf_pool_get_info(ctx->pool, &info);
    uint64_t others = ledger->row[RF_DEVICE_CPU][RF_MEM_ALL].used - info.asked;
    uint64_t left = ctx->pool_bytes > others ? ctx->pool_bytes - others : 0;
    left += ctx->pool_bytes / POOLED_SLACK + 1;
    rf_pool_set_limit(ctx->pool, ctx->pool_bytes ? left : 0);
}

int rf_context_pool_trim(rf_context *ctx)
{
    rf_pool_info before, after;
    if (!ctx->pool)
        return 0;
    rf_pool_get_info(ctx->pool, &before);
    rf_pool_trim(ctx->pool, 0);
    rf_pool_get_info(ctx->pool, &after);
    return after.kept < before.kept;
}
