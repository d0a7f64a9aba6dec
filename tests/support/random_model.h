/* random_model.h: models and training steps made from a seed: what plans, and all else that must
 * hold for any model, are tried on. The same seed gives the same model, data and step everywhere.
 *
 * Of every shape that a user's model may have: chains of unlike links, transformers, residual
 * blocks, U-Nets, images with batch norm, a module that is called several times, tied parameters,
 * containers in containers, one function without parts, parts with two inputs. Sizes are tiny.
 */
#ifndef TEST_RANDOM_MODEL_H
#define TEST_RANDOM_MODEL_H

#include <refrain/refrain.h>

/* What a model is made of. */
typedef enum random_kind {
    RANDOM_CHAIN,
    RANDOM_TRANSFORMER,
    RANDOM_RESIDUAL,
    RANDOM_UNET,      /* levels in levels, each with an encoder and a decoder */
    RANDOM_FLAT_UNET, /* one forward that calls encoders and decoders          */
    RANDOM_IMAGES,    /* convolutions with batch norm, pools                   */
    RANDOM_SHARED,    /* a cell called several times, and tied parameters      */
    RANDOM_FUNCTION,  /* no parts at all                                       */
    RANDOM_PAIRS,     /* parts with two inputs                                 */
    RANDOM_IMAGE_UNET,
    RANDOM_MIXED, /* parts of several of these one after the other */
    RANDOM_KINDS
} random_kind;

typedef struct random_model {
    rf_context *ctx; /* the caller's */
    rf_module *root;
    rf_optim *optim;
    random_kind kind;
    int64_t dims[4], target[4]; /* of a batch's inputs and targets */
    size_t rank, target_rank;
    int with_loss;  /* the root takes the targets too and gives the loss */
    int together;   /* rf_optim_backward */
    int accumulate; /* two batches a step */
    int half;       /* products in bf16 */
    uint32_t batch; /* of the next step: the caller's to count */
    uint64_t seen;  /* a hash of all losses and gradients of real steps */
} random_model;

rf_status random_model_begin(random_model *out, rf_context *ctx, uint64_t seed);
void random_model_end(random_model *model);
/* A step on batch number model->batch, for rf_training_step; payload is the model. */
rf_status random_model_step(void *payload);
/* Of all that a step may change: losses and gradients seen, parameters, buffers, the optimiser's
 * state and the generator. */
rf_status random_model_hash(random_model *model, uint64_t *out);
/* "unet", ... */
const char *random_kind_name(random_kind kind);

#endif
