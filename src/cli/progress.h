/* progress.h: what a user sees of a run. On a terminal one line that is written over again; into a
 * pipe or a file plain lines, about twenty of them. */
#ifndef RF_CLI_PROGRESS_H
#define RF_CLI_PROGRESS_H

#include "cli/figures.h"

typedef struct progress {
    int terminal;
    int open; /* the terminal's line is not ended yet */
    uint64_t first, steps, every;
    double begun, shown; /* on the clock of figures.h */
    double mean;         /* of the loss, over the last steps or so */
    double held_out;
    int has_held_out;
} progress;

/* The run takes the steps after `first`, up to `steps`. */
void progress_begin(progress *p, uint64_t first, uint64_t steps);
void progress_step(progress *p, const figures *f);
/* Leave the line that is written over, so that others can be printed. */
void progress_end(progress *p);

#endif
