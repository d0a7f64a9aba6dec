/* verbs.h: what the command can do: for each verb its options as a struct, and their table. */
#ifndef RF_CLI_VERBS_H
#define RF_CLI_VERBS_H

#include "cli/options.h"

/* In the order of the words that --checkpoint takes. */
typedef enum train_checkpoint {
    TRAIN_CHECKPOINT_NONE,
    TRAIN_CHECKPOINT_BLOCK,
    TRAIN_CHECKPOINT_EVERY,
    TRAIN_CHECKPOINT_SEQUENTIAL
} train_checkpoint;

/* In the order of the words that --precision takes. */
typedef enum train_precision { TRAIN_PRECISION_F32, TRAIN_PRECISION_BF16 } train_precision;

/* In the order of the words that --moments takes. */
typedef enum train_moments { TRAIN_MOMENTS_MEMORY, TRAIN_MOMENTS_FILE } train_moments;

/* In the order of the words that --logits takes: an rf_logits. */
typedef enum train_logits {
    TRAIN_LOGITS_AUTO,
    TRAIN_LOGITS_KEEP,
    TRAIN_LOGITS_RECOMPUTE
} train_logits;

/* In the order of the words that --costs takes. */
typedef enum train_costs { TRAIN_COSTS_MEASURED, TRAIN_COSTS_MODEL } train_costs;

typedef struct train_options {
    option_list data;
    uint64_t tokens; /* an rf_token_type */
    uint64_t layers, width, heads, context, vocab;
    double dropout;
    const char *init;
    uint64_t batch, accumulate, steps;
    double lr, clip;
    option_list freeze;
    uint64_t seed, threads;
    uint64_t precision; /* a train_precision */
    uint64_t eval_every;
    option_choice_n checkpoint; /* with fates as its text */
    const char *spill;
    uint64_t logits; /* a train_logits */
    uint64_t step_in_backward;
    uint64_t moments; /* a train_moments */
    uint64_t memory, budget;
    uint64_t tiers; /* bits of rf_plan_tier */
    const char *plan;
    uint64_t costs; /* a train_costs */
    uint64_t explain;
    const char *log, *report, *save;
    uint64_t save_every;
    const char *resume;
    /* Only in state files: what --init and the machine gave, and how far the run was. */
    uint64_t positions, step, bos, eos;
    double eps;
    const char *isa;
} train_options;

/* A run that is planned, and not taken. */
typedef struct plan_options {
    train_options train;
    uint64_t json;
    const char *save, *report;
} plan_options;

typedef struct sample_options {
    const char *from, *prompt;
    uint64_t tokens;
    double temperature;
    uint64_t top_k, seed;
} sample_options;

typedef struct info_options {
    const char *path;
} info_options;

typedef struct check_options {
    uint64_t threads, seed;
} check_options;

extern const option_table train_table, plan_table, sample_table, info_table, check_table;

/* The bits of train_table's rows out of those of plan_table's. */
option_set plan_given_train(option_set given);

/* No such token: the value of bos and eos where a model has none. */
#define TRAIN_NO_TOKEN UINT64_MAX

#endif
