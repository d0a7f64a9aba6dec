/* pool.h: one pool for the bytes of a context's storages, behind the promise of a byte budget: no
 * fragmentation that costs memory, no page fault once the first step is over, and never more kept
 * than a limit, but for what is in use.
 *
 * The pool reserves addresses, far more than it may hold, and holds only pages that it needs. A
 * plan lists the blocks that a step asks for, in order, and where each lies (plan/place.h): those
 * lie in the arena, at the front, where nothing else is put. What the plan does not know, or does
 * not find free, is fitted tightly into the rest: gaps there cost addresses and no memory, since
 * free pages above the limit are given back, those first that are wanted least: the rest before the
 * arena, high addresses before low ones. Without a plan all is the rest.
 *
 * Every block is 64-byte aligned and takes its size rounded up to 64 bytes (none: 64). Blocks are
 * freed by address and size, so they carry no header; a call takes time logarithmic in the number
 * of free ranges. Under AddressSanitizer free ranges are poisoned.
 */
#ifndef RF_MEM_POOL_H
#define RF_MEM_POOL_H

#include "base/alloc.h"

/* A block of the plan: what is asked for, and where it lies in the arena (a multiple of 64), or
 * that it lies in the rest, as what outlives its step should. */
typedef struct rf_pool_block {
    uint64_t bytes, offset;
} rf_pool_block;
#define RF_POOL_REST UINT64_MAX

typedef struct rf_pool_options {
    uint64_t limit;   /* bytes kept at most, in pages; 0: what was ever in use at once, 1/32
                         of it and 64 pages */
    uint64_t arena;   /* the largest arena of any plan to come: addresses only */
    uint64_t reserve; /* addresses behind the arena; 0: 4 times the limit and 1 GiB, or twice the
                         machine's memory without a limit. Halved where there are fewer, down to
                         the limit; without one, down to the arena */
    size_t blocks;    /* in use behind the arena at once, about: bookkeeping for these is made
                         now; for a plan's, with the plan */
} rf_pool_options;

typedef struct rf_pool_info {
    uint64_t used, used_peak; /* by blocks, rounded                                   */
    uint64_t asked;           /* by blocks, as asked for                              */
    uint64_t kept, kept_peak; /* in pages: no more of the pool is resident            */
    uint64_t arena_top;       /* of the plan                                          */
    uint64_t blocks;          /* in use                                               */
    uint64_t planned;         /* blocks so far that lay where the plan says           */
    uint64_t displaced;       /* that the plan knew, but whose place was taken        */
    uint64_t unplanned;       /* that it did not know                                 */
    uint64_t page_gets;       /* calls that asked the system for pages                */
    uint64_t page_puts;       /* and gave some back                                   */
} rf_pool_info;

typedef struct rf_pool rf_pool;

/* Bookkeeping comes from alloc. NULL: no memory or no addresses. */
rf_pool *rf_pool_create(const rf_allocator *alloc, const rf_pool_options *opts);
/* All blocks end. */
void rf_pool_destroy(rf_pool *pool);

/* From the next step on: num blocks, in the order in which a step asks for them; copied. 0: no
 * memory, or a block that does not lie in the arena, and then the old plan stays. */
int rf_pool_plan(rf_pool *pool, const rf_pool_block *blocks, size_t num);
/* A step begins: its first planned block is the next one. */
void rf_pool_step_begin(rf_pool *pool);
void rf_pool_set_limit(rf_pool *pool, uint64_t bytes);
/* Give free pages back until no more than `keep` bytes are there, if so many can go. */
void rf_pool_trim(rf_pool *pool, uint64_t keep);

/* Uninitialised bytes. NULL: no memory. */
void *rf_pool_get(rf_pool *pool, size_t bytes);
/* bytes as it was asked for; p NULL is fine. */
void rf_pool_put(rf_pool *pool, void *p, size_t bytes);
/* Whether p is a block of this pool. */
int rf_pool_owns(const rf_pool *pool, const void *p);
void rf_pool_get_info(const rf_pool *pool, rf_pool_info *out);

#endif
