/* chain_bytes.c: the recurrence to the byte, for short chains.
 *
 * Levels round, and right at the smallest budget that can cost much: the only plan that fits to the
 * byte may be one that no level tells from others. Here a list is solved for exactly the bytes that
 * it has, from the whole chain downwards, and remembered. Few lists are met: one that has room for
 * everything needs no search, and a choice that cannot be faster than the best so far none either.
 */
#include "plan/chain_parts.h"

#include <math.h>
#include <string.h>

enum { BYTES_STAGES = 16, BYTES_SLOTS = 1 << 16, BYTES_CHOICES = 1 << 20 };

typedef struct bytes_answer {
    rf_chain_list list;
    double time; /* infinite: it cannot be done */
    int used;
} bytes_answer;

typedef struct bytes_solver {
    const rf_chain *chain;
    const rf_chain_windows *windows;
    bytes_answer *answers; /* by hash; BYTES_SLOTS of them, at most half of them used */
    size_t num, choices, most_choices;
    double fastest[BYTES_STAGES + 1]; /* time of all stages before, by their fastest options */
} bytes_solver;

typedef struct bytes_search {
    bytes_solver *solver;
    const rf_chain_list *list;
    double best;
    rf_chain_choice choice;
} bytes_search;

static double bytes_solve(bytes_solver *x, const rf_chain_list *list);

static int bytes_gave_up(const bytes_solver *x)
{
    return x->choices > x->most_choices;
}

/* ---- bounds ---- */

/* No list is faster. */
static double bytes_least_time(const bytes_solver *x, const rf_chain_list *list)
{
    if (rf_chain_list_empty(list))
        return 0;
    double sum = x->fastest[list->t + !list->late] - x->fastest[list->s];
    if (list->late)
        sum += rf_chain_option_of(x->chain, list->t, list->late - 1)->backward;
    return sum;
}

/* Whether all of a list's stages, kept by their fastest options, have room. */
static int bytes_roomy(const bytes_solver *x, const rf_chain_list *list)
{
    uint64_t kept = 0, need = 0;
    if (list->late)
        return 0;
    uint64_t last = rf_chain_gradient(x->chain, list->t + 1);
    uint64_t left = rf_chain_left(x->chain, list->s, list->t);
    for (size_t i = list->s; i <= list->t; i++) {
        const rf_chain_option *o = rf_chain_option_of(x->chain, i, rf_chain_fastest(x->chain, i));
        need = rf_chain_max(need, kept + last + o->saved + o->forward_workspace);
        left -= left ? x->chain->stages[i].left : 0;
        need = rf_chain_max(need, kept + left + rf_chain_need_backward(x->chain, i, o));
        kept += o->saved;
    }
    return need <= list->memory;
}

static uint64_t bytes_need_last(const bytes_solver *x, const rf_chain_list *list)
{
    const rf_chain_option *o = rf_chain_option_of(x->chain, list->t, list->late - 1);
    return rf_chain_need_backward(x->chain, list->t, o) - o->saved;
}

/* ---- solving ---- */

/* The slot of a list: its answer's, or an empty one. */
static bytes_answer *bytes_slot(const bytes_solver *x, const rf_chain_list *list)
{
    uint64_t hash = list->memory;
    hash = (hash ^
            ((uint64_t)list->s << 48 | (uint64_t)list->t << 32 | list->late << 16 | list->loan)) *
           0x9E3779B97F4A7C15u;
    size_t at = (hash ^ hash >> 32) & (BYTES_SLOTS - 1);
    while (x->answers[at].used && memcmp(&x->answers[at].list, list, sizeof *list) != 0)
        at = (at + 1) & (BYTES_SLOTS - 1);
    return &x->answers[at];
}

/* 0: they are too few. */
static int bytes_share(const bytes_search *x, rf_chain_choice *c)
{
    uint64_t waiting = 0;
    if (x->list->late)
        waiting = rf_chain_option_of(x->solver->chain, x->list->t, x->list->late - 1)->saved;
    c->rest.memory = x->list->memory - c->held;
    if (c->own_held > x->list->memory + waiting)
        return 0;
    c->own.memory = x->list->memory + waiting - c->own_held;
    return 1;
}

static int bytes_visit(void *payload, const rf_chain_choice *choice)
{
    bytes_search *x = payload;
    rf_chain_choice c = *choice;
    double least = bytes_least_time(x->solver, &c.rest) + bytes_least_time(x->solver, &c.own);
    x->solver->choices++;
    if (bytes_gave_up(x->solver) || c.need > x->list->memory)
        return 1;
    if (c.held > x->list->memory || c.time + least >= x->best || !bytes_share(x, &c))
        return 0;
    double time = c.time + bytes_solve(x->solver, &c.rest);
    if (time < x->best)
        time += bytes_solve(x->solver, &c.own);
    if (time < x->best) {
        x->best = time;
        x->choice = c;
    }
    return 0;
}

static bytes_search bytes_search_list(bytes_solver *x, const rf_chain_list *list)
{
    bytes_search search = {.solver = x, .list = list, .best = INFINITY};
    rf_chain_each(x->chain, list, x->windows, bytes_visit, &search);
    return search;
}

static double bytes_solve(bytes_solver *x, const rf_chain_list *list)
{
    if (rf_chain_list_empty(list))
        return 0;
    if (rf_chain_list_last(list))
        return bytes_need_last(x, list) <= list->memory ? bytes_least_time(x, list) : INFINITY;
    if (bytes_roomy(x, list))
        return bytes_least_time(x, list);
    bytes_answer *answer = bytes_slot(x, list);
    if (answer->used)
        return answer->time;
    double time = bytes_search_list(x, list).best;
    if (x->num < BYTES_SLOTS / 2) {
        *bytes_slot(x, list) = (bytes_answer){*list, time, 1}; /* others have come meanwhile */
        x->num++;
    }
    return time;
}

/* ---- the plan ---- */

static void bytes_choose(const void *payload, const rf_chain_list *list, rf_chain_choice *out)
{
    bytes_solver *const *x = payload;
    *out = bytes_search_list(*x, list).choice;
}

static rf_status bytes_run(bytes_solver *x, const rf_allocator *alloc, uint64_t bytes,
                           rf_chain_plan *out)
{
    size_t n = x->chain->num_stages;
    rf_chain_tracer tracer = {alloc, n, rf_chain_windows_any(x->windows), bytes_choose, &x};
    rf_chain_list whole = {.t = (uint32_t)n - 1, .memory = bytes};
    double time = bytes_solve(x, &whole);
    if (bytes_gave_up(x))
        return RF_E_UNSUPPORTED;
    if (isinf(time))
        return RF_E_BUDGET;
    x->most_choices = SIZE_MAX; /* what is looked at again is known */
    return rf_chain_trace(out, &tracer, bytes);
}

rf_status rf_chain_bytes(rf_chain_plan *out, const rf_allocator *alloc, const rf_chain *chain,
                         const rf_chain_windows *windows, uint64_t bytes)
{
    size_t size = BYTES_SLOTS * sizeof(bytes_answer);
    bytes_solver x = {.chain = chain, .windows = windows, .most_choices = BYTES_CHOICES};
    if (chain->num_stages > BYTES_STAGES)
        return RF_E_UNSUPPORTED;
    for (size_t i = 0; i < chain->num_stages; i++) {
        const rf_chain_option *o = rf_chain_option_of(chain, i, rf_chain_fastest(chain, i));
        x.fastest[i + 1] = x.fastest[i] + o->forward + o->backward;
    }
    x.answers = rf_allocator_get(alloc, size);
    if (!x.answers)
        return RF_E_MEMORY;
    memset(x.answers, 0, size);
    rf_status status = bytes_run(&x, alloc, bytes, out);
    rf_allocator_put(alloc, x.answers, size);
    return status;
}
