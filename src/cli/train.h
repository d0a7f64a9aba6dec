/* train.h: refrain train. */
#ifndef RF_CLI_TRAIN_H
#define RF_CLI_TRAIN_H

#include "cli/verbs.h"

/* Run it; returns the exit status. Ends what the options hold. */
int train_run(train_options *options, option_set given);

#endif
