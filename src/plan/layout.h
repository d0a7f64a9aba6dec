/* layout.h: from the blocks that a step asked for to the places that a pool gives them. */
#ifndef RF_PLAN_LAYOUT_H
#define RF_PLAN_LAYOUT_H

#include "plan/place.h"
#include "tensor/blocks.h"

typedef struct rf_layout {
    rf_pool_block *blocks; /* in the order of the step; what outlives it lies in the pool's rest */
    size_t num;
    rf_placement placement; /* of the others */
} rf_layout;

/* Errors: RF_E_MEMORY, RF_E_BUDGET. */
rf_status rf_layout_create(rf_layout *out, rf_context *ctx, const rf_block_log *log);
void rf_layout_free(rf_context *ctx, rf_layout *layout);

#endif
