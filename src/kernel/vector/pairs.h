/* pairs.h: tiles of bf16 for the instructions that multiply pairs: c += a0 b0 + a1 b1 in f32.
 *
 * A tile is 16 lines (rows of a, or columns of b) by 32 elements of k. It is packed as 16 by 16
 * pairs along k, one kilobyte: line by line for a, pair by pair for b, and two tiles side by side
 * make a panel of RF_PAIR_LINES. f32 is rounded while it is packed. What is missing at an edge is
 * 0.
 *
 * Both instructions take the same tiles: with AMX two by two of them are multiplied in four
 * registers of a kilobyte; else a pair of a stands against RF_LANES pairs of b (AVX-512 BF16).
 * Invariant: an element of c is one sum over k in order, whatever block, tile or thread it falls
 * to.
 */
#ifndef RF_KERNEL_VECTOR_PAIRS_H
#define RF_KERNEL_VECTOR_PAIRS_H

#include "kernel/vector/gemm.h"

#if defined(__AVX512BF16__)

#define RF_PAIR_LINES 32  /* of a panel of a, and of b: the edge of what is computed at a time */
#define RF_PAIR_K     32  /* elements of k that a tile has */
#define RF_PAIR_TILE  256 /* pairs of a tile */
#define RF_PAIR_ROWS  8   /* rows of c in registers, without AMX */

/* ---- packing ---- */

/* n <= 32 elements that lie one after the other, in pairs. */
RF_INLINE vec vec_pairs_along(const vec_matrix *x, int64_t at, int64_t n)
{
    if (x->dtype == RF_BF16) {
        const uint16_t *p = (const uint16_t *)(const void *)x->data + at;
        return (vec)_mm512_maskz_loadu_epi16((__mmask32)((UINT64_C(1) << n) - 1), p);
    }
    const float *p = (const float *)(const void *)x->data + at;
    int64_t rest = n > RF_LANES ? n - RF_LANES : 0;
    vec low = vec_load_part(p, n - rest, 0);
    vec high = rest ? vec_load_part(p + RF_LANES, rest, 0) : (vec){0};
    return (vec)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
}

/* n <= 16 elements as bf16 in the lower halves of the lanes. */
RF_INLINE vec_word vec_pairs_half(const vec_matrix *x, int64_t at, int64_t n)
{
    const __mmask16 some = (__mmask16)((1u << n) - 1);
    if (x->dtype == RF_BF16) {
        const uint16_t *p = (const uint16_t *)(const void *)x->data + at;
        return (vec_word)_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(some, p));
    }
    __m512 wide = _mm512_maskz_loadu_ps(some, (const float *)(const void *)x->data + at);
    return (vec_word)_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(wide));
}

/* The pairs (at, at + step) of n <= 16 lines side by side; second: whether there is one. */
RF_INLINE vec vec_pairs_across(const vec_matrix *x, int64_t at, int64_t n, int second)
{
    vec_word pairs = vec_pairs_half(x, at, n);
    return (vec)(second ? pairs | vec_pairs_half(x, at + x->col, n) << 16 : pairs);
}

/* Element by element, for strides of which none is 1: by lines. */
static void vec_pairs_gather(const vec_matrix *x, int64_t at, int64_t lines, int64_t k, vec *tile)
{
    uint16_t some[RF_LANES * RF_PAIR_K] = {0};
    for (int64_t i = 0; i < lines; i++)
        for (int64_t p = 0; p < k; p++) {
            int64_t from = at + i * x->row + p * x->col;
            some[i * RF_PAIR_K + p] =
                x->dtype == RF_BF16 ? ((const uint16_t *)(const void *)x->data)[from]
                                    : vec_to_bf16(((const float *)(const void *)x->data)[from]);
        }
    memcpy(tile, some, sizeof some);
}

/* A tile of `lines` by k from element `at` on. by_line: as a's, else as b's. */
static void vec_pairs_tile(const vec_matrix *x, int64_t at, const int64_t lines_k[2], int by_line,
                           float *to)
{
    vec tile[RF_LANES];
    int64_t lines = lines_k[0], k = lines_k[1];
    int across = x->row == 1 && x->col != 1;
    for (int i = 0; i < RF_LANES; i++) {
        tile[i] = (vec){0};
        if (across && 2 * i < k)
            tile[i] = vec_pairs_across(x, at + 2 * i * x->col, lines, 2 * i + 1 < k);
        else if (!across && x->col == 1 && i < lines)
            tile[i] = vec_pairs_along(x, at + i * x->row, k);
    }
    if (!across && x->col != 1)
        vec_pairs_gather(x, at, lines, k, tile);
    if (across == by_line)
        vec_transpose_square(tile);
    for (int i = 0; i < RF_LANES; i++)
        vec_store(to + i * RF_LANES, tile[i]);
}

/* Panels of `count` lines from `line` on, over all of k. */
static void vec_pairs_pack(const vec_matrix *x, int64_t line, int64_t count, int64_t k, int by_line,
                           float *to)
{
    for (int64_t i = 0; i < count; i += RF_PAIR_LINES)
        for (int64_t p = 0; p < k; p += RF_PAIR_K)
            for (int64_t half = i; half < i + RF_PAIR_LINES; half += RF_LANES, to += RF_PAIR_TILE) {
                int64_t lines = vec_smaller(RF_LANES, count - half);
                const int64_t lines_k[2] = {lines < 0 ? 0 : lines, vec_smaller(RF_PAIR_K, k - p)};
                int64_t at = (line + (lines > 0 ? half : 0)) * x->row + p * x->col;
                vec_pairs_tile(x, at, lines_k, by_line, to);
            }
}

/* ---- products ---- */

#if defined(__AMX_BF16__)

/* What a thread says before and after: eight tiles of 16 rows of 64 bytes. */
static void vec_pairs_begin(void)
{
    static const struct {
        uint8_t palette, start, zero[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } shape = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&shape);
}

static void vec_pairs_end(void)
{
    _tile_release();
}

/* c (32, 32) = (add ? c : 0) + a b, panels of k elements. */
static void vec_pairs_product(const float *a, const float *b, int64_t k, vec_operands c, int add)
{
    int64_t row = c.c_row * (int64_t)sizeof(float);
    float *low = c.c + RF_LANES * c.c_row;
    __asm__ volatile("" ::: "memory"); /* the loads below say nothing of what they read */
    if (add) {
        _tile_loadd(0, c.c, row);
        _tile_loadd(1, c.c + RF_LANES, row);
        _tile_loadd(2, low, row);
        _tile_loadd(3, low + RF_LANES, row);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int64_t p = 0; p < k; p += RF_PAIR_K, a += 2 * RF_PAIR_TILE, b += 2 * RF_PAIR_TILE) {
        _tile_loadd(4, a, 64);
        _tile_loadd(6, b, 64);
        _tile_loadd(7, b + RF_PAIR_TILE, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(5, a + RF_PAIR_TILE, 64);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c.c, row);
    _tile_stored(1, c.c + RF_LANES, row);
    _tile_stored(2, low, row);
    _tile_stored(3, low + RF_LANES, row);
}

#else

static void vec_pairs_begin(void)
{
}

static void vec_pairs_end(void)
{
}

/* sum[i][j] += the products of RF_PAIR_ROWS lines of a with both tiles of b. */
RF_INLINE void vec_pairs_add(const float *a, const float *b, vec (*sum)[2])
{
    for (int q = 0; q < RF_LANES; q++) {
        __m512bh first = (__m512bh)vec_load(b + q * RF_LANES);
        __m512bh second = (__m512bh)vec_load(b + RF_PAIR_TILE + q * RF_LANES);
        RF_UNROLL
        for (int i = 0; i < RF_PAIR_ROWS; i++) {
            __m512bh pair = (__m512bh)_mm512_set1_ps(a[i * RF_LANES + q]);
            sum[i][0] = (vec)_mm512_dpbf16_ps((__m512)sum[i][0], pair, first);
            sum[i][1] = (vec)_mm512_dpbf16_ps((__m512)sum[i][1], pair, second);
        }
    }
}

/* c (32, 32) = (add ? c : 0) + a b, panels of k elements. */
static void vec_pairs_product(const float *a, const float *b, int64_t k, vec_operands c, int add)
{
    for (int r = 0; r < RF_PAIR_LINES; r += RF_PAIR_ROWS) {
        const float *rows = a + r * RF_LANES;
        float *at = c.c + r * c.c_row;
        vec sum[RF_PAIR_ROWS][2] = {{{0}}};
        for (int i = 0; add && i < RF_PAIR_ROWS; i++)
            for (int j = 0; j < 2; j++)
                sum[i][j] = vec_load(at + i * c.c_row + j * RF_LANES);
        for (int64_t p = 0; p < k; p += RF_PAIR_K)
            vec_pairs_add(rows + p / RF_PAIR_K * 2 * RF_PAIR_TILE,
                          b + p / RF_PAIR_K * 2 * RF_PAIR_TILE, sum);
        for (int i = 0; i < RF_PAIR_ROWS; i++)
            for (int j = 0; j < 2; j++)
                vec_store(at + i * c.c_row + j * RF_LANES, sum[i][j]);
    }
}

#endif
#endif
#endif
