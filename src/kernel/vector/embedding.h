/* embedding.h: rows of a table by number, and the sum of gradients by number. f32 here.
 *
 * All numbers are looked at before anything is written. In the gradient each part owns some columns
 * and takes the positions in order, so the bits don't depend on threads.
 */
#ifndef RF_KERNEL_VECTOR_EMBEDDING_H
#define RF_KERNEL_VECTOR_EMBEDDING_H

#include "kernel/vector/entropy.h"

typedef struct vec_rows_by_id {
    int64_t count, c, rows, parts;
    const rf_view *ids;
    const float *from;
    float *to;
} vec_rows_by_id;

static vec_rows_by_id vec_ids_of(const rf_view *table, const rf_view *ids)
{
    return (vec_rows_by_id){.count = rf_shape_count(&ids->shape),
                            .c = table->shape.dims[1],
                            .rows = table->shape.dims[0],
                            .ids = ids};
}

static rf_status vec_check_ids(const vec_rows_by_id *t)
{
    for (int64_t i = 0; i < t->count; i++) {
        int64_t id = vec_integer(t->ids, i, 1);
        if (id < 0 || id >= t->rows)
            return RF_E_ARGUMENT;
    }
    return RF_OK;
}

static void vec_embedding_part(const void *job, int64_t part)
{
    const vec_rows_by_id *t = job;
    int64_t lo, hi;
    vec_share(t->count, t->parts, part, &lo, &hi);
    for (; lo < hi; lo++)
        memcpy(t->to + lo * t->c, t->from + vec_integer(t->ids, lo, 1) * t->c,
               (size_t)t->c * sizeof(float));
}

static rf_status vec_embedding(const rf_exec *e, const rf_view *table, const rf_view *ids,
                               const rf_view *y)
{
    const rf_view *const views[] = {table, y};
    vec_rows_by_id t = vec_ids_of(table, ids);
    if (!vec_plain(views, 2) || !rf_view_contiguous(ids))
        return rf_kernels_reference.embedding(e, table, ids, y);
    if (vec_check_ids(&t))
        return RF_E_ARGUMENT;
    t.from = table->data;
    t.to = y->data;
    t.parts = vec_parts(e, t.count, t.c);
    vec_run(e, t.parts, vec_embedding_part, &t);
    return RF_OK;
}

/* The columns of a part: [lo, hi). */
static void vec_embedding_columns(const vec_rows_by_id *t, int64_t part, int64_t *lo, int64_t *hi)
{
    vec_share((t->c + RF_LANES - 1) / RF_LANES, t->parts, part, lo, hi);
    *lo *= RF_LANES;
    *hi = vec_smaller(*hi * RF_LANES, t->c);
}

static void vec_embedding_add_part(const void *job, int64_t part)
{
    const vec_rows_by_id *t = job;
    int64_t lo, hi;
    vec_embedding_columns(t, part, &lo, &hi);
    for (int64_t i = 0; i < t->count; i++) {
        float *to = t->to + vec_integer(t->ids, i, 1) * t->c;
        const float *from = t->from + i * t->c;
        for (int64_t k = lo; k < hi; k++)
            to[k] += from[k];
    }
}

static void vec_embedding_grad_part(const void *job, int64_t part)
{
    const vec_rows_by_id *t = job;
    int64_t lo, hi;
    vec_embedding_columns(t, part, &lo, &hi);
    for (int64_t r = 0; r < t->rows && lo < hi; r++)
        memset(t->to + r * t->c + lo, 0, (size_t)(hi - lo) * sizeof(float));
    vec_embedding_add_part(job, part);
}

/* touched: how many rows are written. */
static rf_status vec_embedding_onto(const rf_exec *e, vec_rows_by_id *t, int64_t touched,
                                    vec_part_fn body)
{
    if (vec_check_ids(t))
        return RF_E_ARGUMENT;
    t->parts = vec_smaller(vec_parts(e, touched, t->c), (t->c + RF_LANES - 1) / RF_LANES);
    vec_run(e, t->parts, body, t);
    return RF_OK;
}
static rf_status vec_embedding_grad(const rf_exec *e, const rf_view *dy, const rf_view *ids,
                                    const rf_view *dtable)
{
    const rf_view *const views[] = {dy, dtable};
    vec_rows_by_id t = vec_ids_of(dtable, ids);
    if (!vec_plain(views, 2) || !rf_view_contiguous(ids))
        return rf_kernels_reference.embedding_grad(e, dy, ids, dtable);
    t.from = dy->data;
    t.to = dtable->data;
    return vec_embedding_onto(e, &t, t.rows + t.count, vec_embedding_grad_part);
}

static rf_status vec_embedding_add(const rf_exec *e, const rf_view *dy, const rf_view *ids,
                                   const rf_view *dtable)
{
    const rf_view *const views[] = {dy, dtable};
    vec_rows_by_id t = vec_ids_of(dtable, ids);
    if (!vec_plain(views, 2) || !rf_view_contiguous(ids))
        return rf_kernels_reference.embedding_add(e, dy, ids, dtable);
    t.from = dy->data;
    t.to = dtable->data;
    return vec_embedding_onto(e, &t, t.count, vec_embedding_add_part);
}

#endif
