/* kernel.h: what computes. One table of functions per device and instruction set, over views.
 *
 * Invariants that every kernel keeps:
 *   - The result is a function of the inputs, shapes, strides, types and thread count alone: never
 *     of addresses (beyond 64-byte alignment), of free memory, or of what ran before.
 *   - Reductions have a fixed order; work is divided among threads by output elements, or by fixed
 *     parts that are added in a fixed order.
 *   - Nothing is allocated: scratch space is asked for (…_workspace) and given by the caller.
 *   - Shapes and types were checked by the op; a type without a case is RF_E_DTYPE.
 *
 * Strides are in elements. A stride of 0 repeats (broadcasting); outputs never overlap themselves.
 * Unless said otherwise f32, f64 and bf16 are supported, bf16 by computing in f32 and rounding to
 * nearest even at the end, and inputs and outputs may have any strides.
 */
#ifndef RF_KERNEL_KERNEL_H
#define RF_KERNEL_KERNEL_H

#include <refrain/extend.h>

/* How a kernel runs. */
typedef struct rf_exec {
    size_t threads;
    void *workspace; /* what the matching …_workspace asked for */
} rf_exec;

/* y = f(x) */
typedef enum rf_unary {
    RF_UNARY_COPY, /* also casts between any two types, strided; floats to integers truncate */
    RF_UNARY_NEG,
    RF_UNARY_EXP,
    RF_UNARY_LOG,
    RF_UNARY_SQRT,
    RF_UNARY_SIN,
    RF_UNARY_COS,
    RF_UNARY_TANH,
    RF_UNARY_SIGMOID,
    RF_UNARY_RELU,
    RF_UNARY_GELU,
    RF_UNARY_GELU_TANH,
    RF_UNARY_SILU,
    RF_UNARY_KINDS
} rf_unary;

/* z = f(x, y). The …_GRAD kinds are g times the derivative: x is g, y what is named. */
typedef enum rf_binary {
    RF_BINARY_ADD,
    RF_BINARY_SUB,
    RF_BINARY_MUL,
    RF_BINARY_DIV,
    RF_BINARY_RELU_GRAD,      /* of the output: g where y > 0, else 0   */
    RF_BINARY_TANH_GRAD,      /* of the output: g (1 - y y)             */
    RF_BINARY_SIGMOID_GRAD,   /* of the output: g y (1 - y)             */
    RF_BINARY_GELU_GRAD,      /* of the input                           */
    RF_BINARY_GELU_TANH_GRAD, /* of the input                           */
    RF_BINARY_SILU_GRAD,      /* of the input                           */
    RF_BINARY_KINDS
} rf_binary;

/* A window that slides over the last two axes, (H, W). */
typedef struct rf_window {
    int64_t size[2], stride[2], padding[2], dilation[2];
} rf_window;

typedef struct rf_kernels rf_kernels;

/* Which of the three tensors of a convolution is made from the other two. */
typedef enum rf_conv_pass {
    RF_CONV_FORWARD,    /* y */
    RF_CONV_GRAD_INPUT, /* x: the gradient of the input from that of y   */
    RF_CONV_GRAD_WEIGHT /* w: the gradient of the weight from that of y  */
} rf_conv_pass;

/* x (N, C, H, W), w (O, C / groups, KH, KW), bias (O) or NULL (forward only), y (N, O, OH, OW). */
typedef struct rf_conv_call {
    rf_conv_pass pass;
    rf_window window;
    int64_t groups;
    const rf_kernels *kernels; /* whose products it is made of */
    const rf_view *x, *w, *bias, *y;
} rf_conv_call;

/* Some columns of logits: from `first` on, of a vocabulary of `count`. */
typedef struct rf_entropy_part {
    int64_t first, count;
    const int64_t *ignored; /* as in cross_entropy */
} rf_entropy_part;

struct rf_kernels {
    const char *name; /* "portable", "avx2", "avx512", "avx512_bf16", "amx" */

    /* Elements. ADD, SUB, MUL, NEG and COPY also on integers. affine: y = alpha x + beta. */
    rf_status (*unary)(const rf_exec *e, rf_unary kind, const rf_view *x, const rf_view *y);
    rf_status (*binary)(const rf_exec *e, rf_binary kind, const rf_view *x, const rf_view *y,
                        const rf_view *z);
    rf_status (*affine)(const rf_exec *e, double alpha, double beta, const rf_view *x,
                        const rf_view *y);
    rf_status (*fill)(const rf_exec *e, double value, const rf_view *y); /* every type */

    /* y (size 1 in the reduced axes, same rank as x) = sum over them, times scale; computed in
     * blocks of fixed size, so that rounding grows slowly and order is fixed. */
    rf_status (*sum)(const rf_exec *e, double scale, const rf_view *x, const rf_view *y);
    /* Largest along the last axis: y (..., 1), index (..., 1) i64 of the first largest. */
    rf_status (*max_last)(const rf_exec *e, const rf_view *x, const rf_view *y,
                          const rf_view *index);
    /* dx (..., N) = g (..., 1) at index (..., 1), else 0. */
    rf_status (*max_last_grad)(const rf_exec *e, const rf_view *g, const rf_view *index,
                               const rf_view *dx);

    /* c (..., M, N) = a (..., M, K) b (..., K, N). Leading axes are equal (0 strides repeat). Any
     * strides are right; fast where one of the last two strides is 1. c is row-major without gaps.
     * f32 and bf16 go together in any mix: where some is bf16, f32 may be rounded to it, and sums
     * are f32. matmul_workspace: bytes of scratch. f32 goes to the tuned library when there is one.
     */
    size_t (*matmul_workspace)(size_t threads, const rf_view *a, const rf_view *b,
                               const rf_view *c);
    rf_status (*matmul)(const rf_exec *e, const rf_view *a, const rf_view *b, const rf_view *c);
    /* c += a b, c being f32 or f64, with the same workspace. */
    rf_status (*matmul_add)(const rf_exec *e, const rf_view *a, const rf_view *b, const rf_view *c);

    /* Rows. x, y, dy, dx are row-major without gaps, (rows..., C). */
    rf_status (*softmax)(const rf_exec *e, int logarithm, const rf_view *x, const rf_view *y);
    rf_status (*softmax_grad)(const rf_exec *e, int logarithm, const rf_view *dy, const rf_view *y,
                              const rf_view *dx);
    /* mean, rstd (rows...) in f32 (f64 for f64). gain, bias (C) may be NULL. */
    rf_status (*layer_norm)(const rf_exec *e, double eps, const rf_view *x, const rf_view *gain,
                            const rf_view *bias, const rf_view *y, const rf_view *mean,
                            const rf_view *rstd);
    /* Any of dx, dgain, dbias may be NULL. Column sums: per-thread parts in the workspace, added in
     * a fixed order. */
    size_t (*norm_grad_workspace)(size_t threads, const rf_view *x);
    rf_status (*layer_norm_grad)(const rf_exec *e, const rf_view *const in[5],
                                 const rf_view *const out[3]); /* in: dy x gain mean rstd;
                                                                  out: dx dgain dbias */
    rf_status (*rms_norm)(const rf_exec *e, double eps, const rf_view *x, const rf_view *gain,
                          const rf_view *y, const rf_view *rstd);
    rf_status (*rms_norm_grad)(const rf_exec *e, const rf_view *const in[4],
                               const rf_view *const out[2]); /* in: dy x gain rstd;
                                                                out: dx dgain */

    /* logits (N, V) contiguous; targets (N) i64, i32 or u8. losses (N) and lse (N) in f32 (f64 for
     * f64); an ignored row has loss 0. RF_E_ARGUMENT if a target that is not ignored is outside. */
    rf_status (*cross_entropy)(const rf_exec *e, const int64_t *ignored, const rf_view *logits,
                               const rf_view *targets, const rf_view *losses, const rf_view *lse);
    /* dlogits = (softmax(logits) - onehot) g (one element); 0 for ignored rows. May be logits. */
    rf_status (*cross_entropy_grad)(const rf_exec *e, const int64_t *ignored,
                                    const rf_view *const in[4], /* g logits targets lse */
                                    const rf_view *dlogits);
    /* The same for logits of which only some columns are there at a time, f32 and f64. _part joins
     * the columns of `part` to sums (N, 2) f64: log sum exp so far, the target's logit; the first
     * part begins them. _end: losses and lse (N), RF_E_ARGUMENT as above. _part_grad is in place of
     * some columns. */
    rf_status (*cross_entropy_part)(const rf_exec *e, const rf_entropy_part *part,
                                    const rf_view *const in[2], /* logits targets */
                                    const rf_view *sums);
    rf_status (*cross_entropy_end)(const rf_exec *e, const rf_entropy_part *part,
                                   const rf_view *const in[2], /* sums targets */
                                   const rf_view *const out[2] /* losses lse */);
    rf_status (*cross_entropy_part_grad)(const rf_exec *e, const rf_entropy_part *part,
                                         const rf_view *const in[4], /* g logits targets lse */
                                         const rf_view *dlogits);
    /* How many targets count. */
    int64_t (*count_targets)(const int64_t *ignored, const rf_view *targets);

    /* table (V, C), ids (n...) -> y (n..., C), contiguous. RF_E_ARGUMENT if an id is outside. */
    rf_status (*embedding)(const rf_exec *e, const rf_view *table, const rf_view *ids,
                           const rf_view *y);
    /* dtable (V, C) = 0, then the rows of dy are added in order of position. */
    rf_status (*embedding_grad)(const rf_exec *e, const rf_view *dy, const rf_view *ids,
                                const rf_view *dtable);
    /* The same onto what dtable holds. */
    rf_status (*embedding_add)(const rf_exec *e, const rf_view *dy, const rf_view *ids,
                               const rf_view *dtable);

    /* x, y (..., T, D): see rf_rotary; inverse rotates backwards. */
    rf_status (*rotary)(const rf_exec *e, double base, int inverse, const rf_view *x,
                        const rf_view *y);

    /* q k v o (B, H, T, D), last stride 1, otherwise any strides (views of one (B, T, 3C) tensor
     * are the usual case); lse (B, H, T) f32 (f64 for f64). By tiles; never a T x T buffer. */
    size_t (*attention_workspace)(size_t threads, const rf_view *q);
    rf_status (*attention)(const rf_exec *e, double scale, const rf_view *const in[3],
                           const rf_view *o, const rf_view *lse);
    size_t (*attention_grad_workspace)(size_t threads, const rf_view *q);
    rf_status (*attention_grad)(const rf_exec *e, double scale,
                                const rf_view *const in[6], /* do q k v o lse */
                                const rf_view *const out[3] /* dq dk dv */);

    /* Random, by element number (so the result does not depend on threads): element i takes word
     * i % 4 of Philox block rng.offset + i / 4, key rng.seed. uniform: 24 (f64: 32) bits, [0, 1).
     * normal: Box-Muller on the words of a block, in pairs. y contiguous. */
    rf_status (*uniform)(const rf_exec *e, rf_rng rng, const rf_view *y);
    rf_status (*normal)(const rf_exec *e, rf_rng rng, const rf_view *y);
    /* y = x / (1 - rate) where the element's word >= rate 2^32, else 0. Contiguous. */
    rf_status (*dropout)(const rf_exec *e, rf_rng rng, double rate, const rf_view *x,
                         const rf_view *y);

    /* Optimisers, f32 and f64, contiguous, in one pass. c: see the struct. */
    rf_status (*adamw)(const rf_exec *e, const double c[7], /* lr beta1 beta2 eps decay
                                                               1-beta1^t 1-beta2^t */
                       const rf_view *const pgmv[4]);
    rf_status (*sgd)(const rf_exec *e, const double c[5], /* lr momentum dampening decay nesterov */
                     int first, const rf_view *const pgv[3]); /* v may be NULL; first: v = g */
    /* Sum of squares in f64, fixed order for any thread count. */
    rf_status (*sum_squares)(const rf_exec *e, const rf_view *x, double *out);

    /* Images, row-major without gaps. Products of the weight with columns: the values that each
     * place of the window sees, of one image per thread. */
    size_t (*conv2d_workspace)(size_t threads, const rf_conv_call *c);
    rf_status (*conv2d)(const rf_exec *e, const rf_conv_call *c);
    /* Largest in the window, which padding is no part of: y, and index (i32) of the first largest
     * in its (H, W) plane. */
    rf_status (*max_pool2d)(const rf_exec *e, const rf_window *w, const rf_view *x,
                            const rf_view *y, const rf_view *index);
    /* Linear: y = x at index, and dx = the sum of the g whose index is there. RF_E_ARGUMENT if an
     * index (i32 or i64) is outside. */
    rf_status (*pool2d_pick)(const rf_exec *e, const rf_view *x, const rf_view *index,
                             const rf_view *y);
    rf_status (*pool2d_scatter)(const rf_exec *e, const rf_view *g, const rf_view *index,
                                const rf_view *dx);
    /* Sum over the window, padding counting as zeros, divided by its size; and the transpose. */
    rf_status (*avg_pool2d)(const rf_exec *e, const rf_window *w, const rf_view *x,
                            const rf_view *y);
    rf_status (*avg_pool2d_grad)(const rf_exec *e, const rf_window *w, const rf_view *g,
                                 const rf_view *dx);
    /* x, y (N, C, ...) row-major; gain, bias (C) or NULL; mean, var (C), biased, in f32 (f64 for
     * f64). in: x gain bias; out: y mean var. */
    rf_status (*batch_norm)(const rf_exec *e, double eps, const rf_view *const in[3],
                            const rf_view *const out[3]);
    /* in: dy x gain mean var; out: dx dgain dbias, any of which may be NULL. */
    rf_status (*batch_norm_grad)(const rf_exec *e, double eps, const rf_view *const in[5],
                                 const rf_view *const out[3]);
};

/* The best table for this processor, or the one named; NULL if unknown or unusable here. */
const rf_kernels *rf_kernels_find(const char *isa);

/* Bytes the views need etc.: small helpers shared by ops and kernels. */
int64_t rf_shape_count(const rf_shape *shape);
int rf_view_contiguous(const rf_view *view);

#endif
