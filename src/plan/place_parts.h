/* place_parts.h: what place.c and its two ways of placing share. */
#ifndef RF_PLAN_PLACE_PARTS_H
#define RF_PLAN_PLACE_PARTS_H

#include "plan/memory.h"
#include "plan/place.h"

/* Moments are numbered by the starts: only there can the load grow. */
typedef struct rf_place_item {
    uint64_t bytes, at;
    uint32_t start, end; /* moments, both included */
    uint32_t block;      /* of the problem         */
} rf_place_item;

enum { RF_PLACE_EXACT = 14 }; /* as many are placed by search to the end */

/* Items that must be placed together, from offset 0 on. */
typedef struct rf_place_group {
    rf_place_item *items;
    uint32_t num;
    uint64_t load; /* of these    */
    uint64_t goal; /* good enough */
} rf_place_group;

/* Set items[].at; *top: the arena. *effort goes down by the steps taken. */
rf_status rf_place_fit(rf_context *ctx, const rf_place_group *group, uint64_t *effort,
                       uint64_t *top);
/* The same for at most RF_PLACE_EXACT items that are placed in *top bytes: make it less, if it can
 * be. 1: *top is the least. */
int rf_place_exact(const rf_place_group *group, uint64_t *effort, uint64_t *top);

#endif
