/* alloc.h: where memory comes from. An allocator is the user's function, or the C library's, or a
 * heap inside one block that the caller gave. */
#ifndef RF_BASE_ALLOC_H
#define RF_BASE_ALLOC_H

#include <refrain/base.h>

typedef struct rf_allocator {
    rf_alloc_fn fn;
    void *payload;
} rf_allocator;

static inline void *rf_allocator_get(const rf_allocator *a, size_t bytes)
{
    return a->fn(a->payload, NULL, 0, bytes);
}

static inline void rf_allocator_put(const rf_allocator *a, void *p, size_t bytes)
{
    if (p)
        a->fn(a->payload, p, bytes, 0);
}

/* The C library's, aligned to 64. */
void *rf_alloc_libc(void *payload, void *old, size_t old_size, size_t size);

/* A heap inside a block: first fit over a list of free pieces in order of address, so that
 * neighbours merge. NULL if the block is too small to begin in. */
typedef struct rf_heap rf_heap;
rf_heap *rf_heap_begin(void *block, size_t bytes);
void *rf_alloc_heap(void *heap, void *old, size_t old_size, size_t size);

#endif
