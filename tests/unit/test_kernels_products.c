/* Products and attention on every table against the reference. */
#include "support/kernels.h"

#include <math.h>
#include <stdio.h>

/* ---- products ---- */

static rf_status product(const rf_kernels *k, const rf_exec *e, const rf_view *in,
                         const rf_view *out, const void *arg)
{
    (void)arg;
    return k->matmul(e, &in[0], &in[1], &out[0]);
}

static size_t product_workspace(const rf_kernels *k, size_t threads, const rf_view *in,
                                const rf_view *out, const void *arg)
{
    (void)arg;
    return k->matmul_workspace(threads, &in[0], &in[1], &out[0]);
}

static trial product_trial(rf_view a, rf_view b, rf_view c)
{
    trial t = {.num_in = 2, .num_out = 1, .in = {a, b}, .out = {c}};
    int64_t k = a.shape.dims[a.shape.rank - 1];
    t.call = product;
    t.workspace = product_workspace;
    t.low[0] = t.low[1] = -1;
    t.high[0] = t.high[1] = 1;
    t.absolute = c.shape.dtype == RF_F64 ? 1e-14 * (double)(k + 1) : 1e-7 * (double)(k + 4);
    t.relative = c.shape.dtype == RF_BF16 ? 0x1p-8 : 0;
    t.per_threads = 1; /* the library's; ours is below */
    return t;
}

/* Every way in which a and b can be stored. */
static void product_forms(rf_dtype dtype, int m, int n, int k)
{
    for (int form = 0; form < 4; form++) {
        char name[64];
        rf_view a =
            form & 1 ? view_swapped(view_make(dtype, 2, k, m), 0, 1) : view_make(dtype, 2, m, k);
        rf_view b =
            form & 2 ? view_swapped(view_make(dtype, 2, n, k), 0, 1) : view_make(dtype, 2, k, n);
        trial t = product_trial(a, b, view_make(dtype, 2, m, n));
        snprintf(name, sizeof name, "matmul %dx%dx%d form %d", m, n, k, form);
        t.per_threads = dtype == RF_F32 && m * n * k >= 1 << 18;
        trial_run(&t, name);
    }
}

static void test_products(void **state)
{
    static const int sizes[][3] = {{1, 1, 1},    {3, 5, 7},     {12, 32, 16}, {13, 33, 17},
                                   {25, 1, 64},  {1, 100, 300}, {7, 9, 600},  {100, 50, 300},
                                   {61, 97, 33}, {64, 64, 64},  {130, 70, 90}};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        product_forms(RF_F32, sizes[i][0], sizes[i][1], sizes[i][2]);
        product_forms(RF_F64, sizes[i][0], sizes[i][1], sizes[i][2]);
        product_forms(RF_BF16, sizes[i][0], sizes[i][1], sizes[i][2]);
    }
}

/* bf16 and f32 in every mix, in every form. */
static void test_products_of_two_types(void **state)
{
    static const int sizes[][3] = {{1, 1, 1},   {3, 5, 7},    {13, 33, 17},  {16, 16, 32},
                                   {31, 64, 1}, {33, 31, 63}, {64, 96, 128}, {300, 200, 100}};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int form = 0; form < 4; form++)
            for (int mix = 1; mix < 7; mix++) {
                int m = sizes[i][0], n = sizes[i][1], k = sizes[i][2];
                rf_dtype da = mix & 1 ? RF_BF16 : RF_F32, db = mix & 2 ? RF_BF16 : RF_F32;
                rf_view a =
                    form & 1 ? view_swapped(view_make(da, 2, k, m), 0, 1) : view_make(da, 2, m, k);
                rf_view b =
                    form & 2 ? view_swapped(view_make(db, 2, n, k), 0, 1) : view_make(db, 2, k, n);
                trial t = product_trial(a, b, view_make(mix & 4 ? RF_BF16 : RF_F32, 2, m, n));
                t.absolute = 0x1p-8 * sqrt((double)k); /* f32 may be rounded to bf16 */
                t.per_threads = 0;
                trial_run(&t, "matmul of two types");
            }
}

static void test_products_of_odd_strides(void **state)
{
    (void)state;
    for (rf_dtype d = RF_F32; d <= RF_BF16; d += RF_BF16 - RF_F32) {
        trial n =
            product_trial(view_spaced(view_make(RF_BF16, 2, 20, 30), 3),
                          view_spaced(view_make(d, 2, 30, 40), 2), view_make(RF_F32, 2, 20, 40));
        n.absolute = d == RF_F32 ? 0x1p-8 * sqrt(30) : n.absolute;
        trial_run(&n, "matmul of spaced, narrow");
        n.in[0] = view_repeated(view_make(RF_BF16, 2, 20, 30), 0);
        n.in[1] = view_repeated(view_make(d, 2, 30, 40), 1);
        trial_run(&n, "matmul of repeated, narrow");
    }
    trial t =
        product_trial(view_spaced(view_make(RF_F32, 2, 20, 30), 3),
                      view_spaced(view_make(RF_F32, 2, 30, 40), 2), view_make(RF_F32, 2, 20, 40));
    trial_run(&t, "matmul of spaced");
    t = product_trial(view_repeated(view_make(RF_F32, 2, 20, 30), 0),
                      view_repeated(view_make(RF_F32, 2, 30, 40), 1), view_make(RF_F32, 2, 20, 40));
    trial_run(&t, "matmul of repeated");
}

static void test_products_in_stacks(void **state)
{
    (void)state;
    trial t = product_trial(view_make(RF_F32, 4, 2, 3, 20, 30), view_make(RF_F32, 4, 2, 3, 30, 10),
                            view_make(RF_F32, 4, 2, 3, 20, 10));
    trial_run(&t, "matmul of a stack");
    t.in[1] = view_swapped(view_make(RF_F32, 4, 3, 2, 30, 10), 0, 1);
    trial_run(&t, "matmul of a swapped stack");
    t.in[1] = view_repeated(view_make(RF_F32, 4, 2, 3, 30, 10), 1);
    trial_run(&t, "matmul with a repeated stack");
    t = product_trial(view_make(RF_F32, 3, 5, 80, 70), view_make(RF_F32, 3, 5, 70, 90),
                      view_make(RF_F32, 3, 5, 80, 90));
    trial_run(&t, "matmul of a stack of large ones");
    t = product_trial(view_make(RF_F64, 3, 2, 20, 30), view_make(RF_F64, 3, 2, 30, 10),
                      view_make(RF_F64, 3, 2, 20, 10));
    trial_run(&t, "matmul of a stack in f64");
}

static void test_products_of_nothing(void **state)
{
    static const int sizes[][3] = {{0, 5, 5}, {5, 0, 5}, {5, 5, 0}};
    (void)state;
    for (size_t i = 0; i < 3; i++)
        for (rf_dtype d = RF_F32; d <= RF_BF16; d++)
            product_forms(d, sizes[i][0], sizes[i][1], sizes[i][2]);
}

/* in: a, b, what c holds before. */
static rf_status product_onto(const rf_kernels *k, const rf_exec *e, const rf_view *in,
                              const rf_view *out, const void *arg)
{
    (void)arg;
    rf_status status = k->unary(e, RF_UNARY_COPY, &in[2], &out[0]);
    return status ? status : k->matmul_add(e, &in[0], &in[1], &out[0]);
}

static void test_products_are_added(void **state)
{
    static const int sizes[][3] = {{1, 1, 1},    {3, 5, 7}, {13, 33, 17},  {7, 9, 600}, {5, 5, 0},
                                   {100, 50, 0}, {0, 5, 5}, {130, 70, 90}, {61, 97, 33}};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (rf_dtype d = RF_F32; d <= RF_F64; d++)
            for (int form = 0; form < 2; form++) {
                int m = sizes[i][0], n = sizes[i][1], k = sizes[i][2];
                rf_view a = view_make(d, 2, m, k), b = view_make(d, 2, k, n);
                if (form)
                    a = view_swapped(view_make(d, 2, k, m), 0, 1);
                trial t = product_trial(a, b, view_make(d, 2, m, n));
                t.num_in = 3;
                t.in[2] = t.out[0];
                t.low[2] = -2;
                t.high[2] = 2;
                t.call = product_onto;
                trial_run(&t, "matmul_add");
            }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int m = sizes[i][0], n = sizes[i][1], k = sizes[i][2];
        trial t = product_trial(view_make(RF_BF16, 2, m, k), view_make(RF_BF16, 2, k, n),
                                view_make(RF_F32, 2, m, n));
        t.num_in = 3;
        t.in[2] = t.out[0];
        t.low[2] = -2;
        t.high[2] = 2;
        t.call = product_onto;
        trial_run(&t, "matmul_add of bf16");
    }
    rf_view v = view_make(RF_BF16, 2, 2, 2);
    const rf_exec e = {1, NULL};
    for (size_t k = 0; table_at(k); k++)
        assert_int_equal(table_at(k)->matmul_add(&e, &v, &v, &v), RF_E_DTYPE);
}

/* ---- attention ---- */

static rf_status attend(const rf_kernels *k, const rf_exec *e, const rf_view *in,
                        const rf_view *out, const void *arg)
{
    const rf_view *const three[] = {&in[0], &in[1], &in[2]};
    return k->attention(e, *(const double *)arg, three, &out[0], &out[1]);
}

static size_t attend_workspace(const rf_kernels *k, size_t threads, const rf_view *in,
                               const rf_view *out, const void *arg)
{
    (void)out;
    (void)arg;
    return k->attention_workspace(threads, &in[0]);
}

/* The gradient, with o and lse made by the same table first. */
static rf_status attend_back(const rf_kernels *k, const rf_exec *e, const rf_view *in,
                             const rf_view *out, const void *arg)
{
    const rf_view *const three[] = {&in[1], &in[2], &in[3]};
    const rf_view *const six[] = {&in[0], &in[1], &in[2], &in[3], &out[3], &out[4]};
    const rf_view *const outs[] = {&out[0], &out[1], &out[2]};
    rf_status status = k->attention(e, *(const double *)arg, three, &out[3], &out[4]);
    return status ? status : k->attention_grad(e, *(const double *)arg, six, outs);
}

static size_t attend_back_workspace(const rf_kernels *k, size_t threads, const rf_view *in,
                                    const rf_view *out, const void *arg)
{
    size_t a = attend_workspace(k, threads, &in[1], out, arg);
    size_t b = k->attention_grad_workspace(threads, &in[1]);
    return a > b ? a : b;
}

/* (b, h, t, d) as a view of (b, t, h d + gap), which is how one linear layer makes q, k and v. */
static rf_view head_view(rf_dtype dtype, int b, int h, int t, int d, int gap)
{
    rf_view v = view_swapped(view_make(dtype, 4, b, t, h, d), 1, 2);
    int64_t row = (int64_t)h * d + gap;
    v.strides[0] = t * row;
    v.strides[1] = d;
    v.strides[2] = row;
    return v;
}

static void attention_trial(rf_dtype dtype, int b, int h, int t, int d, double scale)
{
    char name[64];
    rf_dtype lse = dtype == RF_F64 ? RF_F64 : RF_F32;
    trial f = {.num_in = 3, .num_out = 2, .call = attend, .workspace = attend_workspace};
    for (int i = 0; i < 4; i++) {
        f.in[i] = head_view(dtype, b, h, t, d, 2 * h * d);
        f.low[i] = -2;
        f.high[i] = 2;
    }
    f.out[0] = head_view(dtype, b, h, t, d, 0);
    f.out[1] = view_make(lse, 3, b, h, t);
    f.arg = &scale;
    f.absolute = 3e-6;
    f.relative = dtype == RF_BF16 ? 0x1p-7 : 2e-6;
    snprintf(name, sizeof name, "attention %d %d %d %d", b, h, t, d);
    trial_run(&f, name);

    trial g = f;
    g.num_in = 4;
    g.num_out = 5;
    g.call = attend_back;
    g.workspace = attend_back_workspace;
    for (int i = 0; i < 3; i++)
        g.out[i] = head_view(dtype, b, h, t, d, i ? 2 : 0);
    g.out[3] = f.out[0];
    g.out[4] = f.out[1];
    g.absolute = dtype == RF_BF16 ? 0.1 : 2e-5;
    snprintf(name, sizeof name, "attention_grad %d %d %d %d", b, h, t, d);
    trial_run(&g, name);
}

static void test_attention(void **state)
{
    static const int sizes[][4] = {{1, 1, 1, 1},   {1, 2, 5, 3},    {2, 3, 64, 16}, {1, 2, 65, 40},
                                   {1, 1, 63, 32}, {1, 1, 130, 24}, {1, 1, 66, 72}, {1, 1, 9, 256},
                                   {1, 1, 4, 257}, {1, 2, 129, 20}};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        attention_trial(RF_F32, sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3], 0.25);
    attention_trial(RF_F32, 1, 2, 70, 16, -0.3);
    attention_trial(RF_F32, 1, 2, 70, 16, 0);
    attention_trial(RF_F64, 1, 2, 30, 16, 0.25);
    attention_trial(RF_BF16, 1, 2, 30, 16, 0.25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_products_of_odd_strides),
        cmocka_unit_test(test_products_of_two_types),
        cmocka_unit_test(test_products_in_stacks),
        cmocka_unit_test(test_products_of_nothing),
        cmocka_unit_test(test_products_are_added),
        cmocka_unit_test(test_attention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
