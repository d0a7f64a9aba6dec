/* softmax.h: softmax and log-softmax along the last axis, and their gradients. f32 here.
 *
 * A row's result depends on the row and its length alone: two accumulators take vectors in turn,
 * the last vector is padded with what changes nothing, and lanes are added in a fixed tree.
 */
#ifndef RF_KERNEL_VECTOR_SOFTMAX_H
#define RF_KERNEL_VECTOR_SOFTMAX_H

#include "kernel/vector/loops.h"
#include "kernel/vector/math.h"

/* Rows of c floats, and what is done with them. */
typedef struct vec_rows {
    int64_t rows, c, parts;
    int logarithm;
    const float *in[2];
    float *out;
} vec_rows;

/* Whether all of these (NULL: absent) are f32 without gaps. */
static int vec_plain(const rf_view *const *views, int count)
{
    for (int i = 0; i < count; i++)
        if (views[i] && (views[i]->shape.dtype != RF_F32 || !rf_view_contiguous(views[i])))
            return 0;
    return 1;
}

static int64_t vec_last(const rf_view *v)
{
    return v->shape.rank ? v->shape.dims[v->shape.rank - 1] : 1;
}

static vec_rows vec_rows_of(const rf_exec *e, const rf_view *x)
{
    vec_rows r = {.c = vec_last(x)};
    r.rows = r.c ? rf_shape_count(&x->shape) / r.c : 0;
    r.parts = vec_parts(e, r.rows, r.c);
    return r;
}

static float vec_row_max(const float *x, int64_t c)
{
    vec a = vec_all(-INFINITY), b = a;
    int64_t k = 0;
    for (; k + 2 * RF_LANES <= c; k += 2 * RF_LANES) {
        a = vec_max(a, vec_load(x + k));
        b = vec_max(b, vec_load(x + k + RF_LANES));
    }
    for (; k + RF_LANES <= c; k += RF_LANES)
        a = vec_max(a, vec_load(x + k));
    if (k < c)
        b = vec_max(b, vec_load_part(x + k, c - k, -INFINITY));
    return vec_largest(vec_max(a, b));
}

/* Sum of exp(x - top), which are stored in y unless it is NULL. */
RF_INLINE float vec_row_exp(const float *x, float *y, int64_t c, float top)
{
    vec a = {0}, b = {0}, shift = vec_all(top);
    int64_t k = 0;
    for (; k + 2 * RF_LANES <= c; k += 2 * RF_LANES) {
        vec p = vec_exp_negative(vec_load(x + k) - shift);
        vec q = vec_exp_negative(vec_load(x + k + RF_LANES) - shift);
        a += p;
        b += q;
        if (y) {
            vec_store(y + k, p);
            vec_store(y + k + RF_LANES, q);
        }
    }
    for (; k < c; k += RF_LANES) {
        int64_t n = c - k < RF_LANES ? c - k : RF_LANES;
        vec p = vec_exp_negative(vec_load_part(x + k, n, -INFINITY) - shift);
        if (y)
            vec_store_part(y + k, n, p);
        a += p;
    }
    return vec_total(a + b);
}

static void vec_softmax_row(const float *x, float *y, int64_t c)
{
    float top = vec_row_max(x, c), scale = 1.0f / vec_row_exp(x, y, c, top);
    int64_t k = 0;
    for (; k + RF_LANES <= c; k += RF_LANES)
        vec_store(y + k, vec_load(y + k) * scale);
    if (k < c)
        vec_store_part(y + k, c - k, vec_load_part(y + k, c - k, 0) * scale);
}

static void vec_log_softmax_row(const float *x, float *y, int64_t c)
{
    float top = vec_row_max(x, c), rest = (float)log((double)vec_row_exp(x, NULL, c, top));
    int64_t k = 0;
    for (; k + RF_LANES <= c; k += RF_LANES)
        vec_store(y + k, vec_load(x + k) - top - rest);
    if (k < c)
        vec_store_part(y + k, c - k, vec_load_part(x + k, c - k, 0) - top - rest);
}

static void vec_softmax_part(const void *job, int64_t part)
{
    const vec_rows *r = job;
    int64_t lo, hi;
    vec_share(r->rows, r->parts, part, &lo, &hi);
    for (; lo < hi; lo++)
        if (r->logarithm)
            vec_log_softmax_row(r->in[0] + lo * r->c, r->out + lo * r->c, r->c);
        else
            vec_softmax_row(r->in[0] + lo * r->c, r->out + lo * r->c, r->c);
}

static rf_status vec_softmax(const rf_exec *e, int logarithm, const rf_view *x, const rf_view *y)
{
    vec_rows r = vec_rows_of(e, x);
    const rf_view *const views[] = {x, y};
    if (!vec_plain(views, 2))
        return rf_kernels_reference.softmax(e, logarithm, x, y);
    r.logarithm = logarithm;
    r.in[0] = x->data;
    r.out = y->data;
    vec_run(e, r.parts, vec_softmax_part, &r);
    return RF_OK;
}

/* Sum of g y, or of g. */
RF_INLINE float vec_row_dot(const float *g, const float *y, int64_t c, int plain_sum)
{
    vec a = {0}, b = {0}, one = vec_all(1);
    int64_t k = 0;
    for (; k + 2 * RF_LANES <= c; k += 2 * RF_LANES) {
        a = vec_fma(vec_load(g + k), plain_sum ? one : vec_load(y + k), a);
        b = vec_fma(vec_load(g + k + RF_LANES), plain_sum ? one : vec_load(y + k + RF_LANES), b);
    }
    for (; k < c; k += RF_LANES) {
        int64_t n = c - k < RF_LANES ? c - k : RF_LANES;
        a = vec_fma(vec_load_part(g + k, n, 0), plain_sum ? one : vec_load_part(y + k, n, 0), a);
    }
    return vec_total(a + b);
}

/* dx = y (g - sum(g y)) */
static void vec_softmax_grad_row(const float *g, const float *y, float *dx, int64_t c)
{
    float sum = vec_row_dot(g, y, c, 0);
    int64_t k = 0;
    for (; k + RF_LANES <= c; k += RF_LANES)
        vec_store(dx + k, vec_load(y + k) * (vec_load(g + k) - sum));
    if (k < c)
        vec_store_part(dx + k, c - k,
                       vec_load_part(y + k, c - k, 0) * (vec_load_part(g + k, c - k, 0) - sum));
}

/* dx = g - exp(y) sum(g) */
static void vec_log_softmax_grad_row(const float *g, const float *y, float *dx, int64_t c)
{
    vec sum = vec_all(-vec_row_dot(g, y, c, 1));
    int64_t k = 0;
    for (; k + RF_LANES <= c; k += RF_LANES)
        vec_store(dx + k, vec_fma(vec_exp_negative(vec_load(y + k)), sum, vec_load(g + k)));
    if (k < c)
        vec_store_part(dx + k, c - k,
                       vec_fma(vec_exp_negative(vec_load_part(y + k, c - k, 0)), sum,
                               vec_load_part(g + k, c - k, 0)));
}

static void vec_softmax_grad_part(const void *job, int64_t part)
{
    const vec_rows *r = job;
    int64_t lo, hi;
    vec_share(r->rows, r->parts, part, &lo, &hi);
    for (; lo < hi; lo++) {
        const float *g = r->in[0] + lo * r->c, *y = r->in[1] + lo * r->c;
        if (r->logarithm)
            vec_log_softmax_grad_row(g, y, r->out + lo * r->c, r->c);
        else
            vec_softmax_grad_row(g, y, r->out + lo * r->c, r->c);
    }
}

static rf_status vec_softmax_grad(const rf_exec *e, int logarithm, const rf_view *dy,
                                  const rf_view *y, const rf_view *dx)
{
    vec_rows r = vec_rows_of(e, y);
    const rf_view *const views[] = {dy, y, dx};
    if (!vec_plain(views, 3))
        return rf_kernels_reference.softmax_grad(e, logarithm, dy, y, dx);
    r.logarithm = logarithm;
    r.in[0] = dy->data;
    r.in[1] = y->data;
    r.out = dx->data;
    vec_run(e, r.parts, vec_softmax_grad_part, &r);
    return RF_OK;
}

#endif
