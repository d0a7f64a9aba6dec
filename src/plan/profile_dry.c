/* profile_dry.c: costs in a dry run (tensor/dry.h): whoever lets one run has each call noted. */
#include "plan/profile.h"
#include "tensor/dry.h"

static double dry_cost(void *payload, const rf_op_call *call)
{
    return rf_costs_of(payload, call);
}

static rf_status dry_note_step(rf_costs *costs, const rf_training_step *step)
{
    rf_context *ctx = costs->ctx;
    double (*outer)(void *payload, const rf_op_call *call) = ctx->cost;
    void *outer_payload = ctx->cost_payload;
    ctx->cost = dry_cost;
    ctx->cost_payload = costs;
    rf_status status = step->run(step->payload);
    ctx->cost = outer;
    ctx->cost_payload = outer_payload;
    if (!status && costs->status)
        status = rf_fail(ctx, costs->status, "no memory to note what a step runs");
    return status;
}

rf_status rf_costs_note_step(rf_costs *costs, const rf_training_step *step)
{
    rf_context *ctx = costs->ctx;
    if (!step || !step->run)
        return rf_fail(ctx, RF_E_ARGUMENT, "costs: there is no step to note");
    int dry = ctx->dry && !ctx->dry_run; /* for good */
    rf_status status = dry ? RF_OK : rf_dry_begin(ctx);
    if (status)
        return status;
    status = dry_note_step(costs, step);
    if (!dry)
        rf_dry_end(ctx);
    return status;
}
