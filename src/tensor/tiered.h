/* tiered.h: a storage's bytes somewhere slower, and back again.
 *
 * Host tier: a copy in the processor's memory, in a ledger of its own (RF_DEVICE_HOST). File tier:
 * a piece of the context's spill file (RF_DEVICE_FILE counts it), written and read by a thread of
 * its own while kernels run.
 *
 * What is in the ledger when depends on the order of calls alone, never on how fast a disk is: a
 * value that is being written keeps its bytes until RF_TIERED_FLIGHT others have been sent after it
 * or the first is asked back; the value sent before the one that is asked for is read ahead.
 */
#ifndef RF_TENSOR_TIERED_H
#define RF_TENSOR_TIERED_H

#include "mem/spill.h"
#include "tensor/storage.h"

enum { RF_TIERED_FLIGHT = 2 };

typedef enum rf_tier { RF_TIER_HOST, RF_TIER_FILE } rf_tier;
typedef struct rf_tiered rf_tiered;

/* Send the bytes of s away; the caller keeps or drops its own reference. s is computed. */
rf_status rf_tiered_put(rf_tiered **out, rf_storage *s, rf_tier tier);
/* What was given back will be asked for once more. */
void rf_tiered_again(rf_tiered *t);
size_t rf_tiered_bytes(const rf_tiered *t);
/* Give s, which is pending and has no bytes, a copy of what was sent. Fails without a trace. */
rf_status rf_tiered_fill(rf_tiered *t, rf_storage *s);
/* The same as a new storage, which *out gets a reference to. */
rf_status rf_tiered_get(rf_tiered *t, rf_storage **out);
void rf_tiered_end(rf_tiered *t); /* NULL is fine */
/* s is about to change: whatever is on its way to the file gets there first. */
void rf_tiered_settle(rf_context *ctx, const rf_storage *s);
/* Whether anything is away. */
int rf_tiered_any(const rf_context *ctx);
/* In a dry run whose steps are different ones: the file that nothing is in any more is as if it had
 * never been opened, unless it really was or has other users. */
void rf_tiered_dry_rest(rf_context *ctx);
/* What it has in the ledger that this would take away. */
size_t rf_tiered_dry_footprint(const rf_context *ctx);
/* Of a dry run that ends: nothing it sent is away any more. */
void rf_tiered_dry_end(rf_context *ctx);
/* Of a context that ends. */
void rf_tiered_close(rf_context *ctx);

/* For what has jobs of its own (tensor/room.h): the context's file, opened if it was not; and the
 * error that an errno is. */
rf_status rf_tiered_spill(rf_spill **out, rf_context *ctx);
rf_status rf_tiered_failed(rf_context *ctx, const char *what, int error);

#endif
