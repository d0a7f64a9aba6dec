/* optim.c: what all optimisers share: the list of parameters, their groups, their state, the step.
 *
 * Invariants:
 *   - All state is allocated when the optimiser is created, so that the first step needs no more
 *     memory than any other; a parameter that never moves (no gradient wanted, or a group with
 *     lr_scale 0) has none. Moments that are away (away.h) are room in a file and a few buffers.
 *   - A step that fails for want of memory has moved nothing: gradients are brought into shape
 *     for all parameters before the first one is touched.
 *   - On a device without bytes a step does all of this and computes nothing, so that the ledger
 *     of a dry run is that of a real one.
 *
 * Each parameter has a counter of its own (bias correction and the first momentum depend on how
 * often *it* was moved); together they are the state tensor "step", so that restoring the tensors
 * restores everything.
 */
#include "optim/away.h"

#include <math.h>
#include <string.h>

#include "base/check.h"
#include "base/pattern.h"
#include "tensor/context_struct.h"

/* A walk over a module's parameters that makes the list. */
typedef struct rf_optim_walk {
    rf_optim *opt;
    const rf_optim_common *common;
} rf_optim_walk;

int rf_optim_figure_ok(double figure)
{
    return isfinite(figure) && figure >= 0;
}

rf_view rf_optim_view(rf_tensor *t)
{
    rf_view view = {.data = rf_tensor_data(t)};
    view.shape.dtype = (uint8_t)rf_tensor_dtype(t);
    view.shape.device = (uint8_t)rf_tensor_device(t);
    view.shape.rank = (uint8_t)rf_tensor_rank(t);
    for (size_t i = 0; i < view.shape.rank; i++) {
        view.shape.dims[i] = rf_tensor_dims(t)[i];
        view.strides[i] = rf_tensor_strides(t)[i];
    }
    return view;
}

/* ---- creation ------------------------------------------------------------------------------ */

/* The first group that matches decides. */
static void optim_apply_group(rf_optim_item *item, const rf_optim_common *common)
{
    item->lr_scale = 1;
    item->weight_decay = common->weight_decay;
    for (size_t i = 0; i < common->num_groups; i++) {
        const rf_param_group *group = &common->groups[i];
        if (!rf_pattern_matches(group->pattern, item->path))
            continue;
        if (!isnan(group->lr_scale))
            item->lr_scale = group->lr_scale;
        if (!isnan(group->weight_decay))
            item->weight_decay = group->weight_decay;
        return;
    }
}

static rf_status optim_collect(void *payload, const char *path, rf_tensor *param)
{
    const rf_optim_walk *walk = payload;
    rf_optim *opt = walk->opt;
    if (!rf_tensor_requires_grad(param))
        return RF_OK;
    rf_dtype dtype = rf_tensor_dtype(param);
    if (dtype != RF_F32 && dtype != RF_F64)
        return rf_fail(opt->ctx, RF_E_DTYPE, "optimiser: %s is %s; f32 or f64 can be moved", path,
                       rf_dtype_name(dtype));
    rf_status status =
        rf_host_grow(opt->ctx, &opt->items, opt->num, &opt->capacity, sizeof *opt->items);
    if (status)
        return status;
    rf_optim_item *item = &opt->items[opt->num];
    memset(item, 0, sizeof *item);
    item->path = rf_host_copy_text(opt->ctx, path);
    if (!item->path)
        return rf_context_error(opt->ctx)->code;
    item->param = rf_tensor_hold(param);
    opt->num++;
    optim_apply_group(item, walk->common);
    size_t bytes = strlen(path) + 32;
    if (bytes > opt->name_bytes)
        opt->name_bytes = bytes;
    return RF_OK;
}

static rf_status optim_state(rf_tensor **out, rf_context *ctx, rf_dtype dtype, rf_device device,
                             size_t rank, const int64_t *dims)
{
    rf_tensor_options opts = RF_TENSOR_OPTIONS_INIT;
    opts.dtype = dtype;
    opts.device = device;
    opts.rank = rank;
    opts.dims = dims;
    opts.mem_class = RF_MEM_OPTIM;
    return rf_tensor_create(out, ctx, &opts);
}

/* The counters are numbers that the step itself reads, so they lie where it can. */
static rf_status optim_counts(rf_optim *opt)
{
    int64_t num = (int64_t)opt->num;
    rf_device device = RF_DEVICE_CPU;
    if (opt->num && rf_tensor_device(opt->items[0].param) == RF_DEVICE_META)
        device = RF_DEVICE_META;
    return optim_state(&opt->counts, opt->ctx, RF_I64, device, 1, &num);
}

size_t rf_optim_num_moments(const rf_optim *opt)
{
    size_t num = 0;
    while (num < RF_OPTIM_MOMENTS && opt->rule->moments[num])
        num++;
    return num;
}

rf_status rf_optim_moment(rf_tensor **out, const rf_optim *opt, const rf_optim_item *item)
{
    rf_tensor *p = item->param;
    return optim_state(out, opt->ctx, rf_tensor_dtype(p), rf_tensor_device(p), rf_tensor_rank(p),
                       rf_tensor_dims(p));
}

static rf_status optim_moments(rf_optim *opt, rf_optim_item *item)
{
    rf_status status = RF_OK;
    size_t num = item->lr_scale > 0 && !item->is_away ? rf_optim_num_moments(opt) : 0;
    for (size_t i = 0; !status && i < num; i++)
        status = rf_optim_moment(&item->moments[i], opt, item);
    return status;
}

static rf_status optim_fill(rf_optim *opt, rf_module *m, const rf_optim_common *common)
{
    rf_optim_walk walk = {opt, common};
    opt->name_bytes = 32;
    rf_status status = rf_module_each_param(m, 0, optim_collect, &walk);
    if (status)
        return status;
    opt->name = rf_host_alloc(opt->ctx, opt->name_bytes);
    if (!opt->name)
        return rf_context_error(opt->ctx)->code;
    status = optim_counts(opt);
    if (!status && common->moments == RF_DEVICE_FILE)
        status = rf_away_open(opt);
    for (size_t i = 0; !status && i < opt->num; i++)
        status = optim_moments(opt, &opt->items[i]);
    return status;
}

static rf_status optim_check(rf_context *ctx, const rf_optim_common *common)
{
    if (!rf_optim_figure_ok(common->lr) || !rf_optim_figure_ok(common->weight_decay))
        return rf_fail(ctx, RF_E_ARGUMENT,
                       "optimiser: lr and weight_decay are finite and not negative");
    if (common->moments != RF_DEVICE_CPU && common->moments != RF_DEVICE_FILE)
        return rf_fail(ctx, RF_E_ARGUMENT,
                       "optimiser: moments wait in memory (zero) or in RF_DEVICE_FILE, not in %d",
                       (int)common->moments);
    for (size_t i = 0; i < common->num_groups; i++) {
        const rf_param_group *group = &common->groups[i];
        int ok = (isnan(group->lr_scale) || rf_optim_figure_ok(group->lr_scale)) &&
                 (isnan(group->weight_decay) || rf_optim_figure_ok(group->weight_decay));
        if (!group->pattern || !ok)
            return rf_fail(ctx, RF_E_ARGUMENT,
                           "optimiser: group %zu needs a pattern, and figures that are NaN or "
                           "finite and not negative",
                           i);
    }
    return RF_OK;
}

rf_status rf_optim_create(rf_optim **out, rf_module *m, const rf_optim_rule *rule,
                          const rf_optim_common *common)
{
    *out = NULL;
    rf_context *ctx = rf_module_context(m);
    rf_status status = optim_check(ctx, common);
    if (status)
        return status;
    rf_optim *opt = rf_host_alloc(ctx, sizeof *opt);
    if (!opt)
        return rf_context_error(ctx)->code;
    opt->ctx = ctx;
    opt->rule = rule;
    opt->lr = common->lr;
    memcpy(opt->settings, common->settings, common->settings_bytes);
    status = optim_fill(opt, m, common);
    if (status)
        rf_optim_destroy(opt);
    else
        *out = opt;
    return status;
}

void rf_optim_destroy(rf_optim *opt)
{
    if (!opt)
        return;
    rf_context *ctx = opt->ctx;
    rf_away_close(opt);
    for (size_t i = 0; i < opt->num; i++) {
        rf_optim_item *item = &opt->items[i];
        for (size_t j = 0; j < RF_OPTIM_MOMENTS; j++)
            if (item->moments[j])
                rf_tensor_drop(item->moments[j]);
        rf_tensor_drop(item->param);
        rf_host_free_text(ctx, item->path);
    }
    if (opt->counts)
        rf_tensor_drop(opt->counts);
    rf_host_free(ctx, opt->name, opt->name_bytes);
    rf_host_free(ctx, opt->items, opt->capacity * sizeof *opt->items);
    rf_host_free(ctx, opt, sizeof *opt);
}

/* ---- the step ------------------------------------------------------------------------------- */

/* The gradient that moves an item at this step; NULL if it stays where it is. */
static rf_tensor *optim_grad(const rf_optim_item *item)
{
    return item->lr_scale > 0 ? rf_grad(item->param) : NULL;
}

/* A gradient whose strides have gaps is replaced by a copy without, kept until the scope ends. */
static rf_status optim_prepare(const rf_optim_item *item, rf_scope *s)
{
    rf_tensor *grad = optim_grad(item);
    if (!grad)
        return RF_OK;
    rf_view view = rf_optim_view(grad);
    if (rf_view_contiguous(&view))
        return RF_OK;
    rf_tensor *copy = rf_contiguous(s, grad);
    return copy ? rf_grad_set(item->param, copy) : rf_scope_status(s);
}

rf_status rf_optim_apply(const rf_optim *opt, const rf_optim_move *move)
{
    rf_status status = opt->rule->move(opt->settings, move);
    if (status)
        rf_fail(opt->ctx, status, "%s: the kernel refused %s", opt->rule->name, move->item->path);
    return status;
}

/* Parameter and moments are read and written, the gradient is read. */
static void optim_spend(const rf_optim *opt, const rf_optim_item *item)
{
    double passes = 3 + 2 * (double)rf_optim_num_moments(opt);
    rf_context_spend(opt->ctx, passes * (double)rf_tensor_bytes(item->param));
}

static rf_status optim_move(rf_optim *opt, size_t index)
{
    const rf_optim_item *item = &opt->items[index];
    if (rf_context_dry(opt->ctx)) {
        optim_spend(opt, item);
        return RF_OK;
    }
    int64_t *counts = rf_tensor_data(opt->counts);
    rf_optim_move move = {.exec = {.threads = rf_context_threads(opt->ctx)},
                          .kernels = rf_context_kernels(opt->ctx),
                          .item = item,
                          .lr = opt->lr * item->lr_scale,
                          .param = rf_optim_view(item->param),
                          .grad = rf_optim_view(rf_grad(item->param))};
    if (!move.param.data || !move.grad.data || !counts)
        return RF_OK;
    for (size_t i = 0; i < RF_OPTIM_MOMENTS && item->moments[i]; i++)
        move.moments[i] = rf_optim_view(item->moments[i]);
    move.count = (uint64_t)counts[index] + 1;
    rf_status status = item->is_away ? rf_away_move(opt, index, &move) : rf_optim_apply(opt, &move);
    if (status)
        return status;
    counts[index]++;
    rf_tensor_touch(item->param);
    return RF_OK;
}

static rf_status optim_step(rf_optim *opt, size_t begin, size_t end)
{
    rf_scope *s;
    rf_status status = rf_scope_open(&s, opt->ctx, NULL);
    if (status)
        return status;
    rf_scope_set_grad(s, 0);
    for (size_t i = begin; !status && i < end; i++)
        status = optim_prepare(&opt->items[i], s);
    for (size_t i = begin; !status && i < end; i++)
        if (optim_grad(&opt->items[i]))
            status = optim_move(opt, i);
    rf_scope_close(s);
    return status;
}

rf_status rf_optim_step_one(rf_optim *opt, size_t index)
{
    return optim_step(opt, index, index + 1);
}

rf_status rf_optim_step(rf_optim *opt)
{
    rf_status status = rf_away_finish(opt, optim_step(opt, 0, opt->num));
    if (!status && !rf_context_dry(opt->ctx))
        opt->steps++;
    return status;
}

void rf_optim_zero_grad(rf_optim *opt)
{
    for (size_t i = 0; i < opt->num; i++)
        rf_grad_clear(opt->items[i].param);
}

/* ---- what it is asked ------------------------------------------------------------------------ */

void rf_optim_set_lr(rf_optim *opt, double lr)
{
    opt->lr = lr;
}

double rf_optim_lr(const rf_optim *opt)
{
    return opt->lr;
}

uint64_t rf_optim_steps(const rf_optim *opt)
{
    return opt->steps;
}

void rf_optim_set_steps(rf_optim *opt, uint64_t steps)
{
    opt->steps = steps;
}
