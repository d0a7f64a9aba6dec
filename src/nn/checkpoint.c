/* checkpoint.c: rf_checkpoint on modules.
 *
 * The region is the class's forward alone, inside of the module's own hooks: so a pre-hook never
 * runs twice, and the order in which hooks and rf_checkpoint were added makes no difference. A
 * region remembers how the module stood: in a recompute it must be the same, parameters and all. It
 * refers to its module and to the settings it was made with; both outlive it: the module as
 * a dead shell if need be, the settings by a count.
 */
#include "nn/params.h"
#include "nn/ranges.h"
#include "remat/fates.h"
#include "remat/region.h"

void rf_settings_unref(rf_settings *set)
{
    if (--set->refs)
        return;
    if (set->from)
        rf_settings_unref(set->from); /* which is nobody's copy */
    union {
        const char *in;
        char *out;
    } label = {.in = set->opts.label};
    rf_settings_refuse(&set->opts);
    rf_host_free_text(set->ctx, label.out);
    rf_host_free(set->ctx, set, sizeof *set);
}

static rf_status settings_make(rf_settings **out, rf_context *ctx,
                               const rf_checkpoint_options *opts)
{
    rf_settings *set = rf_host_alloc(ctx, sizeof *set);
    char *label = NULL;
    *out = NULL;
    if (set && opts && opts->label && !(label = rf_host_copy_text(ctx, opts->label))) {
        rf_host_free(ctx, set, sizeof *set);
        set = NULL;
    }
    if (!set)
        return rf_context_error(ctx)->code;
    set->ctx = ctx;
    set->refs = 1;
    if (opts)
        set->opts = *opts;
    set->opts.size = sizeof set->opts;
    set->opts.label = label;
    set->opts.fates = NULL; /* a policy by now */
    *out = set;
    return RF_OK;
}

static rf_status settings_check(rf_context *ctx, const rf_checkpoint_options *opts)
{
    if (opts && opts->size != sizeof *opts)
        return rf_fail(ctx, RF_E_ARGUMENT, "checkpoint: options of another size");
    if (opts && (unsigned)opts->verify > RF_VERIFY_VALUES)
        return rf_fail(ctx, RF_E_ARGUMENT,
                       "checkpoint: verify must be RF_VERIFY_DEFAULT, _SHAPES, _NONE, _SAMPLED or "
                       "_VALUES");
    if (opts && opts->fates && opts->policy.choose)
        return rf_fail(ctx, RF_E_ARGUMENT, "checkpoint: a policy or fates, not both");
    return RF_OK;
}

/* The modules that settings are for. */
typedef struct settings_modules {
    rf_module *const *v;
    size_t num;
} settings_modules;

/* Whether pattern names a part of m, by its path from there: as it is matched later. */
static int settings_names(const rf_module *root, const char *pattern)
{
    char own[256], path[256];
    size_t skip = rf_module_path(root, own, sizeof own);
    for (const rf_module *m = rf_module_next(root, root); m; m = rf_module_next(m, root))
        if (rf_module_path(m, path, sizeof path) < sizeof path &&
            rf_pattern_matches(pattern, path + (skip ? skip + 1 : 0)))
            return 1;
    return 0;
}

static int settings_part(void *payload, const char *pattern)
{
    const settings_modules *modules = payload;
    for (size_t i = 0; i < modules->num; i++)
        if (settings_names(modules->v[i], pattern))
            return 1;
    return 0;
}

void rf_settings_refuse(const rf_checkpoint_options *opts)
{
    if (opts && opts->hooks.destroy)
        opts->hooks.destroy(opts->hooks.payload);
    if (opts && opts->policy.destroy)
        opts->policy.destroy(opts->policy.payload);
}

rf_status rf_settings_take(rf_settings **out, rf_context *ctx, rf_module *const *modules,
                           size_t num, const rf_checkpoint_options *opts)
{
    settings_modules all = {modules, num};
    rf_fates_parts parts = {settings_part, &all};
    rf_policy policy = {0};
    rf_status status = settings_check(ctx, opts);
    *out = NULL;
    if (!status && opts && opts->fates)
        status = rf_fates_create(&policy, ctx, opts->fates, &parts);
    if (!status)
        status = settings_make(out, ctx, opts);
    if (status && policy.destroy)
        policy.destroy(policy.payload);
    else if (!status && policy.choose)
        (*out)->opts.policy = policy;
    if (status)
        rf_settings_refuse(opts);
    return status;
}

rf_status rf_settings_copy(rf_settings **out, rf_settings *set)
{
    rf_settings *copy;
    rf_status status = settings_make(&copy, set->ctx, &set->opts);
    *out = copy;
    if (status)
        return status;
    copy->opts.hooks.destroy = NULL;
    copy->opts.policy.destroy = NULL;
    copy->from = set->from ? set->from : set;
    copy->from->refs++;
    return RF_OK;
}

rf_status rf_settings_copy_state(void *state, rf_context *ctx, void **state_out)
{
    rf_settings *copy;
    (void)ctx;
    rf_status status = rf_settings_copy(&copy, state);
    *state_out = copy;
    return status;
}

void rf_settings_destroy(void *state)
{
    if (state)
        rf_settings_unref(state);
}

/* ---- regions of a module ---- */

/* What a region's function needs to run again. */
typedef struct region_payload {
    rf_context *ctx;
    rf_module *m;        /* referenced */
    rf_region_part part; /* settings and ranges are referenced */
    uint64_t stamp, params;
    size_t num_marks; /* of the parameters that the region may read: those of its range alone, */
    uint32_t marks[]; /* as the rest may change while it waits (rf_optim_backward) */
} region_payload;

static size_t payload_bytes(size_t num_marks)
{
    return sizeof(region_payload) + num_marks * sizeof(uint32_t);
}

/* The children that a part of m runs, as ends[0] to ends[1] - 1; NULL: it runs all of m. */
static const size_t *payload_range(const rf_region_part *part, const rf_module *m, size_t ends[2])
{
    if (!part->ranges)
        return NULL;
    rf_ranges_item range = rf_ranges_at(part->ranges, m, part->index);
    ends[0] = range.first;
    ends[1] = range.first + range.count;
    return ends;
}

static void payload_destroy(void *payload)
{
    region_payload *p = payload;
    rf_module_unref(p->m);
    rf_settings_unref(p->part.set);
    rf_ranges_unref(p->part.ranges);
    rf_host_free(p->ctx, p, payload_bytes(p->num_marks));
}

/* Whether m and its parameters are as they were; the error names the parameter, if it was one. */
static rf_status payload_check(const region_payload *p)
{
    char path[256];
    size_t ends[2];
    const rf_module *m = p->m;
    const size_t *range = payload_range(&p->part, m, ends);
    int other = m->stamp != p->stamp;
    if (!other && rf_params_stamp(m, range, NULL) == p->params)
        return RF_OK;
    if (rf_params_changed(m, range, p->marks, p->num_marks, path, sizeof path)) {
        rf_fail(p->ctx, RF_E_MUTATED,
                "parameter %s, or whether it wants a gradient, changed between the forward and "
                "the backward of a region of %s",
                path, m->cls->name);
        rf_error_set_path(p->ctx, path);
        return RF_E_MUTATED;
    }
    return rf_fail(p->ctx, RF_E_MUTATED, "%s: %s changed between the forward and the backward",
                   m->cls->name,
                   other ? "the train flag, hooks, checkpoints or parts of it" : "a parameter");
}

static rf_status payload_call(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    const region_payload *p = payload;
    if (p->m->dead)
        return rf_fail(p->ctx, RF_E_STALE,
                       "a module was destroyed before the backward of its "
                       "region");
    size_t ends[2];
    rf_status status = payload_check(p);
    if (status)
        return status;
    if (rf_context_pass(p->ctx) == RF_PASS_FORWARD)
        rf_params_note_read(p->m, payload_range(&p->part, p->m, ends));
    if (p->part.ranges)
        return rf_ranges_call(&p->part, p->m, s, in, out);
    return rf_module_forward(p->m, s, in, out);
}

/* The options' hooks are told with their payload, which the settings own. */
rf_status rf_settings_region(rf_module *m, rf_scope *s, const rf_region_part *part,
                             const rf_values *in, rf_values *out)
{
    rf_settings *set = part->set;
    size_t ends[2];
    const size_t *range = payload_range(part, m, ends);
    size_t num_marks = rf_params_num(m, range);
    region_payload *p = rf_host_alloc(m->ctx, payload_bytes(num_marks));
    if (!p)
        return rf_context_error(m->ctx)->code;
    *p = (region_payload){
        .ctx = m->ctx, .m = m, .part = *part, .stamp = m->stamp, .num_marks = num_marks};
    p->params = rf_params_stamp(m, range, p->marks);
    m->refs++;
    set->refs++;
    rf_ranges_ref(part->ranges);
    rf_region_call call = {.fn = {payload_call, p, payload_destroy},
                           .hooks = set->opts.hooks,
                           .policy = set->opts.policy,
                           .opts = &set->opts,
                           .in = in,
                           .out = out};
    call.hooks.destroy = NULL;
    call.policy.destroy = NULL;
    return rf_region_run_call(s, &call);
}

/* The module's run function while checkpointed. */
static rf_status checkpoint_run(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_region_part whole = {.set = rf_api_state(&rf_checkpoint_api, m)};
    return rf_settings_region(m, s, &whole, in, out);
}

/* ---- the API ---- */

/* What changes is the part of regions around m; those of m itself run its forward either way. */
void rf_checkpoint_set_run(rf_module *m, rf_status (*run)(rf_module *, rf_scope *,
                                                          const rf_values *, rf_values *))
{
    m->run = run;
    if (m->parent)
        rf_module_changed(m->parent);
}

void rf_settings_remove(void *state, rf_module *const *modules, size_t num)
{
    (void)state;
    for (size_t i = 0; i < num; i++)
        rf_checkpoint_set_run(modules[i], NULL);
}

static rf_status checkpoint_apply(void *state, rf_module *const *modules, size_t num,
                                  const void *opts)
{
    (void)state;
    (void)opts;
    for (size_t i = 0; i < num; i++)
        rf_checkpoint_set_run(modules[i], checkpoint_run);
    return RF_OK;
}

const rf_api rf_checkpoint_api = {.size = sizeof(rf_api),
                                  .name = "checkpoint",
                                  .apply = checkpoint_apply,
                                  .remove = rf_settings_remove,
                                  .copy = rf_settings_copy_state,
                                  .destroy = rf_settings_destroy};

rf_status rf_checkpoint(rf_module *m, const rf_checkpoint_options *opts)
{
    rf_settings *set;
    rf_status status = rf_settings_take(&set, m->ctx, &m, 1, opts);
    return status ? status : rf_api_apply_run(&rf_checkpoint_api, m, set);
}

rf_status rf_checkpoint_clear(rf_module *m)
{
    return rf_api_remove(&rf_checkpoint_api, m);
}

int rf_checkpoint_applied(const rf_module *m)
{
    return rf_api_state(&rf_checkpoint_api, m) != NULL;
}
