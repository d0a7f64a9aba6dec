/* Kernels on rows and columns, on every table: softmax, norms, cross-entropy, embeddings, sums. */
#include "support/kernels.h"

#include <math.h>
#include <stdio.h>

static const int lengths[] = {1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 64, 100, 257, 1000};
#define LENGTHS (sizeof lengths / sizeof *lengths)

static rf_dtype stats(rf_dtype d)
{
    return d == RF_F64 ? RF_F64 : RF_F32;
}

/* A trial on (rows, c) of inputs in [-4, 4), with tolerances for the type. */
static trial rows_trial(rf_dtype d, int rows, int c, size_t num_in)
{
    trial t = {.num_in = num_in, .num_out = 1};
    for (size_t i = 0; i < num_in; i++) {
        t.in[i] = view_make(d, 2, rows, c);
        t.low[i] = -4;
        t.high[i] = 4;
    }
    t.out[0] = t.in[0];
    t.relative = d == RF_BF16 ? 0x1p-7 : d == RF_F32 ? 3e-6 : 1e-13;
    t.absolute = d == RF_BF16 ? 5e-2 : d == RF_F32 ? 5e-6 : 1e-13;
    return t;
}

/* ---- softmax ---- */

static rf_status call_softmax(const rf_kernels *k, const rf_exec *e, const rf_view *in,
                              const rf_view *out, const void *arg)
{
    return k->softmax(e, *(const int *)arg, &in[0], &out[0]);
}

/* in: dy, x; y is made by softmax first. */
static rf_status call_softmax_grad(const rf_kernels *k, const rf_exec *e, const rf_view *in,
                                   const rf_view *out, const void *arg)
{
    rf_status status = k->softmax(e, *(const int *)arg, &in[1], &out[1]);
    return status ? status : k->softmax_grad(e, *(const int *)arg, &in[0], &out[1], &out[0]);
}

static void test_softmax(void **state)
{
    (void)state;
    for (int logarithm = 0; logarithm < 2; logarithm++)
        for (rf_dtype d = RF_F32; d <= RF_BF16; d++)
            for (size_t i = 0; i < LENGTHS; i++) {
                char name[64];
                trial t = rows_trial(d, 5, lengths[i], 2);
                t.arg = &logarithm;
                t.call = call_softmax_grad;
                t.num_out = 2;
                t.out[1] = t.out[0];
                snprintf(name, sizeof name, "softmax_grad %d %d", logarithm, lengths[i]);
                trial_run(&t, name);
                t.call = call_softmax;
                t.num_in = t.num_out = 1;
                trial_run(&t, name);
            }
    trial t = rows_trial(RF_F32, 0, 5, 1);
    int logarithm = 0;
    t.arg = &logarithm;
    t.call = call_softmax;
    trial_run(&t, "softmax of no row");
    t = rows_trial(RF_F32, 700, 100, 1);
    t.arg = &logarithm;
    t.call = call_softmax;
    trial_run(&t, "softmax of many rows");
}

/* Masked scores are -infinity: probability 0, and the others are as if they were not there. */
static void test_softmax_of_masked(void **state)
{
    float x[40], y[40], few[20], want[20];
    const rf_exec e = {1, NULL};
    rf_view vx = view_make(RF_F32, 2, 1, 40), vy = vx, vf = view_make(RF_F32, 2, 1, 20), vw = vf;
    (void)state;
    for (int i = 0; i < 40; i++)
        x[i] = i < 20 ? (few[i] = (float)i / 7) : -INFINITY;
    vx.data = x;
    vy.data = y;
    vf.data = few;
    vw.data = want;
    for (size_t k = 0; table_at(k); k++) {
        assert_int_equal(table_at(k)->softmax(&e, 0, &vx, &vy), RF_OK);
        assert_int_equal(table_at(k)->softmax(&e, 0, &vf, &vw), RF_OK);
        for (int i = 0; i < 40; i++)
            assert_true(i < 20 ? fabsf(y[i] - want[i]) <= 1e-6f * want[i] : y[i] == 0);
    }
}

/* ---- norms ---- */

typedef struct norm_form {
    int centred, gain, bias, want[3];
} norm_form;

/* in: dy x gain bias; out: y mean rstd dx dgain dbias */
static rf_status call_norm(const rf_kernels *k, const rf_exec *e, const rf_view *in,
                           const rf_view *out, const void *arg)
{
    const norm_form *f = arg;
    const rf_view *gain = f->gain ? &in[2] : NULL, *bias = f->bias ? &in[3] : NULL;
    const rf_view *const five[] = {&in[0], &in[1], gain, &out[1], &out[2]};
    const rf_view *const four[] = {&in[0], &in[1], gain, &out[2]};
    const rf_view *const three[] = {f->want[0] ? &out[3] : NULL, f->want[1] ? &out[4] : NULL,
                                    f->want[2] ? &out[5] : NULL};
    rf_status status = f->centred
                           ? k->layer_norm(e, 1e-5, &in[1], gain, bias, &out[0], &out[1], &out[2])
                           : k->rms_norm(e, 1e-5, &in[1], gain, &out[0], &out[2]);
    if (status)
        return status;
    return f->centred ? k->layer_norm_grad(e, five, three) : k->rms_norm_grad(e, four, three);
}

static size_t norm_workspace(const rf_kernels *k, size_t threads, const rf_view *in,
                             const rf_view *out, const void *arg)
{
    (void)out;
    (void)arg;
    return k->norm_grad_workspace(threads, &in[1]);
}

static trial norm_trial(rf_dtype d, int rows, int c, const norm_form *f)
{
    trial t = rows_trial(d, rows, c, 4);
    t.in[2] = t.in[3] = view_make(d, 1, c);
    t.num_out = 6;
    t.out[1] = t.out[2] = view_make(stats(d), 1, rows);
    t.out[3] = t.out[0];
    t.out[4] = t.out[5] = view_make(d, 1, c);
    t.call = call_norm;
    t.workspace = norm_workspace;
    t.arg = f;
    t.per_threads = 1;
    t.absolute = d == RF_BF16 ? 1 : d == RF_F32 ? 1e-4 : 1e-8; /* a row of 1: rstd is large */
    return t;
}

static void test_norms(void **state)
{
    static const norm_form forms[] = {
        {1, 1, 1, {1, 1, 1}}, {1, 0, 0, {1, 0, 0}}, {1, 1, 0, {0, 1, 0}}, {1, 0, 1, {1, 0, 1}},
        {0, 1, 0, {1, 1, 0}}, {0, 0, 0, {1, 0, 0}}, {0, 1, 0, {0, 1, 0}},
    };
    (void)state;
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++)
        for (rf_dtype d = RF_F32; d <= RF_BF16; d++)
            for (size_t i = 1; i < LENGTHS; i++) {
                char name[64];
                trial t = norm_trial(d, 6, lengths[i], &forms[f]);
                snprintf(name, sizeof name, "norm form %zu length %d", f, lengths[i]);
                trial_run(&t, name);
            }
    trial t = norm_trial(RF_F32, 300, 200, &forms[0]);
    trial_run(&t, "norm of many rows");
}

/* ---- cross-entropy ---- */

/* in: g logits targets; out: losses lse dlogits */
static rf_status call_entropy(const rf_kernels *k, const rf_exec *e, const rf_view *in,
                              const rf_view *out, const void *arg)
{
    const rf_view *const four[] = {&in[0], &in[1], &in[2], &out[1]};
    rf_status status = k->cross_entropy(e, arg, &in[1], &in[2], &out[0], &out[1]);
    return status ? status : k->cross_entropy_grad(e, arg, four, &out[2]);
}

static void test_entropy(void **state)
{
    static const int64_t ignored = 0;
    (void)state;
    for (rf_dtype d = RF_F32; d <= RF_BF16; d++)
        for (rf_dtype ids = RF_I32; ids <= RF_U8; ids++)
            for (size_t i = 0; i < LENGTHS; i++) {
                char name[64];
                trial t = rows_trial(d, 9, lengths[i], 3);
                t.in[0] = view_make(d, 0);
                t.in[2] = view_make(ids, 1, 9);
                t.low[2] = 0;
                t.high[2] = lengths[i] < 200 ? lengths[i] : 200;
                t.out[0] = t.out[1] = view_make(stats(d), 1, 9);
                t.out[2] = t.in[1];
                t.num_out = 3;
                t.call = call_entropy;
                snprintf(name, sizeof name, "cross_entropy of %d", lengths[i]);
                trial_run(&t, name);
                t.arg = &ignored;
                t.high[2] = lengths[i] < 4 ? lengths[i] : 4;
                trial_run(&t, name);
            }
}

/* in: g, the first and the last columns of the logits, targets; out: sums losses lse, and the
 * gradients of both, the last in place. */
static rf_status call_entropy_parts(const rf_kernels *k, const rf_exec *e, const rf_view *in,
                                    const rf_view *out, const void *arg)
{
    int64_t first = in[1].shape.dims[1], count = first + in[2].shape.dims[1];
    const rf_entropy_part parts[2] = {{0, count, arg}, {first, count, arg}};
    const rf_view *begin[2] = {&in[1], &in[3]}, *more[2] = {&in[2], &in[3]};
    const rf_view *sums[2] = {&out[0], &in[3]}, *rows[2] = {&out[1], &out[2]};
    rf_status status = k->cross_entropy_part(e, &parts[0], begin, &out[0]);
    if (!status)
        status = k->cross_entropy_part(e, &parts[1], more, &out[0]);
    if (!status)
        status = k->cross_entropy_end(e, &parts[0], sums, rows);
    if (!status)
        status = k->unary(e, RF_UNARY_COPY, &in[2], &out[4]);
    const rf_view *grad[4] = {&in[0], &in[1], &in[3], &out[2]};
    if (!status)
        status = k->cross_entropy_part_grad(e, &parts[0], grad, &out[3]);
    grad[1] = &out[4];
    return status ? status : k->cross_entropy_part_grad(e, &parts[1], grad, &out[4]);
}

static void test_entropy_by_parts(void **state)
{
    static const int64_t ignored = 2;
    (void)state;
    for (rf_dtype d = RF_F32; d <= RF_F64; d++)
        for (rf_dtype ids = RF_I32; ids <= RF_U8; ids++)
            for (size_t i = 0; i < LENGTHS; i++) {
                int first = lengths[i], last = lengths[LENGTHS - 1 - i], all = first + last;
                trial t = rows_trial(d, 9, first, 4);
                t.in[0] = view_make(d, 0);
                t.in[2] = view_make(d, 2, 9, last);
                t.in[3] = view_make(ids, 1, 9);
                t.low[3] = 0;
                t.high[3] = all < 255 ? all : 255;
                t.out[0] = view_make(RF_F64, 2, 9, 2);
                t.out[1] = t.out[2] = view_make(d, 1, 9);
                t.out[3] = t.in[1];
                t.out[4] = t.in[2];
                t.num_out = 5;
                t.call = call_entropy_parts;
                trial_run(&t, "cross_entropy by parts");
                t.arg = &ignored;
                t.high[3] = 4;
                if (all >= 4)
                    trial_run(&t, "cross_entropy by parts, some ignored");
            }
}

static void test_bad_targets_leave_no_trace(void **state)
{
    static const int64_t bad[] = {-1, 5, INT64_MAX, INT64_MIN};
    float logits[15] = {0}, losses[3], lse[3], untouched[3];
    const rf_exec e = {2, NULL};
    rf_view vx = view_make(RF_F32, 2, 3, 5), vt = view_make(RF_I64, 1, 3);
    rf_view vl = view_make(RF_F32, 1, 3), ve = vl;
    (void)state;
    vx.data = logits;
    vl.data = losses;
    ve.data = lse;
    for (size_t k = 0; table_at(k); k++)
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            int64_t targets[3] = {0, 4, bad[i]};
            vt.data = targets;
            memset(losses, 0xA5, sizeof losses);
            memset(lse, 0xA5, sizeof lse);
            memset(untouched, 0xA5, sizeof untouched);
            assert_int_equal(table_at(k)->cross_entropy(&e, NULL, &vx, &vt, &vl, &ve),
                             RF_E_ARGUMENT);
            assert_memory_equal(losses, untouched, sizeof losses);
            assert_memory_equal(lse, untouched, sizeof lse);
            assert_int_equal(table_at(k)->cross_entropy(&e, &bad[i], &vx, &vt, &vl, &ve), RF_OK);
            assert_int_equal(table_at(k)->count_targets(&bad[i], &vt), 2);
            assert_true(losses[2] == 0);
            const rf_entropy_part all = {0, 5, NULL}, less = {0, 5, &bad[i]};
            double sums[6] = {0};
            rf_view vs = view_make(RF_F64, 2, 3, 2);
            const rf_view *in[2] = {&vx, &vt}, *from[2] = {&vs, &vt}, *to[2] = {&vl, &ve};
            vs.data = sums;
            assert_int_equal(table_at(k)->cross_entropy_part(&e, &all, in, &vs), RF_OK);
            memset(losses, 0xA5, sizeof losses);
            assert_int_equal(table_at(k)->cross_entropy_end(&e, &all, from, to), RF_E_ARGUMENT);
            assert_memory_equal(losses, untouched, sizeof losses);
            assert_int_equal(table_at(k)->cross_entropy_end(&e, &less, from, to), RF_OK);
            assert_true(losses[2] == 0);
        }
}

/* ---- embeddings ---- */

static rf_status call_embedding(const rf_kernels *k, const rf_exec *e, const rf_view *in,
                                const rf_view *out, const void *arg)
{
    (void)arg;
    return k->embedding(e, &in[0], &in[1], &out[0]);
}

static rf_status call_embedding_grad(const rf_kernels *k, const rf_exec *e, const rf_view *in,
                                     const rf_view *out, const void *arg)
{
    (void)arg;
    return k->embedding_grad(e, &in[0], &in[1], &out[0]);
}

/* in: dy, ids, what the table holds before. */
static rf_status call_embedding_add(const rf_kernels *k, const rf_exec *e, const rf_view *in,
                                    const rf_view *out, const void *arg)
{
    (void)arg;
    rf_status status = k->unary(e, RF_UNARY_COPY, &in[2], &out[0]);
    return status ? status : k->embedding_add(e, &in[0], &in[1], &out[0]);
}

static void test_embedding(void **state)
{
    static const int widths[] = {1, 5, 16, 33, 130};
    (void)state;
    for (rf_dtype d = RF_F32; d <= RF_BF16; d++)
        for (rf_dtype ids = RF_I32; ids <= RF_U8; ids++)
            for (size_t i = 0; i < 5; i++) {
                trial t = rows_trial(d, 11, widths[i], 2);
                t.in[1] = view_make(ids, 2, 7, 9);
                t.low[1] = 0;
                t.high[1] = 11;
                t.out[0] = view_make(d, 3, 7, 9, widths[i]);
                t.call = call_embedding;
                t.absolute = t.relative = 0;
                trial_run(&t, "embedding");
                t.out[0] = t.in[0];
                t.in[0] = view_make(d, 3, 7, 9, widths[i]);
                t.call = call_embedding_grad;
                t.relative = d == RF_BF16 ? 0x1p-4 : d == RF_F32 ? 1e-6 : 1e-14;
                t.absolute = d == RF_BF16 ? 0.5 : d == RF_F32 ? 2e-6 : 1e-14;
                trial_run(&t, "embedding_grad");
                t.num_in = 3;
                t.in[2] = t.out[0];
                t.low[2] = -4;
                t.high[2] = 4;
                t.call = call_embedding_add;
                trial_run(&t, "embedding_add");
            }
    trial t = rows_trial(RF_F32, 600, 64, 2);
    t.in[0] = view_make(RF_F32, 2, 900, 64);
    t.in[1] = view_make(RF_I64, 1, 900);
    t.low[1] = 0;
    t.high[1] = 600;
    t.call = call_embedding_grad;
    trial_run(&t, "embedding_grad of many");
}

static void test_bad_ids_leave_no_trace(void **state)
{
    static const int64_t bad[] = {-1, 5, INT64_MAX};
    float table[10], y[6], clean[10];
    const rf_exec e = {2, NULL};
    rf_view vt = view_make(RF_F32, 2, 5, 2), vi = view_make(RF_I64, 1, 3);
    rf_view vy = view_make(RF_F32, 2, 3, 2);
    (void)state;
    vt.data = table;
    vy.data = y;
    for (size_t k = 0; table_at(k); k++)
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            int64_t ids[3] = {0, 4, bad[i]};
            vi.data = ids;
            memset(table, 0xA5, sizeof table);
            memset(y, 0xA5, sizeof y);
            memset(clean, 0xA5, sizeof clean);
            assert_int_equal(table_at(k)->embedding(&e, &vt, &vi, &vy), RF_E_ARGUMENT);
            assert_int_equal(table_at(k)->embedding_grad(&e, &vy, &vi, &vt), RF_E_ARGUMENT);
            assert_int_equal(table_at(k)->embedding_add(&e, &vy, &vi, &vt), RF_E_ARGUMENT);
            assert_memory_equal(table, clean, sizeof table);
            assert_memory_equal(y, clean, sizeof y);
        }
}

/* ---- sums ---- */

static rf_status call_sum(const rf_kernels *k, const rf_exec *e, const rf_view *in,
                          const rf_view *out, const void *arg)
{
    return k->sum(e, *(const double *)arg, &in[0], &out[0]);
}

/* x summed over the axes of the mask. */
static void sum_trial(rf_view x, unsigned mask, double scale)
{
    char name[64];
    trial t = {.num_in = 1, .num_out = 1, .in = {x}, .out = {x}, .call = call_sum, .arg = &scale};
    double count = 1;
    int64_t stride = 1;
    for (size_t i = x.shape.rank; i-- > 0;) {
        if (mask & 1u << i) {
            count *= (double)x.shape.dims[i];
            t.out[0].shape.dims[i] = 1;
        }
        t.out[0].strides[i] = stride;
        stride *= t.out[0].shape.dims[i];
    }
    t.low[0] = -1;
    t.high[0] = 2;
    t.relative = x.shape.dtype == RF_BF16 ? 0x1p-8 : x.shape.dtype == RF_F32 ? 1e-6 : 1e-14;
    t.absolute = t.relative * sqrt(count);
    snprintf(name, sizeof name, "sum of type %d over mask %u", x.shape.dtype, mask);
    trial_run(&t, name);
}

static void test_sums(void **state)
{
    (void)state;
    for (rf_dtype d = RF_F32; d <= RF_F64; d++)
        for (unsigned mask = 0; mask < 16; mask++) {
            sum_trial(view_make(d, 4, 3, 5, 4, 21), mask, 1);
            sum_trial(view_swapped(view_make(d, 4, 3, 5, 4, 21), 1, 2), mask, 0.5);
            sum_trial(view_swapped(view_make(d, 4, 3, 5, 4, 21), 0, 3), mask, -1);
            sum_trial(view_repeated(view_make(d, 4, 3, 5, 4, 21), 1), mask, 1);
            sum_trial(view_make(d, 4, 1, 5, 1, 21), mask, 1);
        }
    sum_trial(view_make(RF_F32, 2, 700, 300), 1, 1);
    sum_trial(view_make(RF_F32, 2, 700, 300), 2, 1);
    sum_trial(view_make(RF_F32, 2, 700, 300), 3, 1);
    sum_trial(view_make(RF_F32, 2, 3, 20000), 2, 1);
    sum_trial(view_make(RF_F32, 1, 5000), 1, 0.25);
    sum_trial(view_make(RF_BF16, 2, 40, 30), 3, 1);
    sum_trial(view_make(RF_BF16, 2, 40, 30), 1, 1);
    sum_trial(view_make(RF_BF16, 2, 40, 30), 2, 1);
}

static void test_sums_of_nothing(void **state)
{
    (void)state;
    for (unsigned mask = 0; mask < 4; mask++) {
        sum_trial(view_make(RF_F32, 2, 0, 5), mask, 1);
        sum_trial(view_make(RF_F32, 2, 5, 0), mask, 1);
    }
    sum_trial(view_make(RF_F32, 0), 0, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_softmax_of_masked),
        cmocka_unit_test(test_norms),
        cmocka_unit_test(test_entropy),
        cmocka_unit_test(test_entropy_by_parts),
        cmocka_unit_test(test_bad_targets_leave_no_trace),
        cmocka_unit_test(test_embedding),
        cmocka_unit_test(test_bad_ids_leave_no_trace),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_sums_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
