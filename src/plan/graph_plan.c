/* graph_plan.c: see graph_plan.h. Every plan goes through the front, which simulates it; what is
 * answered is always taken from there. */
#include "plan/graph_plan.h"
#include "plan/graph_anneal.h"
#include "plan/graph_greedy.h"
#include "plan/graph_window.h"

#include <math.h>
#include <string.h>

enum {
    GRAPH_PLAN_STATES = 1 << 20,
    GRAPH_PLAN_MOVES = 1 << 19,
    GRAPH_PLAN_SURVEY = 16,
    GRAPH_PLAN_STRIDE = 4
};

/* ---- what does not depend on the budget ---- */

static rf_status graph_plan_plain(rf_graph_planner *p)
{
    rf_graph_front *f = &p->front;
    rf_graph_sequence s = {0};
    rf_status status = rf_graph_sequence_reserve(f->a, &s, f->g->num_nodes + 1);
    for (; !status && s.num < f->g->num_nodes; s.num++)
        s.v[s.num] = (uint32_t)s.num;
    if (!status)
        status = rf_graph_front_add(f, s.v, s.num);
    rf_graph_sequence_end(f->a, &s);
    if (!status) {
        p->plain_cost = f->v[0].cost;
        p->plain_peak = f->v[0].peak;
    }
    return status;
}

rf_status rf_graph_planner_begin(rf_graph_planner *p, const rf_allocator *a, const rf_graph *g,
                                 const char **why)
{
    *p = (rf_graph_planner){0};
    rf_graph_front_begin(&p->front, a, g);
    rf_status status = rf_graph_check(g, why);
    if (status)
        return status;
    p->goals = rf_allocator_get(a, g->num_nodes + 1);
    if (!p->goals)
        return RF_E_MEMORY;
    rf_graph_goals(g, p->goals);
    status = rf_graph_footprint_find(a, g, &p->least);
    if (!status)
        status = graph_plan_plain(p);
    if (status)
        rf_graph_planner_end(p);
    return status;
}

void rf_graph_planner_end(rf_graph_planner *p)
{
    rf_allocator_put(p->front.a, p->goals, p->front.g->num_nodes + 1);
    rf_graph_front_end(&p->front);
    p->goals = NULL;
}

/* ---- small graphs ---- */

/* Whether every sum of bytes is exact as a double, which exact search asks for. */
static int graph_plan_has_exact_bytes(const rf_graph *g)
{
    uint64_t sum = 0;
    for (size_t id = 0; id < g->num_nodes; id++)
        sum += g->nodes[id].bytes + g->nodes[id].workspace;
    return sum <= (uint64_t)1 << 53;
}

static rf_status graph_plan_exact(rf_graph_planner *p, uint64_t budget, size_t states,
                                  rf_graph_answer *out)
{
    rf_graph_front *f = &p->front;
    rf_graph_small small;
    rf_graph_sequence s = {0};
    rf_graph_exact exact = {0};
    rf_status status = RF_OK;
    rf_graph_small_from(&small, f->g);
    if (!p->least_found) {
        status = rf_graph_exact_peak(f->a, &small, states, &s, &exact);
        p->least_found = exact.proved;
        if (!status && exact.found)
            status = rf_graph_front_add(f, s.v, s.num);
    }
    s.num = 0;
    exact.found = 0;
    if (!status)
        status = rf_graph_exact_cost(f->a, &small, budget, states, &s, &exact);
    out->exact = exact.proved;
    if (!status && exact.found)
        status = rf_graph_front_add(f, s.v, s.num);
    rf_graph_sequence_end(f->a, &s);
    return status;
}

/* ---- large graphs ---- */

typedef struct graph_plan_search {
    rf_graph_planner *p;
    rf_graph_track track;
    rf_graph_greedy greedy;
    rf_graph_best best;
    rf_graph_limit limit; /* of the whole call */
    double begin;         /* what the clock showed at its begin */
    double price;         /* what greedy search paid for a byte less over the budget; 0: nothing */
} graph_plan_search;

static size_t graph_plan_room(const rf_graph *g)
{
    return g->num_nodes < 512 ? 8 * g->num_nodes + 64 : 2 * g->num_nodes + 3136;
}

static rf_status graph_plan_search_begin(graph_plan_search *s, rf_graph_planner *p)
{
    const rf_allocator *a = p->front.a;
    *s = (graph_plan_search){.p = p};
    rf_status status =
        rf_graph_track_begin(&s->track, a, p->front.g, p->goals, graph_plan_room(p->front.g));
    if (!status)
        status = rf_graph_greedy_begin(&s->greedy, &s->track);
    if (!status && !(s->best.v = rf_allocator_get(a, s->track.room * sizeof *s->best.v)))
        status = RF_E_MEMORY;
    return status;
}

static void graph_plan_search_end(graph_plan_search *s)
{
    const rf_allocator *a = s->p->front.a;
    rf_allocator_put(a, s->best.v, s->track.room * sizeof *s->best.v);
    if (s->greedy.t)
        rf_graph_greedy_end(&s->greedy);
    rf_graph_track_end(&s->track);
}

static rf_status graph_plan_keep(graph_plan_search *s)
{
    return rf_graph_front_add(&s->p->front, s->track.node, s->track.num);
}

/* Set the track to the plan of the front that is best for a budget, else to that of least peak. */
static void graph_plan_start(graph_plan_search *s, uint64_t budget)
{
    const rf_graph_front *f = &s->p->front;
    const rf_graph_point *point = rf_graph_front_find(f, budget);
    rf_graph_track_set(&s->track, point ? &point->sequence : &f->v[0].sequence, budget);
}

/* Plans of smaller and smaller peak: each budget goes on from where the one before it stopped. */
static rf_status graph_plan_survey(graph_plan_search *s)
{
    rf_graph_planner *p = s->p;
    rf_status status = RF_OK;
    uint64_t step = (p->plain_peak - p->least.bytes) / GRAPH_PLAN_SURVEY;
    graph_plan_start(s, UINT64_MAX);
    for (int i = GRAPH_PLAN_SURVEY; i-- > 0 && !status && !p->surveyed;) {
        rf_graph_sequence now = {s->track.node, s->track.num, s->track.room};
        rf_graph_track_set(&s->track, &now, p->least.bytes + step * (uint64_t)i);
        p->surveyed = !rf_graph_greedy_run(&s->greedy);
        status = graph_plan_keep(s);
    }
    p->surveyed = 1;
    return status;
}

/* What is left of the limit, in milliseconds; at most zero if nothing is. */
static double graph_plan_left(const graph_plan_search *s)
{
    const rf_graph_limit *limit = &s->limit;
    return limit->clock ? s->begin + limit->milliseconds - limit->clock(limit->payload) : INFINITY;
}

/* Make every part of the track's plan as cheap as it can be by itself, in an eighth of the time. */
static rf_status graph_plan_polish(graph_plan_search *s)
{
    rf_graph_track *t = &s->track;
    rf_status status = RF_OK;
    double until = graph_plan_left(s) * 0.875;
    int better;
    if (!graph_plan_has_exact_bytes(t->g))
        return RF_OK;
    for (size_t from = 0; from < t->num && !status && graph_plan_left(s) >= until;
         from += GRAPH_PLAN_STRIDE)
        status = rf_graph_window_solve(t, from, &better);
    return status;
}

static rf_status graph_plan_first(graph_plan_search *s, uint64_t budget)
{
    rf_graph_sequence now = {s->track.node, 0, s->track.room};
    for (; now.num < s->p->front.g->num_nodes; now.num++)
        now.v[now.num] = (uint32_t)now.num;
    rf_graph_track_set(&s->track, &now, budget);
    double cost = s->track.cost, over = s->track.over[0];
    rf_graph_greedy_run(&s->greedy);
    if (s->track.over[0] < over)
        s->price = (s->track.cost - cost) / (over - s->track.over[0]);
    return graph_plan_keep(s);
}

/* Annealing that begins hot again from the best plan so far finds more than one of the same length;
 * the first round is cooler, which helps where moves are few. Measured on the graphs of the bench.
 */
static const double graph_plan_heats[] = {0.1, 0.3, 0.3, 0.3, 0.3, 0.3};
enum { GRAPH_PLAN_ROUNDS = sizeof graph_plan_heats / sizeof *graph_plan_heats };

static rf_status graph_plan_rounds(graph_plan_search *s, uint64_t budget, uint64_t seed)
{
    rf_graph_sequence best = {s->best.v, 0, s->track.room};
    s->best.over = INFINITY;
    graph_plan_start(s, budget);
    rf_status status = graph_plan_polish(s);
    double left;
    for (int i = 0; i < GRAPH_PLAN_ROUNDS && !status && (left = graph_plan_left(s)) > 0; i++) {
        rf_graph_round round = {seed + (uint64_t)i, graph_plan_heats[i], s->price, s->limit};
        round.limit.moves = s->limit.moves / GRAPH_PLAN_ROUNDS + 1;
        round.limit.milliseconds = left / (GRAPH_PLAN_ROUNDS - i);
        rf_graph_anneal(&s->track, &round, &s->best);
        best.num = s->best.num;
        rf_graph_track_set(&s->track, &best, budget);
        status = graph_plan_polish(s);
    }
    return status ? status : graph_plan_keep(s);
}

static rf_status graph_plan_search_run(graph_plan_search *s, uint64_t budget, uint64_t seed)
{
    const rf_graph_planner *p = s->p;
    int open = budget < p->plain_peak && budget >= p->least.bytes;
    rf_status status = open ? graph_plan_first(s, budget) : RF_OK;
    if (!status && !p->surveyed && graph_plan_left(s) > 0)
        status = graph_plan_survey(s);
    if (status || !open)
        return status;
    return graph_plan_rounds(s, budget, seed);
}

static rf_graph_limit graph_plan_limit(const rf_graph_options *o)
{
    int timed = o->clock && o->milliseconds > 0;
    rf_graph_limit limit = {.moves = o->moves ? o->moves : timed ? UINT64_MAX : GRAPH_PLAN_MOVES};
    if (timed) {
        limit.clock = o->clock;
        limit.payload = o->clock_payload;
        limit.milliseconds = o->milliseconds;
    }
    return limit;
}

static rf_status graph_plan_heuristic(rf_graph_planner *p, uint64_t budget,
                                      const rf_graph_options *o, double begin)
{
    graph_plan_search s;
    rf_status status = graph_plan_search_begin(&s, p);
    s.limit = graph_plan_limit(o);
    s.begin = begin;
    if (!status)
        status = graph_plan_search_run(&s, budget, o->seed);
    graph_plan_search_end(&s);
    return status;
}

/* ---- the answer ---- */

static rf_status graph_plan_find(rf_graph_planner *p, uint64_t budget, const rf_graph_options *o,
                                 rf_graph_answer *out)
{
    double begin = o->clock ? o->clock(o->clock_payload) : 0;
    size_t states = o->exact_states ? o->exact_states : GRAPH_PLAN_STATES;
    rf_status status = RF_OK;
    if (p->front.g->num_nodes <= RF_GRAPH_SMALL && graph_plan_has_exact_bytes(p->front.g) &&
        !o->no_exact)
        status = graph_plan_exact(p, budget, states, out);
    if (!status && !out->exact)
        status = graph_plan_heuristic(p, budget, o, begin);
    if (budget >= p->plain_peak || budget < p->least.bytes)
        out->exact = 1; /* nothing is cheaper than everything once; nothing fits */
    return status;
}

static rf_status graph_plan_write(const rf_graph_planner *p, uint64_t budget, rf_graph_answer *out)
{
    const rf_graph_point *point = rf_graph_front_find(&p->front, budget);
    out->plain_cost = p->plain_cost;
    out->plain_peak = p->plain_peak;
    out->lower_bound = p->least.bytes;
    out->binds = p->least.node;
    out->smallest_budget = p->front.v[0].peak;
    out->smallest_exact = p->least_found || out->smallest_budget == p->least.bytes;
    out->cost_bound = out->exact ? INFINITY : p->plain_cost;
    if (!point)
        return RF_OK;
    out->feasible = 1;
    out->cost = point->cost;
    out->peak = point->peak;
    if (out->exact)
        out->cost_bound = out->cost;
    return rf_graph_sequence_steps(p->front.a, p->front.g, &point->sequence, &out->steps);
}

rf_status rf_graph_planner_answer(rf_graph_planner *p, uint64_t budget,
                                  const rf_graph_options *opts, rf_graph_answer *out)
{
    rf_graph_options o = {0};
    if (opts)
        memcpy(&o, opts, opts->size < sizeof o ? opts->size : sizeof o);
    *out = (rf_graph_answer){0};
    rf_status status = graph_plan_find(p, budget, &o, out);
    if (!status)
        status = graph_plan_write(p, budget, out);
    return status;
}

void rf_graph_answer_end(const rf_allocator *a, rf_graph_answer *out)
{
    rf_graph_steps_end(a, &out->steps);
}
