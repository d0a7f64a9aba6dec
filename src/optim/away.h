/* away.h: moments that wait in the spill file between steps, so that an optimiser takes a few
 * buffers of memory, however large its parameters are.
 *
 * The moments of a parameter lie in the file chunk by chunk, each chunk with all of its moments
 * side by side: one read, the rule, one write. While a chunk is moved, the one before is written
 * and the next is read; which parameter is next is what followed the last time, so that a step
 * inside the backward reads ahead as well as one after it.
 *
 * Invariants:
 *   - Bytes: the buffers and the room in the file are there from open to close, so no step, no
 *     failure and no disk's speed changes the ledger, and a step allocates nothing.
 *   - Order: the file's thread does jobs in order, and a chunk is read ahead only if it is not the
 *     one in hand; so what is read is what was written last.
 *   - Chunks that were never written are zeros and are not read: a first step reads nothing.
 *   - What was moved and could not be written is lost, and then no step goes on until a saved state
 *     is loaded.
 *
 * A parameter whose elements have gaps, or that is on another device than the first, keeps its
 * moments in memory. On the meta device only the buffers are counted; in a dry run all of it is,
 * and there is no file.
 */
#ifndef RF_OPTIM_AWAY_H
#define RF_OPTIM_AWAY_H

#include "optim/optim.h"

/* Decide which items' moments are away, and make room for them. Fails without a trace. */
rf_status rf_away_open(rf_optim *opt);
void rf_away_close(rf_optim *opt);

/* Apply the rule to an item that is away; whole is the move without moments. */
rf_status rf_away_move(rf_optim *opt, size_t index, const rf_optim_move *whole);
/* The end of a step that went so far: everything is in the file. Returns status, or what befell if
 * that was RF_OK. Nothing away is fine. */
rf_status rf_away_finish(rf_optim *opt, rf_status status);

/* Moment number j of an item: into t, which is zeros; from t. */
rf_status rf_away_read(rf_optim *opt, size_t index, size_t j, rf_tensor *t);
rf_status rf_away_write(rf_optim *opt, size_t index, size_t j, rf_tensor *t);
/* All moments were written anew: nothing is lost any more. */
void rf_away_restored(rf_optim *opt);

#endif
