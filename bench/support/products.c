/* products.c: see products.h. */
#include "support/products.h"

#include "kernel/library.h"

#if defined(RF_HAVE_ONEDNN)
typedef struct products_total {
    double flops, seconds;
} products_total;

static void *products_matrix(int64_t num)
{
    float *v = malloc((size_t)num * sizeof *v);
    if (!v)
        exit(1);
    for (int64_t i = 0; i < num; i++)
        v[i] = (float)(i * 7919 % 1000) / 1000;
    return v;
}

/* Median of some calls after one that warms. */
static double products_seconds(const rf_exec *e, const rf_sgemm *s)
{
    figures times = {.num = 0};
    for (int i = 0; i < 6; i++) {
        double begin = now();
        if (rf_library_sgemm(e, s))
            exit(1);
        if (i)
            figures_add(&times, now() - begin);
    }
    return median(&times);
}

/* num times y (m, n) = x (m, k) w (k, n), dx = dy w', dw = x' dy. */
static void products_add(products_total *t, const rf_exec *e, const int64_t shape[3], int64_t num)
{
    int64_t m = shape[0], k = shape[1], n = shape[2];
    float *x = products_matrix(m * k), *w = products_matrix(k * n), *y = products_matrix(m * n);
    const rf_sgemm calls[3] = {{m, n, k, {0, 0}, {k, n}, x, w, y, 0},
                               {m, k, n, {0, 1}, {n, n}, y, w, x, 0},
                               {k, n, m, {1, 0}, {k, n}, x, y, w, 0}};
    for (int i = 0; i < 3; i++)
        t->seconds += (double)num * products_seconds(e, &calls[i]);
    t->flops += 6.0 * (double)num * (double)m * (double)k * (double)n;
    free(x);
    free(w);
    free(y);
}

double products_rate(const training_config *c, size_t threads)
{
    rf_exec e = {threads, NULL};
    products_total total = {0, 0};
    int64_t rows = c->batch * c->context, w = c->width;
    if (!c->layers)
        return 0;
    products_add(&total, &e, (int64_t[]){rows, w, 3 * w}, c->layers);
    products_add(&total, &e, (int64_t[]){rows, w, w}, c->layers);
    products_add(&total, &e, (int64_t[]){rows, w, 4 * w}, c->layers);
    products_add(&total, &e, (int64_t[]){rows, 4 * w, w}, c->layers);
    products_add(&total, &e, (int64_t[]){rows, w, c->vocab}, 1);
    return total.flops / total.seconds;
}
#else
double products_rate(const training_config *c, size_t threads)
{
    (void)c;
    (void)threads;
    return 0;
}
#endif
