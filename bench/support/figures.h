/* figures.h: what benches share: a clock, an end to what goes wrong, and medians with their spread.
 */
#ifndef BENCH_FIGURES_H
#define BENCH_FIGURES_H

#include <refrain/refrain.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_RUNS = 32 };

static inline double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline void demand(rf_context *ctx, rf_status status)
{
    if (!status)
        return;
    fprintf(stderr, "bench: %s: %s\n", rf_status_name(status), rf_context_error(ctx)->message);
    exit(1);
}

typedef struct figures {
    double v[MAX_RUNS];
    int num;
} figures;

static inline void figures_add(figures *f, double value)
{
    if (f->num < MAX_RUNS)
        f->v[f->num++] = value;
}

static inline int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static inline double median(figures *f)
{
    qsort(f->v, (size_t)f->num, sizeof f->v[0], compare);
    return f->v[f->num / 2];
}

static inline void print_figure(const char *name, figures *f, double scale, const char *unit)
{
    double middle = median(f);
    printf("  %-44s %9.3f %-4s (%.3f to %.3f)\n", name, middle * scale, unit, f->v[0] * scale,
           f->v[f->num - 1] * scale);
}

#endif
