/* watch.h: what a region is worth, for events (refrain/trace.h): which bytes its slots keep, and
 * which a plain run would have kept. One call at its begin, one for each value that it saves, one
 * at its end; nothing but a branch each while nobody is told. */
#ifndef RF_REMAT_WATCH_H
#define RF_REMAT_WATCH_H

#include "grad/slot.h"

/* A storage that a region has to do with. */
typedef struct rf_watch_item {
    uint64_t storage;
    uint64_t bytes;
    uint8_t fate; /* of watch.c */
} rf_watch_item;

/* Part of a region's run. The list is the allocator's, not the ledger's: watching must not change
 * what is watched. */
typedef struct rf_watch {
    int on;
    int lost; /* no memory for the list: nothing is told of bytes */
    double begin;
    rf_watch_item *items;
    size_t num, capacity;
} rf_watch;

struct rf_region_run;
void rf_watch_begin(struct rf_region_run *run);
/* A value was saved; inside: the region computed it, and will again unless a policy keeps it. */
void rf_watch_save(struct rf_region_run *run, const rf_save *save, int inside);
/* The function has returned; out: its results, NULL in a recompute. Tells the event. */
void rf_watch_end(struct rf_region_run *run, rf_status status, const rf_values *out);

#endif
