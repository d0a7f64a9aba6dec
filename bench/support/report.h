/* report.h: what the rounds of a bench of steps found, as lines and as one table. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "support/machine.h"
#include "support/products.h"
#include "support/training.h"

typedef enum report_who { REPORT_OURS, REPORT_SERIAL, REPORT_PEER } report_who;
typedef struct report_form {
    const char *name;
    report_who who;
    training_form form; /* ours */
} report_form;
/* Peer's names are what bench/peer_torch.py is asked for. */
enum {
    REPORT_PLAIN,
    REPORT_BLOCKS,
    REPORT_BF16,
    REPORT_BF16_BLOCKS,
    REPORT_ONE_THREAD,
    REPORT_EAGER,
    REPORT_COMPILED,
    REPORT_BF16_EAGER,
    REPORT_BF16_COMPILED,
    REPORT_FORMS
};
extern const report_form report_forms[REPORT_FORMS];

typedef struct report_round {
    training_times times[REPORT_FORMS]; /* .all is 0 for a form that did not run */
    double foreign;
} report_round;

/* A configuration. Entry i of all figures is of the same round. */
typedef struct report_row {
    const training_config *config;
    size_t threads, parameters;
    double peak, bandwidth, library;      /* FLOP/s, bytes/s, FLOP/s */
    figures step[REPORT_FORMS], parts[3]; /* forward, backward and optimiser of the plain form */
    int busy;                             /* rounds that did not count */
    double foreign;                       /* the most in a round       */
} report_row;

void report_row_add(report_row *row, const report_round *round, int counts);
void report_lines(const report_row *row);
void report_table(const report_row *rows, size_t num, const char *peer);

#endif
