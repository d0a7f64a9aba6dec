/* entropy.h: cross-entropy of logits (N, V) and its gradient. f32 here.
 *
 * All targets are looked at before anything is written, so that a bad one leaves no trace.
 */
#ifndef RF_KERNEL_VECTOR_ENTROPY_H
#define RF_KERNEL_VECTOR_ENTROPY_H

#include "kernel/vector/softmax.h"

typedef struct vec_entropy {
    int64_t rows, c, parts, stride;
    const int64_t *ignored;
    const rf_view *targets;
    const float *logits, *lse_in;
    float *losses, *lse, *dlogits;
    float g;
    int64_t first; /* column of the vocabulary that column 0 is */
    double *sums;
} vec_entropy;

/* Integer i of a view of rank at most 1 whose elements lie `stride` apart. */
static int64_t vec_integer(const rf_view *v, int64_t i, int64_t stride)
{
    switch (v->shape.dtype) {
    case RF_I64:
        return ((const int64_t *)v->data)[i * stride];
    case RF_I32:
        return ((const int32_t *)v->data)[i * stride];
    default:
        return ((const uint8_t *)v->data)[i * stride];
    }
}

static rf_status vec_check_targets(const vec_entropy *t)
{
    for (int64_t r = 0; r < t->rows; r++) {
        int64_t id = vec_integer(t->targets, r, t->stride);
        if ((id < 0 || id >= t->c) && !(t->ignored && id == *t->ignored))
            return RF_E_ARGUMENT;
    }
    return RF_OK;
}

static void vec_entropy_part(const void *job, int64_t part)
{
    const vec_entropy *t = job;
    int64_t lo, hi;
    vec_share(t->rows, t->parts, part, &lo, &hi);
    for (; lo < hi; lo++) {
        const float *x = t->logits + lo * t->c;
        int64_t id = vec_integer(t->targets, lo, t->stride);
        float top = vec_row_max(x, t->c);
        double lse = log((double)vec_row_exp(x, NULL, t->c, top)) + (double)top;
        t->lse[lo] = (float)lse;
        t->losses[lo] = t->ignored && id == *t->ignored ? 0 : (float)(lse - (double)x[id]);
    }
}

static vec_entropy vec_entropy_of(const rf_exec *e, const int64_t *ignored, const rf_view *logits,
                                  const rf_view *targets)
{
    vec_entropy t = {.rows = logits->shape.dims[0], .c = logits->shape.dims[1]};
    t.parts = vec_parts(e, t.rows, t.c);
    t.ignored = ignored;
    t.targets = targets;
    t.stride = targets->shape.rank ? targets->strides[targets->shape.rank - 1] : 0;
    t.logits = logits->data;
    return t;
}

static rf_status vec_cross_entropy(const rf_exec *e, const int64_t *ignored, const rf_view *logits,
                                   const rf_view *targets, const rf_view *losses,
                                   const rf_view *lse)
{
    const rf_view *const views[] = {logits, losses, lse};
    vec_entropy t = vec_entropy_of(e, ignored, logits, targets);
    if (vec_check_targets(&t))
        return RF_E_ARGUMENT;
    if (!vec_plain(views, 3))
        return rf_kernels_reference.cross_entropy(e, ignored, logits, targets, losses, lse);
    t.losses = losses->data;
    t.lse = lse->data;
    vec_run(e, t.parts, vec_entropy_part, &t);
    return RF_OK;
}

/* Columns of a vocabulary that are not all of it. */
static void vec_entropy_columns(const void *job, int64_t part)
{
    const vec_entropy *t = job;
    int64_t lo, hi;
    vec_share(t->rows, t->parts, part, &lo, &hi);
    for (; lo < hi; lo++) {
        const float *x = t->logits + lo * t->c;
        double *at = t->sums + 2 * lo;
        int64_t id = vec_integer(t->targets, lo, t->stride);
        float top = vec_row_max(x, t->c);
        double sum = log((double)vec_row_exp(x, NULL, t->c, top)) + (double)top;
        at[0] = t->first ? rf_reference_log_add(at[0], sum) : sum;
        if (id >= t->first && id - t->first < t->c)
            at[1] = (double)x[id - t->first];
    }
}

static rf_status vec_cross_entropy_part(const rf_exec *e, const rf_entropy_part *part,
                                        const rf_view *const in[2], const rf_view *sums)
{
    vec_entropy t = vec_entropy_of(e, part->ignored, in[0], in[1]);
    if (!vec_plain(in, 1))
        return rf_kernels_reference.cross_entropy_part(e, part, in, sums);
    t.first = part->first;
    t.sums = sums->data;
    vec_run(e, t.parts, vec_entropy_columns, &t);
    return RF_OK;
}

/* d = exp(x - lse) g, and (exp(x - lse) - 1) g at the target. */
static void vec_entropy_grad_row(const vec_entropy *t, int64_t row, int64_t id)
{
    const float *x = t->logits + row * t->c;
    float *d = t->dlogits + row * t->c, lse = t->lse_in[row], at_target = 0;
    int64_t k = 0;
    if (id >= 0 && id < t->c)
        at_target = (vec_exp_negative(vec_all(x[id] - lse))[0] - 1.0f) * t->g;
    for (; k + RF_LANES <= t->c; k += RF_LANES)
        vec_store(d + k, vec_exp_negative(vec_load(x + k) - lse) * t->g);
    if (k < t->c)
        vec_store_part(d + k, t->c - k,
                       vec_exp_negative(vec_load_part(x + k, t->c - k, 0) - lse) * t->g);
    if (id >= 0 && id < t->c)
        d[id] = at_target;
}

static void vec_entropy_grad_part(const void *job, int64_t part)
{
    const vec_entropy *t = job;
    int64_t lo, hi;
    vec_share(t->rows, t->parts, part, &lo, &hi);
    for (; lo < hi; lo++) {
        int64_t id = vec_integer(t->targets, lo, t->stride);
        if (t->ignored && id == *t->ignored)
            memset(t->dlogits + lo * t->c, 0, (size_t)t->c * sizeof(float));
        else
            vec_entropy_grad_row(t, lo, id < t->first ? -1 : id - t->first);
    }
}

static rf_status vec_cross_entropy_part_grad(const rf_exec *e, const rf_entropy_part *part,
                                             const rf_view *const in[4], const rf_view *dlogits)
{
    const rf_view *const views[] = {in[0], in[1], in[3], dlogits};
    vec_entropy t = vec_entropy_of(e, part->ignored, in[1], in[2]);
    if (!vec_plain(views, 4))
        return rf_kernels_reference.cross_entropy_part_grad(e, part, in, dlogits);
    if (!t.rows)
        return RF_OK;
    t.g = *(const float *)in[0]->data;
    t.lse_in = in[3]->data;
    t.dlogits = dlogits->data;
    t.first = part->first;
    vec_run(e, t.parts, vec_entropy_grad_part, &t);
    return RF_OK;
}

static rf_status vec_cross_entropy_grad(const rf_exec *e, const int64_t *ignored,
                                        const rf_view *const in[4], const rf_view *dlogits)
{
    const rf_entropy_part all = {0, dlogits->shape.dims[1], ignored};
    return vec_cross_entropy_part_grad(e, &all, in, dlogits);
}

#endif
