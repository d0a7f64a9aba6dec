/* layout.c: see layout.h. */
#include "plan/layout.h"
#include "plan/memory.h"
#include "base/check.h"

/* What stays gets no bytes here, so that it takes no place. */
static void layout_read(const rf_block_log *log, rf_place_block *to)
{
    for (size_t i = 0; i < log->num; i++) {
        const rf_block_life *life = &log->lives[i];
        int stays = life->end == RF_BLOCK_STAYS;
        to[i] = (rf_place_block){life->begin, stays ? life->begin : life->end - 1,
                                 stays ? 0 : rf_round64(life->bytes)};
    }
}

static void layout_write(const rf_block_log *log, rf_layout *layout, const uint64_t *offsets)
{
    for (size_t i = 0; i < log->num; i++) {
        const rf_block_life *life = &log->lives[i];
        layout->blocks[i] =
            (rf_pool_block){life->bytes, life->end == RF_BLOCK_STAYS ? RF_POOL_REST : offsets[i]};
    }
}

rf_status rf_layout_create(rf_layout *out, rf_context *ctx, const rf_block_log *log)
{
    rf_place_problem problem = {.num = log->num};
    rf_status status = RF_OK;
    *out = (rf_layout){.num = log->num};
    if (!log->num)
        return RF_OK;
    rf_place_block *blocks = rf_plan_alloc(ctx, log->num * sizeof *blocks);
    uint64_t *offsets = blocks ? rf_plan_alloc(ctx, log->num * sizeof *offsets) : NULL;
    out->blocks = offsets ? rf_plan_alloc(ctx, log->num * sizeof *out->blocks) : NULL;
    if (out->blocks) {
        layout_read(log, blocks);
        problem.blocks = blocks;
        status = rf_place(ctx, &problem, offsets, &out->placement);
        layout_write(log, out, offsets);
    } else {
        status = ctx->record.error.code;
    }
    rf_plan_free(ctx, blocks, log->num * sizeof *blocks);
    rf_plan_free(ctx, offsets, log->num * sizeof *offsets);
    if (status)
        rf_layout_free(ctx, out);
    return status;
}

void rf_layout_free(rf_context *ctx, rf_layout *layout)
{
    rf_plan_free(ctx, layout->blocks, layout->num * sizeof *layout->blocks);
    *layout = (rf_layout){0};
}
