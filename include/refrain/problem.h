/* problem.h: plans for anyone: what to drop and what to compute again, for a graph or a chain that
 * came from any framework, as a file.
 *
 *     rf_problem *problem;
 *     rf_problem_load(&problem, ctx, "unet.json");
 *     rf_problem_solve(problem, (uint64_t)8 << 30, NULL);
 *     if (rf_problem_answer_of(problem).feasible)
 *         rf_problem_json(problem, sink);
 *
 * The formats, and what exactly counts as held at which moment, are told in docs/problem-files.md.
 * A graph:
 *
 *     {"kind": "graph", "nodes": [
 *       {"id": 0, "cost": 1.5, "bytes": 4096, "inputs": [], "workspace": 0, "once": false,
 *        "name": "conv1"}, ...]}
 *
 * A chain:
 *
 *     {"kind": "chain", "input_bytes": 64, "stages": [
 *       {"output_bytes": 64, "gradient_bytes": 64, "left_bytes": 0, "forward": 1,
 *        "forward_workspace": 0, "options": [
 *         {"saved_bytes": 192, "forward": 1, "backward": 2, "forward_workspace": 0,
 *          "backward_workspace": 0}, ...]}, ...]}
 *
 * Costs are in any unit. Every answer was walked by a simulator that shares nothing with what made
 * it. Memory of a problem comes from the context's allocator, beside the ledger.
 */
#ifndef REFRAIN_PROBLEM_H
#define REFRAIN_PROBLEM_H

#include <refrain/explain.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The most of anything that a file may have: its own bytes, nodes of a graph, inputs of all nodes
 * together, stages of a chain, options of all stages together. All bytes of a problem together are
 * at most 2^53, and each cost is below 1e200. */
enum {
    RF_PROBLEM_FILE_MOST = 64 << 20,
    RF_PROBLEM_NODES_MOST = 8192,
    RF_PROBLEM_INPUTS_MOST = 1 << 20,
    RF_PROBLEM_STAGES_MOST = 1024,
    RF_PROBLEM_OPTIONS_MOST = 1 << 16
};

/* A graph or a chain, and what was found out about it. */
typedef struct rf_problem rf_problem;

/* Read a problem (owned) from len bytes of text; name, such as the file's, is for messages. What is
 * no such text is RF_E_FORMAT, with line, byte and node. Text and name are not kept. */
RF_API RF_MUST_USE rf_status rf_problem_read(rf_problem **out, rf_context *ctx, const char *text,
                                             size_t len, const char *name);
/* The same from a file; RF_E_IO if it can't be read. */
RF_API RF_MUST_USE rf_status rf_problem_load(rf_problem **out, rf_context *ctx, const char *path);
/* End it. NULL is fine. */
RF_API void rf_problem_destroy(rf_problem *p);

/* What a problem is. */
typedef enum rf_problem_kind { RF_PROBLEM_GRAPH, RF_PROBLEM_CHAIN } rf_problem_kind;
RF_API rf_problem_kind rf_problem_kind_of(const rf_problem *p);
/* How many nodes or stages it has; the name of one, "" where it has none (borrowed). */
RF_API size_t rf_problem_num(const rf_problem *p);
RF_API const char *rf_problem_name(const rf_problem *p, size_t index);

/* How to look for a plan. */
typedef struct rf_problem_options {
    size_t size;
    double seconds; /* of the search in a graph; 0: 10. A first plan is made in any case, and a
                       chain takes what it takes                                              */
    uint64_t seed;  /* of that search */
} rf_problem_options;
#define RF_PROBLEM_OPTIONS_INIT          \
    {                                    \
        sizeof(rf_problem_options), 0, 0 \
    }

/* Find the cheapest plan whose peak is at most budget. That there is none is an answer too, not an
 * error. What was found before stays known: more budget never costs more. RF_E_MEMORY. */
RF_API RF_MUST_USE rf_status rf_problem_solve(rf_problem *p, uint64_t budget,
                                              const rf_problem_options *opts);
/* Find plans for budgets from the smallest to the plain peak: the curve. The seconds are for all of
 * them together. */
RF_API RF_MUST_USE rf_status rf_problem_survey(rf_problem *p, const rf_problem_options *opts);

/* What the last call found. */
typedef struct rf_problem_answer {
    int asked;         /* for a budget: by rf_problem_solve                            */
    uint64_t budget;   /* which                                                        */
    int feasible;      /* a plan within it is known                                    */
    int exact;         /* proved: none is cheaper, or if not feasible, there is none   */
    double cost;       /* of the plan                                                  */
    uint64_t peak;     /* of the plan                                                  */
    double cost_bound; /* no plan within the budget is cheaper                         */
    double plain_cost; /* of everything once: of a chain by its fastest options        */
    uint64_t plain_peak;
    uint64_t smallest_budget;   /* for which a plan is known                             */
    int smallest_exact;         /* proved: there is none for less                        */
    uint64_t lower_bound;       /* the largest footprint: no budget below it works       */
    size_t binds;               /* whose it is: index of a node or stage                 */
    size_t num_steps, num_runs; /* of the plan; how many of its steps compute          */
} rf_problem_answer;
RF_API rf_problem_answer rf_problem_answer_of(const rf_problem *p);

/* The curve, of all that is known: by rising peak and falling cost. */
typedef struct rf_problem_point {
    uint64_t peak;
    double cost;
} rf_problem_point;
RF_API size_t rf_problem_num_points(const rf_problem *p);
RF_API rf_problem_point rf_problem_point_at(const rf_problem *p, size_t index);

/* The answer as one JSON object on one line: the plan's steps after rf_problem_solve, the curve
 * after rf_problem_survey; RF_E_STATE before both. */
RF_API RF_MUST_USE rf_status rf_problem_json(const rf_problem *p, rf_write sink);

#ifdef __cplusplus
}
#endif
#endif
