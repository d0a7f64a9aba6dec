/* pool.c: from a step to a pool whose places are planned (mem/pool.h, plan/layout.h). */
#include "plan/pool.h"
#include "tensor/dry.h"
#include "tensor/pooled.h"

/* The first step may ask for other blocks than those that follow it. */
static rf_status pool_log(rf_block_log *log, rf_context *ctx, const rf_training_step *step)
{
    *log = (rf_block_log){0};
    rf_status status = rf_dry_begin(ctx);
    if (status)
        return status;
    status = step->run(step->payload);
    if (!status) {
        rf_blocks_watch(ctx, log);
        status = step->run(step->payload);
        rf_status noted = rf_blocks_stop(ctx, log);
        status = status ? status : noted;
    }
    rf_dry_end(ctx);
    return status;
}

rf_status rf_pool_layout(rf_layout *out, rf_context *ctx, const rf_training_step *step)
{
    rf_block_log log;
    rf_status status = pool_log(&log, ctx, step);
    if (!status)
        status = rf_layout_create(out, ctx, &log);
    rf_blocks_free(ctx, &log);
    return status;
}

rf_status rf_pool_use(rf_context *ctx, uint64_t bytes, const rf_training_step *step)
{
    rf_layout layout;
    if (!step || !step->run)
        return rf_fail(ctx, RF_E_ARGUMENT, "pool: there is no step to lay out");
    rf_status status = rf_pool_layout(&layout, ctx, step);
    if (status)
        return status;
    status = rf_context_set_pool(ctx, bytes, layout.blocks, layout.num);
    rf_layout_free(ctx, &layout);
    return status;
}

void rf_pool_step(rf_context *ctx)
{
    rf_context_pool_step(ctx);
}
