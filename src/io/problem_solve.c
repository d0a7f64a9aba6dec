/* problem_solve.c: a problem's questions, put to the solvers of graphs and of chains.
 *
 * The smallest budget that is reported must work when it is asked for in another process. In a
 * graph that is not for an annealing by the clock to say: so it comes from a search of its own,
 * with a fixed number of moves and a fixed seed, which is done before any other; and what it found
 * is known to every search.
 */
#include "io/problem.h"
#include "base/clock.h"

enum {
    SOLVE_CURVE = 8,
    SOLVE_LEAST_NODES = 512,
    SOLVE_SURVEY_NODES = 2048,
    SOLVE_LEAST_MOVES = 20000,
    SOLVE_LEAST_STATES = 1 << 17,
    SOLVE_STATES_LEAST = 1 << 14,
    SOLVE_STATES_MOST = 1 << 20
};
#define SOLVE_STATES_RATE 1e5 /* that exact search looks at in a second, at least */

/* ---- graphs ---- */

static double solve_clock(void *payload)
{
    (void)payload;
    return 1e3 * rf_seconds();
}

/* A clock that has always run out. */
static double solve_no_time(void *payload)
{
    double *calls = payload;
    return *calls += 2;
}

/* In a large graph, only cuts for the smallest budget that there could be. */
static rf_status solve_least_cuts(rf_graph_planner *planner)
{
    double calls = 0;
    rf_graph_options opts = {.size = sizeof opts, .milliseconds = 1, .clock = solve_no_time};
    rf_graph_answer answer = {0};
    opts.clock_payload = &calls;
    planner->surveyed = 1;
    rf_status status = rf_graph_planner_answer(planner, planner->least.bytes, &opts, &answer);
    rf_graph_answer_end(planner->front.a, &answer);
    return status;
}

/* Exact search and annealing where the graph is small enough, cuts for smaller and smaller budgets
 * where it is not too large. */
static rf_status solve_least_look(rf_graph_planner *planner)
{
    const rf_graph *g = planner->front.g;
    rf_graph_options opts = {.size = sizeof opts, .seed = 1};
    rf_graph_answer answer = {0};
    rf_status status = RF_OK;
    if (g->num_nodes > SOLVE_SURVEY_NODES)
        return solve_least_cuts(planner);
    opts.moves = SOLVE_LEAST_MOVES;
    opts.exact_states = SOLVE_LEAST_STATES;
    if (g->num_nodes <= SOLVE_LEAST_NODES)
        status = rf_graph_planner_answer(planner, planner->least.bytes, &opts, &answer);
    rf_graph_answer_end(planner->front.a, &answer);
    if (status || planner->least_found || planner->surveyed)
        return status;
    opts.no_exact = 1;
    status = rf_graph_planner_answer(planner, UINT64_MAX, &opts, &answer);
    rf_graph_answer_end(planner->front.a, &answer);
    return status;
}

/* What is always found, into the front: the plan of smallest peak, and others on the way there. */
static rf_status solve_least(rf_problem *p)
{
    const rf_allocator *alloc = &p->ctx->alloc;
    rf_graph_planner planner;
    const char *why;
    rf_status status = rf_graph_planner_begin(&planner, alloc, &p->graph, &why);
    if (status)
        return status;
    status = solve_least_look(&planner);
    for (size_t i = 0; i < planner.front.num && !status; i++) {
        const rf_graph_sequence *found = &planner.front.v[i].sequence;
        status = rf_graph_front_add(&p->planner.front, found->v, found->num);
    }
    if (!status) {
        p->planner.surveyed = 1;
        p->planner.least_found = planner.least_found;
        p->answer.smallest_budget = planner.front.v[0].peak;
    }
    rf_graph_planner_end(&planner);
    return status;
}

static rf_status solve_graph_begin(rf_problem *p)
{
    const char *why;
    if (p->ready)
        return RF_OK;
    rf_status status = rf_graph_planner_begin(&p->planner, &p->ctx->alloc, &p->graph, &why);
    if (status)
        return status;
    status = solve_least(p);
    if (status)
        rf_graph_planner_end(&p->planner);
    p->ready = !status;
    return status;
}

/* What an answer tells beside its steps. smallest_budget stays what solve_least found, unless the
 * smallest of all is proved, or this very plan needs less. */
static void solve_graph_answer(rf_problem *p, const rf_graph_answer *found)
{
    rf_problem_answer *a = &p->answer;
    uint64_t smallest = a->smallest_budget;
    if (p->planner.least_found)
        smallest = p->planner.front.v[0].peak;
    if (found->feasible && found->peak < smallest)
        smallest = found->peak;
    *a = (rf_problem_answer){.feasible = found->feasible,
                             .exact = found->exact,
                             .cost = found->cost,
                             .peak = found->peak,
                             .cost_bound = found->feasible ? found->cost_bound : 0,
                             .plain_cost = found->plain_cost,
                             .plain_peak = found->plain_peak,
                             .smallest_budget = smallest,
                             .lower_bound = found->lower_bound,
                             .binds = found->binds,
                             .num_steps = found->steps.num};
    a->smallest_exact = p->planner.least_found || smallest == found->lower_bound;
    for (size_t i = 0; i < found->steps.num; i++)
        a->num_runs += !found->steps.v[i].drop;
}

static rf_status solve_graph(rf_problem *p, uint64_t budget, const rf_problem_options *o)
{
    const rf_allocator *alloc = &p->ctx->alloc;
    rf_graph_options opts = {.size = sizeof opts, .seed = o->seed, .clock = solve_clock};
    double states = SOLVE_STATES_RATE * o->seconds;
    opts.milliseconds = 1e3 * o->seconds;
    opts.exact_states = states < SOLVE_STATES_LEAST  ? SOLVE_STATES_LEAST
                        : states > SOLVE_STATES_MOST ? SOLVE_STATES_MOST
                                                     : (size_t)states;
    rf_graph_answer_end(alloc, &p->graph_answer);
    p->graph_answer = (rf_graph_answer){0};
    rf_status status = solve_graph_begin(p);
    if (!status)
        status = rf_graph_planner_answer(&p->planner, budget, &opts, &p->graph_answer);
    if (!status)
        solve_graph_answer(p, &p->graph_answer);
    return status;
}

rf_status rf_problem_solve_graph(rf_problem *p, uint64_t budget, const rf_problem_options *o)
{
    rf_status status = solve_graph(p, budget, o);
    return status ? rf_problem_solver_failed(p, status) : RF_OK;
}

rf_status rf_problem_survey_graph(rf_problem *p, const rf_problem_options *opts)
{
    rf_problem_options o = *opts;
    rf_status status = solve_graph_begin(p);
    uint64_t least = p->answer.smallest_budget;
    o.seconds /= SOLVE_CURVE;
    for (uint64_t i = 1; i <= SOLVE_CURVE && !status; i++) {
        uint64_t plain = p->planner.plain_peak;
        uint64_t below = (plain > least ? plain - least : 0) * (i - 1) / SOLVE_CURVE;
        status = solve_graph(p, plain - below, &o);
    }
    if (!status)
        status = solve_graph(p, least, &o);
    return status ? rf_problem_solver_failed(p, status) : RF_OK;
}

/* ---- chains ---- */

static rf_status solve_chain_begin(rf_problem *p)
{
    rf_chain_front_options opts = {.size = sizeof opts, .free = 1};
    opts.threads = rf_context_threads(p->ctx);
    if (p->ready)
        return RF_OK;
    rf_status status = rf_chain_front_begin(&p->front, &p->ctx->alloc, &p->chain, &opts);
    p->ready = !status;
    return status;
}

static void solve_chain_answer(rf_problem *p)
{
    const rf_chain_front *f = &p->front;
    p->answer = (rf_problem_answer){.plain_cost = f->plain.time,
                                    .plain_peak = f->plain.peak,
                                    .cost_bound = f->points[f->num - 1].time,
                                    .smallest_budget = f->points[0].peak,
                                    .smallest_exact = f->points[0].peak == f->lower_bound,
                                    .lower_bound = f->lower_bound,
                                    .binds = f->lower_stage};
}

static rf_status solve_chain_steps(rf_problem *p, const rf_chain_point *point)
{
    rf_problem_answer *a = &p->answer;
    a->feasible = 1;
    a->cost = point->time;
    a->peak = point->peak;
    a->exact = point->time <= a->cost_bound;
    rf_status status = rf_chain_front_steps(&p->front, point, &p->chain_steps);
    a->num_steps = a->num_runs = p->chain_steps.num;
    return status;
}

rf_status rf_problem_solve_chain(rf_problem *p, uint64_t budget)
{
    p->chain_steps.num = 0;
    rf_status status = solve_chain_begin(p);
    if (!status && budget >= p->front.points[0].peak)
        status = rf_chain_front_refine(&p->front, budget);
    if (status)
        return rf_problem_solver_failed(p, status);
    solve_chain_answer(p);
    const rf_chain_point *point = rf_chain_front_find(&p->front, budget);
    if (point)
        status = solve_chain_steps(p, point);
    else
        p->answer.exact = budget < p->front.lower_bound;
    return status ? rf_problem_solver_failed(p, status) : RF_OK;
}

rf_status rf_problem_survey_chain(rf_problem *p)
{
    rf_status status = solve_chain_begin(p);
    if (status)
        return rf_problem_solver_failed(p, status);
    solve_chain_answer(p);
    return RF_OK;
}
