/* ranges.h: the free ranges of an address space, by address and by size.
 *
 * Invariant: no two ranges touch or overlap, and each is in two trees (treaps: a range's rank is
 * random, and no parent's rank is below its child's), so that every call takes logarithmic time.
 * Taking may need room for one more range; giving never does, if there was room for as many ranges
 * as blocks that are taken, and one: that room is made before something is taken.
 */
#ifndef RF_MEM_RANGES_H
#define RF_MEM_RANGES_H

#include "base/alloc.h"

enum { RF_RANGES_BY_BEGIN, RF_RANGES_BY_BYTES };

typedef struct rf_range {
    uint64_t begin, bytes;
    uint32_t child[2][2]; /* in either tree: before and after; 0: none */
    uint32_t rank;
} rf_range;

typedef struct rf_ranges {
    rf_allocator alloc;
    rf_range *nodes; /* 1 .. capacity; those unused are linked by child[0][0] */
    uint32_t capacity, unused;
    uint32_t root[2];
    uint32_t random;
} rf_ranges;

/* No range at all; room for none. */
void rf_ranges_begin(rf_ranges *r, const rf_allocator *alloc);
void rf_ranges_end(rf_ranges *r);
/* Room for num ranges. 0: no memory. */
int rf_ranges_reserve(rf_ranges *r, size_t num);

/* The last range that begins at or before `at`; NULL: none. */
const rf_range *rf_ranges_at(const rf_ranges *r, uint64_t at);
/* The smallest that has `bytes`, of equal ones the first; NULL: none. */
const rf_range *rf_ranges_best(const rf_ranges *r, uint64_t bytes);
/* 1: [begin, begin + bytes) was free, all of it, and is no longer. */
int rf_ranges_take(rf_ranges *r, uint64_t begin, uint64_t bytes);
/* It is free again, and joins its neighbours. */
void rf_ranges_give(rf_ranges *r, uint64_t begin, uint64_t bytes);

#endif
