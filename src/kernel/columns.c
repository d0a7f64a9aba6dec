/* columns.c: see columns.h. A row of the columns is one element (channel, kh, kw) of the window at
 * all its places; unfolding writes every row once, folding adds to each channel the rows that are
 * its own, in order, so neither depends on how many threads there are.
 */
#include "kernel/columns.h"
#include "kernel/parts.h"
#include "kernel/reference.h"

#include <string.h>

/* Row number `row` of the columns, at one height: where it lies, and what of it is inside. */
typedef struct columns_row {
    int64_t channel, k[2]; /* which element of the window */
    int64_t rows[2], cols[2];
    int64_t shift[2];
} columns_row;

static columns_row columns_row_at(const rf_columns *c, int64_t row)
{
    const rf_window *w = c->window;
    columns_row r;
    r.k[1] = row % w->size[1];
    r.k[0] = row / w->size[1] % w->size[0];
    r.channel = row / (w->size[0] * w->size[1]);
    const int64_t h[2] = {c->x.shape.dims[1], c->places[0]};
    const int64_t v[2] = {c->x.shape.dims[2], c->places[1]};
    r.shift[0] = rf_window_inside(w, 0, r.k[0], h, r.rows);
    r.shift[1] = rf_window_inside(w, 1, r.k[1], v, r.cols);
    return r;
}

/* In elements from x's data: what place (i, 0) sees, less what lies left of the image. */
static int64_t columns_source(const rf_columns *c, const columns_row *r, int64_t i)
{
    const int64_t *dims = c->x.shape.dims;
    int64_t line = i * c->window->stride[0] + r->shift[0];
    return (r->channel * dims[1] + line) * dims[2] + r->shift[1];
}

/* ---- unfolding ---- */

static void columns_copy(void *dst, const void *src, const int64_t n_step[2], size_t width)
{
    int64_t n = n_step[0], step = n_step[1];
    if (step == 1) {
        memcpy(dst, src, (size_t)n * width);
    } else if (width == 4) {
        for (int64_t i = 0; i < n; i++)
            ((uint32_t *)dst)[i] = ((const uint32_t *)src)[i * step];
    } else if (width == 8) {
        for (int64_t i = 0; i < n; i++)
            ((uint64_t *)dst)[i] = ((const uint64_t *)src)[i * step];
    } else {
        for (int64_t i = 0; i < n; i++)
            ((uint16_t *)dst)[i] = ((const uint16_t *)src)[i * step];
    }
}

static void columns_unfold_row(const rf_columns *c, int64_t row)
{
    columns_row r = columns_row_at(c, row);
    size_t width = rf_dtype_size((rf_dtype)c->x.shape.dtype);
    int64_t wide = c->places[1], step = c->window->stride[1];
    const int64_t n_step[2] = {r.cols[1] - r.cols[0], step};
    char *dst = (char *)c->columns.data + (size_t)(row * c->places[0] * wide) * width;
    for (int64_t i = 0; i < c->places[0]; i++, dst += (size_t)wide * width) {
        if (i < r.rows[0] || i >= r.rows[1] || !n_step[0]) {
            memset(dst, 0, (size_t)wide * width);
            continue;
        }
        int64_t from = columns_source(c, &r, i) + r.cols[0] * step;
        memset(dst, 0, (size_t)r.cols[0] * width);
        columns_copy(dst + (size_t)r.cols[0] * width,
                     (const char *)c->x.data + (size_t)from * width, n_step, width);
        memset(dst + (size_t)r.cols[1] * width, 0, (size_t)(wide - r.cols[1]) * width);
    }
}

static void columns_unfold_part(const void *job, int64_t row)
{
    columns_unfold_row(job, row);
}

void rf_columns_unfold(const rf_columns *c)
{
    rf_parts_run(c->threads, c->columns.shape.dims[0], columns_unfold_part, c);
}

/* ---- folding ---- */

/* bf16 is added up in f32, rounded once: place by place of x, over what sees it. */
static void columns_fold_element(const rf_columns *c, int64_t channel, int64_t at)
{
    const rf_window *w = c->window;
    int64_t width = c->x.shape.dims[2], sees = w->size[0] * w->size[1];
    float sum = 0;
    for (int64_t k = 0; k < sees; k++) {
        int64_t row = channel * sees + k;
        columns_row r = columns_row_at(c, row);
        int64_t i = at / width - r.shift[0], j = at % width - r.shift[1];
        if (i % w->stride[0] || j % w->stride[1])
            continue;
        i /= w->stride[0];
        j /= w->stride[1];
        if (i >= r.rows[0] && i < r.rows[1] && j >= r.cols[0] && j < r.cols[1])
            sum += (float)rf_element_get(&c->columns, (row * c->places[0] + i) * c->places[1] + j);
    }
    rf_element_set(&c->x, channel * c->x.shape.dims[1] * width + at, sum);
}

static void columns_add(const rf_columns *c, int64_t to, int64_t from, int64_t n)
{
    int64_t step = c->window->stride[1];
    if (c->x.shape.dtype == RF_F32) {
        float *dst = (float *)c->x.data + to;
        const float *src = (const float *)c->columns.data + from;
        for (int64_t i = 0; i < n; i++)
            dst[i * step] += src[i];
    } else {
        double *dst = (double *)c->x.data + to;
        const double *src = (const double *)c->columns.data + from;
        for (int64_t i = 0; i < n; i++)
            dst[i * step] += src[i];
    }
}

static void columns_fold_row(const rf_columns *c, int64_t row)
{
    columns_row r = columns_row_at(c, row);
    int64_t step = c->window->stride[1];
    if (r.cols[1] == r.cols[0])
        return;
    for (int64_t i = r.rows[0]; i < r.rows[1]; i++)
        columns_add(c, columns_source(c, &r, i) + r.cols[0] * step,
                    (row * c->places[0] + i) * c->places[1] + r.cols[0], r.cols[1] - r.cols[0]);
}

static void columns_fold_part(const void *job, int64_t channel)
{
    const rf_columns *c = job;
    int64_t plane = c->x.shape.dims[1] * c->x.shape.dims[2];
    int64_t sees = c->window->size[0] * c->window->size[1];
    size_t bytes = (size_t)plane * rf_dtype_size((rf_dtype)c->x.shape.dtype);
    if (c->x.shape.dtype == RF_BF16) {
        for (int64_t at = 0; at < plane; at++)
            columns_fold_element(c, channel, at);
        return;
    }
    memset((char *)c->x.data + (size_t)channel * bytes, 0, bytes);
    for (int64_t k = 0; k < sees; k++)
        columns_fold_row(c, channel * sees + k);
}

void rf_columns_fold(const rf_columns *c)
{
    rf_parts_run(c->threads, c->x.shape.dims[0], columns_fold_part, c);
}
