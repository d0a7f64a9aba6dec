/* place.h: where each block of a step lies in one arena, when all lifetimes are known.
 *
 * The load, the most bytes alive at one moment, bounds the arena from below; some problems need
 * more, and to find the least is NP-hard. Few blocks are placed exactly, many by fitting and
 * repair: the same answer for the same arrays, always, since effort is counted in steps and not in
 * seconds.
 */
#ifndef RF_PLAN_PLACE_H
#define RF_PLAN_PLACE_H

#include <refrain/base.h>

/* A block that lives from the moment `start` to the moment `end`, both included. Alignment is the
 * caller's: offsets are sums of sizes. */
typedef struct rf_place_block {
    uint64_t start, end, bytes;
} rf_place_block;

typedef struct rf_place_problem {
    const rf_place_block *blocks;
    size_t num;
    uint64_t goal;   /* good enough: no search once the arena is this small; 0: the load */
    uint64_t effort; /* steps of search; 0: about a quarter of a second                  */
} rf_place_problem;

typedef struct rf_placement {
    uint64_t top;   /* bytes of the arena                                         */
    uint64_t load;  /* the most alive at one moment                               */
    uint64_t bound; /* no arena is smaller: the load, or what was searched to the end */
} rf_placement;

/* offsets[i] of every block, so that no two that live at one moment overlap. Blocks of no bytes get
 * 0. Errors: RF_E_ARGUMENT (a block ends before it starts; sizes that do not fit 63 bits together),
 * RF_E_MEMORY, RF_E_BUDGET. */
rf_status rf_place(rf_context *ctx, const rf_place_problem *problem, uint64_t *offsets,
                   rf_placement *out);

#endif
