/* math.h: the functions of networks on vectors, by polynomials.
 *
 * Errors, measured by tests/unit/test_kernels_math.c: exp and log within 2 ulp, the others within
 * 1e-6 relative (the tails of gelu_tanh and silu: of their largest argument). Infinities and NaN go
 * where the C library sends them; results below the normal range are right.
 *
 * exp, log, tanh: polynomials of Cephes (Moshier 1992). The normal distribution: ours, fitted by
 * Remez' exchange; see vec_normal_tail.
 */
#ifndef RF_KERNEL_VECTOR_MATH_H
#define RF_KERNEL_VECTOR_MATH_H

#include "kernel/vector/lanes.h"

/* 2^n p for p near 1: in two steps, so that results below the normal range are rounded once. */
RF_INLINE vec vec_scale(vec p, vec_int n)
{
    vec_int half = n >> 1;
    vec a = (vec)((vec_word)(half + 127) << 23), b = (vec)((vec_word)(n - half + 127) << 23);
    return p * a * b;
}

/* exp(x) = 2^n exp(r), |r| <= log(2) / 2. The upper part of log(2) has 9 bits: n times it is exact
 * with and without fused multiplication. */
RF_INLINE vec vec_exp(vec x)
{
    vec_int i;
    x = vec_min(vec_all(89.0f), vec_max(vec_all(-104.5f), x));
    vec n = vec_round(x * 1.44269504f, &i);
    vec r = vec_fma(n, vec_all(-0.693359375f), x);
    r = vec_fma(n, vec_all(2.12194440e-4f), r);
    vec p = vec_all(1.9875691500e-4f);
    p = vec_fma(p, r, vec_all(1.3981999507e-3f));
    p = vec_fma(p, r, vec_all(8.3334519073e-3f));
    p = vec_fma(p, r, vec_all(4.1665795894e-2f));
    p = vec_fma(p, r, vec_all(1.6666665459e-1f));
    p = vec_fma(p, r, vec_all(5.0000001201e-1f));
    return vec_scale(vec_fma(p, r * r, r) + 1.0f, i);
}

/* The same for x <= 0, where nothing can overflow: results below the normal range are 0. This is
 * what softmax and attention take: 30 % less work. */
RF_INLINE vec vec_exp_negative(vec x)
{
    vec_int i;
    vec low = vec_max(vec_all(-87.0f), x);
    vec n = vec_round(low * 1.44269504f, &i);
    vec r = vec_fma(n, vec_all(-0.693359375f), low);
    r = vec_fma(n, vec_all(2.12194440e-4f), r);
    vec p = vec_all(1.9875691500e-4f);
    p = vec_fma(p, r, vec_all(1.3981999507e-3f));
    p = vec_fma(p, r, vec_all(8.3334519073e-3f));
    p = vec_fma(p, r, vec_all(4.1665795894e-2f));
    p = vec_fma(p, r, vec_all(1.6666665459e-1f));
    p = vec_fma(p, r, vec_all(5.0000001201e-1f));
    p = (vec_fma(p, r * r, r) + 1.0f) * (vec)((vec_word)(i + 127) << 23);
    return vec_pick(x < -87.0f, (vec){0}, p);
}

/* log(x) = e log(2) + log(m), m in [sqrt(1/2), sqrt(2)). */
RF_INLINE vec vec_log(vec x)
{
    vec_int tiny = x < 0x1p-126f;
    vec wide = vec_pick(tiny, x * 0x1p23f, x);
    vec_int bits = (vec_int)((vec_word)wide - 0x3F3504F3u); /* sqrt(1/2) */
    vec_int e = (bits >> 23) - (tiny & 23);
    vec m = (vec)((bits & 0x7FFFFF) + 0x3F3504F3) - 1.0f, z = m * m;
    vec n = __builtin_convertvector(e, vec);
    vec p = vec_all(7.0376836292e-2f);
    p = vec_fma(p, m, vec_all(-1.1514610310e-1f));
    p = vec_fma(p, m, vec_all(1.1676998740e-1f));
    p = vec_fma(p, m, vec_all(-1.2420140846e-1f));
    p = vec_fma(p, m, vec_all(1.4249322787e-1f));
    p = vec_fma(p, m, vec_all(-1.6668057665e-1f));
    p = vec_fma(p, m, vec_all(2.0000714765e-1f));
    p = vec_fma(p, m, vec_all(-2.4999993993e-1f));
    p = vec_fma(p, m, vec_all(3.3333331174e-1f));
    p = vec_fma(n, vec_all(-2.12194440e-4f), p * m * z);
    vec y = vec_fma(n, vec_all(0.693359375f), vec_fma(z, vec_all(-0.5f), p) + m);
    y = vec_pick(x == INFINITY, x, y);
    y = vec_pick(x == 0.0f, vec_all(-INFINITY), y);
    return vec_pick(x >= 0.0f, y, vec_all(NAN));
}

/* 1 / (1 + exp(-x)), by exp of what is not positive. */
RF_INLINE vec vec_sigmoid(vec x)
{
    vec e = vec_exp(-vec_abs(x));
    return vec_pick(x < 0.0f, e, vec_all(1.0f)) / (1.0f + e);
}

RF_INLINE vec vec_tanh(vec x)
{
    vec a = vec_abs(x), z = x * x;
    vec p = vec_all(-5.70498872745e-3f);
    p = vec_fma(p, z, vec_all(2.06390887954e-2f));
    p = vec_fma(p, z, vec_all(-5.37397155531e-2f));
    p = vec_fma(p, z, vec_all(1.33314422036e-1f));
    p = vec_fma(p, z, vec_all(-3.33332819422e-1f));
    vec small = vec_fma(p * z, x, x);
    vec large = 1.0f - 2.0f / (vec_exp(2.0f * a) + 1.0f);
    large = (vec)((vec_int)large | ((vec_int)x & INT32_MIN));
    return vec_pick(a < 0.625f, small, large);
}

/* exp(-u u / 2). The square is split in an exact part and a small rest, whose exponential is a
 * short series: rounding the square would cost u u / 2 ulp. */
RF_INLINE vec vec_bell(vec u)
{
    vec top = (vec)((vec_int)u & ~0xFFF), rest = (u - top) * (u + top) * -0.5f;
    vec s = vec_fma(rest, vec_all(1.0f / 6), vec_all(0.5f));
    s = vec_fma(vec_fma(s, rest, vec_all(1.0f)), rest, vec_all(1.0f));
    return vec_exp(top * top * -0.5f) * s;
}

/* The normal distribution below -u, u >= 0, given bell = exp(-u u / 2): bell t P(t) with
 * t = 1 / (1 + 0.265 u). P fits (distribution / bell / t) within 1.4e-8 for u < 14.5, after which
 * bell is 0 in f32. */
RF_INLINE vec vec_normal_tail(vec u, vec bell)
{
    vec t = 1.0f / vec_fma(u, vec_all(0.265f), vec_all(1.0f));
    vec p = vec_all(0.03062448437646489f);
    p = vec_fma(p, t, vec_all(-0.14330068785436065f));
    p = vec_fma(p, t, vec_all(0.2159504657072686f));
    p = vec_fma(p, t, vec_all(-0.11428651083872274f));
    p = vec_fma(p, t, vec_all(0.13655496655430535f));
    p = vec_fma(p, t, vec_all(0.06089501205602649f));
    p = vec_fma(p, t, vec_all(0.10255509085587093f));
    p = vec_fma(p, t, vec_all(0.10526677838354928f));
    p = vec_fma(p, t, vec_all(0.10574039739196212f));
    return bell * t * p;
}

/* The normal distribution at x; *bell is exp(-x x / 2). */
RF_INLINE vec vec_normal(vec x, vec *bell)
{
    vec u = vec_min(vec_all(15.0f), vec_abs(x));
    *bell = vec_bell(u);
    vec tail = vec_normal_tail(u, *bell);
    return vec_pick(x < 0.0f, tail, 1.0f - tail);
}

/* x Phi(x); a NaN of x goes through the product, and -inf is -0. */
RF_INLINE vec vec_gelu(vec x)
{
    vec bell;
    return vec_max(vec_all(-20.0f), x) * vec_normal(x, &bell);
}

/* g (Phi(x) + x phi(x)) */
RF_INLINE vec vec_gelu_grad(vec g, vec x)
{
    vec bell, phi = vec_normal(x, &bell);
    vec near = vec_min(vec_all(20.0f), vec_max(vec_all(-20.0f), x));
    return g * vec_fma(near * 0.3989422804014327f, bell, phi);
}

/* 2 sqrt(2 / pi) (x + 0.044715 x^3): gelu_tanh is x sigmoid of this. */
RF_INLINE vec vec_gelu_tanh_inner(vec x)
{
    vec cube = vec_fma(x * x, vec_all(0.044715f), vec_all(1.0f));
    return x * 1.5957691216057308f * cube;
}

RF_INLINE vec vec_gelu_tanh(vec x)
{
    return vec_max(vec_all(-20.0f), x) * vec_sigmoid(vec_gelu_tanh_inner(x));
}

/* sigmoid(x), and sigmoid(-x) without the loss of 1 - sigmoid(x): one exp serves both. */
RF_INLINE vec vec_sigmoid_pair(vec x, vec *other)
{
    vec e = vec_exp(-vec_abs(x)), near = 1.0f / (1.0f + e), far = e * near;
    *other = vec_pick(x < 0.0f, near, far);
    return vec_pick(x < 0.0f, far, near);
}

/* g (s + x s (1 - s) u'), s = sigmoid(u); u' = 2 sqrt(2 / pi) (1 + 3 0.044715 x x). */
RF_INLINE vec vec_gelu_tanh_grad(vec g, vec x)
{
    vec near = vec_min(vec_all(20.0f), vec_max(vec_all(-20.0f), x));
    vec u = vec_gelu_tanh_inner(near), other, s = vec_sigmoid_pair(u, &other);
    vec slope = vec_fma(near * near, vec_all(3 * 0.044715f), vec_all(1.0f)) * 1.5957691216057308f;
    return g * vec_fma(near * s, other * slope, s);
}

RF_INLINE vec vec_silu(vec x)
{
    return vec_max(vec_all(-200.0f), x) * vec_sigmoid(x);
}

/* g s (1 + x (1 - s)), 1 - s = sigmoid(-x) */
RF_INLINE vec vec_silu_grad(vec g, vec x)
{
    vec near = vec_min(vec_all(200.0f), vec_max(vec_all(-200.0f), x));
    vec other, s = vec_sigmoid_pair(near, &other);
    return g * s * vec_fma(near, other, vec_all(1.0f));
}

RF_INLINE vec vec_sin(vec x)
{
    for (int i = 0; i < RF_LANES; i++)
        x[i] = sinf(x[i]);
    return x;
}

RF_INLINE vec vec_cos(vec x)
{
    for (int i = 0; i < RF_LANES; i++)
        x[i] = cosf(x[i]);
    return x;
}

#endif
