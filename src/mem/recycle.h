/* recycle.h: blocks that were given back and will be wanted again.
 *
 * A training step asks for the same sizes every time. Giving each block back to the system and
 * asking again costs a page fault for every 4 KiB of it, so blocks wait here by size. Invariant:
 * what waits and what is in use are together never more than was ever in use at once, so the
 * process is no larger for it. With RF_DEBUG nothing waits, so that sanitizers see every use after
 * its end.
 */
#ifndef RF_MEM_RECYCLE_H
#define RF_MEM_RECYCLE_H

#include "base/alloc.h"

enum { RF_RECYCLE_BUCKETS = 256, RF_RECYCLE_SMALLEST = 256 };

typedef struct rf_recycled {
    struct rf_recycled *next;
    size_t bytes;
} rf_recycled;

typedef struct rf_recycle {
    rf_recycled *buckets[RF_RECYCLE_BUCKETS];
    size_t bytes;  /* that wait                      */
    uint64_t high; /* the most ever in use at once   */
    size_t hand;   /* which bucket is emptied next   */
} rf_recycle;

/* A block of exactly these bytes that waits; NULL: none. */
void *rf_recycle_get(rf_recycle *r, size_t bytes);
/* 1: it waits from now on. 0: the caller frees it. used: bytes in use without it. */
int rf_recycle_put(rf_recycle *r, void *p, size_t bytes, uint64_t used);
/* Free blocks that wait until no more than keep bytes do. */
void rf_recycle_trim(rf_recycle *r, const rf_allocator *alloc, uint64_t keep);
/* Whenever bytes enter use, of whatever kind: free blocks until the invariant holds. used: bytes in
 * use, these included. */
void rf_recycle_make_room(rf_recycle *r, const rf_allocator *alloc, uint64_t used);

#endif
