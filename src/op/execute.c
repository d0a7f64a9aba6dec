/* execute.c: from tensors to a kernel and back. See op.h. */
#include "op/op.h"
#include "tensor/dry.h"
#include "tensor/trace.h"

#include <string.h>

rf_op_counts *rf_op_tally_of(rf_context *ctx, const rf_op_class *op)
{
    size_t at = ((uintptr_t)op >> 4) % RF_TALLIES;
    for (size_t i = 0; i < RF_TALLIES; i++, at = (at + 1) % RF_TALLIES) {
        if (!ctx->tally[at].op)
            ctx->tally[at].op = op;
        if (ctx->tally[at].op == op)
            return &ctx->tally[at].counts;
    }
    return NULL;
}

rf_op_counts rf_op_counts_of(const rf_context *ctx, const char *name)
{
    rf_op_counts none = {0, 0, 0};
    for (size_t i = 0; i < RF_TALLIES; i++)
        if (ctx->tally[i].op && !strcmp(ctx->tally[i].op->name, name))
            return ctx->tally[i].counts;
    return none;
}

void rf_op_counts_reset(rf_context *ctx)
{
    memset(ctx->tally, 0, sizeof ctx->tally);
}

const rf_kernels *rf_call_kernels(const rf_op_call *call)
{
    return call->ctx->kernels;
}

rf_exec rf_call_exec(const rf_op_call *call)
{
    return (rf_exec){call->ctx->threads, call->workspace};
}

rf_status rf_op_fail(rf_op_call *call, rf_status status, const char *message)
{
    return rf_fail(call->ctx, status, "%s: %s", call->op->name, message);
}

/* ---- preparing ---- */

static rf_status prepare_input(rf_call *c, size_t i, rf_tensor *t)
{
    rf_context *ctx = c->call.ctx;
    if (!t) {
        memset(&c->in[i], 0, sizeof c->in[i]);
        c->in[i].shape.dtype = RF_ABSENT;
        return RF_OK;
    }
    if (t->ctx != ctx)
        return rf_fail(ctx, RF_E_ARGUMENT, "%s: input %zu belongs to another context", ctx->op, i);
    if (!t->storage)
        return rf_fail(ctx, RF_E_STALE, "%s: the bytes of input %zu were used up by a backward",
                       ctx->op, i);
    c->in[i] = t->view;
    return RF_OK;
}

static rf_status prepare_device(rf_call *c)
{
    int device = -1;
    for (size_t i = 0; i < c->call.num_in; i++) {
        if (c->in[i].shape.dtype == RF_ABSENT)
            continue;
        if (device >= 0 && device != c->in[i].shape.device)
            return rf_fail(c->call.ctx, RF_E_DEVICE, "%s: inputs are on different devices",
                           c->call.op->name);
        device = c->in[i].shape.device;
    }
    return RF_OK;
}

rf_status rf_op_prepare(rf_call *c, rf_context *ctx, const rf_op_class *op, rf_tensor *const *in,
                        size_t num_in)
{
    c->call = (rf_op_call){.ctx = ctx,
                           .op = op,
                           .attrs = c->attrs,
                           .num_in = num_in,
                           .num_out = rf_op_num_out(op),
                           .in = c->in,
                           .out = c->out,
                           .rng = ctx->rng};
    rf_status status = RF_OK;
    for (size_t i = 0; i < num_in && !status; i++)
        status = prepare_input(c, i, in[i]);
    if (!status)
        status = prepare_device(c);
    if (status)
        return status;
    for (size_t j = 0; j < c->call.num_out; j++) {
        memset(&c->out[j], 0, sizeof c->out[j]);
        c->out[j].shape.device = num_in && in[0] ? c->in[0].shape.device : RF_DEVICE_CPU;
    }
    status = op->infer(&c->call);
    if (!status && !(op->traits & (RF_OP_VIEW | RF_OP_STRIDED)))
        for (size_t j = 0; j < c->call.num_out; j++)
            rf_view_set_contiguous(&c->out[j]);
    c->random_blocks = !status && op->random_blocks ? op->random_blocks(&c->call) : 0;
    return status;
}

/* ---- computing ---- */

static rf_status compute_with_workspace(rf_op_call *call, size_t bytes)
{
    rf_storage *scratch = NULL;
    rf_status status =
        rf_storage_create(&scratch, call->ctx, call->out[0].shape.device, RF_MEM_WORKSPACE, bytes);
    if (status)
        return status;
    call->workspace = scratch->data;
    call->workspace_bytes = bytes;
    if (call->ctx->devices[call->out[0].shape.device]->has_bytes)
        status = call->op->forward(call);
    rf_storage_unref(scratch);
    return status;
}

rf_op_cost rf_op_cost_of(const rf_op_call *call)
{
    rf_op_cost cost = {0, 0};
    size_t bytes;
    if (call->op->cost)
        return call->op->cost(call);
    for (size_t i = 0; i < call->num_in; i++)
        if (call->in[i].shape.dtype != RF_ABSENT && rf_shape_bytes(&call->in[i].shape, &bytes))
            cost.bytes += (double)bytes;
    for (size_t j = 0; j < call->num_out; j++)
        if (rf_shape_bytes(&call->out[j].shape, &bytes))
            cost.bytes += (double)bytes;
    return cost;
}

/* Told after the kernel, so that begin and end are its own. */
static void compute_tell(rf_op_call *call, double begin, rf_status status)
{
    double end = rf_trace_clock(call->ctx);
    rf_op_cost cost = rf_op_cost_of(call);
    rf_event event = {.kind = RF_EVENT_OP,
                      .begin = begin,
                      .end = end,
                      .device = (rf_device)call->out[0].shape.device,
                      .flops = cost.flops,
                      .moved = cost.bytes,
                      .status = status,
                      .call = call};
    rf_trace_emit(call->ctx, &event);
}

rf_status rf_op_compute(rf_op_call *call)
{
    rf_context *ctx = call->ctx;
    const char *outer = ctx->op;
    ctx->op = call->op->name;
    size_t bytes = call->op->workspace ? call->op->workspace(call) : 0;
    rf_status status = RF_OK;
    ctx->record.error.code = RF_OK;
    double begin = rf_tracing(ctx) ? rf_trace_clock(ctx) : 0;
    if (bytes)
        status = compute_with_workspace(call, bytes);
    else if (ctx->devices[call->out[0].shape.device]->has_bytes)
        status = call->op->forward(call);
    if (status && ctx->record.error.code != status)
        rf_fail(ctx, status, "%s: %s", call->op->name, rf_status_text(status));
    if (ctx->dry && !status)
        rf_dry_spend(ctx, call);
    rf_op_counts *counts = rf_op_tally_of(ctx, call->op);
    if (counts && !status) {
        counts->executed++;
        counts->flops += call->op->cost ? call->op->cost(call).flops : 0;
    }
    if (rf_tracing(ctx))
        compute_tell(call, begin, status);
    ctx->op = outer;
    return status;
}

static void execute_address(rf_view *view, const rf_storage *storage)
{
    view->data = storage->data ? (char *)storage->data +
                                     (size_t)view->offset * rf_dtype_size(view->shape.dtype)
                               : NULL;
}

static rf_status execute_inputs_ready(rf_call *c, rf_tensor *const *in)
{
    for (size_t i = 0; i < c->call.num_in; i++) {
        if (!in[i])
            continue;
        rf_status status = rf_storage_force(in[i]->storage);
        if (status)
            return status;
    }
    for (size_t i = 0; i < c->call.num_in; i++)
        if (in[i])
            execute_address(&c->in[i], in[i]->storage);
    return RF_OK;
}

/* Allocate the outputs and compute them. */
static rf_status execute_now(rf_call *c, rf_tensor *const *in, rf_storage **storages)
{
    rf_op_call *call = &c->call;
    size_t made = 0;
    rf_status status = execute_inputs_ready(c, in);
    for (; made < call->num_out && !status; made++) {
        size_t bytes = 0;
        if (!rf_shape_bytes(&call->out[made].shape, &bytes))
            status =
                rf_fail(call->ctx, RF_E_SHAPE, "%s: the result's bytes overflow", call->op->name);
        else
            status = rf_storage_create(&storages[made], call->ctx, call->out[made].shape.device,
                                       RF_MEM_ACTIVATION, bytes);
        if (status)
            break;
        execute_address(&call->out[made], storages[made]);
    }
    if (!status)
        status = rf_op_compute(call);
    while (status && made)
        rf_storage_unref(storages[--made]);
    return status;
}

static rf_status execute_inplace(rf_call *c, rf_tensor *const *in, rf_tensor **out)
{
    rf_status status = rf_storage_before_write(in[0]->storage);
    if (!status)
        status = execute_inputs_ready(c, in);
    if (status)
        return status;
    c->out[0] = c->in[0];
    status = rf_op_compute(&c->call);
    in[0]->storage->version++;
    out[0] = in[0];
    return status;
}

/* Handles in s for storages whose references are taken over. */
static rf_status execute_handles(rf_call *c, rf_scope *s, rf_storage **storages, rf_tensor **out)
{
    size_t n = c->call.num_out, j;
    for (j = 0; j < n; j++)
        if (!(out[j] = rf_handle_create(c->call.ctx, s, storages[j], &c->out[j])))
            break;
    if (j == n)
        return RF_OK;
    for (size_t k = j + 1; k < n; k++)
        rf_storage_unref(storages[k]);
    for (size_t k = 0; k < j; k++)
        rf_handle_end(out[k]);
    return c->call.ctx->record.error.code;
}

rf_status rf_op_adopt(rf_call *c, rf_scope *s, rf_storage **storages, rf_tensor **out)
{
    rf_status status = execute_handles(c, s, storages, out);
    if (!status)
        c->call.ctx->rng.offset += c->random_blocks;
    return status;
}

rf_status rf_op_execute(rf_call *c, rf_scope *s, rf_tensor *const *in, rf_tensor **out)
{
    rf_context *ctx = c->call.ctx;
    uint32_t traits = c->call.op->traits;
    rf_storage *storages[RF_MAX_OUTPUTS];
    rf_status status;
    if (traits & RF_OP_INPLACE) {
        status = execute_inplace(c, in, out);
    } else {
        if (traits & RF_OP_VIEW) {
            for (size_t j = 0; j < c->call.num_out; j++)
                storages[j] = rf_storage_ref(in[0]->storage);
            status = RF_OK;
        } else if (ctx->defer && !(traits & RF_OP_EFFECT)) {
            status = rf_pending_note(c, in, storages);
        } else {
            status = execute_now(c, in, storages);
        }
        if (!status)
            status = execute_handles(c, s, storages, out);
        for (size_t j = 0; j < c->call.num_out && !status && traits & RF_OP_VIEW; j++)
            out[j]->is_view = 1;
    }
    if (!status)
        ctx->rng.offset += c->random_blocks;
    return status;
}
