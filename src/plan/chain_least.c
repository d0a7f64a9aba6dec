/* chain_least.c: the least memory that a chain can be trained in, to the byte.
 *
 * The recurrence once more, with max in place of plus: of a sub-chain
 *   least(s,t) = min over its choices of max(need, held + least(rest), own_held + least(own))
 * in bytes, without levels. Of plans with the same peak the faster one is taken, as far as that
 * can be seen from here: a faster one may exist, which a table finds.
 */
#include "plan/chain_parts.h"

#include <float.h>

typedef struct least_answer {
    uint64_t peak;
    double time;
} least_answer;

typedef struct least_solver {
    const rf_chain_cells *cells;
    least_answer *answers; /* of each cell */
} least_solver;

typedef struct least_search {
    const least_solver *solver;
    least_answer best;
    rf_chain_choice choice; /* that gives it */
} least_search;

static least_answer least_of(const least_solver *x, const rf_chain_list *list)
{
    if (rf_chain_list_empty(list))
        return (least_answer){0, 0};
    return x->answers[rf_chain_cells_find(x->cells, list->s, list->t)];
}

static int least_visit(void *payload, const rf_chain_choice *c)
{
    least_search *x = payload;
    least_answer rest = least_of(x->solver, &c->rest), own = least_of(x->solver, &c->own);
    uint64_t later = own.peak + (rf_chain_list_empty(&c->own) ? 0 : c->own_held);
    uint64_t peak = rf_chain_max(rf_chain_max(c->need, later), c->held + rest.peak);
    double time = c->time + rest.time + own.time;
    if (peak < x->best.peak || (peak == x->best.peak && time < x->best.time)) {
        x->best = (least_answer){peak, time};
        x->choice = *c;
    }
    return c->need > x->best.peak;
}

static least_search least_search_list(const least_solver *solver, const rf_chain_list *list)
{
    static const rf_chain_windows none;
    least_search x = {.solver = solver, .best = {UINT64_MAX, DBL_MAX}};
    rf_chain_each(solver->cells->chain, list, &none, least_visit, &x);
    return x;
}

static void least_choose(const void *payload, const rf_chain_list *list, rf_chain_choice *out)
{
    *out = least_search_list(payload, list).choice;
}

rf_status rf_chain_least(rf_chain_plan *out, const rf_allocator *alloc, const rf_chain_cells *cells)
{
    size_t bytes = cells->num * sizeof(least_answer);
    least_solver x = {cells, rf_allocator_get(alloc, bytes)};
    if (!x.answers)
        return RF_E_MEMORY;
    for (size_t i = 0; i < cells->num; i++) {
        rf_chain_list list = {.s = cells->v[i].first, .t = cells->v[i].last};
        x.answers[i] = least_search_list(&x, &list).best;
    }
    rf_chain_tracer tracer = {alloc, cells->chain->num_stages, 0, least_choose, &x};
    rf_status status = rf_chain_trace(out, &tracer, 0);
    rf_allocator_put(alloc, x.answers, bytes);
    return status;
}
