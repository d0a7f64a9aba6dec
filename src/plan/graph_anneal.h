/* graph_anneal.h: making a plan better for as long as there is time. */
#ifndef RF_PLAN_GRAPH_ANNEAL_H
#define RF_PLAN_GRAPH_ANNEAL_H

#include "plan/graph_cut.h"

/* When to stop: at the first that is reached. A run that only the number of moves ends is the same
 * every time; the clock is the caller's, in milliseconds from any beginning. */
typedef struct rf_graph_limit {
    uint64_t moves;
    double milliseconds; /* 0: none */
    double (*clock)(void *payload);
    void *payload;
} rf_graph_limit;

typedef struct rf_graph_best {
    rf_graph_sequence sequence; /* has room for as many executions as the track */
    double cost;                /* negative: no plan within the budget is known   */
} rf_graph_best;

/* From what t holds, within its budget or not. A cheaper plan within the budget goes into best. */
void rf_graph_anneal(rf_graph_track *t, uint64_t seed, const rf_graph_limit *limit,
                     rf_graph_best *best);

#endif
