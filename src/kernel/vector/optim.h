/* optim.h: optimisers in one pass over parameter, gradient and state, and sums of squares. f32
 * here. */
#ifndef RF_KERNEL_VECTOR_OPTIM_H
#define RF_KERNEL_VECTOR_OPTIM_H

#include "kernel/vector/loops.h"
#include "kernel/vector/softmax.h"

#define RF_VEC_SUM_PARTS 64   /* of a sum over everything; fixed, so that threads don't show */
#define RF_VEC_SUM_BLOCK 4096 /* a part is a multiple of this */

typedef struct vec_update {
    int64_t count;
    int first;
    float c[8];
    float *p, *m, *v;
    const float *g;
} vec_update;

/* m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g g;
 * p = p - lr decay p - lr / (1 - b1^t) m / (sqrt(v / (1 - b2^t)) + eps)
 * c: -lr decay, b1, 1 - b1, b2, 1 - b2, 1 / (1 - b2^t), eps, -lr / (1 - b1^t) */
RF_INLINE void vec_adamw_lanes(const vec_update *u, int64_t i, int64_t n)
{
    const float *c = u->c;
    vec p = vec_load_part(u->p + i, n, 0), g = vec_load_part(u->g + i, n, 0);
    vec m = vec_load_part(u->m + i, n, 0), v = vec_load_part(u->v + i, n, 0);
    m = vec_fma(vec_all(c[1]), m, c[2] * g);
    v = vec_fma(vec_all(c[3]), v, c[4] * g * g);
    p = vec_fma(p, vec_all(c[0]), p);
    p = vec_fma(c[7] * m, 1.0f / (vec_sqrt(v * c[5]) + c[6]), p);
    vec_store_part(u->m + i, n, m);
    vec_store_part(u->v + i, n, v);
    vec_store_part(u->p + i, n, p);
}

static void vec_adamw_part(const void *job, int64_t part)
{
    const vec_update *u = job;
    int64_t i = part * RF_VEC_PART, hi = i + RF_VEC_PART;
    hi = hi < u->count ? hi : u->count;
    for (; i + RF_LANES <= hi; i += RF_LANES)
        vec_adamw_lanes(u, i, RF_LANES);
    if (i < hi)
        vec_adamw_lanes(u, i, hi - i);
}

static rf_status vec_adamw(const rf_exec *e, const double c[7], const rf_view *const pgmv[4])
{
    if (!vec_plain(pgmv, 4))
        return rf_kernels_reference.adamw(e, c, pgmv);
    vec_update u = {.count = rf_shape_count(&pgmv[0]->shape),
                    .c = {(float)(-c[0] * c[4]), (float)c[1], (float)(1 - c[1]), (float)c[2],
                          (float)(1 - c[2]), (float)(1 / c[6]), (float)c[3],
                          (float)(-c[0] / c[5])}};
    u.p = pgmv[0]->data;
    u.g = pgmv[1]->data;
    u.m = pgmv[2]->data;
    u.v = pgmv[3]->data;
    vec_run(e, (u.count + RF_VEC_PART - 1) / RF_VEC_PART, vec_adamw_part, &u);
    return RF_OK;
}

/* g' = g + decay p; v = first ? g' : momentum v + (1 - dampening) g';
 * p -= lr (nesterov ? g' + momentum v : v), or lr g' without v.
 * c: -lr, momentum, 1 - dampening, decay, nesterov */
RF_INLINE void vec_sgd_lanes(const vec_update *u, int64_t i, int64_t n)
{
    const float *c = u->c;
    vec p = vec_load_part(u->p + i, n, 0);
    vec g = vec_fma(vec_all(c[3]), p, vec_load_part(u->g + i, n, 0)), step = g;
    if (u->v) {
        vec v = u->first ? g : vec_fma(vec_all(c[1]), vec_load_part(u->v + i, n, 0), c[2] * g);
        vec_store_part(u->v + i, n, v);
        step = c[4] != 0 ? vec_fma(vec_all(c[1]), v, g) : v;
    }
    vec_store_part(u->p + i, n, vec_fma(vec_all(c[0]), step, p));
}

static void vec_sgd_part(const void *job, int64_t part)
{
    const vec_update *u = job;
    int64_t i = part * RF_VEC_PART, hi = i + RF_VEC_PART;
    hi = hi < u->count ? hi : u->count;
    for (; i + RF_LANES <= hi; i += RF_LANES)
        vec_sgd_lanes(u, i, RF_LANES);
    if (i < hi)
        vec_sgd_lanes(u, i, hi - i);
}

static rf_status vec_sgd(const rf_exec *e, const double c[5], int first,
                         const rf_view *const pgv[3])
{
    if (!vec_plain(pgv, 3))
        return rf_kernels_reference.sgd(e, c, first, pgv);
    vec_update u = {.count = rf_shape_count(&pgv[0]->shape),
                    .first = first,
                    .c = {(float)-c[0], (float)c[1], (float)(1 - c[2]), (float)c[3], (float)c[4]}};
    u.p = pgv[0]->data;
    u.g = pgv[1]->data;
    u.v = pgv[2] ? pgv[2]->data : NULL;
    vec_run(e, (u.count + RF_VEC_PART - 1) / RF_VEC_PART, vec_sgd_part, &u);
    return RF_OK;
}

/* A sum over everything, in at most RF_VEC_SUM_PARTS parts of whole blocks. */
typedef struct vec_total_job {
    const float *x;
    int64_t count, each;
    double *sums;
} vec_total_job;

static int64_t vec_total_parts(vec_total_job *t)
{
    int64_t blocks = (t->count + RF_VEC_SUM_BLOCK - 1) / RF_VEC_SUM_BLOCK;
    t->each = (blocks + RF_VEC_SUM_PARTS - 1) / RF_VEC_SUM_PARTS * RF_VEC_SUM_BLOCK;
    return t->each ? (t->count + t->each - 1) / t->each : 0;
}

static void vec_squares_part(const void *job, int64_t part)
{
    const vec_total_job *t = job;
    int64_t i = part * t->each, hi = i + t->each;
    double s[16] = {0};
    hi = hi < t->count ? hi : t->count;
    for (; i + 16 <= hi; i += 16)
        for (int j = 0; j < 16; j++)
            s[j] += (double)t->x[i + j] * (double)t->x[i + j];
    for (; i < hi; i++)
        s[0] += (double)t->x[i] * (double)t->x[i];
    for (int half = 8; half; half /= 2)
        for (int j = 0; j < half; j++)
            s[j] += s[j + half];
    t->sums[part] = s[0];
}

static rf_status vec_sum_squares(const rf_exec *e, const rf_view *x, double *out)
{
    double sums[RF_VEC_SUM_PARTS];
    vec_total_job t = {.x = x->data, .count = rf_shape_count(&x->shape), .sums = sums};
    if (!vec_plain(&x, 1))
        return rf_kernels_reference.sum_squares(e, x, out);
    int64_t parts = vec_total_parts(&t);
    vec_run(e, parts, vec_squares_part, &t);
    *out = 0;
    for (int64_t i = 0; i < parts; i++)
        *out += sums[i];
    return RF_OK;
}

#endif
