/* Random numbers, dropout and optimisers on every table. Random numbers are the reference's to the
 * bit; the generator is checked against published values. */
#include "support/kernels.h"

#include <math.h>
#include <stdio.h>

static const rf_rng rng = {UINT64_C(0x123456789ABCDEF0), UINT64_C(0xFFFFFFFFFFFE)};

/* ---- Philox ---- */

/* Words 0 to 3 of a block, as uniform f64 tells them: 32 bits each. */
static void words_of(const rf_kernels *k, rf_rng from, uint32_t words[4])
{
    double y[4];
    const rf_exec e = {1, NULL};
    rf_view vy = view_make(RF_F64, 1, 4);
    vy.data = y;
    assert_int_equal(k->uniform(&e, from, &vy), RF_OK);
    for (int i = 0; i < 4; i++)
        words[i] = (uint32_t)(y[i] * 0x1p32);
}

/* The known answers of Random123 (kat_vectors, philox4x32-10) for counter 0 and key 0; the f32
 * numbers of a table are the upper 24 bits of the same words. */
static void test_known_answers(void **state)
{
    static const uint32_t zeros[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    (void)state;
    for (size_t i = 0; table_at(i); i++) {
        uint32_t words[4];
        float y[4];
        const rf_exec e = {1, NULL};
        rf_view vy = view_make(RF_F32, 1, 4);
        vy.data = y;
        words_of(table_at(i), (rf_rng){0, 0}, words);
        assert_memory_equal(words, zeros, sizeof words);
        assert_int_equal(table_at(i)->uniform(&e, (rf_rng){0, 0}, &vy), RF_OK);
        for (int w = 0; w < 4; w++)
            assert_true((double)y[w] == (zeros[w] >> 8) * 0x1p-24);
    }
}

static rf_status call_uniform(const rf_kernels *k, const rf_exec *e, const rf_view *in,
                              const rf_view *out, const void *arg)
{
    (void)in;
    return k->uniform(e, *(const rf_rng *)arg, &out[0]);
}

static rf_status call_normal(const rf_kernels *k, const rf_exec *e, const rf_view *in,
                             const rf_view *out, const void *arg)
{
    (void)in;
    return k->normal(e, *(const rf_rng *)arg, &out[0]);
}

static void test_numbers_are_the_references(void **state)
{
    (void)state;
    for (int n = 0; n <= 70; n++)
        for (rf_dtype d = RF_F32; d <= RF_BF16; d++) {
            trial t = {.num_out = 1, .arg = &rng, .own_truth = 1, .call = call_uniform};
            t.out[0] = view_make(d, 1, n);
            trial_run(&t, "uniform");
            t.call = call_normal;
            trial_run(&t, "normal");
        }
    trial t = {.num_out = 1, .arg = &rng, .own_truth = 1, .call = call_uniform};
    t.out[0] = view_make(RF_F32, 1, 100001);
    trial_run(&t, "uniform of many");
}

/* ---- dropout ---- */

static double dropout_rate;

static rf_status call_dropout(const rf_kernels *k, const rf_exec *e, const rf_view *in,
                              const rf_view *out, const void *arg)
{
    return k->dropout(e, *(const rf_rng *)arg, dropout_rate, &in[0], &out[0]);
}

static void test_dropout(void **state)
{
    static const double rates[] = {0, 0.1, 0.5, 0.999, 1};
    (void)state;
    for (size_t r = 0; r < 5; r++)
        for (int n = 0; n < 200; n += n < 40 ? 1 : 13) {
            trial t = {.num_in = 1, .num_out = 1, .call = call_dropout, .arg = &rng};
            t.in[0] = t.out[0] = view_make(RF_F32, 1, n);
            t.low[0] = 1;
            t.high[0] = 2;
            t.relative = 2e-7; /* a mask that differs is off by all of an element */
            dropout_rate = rates[r];
            trial_run(&t, "dropout");
        }
}

/* ---- optimisers ---- */

/* in: what p, g, m, v begin with; out: p, m, v */
static rf_status call_adamw(const rf_kernels *k, const rf_exec *e, const rf_view *in,
                            const rf_view *out, const void *arg)
{
    const rf_view *const pgmv[] = {&out[0], &in[1], &out[1], &out[2]};
    static const size_t from[] = {0, 2, 3};
    for (size_t i = 0; i < 3; i++)
        if (k->unary(e, RF_UNARY_COPY, &in[from[i]], &out[i]))
            return RF_E_ARGUMENT;
    return k->adamw(e, arg, pgmv);
}

static void test_adamw(void **state)
{
    static const double c[7] = {1e-2, 0.9, 0.999, 1e-8, 0.1, 0.271, 0.002997};
    (void)state;
    for (rf_dtype d = RF_F32; d <= RF_F64; d++)
        for (int n = 0; n < 70000; n = n < 40 ? n + 1 : n * 7) {
            trial t = {.num_in = 4, .num_out = 3, .call = call_adamw, .arg = c};
            for (size_t i = 0; i < 4; i++) {
                t.in[i] = t.out[i] = view_make(d, 1, n);
                t.low[i] = i < 3 ? -1 : 0.01;
                t.high[i] = 1;
            }
            t.relative = t.absolute = d == RF_F32 ? 3e-7 : 1e-15;
            trial_run(&t, "adamw");
        }
}

typedef struct sgd_form {
    double c[5];
    int first, momentum;
} sgd_form;

/* in: p, g, v; out: p, v */
static rf_status call_sgd(const rf_kernels *k, const rf_exec *e, const rf_view *in,
                          const rf_view *out, const void *arg)
{
    const sgd_form *f = arg;
    const rf_view *const pgv[] = {&out[0], &in[1], f->momentum ? &out[1] : NULL};
    if (k->unary(e, RF_UNARY_COPY, &in[0], &out[0]) || k->unary(e, RF_UNARY_COPY, &in[2], &out[1]))
        return RF_E_ARGUMENT;
    return k->sgd(e, f->c, f->first, pgv);
}

static void test_sgd(void **state)
{
    static const sgd_form forms[] = {{{0.1, 0, 0, 0, 0}, 0, 0},     {{0.1, 0, 0, 0.01, 0}, 0, 0},
                                     {{0.1, 0.9, 0, 0, 0}, 1, 1},   {{0.1, 0.9, 0.1, 0, 0}, 0, 1},
                                     {{0.1, 0.9, 0, 0.1, 1}, 0, 1}, {{0.1, 0.9, 0, 0, 1}, 1, 1}};
    (void)state;
    for (size_t f = 0; f < 6; f++)
        for (rf_dtype d = RF_F32; d <= RF_F64; d++)
            for (int n = 0; n < 70000; n = n < 40 ? n + 1 : n * 7) {
                trial t = {.num_in = 3, .num_out = 2, .call = call_sgd, .arg = &forms[f]};
                for (size_t i = 0; i < 3; i++) {
                    t.in[i] = t.out[i] = view_make(d, 1, n);
                    t.low[i] = -1;
                    t.high[i] = 1;
                }
                t.relative = t.absolute = d == RF_F32 ? 3e-7 : 1e-15;
                trial_run(&t, "sgd");
            }
}

static rf_status call_sum_squares(const rf_kernels *k, const rf_exec *e, const rf_view *in,
                                  const rf_view *out, const void *arg)
{
    (void)arg;
    return k->sum_squares(e, &in[0], out[0].data);
}

static void test_sum_squares(void **state)
{
    (void)state;
    for (rf_dtype d = RF_F32; d <= RF_BF16; d++)
        for (int n = 0; n < 600000; n = n < 40 ? n + 1 : n * 7) {
            trial t = {.num_in = 1, .num_out = 1, .call = call_sum_squares};
            t.in[0] = view_make(d, 1, n);
            t.low[0] = -1;
            t.high[0] = 1;
            t.out[0] = view_make(RF_F64, 0);
            t.relative = 1e-12;
            trial_run(&t, "sum_squares");
        }
}

/* ---- rotary, largest ---- */

static rf_status call_rotary(const rf_kernels *k, const rf_exec *e, const rf_view *in,
                             const rf_view *out, const void *arg)
{
    return k->rotary(e, 10000, *(const int *)arg, &in[0], &out[0]);
}

static rf_status call_max_last(const rf_kernels *k, const rf_exec *e, const rf_view *in,
                               const rf_view *out, const void *arg)
{
    rf_status status = k->max_last(e, &in[0], &out[0], &out[1]);
    (void)arg;
    return status ? status : k->max_last_grad(e, &in[1], &out[1], &out[2]);
}

static void test_rotary_and_largest(void **state)
{
    (void)state;
    for (int inverse = 0; inverse < 2; inverse++) {
        trial t = {.num_in = 1, .num_out = 1, .call = call_rotary, .arg = &inverse};
        t.in[0] = view_swapped(view_make(RF_F32, 4, 2, 7, 3, 20), 1, 2);
        t.out[0] = view_make(RF_F32, 4, 2, 3, 7, 20);
        t.low[0] = -1;
        t.high[0] = 1;
        t.relative = t.absolute = 1e-6;
        trial_run(&t, "rotary");
    }
    trial t = {.num_in = 2, .num_out = 3, .call = call_max_last};
    t.in[0] = t.out[2] = view_make(RF_F32, 2, 9, 50);
    t.in[1] = t.out[0] = view_make(RF_F32, 2, 9, 1);
    t.out[1] = view_make(RF_I64, 2, 9, 1);
    t.high[0] = t.high[1] = 1;
    trial_run(&t, "max_last");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_numbers_are_the_references),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_adamw),
        cmocka_unit_test(test_sgd),
        cmocka_unit_test(test_sum_squares),
        cmocka_unit_test(test_rotary_and_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
