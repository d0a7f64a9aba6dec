/* problem.h: refrain plan --problem: plans for graphs and chains that came from any framework. */
#ifndef RF_CLI_PROBLEM_H
#define RF_CLI_PROBLEM_H

#include "cli/options.h"

typedef struct problem_options {
    const char *problem;
    uint64_t budget, json;
    double seconds;
    uint64_t seed;
} problem_options;

extern const option_table problem_table;

/* Whether the arguments after the verb ask for it. It has options of its own: those that describe a
 * model would mean nothing. */
int problem_wanted(int argc, char **argv);
int problem_run(const problem_options *options, option_set given);

#endif
