/* What the kernels of each table reach on this machine: products and attention in GFLOP/s, the rest
 * in GB/s of what they must read and write.
 *
 *   kernels [--tiny] [--cpu] [--threads N] [--isa NAME] [FILTER]
 *
 * FILTER is part of a row's name. --cpu takes the processor's time instead of the clock's, for one
 * thread on a machine that others use too.
 */
#include "kernel/reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define VIEWS 8

static struct {
    int tiny;
    clockid_t clock;
    size_t threads;
    const char *isa, *filter;
} options = {0, CLOCK_MONOTONIC, 1, NULL, ""};

/* One row of the table. */
typedef struct bench {
    const char *name;
    rf_view v[VIEWS];
    size_t num;
    double work; /* FLOPs or bytes of one call */
    const char *unit;
    size_t workspace;
    rf_status (*call)(const rf_kernels *k, const rf_exec *e, const rf_view *v);
} bench;

static double now(void)
{
    struct timespec t;
    clock_gettime(options.clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static rf_view view_of(rf_dtype dtype, size_t rank, const int64_t *dims)
{
    rf_view v = {.shape = {.dtype = (uint8_t)dtype, .rank = (uint8_t)rank}};
    int64_t stride = 1;
    for (size_t i = rank; i-- > 0; stride *= dims[i]) {
        v.shape.dims[i] = dims[i];
        v.strides[i] = stride;
    }
    return v;
}

static rf_view matrix(int64_t rows, int64_t cols)
{
    return view_of(RF_F32, 2, (const int64_t[]){rows, cols});
}

static rf_view vector(int64_t n)
{
    return view_of(RF_F32, 1, &n);
}

static rf_view transposed(rf_view v)
{
    int64_t dim = v.shape.dims[0], stride = v.strides[0];
    v.shape.dims[0] = v.shape.dims[1];
    v.strides[0] = v.strides[1];
    v.shape.dims[1] = dim;
    v.strides[1] = stride;
    return v;
}

/* Small numbers, positive; ids in [0, 100). */
static void fill(rf_view *v)
{
    int64_t n = rf_shape_count(&v->shape);
    v->data = aligned_alloc(64, ((size_t)n * 8 + 127) / 64 * 64);
    if (!v->data)
        exit(1);
    for (int64_t i = 0; i < n; i++)
        rf_element_set(v, i,
                       v->shape.dtype > RF_BF16 ? (double)(i * 37 % 100)
                                                : (double)(i * 7919 % 1000) / 1000 + 0.001);
}

/* Median seconds of a call, and the best. */
static double measure(const rf_kernels *k, const bench *b, const rf_exec *e, double *best)
{
    double times[101], begin = now(), limit = options.tiny ? 0.002 : 0.6;
    size_t n = 0;
    if (b->call(k, e, b->v))
        return 0;
    while (n < 101 && (n < 3 || now() - begin < limit)) {
        double t = now();
        if (b->call(k, e, b->v))
            return 0;
        times[n] = now() - t;
        for (size_t i = n++; i && times[i] < times[i - 1]; i--) {
            t = times[i];
            times[i] = times[i - 1];
            times[i - 1] = t;
        }
    }
    *best = times[0];
    return times[n / 2];
}

static void row(const rf_kernels *k, bench b)
{
    rf_exec e = {options.threads, NULL};
    if (!strstr(b.name, options.filter))
        return;
    for (size_t i = 0; i < b.num; i++)
        fill(&b.v[i]);
    e.workspace = aligned_alloc(64, (b.workspace + 64) / 64 * 64);
    double best = 0, seconds = e.workspace ? measure(k, &b, &e, &best) : 0;
    printf("%-34s %10.1f us %9.1f %s, best %.1f\n", b.name, seconds * 1e6,
           seconds > 0 ? b.work / seconds * 1e-9 : 0, b.unit, best > 0 ? b.work / best * 1e-9 : 0);
    free(e.workspace);
    for (size_t i = 0; i < b.num; i++)
        free(b.v[i].data);
}

/* ---- products ---- */

static rf_status product(const rf_kernels *k, const rf_exec *e, const rf_view *v)
{
    return k->matmul(e, &v[0], &v[1], &v[2]);
}

/* All rows are the first: no library takes that, and it costs our own as much as any. */
static rf_view repeated(rf_view v)
{
    v.strides[0] = 0;
    return v;
}

static void product_row(const rf_kernels *k, rf_view a, rf_view b, const char *form)
{
    char name[64];
    rf_view c = matrix(a.shape.dims[0], b.shape.dims[1]);
    snprintf(name, sizeof name, "matmul %dx%dx%d %s", (int)a.shape.dims[0], (int)b.shape.dims[1],
             (int)a.shape.dims[1], form);
    c.shape.dtype = a.shape.dtype == b.shape.dtype ? a.shape.dtype : RF_F32;
    bench r = {name, {a, b, c}, 3, 2.0 * (double)a.shape.dims[0], "GFLOP/s", 0, product};
    r.work *= (double)b.shape.dims[1] * (double)a.shape.dims[1];
    r.workspace = k->matmul_workspace(options.threads, &a, &b, &c);
    row(k, r);
}

static rf_view with_dtype(rf_view v, rf_dtype dtype)
{
    v.shape.dtype = (uint8_t)dtype;
    return v;
}

static void products(const rf_kernels *k)
{
    static const int64_t full[][3] = {
        {16, 16, 16},    {32, 32, 32},     {64, 64, 64},      {128, 128, 128}, {256, 256, 256},
        {512, 512, 512}, {1024, 768, 768}, {1024, 3072, 768}, {512, 128, 128}, {512, 512, 128}};
    size_t count = options.tiny ? 4 : sizeof full / sizeof *full;
    for (size_t i = 0; i < count; i++) {
        rf_view a = matrix(full[i][0], full[i][2]), b = matrix(full[i][2], full[i][1]);
        product_row(k, a, b, "");
        product_row(k, a, transposed(matrix(full[i][1], full[i][2])), "a b'");
        product_row(k, transposed(matrix(full[i][2], full[i][0])), b, "a' b");
        product_row(k, repeated(a), b, "own");
        product_row(k, with_dtype(a, RF_BF16), with_dtype(b, RF_BF16), "bf16");
        product_row(k, with_dtype(a, RF_BF16), b, "bf16 f32");
        product_row(k, transposed(matrix(full[i][2], full[i][0])), with_dtype(b, RF_BF16),
                    "a' f32, bf16");
        product_row(k, with_dtype(a, RF_F64), with_dtype(b, RF_F64), "f64");
    }
}

/* ---- elements ---- */

static rf_status copy(const rf_kernels *k, const rf_exec *e, const rf_view *v)
{
    return k->unary(e, RF_UNARY_COPY, &v[0], &v[1]);
}

static rf_status exponential(const rf_kernels *k, const rf_exec *e, const rf_view *v)
{
    return k->unary(e, RF_UNARY_EXP, &v[0], &v[1]);
}

static rf_status logarithm(const rf_kernels *k, const rf_exec *e, const rf_view *v)
{
    return k->unary(e, RF_UNARY_LOG, &v[0], &v[1]);
}

static rf_status gelu(const rf_kernels *k, const rf_exec *e, const rf_view *v)
{
    return k->unary(e, RF_UNARY_GELU, &v[0], &v[1]);
}

static rf_status hyperbolic(const rf_kernels *k, const rf_exec *e, const rf_view *v)
{
    return k->unary(e, RF_UNARY_TANH, &v[0], &v[1]);
}

static rf_status gelu_tanh(const rf_kernels *k, const rf_exec *e, const rf_view *v)
{
    return k->unary(e, RF_UNARY_GELU_TANH, &v[0], &v[1]);
}

static rf_status gelu_grad(const rf_kernels *k, const rf_exec *e, const rf_view *v)
{
    return k->binary(e, RF_BINARY_GELU_GRAD, &v[0], &v[1], &v[2]);
}

static rf_status add(const rf_kernels *k, const rf_exec *e, const rf_view *v)
{
    return k->binary(e, RF_BINARY_ADD, &v[0], &v[1], &v[2]);
}

static rf_status dropout(const rf_kernels *k, const rf_exec *e, const rf_view *v)
{
    return k->dropout(e, (rf_rng){1, 2}, 0.1, &v[0], &v[1]);
}

static rf_status adamw(const rf_kernels *k, const rf_exec *e, const rf_view *v)
{
    const double c[7] = {1e-3, 0.9, 0.999, 1e-8, 0.01, 0.1, 0.001};
    const rf_view *const pgmv[] = {&v[0], &v[1], &v[2], &v[3]};
    return k->adamw(e, c, pgmv);
}

static rf_status sum_squares(const rf_kernels *k, const rf_exec *e, const rf_view *v)
{
    double out;
    return k->sum_squares(e, &v[0], &out);
}

static void elements(const rf_kernels *k)
{
    int64_t n = options.tiny ? 10000 : 1 << 20;
    rf_view x = vector(n), m = matrix(n / 512, 512), bias = m;
    double bytes = 4 * (double)n;
    bias.strides[0] = 0;
    row(k, (bench){"copy", {x, x}, 2, 2 * bytes, "GB/s", 0, copy});
    row(k, (bench){"copy of transposed",
                   {transposed(matrix(512, n / 512)), m},
                   2,
                   2 * bytes,
                   "GB/s",
                   0,
                   copy});
    row(k, (bench){"cast to bf16", {x, with_dtype(x, RF_BF16)}, 2, 1.5 * bytes, "GB/s", 0, copy});
    row(k, (bench){"cast from bf16", {with_dtype(x, RF_BF16), x}, 2, 1.5 * bytes, "GB/s", 0, copy});
    row(k, (bench){"exp", {x, x}, 2, 2 * bytes, "GB/s", 0, exponential});
    row(k, (bench){"log", {x, x}, 2, 2 * bytes, "GB/s", 0, logarithm});
    row(k, (bench){"tanh", {x, x}, 2, 2 * bytes, "GB/s", 0, hyperbolic});
    row(k, (bench){"gelu", {x, x}, 2, 2 * bytes, "GB/s", 0, gelu});
    row(k, (bench){"gelu_tanh", {x, x}, 2, 2 * bytes, "GB/s", 0, gelu_tanh});
    row(k, (bench){"gelu_grad", {x, x, x}, 3, 3 * bytes, "GB/s", 0, gelu_grad});
    row(k, (bench){"add", {x, x, x}, 3, 3 * bytes, "GB/s", 0, add});
    row(k, (bench){"add of a row", {m, bias, m}, 3, 2 * bytes, "GB/s", 0, add});
    row(k, (bench){"dropout", {x, x}, 2, 2 * bytes, "GB/s", 0, dropout});
    row(k, (bench){"adamw", {x, x, x, x}, 4, 7 * bytes, "GB/s", 0, adamw});
    row(k, (bench){"sum_squares", {x}, 1, bytes, "GB/s", 0, sum_squares});
}

/* ---- rows ---- */

static rf_status softmax(const rf_kernels *k, const rf_exec *e, const rf_view *v)
{
    return k->softmax(e, 0, &v[0], &v[1]);
}

static rf_status layer_norm(const rf_kernels *k, const rf_exec *e, const rf_view *v)
{
    return k->layer_norm(e, 1e-5, &v[0], &v[1], &v[2], &v[3], &v[4], &v[5]);
}

static rf_status layer_norm_grad(const rf_kernels *k, const rf_exec *e, const rf_view *v)
{
    const rf_view *const in[] = {&v[0], &v[0], &v[1], &v[4], &v[5]};
    const rf_view *const out[] = {&v[3], &v[2], &v[6]};
    return k->layer_norm_grad(e, in, out);
}

static rf_status entropy(const rf_kernels *k, const rf_exec *e, const rf_view *v)
{
    return k->cross_entropy(e, NULL, &v[0], &v[1], &v[2], &v[3]);
}

static rf_status entropy_grad(const rf_kernels *k, const rf_exec *e, const rf_view *v)
{
    const rf_view *const in[] = {&v[5], &v[0], &v[1], &v[3]};
    return k->cross_entropy_grad(e, NULL, in, &v[4]);
}

static rf_status sum(const rf_kernels *k, const rf_exec *e, const rf_view *v)
{
    return k->sum(e, 1, &v[0], &v[1]);
}

static rf_status embedding_grad(const rf_kernels *k, const rf_exec *e, const rf_view *v)
{
    return k->embedding_grad(e, &v[0], &v[1], &v[2]);
}

static void rows(const rf_kernels *k)
{
    int64_t n = options.tiny ? 8 : 1024, c = 768, v = options.tiny ? 500 : 50257;
    int64_t m = options.tiny ? 4 : 128;
    rf_view x = matrix(n, c), g = vector(c), s = vector(n), logits = matrix(m, v);
    rf_view targets = view_of(RF_I64, 1, &m), ids = view_of(RF_I64, 1, &n);
    double bytes = 4 * (double)(n * c), wide = 4 * (double)(m * v);
    row(k, (bench){"softmax", {x, x}, 2, 2 * bytes, "GB/s", 0, softmax});
    row(k, (bench){"softmax of 64",
                   {matrix(n * c / 64, 64), matrix(n * c / 64, 64)},
                   2,
                   2 * bytes,
                   "GB/s",
                   0,
                   softmax});
    row(k, (bench){"layer_norm", {x, g, g, x, s, s}, 6, 2 * bytes, "GB/s", 0, layer_norm});
    bench grad = {"layer_norm_grad", {x, g, g, x, s, s, g}, 7, 3 * bytes, "GB/s", 0,
                  layer_norm_grad};
    grad.workspace = k->norm_grad_workspace(options.threads, &x);
    row(k, grad);
    row(k,
        (bench){
            "cross_entropy", {logits, targets, vector(m), vector(m)}, 4, wide, "GB/s", 0, entropy});
    row(k, (bench){"cross_entropy_grad",
                   {logits, targets, vector(m), vector(m), logits, vector(1)},
                   6,
                   2 * wide,
                   "GB/s",
                   0,
                   entropy_grad});
    row(k, (bench){"sum of columns", {x, matrix(1, c)}, 2, bytes, "GB/s", 0, sum});
    row(k, (bench){"sum of rows", {x, matrix(n, 1)}, 2, bytes, "GB/s", 0, sum});
    row(k, (bench){"sum of all", {x, matrix(1, 1)}, 2, bytes, "GB/s", 0, sum});
    row(k,
        (bench){
            "embedding_grad", {x, ids, matrix(1000, c)}, 3, 2 * bytes, "GB/s", 0, embedding_grad});
}

/* ---- attention ---- */

static rf_status attend(const rf_kernels *k, const rf_exec *e, const rf_view *v)
{
    const rf_view *const in[] = {&v[0], &v[1], &v[2]};
    return k->attention(e, 0.125, in, &v[3], &v[4]);
}

static rf_status attend_back(const rf_kernels *k, const rf_exec *e, const rf_view *v)
{
    const rf_view *const in[] = {&v[0], &v[0], &v[1], &v[2], &v[3], &v[4]};
    const rf_view *const out[] = {&v[5], &v[6], &v[7]};
    return k->attention_grad(e, 0.125, in, out);
}

/* (b, h, t, d) as a view of (b, t, h d) */
static rf_view heads(int64_t b, int64_t h, int64_t t, int64_t d)
{
    rf_view v = view_of(RF_F32, 4, (const int64_t[]){b, h, t, d});
    v.strides[1] = d;
    v.strides[2] = h * d;
    return v;
}

/* Counted as causal: half of all pairs, 2 products forward, 5 backward. */
static void attention(const rf_kernels *k)
{
    static const int64_t sizes[][4] = {{8, 4, 64, 32},   {1, 4, 256, 64},   {8, 6, 256, 64},
                                       {4, 12, 256, 64}, {1, 12, 1024, 64}, {1, 12, 1024, 128},
                                       {1, 2, 256, 512}};
    for (size_t i = 0; i < (options.tiny ? 1 : sizeof sizes / sizeof *sizes); i++) {
        const int64_t *s = sizes[i];
        char name[64];
        rf_view q = heads(s[0], s[1], s[2], s[3]), lse = view_of(RF_F32, 3, s);
        double pairs = (double)(s[0] * s[1] * s[2] * (s[2] + 1)) / 2 * 2 * (double)s[3];
        snprintf(name, sizeof name, "attention %d %d %d %d", (int)s[0], (int)s[1], (int)s[2],
                 (int)s[3]);
        bench b = {name, {q, q, q, q, lse, q, q, q}, 8, 2 * pairs, "GFLOP/s", 0, attend};
        b.workspace = k->attention_workspace(options.threads, &q);
        row(k, b);
        snprintf(name, sizeof name, "attention_grad %d %d %d %d", (int)s[0], (int)s[1], (int)s[2],
                 (int)s[3]);
        b.work = 5 * pairs;
        b.call = attend_back;
        b.workspace = k->attention_grad_workspace(options.threads, &q);
        row(k, b);
    }
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--tiny"))
            options.tiny = 1;
        else if (!strcmp(argv[i], "--cpu"))
            options.clock = CLOCK_PROCESS_CPUTIME_ID;
        else if (!strcmp(argv[i], "--threads") && i + 1 < argc)
            options.threads = (size_t)strtoul(argv[++i], NULL, 10);
        else if (!strcmp(argv[i], "--isa") && i + 1 < argc)
            options.isa = argv[++i];
        else
            options.filter = argv[i];
    const rf_kernels *k = rf_kernels_find(options.isa);
    if (!k)
        return 1;
    printf("%s, %zu threads\n", k->name, options.threads);
    products(k);
    elements(k);
    rows(k);
    attention(k);
    return 0;
}
