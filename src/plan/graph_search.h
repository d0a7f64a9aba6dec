/* graph_search.h: what the planners of graphs share among themselves: a plan as a sequence of
 * executions, and exact search in small graphs.
 *
 * A sequence says only what runs, in order. Everything else follows: a value is stored from its
 * execution to its last reader before its next execution, since keeping it longer costs bytes and
 * buys nothing. So a sequence is a plan if each input has run before, and its steps are unique.
 */
#ifndef RF_PLAN_GRAPH_SEARCH_H
#define RF_PLAN_GRAPH_SEARCH_H

#include "plan/graph.h"

typedef struct rf_graph_sequence {
    uint32_t *v;
    size_t num, room;
} rf_graph_sequence;

/* Room for at least `room` executions in all, those that are there kept. */
rf_status rf_graph_sequence_reserve(const rf_allocator *a, rf_graph_sequence *s, size_t room);
void rf_graph_sequence_end(const rf_allocator *a, rf_graph_sequence *s);

typedef struct rf_graph_steps {
    rf_graph_step *v;
    size_t num, room;
} rf_graph_steps;
/* Runs and drops of a sequence (owned). An execution that nobody reads and that is no goal is left
 * out. */
rf_status rf_graph_sequence_steps(const rf_allocator *a, const rf_graph *g,
                                  const rf_graph_sequence *s, rf_graph_steps *out);
void rf_graph_steps_end(const rf_allocator *a, rf_graph_steps *s);

/* ---- exact search ---- */

enum { RF_GRAPH_SMALL = 32 };

/* A graph of at most 32 nodes, sets of them as bits. start is stored at first, end must be stored
 * at last, goals must run; the bytes of start and end count. */
typedef struct rf_graph_small {
    uint32_t num;
    uint32_t inputs[RF_GRAPH_SMALL];
    double cost[RF_GRAPH_SMALL];
    uint64_t bytes[RF_GRAPH_SMALL], workspace[RF_GRAPH_SMALL];
    uint32_t goals; /* must run, and have no reason to run twice */
    uint32_t once;  /* cannot run more than once: if not among the goals, not at all */
    uint32_t start, end;
} rf_graph_small;

/* All of g, which has at most 32 nodes. */
void rf_graph_small_from(rf_graph_small *p, const rf_graph *g);

typedef struct rf_graph_exact {
    int proved;    /* the search came to its end: what follows is the best there is         */
    int found;     /* the sequence is a plan                                                */
    double best;   /* its cost, or, of the search for it, its peak                          */
    size_t states; /* how many were looked at */
} rf_graph_exact;
/* The cheapest sequence within budget, appended to s. At most max_states states are looked at;
 * all bytes together must be at most 2^53, so that they are exact as doubles. */
rf_status rf_graph_exact_cost(const rf_allocator *a, const rf_graph_small *p, uint64_t budget,
                              size_t max_states, rf_graph_sequence *s, rf_graph_exact *out);
/* The sequence of smallest peak, whatever it costs. */
rf_status rf_graph_exact_peak(const rf_allocator *a, const rf_graph_small *p, size_t max_states,
                              rf_graph_sequence *s, rf_graph_exact *out);

#endif
