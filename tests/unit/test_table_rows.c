/* Rows of the kernel tables: softmax, norms, cross-entropy, embeddings, rotary. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/kernel_case.h"

static const int64_t sizes[][2] = {{0, 3}, {1, 1}, {3, 7}, {2, 16}, {5, 33}, {50, 700}, {2, 3000}};
enum { SIZES = sizeof sizes / sizeof *sizes };

static int sizes_tried(void)
{
    return getenv("RF_TEST_FAST") ? SIZES - 2 : SIZES;
}

static kernel_view matrix(int i)
{
    return (kernel_view){CASE_FLOAT, .rank = 2, .dims = {sizes[i][0], sizes[i][1]}};
}

static kernel_view vector(int dtype, int64_t n)
{
    return (kernel_view){dtype, .rank = 1, .dims = {n}};
}

/* ---- softmax ---- */

static rf_status call_softmax(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                              const rf_view *const *v)
{
    return k->softmax(e, (int)c->integer[0], v[0], v[1]);
}

static double log_sum_exp(const double *x, int64_t n)
{
    double top = x[0], sum = 0;
    for (int64_t k = 0; k < n; k++)
        top = fmax(top, x[k]);
    for (int64_t k = 0; k < n; k++)
        sum += exp(x[k] - top);
    return top + log(sum);
}

static void truth_softmax(const kernel_case *c, double *const *v)
{
    int64_t n = c->view[0].dims[1];
    for (int64_t i = 0; i < kernel_count(&c->view[0]); i++) {
        double y = v[0][i] - log_sum_exp(v[0] + i / n * n, n);
        v[1][i] = c->integer[0] ? y : exp(y);
    }
}

static rf_status call_softmax_grad(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                                   const rf_view *const *v)
{
    return k->softmax_grad(e, (int)c->integer[0], v[0], v[1], v[2]);
}

static void truth_softmax_grad(const kernel_case *c, double *const *v)
{
    int64_t n = c->view[0].dims[1];
    for (int64_t row = 0; row < c->view[0].dims[0]; row++) {
        const double *g = v[0] + row * n, *y = v[1] + row * n;
        double sum = 0;
        for (int64_t k = 0; k < n; k++)
            sum += c->integer[0] ? g[k] : g[k] * y[k];
        for (int64_t k = 0; k < n; k++)
            v[2][row * n + k] = c->integer[0] ? g[k] - exp(y[k]) * sum : y[k] * (g[k] - sum);
    }
}

static void test_softmax(void **state)
{
    (void)state;
    for (int i = 1; i < sizes_tried(); i++)
        for (int logarithm = 0; logarithm < 2; logarithm++) {
            kernel_case c = {.name = "softmax", .flags = CASE_THREADS, .inputs = 1, .outputs = 1};
            c.view[0] = c.view[1] = matrix(i);
            c.view[0].low = 890;
            c.view[0].high = 920;
            c.call = call_softmax;
            c.truth = truth_softmax;
            c.integer[0] = logarithm;
            c.relative = 4e-6;
            c.absolute = logarithm ? 1e-5 : 1e-30;
            kernel_case_check(&c);
            kernel_case g = {.name = "softmax_grad", .flags = CASE_THREADS, .inputs = 2};
            g.outputs = 1;
            g.view[0] = g.view[1] = g.view[2] = matrix(i);
            g.view[1].low = logarithm ? -9 : 1e-5;
            g.view[1].high = logarithm ? -3 : 2e-4;
            g.call = call_softmax_grad;
            g.truth = truth_softmax_grad;
            g.integer[0] = logarithm;
            g.relative = 4e-6;
            g.absolute = logarithm ? 1e-5 : 1e-8;
            kernel_case_check(&g);
        }
}

/* ---- norms: views x gain bias | y mean rstd, and dy x gain mean rstd | dx dgain dbias ---- */

static rf_status call_norm(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                           const rf_view *const *v)
{
    return c->integer[0] ? k->layer_norm(e, c->number[0], v[0], v[1], v[2], v[3], v[4], v[5])
                         : k->rms_norm(e, c->number[0], v[0], v[1], v[3], v[5]);
}

static void truth_norm(const kernel_case *c, double *const *v)
{
    int64_t n = c->view[0].dims[1];
    for (int64_t row = 0; row < c->view[0].dims[0]; row++) {
        const double *x = v[0] + row * n;
        double mean = 0, square = 0;
        for (int64_t k = 0; k < n && c->integer[0]; k++)
            mean += x[k] / (double)n;
        for (int64_t k = 0; k < n; k++)
            square += (x[k] - mean) * (x[k] - mean) / (double)n;
        double rstd = 1 / sqrt(square + c->number[0]);
        if (v[4])
            v[4][row] = mean;
        v[5][row] = rstd;
        for (int64_t k = 0; k < n; k++)
            v[3][row * n + k] = (x[k] - mean) * rstd * (v[1] ? v[1][k] : 1) + (v[2] ? v[2][k] : 0);
    }
}

static size_t room_norm_grad(const rf_kernels *k, size_t threads, const rf_view *const *v)
{
    return k->norm_grad_workspace(threads, v[1]);
}

static rf_status call_norm_grad(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                                const rf_view *const *v)
{
    const rf_view *const in4[] = {v[0], v[1], v[2], v[4]};
    return c->integer[0] ? k->layer_norm_grad(e, v, v + 5) : k->rms_norm_grad(e, in4, v + 5);
}

static void truth_norm_grad(const kernel_case *c, double *const *v)
{
    int64_t n = c->view[0].dims[1];
    for (int j = 6; j < 8; j++)
        if (v[j])
            memset(v[j], 0, (size_t)n * sizeof(double));
    for (int64_t row = 0; row < c->view[0].dims[0]; row++) {
        const double *g = v[0] + row * n, *x = v[1] + row * n;
        double mean = v[3] ? v[3][row] : 0, rstd = v[4][row], sum = 0, along = 0;
        for (int64_t k = 0; k < n; k++) {
            double h = (x[k] - mean) * rstd, d = g[k] * (v[2] ? v[2][k] : 1);
            sum += d / (double)n;
            along += d * h / (double)n;
            if (v[6])
                v[6][k] += g[k] * h;
            if (v[7])
                v[7][k] += g[k];
        }
        for (int64_t k = 0; k < n && v[5]; k++) {
            double h = (x[k] - mean) * rstd, d = g[k] * (v[2] ? v[2][k] : 1);
            v[5][row * n + k] = rstd * (d - (c->integer[0] ? sum : 0) - h * along);
        }
    }
}

static void check_norm(int size, int centred, int absent)
{
    kernel_case c = {.name = centred ? "layer_norm" : "rms_norm", .flags = CASE_THREADS};
    c.inputs = c.outputs = 3;
    c.view[0] = c.view[3] = matrix(size);
    c.view[1] = c.view[2] = vector(CASE_FLOAT, sizes[size][1]);
    c.view[1].absent = absent & 1;
    c.view[2].absent = absent >> 1 & 1 || !centred;
    c.view[4] = c.view[5] = vector(CASE_WIDE, sizes[size][0]);
    c.view[4].absent = !centred;
    c.view[0].low = 30; /* far from 0: the variance must be centred first */
    c.view[0].high = 33;
    c.call = call_norm;
    c.truth = truth_norm;
    c.integer[0] = centred;
    c.number[0] = 1e-5;
    c.relative = 1e-5;
    c.absolute = sizes[size][1] == 1 ? 1e-3 : 2e-5;
    kernel_case_check(&c);
}

static void check_norm_grad(int size, int centred, int absent)
{
    kernel_case c = {.name = centred ? "layer_norm_grad" : "rms_norm_grad", .inputs = 5};
    c.outputs = 3;
    c.view[0] = c.view[1] = c.view[5] = matrix(size);
    c.view[2] = c.view[6] = c.view[7] = vector(CASE_FLOAT, sizes[size][1]);
    c.view[3] = c.view[4] = vector(CASE_WIDE, sizes[size][0]);
    c.view[2].absent = absent & 1;
    c.view[3].absent = !centred;
    c.view[5].absent = absent >> 1 & 1;
    c.view[6].absent = absent >> 2 & 1;
    c.view[7].absent = absent >> 3 & 1 || !centred;
    c.view[4].low = 0.5;
    c.view[4].high = 1.5;
    c.workspace = room_norm_grad;
    c.call = call_norm_grad;
    c.truth = truth_norm_grad;
    c.integer[0] = centred;
    c.relative = 1e-5;
    c.absolute = 4e-5;
    kernel_case_check(&c);
}

static void test_norms(void **state)
{
    (void)state;
    for (int i = 0; i < sizes_tried(); i++)
        for (int centred = 0; centred < 2; centred++) {
            for (int absent = 0; absent < 4; absent++)
                check_norm(i, centred, absent);
            for (int absent = 0; absent < (i == 4 ? 16 : 2); absent++)
                check_norm_grad(i, centred, absent);
        }
}

/* ---- cross-entropy ---- */

static rf_status call_entropy(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                              const rf_view *const *v)
{
    return k->cross_entropy(e, c->integer[0] ? &c->integer[1] : NULL, v[0], v[1], v[2], v[3]);
}

static void truth_entropy(const kernel_case *c, double *const *v)
{
    int64_t n = c->view[0].dims[1];
    for (int64_t r = 0; r < c->view[0].dims[0]; r++) {
        v[3][r] = log_sum_exp(v[0] + r * n, n);
        v[2][r] = v[3][r] - v[0][r * n + (int64_t)v[1][r]];
        if (c->integer[0] && (int64_t)v[1][r] == c->integer[1])
            v[2][r] = 0;
    }
}

static rf_status call_entropy_grad(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                                   const rf_view *const *v)
{
    return k->cross_entropy_grad(e, c->integer[0] ? &c->integer[1] : NULL, v, v[4]);
}

static void truth_entropy_grad(const kernel_case *c, double *const *v)
{
    int64_t n = c->view[1].dims[1];
    for (int64_t i = 0; i < kernel_count(&c->view[1]); i++) {
        int64_t target = (int64_t)v[2][i / n];
        v[4][i] = (exp(v[1][i] - v[3][i / n]) - (i % n == target)) * v[0][0];
        if (c->integer[0] && target == c->integer[1])
            v[4][i] = 0;
    }
}

static void test_cross_entropy(void **state)
{
    static const int types[] = {RF_I64, RF_I32, RF_U8};
    (void)state;
    for (int i = 0; i < sizes_tried(); i++)
        for (int type = 0; type < 3; type++) {
            kernel_case c = {.name = "cross_entropy", .flags = CASE_THREADS, .inputs = 2};
            int64_t rows = sizes[i][0], n = sizes[i][1];
            c.outputs = 2;
            c.view[0] = matrix(i);
            c.view[1] = vector(types[type], rows);
            c.view[1].high = (double)(n < 256 ? n : 256);

            c.view[2] = c.view[3] = vector(CASE_WIDE, rows);
            c.call = call_entropy;
            c.truth = truth_entropy;
            c.integer[0] = type != 1;
            c.integer[1] = n / 2;
            c.relative = 2e-6;
            c.absolute = 4e-6;
            kernel_case_check(&c);
            kernel_case g = {.name = "cross_entropy_grad", .flags = CASE_THREADS, .inputs = 4};
            g.outputs = 1;
            g.view[0] = (kernel_view){CASE_WIDE, .rank = 0};
            g.view[1] = g.view[4] = matrix(i);
            g.view[2] = c.view[1];
            g.view[3] = vector(CASE_WIDE, rows);
            g.view[3].low = 2.5;
            g.view[3].high = 9;
            g.call = call_entropy_grad;
            g.truth = truth_entropy_grad;
            g.integer[0] = c.integer[0];
            g.integer[1] = c.integer[1];
            g.relative = 4e-6;
            g.absolute = 1e-7;
            kernel_case_check(&g);
        }
}

/* ---- embeddings ---- */

static rf_status call_embedding(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                                const rf_view *const *v)
{
    (void)c;
    return k->embedding(e, v[0], v[1], v[2]);
}

static void truth_embedding(const kernel_case *c, double *const *v)
{
    int64_t n = c->view[0].dims[1];
    for (int64_t i = 0; i < kernel_count(&c->view[2]); i++)
        v[2][i] = v[0][(int64_t)v[1][i / n] * n + i % n];
}

static rf_status call_embedding_grad(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                                     const rf_view *const *v)
{
    (void)c;
    return k->embedding_grad(e, v[0], v[1], v[2]);
}

static void truth_embedding_grad(const kernel_case *c, double *const *v)
{
    int64_t n = c->view[2].dims[1];
    memset(v[2], 0, (size_t)kernel_count(&c->view[2]) * sizeof(double));
    for (int64_t i = 0; i < kernel_count(&c->view[0]); i++)
        v[2][(int64_t)v[1][i / n] * n + i % n] += v[0][i];
}

static void test_embedding(void **state)
{
    static const int types[] = {RF_I64, RF_I32, RF_U8};
    static const int64_t shape[][3] = {{5, 3, 0}, {3, 1, 4}, {11, 33, 40}, {7, 700, 50}};
    (void)state;
    for (int i = 0; i < 4; i++)
        for (int type = 0; type < 3; type++) {
            kernel_case c = {.name = "embedding", .flags = CASE_THREADS, .inputs = 2};
            int64_t rows = shape[i][0], n = shape[i][1], ids = shape[i][2];
            c.outputs = 1;
            c.view[0] = (kernel_view){CASE_FLOAT, .rank = 2, .dims = {rows, n}};
            c.view[1] = (kernel_view){types[type], .rank = 2, .dims = {2, ids / 2}};
            c.view[1].high = (double)rows - 1; /* the last row stays unused */
            c.view[2] = (kernel_view){CASE_FLOAT, .rank = 3, .dims = {2, ids / 2, n}};
            c.call = call_embedding;
            c.truth = truth_embedding;
            kernel_case_check(&c);
            kernel_case g = c;
            g.name = "embedding_grad";
            g.view[0] = c.view[2];
            g.view[2] = c.view[0];
            g.call = call_embedding_grad;
            g.truth = truth_embedding_grad;
            g.relative = 2e-6;
            g.absolute = 1e-5;
            kernel_case_check(&g);
        }
}

/* ---- hostile numbers ---- */

/* Runs f on every table with id number 3 of 9 bad, and asserts that nothing was written. */
static void check_refused(int dtype, int64_t bad,
                          rf_status (*f)(const rf_kernels *k, const rf_exec *e, rf_view *v))
{
    const rf_kernels *tables[KERNEL_TABLES];
    size_t count = kernel_tables(tables);
    for (size_t t = 0; t < count; t++) {
        _Alignas(64) unsigned char data[9 * 6 * 8], out[2][9 * 6 * 8], clean[9 * 6 * 8];
        int64_t ids[9] = {0, 1, 2, bad, 4, 5, 0, 1, 2}, nine = 9, shape[2] = {9, 6},
                table[2] = {6, 6};
        memset(data, 0, sizeof data);
        memset(out, 0x5A, sizeof out);
        memset(clean, 0x5A, sizeof clean);
        rf_exec e = {2, NULL};
        rf_view v[] = {kernel_plain_view(dtype, 2, shape, data),
                       kernel_plain_view(RF_I64, 1, &nine, ids),
                       kernel_plain_view(dtype, 2, shape, out[0]),
                       kernel_plain_view(dtype == RF_F64 ? RF_F64 : RF_F32, 1, &nine, out[0]),
                       kernel_plain_view(dtype == RF_F64 ? RF_F64 : RF_F32, 1, &nine, out[1]),
                       kernel_plain_view(dtype, 2, table, out[0]),
                       kernel_plain_view(dtype, 2, table, data)};
        assert_int_equal(f(tables[t], &e, v), RF_E_ARGUMENT);
        assert_memory_equal(out[0], clean, sizeof clean);
        assert_memory_equal(out[1], clean, sizeof clean);
    }
}

static rf_status bad_target(const rf_kernels *k, const rf_exec *e, rf_view *v)
{
    int64_t ignored = -100;
    return k->cross_entropy(e, &ignored, &v[0], &v[1], &v[3], &v[4]);
}

static rf_status bad_id(const rf_kernels *k, const rf_exec *e, rf_view *v)
{
    return k->embedding(e, &v[6], &v[1], &v[2]);
}

static rf_status bad_id_grad(const rf_kernels *k, const rf_exec *e, rf_view *v)
{
    return k->embedding_grad(e, &v[0], &v[1], &v[5]);
}

static rf_status bad_id_add(const rf_kernels *k, const rf_exec *e, rf_view *v)
{
    return k->embedding_add(e, &v[0], &v[1], &v[5]);
}

static void test_refused(void **state)
{
    static const int64_t bad[] = {6, -1, INT64_MAX, INT64_MIN, INT64_C(1) << 32};
    (void)state;
    for (int dtype = RF_F32; dtype <= RF_BF16; dtype++)
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            check_refused(dtype, bad[i], bad_target);
            check_refused(dtype, bad[i], bad_id);
            check_refused(dtype, bad[i], bad_id_grad);
            check_refused(dtype, bad[i], bad_id_add);
        }
}

static void test_count_targets(void **state)
{
    const rf_kernels *tables[KERNEL_TABLES];
    size_t count = kernel_tables(tables);
    int64_t ids[5] = {1, -100, 3, -100, 0}, five = 5, ignored = -100;
    rf_view v = kernel_plain_view(RF_I64, 1, &five, ids);
    (void)state;
    for (size_t t = 0; t < count; t++) {
        assert_int_equal(tables[t]->count_targets(&ignored, &v), 3);
        assert_int_equal(tables[t]->count_targets(NULL, &v), 5);
    }
}

/* ---- rotary ---- */

static rf_status call_rotary(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                             const rf_view *const *v)
{
    return k->rotary(e, 10000, (int)c->integer[0], v[0], v[1]);
}

static void truth_rotary(const kernel_case *c, double *const *v)
{
    int64_t t = c->view[0].dims[2], d = c->view[0].dims[3];
    for (int64_t i = 0; i < kernel_count(&c->view[0]); i++) {
        int64_t pair = i % d % (d / 2), first = i - i % d + pair;
        double angle = (double)(i / d % t) * pow(10000, -2.0 * (double)pair / (double)d);
        double s = c->integer[0] ? -sin(angle) : sin(angle), a = v[0][first],
               b = v[0][first + d / 2];
        v[1][i] = i % d < d / 2 ? a * cos(angle) - b * s : a * s + b * cos(angle);
    }
}

static void test_rotary(void **state)
{
    (void)state;
    for (int inverse = 0; inverse < 2; inverse++)
        for (int64_t d = 2; d <= 66; d += 32) {
            kernel_case c = {.name = "rotary", .flags = CASE_THREADS | CASE_STRIDED, .inputs = 1};
            c.outputs = 1;
            c.view[0] = (kernel_view){CASE_FLOAT, .rank = 4, .dims = {2, 3, 50, d}};
            c.view[1] = c.view[0];
            c.call = call_rotary;
            c.truth = truth_rotary;
            c.integer[0] = inverse;
            c.relative = 1e-6;
            c.absolute = 1e-6;
            kernel_case_check(&c);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_softmax),       cmocka_unit_test(test_norms),
        cmocka_unit_test(test_cross_entropy), cmocka_unit_test(test_embedding),
        cmocka_unit_test(test_refused),       cmocka_unit_test(test_count_targets),
        cmocka_unit_test(test_rotary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
