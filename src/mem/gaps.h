/* gaps.h: the free ranges of an address space, by address and by size.
 *
 * Invariant: no two ranges touch or overlap, and each is in two trees (treaps: a range's rank is
 * random, and no parent's rank is below its child's), so that every call takes logarithmic time.
 * Taking may need room for one more range; giving never does, if there was room for as many ranges
 * as blocks that are taken, and one: that room is made before something is taken.
 */
#ifndef RF_MEM_GAPS_H
#define RF_MEM_GAPS_H

#include "base/alloc.h"

enum { RF_GAPS_BY_BEGIN, RF_GAPS_BY_BYTES };

typedef struct rf_gap {
    uint64_t begin, bytes;
    uint32_t child[2][2]; /* in either tree: before and after; 0: none */
    uint32_t rank;
} rf_gap;

typedef struct rf_gaps {
    rf_allocator alloc;
    rf_gap *nodes; /* 1 .. capacity; those unused are linked by child[0][0] */
    uint32_t capacity, unused;
    uint32_t root[2];
    uint32_t random;
} rf_gaps;

/* No range at all; room for none. */
void rf_gaps_begin(rf_gaps *r, const rf_allocator *alloc);
void rf_gaps_end(rf_gaps *r);
/* Room for num ranges. 0: no memory. */
int rf_gaps_reserve(rf_gaps *r, size_t num);

/* The last range that begins at or before `at`; NULL: none. */
const rf_gap *rf_gaps_at(const rf_gaps *r, uint64_t at);
/* The smallest that has `bytes`, of equal ones the first; NULL: none. */
const rf_gap *rf_gaps_best(const rf_gaps *r, uint64_t bytes);
/* 1: [begin, begin + bytes) was free, all of it, and is no longer. */
int rf_gaps_take(rf_gaps *r, uint64_t begin, uint64_t bytes);
/* It is free again, and joins its neighbours. */
void rf_gaps_give(rf_gaps *r, uint64_t begin, uint64_t bytes);

#endif
