/* blocks.c: see blocks.h. */
#include "tensor/blocks.h"

#include <string.h>

enum { BLOCKS_FIRST = 256 };

void rf_blocks_watch(rf_context *ctx, rf_block_log *log)
{
    *log = (rf_block_log){.first = ctx->block_clock};
    ctx->blocks = log;
}

rf_status rf_blocks_stop(rf_context *ctx, rf_block_log *log)
{
    ctx->blocks = NULL;
    return log->failed ? rf_fail(ctx, RF_E_MEMORY, "no memory to note the blocks of a step")
                       : RF_OK;
}

void rf_blocks_free(rf_context *ctx, rf_block_log *log)
{
    rf_allocator_put(&ctx->alloc, log->lives, log->capacity * sizeof *log->lives);
    *log = (rf_block_log){0};
}

static int blocks_grow(rf_context *ctx, rf_block_log *log)
{
    size_t capacity = log->capacity ? 2 * log->capacity : BLOCKS_FIRST;
    if (log->num < log->capacity)
        return 1;
    rf_block_life *lives = rf_allocator_get(&ctx->alloc, capacity * sizeof *lives);
    if (!lives)
        return 0;
    if (log->num)
        memcpy(lives, log->lives, log->num * sizeof *lives);
    rf_allocator_put(&ctx->alloc, log->lives, log->capacity * sizeof *lives);
    log->lives = lives;
    log->capacity = capacity;
    return 1;
}

uint64_t rf_blocks_come(rf_context *ctx, size_t bytes)
{
    rf_block_log *log = ctx->blocks;
    ctx->block_clock++;
    if (log && !log->failed) {
        log->failed = !blocks_grow(ctx, log);
        if (!log->failed)
            log->lives[log->num++] = (rf_block_life){bytes, ++log->clock, RF_BLOCK_STAYS};
    }
    return ctx->block_clock;
}

void rf_blocks_go(rf_context *ctx, uint64_t number)
{
    rf_block_log *log = ctx->blocks;
    if (log && !log->failed && number > log->first)
        log->lives[number - log->first - 1].end = ++log->clock;
}
