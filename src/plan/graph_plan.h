/* graph_plan.h: a plan for a graph within a budget, by all means that there are.
 *
 * Small graphs are searched exactly. Others get a first plan by cutting intervals greedily, within
 * milliseconds, and then a better one for as long as they are given. What is found for one budget
 * is kept for the others. */
#ifndef RF_PLAN_GRAPH_PLAN_H
#define RF_PLAN_GRAPH_PLAN_H

#include "plan/graph_front.h"

typedef struct rf_graph_options {
    size_t size;
    uint64_t seed;       /* of the search: equal seeds and moves give equal plans              */
    uint64_t moves;      /* to try; 0: half a million, or with a time limit as many as it has  */
    double milliseconds; /* of the whole call; 0: no limit. The first plan is made in any case */
    double (*clock)(void *payload); /* milliseconds since any moment; NULL: no limit           */
    void *clock_payload;
    size_t exact_states; /* of exact search, at most; 0: a million                             */
    int no_exact;        /* 1: search small graphs like large ones                             */
} rf_graph_options;

/* What is known of a graph, for one budget and all that were asked before. */
typedef struct rf_graph_planner {
    rf_graph_front front;
    uint8_t *goals;    /* [nodes] */
    double plain_cost; /* of everything once, in the order of ids */
    uint64_t plain_peak;
    rf_graph_footprint least; /* no plan has a smaller peak              */
    int surveyed;             /* 1: plans of small peak were looked for                          */
    int least_found;          /* 1: front.v[0] has the smallest peak that any plan has, proved   */
} rf_graph_planner;

typedef struct rf_graph_answer {
    int feasible; /* a plan within the budget is known                        */
    int exact;    /* proved: no plan is cheaper, or if not feasible, none is  */
    double cost, plain_cost;
    double cost_bound; /* no plan within the budget is cheaper; infinite if there is none */
    uint64_t peak, plain_peak;
    uint64_t smallest_budget; /* that is known to work                             */
    int smallest_exact;       /* proved: no smaller one does                       */
    uint64_t lower_bound;     /* no budget below works: see binds                  */
    uint32_t binds;           /* the node whose inputs, value and workspace are so large */
    rf_graph_steps steps;     /* owned; none if not feasible */
} rf_graph_answer;

/* RF_E_ARGUMENT with a reason in *why if g is no graph. a and g are borrowed. */
rf_status rf_graph_planner_begin(rf_graph_planner *p, const rf_allocator *a, const rf_graph *g,
                                 const char **why);
void rf_graph_planner_end(rf_graph_planner *p);

/* The best plan within budget that is found within the limits of opts (NULL: all defaults). That
 * there is none is an answer, not a failure. */
rf_status rf_graph_planner_answer(rf_graph_planner *p, uint64_t budget,
                                  const rf_graph_options *opts, rf_graph_answer *out);
void rf_graph_answer_end(const rf_allocator *a, rf_graph_answer *out);

#endif
