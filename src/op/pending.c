/* pending.c: ops that were noted in a recompute and wait until somebody wants their results.
 *
 * Invariants: a pending op holds its inputs; its outputs know it, not the other way round, so an
 * output without users lets go of it, and an op without outputs lets go of its inputs. Computing
 * one computes what it reads first, in an order that depends on the graph alone. Neither walk uses
 * the C stack: both are linked through the ops themselves.
 */
#include "op/op.h"

#include <string.h>

typedef struct op_pending op_pending;
struct op_pending {
    rf_pending base;
    rf_context *ctx;
    const rf_op_class *op;
    const void *module;
    uint64_t region;   /* whose run noted it                         */
    op_pending *below; /* on the stack of a force, or in the list of the dead */
    size_t bytes;
    uint32_t num_in, num_out, live;
    rf_rng rng;
    rf_storage **in;  /* referenced; NULL: absent */
    rf_storage **out; /* NULL: no user left       */
    rf_view *views;   /* of in, then of out       */
    unsigned char attrs[RF_MAX_ATTRS];
};

/* End p, and whatever dies with it; a chain of them is ended in a loop. */
static void pending_bury(op_pending *p)
{
    rf_context *ctx = p->ctx;
    rf_pending_unlink(ctx, &p->base);
    p->below = (op_pending *)ctx->pending_dead;
    ctx->pending_dead = &p->base;
    if (ctx->pending_burying)
        return;
    ctx->pending_burying = 1;
    while (ctx->pending_dead) {
        op_pending *dead = (op_pending *)ctx->pending_dead;
        ctx->pending_dead = dead->below ? &dead->below->base : NULL;
        for (uint32_t i = 0; i < dead->num_in; i++)
            rf_storage_unref(dead->in[i]);
        rf_host_free(ctx, dead, dead->bytes);
    }
    ctx->pending_burying = 0;
}

static void pending_orphan(rf_pending *base, const rf_storage *s)
{
    op_pending *p = (op_pending *)base;
    for (uint32_t j = 0; j < p->num_out; j++)
        if (p->out[j] == s) {
            p->out[j] = NULL;
            p->live--;
        }
    if (!p->live)
        pending_bury(p);
}

static int pending_reads(const rf_pending *base, const rf_storage *s)
{
    const op_pending *p = (const op_pending *)base;
    for (uint32_t i = 0; i < p->num_in; i++)
        if (p->in[i] == s)
            return 1;
    return 0;
}

static void pending_address(rf_view *view, const rf_storage *s)
{
    view->data =
        s->data ? (char *)s->data + (size_t)view->offset * rf_dtype_size(view->shape.dtype) : NULL;
}

/* Take back the bytes of the first num outputs. */
static void pending_take_back(op_pending *p, rf_storage **storages, uint32_t num)
{
    for (uint32_t j = 0; j < num; j++) {
        if (p->out[j])
            rf_storage_dematerialize(storages[j]);
        else
            rf_storage_unref(storages[j]);
    }
}

/* Bytes for every output; for one without users a storage that lives as long as the call. */
static rf_status pending_outputs(op_pending *p, rf_storage **storages, rf_view *views)
{
    rf_status status = RF_OK;
    uint32_t j = 0;
    for (; j < p->num_out && !status; j++) {
        views[j] = p->views[p->num_in + j];
        if (p->out[j]) {
            storages[j] = p->out[j];
            status = rf_storage_materialize(storages[j]);
        } else {
            size_t bytes = 0;
            rf_shape_bytes(&views[j].shape, &bytes);
            status = rf_storage_create(&storages[j], p->ctx, views[j].shape.device,
                                       RF_MEM_ACTIVATION, bytes);
        }
        if (!status)
            pending_address(&views[j], storages[j]);
    }
    if (status)
        pending_take_back(p, storages, j - 1);
    return status;
}

/* Compute p, all of whose inputs are computed, and end it. On failure it stays pending. */
static rf_status pending_compute(op_pending *p)
{
    rf_storage *storages[RF_MAX_OUTPUTS];
    rf_view out[RF_MAX_OUTPUTS];
    const void *outer = p->ctx->module;
    const char *outer_op = p->ctx->op;
    uint64_t outer_region = p->ctx->region;
    p->ctx->module = p->module;
    p->ctx->op = p->op->name;
    p->ctx->region = p->region;
    rf_status status = pending_outputs(p, storages, out);
    if (!status) {
        for (uint32_t i = 0; i < p->num_in; i++)
            if (p->in[i])
                pending_address(&p->views[i], p->in[i]);
        rf_op_call call = {.ctx = p->ctx,
                           .op = p->op,
                           .attrs = p->attrs,
                           .num_in = p->num_in,
                           .num_out = p->num_out,
                           .in = p->views,
                           .out = out,
                           .rng = p->rng};
        status = rf_op_compute(&call);
        for (uint32_t j = 0; j < p->num_out; j++)
            if (!p->out[j])
                rf_storage_unref(storages[j]);
            else if (status)
                rf_storage_dematerialize(storages[j]);
            else
                storages[j]->pending = NULL;
    }
    p->ctx->module = outer;
    p->ctx->op = outer_op;
    p->ctx->region = outer_region;
    if (!status)
        pending_bury(p);
    return status;
}

static rf_pending *pending_needed(const op_pending *p)
{
    for (uint32_t i = 0; i < p->num_in; i++)
        if (p->in[i] && p->in[i]->pending)
            return p->in[i]->pending;
    return NULL;
}

static rf_status pending_force(rf_pending *base)
{
    op_pending *top = (op_pending *)base;
    top->below = NULL;
    while (top) {
        rf_pending *needed = pending_needed(top);
        if (needed && needed->force == pending_force) {
            ((op_pending *)needed)->below = top;
            top = (op_pending *)needed;
            continue;
        }
        op_pending *below = needed ? top : top->below;
        rf_status status = needed ? needed->force(needed) : pending_compute(top);
        if (status)
            return status;
        top = below;
    }
    return RF_OK;
}

static op_pending *pending_new(const rf_call *c)
{
    const rf_op_call *call = &c->call;
    size_t slots = call->num_in + call->num_out;
    size_t bytes = sizeof(op_pending) + slots * (sizeof(rf_view) + sizeof(rf_storage *));
    op_pending *p = rf_host_alloc(call->ctx, bytes);
    if (!p)
        return NULL;
    p->base.force = pending_force;
    p->base.reads = pending_reads;
    p->base.orphan = pending_orphan;
    p->ctx = call->ctx;
    p->op = call->op;
    p->module = call->ctx->module;
    p->region = call->ctx->region;
    p->bytes = bytes;
    p->num_in = (uint32_t)call->num_in;
    p->num_out = (uint32_t)call->num_out;
    p->rng = call->rng;
    p->views = (rf_view *)(void *)(p + 1);
    p->in = (rf_storage **)(void *)(p->views + slots);
    p->out = p->in + call->num_in;
    memcpy(p->views, call->in, call->num_in * sizeof(rf_view));
    memcpy(p->views + call->num_in, call->out, call->num_out * sizeof(rf_view));
    memcpy(p->attrs, c->attrs, sizeof p->attrs);
    return p;
}

rf_status rf_pending_note(const rf_call *c, rf_tensor *const *in, rf_storage **storages)
{
    rf_context *ctx = c->call.ctx;
    op_pending *p = pending_new(c);
    if (!p)
        return ctx->record.error.code;
    rf_status status = RF_OK;
    rf_pending_link(ctx, &p->base);
    for (uint32_t i = 0; i < p->num_in; i++)
        p->in[i] = in[i] ? rf_storage_ref(in[i]->storage) : NULL;
    for (uint32_t j = 0; j < p->num_out && !status; j++) {
        size_t bytes = 0;
        if (!rf_shape_bytes(&c->out[j].shape, &bytes))
            status = rf_fail(ctx, RF_E_SHAPE, "%s: the result's bytes overflow", p->op->name);
        else
            status = rf_storage_create_pending(&storages[j], ctx, c->out[j].shape.device, bytes,
                                               &p->base);
        if (!status) {
            p->out[j] = storages[j];
            p->live++;
        }
    }
    if (!status)
        return RF_OK;
    uint32_t made = p->live;
    if (!made)
        pending_bury(p); /* else the last output buries it */
    for (uint32_t j = 0; j < made; j++)
        rf_storage_unref(storages[j]);
    return status;
}
