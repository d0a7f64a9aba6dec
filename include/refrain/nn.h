/* nn.h: ready layers and models. Each creator makes a module (owned) in a context; its parameters
 * are f32 and take their first values from the context's generator. */
#ifndef REFRAIN_NN_H
#define REFRAIN_NN_H

#include <refrain/module.h>
#include <refrain/ops.h>

#ifdef __cplusplus
extern "C" {
#endif

/* x (..., in) -> (..., out). "weight" (out, in), "bias" (out): uniform in +-1/sqrt(in). */
RF_API RF_MUST_USE rf_status rf_nn_linear(rf_module **out, rf_context *ctx, int64_t in_features,
                                          int64_t out_features, int no_bias);
/* ids (...) -> (..., width). "weight" (count, width): normal. */
RF_API RF_MUST_USE rf_status rf_nn_embedding(rf_module **out, rf_context *ctx, int64_t count,
                                             int64_t width);
/* Over the last axis. "weight" ones, "bias" zeros; eps 0 means 1e-5. */
RF_API RF_MUST_USE rf_status rf_nn_layer_norm(rf_module **out, rf_context *ctx, int64_t width,
                                              double eps);
/* Over the last axis. "weight" ones; eps 0 means 1e-5. */
RF_API RF_MUST_USE rf_status rf_nn_rms_norm(rf_module **out, rf_context *ctx, int64_t width,
                                            double eps);
/* Only while training. */
RF_API RF_MUST_USE rf_status rf_nn_dropout(rf_module **out, rf_context *ctx, double rate);

/* Kinds of rf_nn_activation; each is the op of the same name. */
typedef enum rf_activation {
    RF_ACTIVATION_RELU,
    RF_ACTIVATION_GELU,
    RF_ACTIVATION_GELU_TANH,
    RF_ACTIVATION_SILU,
    RF_ACTIVATION_TANH,
    RF_ACTIVATION_SIGMOID
} rf_activation;
/* A module without parameters that applies one op to its input. */
RF_API RF_MUST_USE rf_status rf_nn_activation(rf_module **out, rf_context *ctx, rf_activation kind);

/* A container: calls its children "0", "1", ... one after the other, one tensor between them. */
RF_API RF_MUST_USE rf_status rf_nn_sequential(rf_module **out, rf_context *ctx);
/* Append; the container takes the child over. */
RF_API RF_MUST_USE rf_status rf_nn_sequential_add(rf_module *sequential, rf_module *child);

/* GPT-2: pre-norm blocks, learned positions, tanh-GELU, head tied to the token embedding.
 * in: ids (B, T) of an integer type, T <= context, and optionally targets (B, T).
 * out: logits (B, T, vocab) if no targets are given, else the mean cross-entropy (rank 0).
 * Names, as in the published models: wte.weight, wpe.weight, h.N.ln_1, h.N.attn.c_attn,
 * h.N.attn.c_proj, h.N.ln_2, h.N.mlp.c_fc, h.N.mlp.c_proj, ln_f. The c_* weights are stored
 * (in, out), as the published models store them. */
typedef struct rf_gpt2_options {
    size_t size;
    int64_t vocab, context, layers, heads, width;
    double dropout;   /* of embeddings, attention output and mlp output */
    double eps;       /* of the layer norms; 0: 1e-5 */
    rf_logits logits; /* where targets are given: see rf_linear_cross_entropy */
    int64_t part;     /* for RF_LOGITS_PART                                   */
} rf_gpt2_options;
#define RF_GPT2_OPTIONS_INIT                                                 \
    {                                                                        \
        sizeof(rf_gpt2_options), 256, 64, 4, 4, 128, 0, 0, RF_LOGITS_AUTO, 0 \
    }
RF_API RF_MUST_USE rf_status rf_nn_gpt2(rf_module **out, rf_context *ctx,
                                        const rf_gpt2_options *opts);
/* What a module made by rf_nn_gpt2 was made with; RF_E_ARGUMENT for another module. */
RF_API RF_MUST_USE rf_status rf_nn_gpt2_options_of(const rf_module *m, rf_gpt2_options *out);
/* Keep all logits, none, or what is right by itself, from the next call on: the module's dial
 * "logits" (rf_module_set_dial), which takes any number of bytes. RF_E_ARGUMENT for another module,
 * and for RF_LOGITS_PART. */
RF_API RF_MUST_USE rf_status rf_nn_gpt2_set_logits(rf_module *m, rf_logits logits);
/* Blocks, "h.0" to "h.N-1" (borrowed). */
RF_API rf_module *rf_nn_gpt2_block(rf_module *m, size_t index);

/* ---- images: (N, C, H, W) ------------------------------------------------------------------- */
/* in, out and kernel are required; the rest is as in rf_conv2d_options. */
typedef struct rf_nn_conv2d_options {
    size_t size;
    int64_t in, out; /* channels */
    int64_t kernel[2];
    int64_t stride[2], padding[2], dilation[2], groups;
    int no_bias;
} rf_nn_conv2d_options;
#define RF_NN_CONV2D_OPTIONS_INIT                                                \
    {                                                                            \
        sizeof(rf_nn_conv2d_options), 0, 0, {0, 0}, {0, 0}, {0, 0}, {0, 0}, 0, 0 \
    }
/* "weight" (out, in / groups, KH, KW), "bias" (out): uniform in +-1/sqrt(in / groups KH KW). */
RF_API RF_MUST_USE rf_status rf_nn_conv2d(rf_module **out, rf_context *ctx,
                                          const rf_nn_conv2d_options *opts);
/* NULL is momentum 0.1 and eps 1e-5, as are zeros. */
typedef struct rf_nn_batch_norm_options {
    size_t size;
    double momentum, eps;
} rf_nn_batch_norm_options;
#define RF_NN_BATCH_NORM_OPTIONS_INIT          \
    {                                          \
        sizeof(rf_nn_batch_norm_options), 0, 0 \
    }
/* x (N, channels, ...). "weight" ones, "bias" zeros; buffers "running_mean" zeros, "running_var"
 * ones, which follow each batch of a training forward once, however often it is recomputed. */
RF_API RF_MUST_USE rf_status rf_nn_batch_norm2d(rf_module **out, rf_context *ctx, int64_t channels,
                                                const rf_nn_batch_norm_options *opts);
/* rf_max_pool2d and rf_avg_pool2d as modules. */
RF_API RF_MUST_USE rf_status rf_nn_max_pool2d(rf_module **out, rf_context *ctx,
                                              const rf_pool2d_options *opts);
RF_API RF_MUST_USE rf_status rf_nn_avg_pool2d(rf_module **out, rf_context *ctx,
                                              const rf_pool2d_options *opts);

#define RF_RESNET_STAGES 4
/* ResNet of basic blocks (He et al. 2015). in: images (N, channels, H, W) f32, and optionally
 * targets (N) of an integer type. out: logits (N, classes), or with targets the mean cross-entropy.
 * Stage i has blocks[i] blocks of width 2^i channels and, but for the first, halves the image; the
 * first stage with 0 blocks ends them. The stem is a kernel of 7 at stride 2 and a pooling, or for
 * small images a kernel of 3 alone. Names as published: conv1, bn1, layer1.0.conv1, layer1.0.bn1,
 * layer1.0.conv2, layer1.0.bn2, layer2.0.downsample.0, layer2.0.downsample.1, ..., fc. */
typedef struct rf_resnet_options {
    size_t size;
    int64_t channels, classes;
    int64_t width; /* channels of the first stage */
    int64_t blocks[RF_RESNET_STAGES];
    int small_images;
} rf_resnet_options;
/* ResNet-18 */
#define RF_RESNET_OPTIONS_INIT                                  \
    {                                                           \
        sizeof(rf_resnet_options), 3, 1000, 64, {2, 2, 2, 2}, 0 \
    }
RF_API RF_MUST_USE rf_status rf_nn_resnet(rf_module **out, rf_context *ctx,
                                          const rf_resnet_options *opts);
/* Residual block number `index`, counted over all stages (borrowed); NULL if there is none, or m is
 * no resnet. */
RF_API rf_module *rf_nn_resnet_block(rf_module *m, size_t index);

#ifdef __cplusplus
}
#endif
#endif
