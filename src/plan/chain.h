/* chain.h: which values of a chain of stages to keep, and which to compute again.
 *
 * Arrays in, choices out: nothing here knows a tensor. A chain has n stages; stage i (from 0) reads
 * value i and makes value i + 1. Value 0 is the input and always there. For backward, stage i wants
 * its record, made by a forward with one of its options, its input, and the gradient of its output;
 * it makes the gradient of its input. A record includes the stage's output.
 *
 * Every schedule runs under strict accounting (the reference is simulate, which shares nothing with
 * the solvers): while a stage runs forward there are all values and records kept, the gradient
 * that backward has come to (that of the chain's output from the very beginning), its new output or
 * record, and its workspace; while it runs backward, both gradients and its workspace on top of
 * what is kept. What a stage's backward leaves behind (the gradients of its parameters, where they
 * wait for the optimiser) is there from that backward on; where it `settles`, only until the
 * outermost region that the stage is in is done, and not at all behind a stage that is in none. A
 * replayed forward counts like any other.
 *
 * A plan is a tree, as an array in preorder, so that it can be carried out by nested regions:
 *   KEEP    the stage runs with an option and its record stays until its backward;
 *   REGION  stages first .. first + count - 1 run and only the input of the first stays; when
 *           backward comes to them they run again, as the num_nodes nodes that follow say.
 * Nodes side by side cover consecutive stages; those on top cover the chain. Schedules that do not
 * nest are a list of steps.
 */
#ifndef RF_PLAN_CHAIN_H
#define RF_PLAN_CHAIN_H

#include "base/alloc.h"

/* One way to run a stage's forward so that its backward can follow. */
typedef struct rf_chain_option {
    uint64_t saved; /* the record, the stage's output included */
    double forward, backward;
    uint64_t forward_workspace, backward_workspace;
} rf_chain_option;

typedef struct rf_chain_stage {
    uint64_t output, gradient; /* of the value that it makes: bytes of it, and of its gradient */
    uint64_t left;             /* by its backward, for good */
    double forward;            /* without a record */
    uint64_t forward_workspace;
    size_t first_option, num_options; /* in the chain's options; at least one */
} rf_chain_stage;

typedef struct rf_chain {
    uint64_t input, input_gradient; /* bytes; the gradient is 0 where nobody wants it */
    const rf_chain_stage *stages;
    size_t num_stages;
    const rf_chain_option *options;
    size_t num_options;
    int settles; /* only for plans that are trees */
} rf_chain;

typedef enum rf_chain_node_kind {
    RF_CHAIN_KEEP,
    RF_CHAIN_REGION,
} rf_chain_node_kind;

typedef struct rf_chain_node {
    uint32_t kind;
    uint32_t first, count; /* stages; a KEEP has one */
    uint32_t option;       /* of the stage kept, from 0 on; 0 for a REGION */
    uint32_t num_nodes;    /* that follow and belong to it; 0 for a KEEP */
} rf_chain_node;

typedef enum rf_chain_step_kind {
    RF_CHAIN_FORWARD_DROP,      /* the output comes, the input goes */
    RF_CHAIN_FORWARD_STORE,     /* the output comes, the input stays */
    RF_CHAIN_FORWARD_KEEP,      /* the record comes, the input stays */
    RF_CHAIN_FORWARD_KEEP_DROP, /* the record comes, the input goes: free schedules only */
    RF_CHAIN_BACKWARD,          /* record, input and the output's gradient go */
} rf_chain_step_kind;

typedef struct rf_chain_step {
    uint32_t kind, stage, option;
} rf_chain_step;

/* Lists of the caller's, on one allocator; zero is empty. */
typedef struct rf_chain_nodes {
    rf_chain_node *v;
    size_t num, capacity;
} rf_chain_nodes;
typedef struct rf_chain_steps {
    rf_chain_step *v;
    size_t num, capacity;
} rf_chain_steps;
void rf_chain_nodes_end(rf_chain_nodes *nodes, const rf_allocator *alloc);
void rf_chain_steps_end(rf_chain_steps *steps, const rf_allocator *alloc);

/* RF_E_ARGUMENT unless there is a stage, every stage has an option, every record is at least as
 * large as its stage's output, times are not negative and below 1e200, all bytes together stay
 * below 2^60, and stages below 2^20. All else here takes chains that passed. */
rf_status rf_chain_check(const rf_chain *chain);

/* The steps of a plan, appended to out. RF_E_FORMAT if the nodes are no plan of this chain. */
rf_status rf_chain_unfold(rf_chain_steps *out, const rf_allocator *alloc, const rf_chain *chain,
                          const rf_chain_nodes *plan);

/* What a list of steps costs, found by walking it. peak counts the input and all else. */
typedef struct rf_chain_cost {
    uint64_t peak;
    double time;
    size_t at; /* the step that reaches the peak; of a wrong list, the step that is wrong */
} rf_chain_cost;
/* RF_E_FORMAT if a step wants what is not there, makes what is there, or one is missing. */
rf_status rf_chain_simulate(rf_chain_cost *out, const rf_allocator *alloc, const rf_chain *chain,
                            const rf_chain_steps *steps);

/* ---- solving ---- */

typedef struct rf_chain_front_options {
    size_t size;
    size_t threads; /* 0 is 1 */
    size_t levels;  /* memory levels of a table; 0: as many as are cheap for this chain */
    int free;       /* any steps, not only those of nested regions */
    int no_exact;   /* free: answer even a short chain by the tables, not by exact search */
} rf_chain_front_options;

/* A verified plan: what simulate says of it. */
typedef struct rf_chain_point {
    uint64_t peak;
    double time;
    rf_chain_nodes plan;  /* empty where no tree says it: then the steps do */
    rf_chain_steps steps; /* empty where plan says it                       */
} rf_chain_point;

/* The points known of a chain, by rising peak and strictly falling time: so more budget never costs
 * time. The first is the smallest budget that nested regions can do (exactly), the last is as fast
 * as the chain can be. */
typedef struct rf_chain_front {
    const rf_chain *chain; /* the caller's; it must stay, as must the allocator */
    rf_allocator alloc;
    rf_chain_front_options opts;
    rf_chain_point *points;
    size_t num, capacity;
    uint64_t lower_bound; /* no schedule has a smaller peak: the largest footprint of a stage */
    size_t lower_stage;   /* whose it is                                                      */
    rf_chain_cost plain;  /* everything kept, by the fastest options                          */
    size_t table_bytes;   /* the most that a table of this front took                         */
} rf_chain_front;

/* The whole curve, on one table that reaches from nothing to the plain peak. opts may be NULL. */
rf_status rf_chain_front_begin(rf_chain_front *out, const rf_allocator *alloc,
                               const rf_chain *chain, const rf_chain_front_options *opts);
/* More points around a budget, from a table of their own. */
rf_status rf_chain_front_refine(rf_chain_front *front, uint64_t budget);
/* The fastest point within the budget; NULL where it is below the smallest. */
const rf_chain_point *rf_chain_front_find(const rf_chain_front *front, uint64_t budget);
/* Its steps, appended to out. */
rf_status rf_chain_front_steps(const rf_chain_front *front, const rf_chain_point *point,
                               rf_chain_steps *out);
void rf_chain_front_end(rf_chain_front *front);

#endif
