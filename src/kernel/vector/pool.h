/* pool.h: the largest in a window, and the gradient, of f32 with an index of i32. A row of places
 * goes by at once, one element of the window after another, in the order in which the reference
 * looks at them: so the first largest is the same one. A plane is one thread's.
 */
#ifndef RF_KERNEL_VECTOR_POOL_H
#define RF_KERNEL_VECTOR_POOL_H

#include "kernel/vector/batch_norm.h"

typedef struct vec_pool {
    const rf_window *window;
    const float *from;
    float *to;
    int32_t *index;          /* that is written, or */
    const int32_t *index_in; /* that is read        */
    int64_t planes, parts;
    int64_t wide[2], narrow[2]; /* (H, W), (OH, OW)    */
} vec_pool;

/* What n places see: the first x[at], the others in steps. found is -1 where nothing was seen yet;
 * a NaN is larger than anything. */
static void vec_pool_compare(const float *x, const int64_t at_step[2], int64_t n, float *best,
                             int32_t *found)
{
    int32_t at = (int32_t)at_step[0], step = (int32_t)at_step[1];
#pragma omp simd
    for (int32_t j = 0; j < (int32_t)n; j++) {
        float v = x[at + j * step], b = best[j];
        int more = (v > b) | ((v != v) & (b == b)) | (found[j] < 0);
        best[j] = more ? v : b;
        found[j] = more ? at + j * step : found[j];
    }
}

/* Row i of the places of a plane x. */
static void vec_pool_row(const vec_pool *p, const float *x, int64_t i, float *best, int32_t *found)
{
    const rf_window *w = p->window;
    const int64_t size[2] = {p->wide[1], p->narrow[1]};
    memset(best, 0, (size_t)size[1] * sizeof *best);
    memset(found, -1, (size_t)size[1] * sizeof *found);
    for (int64_t k = 0; k < w->size[0] * w->size[1]; k++) {
        int64_t line = i * w->stride[0] + k / w->size[1] * w->dilation[0] - w->padding[0], in[2];
        int64_t shift = rf_window_inside(w, 1, k % w->size[1], size, in);
        if (line < 0 || line >= p->wide[0] || in[0] >= in[1])
            continue;
        const int64_t at_step[2] = {line * size[0] + in[0] * w->stride[1] + shift, w->stride[1]};
        vec_pool_compare(x, at_step, in[1] - in[0], best + in[0], found + in[0]);
    }
}

static void vec_pool_max_part(const void *job, int64_t part)
{
    const vec_pool *p = job;
    int64_t lo, hi, area = p->wide[0] * p->wide[1];
    vec_share(p->planes, p->parts, part, &lo, &hi);
    for (; lo < hi; lo++)
        for (int64_t i = 0; i < p->narrow[0]; i++) {
            int64_t at = (lo * p->narrow[0] + i) * p->narrow[1];
            vec_pool_row(p, p->from + lo * area, i, p->to + at, p->index + at);
        }
}

static void vec_pool_scatter_part(const void *job, int64_t part)
{
    const vec_pool *p = job;
    int64_t lo, hi, area = p->wide[0] * p->wide[1], places = p->narrow[0] * p->narrow[1];
    vec_share(p->planes, p->parts, part, &lo, &hi);
    for (; lo < hi; lo++) {
        float *to = p->to + lo * area;
        memset(to, 0, (size_t)area * sizeof *to);
        for (int64_t i = lo * places; i < (lo + 1) * places; i++)
            to[p->index_in[i]] += p->from[i];
    }
}

/* ---- all planes ---- */

static vec_pool vec_pool_of(const rf_exec *e, const rf_view *wide, const rf_view *narrow)
{
    vec_pool p = {.planes = 0};
    unsigned last = wide->shape.rank - 1;
    for (unsigned a = 0; a < 2; a++) {
        p.wide[a] = wide->shape.dims[last - 1 + a];
        p.narrow[a] = narrow->shape.dims[last - 1 + a];
    }
    int64_t area = p.wide[0] * p.wide[1];
    p.planes = area ? rf_shape_count(&wide->shape) / area : 0;
    p.parts = vec_parts(e, p.planes, area);
    return p;
}

static int vec_pool_takes(const rf_view *x, const rf_view *y, const rf_view *index)
{
    const rf_view *const views[2] = {x, y};
    return vec_plain(views, 2) && index->shape.dtype == RF_I32 && rf_view_contiguous(index);
}

static rf_status vec_max_pool2d(const rf_exec *e, const rf_window *w, const rf_view *x,
                                const rf_view *y, const rf_view *index)
{
    if (!vec_pool_takes(x, y, index))
        return rf_pool_max(e, w, x, y, index);
    vec_pool p = vec_pool_of(e, x, y);
    p.window = w;
    p.from = x->data;
    p.to = y->data;
    p.index = index->data;
    vec_run(e, p.parts, vec_pool_max_part, &p);
    return RF_OK;
}

static int vec_pool_all_inside(const int32_t *index, int64_t n, int64_t area)
{
    uint32_t largest = 0; /* what is negative is larger than any plane */
#pragma omp simd reduction(max : largest)
    for (int64_t i = 0; i < n; i++)
        largest = (uint32_t)index[i] > largest ? (uint32_t)index[i] : largest;
    return !n || largest < area;
}

static rf_status vec_pool2d_scatter(const rf_exec *e, const rf_view *g, const rf_view *index,
                                    const rf_view *dx)
{
    if (!vec_pool_takes(g, dx, index))
        return rf_pool_scatter(e, g, index, dx);
    vec_pool p = vec_pool_of(e, dx, g);
    p.from = g->data;
    p.to = dx->data;
    p.index_in = index->data;
    if (!vec_pool_all_inside(p.index_in, rf_shape_count(&index->shape), p.wide[0] * p.wide[1]))
        return RF_E_ARGUMENT;
    vec_run(e, p.parts, vec_pool_scatter_part, &p);
    return RF_OK;
}

#endif
