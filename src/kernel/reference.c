/* reference.c: see reference.h. Nothing here is fast; everything is short. */
#include "kernel/reference.h"
#include "kernel/window.h"

#include <math.h>
#include <string.h>

/* Position of element number i (row-major) of a view, in elements from its data. */
static int64_t ref_at(const rf_view *v, int64_t i)
{
    int64_t at = 0;
    for (int axis = v->shape.rank - 1; axis >= 0; axis--) {
        at += i % v->shape.dims[axis] * v->strides[axis];
        i /= v->shape.dims[axis];
    }
    return at;
}

static double ref_get(const rf_view *v, int64_t i)
{
    return rf_element_get(v, ref_at(v, i));
}

static void ref_set(const rf_view *v, int64_t i, double value)
{
    rf_element_set(v, ref_at(v, i), value);
}

static int64_t ref_last(const rf_view *v)
{
    return v->shape.rank ? v->shape.dims[v->shape.rank - 1] : 1;
}

/* ---- elements ---- */

static double ref_unary_value(rf_unary kind, double x)
{
    const double c = 0.7978845608028654; /* sqrt(2 / pi) */
    switch (kind) {
    case RF_UNARY_NEG:
        return -x;
    case RF_UNARY_EXP:
        return exp(x);
    case RF_UNARY_LOG:
        return log(x);
    case RF_UNARY_SQRT:
        return sqrt(x);
    case RF_UNARY_SIN:
        return sin(x);
    case RF_UNARY_COS:
        return cos(x);
    case RF_UNARY_TANH:
        return tanh(x);
    case RF_UNARY_SIGMOID:
        return 1 / (1 + exp(-x));
    case RF_UNARY_RELU:
        return x > 0 ? x : 0;
    case RF_UNARY_GELU:
        return x / 2 * (1 + erf(x / sqrt(2)));
    case RF_UNARY_GELU_TANH:
        return x / 2 * (1 + tanh(c * (x + 0.044715 * x * x * x)));
    case RF_UNARY_SILU:
        return x / (1 + exp(-x));
    default:
        return x;
    }
}

/* 64-bit integers do not fit a double: they are computed with as they are, and wrap around. */
static int64_t ref_integer(const rf_view *v, int64_t i)
{
    return v->shape.dtype == RF_I64 ? ((const int64_t *)v->data)[ref_at(v, i)]
                                    : (int64_t)ref_get(v, i);
}

static void ref_set_integer(const rf_view *v, int64_t i, uint64_t value)
{
    int64_t at = ref_at(v, i);
    if (v->shape.dtype == RF_I64)
        ((int64_t *)v->data)[at] = (int64_t)value;
    else if (v->shape.dtype == RF_I32)
        ((int32_t *)v->data)[at] = (int32_t)(uint32_t)value;
    else
        ((uint8_t *)v->data)[at] = (uint8_t)value;
}

static int ref_is_integer(const rf_view *v)
{
    return v->shape.dtype >= RF_I32;
}

static rf_status ref_unary(const rf_exec *e, rf_unary kind, const rf_view *x, const rf_view *y)
{
    int64_t n = rf_shape_count(&y->shape);
    (void)e;
    for (int64_t i = 0; i < n; i++)
        if (ref_is_integer(x) && ref_is_integer(y) && kind <= RF_UNARY_NEG)
            ref_set_integer(y, i,
                            kind == RF_UNARY_NEG ? -(uint64_t)ref_integer(x, i)
                                                 : (uint64_t)ref_integer(x, i));
        else
            ref_set(y, i, ref_unary_value(kind, ref_get(x, i)));
    return RF_OK;
}

static double ref_gelu_tanh_slope(double x)
{
    const double c = 0.7978845608028654, a = 0.044715;
    double t = tanh(c * (x + a * x * x * x));
    return (1 + t) / 2 + x / 2 * (1 - t * t) * c * (1 + 3 * a * x * x);
}

static double ref_binary_value(rf_binary kind, double x, double y)
{
    double q = 1 / (1 + exp(-y));
    switch (kind) {
    case RF_BINARY_ADD:
        return x + y;
    case RF_BINARY_SUB:
        return x - y;
    case RF_BINARY_MUL:
        return x * y;
    case RF_BINARY_DIV:
        return x / y;
    case RF_BINARY_RELU_GRAD:
        return y > 0 ? x : 0;
    case RF_BINARY_TANH_GRAD:
        return x * (1 - y * y);
    case RF_BINARY_SIGMOID_GRAD:
        return x * y * (1 - y);
    case RF_BINARY_GELU_GRAD:
        return x * ((1 + erf(y / sqrt(2))) / 2 + y * exp(-y * y / 2) * 0.3989422804014327);
    case RF_BINARY_GELU_TANH_GRAD:
        return x * ref_gelu_tanh_slope(y);
    default:
        return x * q * (1 + y * (1 - q));
    }
}

static uint64_t ref_binary_integer(rf_binary kind, uint64_t x, uint64_t y)
{
    return kind == RF_BINARY_ADD ? x + y : kind == RF_BINARY_SUB ? x - y : x * y;
}

static rf_status ref_binary(const rf_exec *e, rf_binary kind, const rf_view *x, const rf_view *y,
                            const rf_view *z)
{
    int64_t n = rf_shape_count(&z->shape);
    (void)e;
    for (int64_t i = 0; i < n; i++)
        if (ref_is_integer(z) && kind <= RF_BINARY_MUL)
            ref_set_integer(
                z, i,
                ref_binary_integer(kind, (uint64_t)ref_integer(x, i), (uint64_t)ref_integer(y, i)));
        else
            ref_set(z, i, ref_binary_value(kind, ref_get(x, i), ref_get(y, i)));
    return RF_OK;
}

static rf_status ref_affine(const rf_exec *e, double alpha, double beta, const rf_view *x,
                            const rf_view *y)
{
    int64_t n = rf_shape_count(&y->shape);
    (void)e;
    for (int64_t i = 0; i < n; i++)
        ref_set(y, i, alpha * ref_get(x, i) + beta);
    return RF_OK;
}

static rf_status ref_fill(const rf_exec *e, double value, const rf_view *y)
{
    int64_t n = rf_shape_count(&y->shape);
    (void)e;
    for (int64_t i = 0; i < n; i++)
        ref_set(y, i, value);
    return RF_OK;
}

/* ---- reductions ---- */

/* The sum of those `count` elements of x that element o of y stands for; in f64, whatever the type:
 * a sum that is rounded at every step stands still. */
static double ref_sum_to(const rf_view *x, const rf_view *y, int64_t o, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t kept = o, summed = i, at = 0;
        for (int axis = x->shape.rank - 1; axis >= 0; axis--) {
            int64_t dim = x->shape.dims[axis], *from = y->shape.dims[axis] == 1 ? &summed : &kept;
            at += *from % dim * x->strides[axis];
            *from /= dim;
        }
        sum += rf_element_get(x, at);
    }
    return sum;
}

rf_status rf_reference_sum(const rf_exec *e, double scale, const rf_view *x, const rf_view *y)
{
    int64_t n = rf_shape_count(&y->shape), each = n ? rf_shape_count(&x->shape) / n : 0;
    (void)e;
    for (int64_t o = 0; o < n; o++)
        ref_set(y, o, scale * ref_sum_to(x, y, o, each));
    return RF_OK;
}

rf_status rf_reference_max_last(const rf_exec *e, const rf_view *x, const rf_view *y,
                                const rf_view *index)
{
    int64_t c = ref_last(x), rows = rf_shape_count(&y->shape);
    (void)e;
    for (int64_t r = 0; r < rows; r++) {
        int64_t best = 0;
        for (int64_t k = 1; k < c; k++)
            if (ref_get(x, r * c + k) > ref_get(x, r * c + best))
                best = k;
        ref_set(y, r, ref_get(x, r * c + best));
        ((int64_t *)index->data)[ref_at(index, r)] = best;
    }
    return RF_OK;
}

rf_status rf_reference_max_last_grad(const rf_exec *e, const rf_view *g, const rf_view *index,
                                     const rf_view *dx)
{
    int64_t c = ref_last(dx), rows = rf_shape_count(&g->shape);
    rf_status status = ref_fill(e, 0, dx);
    for (int64_t r = 0; r < rows; r++)
        ref_set(dx, r * c + ref_integer(index, r), ref_get(g, r));
    return status;
}

static rf_status ref_sum_squares(const rf_exec *e, const rf_view *x, double *out)
{
    int64_t n = rf_shape_count(&x->shape);
    (void)e;
    *out = 0;
    for (int64_t i = 0; i < n; i++)
        *out += ref_get(x, i) * ref_get(x, i);
    return RF_OK;
}

/* ---- products ---- */

static size_t ref_no_workspace(size_t threads, const rf_view *a, const rf_view *b, const rf_view *c)
{
    (void)threads;
    (void)a;
    (void)b;
    (void)c;
    return 0;
}

size_t rf_reference_no_scratch(size_t threads, const rf_view *x)
{
    (void)threads;
    (void)x;
    return 0;
}

/* The sum over k for element i of c, from `sum` on. */
static double ref_product(const rf_view *a, const rf_view *b, const rf_view *c, int64_t i,
                          double sum)
{
    unsigned r = c->shape.rank;
    int64_t m = c->shape.dims[r - 2], n = c->shape.dims[r - 1], k = a->shape.dims[r - 1];
    int64_t col = i % n, row = i / n % m, batch = i / n / m;
    for (int64_t p = 0; p < k; p++)
        sum += ref_get(a, (batch * m + row) * k + p) * ref_get(b, (batch * k + p) * n + col);
    return sum;
}

static rf_status ref_matmul(const rf_exec *e, const rf_view *a, const rf_view *b, const rf_view *c)
{
    int64_t count = rf_shape_count(&c->shape);
    (void)e;
    for (int64_t i = 0; i < count; i++)
        ref_set(c, i, ref_product(a, b, c, i, 0));
    return RF_OK;
}

static rf_status ref_matmul_add(const rf_exec *e, const rf_view *a, const rf_view *b,
                                const rf_view *c)
{
    int64_t count = rf_shape_count(&c->shape);
    (void)e;
    if (c->shape.dtype != RF_F32 && c->shape.dtype != RF_F64)
        return RF_E_DTYPE;
    for (int64_t i = 0; i < count; i++)
        ref_set(c, i, ref_product(a, b, c, i, ref_get(c, i)));
    return RF_OK;
}

/* ---- rows ---- */

static double ref_log_sum_exp(const rf_view *x, int64_t row, int64_t c)
{
    double top = ref_get(x, row * c), sum = 0;
    for (int64_t k = 1; k < c; k++)
        top = fmax(top, ref_get(x, row * c + k));
    for (int64_t k = 0; k < c; k++)
        sum += exp(ref_get(x, row * c + k) - top);
    return top + log(sum);
}

static rf_status ref_softmax(const rf_exec *e, int logarithm, const rf_view *x, const rf_view *y)
{
    int64_t c = ref_last(x), n = rf_shape_count(&x->shape);
    (void)e;
    for (int64_t row = 0; c && row < n / c; row++) {
        double lse = ref_log_sum_exp(x, row, c);
        for (int64_t k = row * c; k < (row + 1) * c; k++)
            ref_set(y, k, logarithm ? ref_get(x, k) - lse : exp(ref_get(x, k) - lse));
    }
    return RF_OK;
}

static rf_status ref_softmax_grad(const rf_exec *e, int logarithm, const rf_view *dy,
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

static rf_status ref_layer_norm(const rf_exec *e, double eps, const rf_view *x, const rf_view *gain,
                                const rf_view *bias, const rf_view *y, const rf_view *mean,
                                const rf_view *rstd)
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

static rf_status ref_norm_grad(const rf_exec *e, const rf_view *const in[5],
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

static rf_status ref_rms_norm(const rf_exec *e, double eps, const rf_view *x, const rf_view *gain,
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

static rf_status ref_rms_norm_grad(const rf_exec *e, const rf_view *const in[4],
                                   const rf_view *const out[2])
{
    const rf_view *const in5[5] = {in[0], in[1], in[2], NULL, in[3]};
    const rf_view *const out3[3] = {out[0], out[1], NULL};
    return ref_norm_grad(e, in5, out3);
}

/* ---- targets and ids ---- */

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

static rf_status ref_cross_entropy(const rf_exec *e, const int64_t *ignored, const rf_view *logits,
                                   const rf_view *targets, const rf_view *losses,
                                   const rf_view *lse)
{
    int64_t rows = logits->shape.dims[0], c = logits->shape.dims[1];
    (void)e;
    if (!ref_numbers_fit(targets, c, ignored))
        return RF_E_ARGUMENT;
    for (int64_t r = 0; r < rows; r++) {
        int64_t t = ref_integer(targets, r);
        double sum = ref_log_sum_exp(logits, r, c);
        ref_set(lse, r, sum);
        ref_set(losses, r, ignored && t == *ignored ? 0 : sum - ref_get(logits, r * c + t));
    }
    return RF_OK;
}

static rf_status ref_cross_entropy_part_grad(const rf_exec *e, const rf_entropy_part *part,
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

static rf_status ref_cross_entropy_grad(const rf_exec *e, const int64_t *ignored,
                                        const rf_view *const in[4], const rf_view *dlogits)
{
    const rf_entropy_part all = {0, dlogits->shape.dims[1], ignored};
    return ref_cross_entropy_part_grad(e, &all, in, dlogits);
}

double rf_reference_log_add(double a, double b)
{
    double top = fmax(a, b);
    return top == -INFINITY ? top : top + log(exp(a - top) + exp(b - top));
}

static rf_status ref_cross_entropy_part(const rf_exec *e, const rf_entropy_part *part,
                                        const rf_view *const in[2], const rf_view *sums)
{
    int64_t rows = in[0]->shape.dims[0], c = in[0]->shape.dims[1];
    double *at = sums->data;
    (void)e;
    for (int64_t r = 0; r < rows; r++, at += 2) {
        int64_t t = ref_integer(in[1], r);
        double sum = ref_log_sum_exp(in[0], r, c);
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

static rf_status ref_embedding(const rf_exec *e, const rf_view *table, const rf_view *ids,
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
static rf_status ref_embedding_add(const rf_exec *e, const rf_view *dy, const rf_view *ids,
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

static rf_status ref_embedding_grad(const rf_exec *e, const rf_view *dy, const rf_view *ids,
                                    const rf_view *dtable)
{
    if (!ref_numbers_fit(ids, dtable->shape.dims[0], NULL))
        return RF_E_ARGUMENT;
    ref_fill(e, 0, dtable);
    return ref_embedding_add(e, dy, ids, dtable);
}

/* ---- positions and attention ---- */

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

/* ---- random: Philox 4x32-10 (Salmon et al. 2011) ---- */

static uint32_t ref_word(rf_rng rng, int64_t i)
{
    uint64_t block = rng.offset + (uint64_t)i / 4;
    uint32_t c[4] = {(uint32_t)block, (uint32_t)(block >> 32), 0, 0};
    uint32_t k[2] = {(uint32_t)rng.seed, (uint32_t)(rng.seed >> 32)};
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53 * c[0], b = (uint64_t)0xCD9E8D57 * c[2];
        uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k[0], (uint32_t)b,
                            (uint32_t)(a >> 32) ^ c[3] ^ k[1], (uint32_t)a};
        memcpy(c, next, sizeof c);
        k[0] += 0x9E3779B9;
        k[1] += 0xBB67AE85;
    }
    return c[i % 4];
}

rf_status rf_reference_uniform(const rf_exec *e, rf_rng rng, const rf_view *y)
{
    int64_t n = rf_shape_count(&y->shape);
    (void)e;
    for (int64_t i = 0; i < n; i++)
        ref_set(y, i,
                y->shape.dtype == RF_F64 ? ref_word(rng, i) * 0x1p-32
                                         : (ref_word(rng, i) >> 8) * 0x1p-24);
    return RF_OK;
}

/* Words 2j and 2j + 1 make normals 2j (cosine) and 2j + 1 (sine). */
rf_status rf_reference_normal(const rf_exec *e, rf_rng rng, const rf_view *y)
{
    int64_t n = rf_shape_count(&y->shape);
    (void)e;
    for (int64_t i = 0; i < n; i++) {
        double u = (ref_word(rng, i & ~(int64_t)1) + 1.0) * 0x1p-32;
        double angle = 2 * 3.14159265358979323846 * ref_word(rng, i | 1) * 0x1p-32;
        ref_set(y, i, sqrt(-2 * log(u)) * (i & 1 ? sin(angle) : cos(angle)));
    }
    return RF_OK;
}

rf_status rf_reference_dropout(const rf_exec *e, rf_rng rng, double rate, const rf_view *x,
                               const rf_view *y)
{
    int64_t n = rf_shape_count(&y->shape);
    (void)e;
    for (int64_t i = 0; i < n; i++)
        ref_set(y, i, ref_word(rng, i) >= rate * 0x1p32 ? ref_get(x, i) / (1 - rate) : 0);
    return RF_OK;
}

/* ---- optimisers ---- */

static rf_status ref_adamw(const rf_exec *e, const double c[7], const rf_view *const pgmv[4])
{
    int64_t n = rf_shape_count(&pgmv[0]->shape);
    (void)e;
    for (int64_t i = 0; i < n; i++) {
        double p = ref_get(pgmv[0], i), g = ref_get(pgmv[1], i);
        double m = c[1] * ref_get(pgmv[2], i) + (1 - c[1]) * g;
        double v = c[2] * ref_get(pgmv[3], i) + (1 - c[2]) * g * g;
        ref_set(pgmv[2], i, m);
        ref_set(pgmv[3], i, v);
        p -= c[0] * c[4] * p;
        ref_set(pgmv[0], i, p - c[0] * (m / c[5]) / (sqrt(v / c[6]) + c[3]));
    }
    return RF_OK;
}

static rf_status ref_sgd(const rf_exec *e, const double c[5], int first,
                         const rf_view *const pgv[3])
{
    int64_t n = rf_shape_count(&pgv[0]->shape);
    (void)e;
    for (int64_t i = 0; i < n; i++) {
        double p = ref_get(pgv[0], i), g = ref_get(pgv[1], i) + c[3] * p, step = g;
        if (pgv[2]) {
            double v = first ? g : c[1] * ref_get(pgv[2], i) + (1 - c[2]) * g;
            ref_set(pgv[2], i, v);
            step = c[4] != 0 ? g + c[1] * v : v;
        }
        ref_set(pgv[0], i, p - c[0] * step);
    }
    return RF_OK;
}

const rf_kernels rf_kernels_reference = {
    .name = "reference",
    .unary = ref_unary,
    .binary = ref_binary,
    .affine = ref_affine,
    .fill = ref_fill,
    .sum = rf_reference_sum,
    .max_last = rf_reference_max_last,
    .max_last_grad = rf_reference_max_last_grad,
    .matmul_workspace = ref_no_workspace,
    .matmul = ref_matmul,
    .matmul_add = ref_matmul_add,
    .softmax = ref_softmax,
    .softmax_grad = ref_softmax_grad,
    .layer_norm = ref_layer_norm,
    .norm_grad_workspace = rf_reference_no_scratch,
    .layer_norm_grad = ref_norm_grad,
    .rms_norm = ref_rms_norm,
    .rms_norm_grad = ref_rms_norm_grad,
    .cross_entropy = ref_cross_entropy,
    .cross_entropy_grad = ref_cross_entropy_grad,
    .cross_entropy_part = ref_cross_entropy_part,
    .cross_entropy_end = rf_reference_cross_entropy_end,
    .cross_entropy_part_grad = ref_cross_entropy_part_grad,
    .count_targets = rf_reference_count_targets,
    .embedding = ref_embedding,
    .embedding_grad = ref_embedding_grad,
    .embedding_add = ref_embedding_add,
    .rotary = rf_reference_rotary,
    .attention_workspace = rf_reference_no_scratch,
    .attention = rf_reference_attention,
    .attention_grad_workspace = rf_reference_no_scratch,
    .attention_grad = rf_reference_attention_grad,
    .uniform = rf_reference_uniform,
    .normal = rf_reference_normal,
    .dropout = rf_reference_dropout,
    .adamw = ref_adamw,
    .sgd = ref_sgd,
    .sum_squares = ref_sum_squares,
    .conv2d_workspace = rf_convolution_workspace,
    .conv2d = rf_convolution,
    .max_pool2d = rf_pool_max,
    .pool2d_pick = rf_pool_pick,
    .pool2d_scatter = rf_pool_scatter,
    .avg_pool2d = rf_pool_mean,
    .avg_pool2d_grad = rf_pool_spread,
    .batch_norm = rf_batch_normalize,
    .batch_norm_grad = rf_batch_normalize_grad,
};
