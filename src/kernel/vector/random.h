/* random.h: Philox 4x32-10 (Salmon et al. 2011), RF_LANES blocks at a time: lane i of word w is
 * word w of block i. By element number, so neither threads nor the place in a loop show; the
 * numbers are the reference's to the bit.
 */
#ifndef RF_KERNEL_VECTOR_RANDOM_H
#define RF_KERNEL_VECTOR_RANDOM_H

#include "kernel/vector/loops.h"
#include "kernel/vector/softmax.h"

#define RF_VEC_RANDOM (4 * RF_LANES) /* words made at a time */

typedef struct vec_random {
    rf_rng rng;
    int64_t count;
    const float *x;
    float *y;
    float scale;
    uint64_t least; /* words from this on are kept */
} vec_random;

/* Upper and lower halves of a c, lane by lane. */
RF_INLINE vec_word vec_high(vec_word c, uint32_t a, vec_word *low)
{
    vec_word high;
    for (int i = 0; i < RF_LANES; i++)
        high[i] = (uint32_t)((uint64_t)c[i] * a >> 32);
    *low = c * a;
    return high;
}

/* The RF_VEC_RANDOM words of RF_LANES blocks from `block` on, in order. */
static void vec_philox(rf_rng rng, uint64_t block, uint32_t *words)
{
    vec_word c[4] = {{0}}, k0 = (uint32_t)rng.seed + (vec_word){0};
    vec_word k1 = (uint32_t)(rng.seed >> 32) + (vec_word){0};
    for (int i = 0; i < RF_LANES; i++) {
        c[0][i] = (uint32_t)(block + (uint64_t)i);
        c[1][i] = (uint32_t)((block + (uint64_t)i) >> 32);
    }
    for (int round = 0; round < 10; round++) {
        vec_word low0, low1, high0 = vec_high(c[0], 0xD2511F53, &low0);
        vec_word high1 = vec_high(c[2], 0xCD9E8D57, &low1);
        c[0] = high1 ^ c[1] ^ k0;
        c[2] = high0 ^ c[3] ^ k1;
        c[1] = low1;
        c[3] = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    for (int i = 0; i < RF_LANES; i++)
        for (int w = 0; w < 4; w++)
            words[4 * i + w] = c[w][i];
}

/* Elements of part number `part`, RF_VEC_RANDOM at a time. */
RF_INLINE void vec_random_walk(const vec_random *r, int64_t part,
                               void (*f)(const vec_random *, const uint32_t *, int64_t, int64_t))
{
    int64_t i = part * RF_VEC_PART, hi = i + RF_VEC_PART;
    hi = hi < r->count ? hi : r->count;
    for (; i < hi; i += RF_VEC_RANDOM) {
        uint32_t words[RF_VEC_RANDOM];
        vec_philox(r->rng, r->rng.offset + (uint64_t)i / 4, words);
        f(r, words, i, hi - i < RF_VEC_RANDOM ? hi - i : RF_VEC_RANDOM);
    }
}

RF_INLINE void vec_uniform_some(const vec_random *r, const uint32_t *words, int64_t at, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        r->y[at + i] = (float)(int32_t)(words[i] >> 8) * 0x1p-24f;
}

static void vec_uniform_part(const void *job, int64_t part)
{
    vec_random_walk(job, part, vec_uniform_some);
}

static rf_status vec_uniform(const rf_exec *e, rf_rng rng, const rf_view *y)
{
    vec_random r = {.rng = rng, .count = rf_shape_count(&y->shape), .y = y->data};
    if (!vec_plain(&y, 1))
        return rf_reference_uniform(e, rng, y);
    vec_run(e, (r.count + RF_VEC_PART - 1) / RF_VEC_PART, vec_uniform_part, &r);
    return RF_OK;
}

RF_INLINE void vec_dropout_some(const vec_random *r, const uint32_t *words, int64_t at, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        r->y[at + i] = words[i] >= r->least ? r->x[at + i] * r->scale : 0;
}

static void vec_dropout_part(const void *job, int64_t part)
{
    vec_random_walk(job, part, vec_dropout_some);
}

static rf_status vec_dropout(const rf_exec *e, rf_rng rng, double rate, const rf_view *x,
                             const rf_view *y)
{
    const rf_view *const views[] = {x, y};
    vec_random r = {.rng = rng, .count = rf_shape_count(&y->shape), .x = x->data, .y = y->data};
    if (!vec_plain(views, 2))
        return rf_reference_dropout(e, rng, rate, x, y);
    r.scale = (float)(1 / (1 - rate));
    r.least = (uint64_t)ceil(rate * 0x1p32);
    vec_run(e, (r.count + RF_VEC_PART - 1) / RF_VEC_PART, vec_dropout_part, &r);
    return RF_OK;
}

#endif
