/* sample.h: refrain sample. */
#ifndef RF_CLI_SAMPLE_H
#define RF_CLI_SAMPLE_H

#include "cli/verbs.h"

int sample_run(const sample_options *options);

#endif
