/* knapsack.h: an answer to compare planners with: which values to save under a cap in bytes, so
 * that the most time is saved: exact for bytes that are any real numbers, by branch and bound over
 * densities. */
#ifndef TEST_KNAPSACK_H
#define TEST_KNAPSACK_H

#include <refrain/base.h>

typedef struct rf_knapsack {
    size_t num;
    const double *bytes; /* not negative */
    const double *value; /* not negative */
    double cap;
    uint64_t effort; /* branches to try; 0: ten million */
} rf_knapsack;

/* taken[i] is 1 for the values to save; *value: their sum; *exact: 0 if the effort ran out and
 * there may be better. Errors: RF_E_ARGUMENT (negative or no numbers), RF_E_MEMORY, RF_E_BUDGET. */
rf_status rf_knapsack_solve(rf_context *ctx, const rf_knapsack *problem, uint8_t *taken,
                            double *value, int *exact);

#endif
