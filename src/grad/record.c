/* record.c: the one way in. Every tensor operation, the users' and the library's own, runs through
 * rf_op_run: it is inferred, computed (or noted, in a recompute), and recorded if a gradient may be
 * asked for. Ops know nothing of any of this.
 */
#include "grad/node.h"

#include <string.h>

typedef struct recording {
    rf_scope *scope;
    const rf_op_class *op;
    rf_call c;
    rf_tensor *const *in;
    rf_tensor *out[RF_MAX_OUTPUTS];
    uint32_t wanted;
    uint32_t versions[RF_MAX_INPUTS]; /* before the op ran */
} recording;

static uint32_t record_wanted(const recording *r)
{
    uint32_t wanted = 0;
    if (!r->scope->grad || r->op->traits & RF_OP_NO_GRAD)
        return 0;
    for (size_t i = 0; i < r->c.call.num_in; i++)
        if (r->in[i] && r->in[i]->requires_grad)
            wanted |= 1u << i;
    return wanted;
}

static rf_status record_allowed(const recording *r)
{
    rf_context *ctx = r->scope->ctx;
    if (r->wanted && !r->op->backward)
        return rf_fail(ctx, RF_E_UNSUPPORTED, "%s has no gradient", r->op->name);
    if (!(r->op->traits & RF_OP_INPLACE))
        return RF_OK;
    const rf_tensor *a = r->in[0];
    if (r->scope->grad && a->requires_grad && (!a->node || a->leaf))
        return rf_fail(ctx, RF_E_STATE, "%s: a leaf that requires a gradient would change",
                       r->op->name);
    if (r->wanted && (a->is_view || a->storage->handles != 1))
        return rf_fail(ctx, RF_E_STATE, "%s: other tensors share the bytes that would change",
                       r->op->name);
    return RF_OK;
}

/* Slots for what backward reads: inputs as they were before the op, outputs as they are now. */
static rf_status record_slots(recording *r, rf_node *node)
{
    rf_keeper *keeper = node->ctx->keeper;
    rf_status status = RF_OK;
    uint32_t n = 0;
    for (size_t i = 0; i < r->c.call.num_in && !status; i++)
        if (node->reads.inputs & (1u << i)) {
            rf_save save = {r->in[i], r->versions[i], r->op, r->scope->hooks};
            status = rf_slot_save(keeper, &save, &node->slots[n++]);
        }
    for (size_t j = 0; j < r->c.call.num_out && !status; j++)
        if (node->reads.outputs & (1u << j)) {
            rf_save save = {r->out[j], r->out[j]->storage->version, r->op, r->scope->hooks};
            status = rf_slot_save(keeper, &save, &node->slots[n++]);
        }
    return status;
}

static rf_status record_edges(recording *r, rf_node *node)
{
    for (size_t i = 0; i < r->c.call.num_in; i++) {
        node->in_shape[i] = r->c.in[i].shape;
        if (!(r->wanted & (1u << i)))
            continue;
        rf_node *from = rf_node_of(r->in[i]);
        if (!from)
            return node->ctx->record.error.code;
        from->ref.refs++;
        node->edges[i] = (rf_edge){from, r->in[i]->out};
    }
    return RF_OK;
}

static int record_is_float(uint8_t dtype)
{
    return dtype == RF_F32 || dtype == RF_F64 || dtype == RF_BF16;
}

static void record_outputs(recording *r, rf_node *node)
{
    for (uint32_t j = 0; j < node->num_out; j++) {
        rf_tensor *t = r->out[j];
        node->out_shape[j] = t->view.shape;
        if (j >= r->op->num_out || !record_is_float(t->view.shape.dtype))
            continue;
        rf_handle_set_node(t, &node->ref, j);
        node->handles[j] = t;
        t->requires_grad = 1;
        t->leaf = 0;
    }
}

static uint32_t record_count(rf_op_reads reads)
{
    uint32_t n = 0;
    for (uint64_t mask = reads.inputs | (uint64_t)reads.outputs << 32; mask; mask &= mask - 1)
        n++;
    return n;
}

static rf_status record_node(recording *r)
{
    rf_context *ctx = r->scope->ctx;
    const rf_op_call *call = &r->c.call;
    rf_op_reads reads = r->op->reads ? r->op->reads(call, r->wanted) : (rf_op_reads){0, 0};
    rf_node *node = rf_node_create(ctx, r->op, call->num_in, call->num_out, record_count(reads));
    if (!node)
        return ctx->record.error.code;
    node->wanted = r->wanted;
    node->reads = reads;
    node->rng = call->rng;
    memcpy(node->attrs, r->c.attrs, sizeof node->attrs);
    rf_status status = record_edges(r, node);
    if (!status)
        status = record_slots(r, node);
    if (!status)
        record_outputs(r, node);
    rf_node_unref(ctx, &node->ref); /* the outputs' references stay */
    return status;
}

static void record_drop(recording *r, size_t from)
{
    if (r->op->traits & RF_OP_INPLACE)
        return;
    for (size_t j = from; j < r->c.call.num_out; j++)
        rf_release(r->scope, r->out[j]);
}

/* Compute it, unless the region that runs has its results already. */
static rf_status record_execute(recording *r)
{
    rf_keeper *keeper = r->scope->ctx->keeper;
    rf_step step = {r->scope, &r->c, r->in, r->out, 0};
    rf_status status = keeper ? keeper->begin(keeper, &step) : RF_OK;
    if (!status && !step.given)
        status = rf_op_execute(&r->c, r->scope, r->in, r->out);
    if (!keeper || status)
        return status;
    status = keeper->done(keeper, &step);
    if (status)
        record_drop(r, 0);
    return status;
}

static rf_status record_run(recording *r, size_t num_in)
{
    rf_context *ctx = r->scope->ctx;
    rf_status status = rf_op_prepare(&r->c, ctx, r->op, r->in, num_in);
    if (status)
        return status;
    r->wanted = record_wanted(r);
    status = record_allowed(r);
    if (status)
        return status;
    for (size_t i = 0; i < num_in; i++) {
        r->versions[i] = r->in[i] ? r->in[i]->storage->version : 0;
        if (r->in[i] && !(r->wanted & (1u << i)))
            rf_storage_note_read(r->in[i]->storage);
    }
    status = record_execute(r);
    if (status)
        return status;
    if (r->wanted)
        status = record_node(r);
    record_drop(r, status ? 0 : r->op->num_out);
    rf_op_counts *counts = rf_op_tally_of(ctx, r->op);
    if (counts && !status) {
        counts->recorded++;
        counts->executed += (r->op->traits & RF_OP_VIEW) != 0;
    }
    return status;
}

rf_status rf_op_run(rf_scope *s, const rf_op_class *op, const rf_values *in, const void *attrs,
                    size_t attrs_size, rf_values *out)
{
    rf_context *ctx = s->ctx;
    recording r;
    for (size_t j = 0; j < out->num; j++)
        out->v[j] = NULL;
    if (s->status)
        return s->status;
    if (s->precision != RF_F32 && op->traits & RF_OP_PRODUCT && in->num <= RF_MAX_INPUTS)
        return rf_precision_run(s, op, in, &(rf_attrs){attrs, attrs_size}, out);
    const char *outer = ctx->op;
    ctx->op = op->name;
    rf_status status = RF_OK;
    if (in->num > RF_MAX_INPUTS || attrs_size > RF_MAX_ATTRS || rf_op_num_out(op) > RF_MAX_OUTPUTS)
        status = rf_fail(ctx, RF_E_ARGUMENT, "%s: too many inputs or attributes", op->name);
    r.scope = s;
    r.op = op;
    r.in = in->v;
    if (attrs_size)
        memcpy(r.c.attrs, attrs, attrs_size < RF_MAX_ATTRS ? attrs_size : RF_MAX_ATTRS);
    memset(r.c.attrs + (attrs_size < RF_MAX_ATTRS ? attrs_size : RF_MAX_ATTRS), 0,
           attrs_size < RF_MAX_ATTRS ? RF_MAX_ATTRS - attrs_size : 0);
    if (!status)
        status = record_run(&r, in->num);
    for (size_t j = 0; j < out->num && !status && j < op->num_out && j < r.c.call.num_out; j++)
        out->v[j] = r.out[j];
    ctx->op = outer;
    if (status)
        rf_scope_fail(s, status, NULL);
    return status;
}
