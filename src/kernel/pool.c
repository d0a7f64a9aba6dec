/* pool.c: the largest and the mean in a window, and their transposes. Planes (H, W) are independent
 * of each other, and threads share them; inside a plane the order is that of the places.
 */
#include "kernel/parts.h"
#include "kernel/reference.h"
#include "kernel/window.h"

#include <math.h>

typedef struct pool_job {
    const rf_window *window;
    const rf_view *wide, *narrow, *index; /* (..., H, W), (..., OH, OW) and as narrow */
    int64_t planes, parts;
    void (*plane)(const struct pool_job *job, int64_t plane);
} pool_job;

static int64_t pool_dim(const rf_view *v, int from_end)
{
    return v->shape.dims[v->shape.rank - from_end];
}

static int64_t pool_area(const rf_view *v)
{
    return pool_dim(v, 2) * pool_dim(v, 1);
}

static void pool_part(const void *work, int64_t part)
{
    const pool_job *job = work;
    int64_t lo, hi;
    rf_parts_share(job->planes, job->parts, part, &lo, &hi);
    for (; lo < hi; lo++)
        job->plane(job, lo);
}

static rf_status pool_each_plane(const rf_exec *e, pool_job *job)
{
    int64_t area = pool_area(job->wide);
    job->planes = area ? rf_shape_count(&job->wide->shape) / area : 0;
    job->parts = rf_parts_for(e, job->planes, area);
    rf_parts_run(e->threads, job->parts, pool_part, job);
    return RF_OK;
}

/* The elements of the plane that the window sees at place (row, col): those from lo[] on, in steps
 * of the dilation, below hi[]. */
static void pool_sees(const pool_job *job, const int64_t place[2], int64_t lo[2], int64_t hi[2])
{
    const rf_window *w = job->window;
    for (int a = 0; a < 2; a++) {
        int64_t d = w->dilation[a], dim = pool_dim(job->wide, 2 - a);
        int64_t first = place[a] * w->stride[a] - w->padding[a];
        hi[a] = first + d * (w->size[a] - 1) + 1;
        hi[a] = hi[a] < dim ? hi[a] : dim;
        lo[a] = first < 0 ? first + (d - 1 - first) / d * d : first;
    }
}

/* ---- the largest ---- */

/* A NaN is larger than anything. */
static int64_t pool_largest(const pool_job *job, int64_t plane, const int64_t place[2])
{
    int64_t lo[2], hi[2], width = pool_dim(job->wide, 1), base = plane * pool_area(job->wide);
    double best = 0;
    int64_t found = -1;
    pool_sees(job, place, lo, hi);
    for (int64_t i = lo[0]; i < hi[0]; i += job->window->dilation[0])
        for (int64_t j = lo[1]; j < hi[1]; j += job->window->dilation[1]) {
            double x = rf_element_get(job->wide, base + i * width + j);
            if (found < 0 || x > best || (isnan(x) && !isnan(best))) {
                best = x;
                found = i * width + j;
            }
        }
    return found;
}

static void pool_max_plane(const pool_job *job, int64_t plane)
{
    int64_t rows = pool_dim(job->narrow, 2), cols = pool_dim(job->narrow, 1);
    int64_t base = plane * pool_area(job->wide), at = plane * rows * cols;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++, at++) {
            int64_t found = pool_largest(job, plane, (int64_t[]){i, j});
            ((int32_t *)job->index->data)[at] = (int32_t)found;
            rf_element_set(job->narrow, at, rf_element_get(job->wide, base + found));
        }
}

rf_status rf_pool_max(const rf_exec *e, const rf_window *w, const rf_view *x, const rf_view *y,
                      const rf_view *index)
{
    pool_job job = {.window = w, .wide = x, .narrow = y, .index = index, .plane = pool_max_plane};
    return pool_each_plane(e, &job);
}

static int64_t pool_index(const rf_view *index, int64_t i)
{
    return index->shape.dtype == RF_I64 ? ((const int64_t *)index->data)[i]
                                        : ((const int32_t *)index->data)[i];
}

static rf_status pool_check_index(const rf_view *index, const rf_view *wide)
{
    int64_t n = rf_shape_count(&index->shape), area = pool_area(wide);
    for (int64_t i = 0; i < n; i++)
        if (pool_index(index, i) < 0 || pool_index(index, i) >= area)
            return RF_E_ARGUMENT;
    return RF_OK;
}

static void pool_pick_plane(const pool_job *job, int64_t plane)
{
    int64_t n = pool_area(job->narrow), base = plane * pool_area(job->wide);
    for (int64_t i = plane * n; i < (plane + 1) * n; i++)
        rf_element_set(job->narrow, i, rf_element_get(job->wide, base + pool_index(job->index, i)));
}

rf_status rf_pool_pick(const rf_exec *e, const rf_view *x, const rf_view *index, const rf_view *y)
{
    pool_job job = {.wide = x, .narrow = y, .index = index, .plane = pool_pick_plane};
    rf_status status = pool_check_index(index, x);
    return status ? status : pool_each_plane(e, &job);
}

static void pool_scatter_plane(const pool_job *job, int64_t plane)
{
    int64_t n = pool_area(job->narrow), area = pool_area(job->wide), base = plane * area;
    for (int64_t i = 0; i < area; i++)
        rf_element_set(job->wide, base + i, 0);
    for (int64_t i = plane * n; i < (plane + 1) * n; i++) {
        int64_t to = base + pool_index(job->index, i);
        rf_element_set(job->wide, to,
                       rf_element_get(job->wide, to) + rf_element_get(job->narrow, i));
    }
}

rf_status rf_pool_scatter(const rf_exec *e, const rf_view *g, const rf_view *index,
                          const rf_view *dx)
{
    pool_job job = {.wide = dx, .narrow = g, .index = index, .plane = pool_scatter_plane};
    rf_status status = pool_check_index(index, dx);
    return status ? status : pool_each_plane(e, &job);
}

/* ---- the mean ---- */

static void pool_mean_plane(const pool_job *job, int64_t plane)
{
    const rf_window *w = job->window;
    int64_t rows = pool_dim(job->narrow, 2), cols = pool_dim(job->narrow, 1);
    int64_t width = pool_dim(job->wide, 1), base = plane * pool_area(job->wide);
    int64_t lo[2], hi[2], at = plane * rows * cols;
    for (int64_t p = 0; p < rows * cols; p++, at++) {
        double sum = 0;
        pool_sees(job, (int64_t[]){p / cols, p % cols}, lo, hi);
        for (int64_t i = lo[0]; i < hi[0]; i += w->dilation[0])
            for (int64_t j = lo[1]; j < hi[1]; j += w->dilation[1])
                sum += rf_element_get(job->wide, base + i * width + j);
        rf_element_set(job->narrow, at, sum / (double)(w->size[0] * w->size[1]));
    }
}

rf_status rf_pool_mean(const rf_exec *e, const rf_window *w, const rf_view *x, const rf_view *y)
{
    pool_job job = {.window = w, .wide = x, .narrow = y, .plane = pool_mean_plane};
    return pool_each_plane(e, &job);
}

/* The sum of what the places that see element (i, j) have. */
static double pool_seen_by(const pool_job *job, int64_t plane, const int64_t at[2])
{
    const rf_window *w = job->window;
    int64_t dims[2] = {pool_dim(job->narrow, 2), pool_dim(job->narrow, 1)};
    double sum = 0;
    for (int64_t k = 0; k < w->size[0] * w->size[1]; k++) {
        int64_t i = at[0] + w->padding[0] - k / w->size[1] * w->dilation[0];
        int64_t j = at[1] + w->padding[1] - k % w->size[1] * w->dilation[1];
        if (i < 0 || j < 0 || i % w->stride[0] || j % w->stride[1])
            continue;
        i /= w->stride[0];
        j /= w->stride[1];
        if (i < dims[0] && j < dims[1])
            sum += rf_element_get(job->narrow, (plane * dims[0] + i) * dims[1] + j);
    }
    return sum;
}

static void pool_spread_plane(const pool_job *job, int64_t plane)
{
    const rf_window *w = job->window;
    int64_t width = pool_dim(job->wide, 1), area = pool_area(job->wide);
    for (int64_t p = 0; p < area; p++) {
        double sum = pool_seen_by(job, plane, (int64_t[]){p / width, p % width});
        rf_element_set(job->wide, plane * area + p, sum / (double)(w->size[0] * w->size[1]));
    }
}

rf_status rf_pool_spread(const rf_exec *e, const rf_window *w, const rf_view *g, const rf_view *dx)
{
    pool_job job = {.window = w, .wide = dx, .narrow = g, .plane = pool_spread_plane};
    return pool_each_plane(e, &job);
}
