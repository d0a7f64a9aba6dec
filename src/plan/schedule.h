/* schedule.h: a choice for every site and chain, and carrying it out through rf_checkpoint and
 * rf_checkpoint_ranges. */
#ifndef RF_PLAN_SCHEDULE_H
#define RF_PLAN_SCHEDULE_H

#include "plan/option.h"

/* A run of links that is a region; by chain, then as rf_checkpoint_ranges wants them. */
typedef struct rf_schedule_range {
    uint32_t chain, first, count;
} rf_schedule_range;

typedef struct rf_schedule {
    uint8_t *option; /* of each site, in its type's list; 0 is plain */
    rf_schedule_range *ranges;
    size_t num_ranges, cap_ranges;
} rf_schedule;

/* What schedules are about: all that they refer to. */
typedef struct rf_schedule_space {
    rf_context *ctx;
    const rf_sites *sites;
    const rf_options *options;
} rf_schedule_space;

/* All plain. */
rf_status rf_schedule_begin(rf_schedule *out, const rf_schedule_space *space);
rf_status rf_schedule_copy(rf_schedule *out, const rf_schedule_space *space,
                           const rf_schedule *from);
void rf_schedule_end(rf_schedule *schedule, const rf_schedule_space *space);
/* A range at its place; one that is there already stays. RF_E_ARGUMENT if it overlaps another. */
rf_status rf_schedule_add_range(rf_schedule *schedule, const rf_schedule_space *space,
                                rf_schedule_range range);
void rf_schedule_remove_range(rf_schedule *schedule, size_t index);

/* On modules that have no checkpoint yet, and off again. On failure nothing is applied. */
rf_status rf_schedule_apply(const rf_schedule *schedule, const rf_schedule_space *space);
void rf_schedule_clear(const rf_schedule *schedule, const rf_schedule_space *space);

#endif
