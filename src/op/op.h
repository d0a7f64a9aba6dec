/* op.h: running one op: fill a call, infer its shapes, compute it now or note it for later.
 *
 * Nothing here knows of gradients; grad/record.c is the one way in that users' code takes.
 */
#ifndef RF_OP_OP_H
#define RF_OP_OP_H

#include "tensor/handle.h"

/* A call with room for its views. */
typedef struct rf_call {
    rf_op_call call;
    rf_view in[RF_MAX_INPUTS];
    rf_view out[RF_MAX_OUTPUTS];
    unsigned char attrs[RF_MAX_ATTRS];
    uint64_t random_blocks;
} rf_call;

/* Fill c from tensors (entries may be NULL) and infer the outputs. */
rf_status rf_op_prepare(rf_call *c, rf_context *ctx, const rf_op_class *op, rf_tensor *const *in,
                        size_t num_in);
/* Compute (or note) a prepared call; the results, auxiliaries included, are handles in s. For an
 * in-place op out[0] is in[0] itself. */
rf_status rf_op_execute(rf_call *c, rf_scope *s, rf_tensor *const *in, rf_tensor **out);
/* The same for results that are there already: storages, one reference each of which is taken
 * over. */
rf_status rf_op_adopt(rf_call *c, rf_scope *s, rf_storage **storages, rf_tensor **out);
/* Call the kernel; views have their addresses. Counts it as executed. */
rf_status rf_op_compute(rf_op_call *call);

/* What a call costs: as the op says, else the bytes of its inputs and outputs. */
rf_op_cost rf_op_cost_of(const rf_op_call *call);

/* The tally of an op in a context; NULL if the table of tallies is full. */
rf_op_counts *rf_op_tally_of(rf_context *ctx, const rf_op_class *op);

static inline size_t rf_op_num_out(const rf_op_class *op)
{
    return op->num_out + op->num_aux;
}

/* The processor's kernels and how to run them, for forward functions. */
const rf_kernels *rf_call_kernels(const rf_op_call *call);
rf_exec rf_call_exec(const rf_op_call *call);

/* Note a prepared call; its outputs, pending, go to storages[]. */
rf_status rf_pending_note(const rf_call *c, rf_tensor *const *in, rf_storage **storages);

#endif
