/* probe.h: what one call of a site keeps and takes, by running it alone and dry: inputs of its
 * shapes, its forward as a region with fates (or plainly), its backward. */
#ifndef RF_PLAN_PROBE_H
#define RF_PLAN_PROBE_H

#include "plan/site.h"

/* Figures of a call. Bytes are the processor's; bookkeeping is left out. */
typedef struct rf_probe {
    uint64_t output, gradient; /* of all results, and of their gradients              */
    uint64_t saved;            /* alive after the forward, results included           */
    uint64_t forward_peak;     /* above what was there before, results included       */
    uint64_t backward_peak;    /* above what was there before the call: saved,
                                  gradients of results and inputs and work together   */
    uint64_t input_gradient;   /* left by the backward, and likewise:                 */
    uint64_t param_gradient;
    uint64_t away;                 /* sent to a tier by the forward                        */
    double forward, backward;      /* seconds; recomputing is part of the backward, and file
                                      tiers are as fast as they are when other work hides them */
    int holds_input, holds_output; /* of a plain link of a chain: rf_probe_holds */
} rf_probe;

/* fates NULL: a plain call; "": a region that keeps nothing. In a dry run, with nothing that
 * traces.
 */
rf_status rf_probe_site(rf_probe *out, const rf_site *site, const char *fates);

/* A plain call with the site's dial at so many bytes; it is then left to itself again. */
rf_status rf_probe_dial(rf_probe *out, const rf_site *site, uint64_t bytes);

/* Whether the graph of a plain call holds its first input, and its result, for backward: where this
 * can't be told, it does. Sets these two of *out. */
rf_status rf_probe_holds(rf_probe *out, const rf_site *site);

/* An op of the site whose results a region could keep. */
typedef struct rf_probe_op {
    uint32_t index; /* in the region */
    char name[44];
} rf_probe_op;
/* All of them, num at most; how many there are comes in *num. */
rf_status rf_probe_ops(rf_probe_op *ops, size_t *num, const rf_site *site);

#endif
