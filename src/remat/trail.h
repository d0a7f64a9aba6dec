/* trail.h: the ops of a pass in order, for debugging. */
#ifndef RF_REMAT_TRAIL_H
#define RF_REMAT_TRAIL_H

#include "grad/slot.h"

typedef struct rf_op_trail rf_op_trail;
rf_op_trail *rf_op_trail_create(rf_context *ctx);
void rf_op_trail_end(rf_op_trail *trail); /* NULL is fine */
rf_status rf_op_trail_add(rf_op_trail *trail, const rf_step *step);
/* Copies of the two are the context's mismatch from now on. */
void rf_op_trail_report(rf_context *ctx, const rf_op_trail *forward, const rf_op_trail *recompute);

#endif
