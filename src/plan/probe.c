/* probe.c: see probe.h. */
#include "plan/probe.h"

#include <refrain/checkpoint.h>
#include <refrain/ops.h>

#include "tensor/tiered.h"

#include <stdio.h>
#include <string.h>

typedef struct probe_run {
    rf_context *ctx;
    rf_scope *s;
    const rf_site *site;
    rf_tensor *in[RF_SITE_INPUTS], *out[RF_SITE_INPUTS];
    size_t num_out;
} probe_run;

static const rf_memory_info *probe_row(const probe_run *run)
{
    return run->ctx->ledger.row[RF_DEVICE_CPU];
}

/* All that is held but bookkeeping. */
static uint64_t probe_used(const probe_run *run)
{
    return probe_row(run)[RF_MEM_ALL].used - probe_row(run)[RF_MEM_OTHER].used;
}

/* The most that was held since the reset; bookkeeping hardly moves meanwhile. */
static uint64_t probe_peak(const probe_run *run)
{
    return probe_row(run)[RF_MEM_ALL].peak - probe_row(run)[RF_MEM_OTHER].used;
}

static uint64_t probe_away(const probe_run *run)
{
    const rf_ledger *ledger = &run->ctx->ledger;
    return ledger->row[RF_DEVICE_HOST][RF_MEM_ALL].used +
           ledger->row[RF_DEVICE_FILE][RF_MEM_ALL].used;
}

static uint64_t probe_above(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* ---- one call ---- */

static rf_status probe_inputs(probe_run *run)
{
    const rf_site_call *call = &run->site->call;
    for (uint32_t i = 0; i < call->num_in; i++) {
        const rf_shape *shape = &call->in[i];
        if (shape->dtype == RF_ABSENT)
            continue;
        run->in[i] = rf_zeros(run->s, (rf_dtype)shape->dtype, shape->rank, shape->dims);
        if (run->in[i] && call->wanted & (1u << i))
            run->in[i]->requires_grad = 1;
    }
    return rf_scope_status(run->s);
}

static rf_status probe_forward(rf_probe *out, probe_run *run)
{
    rf_values in = {run->in, run->site->call.num_in}, results = {run->out, run->num_out};
    uint64_t used = probe_used(run), away = probe_away(run);
    double begin = run->ctx->dry_seconds;
    rf_memory_reset_peak(run->ctx);
    rf_status status = rf_module_call(run->site->module, run->s, &in, &results);
    out->forward = run->ctx->dry_seconds - begin;
    out->forward_peak = probe_above(probe_peak(run), used);
    out->away = probe_above(probe_away(run), away);
    rf_tiered_settle(run->ctx, NULL); /* as what comes next would */
    out->saved = probe_above(probe_used(run), used);
    for (size_t i = 0; i < run->num_out && !status; i++) {
        size_t bytes = run->out[i] ? rf_tensor_bytes(run->out[i]) : 0;
        out->output += bytes;
        out->gradient += run->out[i] && run->out[i]->requires_grad ? bytes : 0;
    }
    return status;
}

/* The gradient of each result in turn: sites have one result, but for rare ones. */
static rf_status probe_backward(rf_probe *out, probe_run *run, uint64_t base)
{
    uint64_t grads = probe_row(run)[RF_MEM_GRAD].used;
    double begin = run->ctx->dry_seconds;
    rf_status status = RF_OK;
    rf_memory_reset_peak(run->ctx);
    for (size_t i = 0; i < run->num_out && !status; i++) {
        rf_tensor *y = run->out[i];
        rf_backward_options opts = RF_BACKWARD_OPTIONS_INIT;
        if (!y || !y->requires_grad)
            continue;
        opts.retain = i + 1 < run->num_out;
        opts.seed = rf_zeros(run->s, rf_tensor_dtype(y), rf_tensor_rank(y), rf_tensor_dims(y));
        status = opts.seed ? rf_backward_with(run->s, y, &opts) : rf_scope_status(run->s);
    }
    out->backward = run->ctx->dry_seconds - begin;
    out->backward_peak = probe_above(probe_peak(run), base);
    for (uint32_t i = 0; i < run->site->call.num_in; i++)
        if (run->in[i] && rf_grad(run->in[i]))
            out->input_gradient += rf_tensor_bytes(run->in[i]);
    out->param_gradient =
        probe_above(probe_row(run)[RF_MEM_GRAD].used, grads + out->input_gradient);
    return status;
}

static rf_status probe_clear(void *payload, const char *path, rf_tensor *param)
{
    (void)payload;
    (void)path;
    rf_grad_clear(param);
    return RF_OK;
}

static rf_status probe_call(rf_probe *out, const rf_site *site)
{
    probe_run run = {.ctx = site->module->ctx, .site = site, .num_out = site->call.num_out};
    rf_status status = rf_scope_open(&run.s, run.ctx, NULL);
    if (status)
        return status;
    *out = (rf_probe){0};
    if (run.num_out > RF_SITE_INPUTS)
        status = RF_E_UNSUPPORTED;
    if (!status)
        status = rf_scope_set_precision(run.s, site->call.precision);
    if (!status)
        status = probe_inputs(&run);
    uint64_t base = probe_used(&run);
    if (!status)
        status = probe_forward(out, &run);
    if (!status)
        status = probe_backward(out, &run, base);
    (void)!rf_module_each_param(site->module, 0, probe_clear, NULL);
    rf_scope_close(run.s);
    return status;
}

rf_status rf_probe_site(rf_probe *out, const rf_site *site, const char *fates)
{
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.fates = fates && *fates ? fates : NULL;
    rf_status status = fates ? rf_checkpoint(site->module, &opts) : RF_OK;
    if (status)
        return status;
    status = probe_call(out, site);
    if (fates) {
        rf_status cleared = rf_checkpoint_clear(site->module);
        status = status ? status : cleared;
    }
    return status;
}

rf_status rf_probe_dial(rf_probe *out, const rf_site *site, uint64_t bytes)
{
    rf_status status = rf_module_set_dial(site->module, site->dial->name, bytes);
    if (!status)
        status = probe_call(out, site);
    rf_status left = rf_module_set_dial(site->module, site->dial->name, RF_DIAL_AUTO);
    return status ? status : left;
}

/* ---- its ops ---- */

/* ---- what a graph holds ---- */

/* The bytes that go with a handle. */
static uint64_t probe_release(probe_run *run, rf_tensor *t)
{
    uint64_t used = probe_used(run);
    rf_release(run->s, t);
    return used - probe_used(run);
}

/* In place of the first input and of the result come ops that hold neither, so that only the site's
 * graph may: without its handle such a value is gone, or is held. */
static rf_status probe_holds_run(rf_probe *out, probe_run *run)
{
    rf_status status = probe_inputs(run);
    rf_tensor *leaf = run->in[0];
    if (status || run->num_out != 1 || !leaf)
        return status;
    uint64_t input = rf_tensor_bytes(leaf);
    if (leaf->requires_grad)
        run->in[0] = rf_neg(run->s, leaf);
    rf_values in = {run->in, run->site->call.num_in}, results = {run->out, 1};
    status = rf_scope_status(run->s);
    if (!status)
        status = rf_module_call(run->site->module, run->s, &in, &results);
    if (status || !run->out[0] || !run->out[0]->requires_grad)
        return status;
    uint64_t output = rf_tensor_bytes(run->out[0]);
    if (!rf_neg(run->s, run->out[0]))
        return rf_scope_status(run->s);
    out->holds_output = probe_release(run, run->out[0]) < output;
    out->holds_input = probe_release(run, run->in[0]) < input;
    return RF_OK;
}

rf_status rf_probe_holds(rf_probe *out, const rf_site *site)
{
    probe_run run = {.ctx = site->module->ctx, .site = site, .num_out = site->call.num_out};
    out->holds_input = out->holds_output = 1;
    rf_status status = rf_scope_open(&run.s, run.ctx, NULL);
    if (status)
        return status;
    status = rf_scope_set_precision(run.s, site->call.precision);
    if (!status)
        status = probe_holds_run(out, &run);
    rf_scope_close(run.s);
    return status;
}

typedef struct probe_list {
    rf_probe_op *ops;
    size_t num, most;
} probe_list;

static rf_status probe_list_op(void *payload, const rf_policy_op *op, rf_fate *fate)
{
    probe_list *list = payload;
    (void)fate;
    if (list->num < list->most) {
        rf_probe_op *to = &list->ops[list->num];
        to->index = (uint32_t)op->index;
        snprintf(to->name, sizeof to->name, "%s", op->op);
    }
    list->num++;
    return RF_OK;
}

rf_status rf_probe_ops(rf_probe_op *ops, size_t *num, const rf_site *site)
{
    probe_list list = {ops, 0, *num};
    rf_probe probe;
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.policy.choose = probe_list_op;
    opts.policy.payload = &list;
    rf_status status = rf_checkpoint(site->module, &opts);
    if (!status)
        status = probe_call(&probe, site);
    if (rf_checkpoint_applied(site->module))
        (void)!rf_checkpoint_clear(site->module);
    *num = list.num;
    return status;
}
