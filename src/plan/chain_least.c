/* chain_least.c: the least memory that a chain can be trained in, to the byte.
 *
 * The recurrence once more, with max in place of plus: of a sub-chain
 *   least(s,t) = min over its choices of max(need, held + least(rest), least(own))
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
    size_t s, t;
    least_answer best;
    rf_chain_choice choice; /* that gives it */
} least_search;

static least_answer least_of(const least_solver *x, size_t s, size_t t)
{
    return s > t ? (least_answer){0, 0} : x->answers[rf_chain_cells_find(x->cells, s, t)];
}

static int least_visit(void *payload, const rf_chain_choice *c)
{
    least_search *x = payload;
    least_answer rest = least_of(x->solver, c->last + 1, x->t), own = {0, 0};
    if (c->kind == RF_CHAIN_REGION)
        own = least_of(x->solver, x->s, c->last);
    uint64_t peak = rf_chain_max(rf_chain_max(c->need, own.peak), c->held + rest.peak);
    double time = c->time + rest.time + own.time;
    if (peak < x->best.peak || (peak == x->best.peak && time < x->best.time)) {
        x->best = (least_answer){peak, time};
        x->choice = *c;
    }
    return c->kind == RF_CHAIN_REGION && c->need > x->best.peak;
}

static least_search least_search_cell(const least_solver *solver, size_t s, size_t t)
{
    least_search x = {.solver = solver, .s = s, .t = t, .best = {UINT64_MAX, DBL_MAX}};
    rf_chain_each(solver->cells->chain, &(rf_chain_list){(uint32_t)s, (uint32_t)t, 0, 0}, 0,
                  least_visit, &x);
    return x;
}

static void least_choose(const void *payload, const rf_chain_list *list, rf_chain_first *out)
{
    out->choice = least_search_cell(payload, list->s, list->t).choice;
    out->rest = (rf_chain_list){out->choice.last + 1, list->t, 0, 0};
    out->own = (rf_chain_list){list->s, out->choice.last, 0, 0};
}

rf_status rf_chain_least(rf_chain_nodes *out, uint64_t *peak, const rf_allocator *alloc,
                         const rf_chain_cells *cells)
{
    size_t n = cells->chain->num_stages, bytes = cells->num * sizeof(least_answer);
    least_solver x = {cells, rf_allocator_get(alloc, bytes)};
    if (!x.answers)
        return RF_E_MEMORY;
    for (size_t i = 0; i < cells->num; i++)
        x.answers[i] = least_search_cell(&x, cells->v[i].first, cells->v[i].last).best;
    *peak = least_of(&x, 0, n - 1).peak;
    rf_chain_tracer tracer = {alloc, n, least_choose, &x};
    rf_status status = rf_chain_trace(out, &tracer, (rf_chain_list){0, (uint32_t)n - 1, 0, 0});
    rf_allocator_put(alloc, x.answers, bytes);
    return status;
}
