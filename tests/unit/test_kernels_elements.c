/* Kernels on elements, on every table: values, bits that do not depend on the place in a loop,
 * strides, outputs that are inputs, casts. */
#include "support/kernels.h"

#include <math.h>
#include <stdio.h>

#define LENGTH 71 /* longer than four vectors of any kind */
#define OFFSET 17

static rf_status call_unary(const rf_kernels *k, const rf_exec *e, const rf_view *in,
                            const rf_view *out, const void *arg)
{
    return k->unary(e, *(const rf_unary *)arg, &in[0], &out[0]);
}

static rf_status call_binary(const rf_kernels *k, const rf_exec *e, const rf_view *in,
                             const rf_view *out, const void *arg)
{
    return k->binary(e, *(const rf_binary *)arg, &in[0], &in[1], &out[0]);
}

static rf_status call_affine(const rf_kernels *k, const rf_exec *e, const rf_view *in,
                             const rf_view *out, const void *arg)
{
    const double *c = arg;
    return k->affine(e, c[0], c[1], &in[0], &out[0]);
}

static rf_status call_fill(const rf_kernels *k, const rf_exec *e, const rf_view *in,
                           const rf_view *out, const void *arg)
{
    (void)in;
    return k->fill(e, *(const double *)arg, &out[0]);
}

/* Inputs and an output of the shapes that matter: without gaps, transposed, spaced, repeated, of
 * no axis, of no element, large enough for threads. */
static size_t shapes(rf_dtype d, size_t i, rf_view *x, rf_view *y, rf_view *z)
{
    *x = *y = *z = view_make(d, 2, 9, 37);
    switch (i) {
    case 0:
        return 1;
    case 1:
        *x = view_swapped(view_make(d, 2, 37, 9), 0, 1);
        return 1;
    case 2:
        *y = view_repeated(*y, 0);
        *z = view_spaced(*z, 2);
        return 1;
    case 3:
        *x = view_repeated(*x, 1);
        *y = view_repeated(view_repeated(*y, 0), 1);
        *z = view_swapped(view_make(d, 2, 37, 9), 0, 1);
        return 1;
    case 4:
        *x = *y = *z = view_make(d, 0);
        return 1;
    case 5:
        *x = *y = *z = view_make(d, 3, 4, 0, 5);
        return 1;
    case 6:
        *x = *y = *z = view_make(d, 1, 300);
        return 1;
    case 7:
        *x = view_swapped(view_make(d, 4, 2, 3, 4, 5), 1, 2);
        *y = view_repeated(view_make(d, 4, 2, 4, 3, 5), 1);
        *z = view_make(d, 4, 2, 4, 3, 5);
        return 1;
    case 8:
        *x = view_make(d, 2, 260, 257);
        *y = view_repeated(*x, 0);
        *z = *x;
        return d != RF_BF16;
    default:
        return 0;
    }
}

static void over_shapes(trial t, rf_dtype d, const char *name)
{
    for (size_t i = 0; shapes(d, i, &t.in[0], &t.in[1], &t.out[0]); i++) {
        char what[64];
        snprintf(what, sizeof what, "%s %s shape %zu", name, rf_dtype_name(d), i);
        trial_run(&t, what);
    }
}

static void test_unary(void **state)
{
    (void)state;
    for (rf_unary kind = RF_UNARY_COPY; kind < RF_UNARY_KINDS; kind++)
        for (rf_dtype d = RF_F32; d <= RF_BF16; d++) {
            char name[32];
            int positive = kind == RF_UNARY_LOG || kind == RF_UNARY_SQRT;
            trial t = {.num_in = 1, .num_out = 1, .call = call_unary, .arg = &kind};
            t.low[0] = positive ? 0.001 : -6;
            t.high[0] = 6;
            t.relative = d == RF_BF16 ? 0x1p-8 : d == RF_F32 ? 1e-6 : 1e-15;
            t.absolute = d == RF_F64 ? 0 : 1e-7;
            snprintf(name, sizeof name, "unary %d", (int)kind);
            over_shapes(t, d, name);
        }
}

static void test_binary(void **state)
{
    (void)state;
    for (rf_binary kind = RF_BINARY_ADD; kind < RF_BINARY_KINDS; kind++)
        for (rf_dtype d = RF_F32; d <= RF_BF16; d++) {
            char name[32];
            trial t = {.num_in = 2, .num_out = 1, .call = call_binary, .arg = &kind};
            t.low[0] = t.low[1] = -4;
            t.high[0] = t.high[1] = 4;
            t.relative = d == RF_BF16 ? 0x1p-8 : d == RF_F32 ? 1e-6 : 1e-15;
            t.absolute = d == RF_F64 ? 1e-15 : 1e-6;
            snprintf(name, sizeof name, "binary %d", (int)kind);
            over_shapes(t, d, name);
        }
}

static void test_affine_and_fill(void **state)
{
    static const double c[2] = {-1.7, 0.3};
    (void)state;
    for (rf_dtype d = RF_F32; d <= RF_BF16; d++) {
        trial t = {.num_in = 1, .num_out = 1, .call = call_affine, .arg = c};
        t.low[0] = -4;
        t.high[0] = 4;
        t.relative = d == RF_BF16 ? 0x1p-8 : d == RF_F32 ? 1e-6 : 1e-15;
        t.absolute = d == RF_F64 ? 1e-15 : 1e-6;
        over_shapes(t, d, "affine");
        t.call = call_fill;
        t.num_in = 0;
        over_shapes(t, d, "fill");
    }
}

/* ---- the place in the loop ---- */

/* y[offset .. offset + n) of every length and offset has the bits that the element has alone. */
static void same_everywhere(const rf_kernels *k, int kind, int two)
{
    float x[LENGTH + OFFSET], g[LENGTH + OFFSET], alone[LENGTH + OFFSET], y[LENGTH + OFFSET];
    const rf_exec e = {1, NULL};
    noise_fill(x, LENGTH + OFFSET, two ? -5 : 0.01, 5, 1);
    noise_fill(g, LENGTH + OFFSET, -5, 5, 2);
    for (int offset = 0; offset < OFFSET; offset++)
        for (int n = 0; n <= LENGTH; n++) {
            int first = n ? offset : 0, end = n ? offset + n : LENGTH + OFFSET;
            for (int i = first; i < end && (n || !offset); i += n ? n : 1) {
                rf_view vx = view_make(RF_F32, 1, n ? n : 1), vg = vx, vy = vx;
                vx.data = x + i;
                vg.data = g + i;
                vy.data = n ? y + i : alone + i;
                rf_status status = two ? k->binary(&e, (rf_binary)kind, &vg, &vx, &vy)
                                       : k->unary(&e, (rf_unary)kind, &vx, &vy);
                assert_int_equal(status, RF_OK);
            }
            assert_memory_equal(y + first, alone + first, n * sizeof(float));
        }
}

static void test_bits_do_not_depend_on_the_place(void **state)
{
    (void)state;
    for (size_t i = 0; table_at(i); i++) {
        for (int kind = 0; kind < RF_UNARY_KINDS; kind++)
            same_everywhere(table_at(i), kind, 0);
        for (int kind = 0; kind < RF_BINARY_KINDS; kind++)
            same_everywhere(table_at(i), kind, 1);
    }
}

/* ---- an output that is an input ---- */

static void test_in_place(void **state)
{
    static float x[1000], g[1000], want[1000], got[1000];
    const rf_exec e = {1, NULL};
    rf_view vx = view_make(RF_F32, 2, 10, 100), vg = vx, vw = vx, vy = vx;
    (void)state;
    noise_fill(x, 1000, -3, 3, 1);
    noise_fill(g, 1000, -3, 3, 2);
    vx.data = x;
    vg.data = g;
    vw.data = want;
    vy.data = got;
    for (size_t i = 0; table_at(i); i++) {
        const rf_kernels *k = table_at(i);
        for (int kind = 0; kind < RF_UNARY_KINDS; kind++) {
            memcpy(got, x, sizeof got);
            assert_int_equal(k->unary(&e, (rf_unary)kind, &vx, &vw), RF_OK);
            assert_int_equal(k->unary(&e, (rf_unary)kind, &vy, &vy), RF_OK);
            assert_memory_equal(got, want, sizeof got);
        }
        for (int kind = 0; kind < 2 * RF_BINARY_KINDS; kind++) {
            const rf_binary b = (rf_binary)(kind / 2);
            memcpy(got, kind & 1 ? x : g, sizeof got);
            assert_int_equal(k->binary(&e, b, &vg, &vx, &vw), RF_OK);
            assert_int_equal(k->binary(&e, b, kind & 1 ? &vg : &vy, kind & 1 ? &vy : &vx, &vy),
                             RF_OK);
            assert_memory_equal(got, want, sizeof got);
        }
        memcpy(got, x, sizeof got);
        assert_int_equal(k->affine(&e, 2, 1, &vx, &vw), RF_OK);
        assert_int_equal(k->affine(&e, 2, 1, &vy, &vy), RF_OK);
        assert_memory_equal(got, want, sizeof got);
    }
}

/* ---- types ---- */

static void test_integers(void **state)
{
    static const rf_unary kinds[] = {RF_UNARY_COPY, RF_UNARY_NEG};
    static const rf_binary pairs[] = {RF_BINARY_ADD, RF_BINARY_SUB, RF_BINARY_MUL};
    (void)state;
    for (rf_dtype d = RF_I32; d < RF_DTYPES; d++) {
        trial t = {.num_in = 1, .num_out = 1, .call = call_unary, .own_truth = 1};
        t.high[0] = t.high[1] = 10;
        for (size_t i = 0; i < (d == RF_U8 ? 1 : 2); i++) {
            t.arg = &kinds[i];
            over_shapes(t, d, "unary");
        }
        t.num_in = 2;
        t.call = call_binary;
        for (size_t i = 0; i < 3; i++) {
            t.arg = &pairs[i];
            if (d != RF_U8 || pairs[i] != RF_BINARY_SUB)
                over_shapes(t, d, "binary");
        }
    }
}

static void test_casts(void **state)
{
    const rf_unary copy = RF_UNARY_COPY;
    (void)state;
    for (int from = 0; from < RF_DTYPES; from++)
        for (int to = 0; to < RF_DTYPES; to++) {
            char name[64];
            trial t = {.num_in = 1, .num_out = 1, .call = call_unary, .arg = &copy, .own_truth = 1};
            t.in[0] = view_swapped(view_make((rf_dtype)from, 2, 7, 50), 0, 1);
            t.out[0] = view_make((rf_dtype)to, 2, 50, 7);
            t.high[0] = 100;
            snprintf(name, sizeof name, "cast %d to %d", from, to);
            trial_run(&t, name);
        }
}

static uint16_t rounded(const rf_kernels *k, uint32_t bits)
{
    float x[40], y;
    uint16_t to[40] = {0};
    const rf_exec e = {1, NULL};
    rf_view vx = view_make(RF_F32, 1, 40), vy = view_make(RF_BF16, 1, 40);
    memcpy(&y, &bits, sizeof y);
    for (int i = 0; i < 40; i++)
        x[i] = y;
    vx.data = x;
    vy.data = to;
    assert_int_equal(k->unary(&e, RF_UNARY_COPY, &vx, &vy), RF_OK);
    for (int i = 1; i < 40; i++)
        assert_int_equal(to[i], to[0]);
    return to[0];
}

static void test_bf16_rounds_to_nearest_even(void **state)
{
    static const struct {
        uint32_t from;
        uint16_t to;
    } known[] = {{0x3F800000, 0x3F80}, {0x3F808000, 0x3F80}, {0x3F808001, 0x3F81},
                 {0x3F818000, 0x3F82}, {0x3F817FFF, 0x3F81}, {0x7F7FFFFF, 0x7F80},
                 {0x7F800000, 0x7F80}, {0xFF800000, 0xFF80}, {0x7FC00000, 0x7FC0},
                 {0x7F800001, 0x7FC0}, {0xFFFFFFFF, 0xFFFF}, {0x80000000, 0x8000},
                 {0x00008000, 0x0000}, {0x00018000, 0x0002}, {0x80000001, 0x8000}};
    (void)state;
    for (size_t i = 0; table_at(i); i++)
        for (size_t j = 0; j < sizeof known / sizeof *known; j++)
            assert_int_equal(rounded(table_at(i), known[j].from), known[j].to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unary),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_affine_and_fill),
        cmocka_unit_test(test_bits_do_not_depend_on_the_place),
        cmocka_unit_test(test_in_place),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_casts),
        cmocka_unit_test(test_bf16_rounds_to_nearest_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
