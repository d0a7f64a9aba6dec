/* problem.h: a problem (refrain/problem.h) as it was read, and what its solvers keep.
 *
 * Invariant: lists grow by doubling from the context's allocator; graph and chain point into them
 * and are set when all was read; a planner is there from the first question on.
 */
#ifndef RF_IO_PROBLEM_H
#define RF_IO_PROBLEM_H

#include <refrain/problem.h>

#include "io/json.h"
#include "plan/chain.h"
#include "plan/graph_plan.h"
#include "plan/memory.h"

/* A list on rf_plan_grow. */
typedef struct rf_problem_nodes {
    rf_graph_node *v;
    size_t num, capacity;
} rf_problem_nodes;
typedef struct rf_problem_ids {
    uint32_t *v;
    size_t num, capacity;
} rf_problem_ids;
typedef struct rf_problem_stages {
    rf_chain_stage *v;
    size_t num, capacity;
} rf_problem_stages;
typedef struct rf_problem_choices {
    rf_chain_option *v;
    size_t num, capacity;
} rf_problem_choices;
typedef struct rf_problem_letters {
    char *v;
    size_t num, capacity;
} rf_problem_letters;

struct rf_problem {
    rf_context *ctx;
    rf_problem_kind kind;
    rf_problem_nodes nodes;
    rf_problem_ids inputs;
    rf_problem_stages stages;
    rf_problem_choices options;
    rf_problem_letters letters; /* all names, each with a zero behind it; the first is "" */
    rf_problem_ids names;       /* of each node or stage, where its name begins */
    rf_graph graph;
    rf_chain chain;
    /* what solvers found */
    int ready; /* the planner or the front is there */
    rf_graph_planner planner;
    rf_chain_front front;
    rf_graph_answer graph_answer; /* its steps */
    rf_chain_steps chain_steps;
    rf_problem_answer answer;
    int answered;
};

/* ---- reading ---- */

/* Where the reader is: in which file, and in which node, stage or option. */
typedef struct rf_problem_text {
    rf_problem *p;
    const char *name;
    rf_json j;
    const char *item; /* "node" or "stage"; NULL: the whole */
    size_t index;
    uint64_t total; /* bytes so far */
    int found;      /* which members of the whole were there */
} rf_problem_text;

/* An object's members: bit i of required and of optional is for names[i]. Others are passed over,
 * unless they look like a slip of one that is optional. */
typedef struct rf_problem_members {
    const char *what; /* "node" */
    const char *const *names;
    int num;
    int required;
    int optional;
} rf_problem_members;

rf_status rf_problem_fail(rf_problem_text *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Read an object's members up to its end; its brace was just read. take is given each as its index;
 * *seen (may be NULL) gets which were there. */
typedef rf_status (*rf_problem_take)(rf_problem_text *t, int member);
rf_status rf_problem_object(rf_problem_text *t, const rf_problem_members *members,
                            rf_problem_take take, int *seen);
/* Read a list of objects: each is given to take when its brace was read. */
rf_status rf_problem_list(rf_problem_text *t, const char *what,
                          rf_status (*take)(rf_problem_text *t));
/* Values of the member `what`. Bytes also count into the total. */
rf_status rf_problem_bytes(rf_problem_text *t, const char *what, uint64_t *out);
rf_status rf_problem_cost(rf_problem_text *t, const char *what, double *out);
rf_status rf_problem_id(rf_problem_text *t, const char *what, uint64_t *out);
rf_status rf_problem_flag(rf_problem_text *t, const char *what, uint8_t *out);
/* A string, as the name of the node or stage that is read. */
rf_status rf_problem_take_name(rf_problem_text *t);

rf_status rf_problem_take_nodes(rf_problem_text *t);
rf_status rf_problem_take_stages(rf_problem_text *t);

/* ---- solving ---- */

rf_status rf_problem_solve_graph(rf_problem *p, uint64_t budget, const rf_problem_options *opts);
rf_status rf_problem_survey_graph(rf_problem *p, const rf_problem_options *opts);
rf_status rf_problem_solve_chain(rf_problem *p, uint64_t budget);
rf_status rf_problem_survey_chain(rf_problem *p);
/* Record that memory is short, or what else went wrong inside a solver. */
rf_status rf_problem_solver_failed(rf_problem *p, rf_status status);

#endif
