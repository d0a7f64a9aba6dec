/* trail.c: the ops of the two passes of a region, for debugging. A trail belongs to its frame or
 * its replay; on a mismatch a context takes copies, which live until the next. */
#include "remat/frame.h"

#include <stdio.h>
#include <string.h>

typedef struct trail_op {
    const rf_op_class *op;
    const void *module;
    rf_shape shape; /* of the first result */
} trail_op;

struct rf_op_trail {
    rf_context *ctx;
    trail_op *v;
    size_t num, capacity;
};

/* One op with its path as text, which outlives the module. */
typedef struct mismatch_op {
    const char *op;
    char path[128];
    rf_shape shape;
} mismatch_op;

typedef struct mismatch_list {
    mismatch_op *v;
    size_t num;
} mismatch_list;

struct rf_mismatch {
    mismatch_list forward, recompute;
    int64_t first;
};

rf_op_trail *rf_op_trail_create(rf_context *ctx)
{
    rf_op_trail *trail = rf_host_alloc(ctx, sizeof *trail);
    if (trail)
        trail->ctx = ctx;
    return trail;
}

void rf_op_trail_end(rf_op_trail *trail)
{
    if (!trail)
        return;
    rf_context *ctx = trail->ctx;
    rf_host_free(ctx, trail->v, trail->capacity * sizeof *trail->v);
    rf_host_free(ctx, trail, sizeof *trail);
}

rf_status rf_op_trail_add(rf_op_trail *trail, const rf_step *step)
{
    rf_status status =
        rf_host_grow(trail->ctx, &trail->v, trail->num, &trail->capacity, sizeof *trail->v);
    if (!status)
        trail->v[trail->num++] =
            (trail_op){step->c->call.op, trail->ctx->module, step->c->out[0].shape};
    return status;
}

/* ---- the context's last mismatch ---- */

static void mismatch_end(rf_context *ctx)
{
    struct rf_mismatch *m = ctx->mismatch;
    ctx->mismatch = NULL;
    if (!m)
        return;
    rf_host_free(ctx, m->forward.v, m->forward.num * sizeof *m->forward.v);
    rf_host_free(ctx, m->recompute.v, m->recompute.num * sizeof *m->recompute.v);
    rf_host_free(ctx, m, sizeof *m);
}

static int mismatch_copy(rf_context *ctx, mismatch_list *list, const rf_op_trail *trail)
{
    list->v = rf_host_alloc(ctx, trail->num * sizeof *list->v);
    if (!list->v)
        return 0;
    list->num = trail->num;
    for (size_t i = 0; i < trail->num; i++) {
        list->v[i].op = trail->v[i].op->name;
        list->v[i].shape = trail->v[i].shape;
        if (trail->v[i].module && ctx->path_writer)
            ctx->path_writer(trail->v[i].module, list->v[i].path, sizeof list->v[i].path);
    }
    return 1;
}

static int64_t mismatch_find(const rf_op_trail *a, const rf_op_trail *b)
{
    size_t least = a->num < b->num ? a->num : b->num;
    for (size_t i = 0; i < least; i++)
        if (a->v[i].op != b->v[i].op || !rf_shape_equal(&a->v[i].shape, &b->v[i].shape))
            return (int64_t)i;
    return a->num == b->num ? -1 : (int64_t)least;
}

/* Say it in the error too, after what it says already. */
static void mismatch_tell(rf_context *ctx, const struct rf_mismatch *m)
{
    size_t at = (size_t)m->first, len = strlen(ctx->record.message);
    const mismatch_op *was = m->first >= 0 && at < m->forward.num ? &m->forward.v[at] : NULL;
    const mismatch_op *is = m->first >= 0 && at < m->recompute.num ? &m->recompute.v[at] : NULL;
    if (m->first < 0)
        return;
    snprintf(ctx->record.message + len, sizeof ctx->record.message - len,
             "; first difference: op %zu is %s in %s, was %s in %s", at, is ? is->op : "none",
             is && is->path[0] ? is->path : "the root", was ? was->op : "none",
             was && was->path[0] ? was->path : "the root");
}

void rf_op_trail_report(rf_context *ctx, const rf_op_trail *forward, const rf_op_trail *recompute)
{
    rf_error_record record = ctx->record; /* having no memory for a report changes no error */
    uint64_t errors = ctx->errors;
    mismatch_end(ctx);
    ctx->mismatch = rf_host_alloc(ctx, sizeof *ctx->mismatch);
    ctx->mismatch_end = mismatch_end;
    if (!ctx->mismatch || !mismatch_copy(ctx, &ctx->mismatch->forward, forward) ||
        !mismatch_copy(ctx, &ctx->mismatch->recompute, recompute)) {
        mismatch_end(ctx);
    } else {
        ctx->mismatch->first = mismatch_find(forward, recompute);
    }
    ctx->record = record;
    ctx->errors = errors;
    if (ctx->mismatch)
        mismatch_tell(ctx, ctx->mismatch);
}

static const mismatch_list *mismatch_of(const rf_context *ctx, rf_pass pass)
{
    if (!ctx->mismatch || pass == RF_PASS_PLAIN)
        return NULL;
    return pass == RF_PASS_FORWARD ? &ctx->mismatch->forward : &ctx->mismatch->recompute;
}

size_t rf_mismatch_num(const rf_context *ctx, rf_pass pass)
{
    const mismatch_list *list = mismatch_of(ctx, pass);
    return list ? list->num : 0;
}

rf_status rf_mismatch_at(const rf_context *ctx, rf_pass pass, size_t index, rf_mismatch_op *out)
{
    const mismatch_list *list = mismatch_of(ctx, pass);
    if (!list || index >= list->num)
        return RF_E_NOT_FOUND;
    const mismatch_op *op = &list->v[index];
    *out = (rf_mismatch_op){op->op, op->path, op->shape.rank, {0}};
    memcpy(out->dims, op->shape.dims, sizeof out->dims);
    return RF_OK;
}

int64_t rf_mismatch_first(const rf_context *ctx)
{
    return ctx->mismatch ? ctx->mismatch->first : -1;
}
