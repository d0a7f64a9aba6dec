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
    uint64_t peak; /* the most held, less the bookkeeping that is there anyway (rf_search_base) */
    double seconds;
    rf_scheme scheme;
} rf_trial;

typedef struct rf_search {
    rf_scheme_space space;
    const rf_training_step *step;
    rf_trial *front; /* by rising peak, falling seconds */
    size_t num, capacity;
    rf_trial plain;
    uint64_t bound; /* no scheme has a smaller peak */
    uint64_t tries, most_tries;
    double until; /* on the system's clock */
} rf_search;

/* Bytes of bookkeeping that all peaks have on top. It only rises, as chunks are never given back:
 * so it is no part of what schemes are compared by. */
uint64_t rf_search_base(const rf_search *search);
/* Try schemes of all kinds. In a dry run; step, sites and options stay the caller's. */
rf_status rf_search_begin(rf_search *out, const rf_scheme_space *space,
                          const rf_training_step *step, double seconds);
/* Look closer for the fastest within budget; 0: for the smallest peak. */
rf_status rf_search_refine(rf_search *search, uint64_t budget);
/* The fastest within budget; NULL: none. */
const rf_trial *rf_search_find(const rf_search *search, uint64_t budget);
void rf_search_end(rf_search *search);

/* ---- inside of search*.c ---- */

/* Run the step with a scheme and enter it in the front. *trial may be NULL; its scheme is not
 * set. */
rf_status rf_search_try(rf_search *search, const rf_scheme *scheme, rf_trial *trial);
/* Time is up. */
int rf_search_over(const rf_search *search);
/* Schemes from the chain solver (search_chain.c). budget 0: for the whole curve. */
rf_status rf_search_chains(rf_search *search, uint64_t budget);

#endif
