/* costs.h: what the executions of ops cost on this machine, in seconds, for planning (plan.h).
 *
 *     rf_costs *costs;
 *     rf_costs_create(&costs, ctx);
 *     rf_costs_load(costs, NULL);
 *     rf_costs_note_step(costs, &(rf_training_step){my_step, &my_state});
 *     rf_costs_measure(costs, NULL);
 *     rf_costs_save(costs, NULL);
 *
 * A cost is of an op at the shapes, types and attributes of a call, with the context's threads and
 * instruction set. It is measured by running the op's kernel on made-up inputs, or it is the
 * model's: the larger of arithmetic over its rate and bytes over theirs. A table's own memory comes
 * from the context's allocator beside the ledger.
 */
#ifndef REFRAIN_COSTS_H
#define REFRAIN_COSTS_H

#include <refrain/module.h>
#include <refrain/predict.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A table of costs. */
typedef struct rf_costs rf_costs;

/* An empty table (owned) for executions in ctx, which must outlive it, as the ops must. */
RF_API RF_MUST_USE rf_status rf_costs_create(rf_costs **out, rf_context *ctx);
/* End it. NULL is fine. */
RF_API void rf_costs_destroy(rf_costs *costs);

/* Run step dry, so that the table knows what there is to measure: calls that it has no measured
 * cost of. Until then they have the model's. Errors of the step, and RF_E_MEMORY. */
RF_API RF_MUST_USE rf_status rf_costs_note_step(rf_costs *costs, const rf_training_step *step);

/* The same for all that rf_plan_create asks for when it plans m's step: the step, and parts of m
 * alone. m may be in another context than the table, one that is dry for good too, where errors are
 * recorded then. */
RF_API RF_MUST_USE rf_status rf_costs_note_plan(rf_costs *costs, rf_module *m,
                                                const rf_training_step *step);
/* Time the dry runs of ctx by costs, which must outlive that; NULL: no longer. What rf_predict and
 * a watch of a dry step tell of seconds is then theirs. */
RF_API void rf_costs_use(rf_costs *costs, rf_context *ctx);

/* How to measure. */
typedef struct rf_costs_options {
    size_t size;
    rf_context *ctx; /* where kernels run; NULL: the table's own context. If that is dry for good,
                        one with its threads and instruction set that is not                     */
    double seconds;  /* to stop after, about; what is left stays the model's until a next time;
                        0: 5                                                                      */
    uint64_t bytes;  /* that all of one call's tensors may take; 0: what the limits give         */
    /* Told before each of num measurements; anything but RF_OK ends them with it. NULL: nobody. */
    rf_status (*progress)(void *payload, size_t done, size_t num);
    void *payload;
} rf_costs_options;
#define RF_COSTS_OPTIONS_INIT                   \
    {                                           \
        sizeof(rf_costs_options), 0, 0, 0, 0, 0 \
    }

/* Measure what is noted and unknown, beginning with what costs most by the model: inputs of small
 * random values, a few runs, the low quartile of them. What has effects, lives elsewhere than on
 * the processor, finds no room within the limits or is refused by its kernel is the model's from
 * then on. Nothing of the context is changed but the ledger's peaks. RF_E_STATE in a dry run.
 * opts: NULL is all defaults. */
RF_API RF_MUST_USE rf_status rf_costs_measure(rf_costs *costs, const rf_costs_options *opts);

/* Let the model's rates be this machine's, from two measurements of milliseconds in ctx (NULL: the
 * table's own), not those of a processor of about 2020. */
RF_API void rf_costs_measure_rates(rf_costs *costs, rf_context *ctx);

/* How many calls are known, and how many of them by measurement. */
typedef struct rf_costs_counts {
    size_t known, measured;
} rf_costs_counts;
RF_API rf_costs_counts rf_costs_counts_of(const rf_costs *costs);

/* Put what a file says of this machine (processor, threads, instruction set, version of the
 * library) into the table. A file that is not there says nothing. One that is damaged or can't be
 * read is refused (RF_E_FORMAT, RF_E_IO), and nothing was put; but if path is NULL, which is
 * $XDG_CACHE_HOME/refrain/costs.json or ~/.cache/refrain/costs.json, a line is logged and the rest
 * goes on without it. */
RF_API RF_MUST_USE rf_status rf_costs_load(rf_costs *costs, const char *path);
/* Write all measured costs, atomically, and keep what the file says of other machines. What is
 * there and is no file of costs is not replaced (RF_E_FORMAT). path NULL is the default path, whose
 * folder is made, and where a damaged file is replaced; if it can't be written, a line is logged,
 * and that is all. */
RF_API RF_MUST_USE rf_status rf_costs_save(rf_costs *costs, const char *path);

#ifdef __cplusplus
}
#endif
#endif
