/* tile.h: the one inner loop of all products: a tile of rows by RF_TILE_COLS columns is held in
 * registers while it is added to. Used by gemm.h and attention.h.
 *
 * Every element of a tile is fma'd over k in order, so its value does not depend on where in which
 * tile it stands.
 */
#ifndef RF_KERNEL_VECTOR_TILE_H
#define RF_KERNEL_VECTOR_TILE_H

#include "kernel/vector/lanes.h"

/* Rows and vectors of a product's tile: as many as leave registers for one row of b. */
#if RF_LANES == 16
#define RF_TILE_ROWS 12
#elif RF_LANES == 8
#define RF_TILE_ROWS 6
#else
#define RF_TILE_ROWS 4
#endif
#define RF_TILE_VECS  2
#define RF_TILE_COLS  (RF_TILE_VECS * RF_LANES)
#define RF_TILE_AHEAD 12 /* rows of b that are on their way */

/* a(i, p) is at a[i row + p step]: read one element at a time, so anywhere. Row p of b is
 * RF_TILE_COLS floats at b[p b_step], row i of c at c[i c_row]. */
typedef struct vec_operands {
    const float *a;
    int64_t row, step;
    const float *b;
    int64_t b_step;
    float *c;
    int64_t c_row;
} vec_operands;

/* sum[i][j] += a(i, p) b(p, j) over p < k */
RF_INLINE void vec_tile_add(int rows, int64_t k, vec_operands x, vec (*sum)[RF_TILE_VECS])
{
    for (int64_t p = 0; p < k; p++) {
        vec v[RF_TILE_VECS];
        for (int j = 0; j < RF_TILE_COLS; j += 16)
            __builtin_prefetch(x.b + (p + RF_TILE_AHEAD) * x.b_step + j);
        RF_UNROLL
        for (int j = 0; j < RF_TILE_VECS; j++)
            v[j] = vec_load(x.b + p * x.b_step + j * RF_LANES);
        RF_UNROLL
        for (int i = 0; i < rows; i++) {
            vec s = vec_all(x.a[i * x.row + p * x.step]);
            RF_UNROLL
            for (int j = 0; j < RF_TILE_VECS; j++)
                sum[i][j] = vec_fma(s, v[j], sum[i][j]);
        }
    }
}

/* c = (add ? c : 0) + a b for `rows` whole rows of RF_TILE_COLS columns */
RF_INLINE void vec_tile(int rows, int64_t k, vec_operands x, int add)
{
    vec sum[RF_TILE_ROWS][RF_TILE_VECS] = {{{0}}};
    vec_tile_add(rows, k, x, sum);
    RF_UNROLL
    for (int i = 0; i < rows; i++)
        RF_UNROLL
    for (int j = 0; j < RF_TILE_VECS; j++) {
        float *at = x.c + i * x.c_row + j * RF_LANES;
        vec_store(at, add ? vec_load(at) + sum[i][j] : sum[i][j]);
    }
}

#endif
