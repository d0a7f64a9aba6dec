/* vector.c: the fast kernels, in one translation unit that is compiled once per instruction set
 * (cmake/vector.cmake) and whose only name is the table. What is not here is the reference's.
 */
#include "kernel/vector/lanes.h"
#include "kernel/vector/math.h"
#include "kernel/vector/loops.h"
#include "kernel/vector/elements.h"
#include "kernel/vector/tile.h"
#include "kernel/vector/gemm.h"
#include "kernel/vector/pairs.h"
#include "kernel/vector/gemm_bf16.h"
#include "kernel/vector/gemm_f64.h"
#include "kernel/vector/matmul.h"
#include "kernel/vector/convolution.h"
#include "kernel/vector/softmax.h"
#include "kernel/vector/norm.h"
#include "kernel/vector/batch_norm.h"
#include "kernel/vector/pool.h"
#include "kernel/vector/entropy.h"
#include "kernel/vector/embedding.h"
#include "kernel/vector/optim.h"
#include "kernel/vector/reduce.h"
#include "kernel/vector/random.h"
#include "kernel/vector/attention.h"
#include "kernel/vector/attention_grad.h"

#ifndef RF_VECTOR_TABLE
#define RF_VECTOR_TABLE rf_vector_portable
#endif

extern const rf_kernels RF_VECTOR_TABLE;
const rf_kernels RF_VECTOR_TABLE = {
#if defined(__AMX_BF16__)
    .name = "amx",
#elif defined(__AVX512BF16__)
    .name = "avx512_bf16",
#elif RF_LANES == 16
    .name = "avx512",
#elif RF_LANES == 8
    .name = "avx2",
#else
    .name = "portable",
#endif
    .unary = vec_unary,
    .binary = vec_binary,
    .affine = vec_affine,
    .fill = vec_fill,
    .sum = vec_sum_over,
    .max_last = rf_reference_max_last,
    .max_last_grad = rf_reference_max_last_grad,
    .matmul_workspace = vec_matmul_workspace,
    .matmul = vec_matmul,
    .matmul_add = vec_matmul_add,
    .softmax = vec_softmax,
    .softmax_grad = vec_softmax_grad,
    .layer_norm = vec_layer_norm,
    .norm_grad_workspace = vec_norm_grad_workspace,
    .layer_norm_grad = vec_layer_norm_grad,
    .rms_norm = vec_rms_norm,
    .rms_norm_grad = vec_rms_norm_grad,
    .cross_entropy = vec_cross_entropy,
    .cross_entropy_grad = vec_cross_entropy_grad,
    .cross_entropy_part = vec_cross_entropy_part,
    .cross_entropy_end = rf_reference_cross_entropy_end,
    .cross_entropy_part_grad = vec_cross_entropy_part_grad,
    .count_targets = rf_reference_count_targets,
    .embedding = vec_embedding,
    .embedding_grad = vec_embedding_grad,
    .embedding_add = vec_embedding_add,
    .rotary = rf_reference_rotary,
    .attention_workspace = vec_attention_workspace,
    .attention = vec_attention,
    .attention_grad_workspace = vec_attention_grad_workspace,
    .attention_grad = vec_attention_grad,
    .uniform = vec_uniform,
    .normal = rf_reference_normal,
    .dropout = vec_dropout,
    .adamw = vec_adamw,
    .sgd = vec_sgd,
    .sum_squares = vec_sum_squares,
    .conv2d_workspace = vec_conv2d_workspace,
    .conv2d = vec_conv2d,
    .max_pool2d = vec_max_pool2d,
    .pool2d_pick = rf_pool_pick,
    .pool2d_scatter = vec_pool2d_scatter,
    .avg_pool2d = rf_pool_mean,
    .avg_pool2d_grad = rf_pool_spread,
    .batch_norm = vec_batch_norm,
    .batch_norm_grad = vec_batch_norm_grad,
};
