/* gemm_f64.h: products in f64, for gradient checks and whoever wants them: less elaborate than
 * gemm.h. Only panels of b are packed; a is read where it lies. Parts are ranges of panels, so the
 * bits don't depend on threads.
 */
#ifndef RF_KERNEL_VECTOR_GEMM_F64_H
#define RF_KERNEL_VECTOR_GEMM_F64_H

#include "kernel/vector/gemm.h"

#define RF_WIDE_LANES (RF_LANES / 2)
#define RF_WIDE_VECS  2
#define RF_WIDE_COLS  (RF_WIDE_VECS * RF_WIDE_LANES)
#define RF_WIDE_ROWS  4

typedef double vec_wide __attribute__((vector_size(RF_LANES * 4)));
typedef double vec_wide_at __attribute__((vector_size(RF_LANES * 4), aligned(8), may_alias));

RF_INLINE vec_wide vec_wide_fma(double a, vec_wide b, vec_wide c)
{
    vec_wide s = a - (vec_wide){0};
#if RF_LANES == 16
    return (vec_wide)_mm512_fmadd_pd((__m512d)s, (__m512d)b, (__m512d)c);
#elif RF_LANES == 8
    return (vec_wide)_mm256_fmadd_pd((__m256d)s, (__m256d)b, (__m256d)c);
#else
    return s * b + c;
#endif
}

/* c (rows, RF_WIDE_COLS) = (add ? c : 0) + a (rows, k) b (k, RF_WIDE_COLS) */
RF_INLINE void vec_wide_tile(int rows, int64_t k, const double *a, int64_t row, int64_t step,
                             const double *b, double *c, int64_t c_row, int add)
{
    vec_wide sum[RF_WIDE_ROWS][RF_WIDE_VECS] = {{{0}}};
    for (int64_t p = 0; p < k; p++) {
        const vec_wide_at *v = (const vec_wide_at *)(b + p * RF_WIDE_COLS);
        RF_UNROLL
        for (int i = 0; i < rows; i++)
            RF_UNROLL
        for (int j = 0; j < RF_WIDE_VECS; j++)
            sum[i][j] = vec_wide_fma(a[i * row + p * step], v[j], sum[i][j]);
    }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < RF_WIDE_VECS; j++) {
            vec_wide_at *at = (vec_wide_at *)(c + i * c_row + j * RF_WIDE_LANES);
            *at = add ? (vec_wide)*at + sum[i][j] : sum[i][j];
        }
}

static size_t vec_wide_bytes(const vec_gemm *g)
{
    return (size_t)(vec_smaller(RF_GEMM_K, g->k) * RF_WIDE_COLS) * sizeof(double);
}

static vec_gemm vec_wide_of(size_t threads, const rf_view *a, const rf_view *b, const rf_view *c)
{
    vec_gemm g = vec_gemm_of(threads, a, b, c);
    int64_t panels = g.batch * ((g.n + RF_WIDE_COLS - 1) / RF_WIDE_COLS);
    g.parts = vec_smaller(g.grid_m * g.grid_n * g.batch, vec_smaller((int64_t)threads, panels));
    g.bytes = vec_wide_bytes(&g);
    return g;
}

/* Rows of c below one packed panel, from k block p on; the last columns may be missing. */
static void vec_wide_panel(const vec_gemm *g, const double *a, const double *panel, double *c,
                           int64_t cols, const int64_t k[2])
{
    unsigned r = g->c->shape.rank;
    int64_t row = g->a->strides[r - 2], step = g->a->strides[r - 1], i = 0;
    if (cols == RF_WIDE_COLS)
        for (; i + RF_WIDE_ROWS <= g->m; i += RF_WIDE_ROWS)
            vec_wide_tile(RF_WIDE_ROWS, k[1] - k[0], a + i * row + k[0] * step, row, step, panel,
                          c + i * g->n, g->n, g->add || k[0] > 0);
    for (; i < g->m; i++) {
        double some[RF_WIDE_COLS];
        vec_wide_tile(1, k[1] - k[0], a + i * row + k[0] * step, row, step, panel, some,
                      RF_WIDE_COLS, 0);
        for (int64_t j = 0; j < cols; j++)
            c[i * g->n + j] = some[j] + (g->add || k[0] > 0 ? c[i * g->n + j] : 0);
    }
}

static void vec_wide_part(const void *job, int64_t part)
{
    const vec_gemm *g = job;
    unsigned r = g->c->shape.rank;
    double *panel = (double *)(void *)(g->workspace + (size_t)part * g->bytes);
    int64_t lo, hi, panels = (g->n + RF_WIDE_COLS - 1) / RF_WIDE_COLS;
    int64_t down = g->b->strides[r - 2], right = g->b->strides[r - 1];
    vec_share(g->batch * panels, g->parts, part, &lo, &hi);
    for (; lo < hi; lo++) {
        int64_t batch = lo / panels, j = lo % panels * RF_WIDE_COLS;
        int64_t cols = vec_smaller(RF_WIDE_COLS, g->n - j), k[2] = {0, 0};
        const double *a = (const double *)g->a->data + vec_matrix_at(g->a, batch);
        const double *b = (const double *)g->b->data + vec_matrix_at(g->b, batch) + j * right;
        do {
            k[1] = vec_smaller(k[0] + RF_GEMM_K, g->k);
            for (int64_t p = k[0]; p < k[1]; p++)
                for (int64_t x = 0; x < RF_WIDE_COLS; x++)
                    panel[(p - k[0]) * RF_WIDE_COLS + x] = x < cols ? b[p * down + x * right] : 0;
            vec_wide_panel(g, a, panel, (double *)g->c->data + batch * g->m * g->n + j, cols, k);
            k[0] = k[1];
        } while (k[0] < g->k);
    }
}

#endif
