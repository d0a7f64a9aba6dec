/* figures.h: what is known of a training step once it is done, for the eye and for the log. */
#ifndef RF_CLI_FIGURES_H
#define RF_CLI_FIGURES_H

#include <refrain/base.h>

typedef struct figures {
    uint64_t step;   /* 1 for the first                            */
    double loss;     /* mean over the step's batches               */
    uint64_t tokens; /* of this step */
    double seconds;
    uint64_t peak_bytes; /* most bytes held during the step       */
    uint64_t activation_peak_bytes;
    uint64_t resident_peak_bytes; /* of the process, so far        */
    double recompute_seconds;
    int has_held_out;
    double held_out_loss;
} figures;

/* Seconds on a clock that only goes forward. */
double figures_clock(void);
uint64_t figures_resident_peak(void);
double figures_rate(const figures *f); /* tokens a second */
/* Begin a step: peaks start afresh. */
void figures_begin(figures *f, rf_context *ctx, uint64_t step);
/* Fill in what the ledger, the clock and the system know. */
void figures_end(figures *f, rf_context *ctx);

#endif
