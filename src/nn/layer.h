/* layer.h: what the files of layers share: parameters with their first values. */
#ifndef RF_NN_LAYER_H
#define RF_NN_LAYER_H

#include "nn/module.h"

#include <refrain/nn.h>

#include <math.h>

typedef enum rf_init_kind { RF_INIT_CONSTANT, RF_INIT_UNIFORM, RF_INIT_NORMAL } rf_init_kind;

/* CONSTANT: all value. UNIFORM: in [-value, value). NORMAL: of standard deviation value. */
typedef struct rf_init {
    rf_init_kind kind;
    double value;
} rf_init;

/* A module whose self is a copy of `bytes` bytes at value; for classes with the two functions
 * below. */
rf_status rf_layer_create(rf_module **out, rf_context *ctx, const rf_module_class *cls,
                          const void *value, size_t bytes);
rf_status rf_layer_copy_self(rf_module *m, void **self_out);
void rf_layer_destroy_self(void *self);

/* The beginning of a forward that takes one tensor and gives one: RF_E_ARGUMENT if it is not there,
 * or no result is asked for. */
rf_status rf_layer_one(rf_module *m, rf_scope *s, const rf_values *in, const rf_values *out);

/* t was used for the last time, to make next: release it, unless next is it, as with a dropout that
 * does nothing or a hook that hands an input on. */
void rf_layer_done(rf_scope *s, rf_tensor *t, const rf_tensor *next);

/* Make a parameter of type f32 and add it to m. */
rf_status rf_layer_param(rf_module *m, const char *name, size_t rank, const int64_t *dims,
                         rf_init init);
/* The same for a buffer. */
rf_status rf_layer_buffer(rf_module *m, const char *name, size_t rank, const int64_t *dims,
                          rf_init init);
/* The end of a creator: on failure the half-made module goes. Returns status. */
rf_status rf_layer_made(rf_module **out, rf_status status);
/* Add child to m under name; on failure child goes. status is that of making child. */
rf_status rf_layer_child(rf_module *m, const char *name, rf_module *child, rf_status status);

/* An embedding (count, width) of normal numbers. */
rf_status rf_embedding_make(rf_module **out, rf_context *ctx, const int64_t dims[2],
                            double deviation);

/* A convolution whose weight is normal of deviation sqrt(2 / (out KH KW)). */
rf_status rf_conv_make_normal(rf_module **out, rf_context *ctx, const rf_nn_conv2d_options *opts);

#endif
