/* replay.c: drop, run again: the recompute half.
 *
 * The function runs a second time with fresh handles on its inputs. Its ops are noted, not
 * computed (op/pending.c), and what they save fills the replay's values in the order of the
 * forward; backward then asks for values one by one, and only what they need is computed. With
 * early stop off every op is computed as it comes.
 *
 * Invariant: whatever happens, the context's generator, activation, region and defer flag are after
 * a replay what they were before it.
 */
#include "remat/frame.h"
#include "tensor/trace.h"

#include <stdio.h>

/* ---- values ---- */

static void replay_drop(rf_replayed *value)
{
    rf_storage *storage = value->storage;
    value->storage = NULL;
    rf_storage_unref(storage);
}

/* Everything was handed out: what outer regions hold as this one's inputs may go. */
static void replay_finish(rf_replay *replay)
{
    for (size_t i = 0; i < replay->frame->num_inputs; i++) {
        const rf_slot *slot = &replay->frame->inputs[i].slot;
        rf_frame *outer = (rf_frame *)slot->owner;
        for (rf_replay *r = outer ? outer->replays : NULL; r; r = r->next)
            if (r->run == replay->run)
                rf_replay_handed_out(r, slot->index);
    }
}

void rf_replay_handed_out(rf_replay *replay, size_t index)
{
    if (index >= replay->num || replay->values[index].done)
        return;
    replay->values[index].done = replay->values[index].given = 1;
    replay_drop(&replay->values[index]);
    if (--replay->left == 0)
        replay_finish(replay);
}

/* With debug: copies of both lists of ops are the context's from now on. */
static void replay_report(const rf_replay *replay)
{
    if (replay->trail)
        rf_op_trail_report(replay->frame->ctx, replay->frame->trail, replay->trail);
}

/* Time spent on recomputing, counted once however deep it nests. */
static void replay_clock(rf_context *ctx, int begin)
{
    if (begin ? ctx->recompute_depth++ : --ctx->recompute_depth)
        return;
    ctx->recompute_seconds += begin ? -rf_clock(ctx) : rf_clock(ctx);
}

/* Whether the value is the forward's, where its hash was taken. */
static rf_status replay_check_value(const rf_replay *replay, size_t index)
{
    rf_frame *frame = replay->frame;
    rf_context *ctx = frame->ctx;
    const rf_record *record = &frame->records[index];
    const rf_replayed *value = &replay->values[index];
    const void *module = ctx->module;
    char name[128];
    if (!record->hash ||
        record->hash == rf_verify_hash(frame->verify, value->storage, &value->view))
        return RF_OK;
    ctx->module = record->module;
    rf_fail(ctx, RF_E_REPLAY_VALUE, "%s: value %zu (of %s) has other elements in the recompute",
            rf_frame_name(frame, name), index, record->op ? record->op->name : "an inner region");
    snprintf(ctx->record.op, sizeof ctx->record.op, "%s", record->op ? record->op->name : "");
    ctx->record.error.slot = (int64_t)index;
    ctx->module = module;
    replay_report(replay);
    return RF_E_REPLAY_VALUE;
}

rf_status rf_replay_look(rf_replay *replay, size_t index, rf_storage **out, rf_view *view)
{
    rf_frame *frame = replay->frame;
    rf_context *ctx = frame->ctx;
    char name[128];
    rf_replayed *value = index < replay->num ? &replay->values[index] : NULL;
    if (value && value->given && rf_run_group(ctx))
        return rf_fail(ctx, RF_E_CONSUMED,
                       "backward group %s: two of its calls read value %zu of %s; they must be "
                       "disjoint",
                       rf_run_group(ctx), index, rf_frame_name(frame, name));
    if (!value || !value->storage) {
        rf_fail(ctx, RF_E_REPLAY_FEWER, "value %zu of %s was not computed by its recompute", index,
                rf_frame_name(frame, name));
        ctx->record.error.slot = (int64_t)index;
        return RF_E_REPLAY_FEWER;
    }
    if (value->storage->version != value->version)
        return rf_fail(ctx, RF_E_MUTATED, "value %zu of %s was changed in place after it was used",
                       index, rf_frame_name(frame, name));
    if (!ctx->defer) {
        replay_clock(ctx, 1);
        rf_status status = rf_storage_force(value->storage);
        replay_clock(ctx, 0);
        if (!status)
            status = replay_check_value(replay, index);
        if (status)
            return status;
    }
    *view = value->view;
    *out = rf_storage_ref(value->storage);
    return RF_OK;
}

/* ---- saving again ---- */

static void replay_note_mismatch(rf_replay *replay, rf_status status, size_t index,
                                 const rf_shape *shape)
{
    if (replay->mismatch)
        return;
    replay->mismatch = status;
    replay->mismatch_slot = index;
    replay->mismatch_shape = *shape;
}

static rf_status replay_save(rf_keeper *keeper, const rf_save *save, rf_slot *slot)
{
    rf_region_run *run = (rf_region_run *)keeper;
    rf_replay *replay = run->replay;
    const rf_frame *frame = run->frame;
    size_t index = replay->reached++;
    rf_status status = rf_slot_keep(save, slot); /* for a backward inside the region */
    if (status)
        return status;
    if (index >= replay->num) {
        if (frame->complete && !frame->early_stop)
            replay_note_mismatch(replay, RF_E_REPLAY_MORE, index, &save->t->view.shape);
        return RF_OK;
    }
    const rf_record *record = &frame->records[index];
    if (!record->wanted)
        return RF_OK;
    if (frame->verify != RF_VERIFY_NONE && !rf_shape_equal(&record->shape, &save->t->view.shape))
        replay_note_mismatch(replay, RF_E_REPLAY_META, index, &save->t->view.shape);
    if (record->source == RF_RECORD_INSIDE && !replay->values[index].done) {
        replay->values[index] = (rf_replayed){.storage = rf_storage_ref(save->t->storage),
                                              .version = save->version,
                                              .view = save->t->view};
    }
    return RF_OK;
}

static rf_status replay_done(rf_keeper *keeper, rf_step *step)
{
    rf_region_run *run = (rf_region_run *)keeper;
    run->steps++;
    return run->replay->trail ? rf_op_trail_add(run->replay->trail, step) : RF_OK;
}

/* ---- running ---- */

/* Inputs may be parameters that were handed in. */
static rf_status replay_input_changed(rf_frame *frame, size_t i)
{
    rf_context *ctx = frame->ctx;
    const rf_slot *slot = &frame->inputs[i].slot;
    char name[128], text[128], path[RF_ERROR_PATH];
    int found = rf_slot_param(ctx, slot, path, sizeof path);
    rf_fail(ctx, RF_E_MUTATED, "input %zu %s of %s%s%s was changed in place since the forward", i,
            rf_shape_text(&slot->view.shape, text, sizeof text), rf_frame_name(frame, name),
            found ? ", parameter " : "", found ? path : "");
    if (found)
        rf_error_set_path(ctx, path);
    return RF_E_MUTATED;
}

/* A handle on input number i as the function saw it: a leaf that wants a gradient, or not. */
static rf_status replay_input(rf_frame *frame, rf_scope *s, size_t i, rf_tensor **out)
{
    rf_storage *storage;
    rf_view view;
    *out = NULL;
    if (!frame->inputs[i].present)
        return RF_OK;
    const rf_slot *slot = &frame->inputs[i].slot;
    rf_status status = rf_slot_unpack(frame->ctx, slot, &storage, &view);
    if (status == RF_E_MUTATED && !slot->owner)
        replay_input_changed(frame, i);
    if (status)
        return status;
    *out = rf_handle_create(frame->ctx, s, storage, &view);
    if (!*out)
        return frame->ctx->record.error.code;
    (*out)->requires_grad = frame->inputs[i].requires_grad;
    return RF_OK;
}

static rf_status replay_call(rf_frame *frame, rf_scope *s, uint64_t around)
{
    rf_context *ctx = frame->ctx;
    size_t num = frame->num_in + frame->num_out;
    rf_tensor **handles = rf_host_alloc(ctx, (num + 1) * sizeof *handles);
    if (!handles)
        return ctx->record.error.code;
    rf_values in = {handles, frame->num_in}, out = {handles + frame->num_in, frame->num_out};
    rf_status status = RF_OK;
    for (size_t i = 0; i < in.num && !status; i++)
        status = replay_input(frame, s, i, &in.v[i]);
    for (size_t i = 0; i < in.num && !status; i++)
        if (in.v[i])
            in.v[i]->region = frame->inputs[i].from_region ? around : 0;
    if (!status)
        status = rf_frame_call(frame, s, RF_PASS_RECOMPUTE, &in, &out);
    rf_host_free(ctx, handles, (num + 1) * sizeof *handles);
    return status;
}

/* Unpack inputs outside, then run as though no region were active. */
static rf_status replay_run(rf_replay *replay)
{
    rf_frame *frame = replay->frame;
    rf_context *ctx = frame->ctx;
    rf_keeper *keeper = ctx->keeper;
    uint64_t region = ctx->region;
    int defer = ctx->defer;
    rf_rng rng = ctx->rng;
    const void *module = ctx->module;
    const char *op = ctx->op;
    rf_scope s;
    /* Stands for the regions that were around the first run: see rf_frame_input.from_region. */
    rf_region_run around = {.frame = frame, .id = ++ctx->region_clock};
    rf_region_run run = {
        .base = {.again = 1, .save = replay_save, .begin = rf_region_begin, .done = replay_done},
        .frame = frame,
        .replay = replay,
        .outer = &around,
        .id = ++ctx->region_clock};
    ctx->keeper = &run.base;
    ctx->region = run.id;
    ctx->defer = frame->early_stop;
    ctx->module = frame->module;
    ctx->op = NULL;
    if (!frame->fresh_random)
        ctx->rng = frame->rng;
    rf_scope_begin(&s, ctx, NULL);
    s.precision = frame->precision;
    replay_clock(ctx, 1);
    rf_watch_begin(&run);
    rf_status status = replay_call(frame, &s, around.id);
    rf_watch_end(&run, status, NULL);
    replay_clock(ctx, 0);
    rf_scope_end(&s);
    ctx->keeper = keeper;
    ctx->region = region;
    ctx->defer = defer;
    ctx->module = module;
    ctx->op = op;
    if (!frame->fresh_random)
        ctx->rng = rng;
    return status;
}

static rf_status replay_verdict(const rf_replay *replay)
{
    const rf_frame *frame = replay->frame;
    rf_context *ctx = frame->ctx;
    size_t slot = replay->mismatch_slot;
    rf_status status = replay->mismatch;
    char name[128], was[128], is[128];
    rf_frame_name(frame, name);
    if (!status && frame->complete && replay->reached < replay->num) {
        status = RF_E_REPLAY_FEWER;
        slot = replay->reached;
    }
    if (!status)
        return RF_OK;
    if (status == RF_E_REPLAY_META)
        rf_fail(ctx, status, "%s: value %zu (%s) was %s in the forward and is %s in the recompute",
                name, slot, frame->records[slot].op ? frame->records[slot].op->name : "input",
                rf_shape_text(&frame->records[slot].shape, was, sizeof was),
                rf_shape_text(&replay->mismatch_shape, is, sizeof is));
    else
        rf_fail(ctx, status, "%s saved %zu values in the forward and %zu in the recompute", name,
                replay->num, replay->reached);
    ctx->record.error.slot = (int64_t)slot;
    replay_report(replay);
    return status;
}

static void replay_close(rf_run_closer *closer)
{
    rf_replay *replay = (rf_replay *)closer;
    rf_replay_end(replay);
}

/* Take it off its frame's list and give everything back. It must be off the run's list already,
 * or go together with it. */
void rf_replay_end(rf_replay *replay)
{
    rf_context *ctx = replay->frame->ctx;
    for (rf_replay **at = &replay->frame->replays; *at; at = &(*at)->next)
        if (*at == replay) {
            *at = replay->next;
            break;
        }
    rf_run_forget_closer(ctx, &replay->closer);
    rf_op_trail_end(replay->trail);
    for (size_t i = 0; i < replay->num; i++)
        replay_drop(&replay->values[i]);
    rf_host_free(ctx, replay->values, replay->num * sizeof *replay->values);
    rf_host_free(ctx, replay, sizeof *replay);
}

static rf_replay *replay_new(rf_frame *frame)
{
    rf_context *ctx = frame->ctx;
    rf_replay *replay = rf_host_alloc(ctx, sizeof *replay);
    if (!replay)
        return NULL;
    replay->num = frame->num_records;
    replay->values = rf_host_alloc(ctx, replay->num * sizeof *replay->values);
    if (replay->values && frame->trail)
        replay->trail = rf_op_trail_create(ctx);
    if (!replay->values || (frame->trail && !replay->trail)) {
        rf_host_free(ctx, replay->values, replay->num * sizeof *replay->values);
        rf_host_free(ctx, replay, sizeof *replay);
        return NULL;
    }
    for (size_t i = 0; i < replay->num; i++) {
        const rf_record *record = &frame->records[i];
        replay->values[i].done = !record->wanted || record->source == RF_RECORD_OUTSIDE ||
                                 record->source == RF_RECORD_KEPT;
        replay->left += !replay->values[i].done;
    }
    replay->closer.close = replay_close;
    replay->frame = frame;
    replay->run = rf_run_number(ctx);
    replay->next = frame->replays;
    frame->replays = replay;
    rf_run_add_closer(ctx, &replay->closer);
    return replay;
}

rf_status rf_replay_of(rf_replay **out, rf_frame *frame)
{
    rf_context *ctx = frame->ctx;
    for (*out = frame->replays; *out; *out = (*out)->next)
        if ((*out)->run == rf_run_number(ctx))
            return RF_OK;
    frame->refs++; /* it must outlive its own recompute */
    *out = replay_new(frame);
    rf_status status = *out ? replay_run(*out) : ctx->record.error.code;
    if (!status)
        status = replay_verdict(*out);
    if (status && *out)
        rf_replay_end(*out);
    if (status)
        *out = NULL;
    rf_frame_unref(frame);
    return status;
}
