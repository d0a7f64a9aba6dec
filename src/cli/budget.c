/* budget.c: see budget.h. A plan is looked for in one dry session and proved in another, fresh one,
 * which does all that the run is going to do: what that took is what is promised. */
#include "cli/budget.h"

#include <stdio.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <refrain/io.h>

#include "cli/budget_refuse.h"
#include "cli/figures.h"
#include "cli/report.h"

enum { BUDGET_TRIES = 6, BUDGET_MEASURE_SECONDS = 5 };

int budget_wanted(const train_options *o)
{
    return o->budget || o->plan;
}

size_t budget_regions(const budget *b)
{
    size_t num = b->plan ? rf_plan_num_parts(b->plan) : 0, regions = 0;
    for (size_t i = 0; i < num; i++)
        regions += !rf_plan_part_at(b->plan, i).dial;
    return regions;
}

double budget_slower(const budget *b)
{
    return b->plain.seconds > 0 ? 100 * (b->chosen.seconds / b->plain.seconds - 1) : 0;
}

/* ---- costs ---- */

static void budget_log(void *payload, const char *line)
{
    (void)payload;
    report_note("%s", line);
}

/* A context with the run's threads and instruction set. */
static rf_status budget_context(rf_context **out, const train_options *o)
{
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.threads = (size_t)o->threads;
    opts.isa = o->isa;
    opts.log = budget_log;
    rf_status status = rf_context_create(out, &opts);
    if (!status || !o->isa)
        return status;
    opts.isa = NULL;
    return rf_context_create(out, &opts);
}

static int budget_tools(budget *b)
{
    rf_status status = budget_context(&b->tools, b->options);
    if (!status)
        status = rf_costs_create(&b->costs, b->tools);
    if (!status)
        status = rf_costs_create(&b->model, b->tools);
    if (!status)
        return EXIT_FINE;
    report_error(rf_status_text(status), "planning", "close other programs");
    return EXIT_FAILED;
}

static rf_status budget_progress(void *payload, size_t done, size_t num)
{
    (void)payload;
    printf("\rplan   measuring %zu of %zu kinds of ops\033[K", done + 1, num);
    fflush(stdout);
    return RF_OK;
}

/* In a context of its own, whose memory goes before the run begins. */
static rf_status budget_measure(const budget *b)
{
    rf_costs_options opts = RF_COSTS_OPTIONS_INIT;
    int terminal = isatty(STDOUT_FILENO);
    rf_status status = budget_context(&opts.ctx, b->options);
    if (status)
        return status;
    opts.seconds = BUDGET_MEASURE_SECONDS;
    opts.bytes = b->options->budget;
    opts.progress = terminal ? budget_progress : NULL;
    status = rf_costs_measure(b->costs, &opts);
    if (terminal)
        printf("\r\033[K");
    rf_context_destroy(opts.ctx);
    return status ? status : rf_costs_save(b->costs, NULL);
}

/* What the steps of r cost; kernels run in the tools' context, for r has none. */
static int budget_time(budget *b, rehearsal *r)
{
    rf_training_step step = rehearsal_step(r);
    int measured = b->options->costs == TRAIN_COSTS_MEASURED;
    rf_status status = measured ? rf_costs_load(b->costs, NULL) : RF_OK;
    if (!status && rf_costs_note_plan(b->costs, r->session.model, &step)) {
        report_failure(r->session.ctx, "planning", "train without --budget, and report it");
        return EXIT_FAILED;
    }
    rf_costs_counts counts = rf_costs_counts_of(b->costs);
    if (!status && measured && counts.measured < counts.known)
        status = budget_measure(b);
    if (!status)
        return EXIT_FINE;
    report_failure(b->tools, "measuring what ops cost", "give --costs model");
    return EXIT_FAILED;
}

/* ---- plans ---- */

static int budget_failed(const rehearsal *r)
{
    report_failure(r->session.ctx, "planning", "train without --budget, and report it");
    return EXIT_FAILED;
}

/* Keep a plan, in the tools' context. */
static int budget_keep(budget *b, const rf_plan *plan)
{
    rf_plan_destroy(b->plan);
    if (!rf_plan_copy(&b->plan, plan, b->tools))
        return EXIT_FINE;
    report_failure(b->tools, "planning", "close other programs");
    return EXIT_FAILED;
}

static uint64_t budget_growth(const rf_plan *searched, const rf_plan *fresh)
{
    uint64_t before = rf_plan_info_of(searched).peak, now = rf_plan_info_of(fresh).peak;
    return before > now ? before - now : 0;
}

/* Keep a plan with the figures of a fresh context: the one of the search has grown. */
static int budget_keep_checked(budget *b, const rf_plan *plan)
{
    rehearsal r;
    rf_plan *here = NULL;
    int failed = rehearsal_begin(&r, b->options, b->given);
    rf_training_step step = rehearsal_step(&r);
    if (!failed) {
        rf_costs_use(b->costs, r.session.ctx);
        rf_status status = rf_plan_copy(&here, plan, r.session.ctx);
        if (!status)
            status = rf_plan_check(here, r.session.model, &step, 0);
        failed = status ? budget_failed(&r) : budget_keep(b, here);
        if (!failed)
            b->grown = budget_growth(plan, here);
    }
    rf_plan_destroy(here);
    rehearsal_end(&r);
    return failed;
}

/* Keep a plan of no region at all. */
static int budget_keep_none(budget *b)
{
    rf_plan *none;
    if (rf_plan_begin(&none, b->tools)) {
        report_failure(b->tools, "planning", "close other programs");
        return EXIT_FAILED;
    }
    int failed = budget_keep_checked(b, none);
    rf_plan_destroy(none);
    return failed;
}

/* Keep it, and see what a run takes with it. A model so small that regions take more than they give
 * back is better off without. */
static int budget_prove(budget *b, const rf_plan *plan)
{
    int failed = budget_keep_checked(b, plan);
    if (!failed)
        failed = rehearsal_play(&b->chosen, b->options, b->given, b->plan, b->costs);
    if (failed || b->chosen.peak <= b->plain.peak)
        return failed;
    failed = budget_keep_none(b);
    return failed ? failed : rehearsal_play(&b->chosen, b->options, b->given, b->plan, b->costs);
}

/* Look once, in a context of its own, so that nothing but the question decides what is found.
 * *needed is what is too little to be asked for; 0: there is a plan, and it is proved. */
static int budget_look(budget *b, rf_costs *costs, uint64_t ask, uint64_t *needed)
{
    rf_plan_options opts = RF_PLAN_OPTIONS_INIT;
    rehearsal r;
    rf_plan *plan = NULL;
    opts.costs = costs;
    opts.budget = ask;
    opts.tiers = (unsigned)b->options->tiers;
    *needed = 0;
    int failed = rehearsal_begin(&r, b->options, b->given);
    rf_training_step step = rehearsal_step(&r);
    rf_status status = failed ? RF_OK : rf_plan_create(&plan, r.session.model, &step, &opts);
    if (status == RF_E_BUDGET)
        *needed = rf_context_error(r.session.ctx)->limit_needed;
    else if (status)
        failed = budget_failed(&r);
    if (plan)
        failed = budget_prove(b, plan);
    rf_plan_destroy(plan);
    rehearsal_end(&r);
    return failed;
}

/* The plan for `ask` bytes by costs, or, *smallest, the one that takes the fewest. */
static int budget_plan_by(budget *b, rf_costs *costs, uint64_t ask, int *smallest)
{
    uint64_t needed;
    int failed = budget_look(b, costs, ask, &needed);
    *smallest = needed != 0;
    for (int i = 0; i < BUDGET_TRIES && needed && !failed; i++)
        failed = budget_look(b, costs, needed, &needed);
    if (failed || !needed)
        return failed;
    report_error("no plan was found twice", "planning", "give --costs model, and report it");
    return EXIT_FAILED;
}

static int budget_plan(budget *b, uint64_t ask, int *smallest)
{
    return budget_plan_by(b, b->costs, ask, smallest);
}

/* Which plan is found to take the fewest bytes depends a little on the costs that led there, and
 * measured ones differ from run to run. So where it is about the last byte, the model's count,
 * which are the same every time. */
static int budget_least(budget *b)
{
    int smallest;
    return budget_plan_by(b, b->model, 1, &smallest);
}

/* Searches count a step, and not what comes between two: where that takes more, they are asked for
 * less. And they count what their own context has grown by: where that is much, for more. */
static uint64_t budget_ask(const budget *b, uint64_t ask)
{
    uint64_t limit = b->options->budget, over = b->chosen.peak - limit;
    if (b->chosen.peak > limit)
        return ask > over ? ask - over : 1;
    return ask == limit && b->grown > limit / 200 ? limit + b->grown : 0;
}

/* So close to the smallest budget that the model's plan decides what is still granted: what is
 * told as the smallest is then the smallest in every run. */
static int budget_is_close(const budget *b)
{
    uint64_t smallest = b->plan ? rf_plan_info_of(b->plan).smallest : 0;
    return smallest && b->options->budget < smallest + smallest / 50;
}

static int budget_search(budget *b)
{
    uint64_t limit = b->options->budget, ask = limit;
    int smallest = 0;
    for (int i = 0; i < BUDGET_TRIES && ask; i++) {
        int failed = budget_plan(b, ask, &smallest);
        if (failed)
            return failed;
        ask = smallest && b->chosen.peak > limit ? 0 : budget_ask(b, ask);
    }
    if (!ask && b->chosen.peak <= limit && !budget_is_close(b))
        return EXIT_FINE;
    int failed = budget_least(b);
    if (failed || b->chosen.peak <= limit)
        return failed;
    b->smallest = b->chosen.peak;
    return budget_refuse(b);
}

static int budget_load(budget *b)
{
    const train_options *o = b->options;
    uint64_t limit = o->budget ? o->budget : o->memory;
    char what[160];
    if (rf_plan_load(&b->plan, b->tools, o->plan)) {
        report_failure(b->tools, "--plan", "give a file of refrain plan --save");
        return EXIT_FAILED;
    }
    int failed = rehearsal_play(&b->chosen, o, b->given, b->plan, b->costs);
    if (failed || !limit || b->chosen.peak <= limit)
        return failed;
    snprintf(what, sizeof what, "with this plan the run takes %llu bytes, more than the %llu of %s",
             (unsigned long long)b->chosen.peak, (unsigned long long)limit,
             o->budget ? "--budget" : "--memory");
    report_error(what, o->plan, "leave --plan out, and a plan is looked for");
    return EXIT_FAILED;
}

/* ---- the whole ---- */

static int budget_decide_plan(budget *b, rehearsal *r)
{
    const train_options *o = b->options;
    int failed = budget_time(b, r);
    failed = failed ? failed : rehearsal_play(&b->plain, o, b->given, NULL, b->costs);
    if (failed)
        return failed;
    return o->plan ? budget_load(b) : budget_search(b);
}

/* A run that fits as it is needs no plan, and nothing is measured for it. */
static int budget_decide(budget *b, rehearsal *r)
{
    const train_options *o = b->options;
    int failed = rehearsal_play(&b->plain, o, b->given, NULL, NULL);
    if (!failed && !o->plan && b->plain.peak <= o->budget)
        return rehearsal_play(&b->chosen, o, b->given, NULL, NULL);
    return failed ? failed : budget_decide_plan(b, r);
}

static int budget_decide_smallest(budget *b, rehearsal *r)
{
    int failed = budget_time(b, r);
    failed = failed ? failed : rehearsal_play(&b->plain, b->options, b->given, NULL, b->costs);
    failed = failed ? failed : budget_least(b);
    b->smallest = b->chosen.peak;
    return failed;
}

void budget_give_back(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

static int budget_with(budget *b, const train_options *o, option_set given,
                       int (*decide)(budget *b, rehearsal *r))
{
    rehearsal r;
    *b = (budget){.options = o, .given = given, .seconds = -figures_clock()};
    int failed = rehearsal_begin(&r, o, given);
    failed = failed ? failed : budget_tools(b);
    failed = failed ? failed : decide(b, &r);
    rehearsal_end(&r);
    budget_give_back();
    b->seconds += figures_clock();
    return failed;
}

int budget_find(budget *b, const train_options *o, option_set given)
{
    return budget_with(b, o, given, budget_decide);
}

int budget_find_plan(budget *b, const train_options *o, option_set given)
{
    return budget_with(b, o, given, budget_decide_plan);
}

int budget_find_smallest(budget *b, const train_options *o, option_set given)
{
    return budget_with(b, o, given, budget_decide_smallest);
}

void budget_end(budget *b)
{
    rehearsal_forget(&b->plain);
    rehearsal_forget(&b->chosen);
    rf_plan_destroy(b->plan);
    rf_costs_destroy(b->costs);
    rf_costs_destroy(b->model);
    rf_context_destroy(b->tools);
    *b = (budget){.options = NULL};
}
