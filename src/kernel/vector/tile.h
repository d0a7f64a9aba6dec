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
#define RF_TILE_VECS 2
#define RF_TILE_COLS (RF_TILE_VECS * RF_LANES)

/* sum[i][j] += a(i, p) b(p, j) over p < k. a is read one element at a time: a(i, p) is at
 * i row + p step; row p of b is RF_TILE_COLS floats at p b_step. */
RF_INLINE void vec_tile_add(int rows, int64_t k, const float *a, int64_t row, int64_t step,
                            const float *b, int64_t b_step, vec (*sum)[RF_TILE_VECS])
{
    for (int64_t p = 0; p < k; p++) {
        vec v[RF_TILE_VECS];
        RF_UNROLL
        for (int j = 0; j < RF_TILE_VECS; j++)
            v[j] = vec_load(b + p * b_step + j * RF_LANES);
        RF_UNROLL
        for (int i = 0; i < rows; i++) {
            vec s = vec_all(a[i * row + p * step]);
            RF_UNROLL
            for (int j = 0; j < RF_TILE_VECS; j++)
                sum[i][j] = vec_fma(s, v[j], sum[i][j]);
        }
    }
}

/* c = (add ? c : 0) + a b for `rows` whole rows of RF_TILE_COLS columns, rows of c c_row apart. */
RF_INLINE void vec_tile(int rows, int64_t k, const float *a, int64_t row, int64_t step,
                        const float *b, int64_t b_step, float *c, int64_t c_row, int add)
{
    vec sum[RF_TILE_ROWS][RF_TILE_VECS] = {{{0}}};
    vec_tile_add(rows, k, a, row, step, b, b_step, sum);
    RF_UNROLL
    for (int i = 0; i < rows; i++)
        RF_UNROLL
    for (int j = 0; j < RF_TILE_VECS; j++) {
        float *at = c + i * c_row + j * RF_LANES;
        vec_store(at, add ? vec_load(at) + sum[i][j] : sum[i][j]);
    }
}

#endif
