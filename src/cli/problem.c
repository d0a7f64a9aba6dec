/* problem.c: see problem.h. Standard output gets the plan, as JSON or as a table for people; what
 * fits no budget is an answer too, with an exit status of its own. */
#include "cli/problem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <refrain/problem.h>

#include "cli/numbers.h"
#include "cli/report.h"

#define PROBLEM_AT(field) offsetof(problem_options, field)

enum { PROBLEM_BUDGET = 1, PROBLEM_CURVE = 12 }; /* a row; lines of the curve */

static const problem_options problem_defaults = {.seconds = 10};

static const option_row problem_rows[] = {
    {"problem", "FILE.json", "the graph or chain to plan, from any framework", OPTION_TEXT,
     PROBLEM_AT(problem), OPTION_REQUIRED, 1, 0, NULL},
    {"budget", "SIZE", "most bytes at any moment, such as 8GiB; without it the curve is told",
     OPTION_SIZE, PROBLEM_AT(budget), 0, 0, 0, NULL},
    {"json", "", "tell it as one JSON object, with all steps", OPTION_FLAG, PROBLEM_AT(json), 0, 0,
     0, NULL},
    {"seconds", "S", "how long to look for a better plan of a graph", OPTION_REAL,
     PROBLEM_AT(seconds), 0, 1e-3, 1e6, NULL},
    {"seed", "N", "of that search", OPTION_COUNT, PROBLEM_AT(seed), 0, 0, 9007199254740992.0, NULL},
};

const option_table problem_table = {
    .verb = "plan",
    .summary = "with --problem: plan a graph or a chain of any framework",
    .usage = "--problem FILE.json [--budget SIZE] [--json] [--seconds S] [--seed N]",
    .rows = problem_rows,
    .num = sizeof problem_rows / sizeof *problem_rows,
    .bytes = sizeof(problem_options),
    .defaults = &problem_defaults,
    .positional = OPTION_NO_POSITIONAL,
};

int problem_wanted(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--problem") == 0 || strncmp(argv[i], "--problem=", 10) == 0)
            return 1;
    return 0;
}

/* ---- for people ---- */

/* "15.8 GiB (16964689920 bytes)" */
static void problem_size(const char *label, uint64_t bytes, const char *more)
{
    char size[NUMBERS_TEXT];
    printf("%-10s  %s (%" PRIu64 " bytes)%s\n", label, numbers_show_bytes(size, bytes), bytes,
           more);
}

static double problem_slower(const rf_problem_answer *a, double cost)
{
    return a->plain_cost > 0 ? 100 * (cost / a->plain_cost - 1) : 0;
}

static const char *problem_item(const rf_problem *p)
{
    return rf_problem_kind_of(p) == RF_PROBLEM_GRAPH ? "node" : "stage";
}

static void problem_tell_bounds(const rf_problem *p, const rf_problem_answer *a)
{
    char binds[256];
    const char *name = rf_problem_name(p, a->binds);
    snprintf(binds, sizeof binds, ": %s %zu%s%.160s%s alone takes them", problem_item(p), a->binds,
             *name ? " (" : "", name, *name ? ")" : "");
    problem_size("smallest", a->smallest_budget,
                 a->smallest_exact ? ": nothing works in less" : " known to work");
    problem_size("bound", a->lower_bound, binds);
}

static void problem_tell_plan(const rf_problem *p, const rf_problem_answer *a)
{
    size_t num = rf_problem_num(p);
    printf("%-10s  %.6g, plain %.6g: %.2f %% more%s\n", "cost", a->cost, a->plain_cost,
           problem_slower(a, a->cost), a->exact ? ", and nothing costs less" : "");
    problem_size("peak", a->peak, "");
    problem_size("plain peak", a->plain_peak, "");
    problem_tell_bounds(p, a);
    if (rf_problem_kind_of(p) == RF_PROBLEM_GRAPH)
        printf("%-10s  %zu: %zu runs of %zu nodes, %zu drops\n", "steps", a->num_steps, a->num_runs,
               num, a->num_steps - a->num_runs);
    else
        printf("%-10s  %zu for %zu stages\n", "steps", a->num_steps, num);
}

static void problem_tell_curve(const rf_problem *p, const rf_problem_answer *a)
{
    size_t num = rf_problem_num_points(p), step = 1 + num / PROBLEM_CURVE;
    printf("%-10s  %.6g\n", "plain cost", a->plain_cost);
    problem_size("plain peak", a->plain_peak, "");
    problem_tell_bounds(p, a);
    printf("budget and slow-down:\n");
    for (size_t i = 0; i < num; i++)
        if (i % step == 0 || i + 1 == num) {
            rf_problem_point point = rf_problem_point_at(p, i);
            printf("  %20" PRIu64 "  %8.2f %%\n", point.peak, problem_slower(a, point.cost));
        }
}

static void problem_tell(const rf_problem *p, const rf_problem_answer *a)
{
    if (a->asked)
        problem_tell_plan(p, a);
    else
        problem_tell_curve(p, a);
}

/* ---- running ---- */

static rf_status problem_write(void *payload, const void *bytes, size_t num)
{
    (void)payload;
    return fwrite(bytes, 1, num, stdout) == num ? RF_OK : RF_E_IO;
}

/* No plan fits: one line that tells what would. */
static void problem_report_none(const rf_problem *p, const rf_problem_answer *a,
                                const char *problem)
{
    char what[256], advice[256];
    const char *name = rf_problem_name(p, a->binds);
    snprintf(what, sizeof what, "no plan within %" PRIu64 " bytes is known", a->budget);
    snprintf(advice, sizeof advice,
             "give %" PRIu64 " bytes, which work; no budget below %" PRIu64
             " does, for %s %zu%s%.60s alone takes as many",
             a->smallest_budget, a->lower_bound, problem_item(p), a->binds, *name ? " " : "", name);
    report_error(what, problem, advice);
}

static int problem_answer(rf_problem *p, const problem_options *o)
{
    rf_problem_answer answer = rf_problem_answer_of(p);
    int none = answer.asked && !answer.feasible;
    if (o->json) {
        rf_write sink = {problem_write, NULL};
        if (rf_problem_json(p, sink)) {
            report_error("the answer could not be written", "standard output", "make room for it");
            return EXIT_FAILED;
        }
    } else if (!none) {
        problem_tell(p, &answer);
    }
    if (none)
        problem_report_none(p, &answer, o->problem);
    return none ? EXIT_FAILED : EXIT_FINE;
}

static int problem_solve(rf_context *ctx, rf_problem *p, const problem_options *o, option_set given)
{
    rf_problem_options opts = RF_PROBLEM_OPTIONS_INIT;
    opts.seconds = o->seconds;
    opts.seed = o->seed;
    rf_status status = given >> PROBLEM_BUDGET & 1 ? rf_problem_solve(p, o->budget, &opts)
                                                   : rf_problem_survey(p, &opts);
    if (!status)
        return problem_answer(p, o);
    report_failure(ctx, o->problem, "close other programs, or give a smaller problem");
    return EXIT_FAILED;
}

int problem_run(const problem_options *options, option_set given)
{
    rf_context *ctx;
    rf_problem *problem;
    if (rf_context_create(&ctx, NULL)) {
        report_error("no memory", "starting", "close other programs");
        return EXIT_FAILED;
    }
    int status = EXIT_USAGE;
    if (rf_problem_load(&problem, ctx, options->problem)) {
        report_failure(ctx, options->problem, "docs/problem-files.md tells what such a file holds");
    } else {
        status = problem_solve(ctx, problem, options, given);
        rf_problem_destroy(problem);
    }
    rf_context_destroy(ctx);
    return status;
}
