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
    double dropout; /* of embeddings, attention output and mlp output */
    double eps;     /* of the layer norms; 0: 1e-5 */
} rf_gpt2_options;
#define RF_GPT2_OPTIONS_INIT                              \
    {                                                     \
        sizeof(rf_gpt2_options), 256, 64, 4, 4, 128, 0, 0 \
    }
RF_API RF_MUST_USE rf_status rf_nn_gpt2(rf_module **out, rf_context *ctx,
                                        const rf_gpt2_options *opts);
/* What a module made by rf_nn_gpt2 was made with; RF_E_ARGUMENT for another module. */
RF_API RF_MUST_USE rf_status rf_nn_gpt2_options_of(const rf_module *m, rf_gpt2_options *out);
/* Blocks, "h.0" to "h.N-1" (borrowed). */
RF_API rf_module *rf_nn_gpt2_block(rf_module *m, size_t index);
#ifdef __cplusplus
}
#endif
#endif
