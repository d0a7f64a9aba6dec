/* matmul.h: which product goes where: the tuned library for large f32; where the processor
 * multiplies pairs of bf16, gemm_bf16.h for whatever has some; else gemm.h. The choice is a
 * function of shapes, strides, types and threads. The portable table has no library under it, so
 * that a context that asks for it allocates through its own allocator and nowhere else.
 */
#ifndef RF_KERNEL_VECTOR_MATMUL_H
#define RF_KERNEL_VECTOR_MATMUL_H

#include "kernel/library.h"
#include "kernel/vector/gemm_bf16.h"
#include "kernel/vector/gemm_f64.h"

#if defined(RF_HAVE_ONEDNN) && RF_LANES > 4
#define VEC_LIBRARY 1
#endif

#define RF_GEMM_TALL 1024

/* c taller than wide, of sums longer still over a matrix that lies turned, as the gradient of the
 * weight of a layer that narrows is: there the library is a fifth slower than we are. */
RF_INLINE int vec_matmul_tall(const vec_gemm *g, const rf_sgemm *s)
{
    return s->transposed[0] && g->k >= RF_GEMM_TALL && g->k > g->m && g->m > g->n;
}

/* Whether the library can (one of the last two strides is 1) and should (enough work in each). */
static int vec_matmul_library(const vec_gemm *g, rf_sgemm *s)
{
#if defined(VEC_LIBRARY)
    unsigned r = g->c->shape.rank;
    if (g->c->shape.dtype != RF_F32 || g->narrow ||
        (double)g->m * (double)g->n * (double)g->k < 1 << 18)
        return 0;
    s->m = g->m;
    s->n = g->n;
    s->k = g->k;
    const rf_view *const views[2] = {g->a, g->b};
    for (int i = 0; i < 2; i++) {
        int64_t row = views[i]->strides[r - 2], col = views[i]->strides[r - 1];
        int64_t rows = views[i]->shape.dims[r - 2], cols = views[i]->shape.dims[r - 1];
        s->transposed[i] = !(col == 1 && row >= cols);
        s->lead[i] = s->transposed[i] ? col : row;
        if (s->transposed[i] && !(row == 1 && col >= rows))
            return 0;
    }
    return !vec_matmul_tall(g, s);
#else
    (void)g;
    (void)s;
    return 0;
#endif
}

/* The job of a product; f64 goes with f64 only. */
static rf_status vec_matmul_of(size_t threads, const rf_view *const abc[3], vec_gemm *g)
{
    const rf_view *a = abc[0], *b = abc[1], *c = abc[2];
    int wide = c->shape.dtype == RF_F64;
    for (int i = 0; i < 3; i++)
        if (wide ? abc[i]->shape.dtype != RF_F64 : !vec_is_float(abc[i]))
            return RF_E_DTYPE;
    *g = wide ? vec_wide_of(threads, a, b, c) : vec_gemm_of(threads, a, b, c);
    g->body = wide ? vec_wide_part : vec_gemm_part;
#if defined(__AVX512BF16__)
    if (g->narrow) {
        *g = vec_pairs_of(threads, a, b, c);
        g->body = vec_pairs_part;
    }
#endif
    return RF_OK;
}

static size_t vec_matmul_workspace(size_t threads, const rf_view *a, const rf_view *b,
                                   const rf_view *c)
{
    const rf_view *const abc[3] = {a, b, c};
    rf_sgemm s;
    vec_gemm g;
    if (vec_matmul_of(threads, abc, &g))
        return 0;
    return vec_matmul_library(&g, &s) ? 0 : (size_t)g.parts * g.bytes;
}

static rf_status vec_matmul_run(const rf_exec *e, vec_gemm *g)
{
    rf_status status = RF_OK;
    rf_sgemm s;
    if (!vec_matmul_library(g, &s)) {
        g->workspace = e->workspace;
        if (g->m && g->n)
            vec_run(e, g->parts, g->body, g);
        return RF_OK;
    }
#if defined(VEC_LIBRARY)
    for (int64_t i = 0; i < g->batch && !status; i++) {
        s.a = (const float *)g->a->data + vec_matrix_at(g->a, i);
        s.b = (const float *)g->b->data + vec_matrix_at(g->b, i);
        s.c = (float *)g->c->data + i * g->m * g->n;
        s.add = g->add;
        status = rf_library_sgemm(e, &s);
    }
#endif
    return status;
}

static rf_status vec_matmul(const rf_exec *e, const rf_view *a, const rf_view *b, const rf_view *c)
{
    const rf_view *const abc[3] = {a, b, c};
    vec_gemm g;
    rf_status status = vec_matmul_of(e->threads, abc, &g);
    return status ? status : vec_matmul_run(e, &g);
}

static rf_status vec_matmul_add(const rf_exec *e, const rf_view *a, const rf_view *b,
                                const rf_view *c)
{
    const rf_view *const abc[3] = {a, b, c};
    vec_gemm g;
    rf_status status = vec_matmul_of(e->threads, abc, &g);
    if (status || c->shape.dtype == RF_BF16)
        return RF_E_DTYPE;
    g.add = 1;
    return vec_matmul_run(e, &g);
}

#endif
