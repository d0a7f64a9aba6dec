/* pool.h: the places of a step's blocks, kept so that shapes can take turns. */
#ifndef RF_PLAN_POOL_H
#define RF_PLAN_POOL_H

#include "plan/layout.h"

#include <refrain/plan.h>

/* Lay out the second of two dry runs of the step. The caller frees it by rf_layout_free. */
rf_status rf_pool_layout(rf_layout *out, rf_context *ctx, const rf_training_step *step);

#endif
