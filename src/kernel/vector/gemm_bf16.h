/* gemm_bf16.h: products in bf16 with sums in f32, by the pairs of pairs.h; a and b are bf16 or f32,
 * which is rounded while it is packed, and c is either.
 *
 * Each part packs what it needs of a and b over all of k, as much as stays in its caches, and goes
 * over c in squares of RF_PAIR_LINES. The multiplication is so fast that memory decides: nothing is
 * packed twice unless it does not fit, and no sum leaves its registers before it is whole.
 */
#ifndef RF_KERNEL_VECTOR_GEMM_BF16_H
#define RF_KERNEL_VECTOR_GEMM_BF16_H

#include "kernel/vector/pairs.h"

#if defined(__AVX512BF16__)

#define RF_PAIR_BYTES_A (768 << 10) /* of a packed: what stays in the second cache */
#define RF_PAIR_BYTES_B (4 << 20)   /* of b packed: each panel is read once for all of that */
#define RF_PAIR_SERIAL  4000000     /* multiply-adds that are worth a thread */

/* Lines that are packed at a time: whole panels, of `bytes` if one has less. */
static int64_t vec_pairs_lines(int64_t count, int64_t k, int64_t bytes)
{
    int64_t panel = RF_PAIR_LINES * vec_round_up(k, RF_PAIR_K) * (int64_t)sizeof(uint16_t);
    int64_t panels = panel ? bytes / panel : 1;
    return vec_smaller((panels > 1 ? panels : 1) * RF_PAIR_LINES,
                       vec_round_up(count, RF_PAIR_LINES));
}

/* The largest part of count things in `parts` parts. */
static int64_t vec_pairs_most(int64_t count, int64_t parts)
{
    return (count + parts - 1) / parts;
}

static size_t vec_pairs_bytes(const vec_gemm *g, int64_t lines)
{
    return (size_t)(lines * vec_round_up(g->k, RF_PAIR_K)) * sizeof(uint16_t);
}

static int64_t vec_pairs_rows(const vec_gemm *g)
{
    return vec_pairs_lines(vec_pairs_most(g->m, g->grid_m), g->k, RF_PAIR_BYTES_A);
}

static int64_t vec_pairs_cols(const vec_gemm *g)
{
    return vec_pairs_lines(vec_pairs_most(g->n, g->grid_n), g->k, RF_PAIR_BYTES_B);
}

static vec_gemm vec_pairs_of(size_t threads, const rf_view *a, const rf_view *b, const rf_view *c)
{
    vec_gemm g = vec_gemm_of(threads, a, b, c);
    double work = (double)g.m * (double)g.n * (double)g.k * (double)g.batch / RF_PAIR_SERIAL;
    vec_gemm_grid(&g, work < (double)threads ? (work < 1 ? 1 : (int64_t)work) : (int64_t)threads);
    g.bytes = vec_pairs_bytes(&g, vec_pairs_rows(&g)) + vec_pairs_bytes(&g, vec_pairs_cols(&g));
    return g;
}

/* The square of c at row i and column j, of which [i, m) and [j, n) are wanted. */
static void vec_pairs_square(const vec_gemm *g, const vec_gemm_area *w, const float *const ab[2],
                             const int64_t ij[2], const int64_t mn[2])
{
    int64_t at = ij[0] * g->n + ij[1];
    int64_t rows = vec_smaller(RF_PAIR_LINES, mn[0] - ij[0]);
    int64_t cols = vec_smaller(RF_PAIR_LINES, mn[1] - ij[1]);
    float some[RF_PAIR_LINES * RF_PAIR_LINES];
    vec_operands o = {.c = (float *)w->c + at, .c_row = g->n};
    int narrow = g->c->shape.dtype == RF_BF16;
    if (!narrow && rows == RF_PAIR_LINES && cols == RF_PAIR_LINES) {
        vec_pairs_product(ab[0], ab[1], g->k, o, g->add);
        return;
    }
    for (int64_t r = 0; g->add && r < rows; r++)
        memcpy(some + r * RF_PAIR_LINES, o.c + r * g->n, (size_t)cols * sizeof(float));
    vec_pairs_product(ab[0], ab[1], g->k, (vec_operands){.c = some, .c_row = RF_PAIR_LINES},
                      g->add);
    for (int64_t r = 0; r < rows; r++)
        if (narrow)
            vec_bf16_write((uint16_t *)w->c + at + r * g->n, cols, some + r * RF_PAIR_LINES);
        else
            memcpy(o.c + r * g->n, some + r * RF_PAIR_LINES, (size_t)cols * sizeof(float));
}

/* Rows [m[0], m[1]) by columns [n[0], n[1]), both packed. */
static void vec_pairs_block(const vec_gemm *g, const vec_gemm_area *w, const int64_t m[2],
                            const int64_t n[2])
{
    const int64_t wanted[2] = {m[1], n[1]}, k = vec_round_up(g->k, RF_PAIR_K);
    for (int64_t j = n[0]; j < n[1]; j += RF_PAIR_LINES)
        for (int64_t i = m[0]; i < m[1]; i += RF_PAIR_LINES) {
            const float *const ab[2] = {w->pack_a + (i - m[0]) * k / 2,
                                        w->pack_b + (j - n[0]) * k / 2};
            const int64_t ij[2] = {i, j};
            vec_pairs_square(g, w, ab, ij, wanted);
        }
}

static void vec_pairs_area(const vec_gemm *g, const vec_gemm_area *w)
{
    int64_t rows = vec_pairs_rows(g), cols = vec_pairs_cols(g);
    for (int64_t j = w->n[0]; j < w->n[1]; j += cols) {
        const int64_t n[2] = {j, vec_smaller(j + cols, w->n[1])};
        vec_pairs_pack(&w->b, j, n[1] - j, g->k, 0, w->pack_b);
        for (int64_t i = w->m[0]; i < w->m[1]; i += rows) {
            const int64_t m[2] = {i, vec_smaller(i + rows, w->m[1])};
            if (j == w->n[0] || rows < w->m[1] - w->m[0])
                vec_pairs_pack(&w->a, i, m[1] - i, g->k, 1, w->pack_a);
            vec_pairs_block(g, w, m, n);
        }
    }
}

static void vec_pairs_part(const void *job, int64_t part)
{
    const vec_gemm *g = job;
    int64_t lo, hi;
    char *workspace = g->workspace + (size_t)part * g->bytes;
    vec_share(g->batch * g->grid_m * g->grid_n, g->parts, part, &lo, &hi);
    vec_pairs_begin();
    for (; lo < hi; lo++) {
        vec_gemm_area w = vec_gemm_area_of(g, lo);
        w.pack_a = (float *)(void *)workspace;
        w.pack_b = (float *)(void *)(workspace + vec_pairs_bytes(g, vec_pairs_rows(g)));
        vec_pairs_area(g, &w);
    }
    vec_pairs_end();
}

#endif
#endif
