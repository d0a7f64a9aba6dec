/* dry.h: a dry run: everything happens but bytes and kernels.
 *
 * In a dry context the processor has no bytes: tensors have shapes, ops are inferred, recorded and
 * entered in the ledger as always, and no kernel is called. The same code runs against the same
 * ledger, so its figures are those of a real run. The clock of events is the sum of what the ops
 * would cost.
 *
 * A context is dry from its creation on (options.dry), or for a while: between rf_dry_begin and
 * rf_dry_end, after which ledger, generator, counters and gradients are as they were. Invariants of
 * the while: no real byte is changed or given back (a real storage that loses its last user waits
 * for the end); bookkeeping is real, so it is entered in both ledgers.
 */
#ifndef RF_TENSOR_DRY_H
#define RF_TENSOR_DRY_H

#include "tensor/storage.h"

/* What a context was before a dry run, and what waits for its end. */
typedef struct rf_dry {
    rf_ledger ledger; /* without its limits, which do not hold for bookkeeping either */
    uint64_t limit[RF_MAX_DEVICES][RF_MEM_CLASSES];
    const rf_device_class *device; /* the processor */
    rf_rng rng;
    rf_tracer trace;
    double recompute_seconds;
    rf_op_tally tally[RF_TALLIES];
    rf_storage *freed; /* real ones without a user, by later  */
    void *leaves;      /* whose gradients changed: grad/leaf.c */
    void (*leaves_restore)(rf_context *ctx);
} rf_dry;

/* Begin and end a dry run. Limits do not hold meanwhile, and peaks begin at what is held now; in a
 * context that is dry for good that is all, and limits hold. RF_E_STATE in another dry run, or
 * where a backward, a region or a group is under way. */
rf_status rf_dry_begin(rf_context *ctx);
void rf_dry_end(rf_context *ctx);

/* A real storage is out of sight until the end, and leaves the ledger if nobody else uses it. */
void rf_dry_put_aside(rf_storage *s);
/* The last user of s has gone: 1 if s waits for the end of the dry run. */
int rf_dry_retains(rf_storage *s);
/* The call would have run now. */
void rf_dry_spend(rf_context *ctx, const rf_op_call *call);

#endif
