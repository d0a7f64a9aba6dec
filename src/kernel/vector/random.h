/* random.h: Philox 4x32-10 (Salmon et al. 2011), RF_LANES blocks at a time: lane i of word w is
 * word w of block i. By element number, so neither threads nor the place in a loop show; the
 * numbers are the reference's to the bit.
 */
#ifndef RF_KERNEL_VECTOR_RANDOM_H
#define RF_KERNEL_VECTOR_RANDOM_H

#include "kernel/vector/loops.h"
#include "kernel/vector/softmax.h"

#define RF_VEC_RANDOM (2 * RF_LANES) /* words made at a time */

typedef struct vec_random {
    rf_rng rng;
    int64_t count;
    const float *x;
    float *y;
    float scale;
    uint32_t least; /* words from this on are kept */
    int some;       /* -1, or 0: none is kept */
} vec_random;

/* One word of a block in the lower half of each lane; what is in the upper halves is of no account.
 */
typedef uint64_t vec_long __attribute__((vector_size(RF_LANES * 4)));

/* The products of the lower halves with a. */
RF_INLINE vec_long vec_multiply(vec_long c, uint32_t a)
{
    vec_long s = a + (vec_long){0};
#if RF_LANES == 16
    return (vec_long)_mm512_mul_epu32((__m512i)c, (__m512i)s);
#elif RF_LANES == 8
    return (vec_long)_mm256_mul_epu32((__m256i)c, (__m256i)s);
#elif defined(__SSE2__)
    return (vec_long)_mm_mul_epu32((__m128i)c, (__m128i)s);
#else
    return (c & 0xFFFFFFFFu) * s;
#endif
}

/* Lanes of a and b in turn, those of the lower half and those of the upper. */
#if RF_LANES == 16
#define RF_ZIP_LONG(h) h, 8 + h, 1 + h, 9 + h, 2 + h, 10 + h, 3 + h, 11 + h
#elif RF_LANES == 8
#define RF_ZIP_LONG(h) h, 4 + h, 1 + h, 5 + h
#else
#define RF_ZIP_LONG(h) h, 2 + h
#endif

/* The RF_VEC_RANDOM words of RF_LANES / 2 blocks from `block` on, in order. */
RF_INLINE void vec_philox(rf_rng rng, uint64_t block, uint32_t *words)
{
    vec_long c0 = {0}, c1 = {0}, c2 = {0}, c3 = {0};
    uint32_t k0 = (uint32_t)rng.seed, k1 = (uint32_t)(rng.seed >> 32);
    for (int i = 0; i < RF_LANES / 2; i++)
        c0[i] = block + (uint64_t)i;
    c1 = c0 >> 32;
    for (int round = 0; round < 10; round++) {
        vec_long a = vec_multiply(c0, 0xD2511F53), b = vec_multiply(c2, 0xCD9E8D57);
        c0 = (b >> 32) ^ c1 ^ k0;
        c2 = (a >> 32) ^ c3 ^ k1;
        c1 = b;
        c3 = a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    vec_long low = (c0 & 0xFFFFFFFFu) | c1 << 32, high = (c2 & 0xFFFFFFFFu) | c3 << 32;
    vec_long first = __builtin_shufflevector(low, high, RF_ZIP_LONG(0));
    vec_long second = __builtin_shufflevector(low, high, RF_ZIP_LONG(RF_LANES / 4));
    memcpy(words, &first, sizeof first);
    memcpy(words + RF_LANES, &second, sizeof second);
}

/* y of element numbers i to i + n from their words, x and y from there on. */
typedef vec (*vec_random_fn)(const vec_random *r, vec_word words, vec x);

RF_INLINE void vec_random_some(const vec_random *r, int64_t i, int64_t n, vec_random_fn f)
{
    uint32_t words[RF_VEC_RANDOM];
    vec_philox(r->rng, r->rng.offset + (uint64_t)i / 4, words);
    for (int64_t j = 0; j < n; j += RF_LANES) {
        int64_t m = n - j < RF_LANES ? n - j : RF_LANES;
        vec_word w;
        memcpy(&w, words + j, sizeof w);
        vec x = r->x ? vec_load_part(r->x + i + j, m, 0) : (vec){0};
        vec_store_part(r->y + i + j, m, f(r, w, x));
    }
}

/* Elements of part number `part`. */
RF_INLINE void vec_random_walk(const vec_random *r, int64_t part, vec_random_fn f)
{
    int64_t i = part * RF_VEC_PART, hi = i + RF_VEC_PART;
    hi = hi < r->count ? hi : r->count;
    for (; i + RF_VEC_RANDOM <= hi; i += RF_VEC_RANDOM)
        vec_random_some(r, i, RF_VEC_RANDOM, f);
    if (i < hi)
        vec_random_some(r, i, hi - i, f);
}

RF_INLINE vec vec_uniform_value(const vec_random *r, vec_word words, vec x)
{
    (void)r;
    (void)x;
    return __builtin_convertvector((vec_int)(words >> 8), vec) * 0x1p-24f;
}

static void vec_uniform_part(const void *job, int64_t part)
{
    vec_random_walk(job, part, vec_uniform_value);
}

static rf_status vec_uniform(const rf_exec *e, rf_rng rng, const rf_view *y)
{
    vec_random r = {.rng = rng, .count = rf_shape_count(&y->shape), .y = y->data};
    if (!vec_plain(&y, 1))
        return rf_reference_uniform(e, rng, y);
    vec_run(e, (r.count + RF_VEC_PART - 1) / RF_VEC_PART, vec_uniform_part, &r);
    return RF_OK;
}

RF_INLINE vec vec_dropout_value(const vec_random *r, vec_word words, vec x)
{
    return vec_pick((vec_int)(words >= r->least) & r->some, x * r->scale, (vec){0});
}

static void vec_dropout_part(const void *job, int64_t part)
{
    vec_random_walk(job, part, vec_dropout_value);
}

static rf_status vec_dropout(const rf_exec *e, rf_rng rng, double rate, const rf_view *x,
                             const rf_view *y)
{
    const rf_view *const views[] = {x, y};
    vec_random r = {.rng = rng, .count = rf_shape_count(&y->shape), .x = x->data, .y = y->data};
    if (!vec_plain(views, 2))
        return rf_reference_dropout(e, rng, rate, x, y);
    r.scale = (float)(1 / (1 - rate));
    double least = ceil(rate * 0x1p32);
    r.some = least < 0x1p32 ? -1 : 0;
    r.least = r.some ? (uint32_t)least : 0;
    vec_run(e, (r.count + RF_VEC_PART - 1) / RF_VEC_PART, vec_dropout_part, &r);
    return RF_OK;
}

#endif
