/* norm.h: layer norm and rms norm, and their gradients. f32 here.
 *
 * h = (x - mean) rstd (mean is 0 in the rms norm), y = h gain + bias.
 * dx = rstd (d - mean(d) - h mean(d h)), d = dy gain; without mean(d) in the rms norm (Ba, Kiros
 * and Hinton 2016; Zhang and Sennrich 2019). dgain = sum(dy h), dbias = sum(dy) over rows: each
 * part of the rows, one per thread, adds up its own in the workspace, and these are added in order.
 */
#ifndef RF_KERNEL_VECTOR_NORM_H
#define RF_KERNEL_VECTOR_NORM_H

#include "kernel/vector/softmax.h"

typedef struct vec_norm {
    vec_rows r;
    int centred; /* layer norm */
    double eps;
    const float *x, *dy, *gain, *bias, *mean_in, *rstd_in;
    float *y, *mean, *rstd, *dx, *sums;
    int want_gain, want_bias;
} vec_norm;

static const float *vec_data_in(const rf_view *v)
{
    return v ? v->data : NULL;
}

static float *vec_data_out(const rf_view *v)
{
    return v ? v->data : NULL;
}

/* Sum of (x - m)^2, or of x. */
RF_INLINE float vec_row_moment(const float *x, int64_t c, float m, int squared)
{
    vec s[4] = {{0}};
    int64_t k = 0;
    for (; k + 4 * RF_LANES <= c; k += 4 * RF_LANES)
        for (int j = 0; j < 4; j++) {
            vec d = vec_load(x + k + j * RF_LANES) - m;
            s[j] = squared ? vec_fma(d, d, s[j]) : s[j] + d;
        }
    for (; k < c; k += RF_LANES) {
        vec d = vec_load_part(x + k, c - k < RF_LANES ? c - k : RF_LANES, m) - m;
        s[0] = squared ? vec_fma(d, d, s[0]) : s[0] + d;
    }
    return vec_total((s[0] + s[1]) + (s[2] + s[3]));
}

RF_INLINE vec vec_norm_value(const vec_norm *n, vec x, vec gain, vec bias, float mean, float rstd)
{
    vec h = (x - mean) * rstd;
    return n->gain ? vec_fma(h, gain, bias) : h + bias;
}

static void vec_norm_row(const vec_norm *n, int64_t row)
{
    int64_t c = n->r.c, k = 0;
    const float *x = n->x + row * c;
    float *y = n->y + row * c;
    float mean = n->centred ? vec_row_moment(x, c, 0, 0) / (float)c : 0;
    float rstd = (float)(1 / sqrt((double)vec_row_moment(x, c, mean, 1) / (double)c + n->eps));
    const vec none = {0};
    if (n->centred)
        n->mean[row] = mean;
    n->rstd[row] = rstd;
    for (; k + RF_LANES <= c; k += RF_LANES) {
        vec gain = n->gain ? vec_load(n->gain + k) : none;
        vec bias = n->bias ? vec_load(n->bias + k) : none;
        vec_store(y + k, vec_norm_value(n, vec_load(x + k), gain, bias, mean, rstd));
    }
    if (k < c) {
        vec gain = n->gain ? vec_load_part(n->gain + k, c - k, 0) : none;
        vec bias = n->bias ? vec_load_part(n->bias + k, c - k, 0) : none;
        vec value = vec_norm_value(n, vec_load_part(x + k, c - k, 0), gain, bias, mean, rstd);
        vec_store_part(y + k, c - k, value);
    }
}

static void vec_norm_part(const void *job, int64_t part)
{
    const vec_norm *n = job;
    int64_t lo, hi;
    vec_share(n->r.rows, n->r.parts, part, &lo, &hi);
    for (; lo < hi; lo++)
        vec_norm_row(n, lo);
}

static rf_status vec_layer_norm(const rf_exec *e, double eps, const rf_view *x, const rf_view *gain,
                                const rf_view *bias, const rf_view *y, const rf_view *mean,
                                const rf_view *rstd)
{
    const rf_view *const views[] = {x, gain, bias, y, mean, rstd};
    if (!vec_plain(views, 6))
        return rf_kernels_reference.layer_norm(e, eps, x, gain, bias, y, mean, rstd);
    vec_norm n = {.r = vec_rows_of(e, x), .centred = 1, .eps = eps};
    n.x = x->data;
    n.gain = vec_data_in(gain);
    n.bias = vec_data_in(bias);
    n.y = y->data;
    n.mean = mean->data;
    n.rstd = rstd->data;
    vec_run(e, n.r.parts, vec_norm_part, &n);
    return RF_OK;
}

static rf_status vec_rms_norm(const rf_exec *e, double eps, const rf_view *x, const rf_view *gain,
                              const rf_view *y, const rf_view *rstd)
{
    const rf_view *const views[] = {x, gain, y, rstd};
    if (!vec_plain(views, 4))
        return rf_kernels_reference.rms_norm(e, eps, x, gain, y, rstd);
    vec_norm n = {.r = vec_rows_of(e, x), .eps = eps};
    n.x = x->data;
    n.gain = vec_data_in(gain);
    n.y = y->data;
    n.rstd = rstd->data;
    vec_run(e, n.r.parts, vec_norm_part, &n);
    return RF_OK;
}

/* ---- gradients ---- */

typedef struct vec_norm_state {
    const float *x, *dy;
    float *dgain, *dbias; /* this part's sums */
    float mean, rstd;
    vec sum, along; /* of d and of d h */
} vec_norm_state;

/* One vector (n lanes of it) of the first pass: the row's two sums and the columns'. */
RF_INLINE void vec_norm_gather(const vec_norm *n, vec_norm_state *s, int64_t k, int64_t lanes)
{
    vec g = vec_load_part(s->dy + k, lanes, 0);
    vec h = (vec_load_part(s->x + k, lanes, s->mean) - s->mean) * s->rstd;
    vec d = n->gain ? g * vec_load_part(n->gain + k, lanes, 0) : g;
    s->sum += d;
    s->along = vec_fma(d, h, s->along);
    if (n->want_gain)
        vec_store_part(s->dgain + k, lanes, vec_fma(g, h, vec_load_part(s->dgain + k, lanes, 0)));
    if (n->want_bias)
        vec_store_part(s->dbias + k, lanes, g + vec_load_part(s->dbias + k, lanes, 0));
}

RF_INLINE void vec_norm_spread(const vec_norm *n, const vec_norm_state *s, float *dx, int64_t k,
                               int64_t lanes)
{
    vec g = vec_load_part(s->dy + k, lanes, 0);
    vec h = (vec_load_part(s->x + k, lanes, 0) - s->mean) * s->rstd;
    vec d = n->gain ? g * vec_load_part(n->gain + k, lanes, 0) : g;
    vec_store_part(dx + k, lanes, vec_fma(-h, s->along, d - s->sum) * s->rstd);
}

static void vec_norm_grad_row(const vec_norm *n, int64_t row, float *dgain, float *dbias)
{
    int64_t c = n->r.c, k = 0, whole = c - c % RF_LANES;
    vec_norm_state s = {.x = n->x + row * c, .dy = n->dy + row * c, .dgain = dgain, .dbias = dbias};
    s.mean = n->centred ? n->mean_in[row] : 0;
    s.rstd = n->rstd_in[row];
    for (; k < whole; k += RF_LANES)
        vec_norm_gather(n, &s, k, RF_LANES);
    if (k < c)
        vec_norm_gather(n, &s, k, c - k);
    if (!n->dx)
        return;
    s.sum = vec_all(n->centred ? vec_total(s.sum) / (float)c : 0);
    s.along = vec_all(vec_total(s.along) / (float)c);
    for (k = 0; k < whole; k += RF_LANES)
        vec_norm_spread(n, &s, n->dx + row * c, k, RF_LANES);
    if (k < c)
        vec_norm_spread(n, &s, n->dx + row * c, k, c - k);
}

static void vec_norm_grad_part(const void *job, int64_t part)
{
    const vec_norm *n = job;
    int64_t lo, hi, c = n->r.c;
    float *dgain = n->sums + 2 * part * c, *dbias = dgain + c;
    memset(dgain, 0, (size_t)(2 * c) * sizeof(float));
    vec_share(n->r.rows, n->r.parts, part, &lo, &hi);
    for (; lo < hi; lo++)
        vec_norm_grad_row(n, lo, dgain, dbias);
}

/* The parts' sums, in order. */
static void vec_norm_collect(const vec_norm *n, const float *sums, float *out)
{
    for (int64_t k = 0; out && k < n->r.c; k++) {
        float total = 0;
        for (int64_t part = 0; part < n->r.parts; part++)
            total += sums[2 * part * n->r.c + k];
        out[k] = total;
    }
}

static size_t vec_norm_grad_workspace(size_t threads, const rf_view *x)
{
    return x->shape.dtype == RF_F32 ? threads * 2 * (size_t)vec_last(x) * sizeof(float)
                                    : rf_kernels_reference.norm_grad_workspace(threads, x);
}

static rf_status vec_norm_grad_run(const rf_exec *e, vec_norm *n, const rf_view *dgain,
                                   const rf_view *dbias)
{
    n->sums = e->workspace;
    n->want_gain = dgain != NULL;
    n->want_bias = dbias != NULL;
    vec_run(e, n->r.parts, vec_norm_grad_part, n);
    vec_norm_collect(n, n->sums, vec_data_out(dgain));
    vec_norm_collect(n, n->sums + n->r.c, vec_data_out(dbias));
    return RF_OK;
}

static rf_status vec_layer_norm_grad(const rf_exec *e, const rf_view *const in[5],
                                     const rf_view *const out[3])
{
    vec_norm n = {.r = vec_rows_of(e, in[1]), .centred = 1};
    if (!vec_plain(in, 5) || !vec_plain(out, 3))
        return rf_kernels_reference.layer_norm_grad(e, in, out);
    n.dy = in[0]->data;
    n.x = in[1]->data;
    n.gain = vec_data_in(in[2]);
    n.mean_in = in[3]->data;
    n.rstd_in = in[4]->data;
    n.dx = vec_data_out(out[0]);
    return vec_norm_grad_run(e, &n, out[1], out[2]);
}

static rf_status vec_rms_norm_grad(const rf_exec *e, const rf_view *const in[4],
                                   const rf_view *const out[2])
{
    vec_norm n = {.r = vec_rows_of(e, in[1])};
    if (!vec_plain(in, 4) || !vec_plain(out, 2))
        return rf_kernels_reference.rms_norm_grad(e, in, out);
    n.dy = in[0]->data;
    n.x = in[1]->data;
    n.gain = vec_data_in(in[2]);
    n.rstd_in = in[3]->data;
    n.dx = vec_data_out(out[0]);
    return vec_norm_grad_run(e, &n, out[1], NULL);
}

#endif
