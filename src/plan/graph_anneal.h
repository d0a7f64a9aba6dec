/* graph_anneal.h: making a plan better for as long as there is time. */
#ifndef RF_PLAN_GRAPH_ANNEAL_H
#define RF_PLAN_GRAPH_ANNEAL_H

#include "plan/graph_cut.h"

/* When to stop: at the first that is reached. A run that only the number of moves ends is the same
 * every time; the clock is the caller's, in milliseconds from any beginning. */
typedef struct rf_graph_limit {
    uint64_t moves;
    double milliseconds;
    double (*clock)(void *payload); /* NULL: no limit in time */
    void *payload;
} rf_graph_limit;

/* The best of what tracks passed through: the least over its budget, and of these the cheapest. */
typedef struct rf_graph_best {
    uint32_t *v; /* room for as many executions as the track */
    size_t num;
    double over, cost; /* over is infinite before the first */
} rf_graph_best;

typedef struct rf_graph_round {
    uint64_t seed;
    double heat;  /* at its begin: what a move may cost, as a share of the mean cost of a node */
    double price; /* at its begin: what a byte over the budget costs; 0: not known            */
    rf_graph_limit limit;
} rf_graph_round;

/* From what t holds, within its budget or not. */
void rf_graph_anneal(rf_graph_track *t, const rf_graph_round *round, rf_graph_best *best);

#endif
