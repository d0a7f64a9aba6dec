/* log.h: one JSON object a line. A line is written whole, so that a reader never sees half of one
 * that will not become whole. */
#ifndef RF_CLI_LOG_H
#define RF_CLI_LOG_H

#include <stdio.h>

#include "cli/figures.h"

typedef struct train_log {
    FILE *file; /* NULL: no log is wanted */
    const char *path;
} train_log;

/* The end of a run. */
typedef struct log_end {
    uint64_t steps;
    uint64_t parameters;
    uint64_t hash;
    double seconds;
    uint64_t peak_bytes, activation_peak_bytes; /* the most of any step */
    int planned;                                /* then, as foretold: */
    uint64_t predicted_peak_bytes;
    double predicted_slower; /* percent */
} log_end;

/* path may be NULL. A run that goes on after step `resumed` keeps the lines up to there; 0 begins
 * an empty file. Return exit statuses, and report. */
int log_open(train_log *log, const char *path, uint64_t resumed);
int log_step(train_log *log, const figures *f);
int log_done(train_log *log, const log_end *end);
int log_close(train_log *log);

#endif
