/* graph_window.h: a part of a plan made as cheap as it can be while the rest stays. */
#ifndef RF_PLAN_GRAPH_WINDOW_H
#define RF_PLAN_GRAPH_WINDOW_H

#include "plan/graph_track.h"

/* Let as many executions from `from` on as exact search takes well (at most 20, at most 32 values
 * among them) be the cheapest that keep to the budget, begin with what is stored there and end with
 * what is stored after them. Sets *better if that changed t: less is over the budget, or as much at
 * less cost. All bytes of the graph together must be at most 2^53. */
rf_status rf_graph_window_solve(rf_graph_track *t, size_t from, int *better);

#endif
