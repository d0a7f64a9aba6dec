/* budget.h: --budget and --plan: what a run may keep, so that all of it fits. Everything is decided
 * in dry runs, before the first real byte; the run itself only carries it out. */
#ifndef RF_CLI_BUDGET_H
#define RF_CLI_BUDGET_H

#include "cli/rehearsal.h"

typedef struct budget {
    const train_options *options;
    option_set given;
    rf_context *tools;       /* with kernels, for costs; plans are kept in it */
    rf_costs *costs, *model; /* measured, if that is wanted; of the model alone */
    rf_plan *plan;           /* NULL: none is needed */
    rehearsal_figures plain, chosen;
    uint64_t grown;    /* bytes that looking for plans added to what the curve tells */
    uint64_t smallest; /* that is known to work; 0: it was not looked for */
    double seconds;    /* that planning took                              */
} budget;

/* Whether a run asks for it. */
int budget_wanted(const train_options *o);
/* Decide. What can't be is told in one message, with the smallest budget that works. Return exit
 * statuses; budget_end is for all outcomes. */
int budget_find(budget *b, const train_options *o, option_set given);
/* The same, but also where a run fits as it is: for the curve. */
int budget_find_plan(budget *b, const train_options *o, option_set given);
/* The smallest budget of all, as a plan with its figures. */
int budget_find_smallest(budget *b, const train_options *o, option_set given);
void budget_end(budget *b);
/* What the C library keeps of memory that was given back goes to the system: the run needs its
 * room. After planning, and after a model was made. */
void budget_give_back(void);

/* Slower than a run without a plan, in percent, by costs. */
/* Regions of the plan; a dial is none. */
size_t budget_regions(const budget *b);
double budget_slower(const budget *b);

/* What would help a run that passed its --memory, in at most `bytes` bytes; "" if nothing is known.
 * From dry runs. */
const char *budget_advice(char *buffer, size_t bytes, const train_options *o, option_set given);

#endif
