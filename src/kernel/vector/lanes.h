/* lanes.h: vectors of RF_LANES floats, and the few operations that C does not spell.
 *
 * Written with the vector types that gcc and clang share, so that the same text is every
 * instruction set. Invariant: what happens to an element does not depend on its lane, nor on
 * whether it came in a full vector or in the padded one at the end of a span. That is why
 * multiply-adds are fused here by name (vec_fma) and never by the compiler (-ffp-contract=off): two
 * copies of one loop could be fused differently.
 */
#ifndef RF_KERNEL_VECTOR_LANES_H
#define RF_KERNEL_VECTOR_LANES_H

#include "kernel/reference.h"

#include <math.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#define RF_LANES 16
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define RF_LANES 8
#else
#define RF_LANES 4
#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif
#endif

typedef float vec __attribute__((vector_size(RF_LANES * 4)));
typedef int32_t vec_int __attribute__((vector_size(RF_LANES * 4)));
typedef uint32_t vec_word __attribute__((vector_size(RF_LANES * 4)));
/* The same at any address of a float. */
typedef float vec_at __attribute__((vector_size(RF_LANES * 4), aligned(4), may_alias));

#define RF_INLINE static inline __attribute__((always_inline))

#if defined(__clang__)
#define RF_UNROLL _Pragma("clang loop unroll(full)")
#else
#define RF_UNROLL _Pragma("GCC unroll 16")
#endif

RF_INLINE vec vec_load(const float *p)
{
    return *(const vec_at *)p;
}

RF_INLINE void vec_store(float *p, vec x)
{
    *(vec_at *)p = x;
}

RF_INLINE vec vec_all(float x)
{
    return x - (vec){0};
}

/* The first n lanes from p; the others are pad. */
RF_INLINE vec vec_load_part(const float *p, int64_t n, float pad)
{
    if (n == RF_LANES)
        return vec_load(p);
#if RF_LANES == 16
    return (vec)_mm512_mask_loadu_ps((__m512)vec_all(pad), (__mmask16)((1u << n) - 1), p);
#else
    float t[RF_LANES];
    vec_store(t, vec_all(pad));
    memcpy(t, p, (size_t)n * sizeof(float));
    return vec_load(t);
#endif
}

RF_INLINE void vec_store_part(float *p, int64_t n, vec x)
{
    if (n == RF_LANES) {
        vec_store(p, x);
        return;
    }
#if RF_LANES == 16
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)x);
#else
    memcpy(p, &x, (size_t)n * sizeof(float));
#endif
}

/* a b + c, rounded once where the processor can. */
RF_INLINE vec vec_fma(vec a, vec b, vec c)
{
#if RF_LANES == 16
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif RF_LANES == 8
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
    return (vec)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

/* mask is all ones or all zeros in each lane, as comparisons make it. */
RF_INLINE vec vec_pick(vec_int mask, vec yes, vec no)
{
    return (vec)((mask & (vec_int)yes) | (~mask & (vec_int)no));
}

/* a > b ? a : b, so b where either is NaN. */
RF_INLINE vec vec_max(vec a, vec b)
{
#if RF_LANES == 16
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif RF_LANES == 8
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
    return (vec)_mm_max_ps((__m128)a, (__m128)b);
#else
    return vec_pick(a > b, a, b);
#endif
}

/* a < b ? a : b, so b where either is NaN. */
RF_INLINE vec vec_min(vec a, vec b)
{
#if RF_LANES == 16
    return (vec)_mm512_min_ps((__m512)a, (__m512)b);
#elif RF_LANES == 8
    return (vec)_mm256_min_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
    return (vec)_mm_min_ps((__m128)a, (__m128)b);
#else
    return vec_pick(a < b, a, b);
#endif
}

RF_INLINE vec vec_sqrt(vec x)
{
#if RF_LANES == 16
    return (vec)_mm512_sqrt_ps((__m512)x);
#elif RF_LANES == 8
    return (vec)_mm256_sqrt_ps((__m256)x);
#elif defined(__SSE2__)
    return (vec)_mm_sqrt_ps((__m128)x);
#elif defined(__aarch64__)
    return (vec)vsqrtq_f32((float32x4_t)x);
#else
    for (int i = 0; i < RF_LANES; i++)
        x[i] = sqrtf(x[i]);
    return x;
#endif
}

RF_INLINE vec vec_abs(vec x)
{
    return (vec)((vec_int)x & 0x7FFFFFFF);
}

/* x to the nearest integer, for |x| < 2^22, as a float and in *i. */
RF_INLINE vec vec_round(vec x, vec_int *i)
{
    const vec magic = vec_all(0x1.8p23f);
    vec shifted = x + magic;
    *i = (vec_int)((vec_word)shifted - (vec_word)magic);
    return shifted - magic;
}

/* Lanes of a and b in turn: those of the lower half (a0 b0 a1 b1 ...), those of the upper. */
#if RF_LANES == 16
#define RF_ZIP(h)                                                                                \
    h, 16 + h, 1 + h, 17 + h, 2 + h, 18 + h, 3 + h, 19 + h, 4 + h, 20 + h, 5 + h, 21 + h, 6 + h, \
        22 + h, 7 + h, 23 + h
#elif RF_LANES == 8
#define RF_ZIP(h) h, 8 + h, 1 + h, 9 + h, 2 + h, 10 + h, 3 + h, 11 + h
#else
#define RF_ZIP(h) h, 4 + h, 1 + h, 5 + h
#endif

/* RF_LANES vectors as rows of a square, transposed: as many rounds of zipping as a lane number has
 * bits. */
RF_INLINE void vec_transpose_square(vec *x)
{
    for (int round = 1; round < RF_LANES; round *= 2) {
        vec y[RF_LANES];
        RF_UNROLL
        for (int i = 0; i < RF_LANES / 2; i++) {
            y[2 * i] = __builtin_shufflevector(x[i], x[i + RF_LANES / 2], RF_ZIP(0));
            y[2 * i + 1] = __builtin_shufflevector(x[i], x[i + RF_LANES / 2], RF_ZIP(RF_LANES / 2));
        }
        RF_UNROLL
        for (int i = 0; i < RF_LANES; i++)
            x[i] = y[i];
    }
}

/* to[j to_row + i] = from[i row + j] for i < rows <= RF_LANES, j < cols. The first `kept` >= rows
 * lanes of each vector are written. */
static void vec_transpose_strip(const float *from, int64_t row, int64_t rows, int64_t cols,
                                float *to, int64_t to_row, int64_t kept)
{
    for (int64_t j = 0; j < cols; j += RF_LANES) {
        int64_t n = cols - j < RF_LANES ? cols - j : RF_LANES;
        vec x[RF_LANES];
        for (int64_t i = 0; i < RF_LANES; i++)
            x[i] = i < rows ? vec_load_part(from + i * row + j, n, 0) : (vec){0};
        vec_transpose_square(x);
        for (int64_t i = 0; i < n; i++)
            vec_store_part(to + (j + i) * to_row, kept, x[i]);
    }
}

/* The lanes added up in a fixed tree. */
RF_INLINE float vec_total(vec x)
{
    float t[RF_LANES];
    memcpy(t, &x, sizeof t);
    for (int half = RF_LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++)
            t[i] += t[i + half];
    return t[0];
}

RF_INLINE float vec_largest(vec x)
{
    float t[RF_LANES];
    memcpy(t, &x, sizeof t);
    for (int half = RF_LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++)
            t[i] = t[i] > t[i + half] ? t[i] : t[i + half];
    return t[0];
}

#endif
