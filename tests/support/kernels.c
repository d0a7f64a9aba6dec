/* kernels.c: see kernels.h. */
#include "support/kernels.h"

#include <math.h>
#include <stdio.h>

#define GUARD 64 /* bytes behind each buffer that must not change */

const rf_kernels *table_at(size_t i)
{
    static const char *const names[] = {"portable", "avx2", "avx512", "avx512_bf16", "amx"};
    size_t found = 0;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        const rf_kernels *table = rf_kernels_find(names[k]);
        if (table && found++ == i)
            return table;
    }
    return NULL;
}

double noise(uint64_t i)
{
    i = (i + 1) * UINT64_C(0x9E3779B97F4A7C15);
    i = (i ^ i >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    i = (i ^ i >> 27) * UINT64_C(0x94D049BB133111EB);
    return (double)((i ^ i >> 31) >> 11) * 0x1p-53;
}

void noise_fill(float *x, size_t n, double low, double high, uint64_t salt)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(low + (high - low) * noise(i + salt * 1000003));
}

rf_view view_make(rf_dtype dtype, size_t rank, ...)
{
    rf_view v = {.shape = {.dtype = (uint8_t)dtype, .rank = (uint8_t)rank}};
    va_list dims;
    int64_t stride = 1;
    va_start(dims, rank);
    for (size_t i = 0; i < rank; i++)
        v.shape.dims[i] = va_arg(dims, int);
    va_end(dims);
    for (size_t i = rank; i-- > 0; stride *= v.shape.dims[i])
        v.strides[i] = stride;
    return v;
}

rf_view view_swapped(rf_view v, size_t a, size_t b)
{
    int64_t dim = v.shape.dims[a], stride = v.strides[a];
    v.shape.dims[a] = v.shape.dims[b];
    v.strides[a] = v.strides[b];
    v.shape.dims[b] = dim;
    v.strides[b] = stride;
    return v;
}

rf_view view_repeated(rf_view v, size_t axis)
{
    v.strides[axis] = 0;
    return v;
}

rf_view view_spaced(rf_view v, int64_t factor)
{
    for (size_t i = 0; i < v.shape.rank; i++)
        v.strides[i] *= factor;
    return v;
}

/* Elements of storage under a view. */
static int64_t view_extent(const rf_view *v)
{
    int64_t n = 1;
    for (size_t i = 0; i < v->shape.rank; i++) {
        if (!v->shape.dims[i])
            return 0;
        n += (v->shape.dims[i] - 1) * v->strides[i];
    }
    return n;
}

static size_t view_bytes(const rf_view *v)
{
    static const size_t sizes[] = {
        [RF_F32] = 4, [RF_F64] = 8, [RF_BF16] = 2, [RF_I32] = 4, [RF_I64] = 8, [RF_U8] = 1};
    return (size_t)view_extent(v) * sizes[v->shape.dtype];
}

static int is_float(const rf_view *v)
{
    return v->shape.dtype <= RF_BF16;
}

/* The buffers of one call. */
typedef struct stage {
    rf_view in[TRIAL_VIEWS], out[TRIAL_VIEWS];
    char *base[2 * TRIAL_VIEWS];
} stage;

static void stage_buffer(rf_view *v, char **base, size_t shift)
{
    size_t bytes = view_bytes(v);
    *base = aligned_alloc(64, (bytes + shift + GUARD + 63) / 64 * 64);
    assert_non_null(*base);
    v->data = *base + shift;
    memset(v->data, 0xA5, bytes + GUARD);
}

/* Buffers `shift` bytes behind their beginning, inputs filled; wide: floats as f64. */
static stage stage_make(const trial *t, size_t shift, int wide)
{
    stage s;
    for (size_t i = 0; i < t->num_in; i++) {
        rf_view v = t->in[i];
        stage_buffer(&v, &s.base[i], shift);
        for (int64_t k = 0; k < view_extent(&v); k++)
            rf_element_set(&v, k,
                           t->low[i] +
                               (t->high[i] - t->low[i]) * noise((uint64_t)k + 7919 * (uint64_t)i));
        s.in[i] = v;
        if (!wide || !is_float(&v))
            continue;
        char *narrow = s.base[i];
        s.in[i].shape.dtype = RF_F64;
        stage_buffer(&s.in[i], &s.base[i], shift);
        for (int64_t k = 0; k < view_extent(&v); k++)
            rf_element_set(&s.in[i], k, rf_element_get(&v, k));
        free(narrow);
    }
    for (size_t i = 0; i < t->num_out; i++) {
        s.out[i] = t->out[i];
        if (wide && is_float(&s.out[i]))
            s.out[i].shape.dtype = RF_F64;
        stage_buffer(&s.out[i], &s.base[TRIAL_VIEWS + i], shift);
    }
    return s;
}

static void stage_free(const trial *t, stage *s)
{
    for (size_t i = 0; i < t->num_in; i++)
        free(s->base[i]);
    for (size_t i = 0; i < t->num_out; i++)
        free(s->base[TRIAL_VIEWS + i]);
}

static void stage_run(const trial *t, const rf_kernels *k, size_t threads, stage *s)
{
    size_t bytes = t->workspace ? t->workspace(k, threads, s->in, s->out, t->arg) : 0;
    char *workspace = aligned_alloc(64, (bytes + GUARD + 63) / 64 * 64);
    rf_exec e = {threads, workspace};
    assert_non_null(workspace);
    memset(workspace, 0xA5, bytes + GUARD);
    assert_int_equal(t->call(k, &e, s->in, s->out, t->arg), RF_OK);
    for (size_t i = 0; i < GUARD; i++)
        assert_int_equal((unsigned char)workspace[bytes + i], 0xA5);
    for (size_t i = 0; i < t->num_out; i++)
        for (size_t j = 0; j < GUARD; j++)
            assert_int_equal(((unsigned char *)s->out[i].data)[view_bytes(&s->out[i]) + j], 0xA5);
    free(workspace);
}

static void stage_same(const trial *t, const stage *a, const stage *b, const char *what)
{
    for (size_t i = 0; i < t->num_out; i++)
        if (view_bytes(&a->out[i]) &&
            memcmp(a->out[i].data, b->out[i].data, view_bytes(&a->out[i])))
            fail_msg("%s: output %zu has other bits", what, i);
}

static void stage_near(const trial *t, const stage *got, const stage *want, const char *what)
{
    for (size_t i = 0; i < t->num_out; i++)
        for (int64_t k = 0; k < view_extent(&got->out[i]); k++) {
            double g = rf_element_get(&got->out[i], k), w = rf_element_get(&want->out[i], k);
            if (isnan(g) ? isnan(w) : g == w)
                continue;
            if (!(fabs(g - w) <= t->relative * fabs(w) + t->absolute))
                fail_msg("%s: output %zu element %d is %.9g, not %.9g", what, i, (int)k, g, w);
        }
}

static void trial_table(const trial *t, const char *name, const rf_kernels *k, const stage *want)
{
    char what[128];
    snprintf(what, sizeof what, "%s on %s", name, k->name);
    stage first = stage_make(t, 0, 0);
    stage_run(t, k, 1, &first);
    stage_near(t, &first, want, what);
    for (size_t threads = 1; threads <= 3; threads++) {
        stage one = stage_make(t, 64 * threads, 0), other = stage_make(t, 0, 0);
        stage_run(t, k, threads, &one);
        stage_run(t, k, threads, &other);
        stage_same(t, &one, &other, what);
        if (!t->per_threads)
            stage_same(t, &one, &first, what);
        stage_near(t, &one, want, what);
        stage_free(t, &one);
        stage_free(t, &other);
    }
    stage_free(t, &first);
}

void trial_run(const trial *t, const char *name)
{
    stage want = stage_make(t, 0, !t->own_truth);
    stage_run(t, &rf_kernels_reference, 1, &want);
    for (size_t i = 0; table_at(i); i++)
        trial_table(t, name, table_at(i), &want);
    stage_free(t, &want);
}
