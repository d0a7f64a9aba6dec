/* plan.h: the inside of a plan: parts and figures. */
#ifndef RF_PLAN_PLAN_H
#define RF_PLAN_PLAN_H

#include "plan/search.h"

#include <refrain/plan.h>

typedef struct rf_plan_own_part {
    char *path, *fates;
    size_t first, count;
    char *dial; /* NULL: a region */
    uint64_t bytes;
} rf_plan_own_part;

struct rf_plan {
    rf_context *ctx;
    rf_plan_info info;
    rf_plan_own_part *parts; /* those of a container are neighbours */
    size_t num_parts, cap_parts;
    rf_plan_point *points;
    size_t num_points, cap_points;
};

void rf_plan_forget_parts(rf_plan *plan);
/* The parts of a scheme. root: where paths begin. */
rf_status rf_plan_take(rf_plan *plan, const rf_scheme *scheme, const rf_scheme_space *space,
                       rf_module *root);

#endif
