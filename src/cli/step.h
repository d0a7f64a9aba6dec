/* step.h: one step of training, and a look at the held-out part. Failures are in the context; a
 * loss that is no number is one too (RF_E_USER). */
#ifndef RF_CLI_STEP_H
#define RF_CLI_STEP_H

#include "cli/figures.h"
#include "cli/session.h"

rf_status step_take(session *s, figures *f);
/* Forward and backward as in a step, of tokens that are no data; gradients are dropped. Only the
 * generator moves. */
rf_status step_rehearse(session *s);
/* Mean loss over the first held-out batches; *found 0 if the part is too short for one. */
rf_status step_held_out(session *s, double *loss, int *found);

#endif
