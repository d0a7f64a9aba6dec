/* graphs.h: graphs for the tests of planners: built by hand, at random, or read from tests/data. */
#ifndef RF_SUPPORT_GRAPHS_H
#define RF_SUPPORT_GRAPHS_H

#include "plan/graph_plan.h"
#include "support/graph_file.h"

enum { GRAPH_NODES = 64, GRAPH_INPUTS = 512 };

typedef struct graph_case {
    rf_graph_node nodes[GRAPH_NODES];
    uint32_t inputs[GRAPH_INPUTS];
    rf_graph g;
} graph_case;

void graph_case_begin(graph_case *c);
/* One more node, of the next id; inputs are given afterwards. */
uint32_t graph_case_add(graph_case *c, double cost, uint64_t bytes, int once);
void graph_case_input(graph_case *c, uint32_t input); /* of the last node */

/* A random step of training, or any graph, of at most num nodes; what it is follows from random. */
void graph_case_random(graph_case *c, size_t num, uint64_t *random);

/* The cheapest plan within budget, by Dijkstra's search over all that could be done: every subset
 * of values, every drop, every repetition. For at most 9 nodes of which at most 7 are goals, with
 * whole costs. Negative: there is none. */
double graph_case_exhaustive(const graph_case *c, uint64_t budget);

/* tests/data/graphs/<name>.json; freed with graph_file_free. */
void graph_read(graph_file *f, const char *name);

#endif
