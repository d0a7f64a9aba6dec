/* gemm.h: matrix products of our own, for any strides, f32 and bf16 in any mix, computed in f32.
 *
 * Blocked as usual (Goto and van de Geijn 2008): panels of b, RF_TILE_COLS wide, and of a,
 * RF_TILE_ROWS high, are copied to the workspace so that the inner loop reads straight on. Each
 * thread computes whole blocks of c with its own panels. An element of c is a sum over k in blocks
 * of one size, in order, whatever block or thread it falls to: the bits don't depend on threads.
 */
#ifndef RF_KERNEL_VECTOR_GEMM_H
#define RF_KERNEL_VECTOR_GEMM_H

#include "kernel/vector/loops.h"
#include "kernel/vector/tile.h"

#define RF_GEMM_K      256 /* of f64 and bf16 */
#define RF_GEMM_DEEP   384 /* the most of f32: what is left over is divided evenly */
#define RF_GEMM_M      96  /* a multiple of every RF_TILE_ROWS */
#define RF_GEMM_N      1024
#define RF_GEMM_SERIAL 500000 /* multiply-adds that are worth a thread */

/* One matrix of a stack. */
typedef struct vec_matrix {
    const char *data;
    int64_t row, col; /* strides */
    int dtype;
} vec_matrix;

typedef struct vec_gemm {
    int64_t m, n, k, batch;
    int64_t grid_m, grid_n, parts; /* blocks of one product; parts of the whole */
    const rf_view *a, *b, *c;
    int narrow; /* some of the three is bf16 */
    int add;    /* to what c holds; not bf16 */
    vec_part_fn body;
    char *workspace;
    size_t bytes; /* of it, for each part */
} vec_gemm;

static int64_t vec_round_up(int64_t n, int64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static int64_t vec_smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* How c is cut among threads: the grid with the smallest blocks, padding counted; among equals that
 * whose threads pack the least. */
static void vec_gemm_grid(vec_gemm *g, int64_t threads)
{
    int64_t best = INT64_MAX, least = INT64_MAX;
    g->grid_m = g->grid_n = 1;
    for (int64_t rows = 1; rows <= threads && g->batch < threads; rows++) {
        int64_t cols = threads / rows;
        int64_t m = vec_round_up((g->m + rows - 1) / rows, RF_TILE_ROWS);
        int64_t n = vec_round_up((g->n + cols - 1) / cols, RF_TILE_COLS);
        if (threads % rows || m * n > best || (m * n == best && m + n >= least))
            continue;
        best = m * n;
        least = m + n;
        g->grid_m = rows;
        g->grid_n = cols;
    }
    g->parts = vec_smaller(threads, g->batch * g->grid_m * g->grid_n);
}

/* Of k, how much is added up in registers at a time: blocks of one size, but for the last. */
static int64_t vec_gemm_depth(const vec_gemm *g)
{
    if (g->c->shape.dtype != RF_F32)
        return vec_smaller(RF_GEMM_K, g->k);
    int64_t blocks = (g->k + RF_GEMM_DEEP - 1) / RF_GEMM_DEEP;
    return blocks ? (g->k + blocks - 1) / blocks : 1;
}

static size_t vec_gemm_bytes_a(const vec_gemm *g)
{
    int64_t m = vec_smaller(RF_GEMM_M, vec_round_up(g->m, RF_TILE_ROWS));
    return (size_t)vec_round_up(m * vec_gemm_depth(g) * 4, 64) + 64; /* strips spoil */
}

static size_t vec_gemm_bytes_b(const vec_gemm *g)
{
    int64_t n = vec_smaller(RF_GEMM_N, vec_round_up(g->n, RF_TILE_COLS));
    return (size_t)vec_round_up(n * vec_gemm_depth(g) * 4, 64);
}

/* For bf16, a block of c in f32. */
static size_t vec_gemm_bytes_c(const vec_gemm *g)
{
    int64_t m = vec_smaller(RF_GEMM_M, vec_round_up(g->m, RF_TILE_ROWS));
    int64_t n = vec_smaller(RF_GEMM_N, vec_round_up(g->n, RF_TILE_COLS));
    return g->c->shape.dtype == RF_F32 ? 0 : (size_t)vec_round_up(m * n * 4, 64);
}

static vec_gemm vec_gemm_of(size_t threads, const rf_view *a, const rf_view *b, const rf_view *c)
{
    unsigned r = c->shape.rank;
    vec_gemm g = {.m = c->shape.dims[r - 2], .n = c->shape.dims[r - 1], .batch = 1};
    g.k = a->shape.dims[r - 1];
    for (unsigned i = 0; i + 2 < r; i++)
        g.batch *= c->shape.dims[i];
    g.a = a;
    g.b = b;
    g.c = c;
    g.narrow = a->shape.dtype == RF_BF16 || b->shape.dtype == RF_BF16 || c->shape.dtype == RF_BF16;
    double work = (double)g.m * (double)g.n * (double)g.k * (double)g.batch / RF_GEMM_SERIAL;
    vec_gemm_grid(&g, work < (double)threads ? (work < 1 ? 1 : (int64_t)work) : (int64_t)threads);
    g.bytes = vec_gemm_bytes_a(&g) + vec_gemm_bytes_b(&g) + vec_gemm_bytes_c(&g);
    return g;
}

/* ---- packing ---- */

/* to[p * unit + i] = src[p * step + i] for i < unit: whole vectors, each spoiling what the next
 * will write. */
RF_INLINE void vec_pack_straight(const float *src, int64_t step, int64_t k, int64_t unit, float *to)
{
    for (int64_t p = 0; p < k; p++)
        for (int64_t i = 0; i < unit; i += RF_LANES)
            vec_store(
                to + p * unit + i,
                vec_load_part(src + p * step + i, unit - i < RF_LANES ? unit - i : RF_LANES, 0));
}

/* count vectors ("lines") of length k from src, line_stride apart, as to[p * unit + line]; lines
 * beyond count are 0. */
static void vec_pack_f32(const float *src, int64_t line, int64_t step, int64_t count, int64_t k,
                         int64_t unit, float *to)
{
    if (count < unit)
        memset(to, 0, (size_t)(unit * k) * sizeof(float));
    if (line == 1 && count == RF_TILE_COLS && unit == RF_TILE_COLS) {
        vec_pack_straight(src, step, k, RF_TILE_COLS, to);
        return;
    }
    if (line == 1 && count == RF_TILE_ROWS && unit == RF_TILE_ROWS) {
        vec_pack_straight(src, step, k, RF_TILE_ROWS, to);
        return;
    }
    if (line == 1) {
        for (int64_t p = 0; p < k; p++)
            memcpy(to + p * unit, src + p * step, (size_t)count * sizeof(float));
        return;
    }
    if (step == 1) { /* strips side by side, each spoiling what the next will write */
        for (int64_t i = 0; i < count; i += RF_LANES)
            vec_transpose_strip(src + i * line, line, vec_smaller(RF_LANES, count - i), k, to + i,
                                unit, RF_LANES);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        for (int64_t p = 0; p < k; p++)
            to[p * unit + i] = src[i * line + p * step];
}

static void vec_pack_bf16(const uint16_t *src, int64_t line, int64_t step, int64_t count, int64_t k,
                          int64_t unit, float *to)
{
    if (count < unit)
        memset(to, 0, (size_t)(unit * k) * sizeof(float));
    if (line == 1) {
        for (int64_t p = 0; p < k; p++)
            vec_bf16_read(src + p * step, count, to + p * unit);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        for (int64_t p = 0; p < k; p++)
            to[p * unit + i] = vec_from_bf16(src[i * line + p * step]);
}

/* Panels of `unit` lines each, one after the other, of `count` lines by k from (line, p). */
static void vec_pack(const vec_matrix *x, int64_t line, int64_t p, int64_t count, int64_t k,
                     int64_t unit, float *to)
{
    for (int64_t i = 0; i < count; i += unit, to += unit * k) {
        int64_t n = vec_smaller(unit, count - i), at = (line + i) * x->row + p * x->col;
        if (x->dtype == RF_F32)
            vec_pack_f32((const float *)x->data + at, x->row, x->col, n, k, unit, to);
        else
            vec_pack_bf16((const uint16_t *)x->data + at, x->row, x->col, n, k, unit, to);
    }
}

/* ---- blocks ---- */

/* A tile at the edge of c, of m by n: computed whole, kept in part. */
static void vec_gemm_edge(vec_operands x, int64_t k, int64_t m, int64_t n, int add)
{
    float whole[RF_TILE_ROWS * RF_TILE_COLS], *c = x.c;
    int64_t c_row = x.c_row;
    x.c = whole;
    x.c_row = RF_TILE_COLS;
    vec_tile(RF_TILE_ROWS, k, x, 0);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            float s = whole[i * RF_TILE_COLS + j];
            c[i * c_row + j] = add ? c[i * c_row + j] + s : s;
        }
}

/* The tile's part of c is on its way, as far as the second cache, while the tile is computed. */
RF_INLINE void vec_gemm_expect(const vec_operands *x)
{
    RF_UNROLL
    for (int i = 0; i < RF_TILE_ROWS; i++)
        for (int j = 0; j < RF_TILE_COLS; j += 16)
            __builtin_prefetch(x->c + i * x->c_row + j, 1, 2);
}

/* c (m, n) = (add ? c : 0) + packed a (m, k) packed b (k, n) */
static void vec_gemm_block(const int64_t mnk[3], const vec_operands *packed, int add)
{
    int64_t k = mnk[2];
    for (int64_t j = 0; j < mnk[1]; j += RF_TILE_COLS)
        for (int64_t i = 0; i < mnk[0]; i += RF_TILE_ROWS) {
            int64_t m = vec_smaller(RF_TILE_ROWS, mnk[0] - i);
            int64_t n = vec_smaller(RF_TILE_COLS, mnk[1] - j);
            vec_operands x = {packed->a + i * k, 1,
                              RF_TILE_ROWS,      packed->b + j * k,
                              RF_TILE_COLS,      packed->c + i * packed->c_row + j,
                              packed->c_row};
            if (m < RF_TILE_ROWS || n < RF_TILE_COLS) {
                vec_gemm_edge(x, k, m, n, add);
                continue;
            }
            vec_gemm_expect(&x);
            vec_tile(RF_TILE_ROWS, k, x, add);
        }
}

/* A block of one product: rows [m[0], m[1]), columns [n[0], n[1]). */
typedef struct vec_gemm_area {
    vec_matrix a, b; /* b by columns: its lines are columns */
    void *c;
    int64_t m[2], n[2];
    float *pack_a, *pack_b, *sums;
} vec_gemm_area;

static void vec_gemm_f32(const vec_gemm *g, const vec_gemm_area *w)
{
    int64_t depth = vec_gemm_depth(g);
    for (int64_t j = w->n[0]; j < w->n[1]; j += RF_GEMM_N)
        for (int64_t p = 0; p < g->k || !p; p += depth) {
            int64_t mnk[3] = {0, vec_smaller(RF_GEMM_N, w->n[1] - j), vec_smaller(depth, g->k - p)};
            vec_pack(&w->b, j, p, mnk[1], mnk[2], RF_TILE_COLS, w->pack_b);
            for (int64_t i = w->m[0]; i < w->m[1]; i += RF_GEMM_M) {
                mnk[0] = vec_smaller(RF_GEMM_M, w->m[1] - i);
                vec_pack(&w->a, i, p, mnk[0], mnk[2], RF_TILE_ROWS, w->pack_a);
                const vec_operands x = {.a = w->pack_a,
                                        .b = w->pack_b,
                                        .c_row = g->n,
                                        .c = (float *)w->c + i * g->n + j};
                vec_gemm_block(mnk, &x, g->add || p > 0);
            }
        }
}

/* The same with c rounded at the end: sums over all of k, in f32, a block of c at a time. */
static void vec_gemm_bf16(const vec_gemm *g, const vec_gemm_area *w)
{
    for (int64_t j = w->n[0]; j < w->n[1]; j += RF_GEMM_N)
        for (int64_t i = w->m[0]; i < w->m[1]; i += RF_GEMM_M) {
            int64_t mnk[3] = {vec_smaller(RF_GEMM_M, w->m[1] - i),
                              vec_smaller(RF_GEMM_N, w->n[1] - j), 0};
            for (int64_t p = 0; p < g->k || !p; p += RF_GEMM_K) {
                mnk[2] = vec_smaller(RF_GEMM_K, g->k - p);
                vec_pack(&w->b, j, p, mnk[1], mnk[2], RF_TILE_COLS, w->pack_b);
                vec_pack(&w->a, i, p, mnk[0], mnk[2], RF_TILE_ROWS, w->pack_a);
                const vec_operands x = {
                    .a = w->pack_a, .b = w->pack_b, .c = w->sums, .c_row = mnk[1]};
                vec_gemm_block(mnk, &x, p > 0);
            }
            for (int64_t r = 0; r < mnk[0]; r++)
                vec_bf16_write((uint16_t *)w->c + (i + r) * g->n + j, mnk[1], w->sums + r * mnk[1]);
        }
}

/* Where matrix number `batch` of a stack begins, in elements. */
static int64_t vec_matrix_at(const rf_view *v, int64_t batch)
{
    int64_t at = 0;
    for (int axis = v->shape.rank - 3; axis >= 0; axis--) {
        at += batch % v->shape.dims[axis] * v->strides[axis];
        batch /= v->shape.dims[axis];
    }
    return at;
}

static vec_matrix vec_matrix_of(const rf_view *v, int64_t batch, int by_columns)
{
    unsigned last = v->shape.rank - 1u;
    int64_t size = v->shape.dtype == RF_BF16 ? 2 : 4;
    return (vec_matrix){(const char *)v->data + vec_matrix_at(v, batch) * size,
                        v->strides[last - !by_columns], v->strides[last - by_columns],
                        v->shape.dtype};
}

/* Block number `unit` of all products. */
static vec_gemm_area vec_gemm_area_of(const vec_gemm *g, int64_t unit)
{
    int64_t col = unit % g->grid_n, row = unit / g->grid_n % g->grid_m;
    int64_t batch = unit / g->grid_n / g->grid_m, size = g->c->shape.dtype == RF_BF16 ? 2 : 4;
    vec_gemm_area w = {.a = vec_matrix_of(g->a, batch, 0),
                       .b = vec_matrix_of(g->b, batch, 1),
                       .c = (char *)g->c->data + batch * g->m * g->n * size};
    vec_share(g->m, g->grid_m, row, &w.m[0], &w.m[1]);
    vec_share(g->n, g->grid_n, col, &w.n[0], &w.n[1]);
    return w;
}

static void vec_gemm_unit(const vec_gemm *g, int64_t unit, char *workspace)
{
    vec_gemm_area w = vec_gemm_area_of(g, unit);
    w.pack_a = (float *)(void *)workspace;
    w.pack_b = (float *)(void *)(workspace + vec_gemm_bytes_a(g));
    w.sums = (float *)(void *)(workspace + vec_gemm_bytes_a(g) + vec_gemm_bytes_b(g));
    if (g->c->shape.dtype == RF_F32)
        vec_gemm_f32(g, &w);
    else
        vec_gemm_bf16(g, &w);
}

static void vec_gemm_part(const void *job, int64_t part)
{
    const vec_gemm *g = job;
    int64_t lo, hi;
    vec_share(g->batch * g->grid_m * g->grid_n, g->parts, part, &lo, &hi);
    for (; lo < hi; lo++)
        vec_gemm_unit(g, lo, g->workspace + (size_t)part * g->bytes);
}

#endif
