/* region.c: drop, run again: the forward half. A region is an activation on a stack while its
 * function runs; ops that record ask the innermost one what to keep.
 */
#include "remat/fates.h"
#include "remat/frame.h"

/* Is run, or a region around it, a recompute? */
static int region_again(const rf_region_run *run)
{
    for (; run; run = run->outer)
        if (run->replay)
            return 1;
    return 0;
}

/* A kernel that is computed again when backward asks runs in no region's function any more; it
 * counts as recomputing all the same. */
rf_pass rf_context_pass(const rf_context *ctx)
{
    if (ctx->recompute_depth)
        return RF_PASS_RECOMPUTE;
    return ctx->keeper ? RF_PASS_FORWARD : RF_PASS_PLAIN;
}

rf_pass rf_pass_current(const rf_scope *s)
{
    return rf_context_pass(s->ctx);
}

uint64_t rf_context_region(const rf_context *ctx)
{
    return ctx->region;
}

static void region_give_up(const rf_region_call *call)
{
    rf_frame_end_payloads(&call->fn, &call->hooks, &call->policy);
}

/* In a replay, and in a region that runs for the first time inside of one, what happens once has
 * happened. */
rf_status rf_region_begin(rf_keeper *keeper, rf_step *step)
{
    rf_region_run *run = (rf_region_run *)keeper;
    const rf_op_class *op = step->c->call.op;
    if (op->traits & RF_OP_FORBID)
        return rf_fail(step->scope->ctx, RF_E_UNSUPPORTED,
                       "%s has an effect that must not happen twice: call it outside of regions",
                       op->name);
    uint32_t once = RF_OP_ONCE | RF_OP_INPLACE;
    if ((op->traits & once) == RF_OP_ONCE && run->outer && !run->replay)
        return rf_fail(step->scope->ctx, RF_E_UNSUPPORTED,
                       "%s happens once and has a result of its own: not in a region inside of a "
                       "region",
                       op->name);
    if ((op->traits & once) == once && region_again(run)) {
        step->out[0] = step->in[0];
        step->given = 1;
    }
    return run->replay && !step->given ? rf_keep_give(run, step) : RF_OK;
}

static rf_status region_done(rf_keeper *keeper, rf_step *step)
{
    rf_region_run *run = (rf_region_run *)keeper;
    rf_status status = rf_keep_step(run, step);
    if (!status && run->frame->trail)
        status = rf_op_trail_add(run->frame->trail, step);
    run->steps++;
    return status;
}

static rf_status region_plain(rf_scope *s, const rf_region_call *call)
{
    rf_status status = call->fn.call(call->fn.payload, s, call->in, call->out);
    region_give_up(call);
    return status ? status : s->status;
}

/* Values that leave a region are the outer region's from then on. */
static void region_hand_out(const rf_values *out, uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < out->num; i++)
        if (out->v[i] && out->v[i]->region == from)
            out->v[i]->region = to;
}

rf_status rf_region_run_call(rf_scope *s, const rf_region_call *call)
{
    rf_context *ctx = s->ctx;
    rf_frame *frame;
    if (!s->grad)
        return region_plain(s, call);
    rf_status status = rf_frame_create(&frame, s, call);
    if (status) {
        region_give_up(call);
        return status;
    }
    uint64_t outer_region = ctx->region;
    if (!ctx->keeper)
        ctx->region_begin = ctx->node_clock + 1;
    rf_region_run run = {.base = {.hooks = s->hooks,
                                  .save = rf_frame_save,
                                  .begin = rf_region_begin,
                                  .done = region_done},
                         .frame = frame,
                         .outer = (rf_region_run *)ctx->keeper,
                         .id = ++ctx->region_clock};
    ctx->keeper = &run.base;
    ctx->region = run.id;
    rf_watch_begin(&run);
    status = rf_frame_call(frame, s, RF_PASS_FORWARD, call->in, call->out);
    if (!status)
        status = rf_keep_check_steps(&run);
    rf_watch_end(&run, status, call->out);
    ctx->keeper = run.outer ? &run.outer->base : NULL;
    ctx->region = outer_region;
    region_hand_out(call->out, run.id, outer_region);
    frame->complete = 1;
    rf_frame_drop_unwanted(frame);
    rf_frame_unref(frame);
    return status;
}

rf_status rf_checkpoint_call(rf_scope *s, rf_function fn, const rf_values *in, rf_values *out,
                             const rf_checkpoint_options *opts)
{
    rf_region_call call = {.fn = fn, .opts = opts, .in = in, .out = out};
    rf_status status = RF_OK;
    if (opts) {
        call.hooks = opts->hooks;
        call.policy = opts->policy;
    }
    if (!s->status && opts && opts->fates)
        status = opts->policy.choose
                     ? rf_fail(s->ctx, RF_E_ARGUMENT, "a region takes a policy or fates, not both")
                     : rf_fates_create(&call.policy, s->ctx, opts->fates, NULL);
    for (size_t i = 0; i < out->num; i++)
        out->v[i] = NULL;
    if (s->status || status) {
        region_give_up(&call);
        return s->status ? s->status : rf_scope_fail(s, status, NULL);
    }
    status = rf_region_run_call(s, &call);
    if (status)
        rf_scope_fail(s, status, NULL);
    return status;
}
