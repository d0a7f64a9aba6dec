/* search.h: schemes and what they take, found by running the step dry with each. A run of a
 * transformer's step takes less than a millisecond, so thousands can be tried; what is in the front
 * is therefore true, whatever the reasons for trying it were.
 *
 * Where to look comes from models: the chain solver on figures of single calls (chain.h), prices
 * for bytes on single sites, even splits; and then from what was found, by small changes.
 */
#ifndef RF_PLAN_SEARCH_H
#define RF_PLAN_SEARCH_H

#include "plan/scheme.h"

/* A scheme that was tried. */
typedef struct rf_trial {
    uint64_t peak; /* the most held, less the bookkeeping (rf_search_base) */
    double seconds;
    rf_scheme scheme;
    uint64_t exact; /* the peak with bookkeeping; 0: not known: see create.c */
} rf_trial;

/* What a scheme took, by its hash; 0 is none. */
typedef struct rf_tried {
    uint64_t key, peak;
    double seconds;
} rf_tried;

typedef struct rf_search {
    rf_scheme_space space;
    const rf_training_step *step;
    rf_trial *front; /* by rising peak, falling seconds */
    size_t num, capacity;
    rf_trial plain;
    uint64_t bound;  /* no scheme has a smaller peak */
    rf_tried *tried; /* schemes are met again and again: each runs once */
    size_t num_tried, tried_places;
    uint64_t tries, most_tries;
    uint64_t kernels, most_kernels; /* run and to be run, dry */
    double until;                   /* on the system's clock: past all reason */
} rf_search;

/* Bytes of bookkeeping that are held now, but for a spill file's, which not every scheme needs.
 * While a search runs they only rise, so they are no part of what schemes are compared by. */
uint64_t rf_search_base(const rf_search *search);
/* Try schemes of all kinds. In a dry run; step, sites and options stay the caller's. */
rf_status rf_search_begin(rf_search *out, const rf_scheme_space *space,
                          const rf_training_step *step, double seconds);
/* Look closer for the fastest within budget, with so many tries at most; budget 0: for the smallest
 * peak, with twice as many. */
rf_status rf_search_refine(rf_search *search, uint64_t budget, uint64_t tries);
/* The time for searching is over. It is told by kernels that ran dry, not by a clock, so that the
 * same step with the same options gives the same plan again; a clock stops only what is far slower
 * than a second for SEARCH_RATE kernels. */
int rf_search_late(const rf_search *search);
/* The fastest within budget; NULL: none. */
const rf_trial *rf_search_find(const rf_search *search, uint64_t budget);
void rf_search_end(rf_search *search);

/* ---- inside of search*.c ---- */

/* Run the step with a scheme and enter it in the front. *trial may be NULL; its scheme is not
 * set. */
rf_status rf_search_try(rf_search *search, const rf_scheme *scheme, rf_trial *trial);
/* Time is up. */
int rf_search_over(const rf_search *search);
/* Schemes that need no model of the whole (search_seed.c). */
rf_status rf_search_seeds(rf_search *search);
/* Schemes from the chain solver (search_chain.c). budget 0: for the whole curve. */
rf_status rf_search_chains(rf_search *search, uint64_t budget);

#endif
