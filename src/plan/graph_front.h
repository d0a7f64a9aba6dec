/* graph_front.h: plans of one graph, none of them worse than another in both peak and cost.
 *
 * A budget is answered by the cheapest plan whose peak it covers, whoever made it for whichever
 * budget. So a larger budget never costs more, whatever the searches do. */
#ifndef RF_PLAN_GRAPH_FRONT_H
#define RF_PLAN_GRAPH_FRONT_H

#include "plan/graph_search.h"

typedef struct rf_graph_point {
    uint64_t peak;
    double cost;
    rf_graph_sequence sequence;
} rf_graph_point;

/* Peaks rise and costs fall. */
typedef struct rf_graph_front {
    const rf_allocator *a;
    const rf_graph *g;
    rf_graph_point *v;
    size_t num, room;
} rf_graph_front;

void rf_graph_front_begin(rf_graph_front *f, const rf_allocator *a, const rf_graph *g);
void rf_graph_front_end(rf_graph_front *f);

/* Simulate v[0 .. num), and keep it if no plan of the front is as good in both. RF_E_STATE: it is
 * no plan. After RF_E_MEMORY the front is as before. */
rf_status rf_graph_front_add(rf_graph_front *f, const uint32_t *v, size_t num);

/* The cheapest plan within budget (borrowed until the next add); NULL if there is none. */
const rf_graph_point *rf_graph_front_find(const rf_graph_front *f, uint64_t budget);

#endif
