/* rehearsal.h: a run in a dry context of its own: the same model, optimiser, saves, steps and looks
 * at the held-out part, in the same order, but without bytes. What it takes is what the run takes,
 * and it is over in milliseconds. */
#ifndef RF_CLI_REHEARSAL_H
#define RF_CLI_REHEARSAL_H

#include <refrain/plan.h>

#include "cli/session.h"

typedef struct rehearsal {
    train_options options; /* its own, for the session changes them */
    session session;
    uint64_t step;
} rehearsal;

/* What was foretold, and a watch of the last step. It stays where it is: the watch and the session
 * that it was of are in it. */
typedef struct rehearsal_figures {
    rehearsal of;
    uint64_t peak;      /* of all, from the first parameter to the last save */
    uint64_t step_peak; /* of the steps alone                                */
    double seconds;     /* of the last step, by costs                        */
    rf_explain *look;   /* NULL: it has not been                             */
} rehearsal_figures;

/* Build the session. Return exit statuses, and report; rehearsal_end is for both outcomes. */
int rehearsal_begin(rehearsal *r, const train_options *options, option_set given);
void rehearsal_end(rehearsal *r);
/* A step of it, for rf_plan_create and the like (r is its payload). */
rf_training_step rehearsal_step(rehearsal *r);

/* All of a run with a plan (of any context; NULL: none), timed by costs, in a session of its own.
 */
int rehearsal_play(rehearsal_figures *out, const train_options *options, option_set given,
                   const rf_plan *plan, rf_costs *costs);
/* Zeros are fine. */
void rehearsal_forget(rehearsal_figures *f);

/* Put a plan of any context on a session's model; report if it does not fit. */
int rehearsal_apply(const rf_plan *plan, session *s);

#endif
