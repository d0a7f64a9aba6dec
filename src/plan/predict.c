/* predict.c: see refrain/predict.h. A dry run (tensor/dry.h) of the caller's step, watched by the
 * ledger's own peaks. */
#include "tensor/dry.h"

#include <refrain/predict.h>

static uint64_t predict_executed(const rf_context *ctx)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < RF_TALLIES; i++)
        sum += ctx->tally[i].counts.executed;
    return sum;
}

static rf_status predict_step(rf_prediction *out, rf_context *ctx, const rf_training_step *step)
{
    uint64_t kernels = predict_executed(ctx);
    double seconds = ctx->dry_seconds, again = ctx->recompute_seconds;
    rf_status status = step->run(step->payload);
    out->kernels = predict_executed(ctx) - kernels;
    out->seconds = ctx->dry_seconds - seconds;
    out->seconds_again = ctx->recompute_seconds - again;
    return status;
}

static rf_status predict_watched(rf_prediction *out, rf_context *ctx, const rf_training_step *step,
                                 rf_explain **explain)
{
    rf_status status = rf_explain_create(explain, ctx);
    if (status)
        return status;
    status = predict_step(out, ctx, step);
    rf_explain_stop(*explain);
    return status;
}

static void predict_peaks(rf_prediction *out, const rf_context *ctx)
{
    for (unsigned c = 0; c < RF_MEM_CLASSES; c++)
        if (ctx->ledger.row[RF_DEVICE_CPU][c].peak > out->peak[c])
            out->peak[c] = ctx->ledger.row[RF_DEVICE_CPU][c].peak;
    if (ctx->ledger.row[RF_DEVICE_HOST][RF_MEM_ALL].peak > out->host)
        out->host = ctx->ledger.row[RF_DEVICE_HOST][RF_MEM_ALL].peak;
    if (ctx->ledger.row[RF_DEVICE_FILE][RF_MEM_ALL].peak > out->file)
        out->file = ctx->ledger.row[RF_DEVICE_FILE][RF_MEM_ALL].peak;
}

static rf_status predict_steps(rf_prediction *out, rf_context *ctx, const rf_training_step *step,
                               const rf_predict_options *opts)
{
    size_t steps = opts && opts->steps ? opts->steps : 2;
    rf_status status = RF_OK;
    for (size_t i = 0; i < steps && !status; i++) {
        status = i + 1 == steps && opts && opts->explain
                     ? predict_watched(out, ctx, step, opts->explain)
                     : predict_step(out, ctx, step);
        predict_peaks(out, ctx);
    }
    return status;
}

rf_status rf_predict(rf_prediction *out, rf_context *ctx, const rf_training_step *step,
                     const rf_predict_options *opts)
{
    if (opts && opts->explain)
        *opts->explain = NULL;
    if (out->size != sizeof *out || (opts && opts->size != sizeof *opts) || !step || !step->run)
        return rf_fail(ctx, RF_E_ARGUMENT, "predict: structs of another size, or no step");
    *out = (rf_prediction)RF_PREDICTION_INIT;
    rf_status status = rf_dry_begin(ctx);
    if (status)
        return status;
    status = predict_steps(out, ctx, step, opts);
    rf_dry_end(ctx);
    if (status && opts && opts->explain) {
        rf_explain_destroy(*opts->explain);
        *opts->explain = NULL;
    }
    return status;
}
