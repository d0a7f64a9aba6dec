/* random_parts.h: the parts that random models are made of, each from a builder's random numbers.
 * A builder remembers the first failure and gives NULL from then on. */
#ifndef TEST_RANDOM_PARTS_H
#define TEST_RANDOM_PARTS_H

#include <refrain/refrain.h>

typedef struct random_build {
    rf_context *ctx;
    uint64_t state;
    rf_status status;
} random_build;

/* 0 to n - 1. */
uint32_t random_below(random_build *b, uint32_t n);

/* A container, and a child for it (taken over, also on failure). */
rf_module *random_sequence(random_build *b);
void random_append(random_build *b, rf_module *sequence, rf_module *child);
/* A module with such children, under their names. */
rf_module *random_with(random_build *b, const rf_module_class *cls, const void *self);
void random_child(random_build *b, rf_module *parent, const char *name, rf_module *child);

/* (..., in) -> (..., out) */
rf_module *random_linear(random_build *b, int64_t in, int64_t out);
rf_module *random_norm(random_build *b, int64_t width);
rf_module *random_activation(random_build *b);
rf_module *random_dropout(random_build *b);
/* A few unlike layers, (..., in) -> (..., out). */
rf_module *random_layers(random_build *b, int64_t in, int64_t out);

/* (..., width) -> (..., width) */
rf_module *random_residual(random_build *b, int64_t width);
rf_module *random_loop(random_build *b, int64_t width);
rf_module *random_tied(random_build *b, int64_t width);
rf_module *random_bare(random_build *b, int64_t width);
rf_module *random_level(random_build *b, int64_t width, uint32_t depth);
rf_module *random_unet(random_build *b, int64_t width, uint32_t depth);
/* (B, T, width) -> (B, T, width) */
rf_module *random_attention(random_build *b, int64_t width);
rf_module *random_pairs(random_build *b, int64_t width);

/* (N, in, H, W) -> (N, out, H, W) */
rf_module *random_conv(random_build *b, int64_t in, int64_t out);
rf_module *random_pool(random_build *b);
/* (N, C, H, W) -> (N, C H W) */
rf_module *random_flat(random_build *b);
/* (N, channels, H, W) -> the same */
rf_module *random_image_level(random_build *b, int64_t channels, uint32_t depth);

#endif
