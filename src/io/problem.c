/* problem.c: the life of a problem, and what callers ask of it. See problem.h. */
#include "io/problem.h"
#include "io/text.h"

#include <string.h>

rf_status rf_problem_load(rf_problem **out, rf_context *ctx, const char *path)
{
    char *text;
    size_t len;
    *out = NULL;
    rf_status status = rf_text_read(&text, &len, ctx, path, RF_PROBLEM_FILE_MOST);
    if (!status)
        status = rf_problem_read(out, ctx, text, len, path);
    rf_text_free(ctx, text);
    return status;
}

static void problem_end_solvers(rf_problem *p)
{
    rf_graph_answer_end(&p->ctx->alloc, &p->graph_answer);
    rf_chain_steps_end(&p->chain_steps, &p->ctx->alloc);
    if (p->ready && p->kind == RF_PROBLEM_GRAPH)
        rf_graph_planner_end(&p->planner);
    if (p->ready && p->kind == RF_PROBLEM_CHAIN)
        rf_chain_front_end(&p->front);
}

void rf_problem_destroy(rf_problem *p)
{
    if (!p)
        return;
    rf_context *ctx = p->ctx;
    problem_end_solvers(p);
    rf_plan_free(ctx, p->nodes.v, p->nodes.capacity * sizeof *p->nodes.v);
    rf_plan_free(ctx, p->inputs.v, p->inputs.capacity * sizeof *p->inputs.v);
    rf_plan_free(ctx, p->stages.v, p->stages.capacity * sizeof *p->stages.v);
    rf_plan_free(ctx, p->options.v, p->options.capacity * sizeof *p->options.v);
    rf_plan_free(ctx, p->letters.v, p->letters.capacity);
    rf_plan_free(ctx, p->names.v, p->names.capacity * sizeof *p->names.v);
    rf_plan_free(ctx, p, sizeof *p);
}

/* ---- what it is ---- */

rf_problem_kind rf_problem_kind_of(const rf_problem *p)
{
    return p->kind;
}

size_t rf_problem_num(const rf_problem *p)
{
    return p->names.num;
}

const char *rf_problem_name(const rf_problem *p, size_t index)
{
    return index < p->names.num ? p->letters.v + p->names.v[index] : "";
}

/* ---- solving ---- */

rf_status rf_problem_solver_failed(rf_problem *p, rf_status status)
{
    if (status == RF_E_MEMORY)
        return rf_fail(p->ctx, status, "no memory to plan %zu %s", rf_problem_num(p),
                       p->kind == RF_PROBLEM_GRAPH ? "nodes" : "stages");
    return rf_fail(p->ctx, status, "planning went wrong inside: %s", rf_status_text(status));
}

static rf_status problem_options(rf_problem *p, const rf_problem_options *opts,
                                 rf_problem_options *o)
{
    static const rf_problem_options defaults = RF_PROBLEM_OPTIONS_INIT;
    *o = opts ? *opts : defaults;
    if (o->size != sizeof *o)
        return rf_fail(p->ctx, RF_E_ARGUMENT, "problem: options of another size");
    if (!(o->seconds >= 0 && o->seconds <= 1e9))
        return rf_fail(p->ctx, RF_E_ARGUMENT, "problem: seconds must be from 0 to 1e9");
    if (o->seconds == 0)
        o->seconds = 10;
    p->answered = 0;
    return RF_OK;
}

rf_status rf_problem_solve(rf_problem *p, uint64_t budget, const rf_problem_options *opts)
{
    rf_problem_options o;
    rf_status status = problem_options(p, opts, &o);
    if (status)
        return status;
    status = p->kind == RF_PROBLEM_GRAPH ? rf_problem_solve_graph(p, budget, &o)
                                         : rf_problem_solve_chain(p, budget);
    p->answer.asked = 1;
    p->answer.budget = budget;
    p->answered = !status;
    return status;
}

rf_status rf_problem_survey(rf_problem *p, const rf_problem_options *opts)
{
    rf_problem_options o;
    rf_status status = problem_options(p, opts, &o);
    if (status)
        return status;
    status =
        p->kind == RF_PROBLEM_GRAPH ? rf_problem_survey_graph(p, &o) : rf_problem_survey_chain(p);
    p->answer.asked = 0;
    p->answer.budget = 0;
    p->answer.feasible = 0;
    p->answer.num_steps = p->answer.num_runs = 0;
    p->answered = !status;
    return status;
}

rf_problem_answer rf_problem_answer_of(const rf_problem *p)
{
    static const rf_problem_answer none;
    return p->answered ? p->answer : none;
}

size_t rf_problem_num_points(const rf_problem *p)
{
    if (!p->ready)
        return 0;
    return p->kind == RF_PROBLEM_GRAPH ? p->planner.front.num : p->front.num;
}

rf_problem_point rf_problem_point_at(const rf_problem *p, size_t index)
{
    if (index >= rf_problem_num_points(p))
        return (rf_problem_point){0, 0};
    if (p->kind == RF_PROBLEM_GRAPH)
        return (rf_problem_point){p->planner.front.v[index].peak, p->planner.front.v[index].cost};
    return (rf_problem_point){p->front.points[index].peak, p->front.points[index].time};
}
