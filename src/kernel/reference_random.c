/* reference_random.c: random numbers by Philox 4x32-10 (Salmon et al. 2011); see reference.h. */
#include "kernel/reference_view.h"

#include <math.h>
#include <string.h>

static uint32_t ref_word(rf_rng rng, int64_t i)
{
    uint64_t block = rng.offset + (uint64_t)i / 4;
    uint32_t c[4] = {(uint32_t)block, (uint32_t)(block >> 32), 0, 0};
    uint32_t k[2] = {(uint32_t)rng.seed, (uint32_t)(rng.seed >> 32)};
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53 * c[0], b = (uint64_t)0xCD9E8D57 * c[2];
        uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k[0], (uint32_t)b,
                            (uint32_t)(a >> 32) ^ c[3] ^ k[1], (uint32_t)a};
        memcpy(c, next, sizeof c);
        k[0] += 0x9E3779B9;
        k[1] += 0xBB67AE85;
    }
    return c[i % 4];
}

rf_status rf_reference_uniform(const rf_exec *e, rf_rng rng, const rf_view *y)
{
    int64_t n = rf_shape_count(&y->shape);
    (void)e;
    for (int64_t i = 0; i < n; i++)
        ref_set(y, i,
                y->shape.dtype == RF_F64 ? ref_word(rng, i) * 0x1p-32
                                         : (ref_word(rng, i) >> 8) * 0x1p-24);
    return RF_OK;
}

/* Words 2j and 2j + 1 make normals 2j (cosine) and 2j + 1 (sine). */
rf_status rf_reference_normal(const rf_exec *e, rf_rng rng, const rf_view *y)
{
    int64_t n = rf_shape_count(&y->shape);
    (void)e;
    for (int64_t i = 0; i < n; i++) {
        double u = (ref_word(rng, i & ~(int64_t)1) + 1.0) * 0x1p-32;
        double angle = 2 * 3.14159265358979323846 * ref_word(rng, i | 1) * 0x1p-32;
        ref_set(y, i, sqrt(-2 * log(u)) * (i & 1 ? sin(angle) : cos(angle)));
    }
    return RF_OK;
}

rf_status rf_reference_dropout(const rf_exec *e, rf_rng rng, double rate, const rf_view *x,
                               const rf_view *y)
{
    int64_t n = rf_shape_count(&y->shape);
    (void)e;
    for (int64_t i = 0; i < n; i++)
        ref_set(y, i, ref_word(rng, i) >= rate * 0x1p32 ? ref_get(x, i) / (1 - rate) : 0);
    return RF_OK;
}
