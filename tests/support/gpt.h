/* gpt.h: a small GPT and its training step, for tests of equality and of failure. */
#ifndef TEST_GPT_H
#define TEST_GPT_H

#include "support/sample.h"

typedef struct gpt {
    rf_module *model;
    rf_optim *optim;
    int64_t context;
} gpt;

typedef enum gpt_form {
    GPT_PLAIN,
    GPT_BLOCK,      /* every block                              */
    GPT_EVERY_TWO,  /* blocks 0, 2, ...                         */
    GPT_NESTED,     /* the container, blocks, attention and mlp */
    GPT_WHOLE,      /* the whole model, tied weights inside     */
    GPT_SEQUENTIAL, /* plus n - 1: in n segments                */
} gpt_form;

/* Layers of either size, and the sizes of the larger one. */
enum { GPT_LAYERS = 4, GPT_CONTEXT = 16, GPT_VOCAB = 64, GPT_BATCH = 2 };

rf_status gpt_create(gpt *g, rf_context *ctx, double dropout);
/* As small as a GPT can be, for tests that run it thousands of times. */
rf_status gpt_create_tiny(gpt *g, rf_context *ctx);
rf_status gpt_apply(gpt *g, int form);
void gpt_destroy(gpt *g);
/* One step on batch number n; *loss gets its loss. The memory of a failed step is given back. */
rf_status gpt_step(gpt *g, uint32_t n, float *loss);

#endif
