/* Elements of the kernel tables: unary, binary, affine, fill, sum, max_last, sums of squares. */
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/kernel_case.h"

static const kernel_view shapes[] = {
    {CASE_FLOAT, .rank = 0},
    {CASE_FLOAT, .rank = 1, .dims = {1}},
    {CASE_FLOAT, .rank = 1, .dims = {37}},
    {CASE_FLOAT, .rank = 2, .dims = {0, 3}},
    {CASE_FLOAT, .rank = 3, .dims = {3, 5, 2}},
    {CASE_FLOAT, .rank = 4, .dims = {2, 1, 3, 33}},
    {CASE_FLOAT, .rank = 2, .dims = {3, 12000}},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static double normal_below(double x)
{
    return erfc(-x / sqrt(2)) / 2;
}

static double unary_of(int kind, double x)
{
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
        return x * normal_below(x);
    case RF_UNARY_GELU_TANH:
        return x / 2 * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
    case RF_UNARY_SILU:
        return x / (1 + exp(-x));
    default:
        return x;
    }
}

/* The derivative by central differences of fourth order: no formula is shared with the kernels. */
static double slope_of(int kind, double x)
{
    const double h = 1e-3;
    return (8 * (unary_of(kind, x + h) - unary_of(kind, x - h)) - unary_of(kind, x + 2 * h) +
            unary_of(kind, x - 2 * h)) /
           (12 * h);
}

static double binary_of(int kind, double x, double y)
{
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
        return x * slope_of(RF_UNARY_GELU, y);
    case RF_BINARY_GELU_TANH_GRAD:
        return x * slope_of(RF_UNARY_GELU_TANH, y);
    default:
        return x * slope_of(RF_UNARY_SILU, y);
    }
}

static rf_status call_unary(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                            const rf_view *const *v)
{
    return k->unary(e, (rf_unary)c->integer[0], v[0], v[1]);
}

static void truth_unary(const kernel_case *c, double *const *v)
{
    for (int64_t i = 0; i < kernel_count(&c->view[0]); i++)
        v[1][i] = unary_of((int)c->integer[0], v[0][i]);
}

static void test_unary(void **state)
{
    (void)state;
    for (int s = 0; s < SHAPES; s++)
        for (int kind = 0; kind < RF_UNARY_KINDS; kind++) {
            int positive = kind == RF_UNARY_LOG || kind == RF_UNARY_SQRT;
            kernel_case c = {.name = "unary",
                             .flags = CASE_THREADS | CASE_STRIDED,
                             .inputs = 1,
                             .outputs = 1,
                             .view = {shapes[s], shapes[s]}};
            c.view[0].low = positive ? 1e-3 : -9;
            c.view[0].high = 9;
            c.call = call_unary;
            c.truth = truth_unary;
            c.integer[0] = kind;
            c.relative = 1e-6;
            c.absolute = kind == RF_UNARY_LOG || kind >= RF_UNARY_GELU ? 1e-6 : 1e-7;
            kernel_case_check(&c);
        }
}

static rf_status call_binary(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                             const rf_view *const *v)
{
    return k->binary(e, (rf_binary)c->integer[0], v[0], v[1], v[2]);
}

static void truth_binary(const kernel_case *c, double *const *v)
{
    for (int64_t i = 0; i < kernel_count(&c->view[0]); i++)
        v[2][i] = binary_of((int)c->integer[0], v[0][i], v[1][i]);
}

static void test_binary(void **state)
{
    (void)state;
    for (int s = 0; s < SHAPES; s++)
        for (int kind = 0; kind < RF_BINARY_KINDS; kind++) {
            kernel_case c = {.name = "binary",
                             .flags = CASE_THREADS | CASE_STRIDED,
                             .inputs = 2,
                             .outputs = 1,
                             .view = {shapes[s], shapes[s], shapes[s]}};
            c.view[1].low = -5.3;
            c.view[1].high = 5;
            c.call = call_binary;
            c.truth = truth_binary;
            c.integer[0] = kind;
            c.relative = 1e-6;
            c.absolute = 4e-6;
            kernel_case_check(&c);
        }
}

static rf_status call_affine(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                             const rf_view *const *v)
{
    return k->affine(e, c->number[0], c->number[1], v[0], v[1]);
}

static void truth_affine(const kernel_case *c, double *const *v)
{
    for (int64_t i = 0; i < kernel_count(&c->view[0]); i++)
        v[1][i] = c->number[0] * v[0][i] + c->number[1];
}

static rf_status call_fill(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                           const rf_view *const *v)
{
    return k->fill(e, c->number[0], v[0]);
}

static void truth_fill(const kernel_case *c, double *const *v)
{
    for (int64_t i = 0; i < kernel_count(&c->view[0]); i++)
        v[0][i] = c->number[0];
}

static void test_affine_and_fill(void **state)
{
    (void)state;
    for (int s = 0; s < SHAPES; s++) {
        kernel_case c = {.name = "affine",
                         .flags = CASE_THREADS | CASE_STRIDED,
                         .inputs = 1,
                         .outputs = 1,
                         .view = {shapes[s], shapes[s]}};
        c.call = call_affine;
        c.truth = truth_affine;
        c.number[0] = 0.75;
        c.number[1] = -2;
        c.relative = c.absolute = 1e-6;
        kernel_case_check(&c);
        kernel_case f = {.name = "fill",
                         .flags = CASE_THREADS | CASE_STRIDED,
                         .inputs = 0,
                         .outputs = 1,
                         .view = {shapes[s]}};
        f.call = call_fill;
        f.truth = truth_fill;
        f.number[0] = 0.1;
        f.relative = 1e-7;
        kernel_case_check(&f);
    }
}

/* Whatever stands around an element: in every span of every length, it becomes the same bits. */
static void test_element_anywhere(void **state)
{
    enum { N = 70 };
    const rf_kernels *tables[KERNEL_TABLES];
    size_t count = kernel_tables(tables);
    float x[N], g[N], whole[N], part[N];
    (void)state;
    for (int i = 0; i < N; i++) {
        x[i] = (float)(10 * kernel_noise(7, (uint64_t)i) - 5);
        g[i] = (float)(2 * kernel_noise(8, (uint64_t)i) - 1);
    }
    for (size_t t = 0; t < count; t++)
        for (int kind = 0; kind < RF_UNARY_KINDS + RF_BINARY_KINDS + 1; kind++)
            for (int64_t lo = 0; lo < 17; lo++)
                for (int64_t n = lo ? 1 : N; n <= N - lo; n++) {
                    rf_exec e = {1, NULL};
                    float *to = lo ? part : whole;
                    rf_view vx = kernel_plain_view(RF_F32, 1, &n, x + lo);
                    rf_view vg = kernel_plain_view(RF_F32, 1, &n, g + lo);
                    rf_view vy = kernel_plain_view(RF_F32, 1, &n, to + lo);
                    if (kind < RF_UNARY_KINDS)
                        tables[t]->unary(&e, (rf_unary)kind, &vx, &vy);
                    else if (kind < RF_UNARY_KINDS + RF_BINARY_KINDS)
                        tables[t]->binary(&e, (rf_binary)(kind - RF_UNARY_KINDS), &vg, &vx, &vy);
                    else
                        tables[t]->affine(&e, 0.3, 1.7, &vx, &vy);
                    if (lo && memcmp(part + lo, whole + lo, (size_t)n * sizeof(float)))
                        fail_msg("%s kind %d: %lld elements from %lld", tables[t]->name, kind,
                                 (long long)n, (long long)lo);
                }
}

/* ---- integers and casts ---- */

static void test_copy_between_types(void **state)
{
    enum { N = 41 };
    const rf_kernels *tables[KERNEL_TABLES];
    size_t count = kernel_tables(tables);
    int64_t n = N;
    _Alignas(64) unsigned char a[N * 16], b[N * 16];
    (void)state;
    for (size_t t = 0; t < count; t++)
        for (int from = 0; from < RF_DTYPES; from++)
            for (int to = 0; to < RF_DTYPES; to++)
                for (int stride = 1; stride <= 2; stride++) {
                    rf_exec e = {2, NULL};
                    rf_view x = kernel_plain_view(from, 1, &n, a);
                    rf_view y = kernel_plain_view(to, 1, &n, b);
                    x.strides[0] = y.strides[0] = stride;
                    for (int64_t i = 0; i < N; i++)
                        kernel_put(&x, i * stride, (double)i * 0.5);
                    assert_int_equal(tables[t]->unary(&e, RF_UNARY_COPY, &x, &y), RF_OK);
                    for (int64_t i = 0; i < N; i++) {
                        double was = kernel_get(&x, i * stride);
                        double want = to >= RF_I32 ? trunc(was) : was;
                        assert_true(kernel_get(&y, i * stride) == want);
                    }
                }
}

static void test_integers(void **state)
{
    const rf_kernels *tables[KERNEL_TABLES];
    size_t count = kernel_tables(tables);
    const int64_t dims[] = {3};
    (void)state;
    for (size_t t = 0; t < count; t++) {
        rf_exec e = {1, NULL};
        int64_t x[3] = {INT64_C(9007199254740993), -5, 3}, y[3] = {2, 7, -4}, z[3];
        int32_t i[3] = {2000000011, -5, 3}, j[3] = {5, 7, -4}, k[3];
        rf_view vx = kernel_plain_view(RF_I64, 1, dims, x),
                vy = kernel_plain_view(RF_I64, 1, dims, y);
        rf_view vz = kernel_plain_view(RF_I64, 1, dims, z);
        rf_view vi = kernel_plain_view(RF_I32, 1, dims, i),
                vj = kernel_plain_view(RF_I32, 1, dims, j);
        rf_view vk = kernel_plain_view(RF_I32, 1, dims, k);
        for (int kind = RF_BINARY_ADD; kind <= RF_BINARY_MUL; kind++) {
            assert_int_equal(tables[t]->binary(&e, (rf_binary)kind, &vx, &vy, &vz), RF_OK);
            for (int m = 0; m < 3; m++)
                assert_true(z[m] == (kind == RF_BINARY_ADD   ? x[m] + y[m]
                                     : kind == RF_BINARY_SUB ? x[m] - y[m]
                                                             : x[m] * y[m]));
        }
        assert_int_equal(tables[t]->binary(&e, RF_BINARY_ADD, &vi, &vj, &vk), RF_OK);
        assert_int_equal(k[0], 2000000016);
        assert_int_equal(tables[t]->unary(&e, RF_UNARY_NEG, &vx, &vz), RF_OK);
        assert_true(z[0] == -x[0] && z[1] == 5);
        assert_int_equal(tables[t]->fill(&e, 4, &vz), RF_OK);
        assert_true(z[2] == 4);
    }
}

static void test_bf16_rounding(void **state)
{
    /* to nearest, ties to even; the largest finite f32 becomes infinity; NaN stays one */
    static const struct {
        uint32_t from;
        uint16_t to;
    } rows[] = {{0x3F808000, 0x3F80}, {0x3F808001, 0x3F81}, {0x3F818000, 0x3F82},
                {0x3F817FFF, 0x3F81}, {0xBF808000, 0xBF80}, {0x7F7FFFFF, 0x7F80},
                {0x7F800000, 0x7F80}, {0xFF800000, 0xFF80}, {0x00000001, 0x0000},
                {0x80000000, 0x8000}, {0x00018000, 0x0002}};
    const rf_kernels *tables[KERNEL_TABLES];
    size_t count = kernel_tables(tables);
    (void)state;
    for (size_t t = 0; t < count; t++)
        for (int64_t n = 1; n <= 40; n++) {
            rf_exec e = {1, NULL};
            uint32_t from[40];
            uint16_t to[40];
            rf_view x = kernel_plain_view(RF_F32, 1, &n, from);
            rf_view y = kernel_plain_view(RF_BF16, 1, &n, to);
            for (int64_t i = 0; i < n; i++)
                from[i] = rows[i % 11].from;
            assert_int_equal(tables[t]->unary(&e, RF_UNARY_COPY, &x, &y), RF_OK);
            for (int64_t i = 0; i < n; i++)
                assert_int_equal(to[i], rows[i % 11].to);
            from[n - 1] = n & 1 ? 0x7F800001 : 0xFFFFFFFF;
            assert_int_equal(tables[t]->unary(&e, RF_UNARY_COPY, &x, &y), RF_OK);
            assert_true((to[n - 1] & 0x7FFF) > 0x7F80);
        }
}

/* ---- reductions ---- */

static rf_status call_sum(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                          const rf_view *const *v)
{
    return k->sum(e, c->number[0], v[0], v[1]);
}

static void truth_sum(const kernel_case *c, double *const *v)
{
    const kernel_view *x = &c->view[0], *y = &c->view[1];
    memset(v[1], 0, (size_t)kernel_count(y) * sizeof(double));
    for (int64_t i = 0; i < kernel_count(x); i++) {
        int64_t rest = i, at = 0, stride = 1;
        for (int axis = x->rank - 1; axis >= 0; axis--) {
            at += y->dims[axis] == 1 ? 0 : rest % x->dims[axis] * stride;
            stride *= y->dims[axis];
            rest /= x->dims[axis];
        }
        v[1][at] += c->number[0] * v[0][i];
    }
}

static void test_sum(void **state)
{
    (void)state;
    for (int s = 0; s < SHAPES; s++)
        for (int mask = 0; mask < 1 << shapes[s].rank; mask++) {
            kernel_case c = {.name = "sum",
                             .flags = CASE_THREADS | CASE_STRIDED,
                             .inputs = 1,
                             .outputs = 1,
                             .view = {shapes[s], shapes[s]}};
            for (int axis = 0; axis < shapes[s].rank; axis++)
                if (mask >> axis & 1)
                    c.view[1].dims[axis] = 1;
            if (mask == 1 && shapes[s].rank == 2 && shapes[s].dims[1] == 12000)
                c.view[0].low = 0; /* one sign, where rounding adds up */
            c.call = call_sum;
            c.truth = truth_sum;
            c.number[0] = mask & 1 ? 0.25 : 1;
            c.relative = 2e-6;
            c.absolute = 2e-4;
            kernel_case_check(&c);
        }
}

/* Rounding grows slowly: a plain f32 loop is off by a part in thousands here. */
static void test_long_sum(void **state)
{
    kernel_case c = {.name = "long sum", .flags = CASE_THREADS, .inputs = 1, .outputs = 1};
    (void)state;
    c.view[0] = (kernel_view){CASE_FLOAT, .rank = 2, .dims = {2, 1000000}, .low = 0.5, .high = 1.5};
    c.view[1] = (kernel_view){CASE_FLOAT, .rank = 2, .dims = {2, 1}};
    c.call = call_sum;
    c.truth = truth_sum;
    c.number[0] = 1;
    c.relative = 2e-6;
    kernel_case_check(&c);
}

static rf_status call_max(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                          const rf_view *const *v)
{
    (void)c;
    return k->max_last(e, v[0], v[1], v[2]);
}

static void truth_max(const kernel_case *c, double *const *v)
{
    int64_t n = c->view[0].dims[1];
    for (int64_t r = 0; r < c->view[0].dims[0]; r++) {
        int64_t best = 0;
        for (int64_t k = 1; k < n; k++)
            best = v[0][r * n + k] > v[0][r * n + best] ? k : best;
        v[1][r] = v[0][r * n + best];
        v[2][r] = (double)best;
    }
}

static rf_status call_max_grad(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                               const rf_view *const *v)
{
    (void)c;
    return k->max_last_grad(e, v[0], v[1], v[2]);
}

static void truth_max_grad(const kernel_case *c, double *const *v)
{
    int64_t n = c->view[2].dims[1];
    for (int64_t i = 0; i < kernel_count(&c->view[2]); i++)
        v[2][i] = (double)(i % n) == v[1][i / n] ? v[0][i / n] : 0;
}

static void test_max_last(void **state)
{
    static const int64_t sizes[][2] = {{1, 1}, {3, 5}, {5, 33}, {40, 2000}, {0, 4}};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int64_t rows = sizes[i][0], n = sizes[i][1];
        kernel_case c = {.name = "max_last",
                         .flags = CASE_THREADS | CASE_STRIDED | CASE_EXACT_IN,
                         .inputs = 1,
                         .outputs = 2};
        c.view[0] = (kernel_view){CASE_FLOAT, .rank = 2, .dims = {rows, n}}; /* many ties */
        c.view[1] = (kernel_view){CASE_FLOAT, .rank = 2, .dims = {rows, 1}};
        c.view[2] = (kernel_view){RF_I64, .rank = 2, .dims = {rows, 1}};
        c.call = call_max;
        c.truth = truth_max;
        kernel_case_check(&c);
        kernel_case g = {.name = "max_last_grad",
                         .flags = CASE_THREADS | CASE_STRIDED,
                         .inputs = 2,
                         .outputs = 1};
        g.view[0] = c.view[1];
        g.view[1] = c.view[2];
        g.view[1].low = 0;
        g.view[1].high = (double)n;
        g.view[2] = c.view[0];
        g.call = call_max_grad;
        g.truth = truth_max_grad;
        kernel_case_check(&g);
    }
}

static void test_sum_squares(void **state)
{
    const rf_kernels *tables[KERNEL_TABLES];
    size_t count = kernel_tables(tables);
    int64_t n = 300001;
    float *x = malloc((size_t)n * sizeof *x);
    double want = 0;
    (void)state;
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++) {
        x[i] = (float)(kernel_noise(3, (uint64_t)i) - 0.5);
        want += (double)x[i] * (double)x[i];
    }
    rf_view v = kernel_plain_view(RF_F32, 1, &n, x);
    for (size_t t = 0; t < count; t++) {
        double first = 0, got;
        for (size_t threads = 1; threads <= 3; threads++) {
            rf_exec e = {threads, NULL};
            assert_int_equal(tables[t]->sum_squares(&e, &v, &got), RF_OK);
            assert_true(fabs(got - want) < 1e-12 * want);
            if (threads > 1)
                assert_memory_equal(&got, &first, sizeof got);
            first = got;
        }
        v.shape.dims[0] = 0;
        rf_exec e = {2, NULL};
        assert_int_equal(tables[t]->sum_squares(&e, &v, &got), RF_OK);
        assert_true(got == 0);
        v.shape.dims[0] = n;
    }
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unary),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_affine_and_fill),
        cmocka_unit_test(test_element_anywhere),
        cmocka_unit_test(test_copy_between_types),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_bf16_rounding),
        cmocka_unit_test(test_sum),
        cmocka_unit_test(test_long_sum),
        cmocka_unit_test(test_max_last),
        cmocka_unit_test(test_sum_squares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
