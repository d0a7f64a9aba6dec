/* reduce.h: sums over some axes of f32 and bf16.
 *
 * Axes that lie one in the other and are both summed, or both kept, are joined first. What is left
 * is then one of
 *   rows      the innermost axis is summed: each result is a sum of runs
 *   columns   the innermost axis is kept: runs are added to runs
 *   all       nothing is kept: a fixed number of parts
 * and anything with more axes than that is the reference's. Sums are built in blocks of
 * RF_SUM_BLOCK, which are added in order: rounding grows with the number of blocks and with the
 * size of one, not with their product.
 */
#ifndef RF_KERNEL_VECTOR_REDUCE_H
#define RF_KERNEL_VECTOR_REDUCE_H

#include "kernel/vector/optim.h"

#define RF_SUM_BLOCK 256 /* runs of columns, vectors of a row */
#define RF_SUM_COLS  256 /* columns that one part adds up */

/* x as (outer kept, summed, inner) with strides, y beside it. */
typedef struct vec_sum {
    int64_t outer, summed, inner; /* inner: kept, 1 if the summed axis is the last */
    int64_t x[3], y[2];           /* strides of outer, summed, inner; of outer, inner */
    int64_t parts, blocks;
    float scale;
    const rf_view *from, *to;
} vec_sum;

/* The joined axes, innermost first: at most kept, summed, kept. 0 if there are more. */
static int vec_sum_axes(const rf_view *x, const rf_view *y, vec_sum *s)
{
    int stage = 0; /* 0: inner kept axes, 1: summed, 2: outer kept */
    *s = (vec_sum){.outer = 1, .summed = 1, .inner = 1, .from = x, .to = y};
    for (int axis = x->shape.rank - 1; axis >= 0; axis--) {
        int64_t dim = x->shape.dims[axis], sx = x->strides[axis], sy = y->strides[axis];
        int kept = y->shape.dims[axis] == dim;
        if (dim == 1)
            continue;
        if (stage == (kept ? 1 : 0))
            stage++;
        if (stage == 2 && !kept)
            return 0;
        int64_t *size = stage == 0 ? &s->inner : stage == 1 ? &s->summed : &s->outer;
        int64_t *step = stage == 0 ? &s->x[2] : stage == 1 ? &s->x[1] : &s->x[0];
        int64_t *step_y = stage == 0 ? &s->y[1] : stage == 1 ? NULL : &s->y[0];
        if (*size > 1 && (sx != *step * *size || (step_y && sy != *step_y * *size)))
            return 0;
        if (*size == 1) {
            *step = sx;
            if (step_y)
                *step_y = sy;
        }
        *size *= dim;
    }
    return 1;
}

/* Sum of n elements, `stride` apart: f32 within a block of RF_SUM_BLOCK vectors. */
static float vec_sum_run(const rf_view *x, int64_t at, int64_t stride, int64_t n)
{
    float total = 0;
    for (int64_t i = 0; i < n; i += RF_SUM_BLOCK * RF_LANES) {
        int64_t m = n - i < RF_SUM_BLOCK * RF_LANES ? n - i : RF_SUM_BLOCK * RF_LANES;
        float buffer[RF_SUM_BLOCK * RF_LANES];
        total += vec_row_moment(vec_fetch(x, at + i * stride, stride, m, buffer), m, 0, 0);
    }
    return total;
}

static void vec_sum_put(const vec_sum *s, int64_t at, int64_t stride, int64_t n, float *sums)
{
    for (int64_t i = 0; i < n; i++)
        sums[i] *= s->scale;
    vec_deliver(s->to, at, stride, n, sums);
}

static void vec_sum_rows_part(const void *job, int64_t part)
{
    const vec_sum *s = job;
    int64_t lo, hi;
    vec_share(s->outer, s->parts, part, &lo, &hi);
    for (; lo < hi; lo++) {
        float sum = vec_sum_run(s->from, lo * s->x[0], s->x[1], s->summed);
        vec_sum_put(s, lo * s->y[0], 1, 1, &sum);
    }
}

/* sums[0 .. n) += runs [lo, hi) of n columns. */
static void vec_sum_block(const vec_sum *s, int64_t at, const int64_t range[2], int64_t n,
                          float *sums)
{
    float block[RF_SUM_COLS] = {0}, buffer[RF_SUM_COLS];
    for (int64_t r = range[0]; r < range[1]; r++) {
        const float *x = vec_fetch(s->from, at + r * s->x[1], s->x[2], n, buffer);
        for (int64_t i = 0; i < n; i++)
            block[i] += x[i];
    }
    for (int64_t i = 0; i < n; i++)
        sums[i] += block[i];
}

/* Part: one block of columns of one outer index. */
static void vec_sum_columns_part(const void *job, int64_t part)
{
    const vec_sum *s = job;
    int64_t outer = part / s->blocks, first, last;
    vec_share(s->inner, s->blocks, part % s->blocks, &first, &last);
    float sums[RF_SUM_COLS] = {0};
    for (int64_t r = 0; r < s->summed; r += RF_SUM_BLOCK) {
        const int64_t range[2] = {r, vec_smaller(r + RF_SUM_BLOCK, s->summed)};
        vec_sum_block(s, outer * s->x[0] + first * s->x[2], range, last - first, sums);
    }
    vec_sum_put(s, outer * s->y[0] + first * s->y[1], s->y[1], last - first, sums);
}

typedef struct vec_sum_all {
    const vec_sum *s;
    int64_t each;
    float *sums;
} vec_sum_all;

static void vec_sum_all_part(const void *job, int64_t part)
{
    const vec_sum_all *a = job;
    int64_t lo = part * a->each, n = vec_smaller(a->each, a->s->summed - lo);
    a->sums[part] = vec_sum_run(a->s->from, lo * a->s->x[1], a->s->x[1], n);
}

static rf_status vec_sum_everything(const rf_exec *e, const vec_sum *s)
{
    float sums[RF_VEC_SUM_PARTS] = {0}, total = 0;
    vec_total_job t = {.count = s->summed};
    int64_t parts = vec_total_parts(&t);
    vec_sum_all a = {s, t.each, sums};
    vec_run(e, parts, vec_sum_all_part, &a);
    for (int64_t i = 0; i < parts; i++)
        total += sums[i];
    vec_sum_put(s, 0, 1, 1, &total);
    return RF_OK;
}

static rf_status vec_sum_over(const rf_exec *e, double scale, const rf_view *x, const rf_view *y)
{
    vec_sum s;
    if (!vec_is_float(x) || x->shape.dtype != y->shape.dtype || !rf_shape_count(&x->shape) ||
        !vec_sum_axes(x, y, &s))
        return rf_reference_sum(e, scale, x, y);
    s.scale = (float)scale;
    if (s.inner == 1 && s.outer == 1)
        return vec_sum_everything(e, &s);
    if (s.inner == 1) {
        s.parts = vec_parts(e, s.outer, s.summed);
        vec_run(e, s.parts, vec_sum_rows_part, &s);
        return RF_OK;
    }
    s.blocks = (s.inner + RF_SUM_COLS - 1) / RF_SUM_COLS;
    rf_exec few = *e;
    if (s.outer * s.summed * s.inner < RF_VEC_PART)
        few.threads = 1;
    vec_run(&few, s.outer * s.blocks, vec_sum_columns_part, &s);
    return RF_OK;
}

#endif
