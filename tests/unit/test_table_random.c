/* Random numbers and optimisers of the kernel tables. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/kernel_case.h"

/* Philox 4x32-10 as published (Salmon et al. 2011), for any counter and key. */
static void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int i = 0; i < 10; i++) {
        uint64_t p0 = UINT64_C(0xD2511F53) * c0, p1 = UINT64_C(0xCD9E8D57) * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

static uint32_t word_of(rf_rng rng, int64_t i)
{
    uint64_t block = rng.offset + (uint64_t)i / 4;
    const uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), 0, 0};
    const uint32_t key[2] = {(uint32_t)rng.seed, (uint32_t)(rng.seed >> 32)};
    uint32_t out[4];
    philox(counter, key, out);
    return out[i % 4];
}

static rf_rng rng_of(const kernel_case *c)
{
    return (rf_rng){.seed = (uint64_t)c->integer[0], .offset = (uint64_t)c->integer[1]};
}

static void test_known_answers(void **state)
{
    static const uint32_t zeros[4], zero_key[2],
        want0[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    static const uint32_t ones[4] = {~0u, ~0u, ~0u, ~0u},
                          want1[4] = {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
    const rf_kernels *tables[KERNEL_TABLES];
    size_t count = kernel_tables(tables);
    uint32_t out[4];
    double y[4];
    const int64_t four = 4;
    rf_view v = kernel_plain_view(RF_F64, 1, &four, y);
    (void)state;
    philox(zeros, zero_key, out);
    assert_memory_equal(out, want0, sizeof out);
    philox(ones, ones, out);
    assert_memory_equal(out, want1, sizeof out);
    for (size_t t = 0; t < count; t++) {
        rf_exec e = {1, NULL};
        assert_int_equal(tables[t]->uniform(&e, (rf_rng){0}, &v), RF_OK);
        for (int i = 0; i < 4; i++)
            assert_true(y[i] * 0x1p32 == (double)want0[i]);
    }
}

static rf_status call_uniform(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                              const rf_view *const *v)
{
    return c->integer[2] ? k->normal(e, rng_of(c), v[0]) : k->uniform(e, rng_of(c), v[0]);
}

/* u as the f32 path makes it; f64's has 32 bits, and is tested by the known answers. */
static void truth_uniform(const kernel_case *c, double *const *v)
{
    for (int64_t i = 0; i < kernel_count(&c->view[0]); i++)
        if (c->integer[2]) {
            double u = (word_of(rng_of(c), i & ~INT64_C(1)) + 1.0) * 0x1p-32;
            double angle = 2 * 3.14159265358979323846 * word_of(rng_of(c), i | 1) * 0x1p-32;
            v[0][i] = sqrt(-2 * log(u)) * (i & 1 ? sin(angle) : cos(angle));
        } else {
            v[0][i] = (word_of(rng_of(c), i) >> 8) * 0x1p-24;
        }
}

static rf_status call_dropout(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                              const rf_view *const *v)
{
    return k->dropout(e, rng_of(c), c->number[0], v[0], v[1]);
}

static void truth_dropout(const kernel_case *c, double *const *v)
{
    for (int64_t i = 0; i < kernel_count(&c->view[0]); i++)
        v[1][i] = word_of(rng_of(c), i) >= c->number[0] * 0x1p32 ? v[0][i] / (1 - c->number[0]) : 0;
}

static const int64_t lengths[] = {0, 1, 2, 3, 4, 5, 63, 64, 65, 127, 257, 70001};
static const int64_t offsets[] = {0, 5, INT64_C(0xFFFFFFF0), INT64_C(0x7FFFFFFF12345678)};

static void test_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (size_t o = 0; o < 4; o++)
            for (int normal = 0; normal < 2; normal++) {
                kernel_case c = {.name = normal ? "normal" : "uniform", .flags = CASE_THREADS};
                c.outputs = 1;
                c.view[0] = (kernel_view){CASE_FLOAT, .rank = 1, .dims = {lengths[i]}};
                c.integer[0] = INT64_C(0x123456789ABCDEF);
                c.integer[1] = offsets[o];
                c.integer[2] = normal;
                c.call = call_uniform;
                c.truth = truth_uniform;
                c.relative = normal ? 1e-6 : 0;
                c.absolute = normal ? 2e-6 : 0x1p-24 * 1e6; /* f64 keeps 8 bits more */
                if (!normal)
                    c.absolute = 0.07; /* f64: times 1e-6 */
                kernel_case_check(&c);
            }
}

/* uniform in f32 to the bit, and never 1. */
static void test_uniform_exact(void **state)
{
    const rf_kernels *tables[KERNEL_TABLES];
    size_t count = kernel_tables(tables);
    static float y[70001];
    const int64_t n = 70001;
    rf_view v = kernel_plain_view(RF_F32, 1, &n, y);
    rf_rng rng = {.seed = 42, .offset = 17};
    (void)state;
    for (size_t t = 0; t < count; t++) {
        rf_exec e = {2, NULL};
        assert_int_equal(tables[t]->uniform(&e, rng, &v), RF_OK);
        for (int64_t i = 0; i < n; i++)
            assert_true(y[i] == (float)(word_of(rng, i) >> 8) * 0x1p-24f && y[i] < 1);
    }
}

static void test_dropout(void **state)
{
    static const double rates[] = {0, 0.1, 0.5, 0.999};
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (size_t r = 0; r < 4; r++) {
            kernel_case c = {.name = "dropout", .flags = CASE_THREADS, .inputs = 1, .outputs = 1};
            c.view[0] = c.view[1] = (kernel_view){CASE_FLOAT, .rank = 1, .dims = {lengths[i]}};
            c.integer[0] = 3;
            c.integer[1] = offsets[r];
            c.number[0] = rates[r];
            c.call = call_dropout;
            c.truth = truth_dropout;
            c.relative = 1e-6;
            kernel_case_check(&c);
        }
}

/* A row of numbers from the middle on is what an offset from the start gives: 4 elements a block.
 */
static void test_offset_is_a_block(void **state)
{
    const rf_kernels *tables[KERNEL_TABLES];
    size_t count = kernel_tables(tables);
    float a[200], b[200];
    const int64_t n = 200, rest = 160;
    (void)state;
    for (size_t t = 0; t < count; t++)
        for (int normal = 0; normal < 2; normal++) {
            rf_exec e = {1, NULL};
            rf_view va = kernel_plain_view(RF_F32, 1, &n, a),
                    vb = kernel_plain_view(RF_F32, 1, &rest, b);
            rf_status (*f)(const rf_exec *, rf_rng, const rf_view *) =
                normal ? tables[t]->normal : tables[t]->uniform;
            assert_int_equal(f(&e, (rf_rng){.seed = 9, .offset = 100}, &va), RF_OK);
            assert_int_equal(f(&e, (rf_rng){.seed = 9, .offset = 110}, &vb), RF_OK);
            assert_memory_equal(a + 40, b, sizeof(float) * 160);
        }
}

/* ---- optimisers: inputs p g m v stand as outputs too, so the call copies ---- */

static void copy_view(const rf_view *from, const rf_view *to)
{
    size_t n = (size_t)from->shape.dims[0] * (from->shape.dtype == RF_F64 ? 8 : 4);
    memcpy(to->data, from->data, n);
}

static rf_status call_adamw(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                            const rf_view *const *v)
{
    const double constants[7] = {0.01, 0.9, 0.999, 1e-8, 0.1, 1 - pow(0.9, 3), 1 - pow(0.999, 3)};
    const rf_view *pgmv[4] = {v[4], v[1], v[5], v[6]};
    (void)c;
    copy_view(v[0], v[4]);
    copy_view(v[2], v[5]);
    copy_view(v[3], v[6]);
    return k->adamw(e, constants, pgmv);
}

static void truth_adamw(const kernel_case *c, double *const *x)
{
    for (int64_t i = 0; i < kernel_count(&c->view[0]); i++) {
        double p = x[0][i], g = x[1][i], m = 0.9 * x[2][i] + 0.1 * g,
               v = 0.999 * x[3][i] + 0.001 * g * g;
        p -= 0.01 * 0.1 * p;
        p -= 0.01 * (m / (1 - pow(0.9, 3))) / (sqrt(v / (1 - pow(0.999, 3))) + 1e-8);
        x[4][i] = p;
        x[5][i] = m;
        x[6][i] = v;
    }
}

static rf_status call_sgd(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                          const rf_view *const *v)
{
    const double constants[5] = {0.1, 0.9, c->number[0], 0.01, c->number[1]};
    const rf_view *pgv[3] = {v[3], v[1], c->integer[0] ? v[4] : NULL};
    copy_view(v[0], v[3]);
    copy_view(v[2], v[4]);
    return k->sgd(e, constants, c->integer[0] == 2, pgv);
}

static void truth_sgd(const kernel_case *c, double *const *x)
{
    for (int64_t i = 0; i < kernel_count(&c->view[0]); i++) {
        double g = x[1][i] + 0.01 * x[0][i], v = x[2][i], step = g;
        if (c->integer[0]) {
            v = c->integer[0] == 2 ? g : 0.9 * v + (1 - c->number[0]) * g;
            step = c->number[1] != 0 ? g + 0.9 * v : v;
        }
        x[3][i] = x[0][i] - 0.1 * step;
        x[4][i] = v;
    }
}

static void test_optimisers(void **state)
{
    static const int64_t sizes[] = {0, 1, 17, 40000};
    (void)state;
    for (int s = 0; s < 4; s++) {
        kernel_view each = {CASE_FLOAT, .rank = 1, .dims = {sizes[s]}};
        kernel_case a = {.name = "adamw", .flags = CASE_THREADS | CASE_NO_BF16};
        a.inputs = 4;
        a.outputs = 3;
        for (int i = 0; i < 7; i++)
            a.view[i] = each;
        a.view[3].low = 1e-6; /* second moments are positive */
        a.view[3].high = 4;
        a.call = call_adamw;
        a.truth = truth_adamw;
        a.relative = a.absolute = 1e-6;
        kernel_case_check(&a);
        for (int form = 0; form < 6; form++) {
            kernel_case c = {.name = "sgd", .flags = CASE_THREADS | CASE_NO_BF16};
            c.inputs = 3;
            c.outputs = 2;
            for (int i = 0; i < 5; i++)
                c.view[i] = each;
            c.integer[0] = form % 3; /* without momentum, with it, its first step */
            c.number[0] = form < 3 ? 0.2 : 0;
            c.number[1] = form >= 3;
            c.call = call_sgd;
            c.truth = truth_sgd;
            c.relative = c.absolute = 1e-6;
            kernel_case_check(&c);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),     cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_uniform_exact),     cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_offset_is_a_block), cmocka_unit_test(test_optimisers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
