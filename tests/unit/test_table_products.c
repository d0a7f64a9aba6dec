/* Products of the kernel tables: matmul for any strides, attention and its gradient. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/kernel_case.h"

/* ---- matmul ---- */

static size_t room_matmul(const rf_kernels *k, size_t threads, const rf_view *const *v)
{
    return k->matmul_workspace(threads, v[0], v[1], v[2]);
}

static rf_status call_matmul(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                             const rf_view *const *v)
{
    (void)c;
    return k->matmul(e, v[0], v[1], v[2]);
}

static void truth_matmul(const kernel_case *c, double *const *v)
{
    int rank = c->view[2].rank;
    int64_t m = c->view[2].dims[rank - 2], n = c->view[2].dims[rank - 1];
    int64_t k = c->view[0].dims[rank - 1];
    for (int64_t i = 0; i < kernel_count(&c->view[2]); i++) {
        const double *a = v[0] + i / n * k, *b = v[1] + i / n / m * k * n + i % n;
        v[2][i] = 0;
        for (int64_t p = 0; p < k; p++)
            v[2][i] += a[p] * b[p * n];
    }
}

static void check_matmul(int64_t batch, int64_t m, int64_t n, int64_t k)
{
    kernel_case c = {.name = "matmul", .inputs = 2, .outputs = 1};
    int rank = batch ? 3 : 2;
    const int64_t dims[3][3] = {{batch, m, k}, {batch, k, n}, {batch, m, n}};
    c.flags = CASE_STRIDED | CASE_ROW_OUT;
    for (int i = 0; i < 3; i++) {
        c.view[i] = (kernel_view){CASE_FLOAT, .rank = rank};
        memcpy(c.view[i].dims, dims[i] + 3 - rank, (size_t)rank * sizeof(int64_t));
    }
    c.workspace = room_matmul;
    c.call = call_matmul;
    c.truth = truth_matmul;
    c.relative = 1e-6;
    c.absolute = 8e-6 * sqrt((double)k + 1) + 1e-12;
    kernel_case_check(&c);
}

static void test_matmul(void **state)
{
    static const int64_t sizes[][4] = {
        {0, 1, 1, 1},   {0, 0, 3, 4},    {0, 3, 4, 0},     {0, 3, 0, 4},     {0, 5, 7, 3},
        {0, 1, 33, 70}, {0, 33, 1, 300}, {0, 12, 32, 256}, {0, 13, 33, 257}, {0, 97, 65, 20},
        {2, 7, 9, 5},   {5, 17, 40, 31}, {0, 64, 70, 60},  {0, 20, 70, 600}};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        check_matmul(sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3]);
}

/* A block of c has the bits that it has as a product of its own: nothing of where it lies shows. */
static void test_rows_alone(void **state)
{
    enum { M = 40, N = 50, K = 300 };
    const rf_kernels *tables[KERNEL_TABLES];
    size_t count = kernel_tables(tables);
    static float a[M * K], b[K * N], c[M * N], part[M * N];
    static unsigned char scratch[1 << 22] __attribute__((aligned(64)));
    (void)state;
    for (int i = 0; i < M * K; i++)
        a[i] = (float)kernel_noise(1, (uint64_t)i) - 0.5f;
    for (int i = 0; i < K * N; i++)
        b[i] = (float)kernel_noise(2, (uint64_t)i) - 0.5f;
    for (size_t t = 0; t < count; t++) {
        rf_exec e = {1, scratch};
        const int64_t da[] = {M, K}, db[] = {K, N}, dc[] = {M, N};
        rf_view va = kernel_plain_view(RF_F32, 2, da, a), vb = kernel_plain_view(RF_F32, 2, db, b);
        rf_view vc = kernel_plain_view(RF_F32, 2, dc, c), vp = vc;
        /* strides that no library takes, so that it is our own product */
        vb.strides[0] = 1, vb.strides[1] = K;
        vp.data = part;
        assert_true(tables[t]->matmul_workspace(1, &va, &vb, &vc) <= sizeof scratch);
        assert_int_equal(tables[t]->matmul(&e, &va, &vb, &vc), RF_OK);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(tables[t]->matmul(&e, &va, &vb, &vp), RF_OK);
            assert_memory_equal(part, c, sizeof c);
        }
    }
}

/* ---- attention: q k v | o lse, and do q k v o lse | dq dk dv; (B, H, T, D) ---- */

static size_t room_attention(const rf_kernels *k, size_t threads, const rf_view *const *v)
{
    return k->attention_workspace(threads, v[0]);
}

static rf_status call_attention(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                                const rf_view *const *v)
{
    return k->attention(e, c->number[0], v, v[3], v[4]);
}

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Row i attends to rows first..i: what it gives, and its log-sum-exp. */
static double attend(const kernel_case *c, double *const v[3], int64_t i, double *o)
{
    int64_t t = c->view[0].dims[2], d = c->view[0].dims[3], first = i - i % t;
    double top = -INFINITY, sum = 0;
    for (int64_t j = first; j <= i; j++)
        top = fmax(top, c->number[0] * dot(v[0] + i * d, v[1] + j * d, d));
    memset(o, 0, (size_t)d * sizeof *o);
    for (int64_t j = first; j <= i; j++) {
        double p = exp(c->number[0] * dot(v[0] + i * d, v[1] + j * d, d) - top);
        sum += p;
        for (int64_t x = 0; x < d; x++)
            o[x] += p * v[2][j * d + x];
    }
    for (int64_t x = 0; x < d; x++)
        o[x] /= sum;
    return top + log(sum);
}

static void truth_attention(const kernel_case *c, double *const *v)
{
    int64_t d = c->view[0].dims[3];
    for (int64_t i = 0; i < kernel_count(&c->view[4]); i++)
        v[4][i] = attend(c, v, i, v[3] + i * d);
}

static size_t room_attention_grad(const rf_kernels *k, size_t threads, const rf_view *const *v)
{
    return k->attention_grad_workspace(threads, v[1]);
}

/* o and lse are taken from the same table, so that they fit q, k and v. */
static rf_status call_attention_grad(const kernel_case *c, const rf_kernels *k, const rf_exec *e,
                                     const rf_view *const *v)
{
    int64_t n = kernel_count(&c->view[0]), t = c->view[0].dims[2], d = c->view[0].dims[3];
    size_t bytes = k->attention_workspace(e->threads, v[1]) + 64;
    double *o = malloc(((size_t)n + 1) * sizeof *o), *lse = malloc(((size_t)n + 1) * sizeof *lse);
    rf_exec forward = {e->threads, aligned_alloc(64, (bytes + 63) / 64 * 64)};
    assert_true(o && lse && forward.workspace);
    (void)t, (void)d;
    rf_view vo = kernel_plain_view(v[1]->shape.dtype, 4, c->view[0].dims, o);
    rf_view vl =
        kernel_plain_view(v[1]->shape.dtype == RF_F64 ? RF_F64 : RF_F32, 3, c->view[0].dims, lse);
    const rf_view *in[] = {v[0], v[1], v[2], v[3], &vo, &vl};
    rf_status status = k->attention(&forward, c->number[0], in + 1, &vo, &vl);
    if (!status)
        status = k->attention_grad(e, c->number[0], in, v + 4);
    free(o);
    free(lse);
    free(forward.workspace);
    return status;
}

static void truth_attention_grad(const kernel_case *c, double *const *v)
{
    int64_t t = c->view[0].dims[2], d = c->view[0].dims[3], n = kernel_count(&c->view[0]) / d;
    double *o = malloc((size_t)d * sizeof *o);
    assert_non_null(o);
    for (int j = 4; j < 7; j++)
        memset(v[j], 0, (size_t)(n * d) * sizeof(double));
    for (int64_t i = 0; i < n; i++) {
        double lse = attend(c, v + 1, i, o), mean = dot(v[0] + i * d, o, d);
        for (int64_t j = i - i % t; j <= i; j++) {
            double p = exp(c->number[0] * dot(v[1] + i * d, v[2] + j * d, d) - lse);
            double ds = p * (dot(v[0] + i * d, v[3] + j * d, d) - mean) * c->number[0];
            for (int64_t x = 0; x < d; x++) {
                v[4][i * d + x] += ds * v[2][j * d + x];
                v[5][j * d + x] += ds * v[1][i * d + x];
                v[6][j * d + x] += p * v[0][i * d + x];
            }
        }
    }
    free(o);
}

static void check_attention(int64_t b, int64_t h, int64_t t, int64_t d)
{
    kernel_case c = {.name = "attention", .flags = CASE_THREADS, .inputs = 3, .outputs = 2};
    kernel_view each = {CASE_FLOAT, .rank = 4, .dims = {b, h, t, d}};
    c.view[0] = c.view[1] = c.view[2] = c.view[3] = each;
    c.view[4] = (kernel_view){CASE_WIDE, .rank = 3, .dims = {b, h, t}};
    c.number[0] = 1 / sqrt((double)d);
    c.workspace = room_attention;
    c.call = call_attention;
    c.truth = truth_attention;
    c.relative = 4e-6;
    c.absolute = 8e-6;
    kernel_case_check(&c);
    kernel_case g = {.name = "attention_grad", .flags = CASE_THREADS, .inputs = 4, .outputs = 3};
    for (int i = 0; i < 7; i++)
        g.view[i] = each;
    g.number[0] = c.number[0];
    g.workspace = room_attention_grad;
    g.call = call_attention_grad;
    g.truth = truth_attention_grad;
    g.relative = 1e-5;
    g.absolute = 4e-5;
    g.flags |= CASE_NO_BF16; /* o is rounded, so the gradient is another: see below */
    kernel_case_check(&g);
}

static void test_attention(void **state)
{
    static const int64_t sizes[][4] = {{1, 1, 1, 1},    {1, 2, 3, 5},   {2, 2, 17, 8},
                                       {1, 1, 64, 16},  {1, 2, 65, 20}, {1, 1, 66, 64},
                                       {1, 1, 130, 19}, {1, 1, 9, 256}, {2, 0, 4, 4},
                                       {1, 3, 0, 4},    {1, 1, 17, 300}};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        check_attention(sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3]);
}

/* Views of one (B, T, 3C) tensor give the bits that tensors of their own give. */
static void test_attention_in_qkv(void **state)
{
    enum { B = 2, H = 3, T = 70, D = 16, C = H * D };
    static float qkv[B * T * 3 * C], apart[3][B * H * T * D], o[2][B * T * C], lse[2][B * H * T];
    static float grads[2][3 * B * T * C];
    static unsigned char scratch[1 << 23] __attribute__((aligned(64)));
    const int64_t dims[] = {B, H, T, D};
    const rf_kernels *tables[KERNEL_TABLES];
    size_t count = kernel_tables(tables);
    rf_view in[2][6], out[2][5];
    (void)state;
    for (int i = 0; i < B * T * 3 * C; i++)
        qkv[i] = (float)(4 * kernel_noise(5, (uint64_t)i) - 2);
    for (int which = 0; which < 3; which++)
        for (int i = 0; i < B * H * T * D; i++) {
            int d = i % D, t = i / D % T, h = i / D / T % H, b = i / D / T / H;
            apart[which][i] = qkv[((b * T + t) * 3 + which) * C + h * D + d];
        }
    for (size_t n = 0; n < count; n++) {
        rf_exec e = {2, scratch};
        for (int form = 0; form < 2; form++) {
            const rf_view *vi[6], *vo[3];
            for (int i = 0; i < 3; i++) {
                rf_view plain = kernel_plain_view(RF_F32, 4, dims, apart[i]), split = plain;
                split.data = qkv + i * C;
                split.strides[0] = T * 3 * C;
                split.strides[1] = D;
                split.strides[2] = 3 * C;
                in[form][1 + i] = form ? split : plain;
                out[form][i] = in[form][1 + i];
                out[form][i].data = form ? grads[1] + i * C : grads[0] + i * B * T * C;
            }
            in[form][4] = kernel_plain_view(RF_F32, 4, dims, o[form]);
            if (form) { /* (B, T, C) seen as (B, H, T, D) */
                in[form][4].strides[0] = T * C;
                in[form][4].strides[1] = D;
                in[form][4].strides[2] = C;
            }
            in[form][5] = kernel_plain_view(RF_F32, 3, dims, lse[form]);
            in[form][0] = in[form][1]; /* do: any numbers */
            for (int i = 0; i < 6; i++)
                vi[i] = &in[form][i];
            for (int i = 0; i < 3; i++)
                vo[i] = &out[form][i];
            assert_true(tables[n]->attention_workspace(2, vi[1]) <= sizeof scratch);
            assert_true(tables[n]->attention_grad_workspace(2, vi[1]) <= sizeof scratch);
            assert_int_equal(tables[n]->attention(&e, 0.25, vi + 1, vi[4], vi[5]), RF_OK);
            assert_int_equal(tables[n]->attention_grad(&e, 0.25, vi, vo), RF_OK);
        }
        assert_memory_equal(lse[0], lse[1], sizeof lse[0]);
        for (int i = 0; i < B * H * T * D; i++) {
            int d = i % D, t = i / D % T, h = i / D / T % H, b = i / D / T / H;
            assert_memory_equal(&o[0][i], &o[1][(b * T + t) * C + h * D + d], 4);
            for (int g = 0; g < 3; g++)
                assert_memory_equal(&grads[0][g * B * T * C + i],
                                    &grads[1][((b * T + t) * 3 + g) * C + h * D + d], 4);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matmul),
        cmocka_unit_test(test_rows_alone),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_attention_in_qkv),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
