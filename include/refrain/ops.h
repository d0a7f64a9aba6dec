/* ops.h: operations on tensors. Each takes a scope first and returns a scoped tensor, or NULL with
 * the reason in the scope. Shapes are written (A, B, C); trailing shapes broadcast as usual: sizes
 * 1 stretch, missing leading axes are added. Negative axes count from the end. */
#ifndef REFRAIN_OPS_H
#define REFRAIN_OPS_H

#include <refrain/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- arithmetic, with broadcasting; both of one type --------------------------------------- */
RF_API rf_tensor *rf_add(rf_scope *s, rf_tensor *a, rf_tensor *b); /* a + b */
RF_API rf_tensor *rf_sub(rf_scope *s, rf_tensor *a, rf_tensor *b); /* a - b */
RF_API rf_tensor *rf_mul(rf_scope *s, rf_tensor *a, rf_tensor *b); /* a b   */
RF_API rf_tensor *rf_div(rf_scope *s, rf_tensor *a, rf_tensor *b); /* a / b */
RF_API rf_tensor *rf_neg(rf_scope *s, rf_tensor *x);               /* -x    */
/* alpha x + beta, with plain numbers */
RF_API rf_tensor *rf_affine(rf_scope *s, rf_tensor *x, double alpha, double beta);

/* In place: a changes, its version rises, and a is returned. b broadcasts to a. A leaf that
 * requires a gradient is refused (RF_E_STATE) while recording, and so is a view. */
RF_API rf_tensor *rf_add_inplace(rf_scope *s, rf_tensor *a, rf_tensor *b);
RF_API rf_tensor *rf_mul_inplace(rf_scope *s, rf_tensor *a, rf_tensor *b);
RF_API rf_tensor *rf_relu_inplace(rf_scope *s, rf_tensor *a);

/* ---- element by element -------------------------------------------------------------------- */
/* The functions of the C library of these names; angles are in radians. */
RF_API rf_tensor *rf_exp(rf_scope *s, rf_tensor *x);
RF_API rf_tensor *rf_log(rf_scope *s, rf_tensor *x);
RF_API rf_tensor *rf_sqrt(rf_scope *s, rf_tensor *x);
RF_API rf_tensor *rf_sin(rf_scope *s, rf_tensor *x);
RF_API rf_tensor *rf_cos(rf_scope *s, rf_tensor *x);
RF_API rf_tensor *rf_tanh(rf_scope *s, rf_tensor *x);
RF_API rf_tensor *rf_sigmoid(rf_scope *s, rf_tensor *x); /* 1 / (1 + exp(-x))                 */
RF_API rf_tensor *rf_relu(rf_scope *s, rf_tensor *x);    /* max(x, 0)                         */
RF_API rf_tensor *rf_gelu(rf_scope *s, rf_tensor *x);    /* x/2 (1 + erf(x / sqrt 2))         */
RF_API rf_tensor *rf_gelu_tanh(rf_scope *s,
                               rf_tensor *x); /* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
RF_API rf_tensor *rf_silu(rf_scope *s, rf_tensor *x); /* x sigmoid(x)                      */

/* ---- products ------------------------------------------------------------------------------ */
/* Which operands of a product are taken with their last two axes swapped. */
typedef enum rf_transpose {
    RF_TRANSPOSE_NONE = 0,
    RF_TRANSPOSE_A = 1,
    RF_TRANSPOSE_B = 2,
    RF_TRANSPOSE_BOTH = 3
} rf_transpose;
/* (..., M, K) x (..., K, N) -> (..., M, N); leading axes broadcast. */
RF_API rf_tensor *rf_matmul(rf_scope *s, rf_tensor *a, rf_tensor *b);
/* The same with the last two axes of a, b or both swapped first, without a copy. */
RF_API rf_tensor *rf_matmul_with(rf_scope *s, rf_tensor *a, rf_tensor *b, rf_transpose transpose);
/* x (..., I) times the transpose of weight (O, I), plus bias (O), which may be NULL -> (..., O) */
RF_API rf_tensor *rf_linear(rf_scope *s, rf_tensor *x, rf_tensor *weight, rf_tensor *bias);
/* The same with RF_TRANSPOSE_B; with RF_TRANSPOSE_NONE weight is (I, O), as GPT-2 stores it. */
RF_API rf_tensor *rf_linear_with(rf_scope *s, rf_tensor *x, rf_tensor *weight, rf_tensor *bias,
                                 rf_transpose transpose);

/* ---- reductions ---------------------------------------------------------------------------- */
/* Over every axis, to a tensor of rank 0. */
RF_API rf_tensor *rf_sum(rf_scope *s, rf_tensor *x);
RF_API rf_tensor *rf_mean(rf_scope *s, rf_tensor *x);
/* Over one axis, which is kept with size 1 if keep. */
RF_API rf_tensor *rf_sum_axis(rf_scope *s, rf_tensor *x, int axis, int keep);
RF_API rf_tensor *rf_mean_axis(rf_scope *s, rf_tensor *x, int axis, int keep);
/* The largest along an axis; its gradient goes to the first of equals. */
RF_API rf_tensor *rf_max_axis(rf_scope *s, rf_tensor *x, int axis, int keep);
/* Sum over axes until x has the shape that broadcasts to it. */
RF_API rf_tensor *rf_sum_to(rf_scope *s, rf_tensor *x, size_t rank, const int64_t *dims);

/* ---- shape: views without a copy where strides allow --------------------------------------- */
/* The same elements in other dims, of which one may be -1: whatever fits. */
RF_API rf_tensor *rf_reshape(rf_scope *s, rf_tensor *x, size_t rank,
                             const int64_t *dims); /* one -1 */
/* Swap two axes; or order all of them: axis i of the result is axis axes[i] of x. Views. */
RF_API rf_tensor *rf_transpose_axes(rf_scope *s, rf_tensor *x, int a, int b);
RF_API rf_tensor *rf_permute(rf_scope *s, rf_tensor *x, size_t rank, const int *axes);
/* Elements start to stop - 1 along axis; negative ends count from the axis's end. */
RF_API rf_tensor *rf_slice(rf_scope *s, rf_tensor *x, int axis, int64_t start, int64_t stop);
/* A view with dims of the same or higher rank, in which axes of size 1 are repeated. */
RF_API rf_tensor *rf_expand(rf_scope *s, rf_tensor *x, size_t rank, const int64_t *dims);
/* One after the other along axis; all other sizes must agree. A copy. */
RF_API rf_tensor *rf_concat(rf_scope *s, const rf_values *xs, int axis);
/* xs->num equal parts along axis, as views, written to xs->v. */
RF_API RF_MUST_USE rf_status rf_split(rf_scope *s, rf_tensor *x, int axis, rf_values *parts);
/* Row-major without gaps: x itself if it is so already, else a copy. */
RF_API rf_tensor *rf_contiguous(rf_scope *s, rf_tensor *x);
RF_API rf_tensor *rf_clone(rf_scope *s, rf_tensor *x);  /* a copy, recorded            */
RF_API rf_tensor *rf_detach(rf_scope *s, rf_tensor *x); /* same bytes, no gradient     */
/* Another type; to a lower precision by rounding to nearest, ties to even. */
RF_API rf_tensor *rf_cast(rf_scope *s, rf_tensor *x, rf_dtype dtype);

/* ---- networks ------------------------------------------------------------------------------ */
/* Over the last axis. */
RF_API rf_tensor *rf_softmax(rf_scope *s, rf_tensor *x);
RF_API rf_tensor *rf_log_softmax(rf_scope *s, rf_tensor *x);
/* How the rows of a loss become one number. */
typedef enum rf_reduction { RF_REDUCTION_MEAN = 0, RF_REDUCTION_SUM = 1 } rf_reduction;
/* NULL is: the mean, over all rows. */
typedef struct rf_cross_entropy_options {
    size_t size;
    rf_reduction reduction;
    int has_ignored; /* rows whose target is `ignored` count for nothing, nor in the mean */
    int64_t ignored;
} rf_cross_entropy_options;
#define RF_CROSS_ENTROPY_OPTIONS_INIT                             \
    {                                                             \
        sizeof(rf_cross_entropy_options), RF_REDUCTION_MEAN, 0, 0 \
    }
/* logits (..., V), targets (...) of type i64, i32 or u8 -> rank 0: the mean (or sum) of
 * log sum exp(row) - row[target]. A target outside 0 .. V-1 is RF_E_ARGUMENT. */
RF_API rf_tensor *rf_cross_entropy(rf_scope *s, rf_tensor *logits, rf_tensor *targets,
                                   const rf_cross_entropy_options *opts);
/* Whether backward finds the logits of a loss or makes them again. The bits are the same. */
typedef enum rf_logits {
    RF_LOGITS_AUTO = 0,      /* kept if they are at most 512 MiB            */
    RF_LOGITS_KEEP = 1,      /* time                                        */
    RF_LOGITS_RECOMPUTE = 2, /* memory: a tile of them at a time            */
    RF_LOGITS_PART = 3       /* as many whole tiles as fit in so many bytes */
} rf_logits;
/* NULL is: the mean, over all rows, in tiles of 8 MiB. */
typedef struct rf_linear_cross_entropy_options {
    size_t size;
    rf_reduction reduction;
    int has_ignored; /* as in rf_cross_entropy_options */
    int64_t ignored;
    rf_logits logits;
    int64_t tile; /* at most so many bytes of logits at a time, but 64 rows by 64 columns at least;
                     0: 8 MiB. The bits depend on it. */
    int64_t part; /* RF_LOGITS_PART: bytes of logits to keep at most */
} rf_linear_cross_entropy_options;
#define RF_LINEAR_CROSS_ENTROPY_OPTIONS_INIT                                                   \
    {                                                                                          \
        sizeof(rf_linear_cross_entropy_options), RF_REDUCTION_MEAN, 0, 0, RF_LOGITS_AUTO, 0, 0 \
    }
/* x (..., C), weight (V, C), targets (...) -> rank 0: what rf_cross_entropy gives for the logits
 * x weight^T (but for rounding), which are made a tile at a time, in f32 (f64 for f64). Tiles
 * that are not kept for backward are made again there: of all of them it is one product more. */
RF_API rf_tensor *rf_linear_cross_entropy(rf_scope *s, rf_tensor *x, rf_tensor *weight,
                                          rf_tensor *targets,
                                          const rf_linear_cross_entropy_options *opts);
/* Over the last axis (C): (x - mean) / sqrt(var + eps) gain + bias; gain, bias (C) or NULL. */
RF_API rf_tensor *rf_layer_norm(rf_scope *s, rf_tensor *x, rf_tensor *gain, rf_tensor *bias,
                                double eps);
/* Over the last axis: x / sqrt(mean(x^2) + eps) gain; gain (C) or NULL. */
RF_API rf_tensor *rf_rms_norm(rf_scope *s, rf_tensor *x, rf_tensor *gain, double eps);
/* Rows of table (V, C) at ids (...) of type i64, i32 or u8 -> (..., C). */
RF_API rf_tensor *rf_embedding(rf_scope *s, rf_tensor *table, rf_tensor *ids);
/* Zero each element with the given probability, divide the others by 1 - rate. The mask is a
 * function of the generator's state and is never stored. Rate 0 returns x. */
RF_API rf_tensor *rf_dropout(rf_scope *s, rf_tensor *x, double rate);
/* x (..., T, D), D even: rotate pairs (i, i + D/2) at position t by t base^(-2i/D). */
RF_API rf_tensor *rf_rotary(rf_scope *s, rf_tensor *x, double base);
/* q, k, v (B, H, T, D) -> (B, H, T, D): softmax(q k^T scale, keys up to the query's own) v.
 * Never holds a T x T matrix. scale 0 means 1 / sqrt(D). */
RF_API rf_tensor *rf_causal_attention(rf_scope *s, rf_tensor *q, rf_tensor *k, rf_tensor *v,
                                      double scale);

/* ---- images: (N, C, H, W) ------------------------------------------------------------------- */
/* How a kernel slides over the rows [0] and columns [1] of an image. NULL is all zeros. */
typedef struct rf_conv2d_options {
    size_t size;
    int64_t stride[2];   /* 0: 1                                                    */
    int64_t padding[2];  /* zeros around the image, on either side                  */
    int64_t dilation[2]; /* from one element of the kernel to the next; 0: 1        */
    int64_t groups;      /* channels are divided among as many convolutions; 0: 1   */
} rf_conv2d_options;
#define RF_CONV2D_OPTIONS_INIT                               \
    {                                                        \
        sizeof(rf_conv2d_options), {0, 0}, {0, 0}, {0, 0}, 0 \
    }
/* x (N, C, H, W), weight (O, C / groups, KH, KW), bias (O) or NULL -> (N, O, OH, OW), where
 * OH = (H + 2 padding - dilation (KH - 1) - 1) / stride + 1, rounded down. RF_E_SHAPE if the kernel
 * does not fit or groups divide C or O not. */
RF_API rf_tensor *rf_conv2d(rf_scope *s, rf_tensor *x, rf_tensor *weight, rf_tensor *bias,
                            const rf_conv2d_options *opts);
/* A window that slides over an image; kernel is required. */
typedef struct rf_pool2d_options {
    size_t size;
    int64_t kernel[2];
    int64_t stride[2];  /* 0: as kernel                                        */
    int64_t padding[2]; /* on either side; at most half of the kernel          */
} rf_pool2d_options;
#define RF_POOL2D_OPTIONS_INIT                     \
    {                                              \
        sizeof(rf_pool2d_options), {0, 0}, {0, 0}, \
        {                                          \
            0, 0                                   \
        }                                          \
    }
/* x (N, C, H, W) -> (N, C, OH, OW): the largest in the window, of which padding is no part; its
 * gradient goes to the first of equals. Or the mean, in which padding counts as zeros. */
RF_API rf_tensor *rf_max_pool2d(rf_scope *s, rf_tensor *x, const rf_pool2d_options *opts);
RF_API rf_tensor *rf_avg_pool2d(rf_scope *s, rf_tensor *x, const rf_pool2d_options *opts);
/* What rf_batch_norm normalises by; NULL is: running statistics. */
typedef struct rf_batch_norm_options {
    size_t size;
    int training;    /* by the batch, and follow it; else by the running statistics       */
    double momentum; /* running = (1 - momentum) running + momentum of this batch; 0: 0.1 */
    double eps;      /* 0: 1e-5                                                           */
} rf_batch_norm_options;
#define RF_BATCH_NORM_OPTIONS_INIT             \
    {                                          \
        sizeof(rf_batch_norm_options), 0, 0, 0 \
    }
/* What goes with each channel, of shape (C); any may be NULL, the running statistics both or none.
 * gain and bias have x's type, the running statistics f32 (f64 if x has it). */
typedef struct rf_batch_norm_tensors {
    rf_tensor *gain, *bias;
    rf_tensor *running_mean, *running_var;
} rf_batch_norm_tensors;
/* x (N, C, ...): (x - mean) / sqrt(var + eps) gain + bias for each channel. Training: mean and
 * (biased) variance are those of x over all other axes, of at least two elements (RF_E_SHAPE), and
 * the running statistics, where given, follow them in place, with the unbiased variance: once per
 * forward, never in a recompute. Else by the running statistics, which must be given. */
RF_API rf_tensor *rf_batch_norm(rf_scope *s, rf_tensor *x, const rf_batch_norm_tensors *with,
                                const rf_batch_norm_options *opts);

/* ---- random -------------------------------------------------------------------------------- */
RF_API rf_tensor *rf_uniform(rf_scope *s, rf_dtype dtype, size_t rank,
                             const int64_t *dims); /* [0,1) */
RF_API rf_tensor *rf_normal(rf_scope *s, rf_dtype dtype, size_t rank,
                            const int64_t *dims); /* N(0,1) */

#ifdef __cplusplus
}
#endif
#endif
