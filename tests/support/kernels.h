/* kernels.h: trying a kernel of every table that this machine runs against the reference. */
#ifndef TEST_KERNELS_H
#define TEST_KERNELS_H

#include "kernel/reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define TRIAL_VIEWS 8

/* One call of a kernel. in and out say shapes and strides; buffers are made by trial_run. */
typedef struct trial {
    size_t num_in, num_out;
    rf_view in[TRIAL_VIEWS], out[TRIAL_VIEWS];
    double low[TRIAL_VIEWS], high[TRIAL_VIEWS]; /* what each input is filled with, at random */
    /* The call; NULL for an absent view is up to it. */
    rf_status (*call)(const rf_kernels *k, const rf_exec *e, const rf_view *in, const rf_view *out,
                      const void *arg);
    size_t (*workspace)(const rf_kernels *k, size_t threads, const rf_view *in, const rf_view *out,
                        const void *arg);
    const void *arg;
    double relative, absolute; /* |got - want| <= relative |want| + absolute */
    int per_threads;           /* the bits may depend on the number of threads */
    int own_truth;             /* the reference in the trial's own types, not in f64 */
} trial;

/* Against the reference (in f64, from the same inputs), on every table: the tolerance, nothing
 * written behind a view, the same bits again, in other buffers and with 2 and 3 threads. */
void trial_run(const trial *t, const char *name);

rf_view view_make(rf_dtype dtype, size_t rank, ...); /* int dims */
rf_view view_swapped(rf_view v, size_t a, size_t b); /* the same elements, axes swapped */
rf_view view_repeated(rf_view v, size_t axis);       /* stride 0 */
rf_view view_spaced(rf_view v, int64_t factor);      /* all strides times factor */

/* Table number i of those that this machine runs; NULL past the end. */
const rf_kernels *table_at(size_t i);
/* Number i of a sequence that looks random, in [0, 1). */
double noise(uint64_t i);
/* Random f32 in [low, high). */
void noise_fill(float *x, size_t n, double low, double high, uint64_t salt);

#endif
