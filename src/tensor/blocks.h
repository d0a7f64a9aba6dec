/* blocks.h: the blocks of tensor bytes that a stretch of a run asks of the processor, in order, and
 * when each is given back: what offsets are planned from.
 *
 * It is the same list whether the run is dry or real, for both come through the same two calls.
 * Moments count what came and went. The list is no part of the ledger: that of a dry run must be
 * the real one's.
 */
#ifndef RF_TENSOR_BLOCKS_H
#define RF_TENSOR_BLOCKS_H

#include "tensor/context_struct.h"

enum { RF_BLOCK_STAYS = 0 };

/* It came at the moment `begin` and went at `end`; RF_BLOCK_STAYS: not yet. */
typedef struct rf_block_life {
    uint64_t bytes, begin, end;
} rf_block_life;

typedef struct rf_block_log {
    rf_block_life *lives;
    size_t num, capacity;
    uint64_t first; /* number of the last block before */
    uint64_t clock;
    int failed;
} rf_block_log;

/* From now on, until rf_blocks_stop; one log at a time. */
void rf_blocks_watch(rf_context *ctx, rf_block_log *log);
/* RF_E_MEMORY: there was no room for some. What the log holds is freed by rf_blocks_free. */
rf_status rf_blocks_stop(rf_context *ctx, rf_block_log *log);
void rf_blocks_free(rf_context *ctx, rf_block_log *log);

/* A storage's bytes come: their number. They go. */
uint64_t rf_blocks_come(rf_context *ctx, size_t bytes);
void rf_blocks_go(rf_context *ctx, uint64_t number);

#endif
