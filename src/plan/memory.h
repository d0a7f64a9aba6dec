/* memory.h: memory of planning, from the context's allocator and beside the ledger: looking for a
 * plan must not change what it looks at. */
#ifndef RF_PLAN_MEMORY_H
#define RF_PLAN_MEMORY_H

#include "tensor/context_struct.h"

/* Zeroed; NULL: the error is recorded. */
void *rf_plan_alloc(rf_context *ctx, size_t bytes);
void rf_plan_free(rf_context *ctx, void *p, size_t bytes); /* NULL is fine */
char *rf_plan_copy_text(rf_context *ctx, const char *text);
void rf_plan_free_text(rf_context *ctx, char *text);
/* As rf_host_grow. */
rf_status rf_plan_grow(rf_context *ctx, void *items, size_t num, size_t *capacity,
                       size_t item_bytes);

#endif
