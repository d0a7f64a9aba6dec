/* create.c: from a step and a budget to a plan: costs, sites, options, search, and a last run of
 * the step with what was chosen, whose figures are the promise. */
#include "plan/plan.h"
#include "plan/memo.h"
#include "tensor/dry.h"
#include "tensor/tiered.h"

#include <string.h>

/* Points of the front whose peaks are measured exactly however late it is; steps of the curve that
 * are looked at closely. */
enum {
    PLAN_SECONDS = 10,
    PLAN_MEASURE_SECONDS = 5,
    PLAN_EXACT = 4,
    PLAN_STEPS = 8,
    PLAN_TRIES = 600,
    PLAN_STEP_TRIES = 150
};

/* All that is alive while a plan is made. */
typedef struct plan_work {
    rf_context *ctx;
    rf_module *root;
    const rf_training_step *step;
    rf_plan_options opts;
    rf_costs *costs;
    rf_memo *memo; /* while the search runs: costs no longer change */
    rf_sites sites;
    rf_options options;
    rf_search search;
    uint64_t base;  /* bookkeeping of the plain step: a trial takes about this more than its peak */
    rf_trial least; /* of the smallest exact peak; its scheme is a copy */
} plan_work;

static void plan_forget_options(plan_work *work)
{
    rf_options_end(&work->options);
    rf_sites_end(&work->sites);
}

/* ---- costs ---- */

/* A step that runs dry, and its parts alone, so that the table knows what to measure. */
static rf_status plan_note_costs(plan_work *work)
{
    rf_context *ctx = work->ctx;
    rf_status status = rf_dry_begin(ctx);
    if (status)
        return status;
    rf_cost_clock before = rf_cost_clock_set(ctx, rf_cost_clock_by(work->costs));
    status = rf_sites_find(&work->sites, work->root, work->step);
    if (!status)
        status = rf_options_find(&work->options, &work->sites, 0);
    plan_forget_options(work);
    rf_cost_clock_set(ctx, before);
    rf_dry_end(ctx);
    return status;
}

static void plan_costs_end(rf_context *ctx)
{
    rf_costs_destroy(ctx->costs);
}

/* A context's own table stays with it: the same step then gives the same plan again, and is not
 * measured twice. One that is dry for good has no kernels to measure. */
static rf_status plan_own_costs(plan_work *work)
{
    rf_context *ctx = work->ctx;
    rf_costs_options opts = RF_COSTS_OPTIONS_INIT;
    rf_status status = RF_OK;
    int known = ctx->costs != NULL;
    if (!known)
        status = rf_costs_create(&ctx->costs, ctx);
    if (status)
        return status;
    ctx->costs_end = plan_costs_end;
    work->costs = ctx->costs;
    status = plan_note_costs(work);
    if (status || ctx->dry)
        return status;
    if (!known)
        rf_costs_measure_rates(ctx->costs, NULL);
    opts.seconds = PLAN_MEASURE_SECONDS;
    return rf_costs_measure(ctx->costs, &opts);
}

static rf_status plan_make_costs(plan_work *work)
{
    work->costs = work->opts.costs;
    return work->costs ? plan_note_costs(work) : plan_own_costs(work);
}

/* ---- measuring ---- */

/* What the step takes with a plan, exactly: bookkeeping too, of which no more is left behind than
 * the real step will need. In a dry run. */
static rf_status plan_measure(const rf_plan *plan, const plan_work *work, rf_plan_point *out)
{
    rf_context *ctx = work->ctx;
    double begin = 0;
    rf_tiered_dry_rest(ctx);
    rf_slab_trim(&ctx->slab);
    rf_status status = rf_plan_apply(plan, work->root);
    if (status)
        return status;
    rf_memory_reset_peak(ctx);
    for (int i = 0; i < 2 && !status; i++) {
        begin = ctx->dry_seconds;
        status = work->step->run(work->step->payload);
    }
    *out =
        (rf_plan_point){ctx->ledger.row[RF_DEVICE_CPU][RF_MEM_ALL].peak, ctx->dry_seconds - begin};
    rf_status cleared = rf_plan_clear(plan, work->root);
    return status ? status : cleared;
}

static rf_status plan_take_scheme(rf_plan *plan, const plan_work *work, const rf_scheme *scheme,
                                  rf_plan_point *out)
{
    rf_plan_forget_parts(plan);
    rf_status status = rf_plan_take(plan, scheme, &work->search.space, work->root);
    return status ? status : plan_measure(plan, work, out);
}

/* The step without a plan, and how much bookkeeping it takes. */
static rf_status plan_measure_plain(rf_plan *plan, plan_work *work)
{
    rf_plan_point plain;
    rf_status status = plan_measure(plan, work, &plain);
    work->base = rf_search_base(&work->search);
    plan->info.plain_peak = plain.peak;
    plan->info.plain_seconds = plain.seconds;
    return status;
}

/* What is new in the front, from the smallest on, as time allows. */
static rf_status plan_measure_front(rf_plan *plan, plan_work *work)
{
    rf_search *search = &work->search;
    rf_status status = RF_OK;
    for (size_t i = 0; i < search->num && !status; i++) {
        rf_plan_point exact;
        if (search->front[i].exact || (i > PLAN_EXACT && rf_search_late(search)))
            continue;
        status = plan_take_scheme(plan, work, &search->front[i].scheme, &exact);
        search->front[i].exact = exact.peak;
    }
    rf_plan_forget_parts(plan);
    return status;
}

static uint64_t plan_peak(const plan_work *work, size_t i)
{
    const rf_trial *trial = &work->search.front[i];
    return trial->exact ? trial->exact : trial->peak + work->base;
}

/* ---- searching ---- */

/* The smallest is looked for in the same way whatever was asked: what is refused with it is granted
 * when it is asked for, and less is not. */
static rf_status plan_find_least(rf_plan *plan, plan_work *work)
{
    rf_search *search = &work->search;
    rf_trial plain = search->plain, *least = &plain;
    rf_status status = rf_search_refine(search, 0, PLAN_TRIES);
    if (!status)
        status = plan_measure_front(plan, work);
    plain.exact = plan->info.plain_peak;
    for (size_t i = 0; i < search->num && !status; i++)
        if (search->front[i].exact && search->front[i].exact < least->exact)
            least = &search->front[i];
    if (status)
        return status;
    work->least = *least;
    plan->info.smallest = least->exact;
    return least == &plain ? rf_scheme_begin(&work->least.scheme, &search->space)
                           : rf_scheme_copy(&work->least.scheme, &search->space, &least->scheme);
}

static rf_status plan_refuse(const plan_work *work, uint64_t needed)
{
    rf_fail(work->ctx, RF_E_BUDGET,
            "plan: %llu bytes are too few for this step; the smallest budget that works is %llu",
            (unsigned long long)work->opts.budget, (unsigned long long)needed);
    work->ctx->record.error.limit = work->opts.budget;
    work->ctx->record.error.limit_needed = needed;
    return RF_E_BUDGET;
}

/* Closely at the budget, and at even steps of the whole curve. */
static rf_status plan_refine(rf_plan *plan, plan_work *work)
{
    rf_search *search = &work->search;
    uint64_t budget = work->opts.budget, low = work->least.peak, high = search->plain.peak;
    rf_status status = RF_OK;
    if (budget)
        status =
            rf_search_refine(search, budget > work->base ? budget - work->base : 1, PLAN_TRIES);
    for (uint64_t i = 1; i < PLAN_STEPS && low < high && !status; i++)
        status = rf_search_refine(search, low + (high - low) * i / PLAN_STEPS, PLAN_STEP_TRIES);
    return status ? status : plan_measure_front(plan, work);
}

/* In a dry run. */
static rf_status plan_search(rf_plan *plan, plan_work *work)
{
    const rf_scheme_space space = {work->ctx, &work->sites, &work->options};
    double seconds = work->opts.seconds > 0 ? work->opts.seconds : PLAN_SECONDS;
    uint64_t budget = work->opts.budget;
    rf_status status = rf_sites_find(&work->sites, work->root, work->step);
    if (!status)
        status = rf_options_find(&work->options, &work->sites, work->opts.tiers);
    if (!status)
        status = rf_search_begin(&work->search, &space, work->step, seconds);
    if (!status)
        status = plan_measure_plain(plan, work);
    if (!status)
        status = plan_find_least(plan, work);
    if (!status && budget && budget < plan->info.smallest)
        status = plan_refuse(work, plan->info.smallest);
    if (!status && (!budget || budget < plan->info.plain_peak))
        status = plan_refine(plan, work);
    return status;
}

/* ---- choosing ---- */

/* Nothing, where that fits; else the fastest whose exact peak does, of the front and what is known
 * to be the smallest: as the front does not know exact peaks, it may have lost that. What is chosen
 * is measured last, so that the bookkeeping left behind is its own. */
static rf_status plan_choose(rf_plan *plan, const plan_work *work)
{
    const rf_search *search = &work->search;
    uint64_t budget = work->opts.budget ? work->opts.budget : UINT64_MAX;
    rf_plan_point found = {UINT64_MAX, 0};
    rf_status status = RF_OK;
    if (plan->info.plain_peak <= budget)
        status = plan_measure(plan, work, &found);
    for (size_t at = search->num; at-- > 0 && found.peak > budget && !status;)
        if (plan_peak(work, at) <= budget && search->front[at].seconds <= work->least.seconds)
            status = plan_take_scheme(plan, work, &search->front[at].scheme, &found);
    if (!status && found.peak > budget)
        status = plan_take_scheme(plan, work, &work->least.scheme, &found);
    if (!status && found.peak > budget)
        return plan_refuse(work, found.peak);
    plan->info.peak = found.peak;
    plan->info.seconds = found.seconds;
    return status;
}

/* ---- the curve ---- */

static void curve_enter(rf_plan *plan, uint64_t peak, double seconds)
{
    size_t at = 0, end;
    while (at < plan->num_points && plan->points[at].peak < peak)
        at++;
    if (at && plan->points[at - 1].seconds <= seconds)
        return;
    for (end = at; end < plan->num_points && plan->points[end].seconds >= seconds;)
        end++;
    if (end == at && at < plan->num_points && plan->points[at].peak == peak)
        return;
    memmove(&plan->points[at + 1], &plan->points[end],
            (plan->num_points - end) * sizeof *plan->points);
    plan->points[at] = (rf_plan_point){peak, seconds};
    plan->num_points = plan->num_points + 1 - (end - at);
}

static rf_status plan_curve(rf_plan *plan, plan_work *work)
{
    const rf_search *search = &work->search;
    plan->info.budget = work->opts.budget;
    plan->info.bound = search->bound;
    plan->info.tries = search->tries;
    plan->cap_points = search->num + 2;
    plan->points = rf_plan_alloc(plan->ctx, plan->cap_points * sizeof *plan->points);
    if (!plan->points)
        return rf_context_error(plan->ctx)->code;
    curve_enter(plan, plan->info.plain_peak, plan->info.plain_seconds);
    curve_enter(plan, work->least.exact, work->least.seconds);
    for (size_t i = 0; i < search->num; i++)
        if (plan_peak(work, i) >= work->least.exact)
            curve_enter(plan, plan_peak(work, i), search->front[i].seconds);
    return RF_OK;
}

/* In a dry run. */
static rf_status plan_find_dry(rf_plan *plan, plan_work *work)
{
    rf_cost_clock clock = rf_cost_clock_by(work->costs);
    work->memo->costs = work->costs;
    clock.cost = rf_memo_of;
    clock.payload = work->memo;
    rf_cost_clock before = rf_cost_clock_set(work->ctx, clock);
    rf_status status = plan_search(plan, work);
    if (!status)
        status = plan_curve(plan, work);
    if (!status)
        status = plan_choose(plan, work);
    if (status)
        rf_slab_trim(&work->ctx->slab);
    rf_scheme_end(&work->least.scheme, &work->search.space);
    rf_search_end(&work->search);
    plan_forget_options(work);
    rf_cost_clock_set(work->ctx, before);
    return status;
}

static rf_status plan_find(rf_plan *plan, plan_work *work)
{
    rf_context *ctx = work->ctx;
    work->memo = rf_plan_alloc(ctx, sizeof *work->memo);
    if (!work->memo)
        return rf_context_error(ctx)->code;
    rf_status status = rf_dry_begin(ctx);
    if (!status) {
        status = plan_find_dry(plan, work);
        rf_dry_end(ctx);
    }
    rf_plan_free(ctx, work->memo, sizeof *work->memo);
    return status;
}

/* ---- the public face ---- */

rf_status rf_costs_note_plan(rf_costs *costs, rf_module *m, const rf_training_step *step)
{
    plan_work work = {.ctx = m->ctx, .root = m, .step = step, .costs = costs};
    if (!step || !step->run)
        return rf_fail(m->ctx, RF_E_ARGUMENT, "costs: there is no step to note");
    work.sites.ctx = work.options.ctx = m->ctx;
    rf_status status = plan_note_costs(&work);
    if (!status && rf_costs_status(costs))
        return rf_fail(m->ctx, RF_E_MEMORY, "no memory to note what a step runs");
    return status;
}

rf_status rf_plan_check(rf_plan *plan, rf_module *m, const rf_training_step *step, uint64_t budget)
{
    rf_prediction p = RF_PREDICTION_INIT;
    rf_status status = rf_plan_apply(plan, m);
    if (status)
        return status;
    status = rf_predict(&p, plan->ctx, step, NULL);
    rf_status cleared = rf_plan_clear(plan, m);
    status = status ? status : cleared;
    if (status)
        return status;
    plan->info.peak = p.peak[RF_MEM_ALL];
    if (p.seconds > 0)
        plan->info.seconds = p.seconds;
    if (!budget || plan->info.peak <= budget)
        return RF_OK;
    rf_fail(plan->ctx, RF_E_BUDGET, "plan: the step takes %llu bytes with it, %llu more than asked",
            (unsigned long long)plan->info.peak, (unsigned long long)(plan->info.peak - budget));
    plan->ctx->record.error.limit = budget;
    plan->ctx->record.error.limit_needed = plan->info.peak;
    return RF_E_BUDGET;
}

static rf_status plan_create(rf_plan *plan, plan_work *work)
{
    rf_status status = plan_make_costs(work);
    if (!status)
        status = plan_find(plan, work);
    return status;
}

rf_status rf_plan_create(rf_plan **out, rf_module *m, const rf_training_step *step,
                         const rf_plan_options *opts)
{
    static const rf_plan_options defaults = RF_PLAN_OPTIONS_INIT;
    plan_work work = {.ctx = m->ctx, .root = m, .step = step, .opts = opts ? *opts : defaults};
    *out = NULL;
    if (work.opts.size != sizeof work.opts || !step || !step->run ||
        work.opts.tiers > (RF_PLAN_HOST | RF_PLAN_FILE))
        return rf_fail(m->ctx, RF_E_ARGUMENT,
                       "plan: options of another size, tiers that are none, or no step");
    rf_plan *plan;
    rf_status status = rf_plan_begin(&plan, m->ctx);
    if (status)
        return status;
    work.sites.ctx = work.options.ctx = work.search.space.ctx = m->ctx;
    rf_slab_trim(&m->ctx->slab); /* whatever was before: the same call finds the same again */
    status = plan_create(plan, &work);
    if (status)
        rf_plan_destroy(plan);
    else
        *out = plan;
    return status;
}
