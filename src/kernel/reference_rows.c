/* reference_rows.c: softmax and the norms, row by row; see reference.h. */
#include "kernel/reference_view.h"

#include <math.h>

double rf_reference_log_sum_exp(const rf_view *x, int64_t row, int64_t c)
{
    double top = ref_get(x, row * c), sum = 0;
    for (int64_t k = 1; k < c; k++)
        top = fmax(top, ref_get(x, row * c + k));
    for (int64_t k = 0; k < c; k++)
        sum += exp(ref_get(x, row * c + k) - top);
    return top + log(sum);
}

rf_status rf_reference_softmax(const rf_exec *e, int logarithm, const rf_view *x, const rf_view *y)
{
    int64_t c = ref_last(x), n = rf_shape_count(&x->shape);
    (void)e;
    for (int64_t row = 0; c && row < n / c; row++) {
        double lse = rf_reference_log_sum_exp(x, row, c);
        for (int64_t k = row * c; k < (row + 1) * c; k++)
            ref_set(y, k, logarithm ? ref_get(x, k) - lse : exp(ref_get(x, k) - lse));
    }
    return RF_OK;
}

rf_status rf_reference_softmax_grad(const rf_exec *e, int logarithm, const rf_view *dy,
                                    const rf_view *y, const rf_view *dx)
{
    int64_t c = ref_last(y), n = rf_shape_count(&y->shape);
    (void)e;
    for (int64_t row = 0; c && row < n / c; row++) {
        double sum = 0;
        for (int64_t k = row * c; k < (row + 1) * c; k++)
            sum += ref_get(dy, k) * (logarithm ? 1 : ref_get(y, k));
        for (int64_t k = row * c; k < (row + 1) * c; k++) {
            double g = ref_get(dy, k), p = ref_get(y, k);
            ref_set(dx, k, logarithm ? g - exp(p) * sum : p * (g - sum));
        }
    }
    return RF_OK;
}

rf_status rf_reference_layer_norm(const rf_exec *e, double eps, const rf_view *x,
                                  const rf_view *gain, const rf_view *bias, const rf_view *y,
                                  const rf_view *mean, const rf_view *rstd)
{
    int64_t c = ref_last(x), n = rf_shape_count(&x->shape);
    (void)e;
    for (int64_t row = 0; c && row < n / c; row++) {
        double m = 0, v = 0;
        for (int64_t k = row * c; k < (row + 1) * c; k++)
            m += ref_get(x, k) / (double)c;
        for (int64_t k = row * c; k < (row + 1) * c; k++)
            v += (ref_get(x, k) - m) * (ref_get(x, k) - m) / (double)c;
        ref_set(mean, row, m);
        ref_set(rstd, row, 1 / sqrt(v + eps));
        for (int64_t k = 0; k < c; k++) {
            double h = (ref_get(x, row * c + k) - m) / sqrt(v + eps);
            ref_set(y, row * c + k,
                    h * (gain ? ref_get(gain, k) : 1) + (bias ? ref_get(bias, k) : 0));
        }
    }
    return RF_OK;
}

/* What both norms' gradients are made of: x, dy, gain, and h = (x - mean) rstd, mean 0 for rms. */
typedef struct ref_norm_row {
    const rf_view *dy, *x, *gain;
    int64_t first;
    double mean, rstd;
} ref_norm_row;

static ref_norm_row ref_norm_row_of(const rf_view *const in[5], int64_t row)
{
    return (ref_norm_row){in[0],
                          in[1],
                          in[2],
                          row * ref_last(in[1]),
                          in[3] ? ref_get(in[3], row) : 0,
                          ref_get(in[4], row)};
}

static double ref_norm_h(const ref_norm_row *r, int64_t k)
{
    return (ref_get(r->x, r->first + k) - r->mean) * r->rstd;
}

static double ref_norm_d(const ref_norm_row *r, int64_t k)
{
    return ref_get(r->dy, r->first + k) * (r->gain ? ref_get(r->gain, k) : 1);
}

/* dgain (dbias, if along is 0): a column's sum over all rows. */
static void ref_norm_columns(const rf_view *const in[5], const rf_view *out, int along)
{
    int64_t c = ref_last(in[1]), n = rf_shape_count(&in[1]->shape);
    for (int64_t k = 0; out && k < c; k++) {
        double sum = 0;
        for (int64_t row = 0; row < n / c; row++) {
            ref_norm_row r = ref_norm_row_of(in, row);
            sum += ref_get(r.dy, r.first + k) * (along ? ref_norm_h(&r, k) : 1);
        }
        ref_set(out, k, sum);
    }
}

rf_status rf_reference_norm_grad(const rf_exec *e, const rf_view *const in[5],
                                 const rf_view *const out[3])
{
    int64_t c = ref_last(in[1]), n = rf_shape_count(&in[1]->shape);
    (void)e;
    for (int64_t row = 0; out[0] && c && row < n / c; row++) {
        ref_norm_row r = ref_norm_row_of(in, row);
        double sum = 0, along = 0;
        for (int64_t k = 0; k < c; k++) {
            sum += in[3] ? ref_norm_d(&r, k) / (double)c : 0;
            along += ref_norm_d(&r, k) * ref_norm_h(&r, k) / (double)c;
        }
        for (int64_t k = 0; k < c; k++)
            ref_set(out[0], row * c + k,
                    r.rstd * (ref_norm_d(&r, k) - sum - ref_norm_h(&r, k) * along));
    }
    ref_norm_columns(in, out[1], 1);
    ref_norm_columns(in, out[2], 0);
    return RF_OK;
}

rf_status rf_reference_rms_norm(const rf_exec *e, double eps, const rf_view *x, const rf_view *gain,
                                const rf_view *y, const rf_view *rstd)
{
    int64_t c = ref_last(x), n = rf_shape_count(&x->shape);
    (void)e;
    for (int64_t row = 0; c && row < n / c; row++) {
        double v = 0;
        for (int64_t k = row * c; k < (row + 1) * c; k++)
            v += ref_get(x, k) * ref_get(x, k) / (double)c;
        double r = 1 / sqrt(v + eps);
        ref_set(rstd, row, r);
        for (int64_t k = 0; k < c; k++)
            ref_set(y, row * c + k, ref_get(x, row * c + k) * r * (gain ? ref_get(gain, k) : 1));
    }
    return RF_OK;
}

rf_status rf_reference_rms_norm_grad(const rf_exec *e, const rf_view *const in[4],
                                     const rf_view *const out[2])
{
    const rf_view *const in5[5] = {in[0], in[1], in[2], NULL, in[3]};
    const rf_view *const out3[3] = {out[0], out[1], NULL};
    return rf_reference_norm_grad(e, in5, out3);
}
