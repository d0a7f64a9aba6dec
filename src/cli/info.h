/* info.h: refrain info. */
#ifndef RF_CLI_INFO_H
#define RF_CLI_INFO_H

#include "cli/verbs.h"

int info_run(const info_options *options);

#endif
