/* graph.h: plans for graphs: which values to drop, and when to compute them again, in a byte
 * budget.
 *
 * A graph is a list of nodes in topological order. A node makes one value from the values of its
 * inputs; it costs time, its value takes bytes, and while it runs it may take a workspace besides.
 * A node of `once` (a backward node: it accumulates) runs exactly once, any other as often as
 * wanted. What runs must find its inputs stored. While it runs, the live bytes are those of all
 * stored values, of its own and of its workspace; the largest of these is the peak. A plan is a
 * list of steps, run or drop, that runs each node which is `once` or has no reader.
 *
 * Nothing here knows of tensors: arrays go in, choices come out. Every plan that is given out went
 * through rf_graph_simulate, which shares nothing with what makes plans.
 */
#ifndef RF_PLAN_GRAPH_H
#define RF_PLAN_GRAPH_H

#include "base/alloc.h"

typedef struct rf_graph_node {
    double cost;               /* of one run, in any unit; finite, not negative         */
    uint64_t bytes, workspace; /* of its value; only while it runs                      */
    uint32_t first_input, num_inputs;
    uint8_t once; /* it may not run twice */
} rf_graph_node;

typedef struct rf_graph {
    const rf_graph_node *nodes;
    size_t num_nodes;
    const uint32_t *inputs; /* ids of nodes, each smaller than its reader's; twice is as once */
    size_t num_inputs;
} rf_graph;

typedef struct rf_graph_step {
    uint32_t node;
    uint32_t drop; /* 1: give up its value; 0: run it */
} rf_graph_step;

/* RF_E_ARGUMENT with a reason if the arrays are no graph as above, or all bytes together pass 2^62.
 */
rf_status rf_graph_check(const rf_graph *g, const char **why);

/* Into flags, one byte a node: 1 where every plan must run it for its own sake (once, or a value
 * without reader). */
void rf_graph_goals(const rf_graph *g, uint8_t *flags);

/* No plan has a smaller peak than this: the inputs, the value and the workspace of one node. */
typedef struct rf_graph_footprint {
    uint64_t bytes;
    uint32_t node; /* which one: the first of the largest */
} rf_graph_footprint;
rf_status rf_graph_footprint_find(const rf_allocator *a, const rf_graph *g,
                                  rf_graph_footprint *out);

/* What a list of steps does. If it is no plan, why and at say so; the rest counts up to there. */
typedef struct rf_graph_run {
    double cost;
    uint64_t peak;
    size_t runs;
    const char *why; /* NULL: it is a plan       */
    size_t at;       /* the step that is wrong   */
} rf_graph_run;
/* RF_E_ARGUMENT: the steps are no plan. g must have passed rf_graph_check. */
rf_status rf_graph_simulate(const rf_allocator *a, const rf_graph *g, const rf_graph_step *steps,
                            size_t num, rf_graph_run *out);

#endif
