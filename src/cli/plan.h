/* plan.h: refrain plan: what a budget of memory costs, before training. */
#ifndef RF_CLI_PLAN_H
#define RF_CLI_PLAN_H

#include "cli/verbs.h"

int plan_run(plan_options *options, option_set given);

#endif
