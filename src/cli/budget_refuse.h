/* budget_refuse.h: a budget that can't be kept: the smallest that can, what is held at its peak,
 * and what would help, with figures. */
#ifndef RF_CLI_BUDGET_REFUSE_H
#define RF_CLI_BUDGET_REFUSE_H

#include "cli/budget.h"

/* Tell it, of b's smallest plan; returns the exit status. */
int budget_refuse(budget *b);

#endif
