/* predict.h: what a step will take, before it is taken.
 *
 *     rf_prediction p = RF_PREDICTION_INIT;
 *     rf_predict(&p, ctx, &(rf_training_step){my_step, &my_state}, NULL);
 *
 * The caller's own step runs dry: forward, backward and optimiser as they are, against the same
 * ledger, but tensors have no bytes and no kernel runs. It is the same code, so the peak told here
 * is the peak of the real step, to the byte and by class; and it takes thousandths of its time.
 *
 * Afterwards everything is as it was: values, gradients, the generator, statistics, the optimiser's
 * counters, the position in the data, the ledger (but for bookkeeping memory, which stays for the
 * real step). Limits do not hold in a dry run, so that what would not fit can be asked about.
 *
 * A step that reads a value (rf_tensor_item, rf_tensor_copy_out, rf_tensor_data) ends with
 * RF_E_DEVICE, and the message names the op whose result it read: shapes that depend on data
 * cannot be foretold. Read the loss outside of the step, or ask rf_context_dry first.
 */
#ifndef REFRAIN_PREDICT_H
#define REFRAIN_PREDICT_H

#include <refrain/explain.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A step of the caller's: all that is between one batch and the next. Every run is like any other,
 * and leaves no scope open. */
typedef struct rf_training_step {
    rf_status (*run)(void *payload);
    void *payload;
} rf_training_step;

/* How to predict; NULL and zeros are the defaults. */
typedef struct rf_predict_options {
    size_t size;
    size_t steps; /* run one after the other; 0: 2, for the first may take other bytes than those
                     that follow it                                                            */
    rf_explain **explain; /* gets the watch of the last step (owned): regions, what is held at the
                             peak by module, the time line; NULL: none is kept                 */
} rf_predict_options;
#define RF_PREDICT_OPTIONS_INIT          \
    {                                    \
        sizeof(rf_predict_options), 0, 0 \
    }

/* What was foretold. */
typedef struct rf_prediction {
    size_t size;
    uint64_t peak[RF_MEM_CLASSES]; /* the most bytes held at once on the processor in any of the
                                      steps; RF_MEM_ALL is what a limit must allow              */
    uint64_t host, file;           /* the most away on the host and in the spill file           */
    double seconds;                /* of the last step: the sum of what its ops cost, if costs are
                                      known; else 0                                             */
    double seconds_again;          /* of that, in recomputes                                    */
    uint64_t kernels;              /* in the last step                                          */
} rf_prediction;
#define RF_PREDICTION_INIT                        \
    {                                             \
        sizeof(rf_prediction), {0}, 0, 0, 0, 0, 0 \
    }

/* Foretell step. Fails as the step itself fails; RF_E_STATE inside a backward, a region or another
 * dry run, and while values of a graph are away on the host or in a file. */
RF_API RF_MUST_USE rf_status rf_predict(rf_prediction *out, rf_context *ctx,
                                        const rf_training_step *step,
                                        const rf_predict_options *opts);

#ifdef __cplusplus
}
#endif
#endif
