/* keep.h: the results of a region's ops that are not computed again.
 *
 * After every op of a region its policy says what becomes of the results (rf_fate). What is kept,
 * in memory or in a slower tier, stands in a list by step; a replay takes a step's results from
 * there instead of noting the op. Invariant: the list is in order of steps, and has all results of
 * a step or none; ids of storages rise along it.
 *
 * Backward gives slots back from the last step to the first, and a value is of use only to steps
 * after it and to its own backward; so once nobody waits for a value of step k or a later one,
 * everything that was kept from step k on may go.
 */
#ifndef RF_REMAT_KEEP_H
#define RF_REMAT_KEEP_H

#include "grad/engine.h"
#include "tensor/tiered.h"

#include <refrain/checkpoint.h>

typedef struct rf_frame rf_frame;
typedef struct rf_region_run rf_region_run;
typedef struct rf_island rf_island;                     /* once.h */
void rf_island_end(rf_context *ctx, rf_island *island); /* and all after it */

/* One result of one step. */
typedef struct rf_kept {
    uint32_t step;
    const rf_op_class *op;
    rf_storage *storage; /* referenced; NULL: away, and nobody has asked yet in this backward */
    rf_tiered *tiered;   /* NULL: it stays in memory */
    uint64_t id;         /* of the storage that was kept */
    uint32_t version;
    uint8_t trial; /* kept by a module that refuses, until it is known whether it is needed */
    uint8_t saved; /* a slot has it */
    rf_view view;
} rf_kept;

typedef struct rf_kept_list {
    rf_run_closer closer; /* drops what was fetched from a tier when a backward ends */
    rf_frame *frame;
    int open; /* the closer is on a list */
    rf_kept *v;
    size_t num, capacity;
    size_t trials; /* how many are on trial, at the end of v */
} rf_kept_list;

/* After a step of the first run: ask the policy, keep what it says. */
rf_status rf_keep_step(rf_region_run *run, rf_step *step);
/* After the last one: whether every op that fates tell by number was there. */
rf_status rf_keep_check_steps(const rf_region_run *run);
/* Before a step of a replay: its results, if they were kept (step->given). */
rf_status rf_keep_give(rf_region_run *run, rf_step *step);
/* Which kept value is the storage of this id; its num if none. Numbers change while the region
 * runs, ids do not. */
size_t rf_keep_find(const rf_kept_list *keep, uint64_t id);
/* *out gets a reference to a kept value, pending if it is away. */
rf_status rf_keep_look(rf_kept_list *keep, size_t index, rf_storage **out);
/* Nobody waits for a value of a step after `step`. */
void rf_keep_drop_after(rf_kept_list *keep, int64_t step);
void rf_keep_end(rf_kept_list *keep);

/* A module that refuses begins and ends its call: what its slots need, and its results, are kept.
 */
void rf_keep_refuse_begin(rf_scope *s);
void rf_keep_refuse_end(rf_scope *s, const rf_values *out);

#endif
