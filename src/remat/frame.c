/* frame.c: saving into a frame, and giving back. See frame.h. */
#include "remat/frame.h"

#include <stdio.h>

void rf_frame_end_payloads(const rf_function *fn, const rf_region_hooks *hooks,
                           const rf_policy *policy)
{
    if (fn->destroy)
        fn->destroy(fn->payload);
    if (hooks->destroy)
        hooks->destroy(hooks->payload);
    if (policy->destroy)
        policy->destroy(policy->payload);
}

static void frame_end(rf_frame *frame)
{
    rf_context *ctx = frame->ctx;
    ctx->live_frames--;
    while (frame->replays)
        rf_replay_end(frame->replays);
    rf_keep_end(&frame->keep);
    rf_island_end(ctx, frame->islands);
    rf_op_trail_end(frame->trail);
    for (size_t i = 0; i < frame->num_inputs; i++)
        rf_slot_release(&frame->inputs[i].slot);
    rf_frame_end_payloads(&frame->fn, &frame->hooks, &frame->policy);
    rf_host_free_text(ctx, frame->label);
    rf_host_free(ctx, frame->inputs, frame->cap_inputs * sizeof *frame->inputs);
    rf_host_free(ctx, frame->records, frame->cap_records * sizeof *frame->records);
    rf_host_free(ctx, frame, sizeof *frame);
}

void rf_frame_unref(rf_frame *frame)
{
    if (--frame->refs == 0)
        frame_end(frame);
}

const char *rf_frame_name(const rf_frame *frame, char *buffer)
{
    snprintf(buffer, 128, frame->label ? "region %s" : "a region", frame->label);
    return buffer;
}

/* ---- giving values back ---- */

/* What nobody waits for any more may go: kept results of steps that are over, and when they all
 * are, the inputs. */
void rf_frame_drop_unwanted(rf_frame *frame)
{
    if (!frame->complete)
        return;
    while (frame->top && !frame->records[frame->top - 1].wanted)
        frame->top--;
    rf_keep_drop_after(&frame->keep,
                       frame->top ? (int64_t)frame->records[frame->top - 1].step : -1);
    for (size_t i = 0; i < frame->num_inputs && !frame->live; i++)
        rf_slot_release(&frame->inputs[i].slot);
}

static void frame_release(rf_slot_owner *owner, rf_slot *slot)
{
    rf_frame *frame = (rf_frame *)owner;
    rf_record *record = &frame->records[slot->index];
    if (record->wanted) {
        record->wanted = 0;
        frame->live--;
    }
    for (rf_replay *r = frame->replays; r; r = r->next)
        rf_replay_handed_out(r, slot->index);
    rf_frame_drop_unwanted(frame);
    rf_frame_unref(frame);
}

static rf_status frame_mismatch(rf_frame *frame, const rf_slot *slot, const rf_shape *got)
{
    char was[128], is[128];
    const rf_record *record = &frame->records[slot->index];
    rf_fail(frame->ctx, RF_E_SHAPE, "%s: value %u was %s in the forward and is %s in the recompute",
            record->op ? record->op->name : "region", slot->index,
            rf_shape_text(&record->shape, was, sizeof was), rf_shape_text(got, is, sizeof is));
    frame->ctx->record.error.slot = slot->index;
    return RF_E_SHAPE;
}

/* A kept value; when backward asks, not another replay, its bytes are there. */
static rf_status frame_kept(rf_frame *frame, const rf_slot *slot, rf_storage **out, rf_view *view)
{
    size_t at = rf_keep_find(&frame->keep, frame->records[slot->index].from);
    rf_status status = rf_keep_look(&frame->keep, at, out);
    if (status)
        return status;
    if (!frame->ctx->defer)
        status = rf_storage_force(*out);
    if (status)
        rf_storage_unref(*out);
    *view = slot->view;
    return status;
}

/* The value itself, wherever it comes from. */
static rf_status frame_value(rf_frame *frame, const rf_slot *slot, rf_replay *replay,
                             rf_storage **out, rf_view *view)
{
    const rf_record *record = &frame->records[slot->index];
    rf_slot plain = *slot;
    switch ((rf_record_source)record->source) {
    case RF_RECORD_INSIDE:
        return rf_replay_look(replay, slot->index, out, view);
    case RF_RECORD_INPUT:
        return rf_slot_unpack(frame->ctx, &frame->inputs[record->from].slot, out, view);
    case RF_RECORD_KEPT:
        return frame_kept(frame, slot, out, view);
    case RF_RECORD_OUTSIDE:
        break;
    }
    plain.owner = NULL;
    plain.packed = NULL; /* they are unpacked further up */
    return rf_slot_unpack(frame->ctx, &plain, out, view);
}

static rf_replay *frame_replay_now(const rf_frame *frame)
{
    rf_replay *r = frame->replays;
    while (r && r->run != rf_run_number(frame->ctx))
        r = r->next;
    return r;
}

static rf_status frame_unpack(rf_slot_owner *owner, const rf_slot *slot, rf_storage **out,
                              rf_view *view)
{
    rf_frame *frame = (rf_frame *)owner;
    const rf_record *record = &frame->records[slot->index];
    rf_replay *replay = NULL;
    rf_status status = RF_OK;
    if (record->source == RF_RECORD_INSIDE || !frame->early_stop)
        status = rf_replay_of(&replay, frame);
    if (!status)
        status = frame_value(frame, slot, replay, out, view);
    if (status)
        return status;
    if (!rf_shape_equal(&view->shape, &record->shape)) {
        rf_storage_unref(*out);
        return frame_mismatch(frame, slot, &view->shape);
    }
    replay = frame_replay_now(frame);
    if (replay && record->op) /* an inner region reads its inputs more than once, and tells */
        rf_replay_handed_out(replay, slot->index);
    return RF_OK;
}

/* ---- saving ---- */

/* An input that names the same bytes in the same shape as t; num_inputs if there is none. Its own
 * bytes may be gone by now, so they are told by number. */
static size_t frame_find_input(const rf_frame *frame, const rf_tensor *t)
{
    for (size_t i = 0; i < frame->num_inputs; i++) {
        const rf_frame_input *input = &frame->inputs[i];
        rf_tensor like = {.storage = t->storage, .view = input->slot.view};
        if (input->present && input->storage == t->storage->id && rf_tensor_same(&like, t))
            return i;
    }
    return frame->num_inputs;
}

/* The region on the stack that computed t, looking outward from run; NULL: none that still runs. */
static rf_region_run *frame_owner_of(rf_region_run *run, const rf_tensor *t)
{
    while (run && run->id != t->region)
        run = run->outer;
    return run;
}

/* Keep t for a region: by bytes, or by the outer region's number. */
static rf_status frame_add_input(rf_frame *frame, rf_keeper *outer, const rf_save *save)
{
    rf_status status = rf_host_grow(frame->ctx, &frame->inputs, frame->num_inputs,
                                    &frame->cap_inputs, sizeof *frame->inputs);
    if (status)
        return status;
    rf_frame_input *input = &frame->inputs[frame->num_inputs];
    *input = (rf_frame_input){.present = save->t != NULL};
    if (save->t) {
        input->storage = save->t->storage->id;
        input->requires_grad = save->t->requires_grad;
        input->from_region = frame_owner_of((rf_region_run *)outer, save->t) != NULL;
        status = rf_slot_save(outer, save, &input->slot);
    }
    if (!status)
        frame->num_inputs++;
    return status;
}

/* Where a value of the region `run` comes from. An outer region's value becomes an input. */
static rf_status frame_source(rf_region_run *run, const rf_save *save, rf_record *record)
{
    rf_frame *frame = run->frame;
    if (save->t->region == run->id) {
        size_t kept = rf_keep_find(&frame->keep, save->t->storage->id);
        record->source = kept < frame->keep.num ? RF_RECORD_KEPT : RF_RECORD_INSIDE;
        record->from = save->t->storage->id;
        if (kept < frame->keep.num)
            frame->keep.v[kept].saved = 1;
        return RF_OK;
    }
    if (!frame_owner_of(run->outer, save->t)) {
        record->source = RF_RECORD_OUTSIDE;
        return RF_OK;
    }
    record->source = RF_RECORD_INPUT;
    record->from = frame_find_input(frame, save->t);
    if (record->from < frame->num_inputs)
        return RF_OK;
    rf_save outward = {save->t, save->version, save->op, run->base.hooks};
    return frame_add_input(frame, &run->outer->base, &outward);
}

rf_status rf_frame_save(rf_keeper *keeper, const rf_save *save, rf_slot *slot)
{
    rf_region_run *run = (rf_region_run *)keeper;
    rf_frame *frame = run->frame;
    rf_record record = {.shape = save->t->view.shape,
                        .op = save->op,
                        .module = frame->ctx->module,
                        .hash = rf_verify_hash(frame->verify, save->t->storage, &save->t->view),
                        .step = run->steps,
                        .wanted = 1};
    rf_status status = rf_host_grow(frame->ctx, &frame->records, frame->num_records,
                                    &frame->cap_records, sizeof *frame->records);
    if (!status)
        status = frame_source(run, save, &record);
    if (status)
        return status;
    *slot = (rf_slot){.version = save->version, .region = save->t->region, .view = save->t->view};
    if (record.source == RF_RECORD_OUTSIDE)
        status = rf_slot_keep(save, slot);
    if (status)
        return status;
    slot->owner = &frame->owner;
    slot->index = (uint32_t)frame->num_records;
    if (record.source != RF_RECORD_INPUT)
        rf_watch_save(run, save, record.source != RF_RECORD_OUTSIDE);
    frame->records[frame->num_records++] = record;
    frame->top = frame->num_records;
    frame->live++;
    frame->refs++;
    return RF_OK;
}

/* ---- making ---- */

static rf_status frame_inputs(rf_frame *frame, const rf_scope *s, const rf_values *in)
{
    rf_context *ctx = frame->ctx;
    rf_status status = RF_OK;
    for (size_t i = 0; i < in->num && !status; i++) {
        rf_tensor *t = in->v[i];
        rf_save save = {t, t && t->storage ? t->storage->version : 0, NULL, s->hooks};
        if (t && !t->storage)
            status = rf_fail(ctx, RF_E_STALE, "input %zu of a region was used up by a backward", i);
        else
            status = frame_add_input(frame, ctx->keeper, &save);
    }
    return status;
}

rf_status rf_frame_create(rf_frame **out, rf_scope *s, const rf_region_call *call)
{
    static const rf_checkpoint_options defaults = RF_CHECKPOINT_OPTIONS_INIT;
    const rf_checkpoint_options *opts = call->opts ? call->opts : &defaults;
    rf_context *ctx = s->ctx;
    rf_frame *frame = rf_host_alloc(ctx, sizeof *frame);
    if (!frame)
        return ctx->record.error.code;
    frame->owner = (rf_slot_owner){frame_unpack, frame_release};
    frame->ctx = ctx;
    frame->refs = 1;
    if (!ctx->live_frames++)
        ctx->frames_begin = ctx->node_clock + 1;
    frame->keep.frame = frame;
    frame->verify = opts->verify;
    frame->fresh_random = opts->fresh_random;
    frame->early_stop = s->early_stop >= 0 ? s->early_stop : !opts->no_early_stop;
    frame->rng = ctx->rng;
    frame->precision = s->precision;
    frame->module = ctx->module;
    frame->num_in = call->in->num;
    frame->num_out = call->out->num;
    rf_status status = RF_OK;
    if (opts->label && !(frame->label = rf_host_copy_text(ctx, opts->label)))
        status = ctx->record.error.code;
    if (!status && opts->debug && !(frame->trail = rf_op_trail_create(ctx)))
        status = ctx->record.error.code;
    if (!status)
        status = frame_inputs(frame, s, call->in);
    if (status) {
        rf_frame_unref(frame); /* fn and hooks are still the caller's */
        return status;
    }
    frame->fn = call->fn;
    frame->hooks = call->hooks;
    frame->policy = call->policy;
    *out = frame;
    return RF_OK;
}

rf_status rf_frame_call(rf_frame *frame, rf_scope *s, rf_pass pass, const rf_values *in,
                        rf_values *out)
{
    const rf_region_hooks *hooks = &frame->hooks;
    rf_status status = hooks->enter ? hooks->enter(hooks->payload, s, pass) : RF_OK;
    if (status)
        return status;
    status = frame->fn.call(frame->fn.payload, s, in, out);
    if (!status)
        status = s->status;
    if (hooks->leave)
        hooks->leave(hooks->payload, s, pass, status);
    return status;
}
