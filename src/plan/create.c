/* create.c: from a step and a budget to a plan: costs, sites, options, search, and a last run of
 * the step with what was chosen, whose figures are the promise. */
#include "plan/plan.h"
#include "plan/profile.h"
#include "tensor/dry.h"

#include <string.h>

enum { PLAN_SECONDS = 2 };

/* All that is alive while a plan is made. */
typedef struct plan_work {
    rf_context *ctx;
    rf_module *root;
    const rf_training_step *step;
    rf_plan_options opts;
    rf_costs *costs;
    int own_costs;
    rf_sites sites;
    rf_options options;
    rf_search search;
} plan_work;

static double plan_cost(void *payload, const rf_op_call *call)
{
    return rf_costs_of(payload, call);
}

/* ---- costs ---- */

/* A step that runs dry, so that the table knows what to measure. */
static rf_status plan_note_costs(plan_work *work)
{
    rf_context *ctx = work->ctx;
    int dry = ctx->dry;
    rf_status status = dry ? RF_OK : rf_dry_begin(ctx);
    if (status)
        return status;
    ctx->cost = plan_cost;
    ctx->cost_payload = work->costs;
    status = work->step->run(work->step->payload);
    ctx->cost = NULL;
    if (!dry)
        rf_dry_end(ctx);
    return status;
}

/* A context that is dry for good has no kernels to measure: another one has. */
static rf_status plan_make_costs(plan_work *work)
{
    rf_costs_options opts = {.seconds = PLAN_SECONDS};
    if (work->opts.costs) {
        work->costs = work->opts.costs;
        return plan_note_costs(work);
    }
    rf_status status = rf_costs_create(&work->costs, work->ctx);
    if (status)
        return status;
    work->own_costs = 1;
    status = plan_note_costs(work);
    if (!status && !work->ctx->dry)
        status = rf_costs_measure(work->costs, &opts);
    return status;
}

/* ---- searching ---- */

/* In a dry run. */
static rf_status plan_search(plan_work *work)
{
    const rf_schedule_space space = {work->ctx, &work->sites, &work->options};
    double seconds = work->opts.seconds > 0 ? work->opts.seconds : PLAN_SECONDS;
    rf_status status = rf_sites_find(&work->sites, work->root, work->step);
    if (!status)
        status = rf_options_find(&work->options, &work->sites);
    if (!status)
        status = rf_search_begin(&work->search, &space, work->step, seconds);
    if (!status && work->opts.budget && work->opts.budget < work->search.plain.peak)
        status = rf_search_refine(&work->search, work->opts.budget);
    if (!status && work->opts.budget && !rf_search_find(&work->search, work->opts.budget))
        status = rf_search_refine(&work->search, 0);
    return status;
}

static rf_status plan_points(rf_plan *plan, const rf_search *search)
{
    plan->points = rf_host_alloc(plan->ctx, search->num * sizeof *plan->points);
    if (!plan->points)
        return rf_context_error(plan->ctx)->code;
    plan->num_points = search->num;
    for (size_t i = 0; i < search->num; i++)
        plan->points[i] = (rf_plan_point){search->front[i].peak, search->front[i].seconds};
    return RF_OK;
}

static rf_status plan_refuse(const plan_work *work)
{
    uint64_t smallest = work->search.front[0].peak;
    rf_fail(work->ctx, RF_E_BUDGET,
            "plan: %llu bytes are too few for this step; the smallest budget that works is %llu",
            (unsigned long long)work->opts.budget, (unsigned long long)smallest);
    work->ctx->record.error.limit = work->opts.budget;
    work->ctx->record.error.limit_needed = smallest;
    return RF_E_BUDGET;
}

static rf_status plan_choose(rf_plan *plan, plan_work *work)
{
    const rf_search *search = &work->search;
    uint64_t budget = work->opts.budget ? work->opts.budget : UINT64_MAX;
    const rf_trial *best = rf_search_find(search, budget);
    if (!best)
        return plan_refuse(work);
    plan->info = (rf_plan_info){.budget = work->opts.budget,
                                .peak = best->peak,
                                .seconds = best->seconds,
                                .plain_peak = search->plain.peak,
                                .plain_seconds = search->plain.seconds,
                                .smallest = search->front[0].peak,
                                .bound = search->bound,
                                .tries = search->tries};
    rf_status status = plan_points(plan, search);
    return status ? status : rf_plan_take(plan, &best->schedule, &search->space, work->root);
}

static rf_status plan_find(rf_plan *plan, plan_work *work)
{
    rf_context *ctx = work->ctx;
    int dry = ctx->dry;
    rf_status status = dry ? RF_OK : rf_dry_begin(ctx);
    if (status)
        return status;
    ctx->cost = plan_cost;
    ctx->cost_payload = work->costs;
    status = plan_search(work);
    if (!status)
        status = plan_choose(plan, work);
    rf_search_end(&work->search);
    rf_options_end(&work->options);
    rf_sites_end(&work->sites);
    ctx->cost = NULL;
    if (!dry)
        rf_dry_end(ctx);
    return status;
}

/* ---- the public face ---- */

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
    if (work->own_costs)
        rf_costs_destroy(work->costs);
    return status ? status : rf_plan_check(plan, work->root, work->step, work->opts.budget);
}

rf_status rf_plan_create(rf_plan **out, rf_module *m, const rf_training_step *step,
                         const rf_plan_options *opts)
{
    static const rf_plan_options defaults = RF_PLAN_OPTIONS_INIT;
    plan_work work = {.ctx = m->ctx, .root = m, .step = step, .opts = opts ? *opts : defaults};
    *out = NULL;
    if (work.opts.size != sizeof work.opts || !step || !step->run)
        return rf_fail(m->ctx, RF_E_ARGUMENT, "plan: options of another size, or no step");
    rf_plan *plan;
    rf_status status = rf_plan_begin(&plan, m->ctx);
    if (status)
        return status;
    work.sites.ctx = work.options.ctx = work.search.space.ctx = m->ctx;
    status = plan_create(plan, &work);
    if (status)
        rf_plan_destroy(plan);
    else
        *out = plan;
    return status;
}
