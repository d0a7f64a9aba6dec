/* check.h: refrain check. */
#ifndef RF_CLI_CHECK_H
#define RF_CLI_CHECK_H

#include "cli/verbs.h"

/* Run it; returns the exit status: 0 if all checks passed. */
int check_run(const check_options *options);

/* A round of checks: how many were made, and how many of them failed. */
typedef struct check_tally {
    const check_options *options;
    size_t made, failed;
} check_tally;

/* Gradients of every op against central differences, in f64. */
void check_gradients(check_tally *tally);
/* Loss and gradients of a small GPT, plain and in every form of checkpointing, by memcmp. */
void check_equality(check_tally *tally, size_t threads);

#endif
