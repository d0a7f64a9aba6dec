/* reference.c: see reference.h. The table; its kernels stand by family in reference_*.c. Nothing
 * there is fast; everything is short. */
#include "kernel/reference.h"
#include "kernel/window.h"

size_t rf_reference_no_workspace(size_t threads, const rf_view *a, const rf_view *b,
                                 const rf_view *c)
{
    (void)threads;
    (void)a;
    (void)b;
    (void)c;
    return 0;
}

size_t rf_reference_no_scratch(size_t threads, const rf_view *x)
{
    (void)threads;
    (void)x;
    return 0;
}

const rf_kernels rf_kernels_reference = {
    .name = "reference",
    .unary = rf_reference_unary,
    .binary = rf_reference_binary,
    .affine = rf_reference_affine,
    .fill = rf_reference_fill,
    .sum = rf_reference_sum,
    .max_last = rf_reference_max_last,
    .max_last_grad = rf_reference_max_last_grad,
    .matmul_workspace = rf_reference_no_workspace,
    .matmul = rf_reference_matmul,
    .matmul_add = rf_reference_matmul_add,
    .softmax = rf_reference_softmax,
    .softmax_grad = rf_reference_softmax_grad,
    .layer_norm = rf_reference_layer_norm,
    .norm_grad_workspace = rf_reference_no_scratch,
    .layer_norm_grad = rf_reference_norm_grad,
    .rms_norm = rf_reference_rms_norm,
    .rms_norm_grad = rf_reference_rms_norm_grad,
    .cross_entropy = rf_reference_cross_entropy,
    .cross_entropy_grad = rf_reference_cross_entropy_grad,
    .cross_entropy_part = rf_reference_cross_entropy_part,
    .cross_entropy_end = rf_reference_cross_entropy_end,
    .cross_entropy_part_grad = rf_reference_cross_entropy_part_grad,
    .count_targets = rf_reference_count_targets,
    .embedding = rf_reference_embedding,
    .embedding_grad = rf_reference_embedding_grad,
    .embedding_add = rf_reference_embedding_add,
    .rotary = rf_reference_rotary,
    .attention_workspace = rf_reference_no_scratch,
    .attention = rf_reference_attention,
    .attention_grad_workspace = rf_reference_no_scratch,
    .attention_grad = rf_reference_attention_grad,
    .uniform = rf_reference_uniform,
    .normal = rf_reference_normal,
    .dropout = rf_reference_dropout,
    .adamw = rf_reference_adamw,
    .sgd = rf_reference_sgd,
    .sum_squares = rf_reference_sum_squares,
    .conv2d_workspace = rf_convolution_workspace,
    .conv2d = rf_convolution,
    .max_pool2d = rf_pool_max,
    .pool2d_pick = rf_pool_pick,
    .pool2d_scatter = rf_pool_scatter,
    .avg_pool2d = rf_pool_mean,
    .avg_pool2d_grad = rf_pool_spread,
    .batch_norm = rf_batch_normalize,
    .batch_norm_grad = rf_batch_normalize_grad,
};
