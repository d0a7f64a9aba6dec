/* memory.c: see memory.h. */
#include "plan/memory.h"
#include "base/check.h"

#include <string.h>

void *rf_plan_alloc(rf_context *ctx, size_t bytes)
{
    void *p = rf_allocator_get(&ctx->alloc, bytes ? bytes : 1);
    if (p)
        return memset(p, 0, bytes);
    rf_fail(ctx, RF_E_MEMORY, "no memory for %zu bytes of planning", bytes);
    return NULL;
}

void rf_plan_free(rf_context *ctx, void *p, size_t bytes)
{
    rf_allocator_put(&ctx->alloc, p, bytes ? bytes : 1);
}

char *rf_plan_copy_text(rf_context *ctx, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = rf_plan_alloc(ctx, bytes);
    return copy ? memcpy(copy, text, bytes) : NULL;
}

void rf_plan_free_text(rf_context *ctx, char *text)
{
    if (text)
        rf_plan_free(ctx, text, strlen(text) + 1);
}

rf_status rf_plan_grow(rf_context *ctx, void *items, size_t num, size_t *capacity,
                       size_t item_bytes)
{
    void **array = items;
    size_t wanted = *capacity ? *capacity * 2 : 8, bytes;
    if (num < *capacity)
        return RF_OK;
    if (!rf_mul_size(wanted, item_bytes, &bytes))
        return rf_fail(ctx, RF_E_MEMORY, "a list of planning grew too long");
    void *grown = rf_plan_alloc(ctx, bytes);
    if (!grown)
        return ctx->record.error.code;
    if (*array)
        memcpy(grown, *array, num * item_bytes);
    rf_plan_free(ctx, *array, *capacity * item_bytes);
    *array = grown;
    *capacity = wanted;
    return RF_OK;
}
