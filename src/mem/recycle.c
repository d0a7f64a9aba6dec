/* recycle.c: see recycle.h. */
#include "mem/recycle.h"

#if defined(RF_DEBUG)
enum { recycle_on = 0 };
#else
enum { recycle_on = 1 };
#endif

static rf_recycled **recycle_bucket(rf_recycle *r, size_t bytes)
{
    size_t h = bytes / 64;
    return &r->buckets[(h ^ h >> 8 ^ h >> 16) % RF_RECYCLE_BUCKETS];
}

void *rf_recycle_get(rf_recycle *r, size_t bytes)
{
    for (rf_recycled **at = recycle_bucket(r, bytes); *at; at = &(*at)->next) {
        rf_recycled *block = *at;
        if (block->bytes != bytes)
            continue;
        *at = block->next;
        r->bytes -= bytes;
        return block;
    }
    return NULL;
}

int rf_recycle_put(rf_recycle *r, void *p, size_t bytes, uint64_t used)
{
    if (!recycle_on || bytes < RF_RECYCLE_SMALLEST || used + r->bytes + bytes > r->high)
        return 0;
    rf_recycled *block = p, **bucket = recycle_bucket(r, bytes);
    *block = (rf_recycled){*bucket, bytes};
    *bucket = block;
    r->bytes += bytes;
    return 1;
}

void rf_recycle_trim(rf_recycle *r, const rf_allocator *alloc, uint64_t keep)
{
    while (r->bytes > keep) {
        rf_recycled **bucket = &r->buckets[r->hand++ % RF_RECYCLE_BUCKETS];
        while (*bucket && r->bytes > keep) {
            rf_recycled *block = *bucket;
            *bucket = block->next;
            r->bytes -= block->bytes;
            rf_allocator_put(alloc, block, block->bytes);
        }
    }
}

void rf_recycle_make_room(rf_recycle *r, const rf_allocator *alloc, uint64_t used)
{
    if (used > r->high)
        r->high = used;
    rf_recycle_trim(r, alloc, r->high - used);
}
