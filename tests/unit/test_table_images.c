/* The kernel tables on images: convolution and its gradients, pooling, batch norm. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/window.h"
#include "support/kernel_case.h"

static kernel_view plain(int rank, const int64_t *dims)
{
    kernel_view v = {CASE_FLOAT, .rank = rank};
    memcpy(v.dims, dims, (size_t)rank * sizeof *dims);
    return v;
}

/* ---- convolution: the two given, then the one that is made; x, w, y ---- */

typedef struct geometry {
    rf_window window;
    int64_t groups, n, in, out, image[2];
} geometry;

static geometry now; /* of the case that runs */

static rf_conv_call call_of(const kernel_case *c, const rf_kernels *k, const rf_view *const *v)
{
    static const int at[3][3] = {{0, 1, 3}, {2, 1, 0}, {1, 2, 0}}; /* of x, w, y */
    const int *i = at[c ? c->integer[0] : 0];
    rf_conv_call call = {.pass = c ? (rf_conv_pass)c->integer[0] : RF_CONV_FORWARD,
                         .window = now.window,
                         .groups = now.groups,
                         .kernels = k};
    call.x = v[i[0]];
    call.w = v[i[1]];
    call.y = v[i[2]];
    call.bias = call.pass == RF_CONV_FORWARD ? v[2] : NULL;
    return call;
}

static const kernel_case *running;

static size_t room_conv(const rf_kernels *k, size_t threads, const rf_view *const *v)
{
    rf_conv_call call = call_of(running, k, v);
    return k->conv2d_workspace(threads, &call);
}

static rf_status call_conv(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                           const rf_view *const *v)
{
    rf_conv_call call = call_of(c, k, v);
    return k->conv2d(e, &call);
}

/* visit(payload, x, w, y) for every product of a convolution. */
typedef void (*visitor)(double *x, double *w, double *y);

static void each_product(double *x, double *w, double *y, visitor visit)
{
    const geometry *g = &now;
    const rf_window *v = &g->window;
    int64_t oh = rf_window_places(v, 0, g->image[0]), ow = rf_window_places(v, 1, g->image[1]);
    int64_t ci = g->in / g->groups, co = g->out / g->groups, at = 0;
    for (int64_t n = 0; n < g->n; n++)
        for (int64_t o = 0; o < g->out; o++)
            for (int64_t p = 0; p < oh * ow; p++, at++)
                for (int64_t k = 0; k < ci * v->size[0] * v->size[1]; k++) {
                    int64_t kh = k / v->size[1] % v->size[0], kw = k % v->size[1];
                    int64_t c = o / co * ci + k / v->size[1] / v->size[0];
                    int64_t i = p / ow * v->stride[0] + kh * v->dilation[0] - v->padding[0];
                    int64_t j = p % ow * v->stride[1] + kw * v->dilation[1] - v->padding[1];
                    if (i < 0 || j < 0 || i >= g->image[0] || j >= g->image[1])
                        continue;
                    visit(&x[((n * g->in + c) * g->image[0] + i) * g->image[1] + j],
                          &w[o * ci * v->size[0] * v->size[1] + k], &y[at]);
                }
}

static void add_y(double *x, double *w, double *y)
{
    *y += *x * *w;
}

static void add_x(double *x, double *w, double *y)
{
    *x += *y * *w;
}

static void add_w(double *x, double *w, double *y)
{
    *w += *x * *y;
}

static void truth_conv(const kernel_case *c, double *const *v)
{
    int pass = (int)c->integer[0], made = pass == RF_CONV_FORWARD ? 3 : 2;
    int64_t count = kernel_count(&c->view[made]), plane = count / (now.n * now.out);
    for (int64_t i = 0; i < count; i++)
        v[made][i] = pass == RF_CONV_FORWARD && v[2] ? v[2][i / plane % now.out] : 0;
    if (pass == RF_CONV_FORWARD)
        each_product(v[0], v[1], v[3], add_y);
    else if (pass == RF_CONV_GRAD_INPUT)
        each_product(v[2], v[1], v[0], add_x);
    else
        each_product(v[1], v[2], v[0], add_w);
}

static void check_conv(const geometry *g, int pass, int bias)
{
    static const char *const names[3] = {"conv2d", "conv2d_grad_input", "conv2d_grad_weight"};
    kernel_case c = {.name = names[pass], .inputs = 2, .outputs = 1, .integer = {pass}};
    const rf_window *w = &g->window;
    const int64_t x[4] = {g->n, g->in, g->image[0], g->image[1]}, b[1] = {g->out};
    const int64_t k[4] = {g->out, g->in / g->groups, w->size[0], w->size[1]};
    const int64_t y[4] = {g->n, g->out, rf_window_places(w, 0, g->image[0]),
                          rf_window_places(w, 1, g->image[1])};
    now = *g;
    running = &c;
    c.view[0] = plain(4, pass ? y : x);
    c.view[1] = plain(4, pass == RF_CONV_GRAD_WEIGHT ? x : k);
    c.view[2] = plain(4, pass == RF_CONV_GRAD_WEIGHT ? k : x);
    if (!pass) {
        c.inputs = 3;
        c.view[2] = plain(1, b);
        c.view[2].absent = !bias;
        c.view[3] = plain(4, y);
    }
    c.flags = CASE_NO_BF16;
    c.workspace = room_conv;
    c.call = call_conv;
    c.truth = truth_conv;
    c.relative = 2e-6;
    c.absolute = 3e-5;
    kernel_case_check(&c);
    if (g->in > 8)
        return;
    /* bf16 is rounded between product and sum: short sums say well enough whether it is the one */
    c.flags = CASE_EXACT_IN;
    c.relative = 0x1p-5;
    c.absolute = 2;
    kernel_case_check(&c);
}

static void test_convolution(void **state)
{
    static const geometry all[] = {
        {{{3, 3}, {1, 1}, {1, 1}, {1, 1}}, 1, 5, 3, 4, {6, 7}},
        {{{1, 1}, {1, 1}, {0, 0}, {1, 1}}, 1, 4, 6, 5, {5, 4}},
        {{{1, 1}, {2, 2}, {0, 0}, {1, 1}}, 2, 3, 6, 4, {5, 6}},
        {{{2, 3}, {2, 1}, {1, 2}, {1, 2}}, 1, 2, 2, 3, {5, 6}},
        {{{3, 2}, {3, 2}, {0, 1}, {2, 3}}, 3, 1, 3, 6, {7, 9}},
        {{{3, 3}, {1, 1}, {4, 4}, {1, 1}}, 1, 1, 1, 1, {1, 2}},     /* much sees padding only */
        {{{3, 3}, {1, 1}, {1, 1}, {1, 1}}, 4, 2, 4, 4, {4, 4}},     /* a channel a group      */
        {{{3, 3}, {1, 1}, {1, 1}, {1, 1}}, 1, 1, 32, 64, {16, 16}}, /* the library's        */
        {{{3, 3}, {2, 2}, {1, 1}, {2, 1}}, 2, 2, 32, 34, {17, 18}}, /* its, in groups       */
        {{{3, 2}, {2, 3}, {1, 0}, {1, 2}}, 2, 5, 4, 6, {5, 5}},     /* few places           */
        {{{1, 1}, {2, 2}, {0, 0}, {1, 1}}, 1, 40, 16, 24, {3, 4}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (int pass = 0; pass < 3; pass++)
            check_conv(&all[i], pass, i % 2 == 0);
}

/* ---- pooling: x | y index; g index | dx; x index | y ---- */

static rf_status call_max(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                          const rf_view *const *v)
{
    (void)c;
    return k->max_pool2d(e, &now.window, v[0], v[1], v[2]);
}

static rf_status call_avg(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                          const rf_view *const *v)
{
    return c->integer[0] ? k->avg_pool2d_grad(e, &now.window, v[0], v[1])
                         : k->avg_pool2d(e, &now.window, v[0], v[1]);
}

static double *const *max_views; /* of the case that runs */

static void visit_max(double *x, double *w, double *y)
{
    (void)w;
    if (*x <= *y)
        return;
    *y = *x;
    max_views[2][y - max_views[1]] = (double)((x - max_views[0]) % (now.image[0] * now.image[1]));
}

static void visit_avg(double *x, double *w, double *y)
{
    (void)w;
    *y += *x / (double)(now.window.size[0] * now.window.size[1]);
}

static void visit_avg_back(double *x, double *w, double *y)
{
    (void)w;
    *x += *y / (double)(now.window.size[0] * now.window.size[1]);
}

/* A pool is a convolution with a channel a group, of whose weights only the place counts. */
static void truth_max(const kernel_case *c, double *const *v)
{
    double w[64] = {0};
    for (int64_t i = 0; i < kernel_count(&c->view[1]); i++)
        v[1][i] = -INFINITY;
    max_views = v;
    each_product(v[0], w, v[1], visit_max);
}

static void truth_avg(const kernel_case *c, double *const *v)
{
    double w[64] = {0};
    memset(v[1], 0, (size_t)kernel_count(&c->view[1]) * sizeof(double));
    if (c->integer[0])
        each_product(v[1], w, v[0], visit_avg_back);
    else
        each_product(v[0], w, v[1], visit_avg);
}

static void test_pooling(void **state)
{
    static const geometry all[] = {
        {{{2, 2}, {2, 2}, {0, 0}, {1, 1}}, 3, 2, 3, 3, {4, 5}},
        {{{3, 3}, {2, 2}, {1, 1}, {1, 1}}, 2, 2, 2, 2, {7, 6}},
        {{{3, 2}, {1, 3}, {1, 0}, {1, 1}}, 2, 1, 2, 2, {3, 8}},
        {{{3, 3}, {2, 2}, {1, 1}, {1, 1}}, 4, 8, 4, 4, {40, 41}}, /* enough for threads */
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const geometry *g = &all[i];
        const int64_t x[4] = {g->n, g->in, g->image[0], g->image[1]};
        const int64_t y[4] = {g->n, g->in, rf_window_places(&g->window, 0, x[2]),
                              rf_window_places(&g->window, 1, x[3])};
        kernel_case c = {.name = "avg_pool2d", .inputs = 1, .outputs = 1, .flags = CASE_THREADS};
        now = *g;
        c.view[0] = plain(4, x);
        c.view[1] = plain(4, y);
        c.call = call_avg;
        c.truth = truth_avg;
        c.relative = 1e-6;
        c.absolute = 1e-6;
        kernel_case_check(&c);
        c.name = "avg_pool2d_grad";
        c.integer[0] = 1;
        c.view[0] = plain(4, y);
        c.view[1] = plain(4, x);
        kernel_case_check(&c);
        c.name = "max_pool2d";
        c.outputs = 2;
        c.view[0] = plain(4, x);
        c.view[1] = plain(4, y);
        c.view[2] = plain(4, y);
        c.view[2].dtype = RF_I32;
        c.call = call_max;
        c.truth = truth_max;
        kernel_case_check(&c);
    }
}

static rf_status call_pick(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                           const rf_view *const *v)
{
    return c->integer[0] ? k->pool2d_scatter(e, v[0], v[1], v[2])
                         : k->pool2d_pick(e, v[0], v[1], v[2]);
}

static void truth_pick(const kernel_case *c, double *const *v)
{
    const kernel_view *narrow = &c->view[1], *wide = &c->view[c->integer[0] ? 2 : 0];
    int64_t places = narrow->dims[2] * narrow->dims[3], area = wide->dims[2] * wide->dims[3];
    if (c->integer[0])
        memset(v[2], 0, (size_t)kernel_count(wide) * sizeof(double));
    for (int64_t i = 0; i < kernel_count(narrow); i++) {
        int64_t at = i / places * area + (int64_t)v[1][i];
        if (c->integer[0])
            v[2][at] += v[0][i];
        else
            v[2][i] = v[0][at];
    }
}

static void test_picking(void **state)
{
    static const int64_t x[4] = {2, 3, 4, 5}, y[4] = {2, 3, 2, 3};
    (void)state;
    for (int back = 0; back < 2; back++)
        for (int wide = 0; wide < 2; wide++) {
            kernel_case c = {.name = back ? "pool2d_scatter" : "pool2d_pick",
                             .inputs = 2,
                             .outputs = 1,
                             .flags = CASE_THREADS | CASE_EXACT_IN,
                             .integer = {back}};
            c.view[0] = plain(4, back ? y : x);
            c.view[1] = plain(4, y);
            c.view[1].dtype = wide ? RF_I64 : RF_I32;
            c.view[1].high = 20;
            c.view[2] = plain(4, back ? x : y);
            c.call = call_pick;
            c.truth = truth_pick;
            kernel_case_check(&c);
        }
}

/* An index from elsewhere is an error, not a write behind the plane. */
static void test_picking_outside(void **state)
{
    const rf_kernels *tables[KERNEL_TABLES];
    size_t count = kernel_tables(tables);
    static const int64_t x[4] = {1, 1, 2, 2}, y[4] = {1, 1, 1, 1};
    float a[4] = {1, 2, 3, 4}, b[1] = {9};
    (void)state;
    for (size_t t = 0; t < count; t++)
        for (int32_t bad = -1; bad < 5; bad++) {
            rf_exec e = {1, NULL};
            rf_view vx = kernel_plain_view(RF_F32, 4, x, a),
                    vy = kernel_plain_view(RF_F32, 4, y, b);
            rf_view vi = kernel_plain_view(RF_I32, 4, y, &bad);
            rf_status want = bad < 0 || bad > 3 ? RF_E_ARGUMENT : RF_OK;
            assert_int_equal(tables[t]->pool2d_pick(&e, &vx, &vi, &vy), want);
            assert_int_equal(tables[t]->pool2d_scatter(&e, &vy, &vi, &vx), want);
        }
}

/* ---- batch norm: x gain bias | y mean var; g x gain mean var | dx dgain dbias ---- */

static rf_status call_batch(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                            const rf_view *const *v)
{
    return c->integer[0] ? k->batch_norm_grad(e, c->number[0], v, v + 5)
                         : k->batch_norm(e, c->number[0], v, v + 3);
}

static void truth_batch(const kernel_case *c, double *const *v)
{
    const int64_t *d = c->view[0].dims;
    int64_t each = d[2], n = d[0] * each;
    for (int64_t ch = 0; ch < d[1]; ch++) {
        double mean = 0, var = 0;
        for (int64_t i = 0; i < n; i++)
            mean += v[0][(i / each * d[1] + ch) * each + i % each] / (double)n;
        for (int64_t i = 0; i < n; i++)
            var += pow(v[0][(i / each * d[1] + ch) * each + i % each] - mean, 2) / (double)n;
        v[4][ch] = mean;
        v[5][ch] = var;
        for (int64_t i = 0; i < n; i++) {
            int64_t at = (i / each * d[1] + ch) * each + i % each;
            double h = (v[0][at] - mean) / sqrt(var + c->number[0]);
            v[3][at] = h * (v[1] ? v[1][ch] : 1) + (v[2] ? v[2][ch] : 0);
        }
    }
}

/* The statistics are whatever they are given as. */
static void truth_batch_grad(const kernel_case *c, double *const *v)
{
    const int64_t *d = c->view[0].dims;
    int64_t each = d[2], n = d[0] * each;
    for (int64_t ch = 0; ch < d[1]; ch++) {
        double r = 1 / sqrt(v[4][ch] + c->number[0]), sum = 0, along = 0;
        for (int64_t i = 0; i < n; i++) {
            int64_t at = (i / each * d[1] + ch) * each + i % each;
            sum += v[0][at];
            along += v[0][at] * (v[1][at] - v[3][ch]) * r;
        }
        if (v[6])
            v[6][ch] = along;
        if (v[7])
            v[7][ch] = sum;
        for (int64_t i = 0; i < n && v[5]; i++) {
            int64_t at = (i / each * d[1] + ch) * each + i % each;
            double h = (v[1][at] - v[3][ch]) * r;
            v[5][at] =
                (v[2] ? v[2][ch] : 1) * r * (v[0][at] - sum / (double)n - h * along / (double)n);
        }
    }
}

static kernel_case batch_case(const int64_t *x, int absent)
{
    kernel_case c = {.name = "batch_norm", .inputs = 3, .outputs = 3, .flags = CASE_THREADS};
    c.view[0] = c.view[3] = plain(3, x);
    for (int i = 1; i < 6; i++)
        if (i != 3)
            c.view[i] = plain(1, &x[1]);
    c.view[1].absent = c.view[2].absent = absent;
    c.view[4].dtype = c.view[5].dtype = CASE_WIDE;
    c.number[0] = 1e-3;
    c.call = call_batch;
    c.truth = truth_batch;
    c.relative = 3e-6;
    c.absolute = 3e-6;
    return c;
}

static void test_batch_norm(void **state)
{
    static const int64_t sizes[][3] = {{2, 3, 4}, {5, 1, 1}, {1, 4, 33}, {3, 2, 1300}, {9, 7, 600}};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int absent = 0; absent < 2; absent++) {
            kernel_case c = batch_case(sizes[i], absent);
            kernel_case_check(&c);
        }
}

static void test_batch_norm_grad(void **state)
{
    static const int64_t sizes[][3] = {{2, 3, 4}, {5, 1, 1}, {3, 2, 1300}, {9, 7, 600}};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int absent = 0; absent < 16; absent++) { /* gain, dx, dgain, dbias */
            kernel_case c = batch_case(sizes[i], 0);
            c.name = "batch_norm_grad";
            c.integer[0] = 1;
            c.inputs = 5;
            c.view[1] = c.view[5] = c.view[0];
            c.view[2] = c.view[6] = c.view[7] = plain(1, &sizes[i][1]);
            c.view[3] = c.view[4] = c.view[2];
            c.view[3].dtype = c.view[4].dtype = CASE_WIDE;
            c.view[4].low = 0.5;
            c.view[4].high = 2;
            c.view[2].absent = absent & 1;
            for (int j = 0; j < 3; j++)
                c.view[5 + j].absent = absent >> (j + 1) & 1;
            c.truth = truth_batch_grad;
            c.absolute = 1e-4;
            kernel_case_check(&c);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convolution), cmocka_unit_test(test_pooling),
        cmocka_unit_test(test_picking),     cmocka_unit_test(test_picking_outside),
        cmocka_unit_test(test_batch_norm),  cmocka_unit_test(test_batch_norm_grad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
