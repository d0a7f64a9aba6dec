/* kernel_case.c: see kernel_case.h. */
#include "support/kernel_case.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MARGIN = 128 }; /* bytes around a buffer, to see stray writes */

typedef enum layout {
    LAYOUT_PLAIN,
    LAYOUT_REVERSED, /* the first axis is the one without gaps */
    LAYOUT_GAPS,     /* every second element                    */
    LAYOUT_REPEATED, /* inputs: the first axis has stride 0     */
    LAYOUTS
} layout;

/* A view in memory of its own. */
typedef struct block {
    unsigned char *memory, *before;
    size_t bytes;
    rf_view view;
    int output;
} block;

/* One way to run a case. */
typedef struct setting {
    const rf_kernels *table;
    int dtype;
    layout how;
    size_t threads;
    int64_t offset; /* elements from the 64-byte line */
} setting;

size_t kernel_tables(const rf_kernels *tables[KERNEL_TABLES])
{
    static const char *const names[KERNEL_TABLES] = {"reference", "portable",    "avx2",
                                                     "avx512",    "avx512_bf16", "amx"};
    size_t n = 0;
    for (size_t i = 0; i < KERNEL_TABLES; i++) {
        const rf_kernels *k = rf_kernels_find(names[i]);
        if (k)
            tables[n++] = k;
    }
    return n;
}

double kernel_noise(uint64_t salt, uint64_t i)
{
    uint64_t x = (i + 1) * UINT64_C(0x9E3779B97F4A7C15) + salt * UINT64_C(0xD1342543DE82EF95);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return (double)((x ^ x >> 31) >> 11) * 0x1p-53;
}

int64_t kernel_count(const kernel_view *v)
{
    int64_t n = 1;
    for (int i = 0; i < v->rank; i++)
        n *= v->dims[i];
    return n;
}

static size_t dtype_bytes(int dtype)
{
    static const size_t sizes[RF_DTYPES] = {
        [RF_F32] = 4, [RF_F64] = 8, [RF_BF16] = 2, [RF_I32] = 4, [RF_I64] = 8, [RF_U8] = 1};
    return sizes[dtype];
}

double kernel_get(const rf_view *v, int64_t i)
{
    uint32_t bits;
    float f;
    switch (v->shape.dtype) {
    case RF_F32:
        return (double)((const float *)v->data)[i];
    case RF_F64:
        return ((const double *)v->data)[i];
    case RF_BF16:
        bits = (uint32_t)((const uint16_t *)v->data)[i] << 16;
        memcpy(&f, &bits, 4);
        return (double)f;
    case RF_I32:
        return ((const int32_t *)v->data)[i];
    case RF_I64:
        return (double)((const int64_t *)v->data)[i];
    default:
        return ((const uint8_t *)v->data)[i];
    }
}

void kernel_put(const rf_view *v, int64_t i, double value)
{
    float f = (float)value;
    uint32_t bits;
    switch (v->shape.dtype) {
    case RF_F32:
        ((float *)v->data)[i] = f;
        break;
    case RF_F64:
        ((double *)v->data)[i] = value;
        break;
    case RF_BF16: /* cut off: a test's inputs need not be rounded well */
        memcpy(&bits, &f, 4);
        ((uint16_t *)v->data)[i] = (uint16_t)(bits >> 16);
        break;
    case RF_I32:
        ((int32_t *)v->data)[i] = (int32_t)value;
        break;
    case RF_I64:
        ((int64_t *)v->data)[i] = (int64_t)value;
        break;
    default:
        ((uint8_t *)v->data)[i] = (uint8_t)value;
    }
}

rf_view kernel_plain_view(int dtype, int rank, const int64_t *dims, void *data)
{
    rf_view v = {.shape = {.dtype = (uint8_t)dtype, .rank = (uint8_t)rank}, .data = data};
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        v.shape.dims[i] = dims[i];
        v.strides[i] = stride;
        stride *= dims[i];
    }
    return v;
}

/* Position of element i (row-major) of a view. */
static int64_t place(const rf_view *v, int64_t i)
{
    int64_t at = 0;
    for (int axis = v->shape.rank - 1; axis >= 0; axis--) {
        at += i % v->shape.dims[axis] * v->strides[axis];
        i /= v->shape.dims[axis];
    }
    return at;
}

static void lay_out(rf_view *v, layout how)
{
    int64_t stride = how == LAYOUT_GAPS ? 2 : 1;
    int rank = v->shape.rank;
    for (int i = 0; i < rank; i++) {
        int axis = how == LAYOUT_REVERSED ? i : rank - 1 - i;
        v->strides[axis] = stride;
        stride *= v->shape.dims[axis];
    }
    if (how == LAYOUT_REPEATED && rank)
        v->strides[0] = 0;
}

static int dtype_of(const kernel_view *k, int dtype)
{
    if (k->dtype == CASE_FLOAT)
        return dtype;
    return k->dtype != CASE_WIDE ? k->dtype : dtype == RF_F64 ? RF_F64 : RF_F32;
}

static void fill_input(const kernel_case *c, int number, block *b)
{
    const kernel_view *k = &c->view[number];
    int integers = k->dtype >= 0 || c->flags & CASE_EXACT_IN;
    double low = k->low, high = k->high;
    if (low == 0 && high == 0) { /* not said */
        low = integers ? -8 : -2;
        high = integers ? 8 : 2;
    }
    for (int64_t i = 0; i < kernel_count(k); i++) {
        double x = low + (high - low) * kernel_noise((uint64_t)number + 1, (uint64_t)i);
        kernel_put(&b->view, place(&b->view, i), integers ? floor(x) : x);
    }
}

static block make_block(const kernel_case *c, int number, const setting *s)
{
    const kernel_view *k = &c->view[number];
    block b = {.output = number >= c->inputs};
    int dtype = dtype_of(k, s->dtype), plain = b.output && c->flags & CASE_ROW_OUT;
    size_t size = dtype_bytes(dtype), n = (size_t)kernel_count(k);
    layout how = s->how == LAYOUT_REPEATED && b.output ? LAYOUT_GAPS : s->how;
    b.bytes = (2 * n + (size_t)s->offset + 1) * size + 2 * MARGIN;
    b.bytes = (b.bytes + 63) / 64 * 64;
    b.memory = aligned_alloc(64, b.bytes);
    b.before = malloc(b.bytes);
    assert_non_null(b.memory);
    assert_non_null(b.before);
    memset(b.memory, 0x5A, b.bytes);
    b.view =
        kernel_plain_view(dtype, k->rank, k->dims, b.memory + MARGIN + (size_t)s->offset * size);
    lay_out(&b.view, plain ? LAYOUT_PLAIN : how);
    if (!b.output)
        fill_input(c, number, &b);
    memcpy(b.before, b.memory, b.bytes);
    return b;
}

/* Only an output's elements may differ from what was there; they are put back to compare. */
static void assert_rest_untouched(const kernel_case *c, int number, const block *b,
                                  const setting *s)
{
    int64_t n = b->output ? kernel_count(&c->view[number]) : 0;
    size_t size = dtype_bytes(b->view.shape.dtype);
    size_t first = (size_t)((unsigned char *)b->view.data - b->memory);
    unsigned char *now = malloc(b->bytes);
    assert_non_null(now);
    memcpy(now, b->memory, b->bytes);
    for (int64_t i = 0; i < n; i++) {
        size_t at = first + (size_t)place(&b->view, i) * size;
        memcpy(now + at, b->before + at, size);
    }
    if (memcmp(now, b->before, b->bytes))
        fail_msg("%s on %s (type %d, layout %d): wrote outside view %d", c->name, s->table->name,
                 s->dtype, (int)s->how, number);
    free(now);
}

static double *doubles_of(const kernel_case *c, int number, const block *b)
{
    int64_t n = kernel_count(&c->view[number]);
    double *x = calloc((size_t)n + 1, sizeof(double));
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = kernel_get(&b->view, place(&b->view, i));
    return x;
}

static void assert_values(const kernel_case *c, int number, const double *got, const double *want,
                          const setting *s)
{
    int dtype = dtype_of(&c->view[number], s->dtype);
    double fine = s->dtype == RF_F64 ? 1e-6 : 1;
    double relative = c->relative * fine, absolute = c->absolute * fine;
    if (dtype == RF_BF16)
        relative += 0x1p-8; /* half a unit in the last place, in full binades */
    for (int64_t i = 0; i < kernel_count(&c->view[number]); i++) {
        double away = fabs(got[i] - want[i]), may = absolute + relative * fabs(want[i]);
        if (got[i] == want[i] || (isnan(got[i]) && isnan(want[i])) || away <= may)
            continue;
        fail_msg("%s on %s (type %d, layout %d, %zu threads): view %d [%lld] is %.9g, not %.9g",
                 c->name, s->table->name, s->dtype, (int)s->how, s->threads, number, (long long)i,
                 got[i], want[i]);
    }
}

/* Run the case; its outputs' elements as doubles, to be freed. */
static void run(const kernel_case *c, const setting *s, double **out, int check)
{
    block blocks[CASE_VIEWS];
    const rf_view *v[CASE_VIEWS] = {0};
    double *in[CASE_VIEWS] = {0};
    int total = c->inputs + c->outputs;
    for (int i = 0; i < total; i++) {
        blocks[i] = make_block(c, i, s);
        v[i] = c->view[i].absent ? NULL : &blocks[i].view;
        in[i] = c->view[i].absent ? NULL : doubles_of(c, i, &blocks[i]);
    }
    size_t bytes = c->workspace ? c->workspace(s->table, s->threads, v) : 0;
    size_t room = (bytes + 64 + 63) / 64 * 64;
    unsigned char *scratch = aligned_alloc(64, room);
    assert_non_null(scratch);
    memset(scratch, 0xFF, room); /* NaN: nothing may count on zeros */
    rf_exec e = {s->threads, scratch};
    assert_int_equal(c->call(c, s->table, &e, v), RF_OK);
    for (size_t i = bytes; i < room; i++)
        if (scratch[i] != 0xFF)
            fail_msg("%s on %s: wrote past its workspace", c->name, s->table->name);
    for (int i = 0; i < total; i++)
        assert_rest_untouched(c, i, &blocks[i], s);
    if (check)
        c->truth(c, in);
    for (int i = 0; i < total; i++) {
        if (i >= c->inputs && v[i]) {
            out[i] = doubles_of(c, i, &blocks[i]);
            if (check)
                assert_values(c, i, out[i], in[i], s);
        }
        free(in[i]);
        free(blocks[i].memory);
        free(blocks[i].before);
    }
    free(scratch);
}

static void assert_same(const kernel_case *c, double *const *a, double *const *b, const setting *s,
                        const char *what)
{
    for (int i = c->inputs; i < c->inputs + c->outputs; i++)
        if (a[i] && memcmp(a[i], b[i], (size_t)kernel_count(&c->view[i]) * sizeof(double)))
            fail_msg("%s on %s (type %d, layout %d, %zu threads): other bits %s", c->name,
                     s->table->name, s->dtype, (int)s->how, s->threads, what);
}

static void drop(const kernel_case *c, double **x)
{
    for (int i = c->inputs; i < c->inputs + c->outputs; i++)
        free(x[i]);
}

/* Again, at other addresses, on other threads. */
static void check_bits(const kernel_case *c, setting s, double *const *first)
{
    static const int64_t offsets[] = {0, 5};
    if (!strcmp(s.table->name, "reference"))
        return; /* it has one thread and one element at a time */
    if (getenv("RF_TEST_FAST") && s.how != LAYOUT_PLAIN)
        return;
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        double *again[CASE_VIEWS] = {0};
        s.offset = offsets[i];
        run(c, &s, again, 0);
        assert_same(c, first, again, &s, i ? "at another address" : "when run again");
        drop(c, again);
    }
    s.offset = 0;
    for (s.threads = 1; s.threads <= 3; s.threads += 2) {
        double *other[CASE_VIEWS] = {0};
        run(c, &s, other, !(c->flags & CASE_THREADS));
        if (c->flags & CASE_THREADS)
            assert_same(c, first, other, &s, "on other threads");
        drop(c, other);
    }
}

void kernel_case_check(const kernel_case *c)
{
    static const int dtypes[] = {RF_F32, RF_F64, RF_BF16};
    const rf_kernels *tables[KERNEL_TABLES];
    size_t count = kernel_tables(tables);
    assert_true(count >= 1);
    for (size_t t = 0; t < count; t++)
        for (int d = 0; d < (c->flags & CASE_NO_BF16 ? 2 : 3); d++)
            for (int how = 0; how < (c->flags & CASE_STRIDED ? LAYOUTS : 1); how++) {
                setting s = {tables[t], dtypes[d], (layout)how, 2, 0};
                double *first[CASE_VIEWS] = {0};
                run(c, &s, first, 1);
                check_bits(c, s, first);
                drop(c, first);
            }
}
