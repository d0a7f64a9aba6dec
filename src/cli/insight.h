/* insight.h: --explain and --report: one step is watched, and the course of the run is kept. The
 * run itself is the same with them and without, bit for bit. */
#ifndef RF_CLI_INSIGHT_H
#define RF_CLI_INSIGHT_H

#include <refrain/explain.h>

#include "cli/budget.h"
#include "cli/figures.h"
#include "cli/session.h"

/* Some steps together, as many as keep the course short. */
typedef struct insight_point {
    uint64_t step; /* the last of them */
    double loss;   /* mean             */
    double held_out;
    int has_held_out;
} insight_point;

enum { INSIGHT_POINTS = 1024 };

typedef struct insight {
    const train_options *options;
    const budget *budget; /* what was planned; its plan is NULL where nothing was */
    int wanted;
    uint64_t at;        /* the step that is watched; 0: none (any more)            */
    rf_explain *chosen; /* NULL until then                                         */
    rf_explain *plain;  /* forward and backward of a plain step; NULL: none        */
    const char *no_plain;
    insight_point points[INSIGHT_POINTS];
    size_t num;
    uint64_t stride, in_newest; /* steps of a whole point, and of the newest */
    double seconds, recompute_seconds;
    uint64_t steps, tokens, peak, activation_peak;
} insight;

/* The run goes on after step `begun`. Begins the page, so that a place where none can be written is
 * told before the run and not after it. Return exit statuses. */
int insight_begin(insight *look, session *s, const budget *b, uint64_t begun);
/* Around a step: its end is where the watch ends; once all is known of it, what was seen is told.
 */
int insight_before(insight *look, session *s, uint64_t step);
void insight_stop(insight *look);
int insight_after(insight *look, session *s, const figures *f);
/* --explain's lines, once they are there. */
int insight_tell(insight *look, session *s);
/* Write the page. */
int insight_write(insight *look, session *s);
/* Before the session ends. */
void insight_end(insight *look);

#endif
