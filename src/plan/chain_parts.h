/* chain_parts.h: what the files of the chain solver share.
 *
 * Stages are s .. t, both included. A cell is a sub-chain: its stages, and the gradient of its
 * input. Its own input is stored and counted by whoever asks, and so is what the stages behind it
 * left; the gradient of its output is there and counted in it.
 */
#ifndef RF_PLAN_CHAIN_PARTS_H
#define RF_PLAN_CHAIN_PARTS_H

#include "plan/chain.h"

#define RF_CHAIN_MOST_BYTES  ((uint64_t)1 << 60)
#define RF_CHAIN_MOST_STAGES ((size_t)1 << 20)
#define RF_CHAIN_MOST_TIME   1e200

/* ---- lists ---- */

/* Room for one more item of `size` bytes in *(T **)list. */
rf_status rf_chain_grow(const rf_allocator *alloc, void *list, size_t num, size_t *capacity,
                        size_t size);
rf_status rf_chain_nodes_add(rf_chain_nodes *nodes, const rf_allocator *alloc, rf_chain_node node);
rf_status rf_chain_steps_add(rf_chain_steps *steps, const rf_allocator *alloc, rf_chain_step step);

/* ---- sizes ---- */

static inline uint64_t rf_chain_value(const rf_chain *c, size_t value)
{
    return value ? c->stages[value - 1].output : c->input;
}

static inline uint64_t rf_chain_gradient(const rf_chain *c, size_t value)
{
    return value ? c->stages[value - 1].gradient : c->input_gradient;
}

static inline const rf_chain_option *rf_chain_option_of(const rf_chain *c, size_t stage, size_t k)
{
    return &c->options[c->stages[stage].first_option + k];
}

/* The option with the least time; of several the one with the smallest record. */
static inline uint32_t rf_chain_fastest(const rf_chain *c, size_t stage)
{
    uint32_t best = 0;
    for (uint32_t k = 1; k < c->stages[stage].num_options; k++) {
        const rf_chain_option *o = rf_chain_option_of(c, stage, k);
        const rf_chain_option *than = rf_chain_option_of(c, stage, best);
        double more = o->forward + o->backward - than->forward - than->backward;
        if (more < 0 || (more <= 0 && o->saved < than->saved))
            best = k;
    }
    return best;
}

static inline uint64_t rf_chain_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* need_B: while stage s runs backward, less what stages behind it left. */
static inline uint64_t rf_chain_need_backward(const rf_chain *c, size_t s, const rf_chain_option *o)
{
    return o->saved + rf_chain_gradient(c, s + 1) + rf_chain_gradient(c, s) + c->stages[s].left +
           o->backward_workspace;
}

/* What is there of what stages s .. t leave, in a list that ends with t. Lists to the chain's end,
 * and no others, are outside of all regions: no region has the last stage, for nothing is gained by
 * that. */
static inline uint64_t rf_chain_left(const rf_chain *c, size_t s, size_t t)
{
    uint64_t sum = 0;
    for (; s <= t && !(c->settles && t + 1 == c->num_stages); s++)
        sum += c->stages[s].left;
    return sum;
}

/* need_adv, less the gradient, of stage i in a walk that begins with stage s. */
static inline uint64_t rf_chain_need_walk(const rf_chain *c, size_t s, size_t i)
{
    return (i > s ? rf_chain_value(c, i) : 0) + rf_chain_value(c, i + 1) +
           c->stages[i].forward_workspace;
}

/* ---- cells ---- */

/* Sub-chains that cannot be told apart share a cell, so that a chain of n equal blocks has about
 * 2n of them and not n*n/2. Cells are numbered in order of length. */
typedef struct rf_chain_cell {
    uint32_t first, last; /* the stages of one sub-chain of those that share it */
} rf_chain_cell;

typedef struct rf_chain_cells {
    const rf_chain *chain;
    uint32_t *ids; /* n*(n+1)/2: of all sub-chains by length, then by first stage */
    rf_chain_cell *v;
    size_t num, capacity;
    size_t *begin; /* n + 2: cells of length L are begin[L] .. begin[L+1] - 1 */
} rf_chain_cells;

rf_status rf_chain_cells_begin(rf_chain_cells *cells, const rf_allocator *alloc,
                               const rf_chain *chain);
void rf_chain_cells_end(rf_chain_cells *cells, const rf_allocator *alloc);

static inline size_t rf_chain_cells_find(const rf_chain_cells *cells, size_t s, size_t t)
{
    size_t n = cells->chain->num_stages, shorter = t - s;
    return cells->ids[shorter * (2 * n - shorter + 1) / 2 + s];
}

/* ---- the recurrence ---- */

/* What is still to be done, of stages s .. t, with so much memory (see chain_recurrence.c). */
typedef struct rf_chain_list {
    uint32_t s, t;
    uint32_t late;   /* option + 1 of t, whose record waits and is not counted in memory; or 0 */
    uint32_t loan;   /* a value behind s and before t + 1 that is there and may go; or 0       */
    uint64_t memory; /* levels of a table, or bytes                                            */
} rf_chain_list;

/* How a list can begin: stages from .. last run forward (none, if from > last), then `rest` is
 * done, then `own`, then the backward of a stage that was kept. */
typedef struct rf_chain_choice {
    uint32_t from, last;
    uint32_t record;         /* option + 1 of `last`, whose record stays; or 0       */
    uint32_t drop;           /* the input of `from` goes                             */
    uint32_t kept;           /* the stage is KEPT: its backward ends the list        */
    uint64_t need;           /* bytes without which it cannot be chosen              */
    uint64_t held;           /* bytes that rest has less                             */
    uint64_t own_held;       /* and own                                              */
    double time;             /* of the forward, and of a kept stage's backward       */
    rf_chain_list rest, own; /* without memory; s > t where there is nothing   */
} rf_chain_choice;

/* How many stages after s lists with late may end, and values after s loans may be. 0: none. */
typedef struct rf_chain_windows {
    size_t late, loan;
} rf_chain_windows;

/* Nonzero: no choice with a longer forward is wanted. */
typedef int (*rf_chain_visit)(void *payload, const rf_chain_choice *choice);
/* Everything that a list can begin with. It is not empty, and t's backward is not all of it. */
void rf_chain_each(const rf_chain *c, const rf_chain_list *list, const rf_chain_windows *windows,
                   rf_chain_visit visit, void *payload);

static inline int rf_chain_list_empty(const rf_chain_list *list)
{
    return list->s > list->t;
}

/* Only t's backward is left: value t and the record are there. */
static inline int rf_chain_list_last(const rf_chain_list *list)
{
    return list->late && list->s == list->t;
}

static inline int rf_chain_windows_any(const rf_chain_windows *windows)
{
    return windows->late || windows->loan;
}

/* A plan that is being made: a tree, from which steps can be had, or steps alone. */
typedef struct rf_chain_plan {
    rf_chain_nodes nodes;
    rf_chain_steps steps;
} rf_chain_plan;

/* Finds a list's choice, with the memory of rest and own. */
typedef void (*rf_chain_choose)(const void *payload, const rf_chain_list *list,
                                rf_chain_choice *out);
typedef struct rf_chain_tracer {
    const rf_allocator *alloc;
    size_t num_stages;
    int steps; /* not a tree */
    rf_chain_choose choose;
    const void *payload;
} rf_chain_tracer;
/* What `choose` makes of a whole chain with so much memory, appended to one of a plan's lists: as a
 * tree, or, where there are windows, as steps. */
rf_status rf_chain_trace(rf_chain_plan *out, const rf_chain_tracer *tracer, uint64_t memory);

/* ---- the least memory ---- */

/* The plan of least peak, a tree. Exact for nested regions. */
rf_status rf_chain_least(rf_chain_plan *out, const rf_allocator *alloc,
                         const rf_chain_cells *cells);

/* ---- to the byte ---- */

/* The fastest plan of a short chain within so many bytes, the input not among them, as
 * rf_chain_trace makes it. RF_E_BUDGET: there is none. RF_E_UNSUPPORTED: too much to look at. */
rf_status rf_chain_bytes(rf_chain_plan *out, const rf_allocator *alloc, const rf_chain *chain,
                         const rf_chain_windows *windows, uint64_t bytes);

/* ---- rows of a table ---- */

/* The largest number that divides every size of the chain; 0: all are nothing. */
uint64_t rf_chain_common(const rf_chain *c);
/* At least as much as any one time of the chain. */
double rf_chain_longest(const rf_chain *c);

/* A choice, from some level on: of level i it is time + rest[i] + own[i]. */
typedef struct rf_chain_row_sum {
    float time;
    const float *rest, *own;
} rf_chain_row_sum;
/* Lower a row's num entries to a sum where that is less. None of the three rises. */
void rf_chain_row_lower(float *row, const rf_chain_row_sum *sum, size_t num);

/* ---- the table ---- */

typedef struct rf_chain_table rf_chain_table;

typedef struct rf_chain_table_options {
    uint64_t bytes; /* what the highest level stands for, the chain's input not counted */
    size_t levels;
    size_t threads;
    rf_chain_windows windows;
} rf_chain_table_options;

/* Rows of a table: each of levels + 1 floats. */
size_t rf_chain_table_count(const rf_chain_cells *cells, const rf_chain_windows *windows);
rf_status rf_chain_table_begin(rf_chain_table **out, const rf_allocator *alloc,
                               const rf_chain_cells *cells, const rf_chain_table_options *opts);
/* Whether a level has a plan that is better than that of the level below. */
int rf_chain_table_improves(const rf_chain_table *table, size_t level);
/* The plan of a level that has one, as rf_chain_trace makes it. */
rf_status rf_chain_table_plan(const rf_chain_table *table, size_t level, rf_chain_plan *out);
size_t rf_chain_table_levels(const rf_chain_table *table); /* may be fewer than asked for */
size_t rf_chain_table_bytes(const rf_chain_table *table);
void rf_chain_table_end(rf_chain_table *table);

/* ---- short chains ---- */

enum { RF_CHAIN_EXACT_STAGES = 15 };

/* Whether the search can say what this chain is: 15 stages, 14 options. */
int rf_chain_exact_fits(const rf_chain *chain);
/* The steps of the fastest schedule within a budget, appended to out. RF_E_BUDGET: there is none.
 * *states is how many states may be looked at, and then how many of them are left;
 * RF_E_UNSUPPORTED where that was not enough. */
rf_status rf_chain_exact(rf_chain_steps *out, const rf_allocator *alloc, const rf_chain *chain,
                         uint64_t budget, size_t *states);

#endif
