/* profile_model.c: what a call costs by arithmetic: see rf_cost_rates in profile.h. The rates of
 * this machine come from one product, large enough to be bound by multiplying, and one addition,
 * bound by memory. */
#include "plan/profile.h"
#include "op/table.h"

#include <string.h>

rf_cost_rates rf_cost_rates_default(const rf_context *ctx)
{
    const char *isa = rf_context_isa(ctx);
    double threads = (double)rf_context_threads(ctx);
    double flops = !strcmp(isa, "avx2")    ? RF_COST_FLOP_RATE_AVX2
                   : !strncmp(isa, "a", 1) ? RF_COST_FLOP_RATE_AVX512
                                           : RF_COST_FLOP_RATE_PORTABLE;
    return (rf_cost_rates){flops * threads, RF_COST_BYTE_RATE * threads, RF_COST_OVERHEAD};
}

double rf_cost_model(const rf_cost_rates *rates, const rf_op_call *call)
{
    rf_op_cost cost = rf_op_cost_of(call);
    double flops = cost.flops / rates->flop_rate, bytes = cost.bytes / rates->byte_rate;
    return rates->overhead + (flops > bytes ? flops : bytes);
}

/* Seconds of op on two square f32 matrices; 0: it can't be measured. */
static double model_measure(rf_context *ctx, const rf_op_class *op, int64_t side, rf_op_cost *cost)
{
    rf_view views[3] = {0};
    rf_cost_call c = {.op = op, .num_in = 2, .num_out = 1, .views = views};
    rf_view in[RF_MAX_INPUTS], out[RF_MAX_OUTPUTS];
    double seconds;
    for (int i = 0; i < 3; i++) {
        views[i].shape = (rf_shape){.dtype = RF_F32, .rank = 2, .dims = {side, side}};
        rf_view_set_contiguous(&views[i]);
    }
    rf_op_call call = rf_cost_call_open(&c, ctx, in, out);
    *cost = rf_op_cost_of(&call);
    return rf_cost_measure_call(ctx, &c, 0, &seconds) ? 0 : seconds;
}

rf_cost_rates rf_cost_rates_measure(rf_context *ctx)
{
    rf_cost_rates rates = rf_cost_rates_default(ctx);
    rf_op_cost cost;
    double seconds = model_measure(ctx, &rf_op_matmul, 384, &cost);
    if (seconds > 0)
        rates.flop_rate = cost.flops / seconds;
    seconds = model_measure(ctx, &rf_op_add, 1024, &cost);
    if (seconds > 0)
        rates.byte_rate = cost.bytes / seconds;
    return rates;
}
