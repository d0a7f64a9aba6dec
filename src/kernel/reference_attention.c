/* reference_attention.c: positions and attention; see reference.h. */
#include "kernel/reference_view.h"

#include <math.h>

rf_status rf_reference_rotary(const rf_exec *e, double base, int inverse, const rf_view *x,
                              const rf_view *y)
{
    unsigned rank = x->shape.rank;
    int64_t d = x->shape.dims[rank - 1], t = x->shape.dims[rank - 2];
    int64_t n = rf_shape_count(&x->shape);
    (void)e;
    for (int64_t row = 0; d && row < n / d; row++)
        for (int64_t i = 0; i < d / 2; i++) {
            double angle = (double)(row % t) * pow(base, -2.0 * (double)i / (double)d);
            double co = cos(angle), si = inverse ? -sin(angle) : sin(angle);
            double a = ref_get(x, row * d + i), b = ref_get(x, row * d + i + d / 2);
            ref_set(y, row * d + i, a * co - b * si);
            ref_set(y, row * d + i + d / 2, a * si + b * co);
        }
    return RF_OK;
}

static double ref_dot(const rf_view *a, int64_t i, const rf_view *b, int64_t j, int64_t d)
{
    double sum = 0;
    for (int64_t k = 0; k < d; k++)
        sum += ref_get(a, i * d + k) * ref_get(b, j * d + k);
    return sum;
}

#define REF_COLUMNS 64 /* of a row of o, dq, dk or dv that are summed at a time */

/* sum[x] += weight v[row, first + x] */
static void ref_gather(double *sum, double weight, const rf_view *v, int64_t row, int64_t first)
{
    int64_t d = ref_last(v);
    for (int64_t x = 0; x < REF_COLUMNS && first + x < d; x++)
        sum[x] += weight * ref_get(v, row * d + first + x);
}

static void ref_put_row(const double *sum, double scale, const rf_view *v, int64_t row,
                        int64_t first)
{
    int64_t d = ref_last(v);
    for (int64_t x = 0; x < REF_COLUMNS && first + x < d; x++)
        ref_set(v, row * d + first + x, sum[x] * scale);
}

rf_status rf_reference_attention(const rf_exec *e, double scale, const rf_view *const in[3],
                                 const rf_view *o, const rf_view *lse)
{
    int64_t t = o->shape.dims[2], d = o->shape.dims[3], n = rf_shape_count(&lse->shape);
    (void)e;
    for (int64_t i = 0; i < n; i++) {
        int64_t first = i - i % t;
        double top = -INFINITY, total = 0;
        for (int64_t j = first; j <= i; j++)
            top = fmax(top, scale * ref_dot(in[0], i, in[1], j, d));
        for (int64_t x = 0; x < d || !x; x += REF_COLUMNS) {
            double sum[REF_COLUMNS] = {0};
            total = 0;
            for (int64_t j = first; j <= i; j++) {
                double p = exp(scale * ref_dot(in[0], i, in[1], j, d) - top);
                total += p;
                ref_gather(sum, p, in[2], j, x);
            }
            ref_put_row(sum, 1 / total, o, i, x);
        }
        ref_set(lse, i, top + log(total));
    }
    return RF_OK;
}

/* p = exp(scale q k' - lse), and *ds = p (do v' - do o') scale, of query i and key j. */
static double ref_attention_slope(const rf_view *const in[6], double scale, int64_t i, int64_t j,
                                  double *ds)
{
    int64_t d = in[1]->shape.dims[3];
    double p = exp(scale * ref_dot(in[1], i, in[2], j, d) - ref_get(in[5], i));
    *ds = p * (ref_dot(in[0], i, in[3], j, d) - ref_dot(in[0], i, in[4], i, d)) * scale;
    return p;
}

/* Row r of dq is a sum over the keys before it; of dk and dv, over the queries after it. */
rf_status rf_reference_attention_grad(const rf_exec *e, double scale, const rf_view *const in[6],
                                      const rf_view *const out[3])
{
    int64_t t = in[1]->shape.dims[2], d = in[1]->shape.dims[3];
    int64_t n = rf_shape_count(&in[5]->shape);
    (void)e;
    for (int64_t r = 0; r < n; r++)
        for (int64_t x = 0; x < d; x += REF_COLUMNS) {
            double dq[REF_COLUMNS] = {0}, dk[REF_COLUMNS] = {0}, dv[REF_COLUMNS] = {0}, ds;
            int64_t first = r - r % t;
            for (int64_t j = first; j <= r; j++) {
                ref_attention_slope(in, scale, r, j, &ds);
                ref_gather(dq, ds, in[2], j, x);
            }
            for (int64_t i = r; i < first + t; i++) {
                double p = ref_attention_slope(in, scale, i, r, &ds);
                ref_gather(dk, ds, in[1], i, x);
                ref_gather(dv, p, in[0], i, x);
            }
            ref_put_row(dq, 1, out[0], r, x);
            ref_put_row(dk, 1, out[1], r, x);
            ref_put_row(dv, 1, out[2], r, x);
        }
    return RF_OK;
}
