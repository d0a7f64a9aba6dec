/* report.h: how the command tells that something is wrong: one line on standard error,
 *
 *     refrain: what; where; what to do
 *
 * and an exit status. */
#ifndef RF_CLI_REPORT_H
#define RF_CLI_REPORT_H

#include <refrain/base.h>

enum {
    EXIT_FINE = 0,
    EXIT_FAILED = 1,   /* something could not be done               */
    EXIT_USAGE = 2,    /* the command line makes no sense           */
    EXIT_STOPPED = 130 /* by Ctrl-C or SIGTERM, after a clean end */
};

/* Any part may be NULL. Control characters become '?', so that it stays one line. */
void report_error(const char *what, const char *where, const char *advice);
/* "  text": a line that goes on with what an error told. */
void report_more(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same from the last error of a context; where and advice may be NULL. */
void report_failure(const rf_context *ctx, const char *where, const char *advice);
/* What to do about a context's last error while training: about memory if it is one of memory, else
 * `otherwise`. */
const char *report_advice(const rf_context *ctx, const char *otherwise);
/* "refrain: note: text": nothing is wrong, but worth knowing. */
void report_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
