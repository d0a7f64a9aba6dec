/* pooled.h: a context whose storages on the processor lie in one pool (mem/pool.h).
 *
 * Invariant: the pool's pages and all else that the ledger counts on the processor are together no
 * more than the pool's bytes and a 64th, as long as what is in use is.
 */
#ifndef RF_TENSOR_POOLED_H
#define RF_TENSOR_POOLED_H

#include "tensor/context_struct.h"

/* From now on storages come from a pool that keeps at most `bytes`, all that the ledger counts
 * included (0: no more than was ever in use), and that places these num blocks, in this order,
 * from the next rf_context_pool_step on. Asked again: other bytes, other blocks; storages stay
 * where they are. The ledger is no other than without a pool: its bookkeeping is beside it.
 *
 * RF_E_STATE: the context's memory is the caller's own (options.alloc, options.memory), or it is
 * dry. RF_E_ARGUMENT: a block that does not fit in `bytes`. RF_E_MEMORY. */
rf_status rf_context_set_pool(rf_context *ctx, uint64_t bytes, const rf_pool_block *blocks,
                              size_t num);
/* A step begins. Nothing without a pool. */
void rf_context_pool_step(rf_context *ctx);

/* The bytes that are no storages' have changed: free pages make room for them. */
void rf_context_pool_room(rf_context *ctx);
/* All of its free pages go back. 1: some did. */
int rf_context_pool_trim(rf_context *ctx);

#endif
