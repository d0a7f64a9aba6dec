/* training.h: the training steps that benches time: their configurations, and one step in parts.
 * bench/peer_torch.py has the same table. */
#ifndef BENCH_TRAINING_H
#define BENCH_TRAINING_H

#include "support/figures.h"

typedef struct training_config {
    const char *name;
    int64_t layers, width, heads, context, batch, vocab; /* layers 0: a ResNet of           */
    int64_t blocks[RF_RESNET_STAGES];                    /* these; context is the side of   */
} training_config;                                       /* its images, vocab the classes   */

/* The configurations of the table, those of tests, and one by name (NULL if there is none). */
extern const training_config training_configs[];
extern const training_config training_least[];
enum { TRAINING_CONFIGS = 5, TRAINING_LEAST = 2 };
const training_config *training_find(const char *name);

typedef struct training {
    const training_config *c;
    rf_context *ctx;
    rf_module *model;
    rf_optim *optim;
    void *input, *targets;
} training;

/* How a step runs. */
typedef struct training_form {
    rf_dtype products; /* RF_F32 or RF_BF16             */
    int blocks;        /* every block is a region       */
    int joined;        /* rf_optim_backward for the two */
} training_form;

/* Seconds; joined, the optimiser's are backward's. */
typedef struct training_times {
    double forward, backward, optimiser, all;
} training_times;

/* A NULL isa is the best that the processor has. */
void training_begin(training *t, const training_config *c, size_t threads, const char *isa);
void training_end(training *t);
training_times training_step(training *t, training_form form);

/* The step of median length. */
training_times training_middle(training_times *times, int num);
/* Elements of all parameters. */
size_t training_parameters(const training *t);
/* Of the algorithm without chunks: causal attention counted once, no recompute. */
double training_flops(const training_config *c);

#endif
