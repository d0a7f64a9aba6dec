/* loops.h: dividing work among threads, and walking up to three views at once.
 *
 * Invariant: how work is divided never shows in a result. Either parts write different elements, or
 * their number is fixed and what they leave is added up in order.
 */
#ifndef RF_KERNEL_VECTOR_LOOPS_H
#define RF_KERNEL_VECTOR_LOOPS_H

#include "kernel/vector/lanes.h"

#define RF_VEC_PART  32768 /* elements that are worth a thread */
#define RF_VEC_CHUNK 256   /* elements of a strided span that are gathered at a time */

typedef void (*vec_part_fn)(const void *job, int64_t part);

/* body(job, 0 .. parts - 1), on the threads of e. */
static void vec_run(const rf_exec *e, int64_t parts, vec_part_fn body, const void *job)
{
#ifdef _OPENMP
    if (e->threads > 1 && parts > 1) {
#pragma omp parallel for num_threads((int)e->threads) schedule(static)
        for (int64_t part = 0; part < parts; part++)
            body(job, part);
        return;
    }
#endif
    for (int64_t part = 0; part < parts; part++)
        body(job, part);
    (void)e;
}

/* Part number `part` of `count` things in `parts` parts of nearly the same size: [*lo, *hi). */
static void vec_share(int64_t count, int64_t parts, int64_t part, int64_t *lo, int64_t *hi)
{
    int64_t each = count / parts, more = count % parts;
    *lo = part * each + (part < more ? part : more);
    *hi = *lo + each + (part < more);
}

/* How many parts for `rows` rows of `width` elements: one per thread where there is enough to do.
 */
static int64_t vec_parts(const rf_exec *e, int64_t rows, int64_t width)
{
    int64_t parts = rows * width / (RF_VEC_PART / 2);
    parts = parts < (int64_t)e->threads ? parts : (int64_t)e->threads;
    parts = parts < rows ? parts : rows;
    return parts < 1 ? 1 : parts;
}

/* Up to three views of one shape, fewest axes first: axis 0 is the innermost. */
typedef struct vec_loop {
    int rank, views;
    int64_t count;
    int64_t dims[RF_MAX_RANK];
    int64_t strides[3][RF_MAX_RANK];
    const rf_view *view[3];
} vec_loop;

static int vec_loop_joins(const vec_loop *l, const rf_view *const *views, int axis)
{
    int last = l->rank - 1;
    for (int v = 0; v < l->views; v++)
        if (views[v]->strides[axis] != l->strides[v][last] * l->dims[last])
            return 0;
    return 1;
}

/* The loop over views (which have one shape), with axes that lie one in the other joined. Filled in
 * place: for a few elements, clearing and copying it would take longer than the work itself. */
static void vec_loop_begin(vec_loop *l, const rf_view *const *views, int count)
{
    l->rank = 0;
    l->views = count;
    l->count = rf_shape_count(&views[0]->shape);
    for (int v = 0; v < count; v++)
        l->view[v] = views[v];
    for (int axis = views[0]->shape.rank - 1; axis >= 0; axis--) {
        int64_t dim = views[0]->shape.dims[axis];
        if (dim == 1)
            continue;
        if (l->rank && vec_loop_joins(l, views, axis)) {
            l->dims[l->rank - 1] *= dim;
            continue;
        }
        for (int v = 0; v < count; v++)
            l->strides[v][l->rank] = views[v]->strides[axis];
        l->dims[l->rank++] = dim;
    }
    if (l->rank)
        return;
    l->rank = 1; /* one element: any stride is right, and 1 is the plain one */
    l->dims[0] = 1;
    for (int v = 0; v < count; v++)
        l->strides[v][0] = 1;
}

/* Where element `index` (row-major) lies: the coordinates, and each view's position. */
static void vec_loop_seek(const vec_loop *l, int64_t index, int64_t *at, int64_t *pos)
{
    for (int v = 0; v < l->views; v++)
        pos[v] = 0;
    for (int axis = 0; axis < l->rank; axis++) {
        at[axis] = index % l->dims[axis];
        index /= l->dims[axis];
        for (int v = 0; v < l->views; v++)
            pos[v] += at[axis] * l->strides[v][axis];
    }
}

/* Move n elements along axis 0, to at most its end. */
static void vec_loop_step(const vec_loop *l, int64_t n, int64_t *at, int64_t *pos)
{
    int axis = 0;
    at[0] += n;
    for (int v = 0; v < l->views; v++)
        pos[v] += n * l->strides[v][0];
    while (at[axis] == l->dims[axis] && axis + 1 < l->rank) {
        for (int v = 0; v < l->views; v++)
            pos[v] += l->strides[v][axis + 1] - at[axis] * l->strides[v][axis];
        at[axis++] = 0;
        at[axis]++;
    }
}

typedef struct vec_walk {
    vec_loop loop;
    /* n elements from pos[] on, along axis 0 */
    void (*span)(const struct vec_walk *walk, const int64_t *pos, int64_t n);
    const void *job;
} vec_walk;

static void vec_walk_part(const void *job, int64_t part)
{
    const vec_walk *w = job;
    int64_t at[RF_MAX_RANK], pos[3], lo = part * RF_VEC_PART, hi = lo + RF_VEC_PART;
    hi = hi < w->loop.count ? hi : w->loop.count;
    vec_loop_seek(&w->loop, lo, at, pos);
    while (lo < hi) {
        int64_t n = w->loop.dims[0] - at[0];
        n = n < hi - lo ? n : hi - lo;
        w->span(w, pos, n);
        vec_loop_step(&w->loop, n, at, pos);
        lo += n;
    }
}

/* span over all elements; which are together in one must not matter. */
static void vec_walk_run(const rf_exec *e, const vec_walk *walk)
{
    vec_run(e, (walk->loop.count + RF_VEC_PART - 1) / RF_VEC_PART, vec_walk_part, walk);
}

RF_INLINE float vec_from_bf16(uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

/* To nearest, ties to even; NaN stays NaN. */
RF_INLINE uint16_t vec_to_bf16(float value)
{
    uint32_t bits, nan = value != value;
    memcpy(&bits, &value, sizeof bits);
    uint32_t near = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
    return (uint16_t)(nan ? bits >> 16 | 0x40 : near);
}

static void vec_bf16_read(const uint16_t *p, int64_t n, float *to)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = vec_from_bf16(p[i]);
}

static void vec_bf16_write(uint16_t *p, int64_t n, const float *from)
{
    for (int64_t i = 0; i < n; i++)
        p[i] = vec_to_bf16(from[i]);
}

/* n elements of an f32 or bf16 view from position at on, as floats without gaps: where they are,
 * or in buffer. */
static const float *vec_fetch(const rf_view *v, int64_t at, int64_t stride, int64_t n,
                              float *buffer)
{
    if (v->shape.dtype == RF_F32) {
        const float *p = (const float *)v->data + at;
        if (stride == 1)
            return p;
        for (int64_t i = 0; i < n; i++)
            buffer[i] = p[i * stride];
        return buffer;
    }
    const uint16_t *p = (const uint16_t *)v->data + at;
    if (stride == 1)
        vec_bf16_read(p, n, buffer);
    else
        for (int64_t i = 0; i < n; i++)
            buffer[i] = vec_from_bf16(p[i * stride]);
    return buffer;
}

/* Where to put n floats of an f32 or bf16 view, and putting them there if that was the buffer. */
static float *vec_place(const rf_view *v, int64_t at, int64_t stride, float *buffer)
{
    return v->shape.dtype == RF_F32 && stride == 1 ? (float *)v->data + at : buffer;
}

static void vec_deliver(const rf_view *v, int64_t at, int64_t stride, int64_t n,
                        const float *buffer)
{
    if (v->shape.dtype == RF_F32) {
        float *p = (float *)v->data + at;
        if (p != buffer)
            for (int64_t i = 0; i < n; i++)
                p[i * stride] = buffer[i];
        return;
    }
    uint16_t *p = (uint16_t *)v->data + at;
    if (stride == 1)
        vec_bf16_write(p, n, buffer);
    else
        for (int64_t i = 0; i < n; i++)
            p[i * stride] = vec_to_bf16(buffer[i]);
}

static int vec_is_float(const rf_view *v)
{
    return v->shape.dtype == RF_F32 || v->shape.dtype == RF_BF16;
}

#endif
