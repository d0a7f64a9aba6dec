/* keep.c: see keep.h. */
#include "remat/fates.h"
#include "remat/frame.h"

#include <string.h>

/* ---- the list ---- */

static void keep_drop(rf_kept *kept)
{
    rf_storage_unref(kept->storage);
    rf_tiered_end(kept->tiered);
    *kept = (rf_kept){0};
}

void rf_keep_drop_after(rf_kept_list *keep, int64_t step)
{
    while (keep->num && keep->v[keep->num - 1].step > step)
        keep_drop(&keep->v[--keep->num]);
}

void rf_keep_end(rf_kept_list *keep)
{
    rf_context *ctx = keep->frame->ctx;
    rf_keep_drop_after(keep, -1);
    if (keep->open)
        rf_run_forget_closer(ctx, &keep->closer);
    rf_host_free(ctx, keep->v, keep->capacity * sizeof *keep->v);
}

size_t rf_keep_find(const rf_kept_list *keep, uint64_t id)
{
    size_t low = 0, high = keep->num;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (keep->v[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < keep->num && keep->v[low].id == id ? low : keep->num;
}

static rf_status keep_send(rf_kept *kept, rf_storage *s, rf_fate fate)
{
    if (s->pending || (fate != RF_FATE_HOST && fate != RF_FATE_FILE)) {
        kept->storage = rf_storage_ref(s);
        return RF_OK;
    }
    return rf_tiered_put(&kept->tiered, s, fate == RF_FATE_HOST ? RF_TIER_HOST : RF_TIER_FILE);
}

/* All results of a step. */
static rf_status keep_results(rf_region_run *run, const rf_step *step, rf_fate fate, int trial)
{
    rf_kept_list *keep = &run->frame->keep;
    size_t before = keep->num;
    rf_status status = RF_OK;
    for (size_t j = 0; j < step->c->call.num_out && !status; j++) {
        rf_tensor *t = step->out[j];
        status =
            rf_host_grow(run->frame->ctx, &keep->v, keep->num, &keep->capacity, sizeof *keep->v);
        if (status)
            break;
        keep->v[keep->num] = (rf_kept){.step = run->steps,
                                       .op = step->c->call.op,
                                       .id = t->storage->id,
                                       .version = t->storage->version,
                                       .trial = (uint8_t)trial,
                                       .view = t->view};
        status = keep_send(&keep->v[keep->num], t->storage, fate);
        if (status)
            break;
        keep->num++;
    }
    while (status && keep->num > before)
        keep_drop(&keep->v[--keep->num]);
    keep->trials += trial ? keep->num - before : 0;
    return status;
}

/* ---- modules that refuse ---- */

/* Whether any result of the step of v[at], num of them, is still of use. */
static int keep_needed(const rf_kept_list *keep, size_t at, size_t num)
{
    for (size_t i = at; i < at + num; i++)
        if (keep->v[i].saved || !keep->v[i].trial || keep->v[i].storage->refs > 1)
            return 1;
    return 0;
}

/* Those on trial that nobody can ask for any more go. needed says whether a step stays. */
static void keep_sift(rf_kept_list *keep, int (*needed)(const rf_kept_list *, size_t, size_t))
{
    size_t from = keep->num - keep->trials, to = from;
    for (size_t i = from, num; i < keep->num; i += num) {
        for (num = 1; i + num < keep->num && keep->v[i + num].step == keep->v[i].step;)
            num++;
        int stays = needed(keep, i, num);
        for (size_t k = i; k < i + num; k++)
            if (stays)
                keep->v[to++] = keep->v[k];
            else
                keep_drop(&keep->v[k]);
    }
    keep->trials -= keep->num - to;
    keep->num = to;
}

static int keep_saved(const rf_kept_list *keep, size_t at, size_t num)
{
    for (size_t i = at; i < at + num; i++)
        if (keep->v[i].saved)
            return 1;
    return 0;
}

void rf_keep_refuse_begin(rf_scope *s)
{
    rf_region_run *run = (rf_region_run *)s->ctx->keeper;
    if (run)
        run->never++;
}

void rf_keep_refuse_end(rf_scope *s, const rf_values *out)
{
    rf_region_run *run = (rf_region_run *)s->ctx->keeper;
    if (!run)
        return;
    run->never--;
    if (run->replay)
        return;
    rf_kept_list *keep = &run->frame->keep;
    for (size_t i = 0; i < out->num; i++) {
        size_t at = out->v[i] && out->v[i]->storage ? rf_keep_find(keep, out->v[i]->storage->id)
                                                    : keep->num;
        if (at < keep->num)
            keep->v[at].saved = 1;
    }
    if (run->never)
        return;
    keep_sift(keep, keep_saved);
    keep->trials = 0;
}

/* ---- the forward ---- */

static rf_status keep_ask(rf_region_run *run, const rf_step *step, rf_fate *fate)
{
    rf_frame *frame = run->frame;
    rf_context *ctx = frame->ctx;
    const rf_op_call *call = &step->c->call;
    char path[256] = "";
    union {
        rf_tensor *const *in;
        rf_tensor **out;
    } inputs = {.in = step->in};
    rf_values in = {inputs.out, call->num_in}, out = {step->out, call->num_out};
    if (ctx->module && ctx->path_writer)
        ctx->path_writer(ctx->module, path, sizeof path);
    rf_policy_op op = {.size = sizeof op,
                       .op = call->op->name,
                       .path = path,
                       .label = step->scope->label ? step->scope->label : "",
                       .region = frame->label ? frame->label : "",
                       .module = frame->module,
                       .index = run->steps,
                       .in = &in,
                       .out = &out,
                       .flops = call->op->cost ? call->op->cost(call).flops : 0};
    for (size_t j = 0; j < call->num_out; j++)
        op.bytes += rf_tensor_bytes(step->out[j]);
    rf_status status = frame->policy.choose(frame->policy.payload, &op, fate);
    if (!status && (unsigned)*fate > RF_FATE_FILE)
        status =
            rf_fail(ctx, RF_E_ARGUMENT, "a policy gave %s the unknown fate %d", op.op, (int)*fate);
    return status;
}

/* Fates by number are of the ops that the text says. */
static rf_status keep_check_named(const rf_region_run *run, const rf_op_class *op)
{
    const char *named = rf_fates_named(&run->frame->policy, run->steps), *why = "";
    char name[128];
    if (!named)
        return RF_OK;
    if (op->traits & (RF_OP_VIEW | RF_OP_INPLACE))
        why = op->traits & RF_OP_VIEW ? ", a view" : ", in place";
    else if (rf_pattern_matches(named, op->name))
        return RF_OK;
    return rf_fail(run->frame->ctx, RF_E_ARGUMENT, "fates: #%u:%s: op %u of %s is %s%s", run->steps,
                   named, run->steps, rf_frame_name(run->frame, name), op->name, why);
}

rf_status rf_keep_check_steps(const rf_region_run *run)
{
    uint32_t steps = rf_fates_steps(&run->frame->policy);
    char name[128];
    if (run->steps >= steps)
        return RF_OK;
    return rf_fail(run->frame->ctx, RF_E_ARGUMENT, "fates: #%u:%s: %s has %u ops", steps - 1,
                   rf_fates_named(&run->frame->policy, steps - 1), rf_frame_name(run->frame, name),
                   run->steps);
}

rf_status rf_keep_step(rf_region_run *run, rf_step *step)
{
    rf_frame *frame = run->frame;
    rf_fate fate = RF_FATE_RECOMPUTE;
    rf_status status = keep_check_named(run, step->c->call.op);
    if (status || step->c->call.op->traits & (RF_OP_VIEW | RF_OP_INPLACE))
        return status;
    if (frame->keep.trials)
        keep_sift(&frame->keep, keep_needed);
    if (run->never)
        return keep_results(run, step, RF_FATE_KEEP, 1);
    if (frame->policy.choose)
        status = keep_ask(run, step, &fate);
    if (fate == RF_FATE_RECOMPUTE && step->c->call.op->traits & RF_OP_ONCE)
        fate = RF_FATE_KEEP;
    if (!status && fate != RF_FATE_RECOMPUTE)
        status = keep_results(run, step, fate, 0);
    return status;
}

/* ---- fetching ---- */

/* A value that is away: computed by reading it back. */
typedef struct keep_pending {
    rf_pending base;
    rf_context *ctx;
    rf_tiered *tiered; /* ends with the frame, which drops the storage before */
    rf_storage *out;
} keep_pending;

static void keep_pending_end(keep_pending *p)
{
    rf_pending_unlink(p->ctx, &p->base);
    rf_host_free(p->ctx, p, sizeof *p);
}

static rf_status keep_pending_force(rf_pending *base)
{
    keep_pending *p = (keep_pending *)base;
    rf_storage *out = p->out;
    rf_status status = rf_tiered_fill(p->tiered, out);
    if (status)
        return status;
    out->pending = NULL;
    keep_pending_end(p);
    return RF_OK;
}

static int keep_pending_reads(const rf_pending *base, const rf_storage *s)
{
    (void)base;
    (void)s;
    return 0;
}

static void keep_pending_orphan(rf_pending *base, const rf_storage *s)
{
    (void)s;
    keep_pending_end((keep_pending *)base);
}

static void keep_close(rf_run_closer *closer)
{
    rf_kept_list *keep = (rf_kept_list *)closer;
    keep->open = 0;
    for (size_t i = 0; i < keep->num; i++)
        if (keep->v[i].tiered) {
            rf_storage_unref(keep->v[i].storage);
            keep->v[i].storage = NULL;
            rf_tiered_again(keep->v[i].tiered);
        }
}

static rf_status keep_fetch(rf_kept_list *keep, rf_kept *kept)
{
    rf_context *ctx = keep->frame->ctx;
    keep_pending *p = rf_host_alloc(ctx, sizeof *p);
    if (!p)
        return ctx->record.error.code;
    *p = (keep_pending){.base = {.force = keep_pending_force,
                                 .reads = keep_pending_reads,
                                 .orphan = keep_pending_orphan},
                        .ctx = ctx,
                        .tiered = kept->tiered};
    rf_status status = rf_storage_create_pending(&p->out, ctx, kept->view.shape.device,
                                                 rf_tiered_bytes(kept->tiered), &p->base);
    if (status) {
        rf_host_free(ctx, p, sizeof *p);
        return status;
    }
    rf_pending_link(ctx, &p->base);
    p->out->version = kept->version;
    kept->storage = p->out;
    if (!keep->open) {
        keep->closer.close = keep_close;
        rf_run_add_closer(ctx, &keep->closer);
        keep->open = 1;
    }
    return RF_OK;
}

rf_status rf_keep_look(rf_kept_list *keep, size_t index, rf_storage **out)
{
    rf_context *ctx = keep->frame->ctx;
    rf_kept *kept = index < keep->num ? &keep->v[index] : NULL;
    char name[128];
    if (!kept)
        return rf_fail(ctx, RF_E_STATE, "a kept value of %s was dropped too early",
                       rf_frame_name(keep->frame, name));
    rf_status status = kept->storage ? RF_OK : keep_fetch(keep, kept);
    if (status)
        return status;
    if (kept->storage->version != kept->version)
        return rf_fail(ctx, RF_E_MUTATED, "%s: a result that %s kept was changed in place",
                       kept->op->name, rf_frame_name(keep->frame, name));
    *out = rf_storage_ref(kept->storage);
    return RF_OK;
}

/* ---- the replay ---- */

static rf_status keep_differs(const rf_region_run *run, const rf_step *step, const rf_kept *kept)
{
    char name[128], was[128], is[128];
    return rf_fail(run->frame->ctx, RF_E_REPLAY_META,
                   "%s: step %u was %s %s in the forward and is %s %s in the recompute",
                   rf_frame_name(run->frame, name), run->steps, kept->op->name,
                   rf_shape_text(&kept->view.shape, was, sizeof was), step->c->call.op->name,
                   rf_shape_text(&step->c->out[0].shape, is, sizeof is));
}

rf_status rf_keep_give(rf_region_run *run, rf_step *step)
{
    rf_kept_list *keep = &run->frame->keep;
    rf_storage *storages[RF_MAX_OUTPUTS];
    size_t at = run->cursor, num = step->c->call.num_out, made = 0;
    while (at < keep->num && keep->v[at].step < run->steps)
        at++;
    run->cursor = (uint32_t)at;
    if (at >= keep->num || keep->v[at].step != run->steps)
        return RF_OK;
    for (size_t j = 0; j < num; j++)
        if (at + j >= keep->num || keep->v[at + j].step != run->steps ||
            keep->v[at + j].op != step->c->call.op ||
            !rf_shape_equal(&keep->v[at + j].view.shape, &step->c->out[j].shape))
            return keep_differs(run, step, &keep->v[at]);
    rf_status status = RF_OK;
    for (; made < num && !status; made++)
        status = rf_keep_look(keep, at + made, &storages[made]);
    while (status && made > 1)
        rf_storage_unref(storages[--made - 1]);
    if (!status)
        status = rf_op_adopt(step->c, step->scope, storages, step->out);
    step->given = !status;
    return status;
}
