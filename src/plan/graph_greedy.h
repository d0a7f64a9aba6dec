/* graph_greedy.h: the first plan, in a few milliseconds. */
#ifndef RF_PLAN_GRAPH_GREEDY_H
#define RF_PLAN_GRAPH_GREEDY_H

#include "plan/graph_track.h"

/* Working memory: of each node, the readers around a place. */
typedef struct rf_graph_greedy {
    rf_graph_track *t;
    uint32_t *next, *last; /* [nodes] */
    double *bound;         /* [nodes] */
    size_t bytes;
} rf_graph_greedy;

rf_status rf_graph_greedy_begin(rf_graph_greedy *s, rf_graph_track *t);
void rf_graph_greedy_end(rf_graph_greedy *s);

/* Cut intervals of the track, the cheapest for its bytes first, until it keeps its budget or no cut
 * makes it better. Returns whether it does. */
int rf_graph_greedy_run(rf_graph_greedy *s);

#endif
