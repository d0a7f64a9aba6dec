/* profile_dry.c: dry runs (tensor/dry.h) timed by a table of costs, which has each call noted. */
#include "plan/profile.h"
#include "tensor/dry.h"

static double dry_cost(void *payload, const rf_op_call *call)
{
    return rf_costs_of(payload, call);
}

rf_cost_clock rf_cost_clock_by(rf_costs *costs)
{
    return (rf_cost_clock){dry_cost, costs, 1 / costs->rates.byte_rate, 1 / RF_COST_FILE_RATE};
}

rf_cost_clock rf_cost_clock_set(rf_context *ctx, rf_cost_clock clock)
{
    rf_cost_clock before = {ctx->cost, ctx->cost_payload, ctx->cost_byte, ctx->cost_file};
    ctx->cost = clock.cost;
    ctx->cost_payload = clock.payload;
    ctx->cost_byte = clock.byte;
    ctx->cost_file = clock.file;
    return before;
}

void rf_costs_use(rf_costs *costs, rf_context *ctx)
{
    const rf_cost_clock none = {NULL, NULL, 0, 0};
    rf_cost_clock_set(ctx, costs ? rf_cost_clock_by(costs) : none);
}

rf_status rf_costs_note_step(rf_costs *costs, const rf_training_step *step)
{
    rf_context *ctx = costs->ctx;
    if (!step || !step->run)
        return rf_fail(ctx, RF_E_ARGUMENT, "costs: there is no step to note");
    rf_status status = rf_dry_begin(ctx);
    if (status)
        return status;
    rf_cost_clock before = rf_cost_clock_set(ctx, rf_cost_clock_by(costs));
    status = step->run(step->payload);
    rf_cost_clock_set(ctx, before);
    rf_dry_end(ctx);
    if (!status && costs->status)
        status = rf_fail(ctx, costs->status, "no memory to note what a step runs");
    return status;
}
