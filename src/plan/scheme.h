/* scheme.h: a choice for every site and chain, and carrying it out through rf_checkpoint,
 * rf_checkpoint_ranges and dials. */
#ifndef RF_PLAN_SCHEME_H
#define RF_PLAN_SCHEME_H

#include "plan/option.h"

/* A run of links that is a region; by chain, then as rf_checkpoint_ranges wants them. */
typedef struct rf_scheme_range {
    uint32_t chain, first, count;
} rf_scheme_range;

typedef struct rf_scheme {
    uint8_t *option; /* of each site, in its type's list; 0 is plain. Does not count inside of a
                        site that keeps single ops, nor do ranges there: see rf_scheme_covered */
    rf_scheme_range *ranges;
    size_t num_ranges, cap_ranges;
} rf_scheme;

/* What schemes are about: all that they refer to. */
typedef struct rf_scheme_space {
    rf_context *ctx;
    const rf_sites *sites;
    const rf_options *options;
} rf_scheme_space;

/* All plain. */
rf_status rf_scheme_begin(rf_scheme *out, const rf_scheme_space *space);
rf_status rf_scheme_copy(rf_scheme *out, const rf_scheme_space *space, const rf_scheme *from);
void rf_scheme_end(rf_scheme *scheme, const rf_scheme_space *space);
/* A range at its place; one that is there already stays. RF_E_ARGUMENT if it overlaps another. */
rf_status rf_scheme_add_range(rf_scheme *scheme, const rf_scheme_space *space,
                              rf_scheme_range range);
void rf_scheme_remove_range(rf_scheme *scheme, size_t index);

/* Whether `site`, or one that it lies in, keeps single ops: they are known by their number, which
 * regions inside of it would change. SIZE_MAX: 0. */
int rf_scheme_covered(const rf_scheme *scheme, const rf_scheme_space *space, size_t site);
/* The option that counts. */
size_t rf_scheme_option(const rf_scheme *scheme, const rf_scheme_space *space, size_t site);
/* Whether the ranges of a chain count. */
int rf_scheme_has_ranges(const rf_scheme *scheme, const rf_scheme_space *space, size_t chain);

/* Whether `site` is a dial that the scheme turns. */
int rf_scheme_turns(const rf_scheme *scheme, const rf_scheme_space *space, size_t site);

/* On modules that have no checkpoint yet, and off again. On failure nothing is applied. */
rf_status rf_scheme_apply(const rf_scheme *scheme, const rf_scheme_space *space);
void rf_scheme_clear(const rf_scheme *scheme, const rf_scheme_space *space);

#endif
