/* reference_targets.c: cross-entropy and embedding: what is chosen by a number; see reference.h. */
#include "kernel/reference_view.h"

#include <math.h>

/* Whether all numbers lie in [0, limit), or are the ignored one: asked before anything is written.
 */
static int ref_numbers_fit(const rf_view *numbers, int64_t limit, const int64_t *ignored)
{
    int64_t n = rf_shape_count(&numbers->shape);
    for (int64_t i = 0; i < n; i++) {
        int64_t id = ref_integer(numbers, i);
        if ((id < 0 || id >= limit) && !(ignored && id == *ignored))
            return 0;
    }
    return 1;
}

rf_status rf_reference_cross_entropy(const rf_exec *e, const int64_t *ignored,
                                     const rf_view *logits, const rf_view *targets,
                                     const rf_view *losses, const rf_view *lse)
{
    int64_t rows = logits->shape.dims[0], c = logits->shape.dims[1];
    (void)e;
    if (!ref_numbers_fit(targets, c, ignored))
        return RF_E_ARGUMENT;
    for (int64_t r = 0; r < rows; r++) {
        int64_t t = ref_integer(targets, r);
        double sum = rf_reference_log_sum_exp(logits, r, c);
        ref_set(lse, r, sum);
        ref_set(losses, r, ignored && t == *ignored ? 0 : sum - ref_get(logits, r * c + t));
    }
    return RF_OK;
}

rf_status rf_reference_cross_entropy_part_grad(const rf_exec *e, const rf_entropy_part *part,
                                               const rf_view *const in[4], const rf_view *dlogits)
{
    int64_t rows = dlogits->shape.dims[0], c = dlogits->shape.dims[1];
    double g = ref_get(in[0], 0);
    (void)e;
    for (int64_t r = 0; r < rows; r++) {
        int64_t t = ref_integer(in[2], r);
        int counts = !part->ignored || t != *part->ignored;
        for (int64_t k = 0; k < c; k++) {
            double p = exp(ref_get(in[1], r * c + k) - ref_get(in[3], r));
            ref_set(dlogits, r * c + k, counts ? (p - (part->first + k == t)) * g : 0);
        }
    }
    return RF_OK;
}

rf_status rf_reference_cross_entropy_grad(const rf_exec *e, const int64_t *ignored,
                                          const rf_view *const in[4], const rf_view *dlogits)
{
    const rf_entropy_part all = {0, dlogits->shape.dims[1], ignored};
    return rf_reference_cross_entropy_part_grad(e, &all, in, dlogits);
}

double rf_reference_log_add(double a, double b)
{
    double top = fmax(a, b);
    return top == -INFINITY ? top : top + log(exp(a - top) + exp(b - top));
}

rf_status rf_reference_cross_entropy_part(const rf_exec *e, const rf_entropy_part *part,
                                          const rf_view *const in[2], const rf_view *sums)
{
    int64_t rows = in[0]->shape.dims[0], c = in[0]->shape.dims[1];
    double *at = sums->data;
    (void)e;
    for (int64_t r = 0; r < rows; r++, at += 2) {
        int64_t t = ref_integer(in[1], r);
        double sum = rf_reference_log_sum_exp(in[0], r, c);
        at[0] = part->first ? rf_reference_log_add(at[0], sum) : sum;
        if (t >= part->first && t - part->first < c)
            at[1] = ref_get(in[0], r * c + t - part->first);
    }
    return RF_OK;
}

rf_status rf_reference_cross_entropy_end(const rf_exec *e, const rf_entropy_part *part,
                                         const rf_view *const in[2], const rf_view *const out[2])
{
    int64_t rows = rf_shape_count(&in[1]->shape);
    const double *at = in[0]->data;
    (void)e;
    if (!ref_numbers_fit(in[1], part->count, part->ignored))
        return RF_E_ARGUMENT;
    for (int64_t r = 0; r < rows; r++, at += 2) {
        int counts = !part->ignored || ref_integer(in[1], r) != *part->ignored;
        ref_set(out[0], r, counts ? at[0] - at[1] : 0);
        ref_set(out[1], r, at[0]);
    }
    return RF_OK;
}

int64_t rf_reference_count_targets(const int64_t *ignored, const rf_view *targets)
{
    int64_t n = rf_shape_count(&targets->shape), count = 0;
    for (int64_t i = 0; i < n; i++)
        count += !ignored || ref_integer(targets, i) != *ignored;
    return count;
}

rf_status rf_reference_embedding(const rf_exec *e, const rf_view *table, const rf_view *ids,
                                 const rf_view *y)
{
    int64_t n = rf_shape_count(&ids->shape), c = table->shape.dims[1];
    (void)e;
    if (!ref_numbers_fit(ids, table->shape.dims[0], NULL))
        return RF_E_ARGUMENT;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < c; k++)
            ref_set(y, i * c + k, ref_get(table, ref_integer(ids, i) * c + k));
    return RF_OK;
}

/* Whether a position before i has the same id. */
static int ref_seen(const rf_view *ids, int64_t i)
{
    for (int64_t j = 0; j < i; j++)
        if (ref_integer(ids, j) == ref_integer(ids, i))
            return 1;
    return 0;
}

/* A row is written once, where its id comes first: the sum over all that follow. */
rf_status rf_reference_embedding_add(const rf_exec *e, const rf_view *dy, const rf_view *ids,
                                     const rf_view *dtable)
{
    int64_t n = rf_shape_count(&ids->shape), c = dtable->shape.dims[1];
    (void)e;
    if (!ref_numbers_fit(ids, dtable->shape.dims[0], NULL))
        return RF_E_ARGUMENT;
    for (int64_t i = 0; i < n; i++) {
        if (ref_seen(ids, i))
            continue;
        int64_t id = ref_integer(ids, i);
        for (int64_t k = 0; k < c; k++) {
            double sum = ref_get(dtable, id * c + k);
            for (int64_t j = i; j < n; j++)
                sum += ref_integer(ids, j) == id ? ref_get(dy, j * c + k) : 0;
            ref_set(dtable, id * c + k, sum);
        }
    }
    return RF_OK;
}

rf_status rf_reference_embedding_grad(const rf_exec *e, const rf_view *dy, const rf_view *ids,
                                      const rf_view *dtable)
{
    if (!ref_numbers_fit(ids, dtable->shape.dims[0], NULL))
        return RF_E_ARGUMENT;
    rf_reference_fill(e, 0, dtable);
    return rf_reference_embedding_add(e, dy, ids, dtable);
}
