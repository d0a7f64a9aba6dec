/* verbs.c: the options of the command. man/refrain.1 has them too, and a test compares the two. */
#include "cli/verbs.h"

#define TRAIN_AT(field)  offsetof(train_options, field)
#define PLAN_AT(field)   offsetof(plan_options, field)
#define SAMPLE_AT(field) offsetof(sample_options, field)
#define CHECK_AT(field)  offsetof(check_options, field)

static const char *const train_tokens_words[] = {"u8", "u16", "u32", NULL};
static const char *const train_precision_words[] = {"f32", "bf16", NULL};
static const char *const train_moments_words[] = {"memory", "file", NULL};
static const char *const train_logits_words[] = {"auto", "keep", "recompute", NULL};
static const char *const train_tiers_words[] = {"none", "host", "file", "host,file", NULL};
static const char *const train_costs_words[] = {"measured", "model", NULL};
static const char *const train_checkpoint_words[] = {"none", "block+", "every:+", "sequential:+",
                                                     NULL};

/* Those of plan begin with those of train. */
static const plan_options plan_defaults = {
    .train = {.layers = 4,
              .width = 128,
              .heads = 4,
              .context = 64,
              .batch = 16,
              .accumulate = 1,
              .steps = 1000,
              .lr = 1e-3,
              .clip = 1,
              .seed = 1,
              .save_every = 100,
              .eps = 1e-5,
              .bos = TRAIN_NO_TOKEN,
              .eos = TRAIN_NO_TOKEN},
};

enum {
    TRAIN_FIXED = OPTION_STORED, /* a run keeps it to its end */
    TRAIN_FREE = OPTION_STORED | OPTION_CHANGEABLE,
    TRAIN_KEPT = OPTION_STORED | OPTION_HIDDEN
};

#define U64_TOP 18446744073709551615.0

/* What plan alone has comes first: its --save and --report stand before train's. */
enum { PLAN_OWN_ROWS = 4 };
static const option_row plan_rows[] = {
    {.help = "Plan"},
    {"save", "FILE", "write the plan, for --plan", OPTION_TEXT, PLAN_AT(save), 0, 1, 0, NULL},
    {"report", "FILE.html", "write a page with pictures of the plan", OPTION_TEXT, PLAN_AT(report),
     0, 1, 0, NULL},
    {"json", "", "tell it as one JSON object", OPTION_FLAG, PLAN_AT(json), 0, 0, 0, NULL},

    {.help = "Data"},
    {"data", "FILE|FOLDER ...", "text to learn from: files, and all files of folders", OPTION_MANY,
     TRAIN_AT(data), TRAIN_FREE, 0, 0, NULL},
    {"tokens", "u8|u16|u32", "the files' bytes are tokens, or little-endian numbers are",
     OPTION_CHOICE, TRAIN_AT(tokens), TRAIN_FIXED, 0, 0, train_tokens_words},

    {.help = "Model"},
    {"layers", "N", "blocks", OPTION_COUNT, TRAIN_AT(layers), TRAIN_FIXED, 1, 10000, NULL},
    {"width", "N", "features of a token; a multiple of the heads", OPTION_COUNT, TRAIN_AT(width),
     TRAIN_FIXED, 1, 1048576, NULL},
    {"heads", "N", "attention heads of a block", OPTION_COUNT, TRAIN_AT(heads), TRAIN_FIXED, 1,
     65536, NULL},
    {"context", "N", "tokens that the model sees at once", OPTION_COUNT, TRAIN_AT(context),
     TRAIN_FIXED, 1, 16777216, NULL},
    {"vocab", "N", "different tokens; 0: 256 for u8, else 50257", OPTION_COUNT, TRAIN_AT(vocab),
     TRAIN_FIXED, 0, 2147483647, NULL},
    {"dropout", "P", "share of features that is dropped while training", OPTION_REAL,
     TRAIN_AT(dropout), TRAIN_FIXED, 0, 0.99, NULL},
    {"init", "FOLDER", "begin with the size, vocabulary and weights of a saved GPT-2", OPTION_TEXT,
     TRAIN_AT(init), 0, 1, 0, NULL},

    {.help = "Training"},
    {"batch", "N", "samples of a batch", OPTION_COUNT, TRAIN_AT(batch), TRAIN_FIXED, 1, 1048576,
     NULL},
    {"accumulate", "N", "batches whose gradients make one step", OPTION_COUNT, TRAIN_AT(accumulate),
     TRAIN_FIXED, 1, 1048576, NULL},
    {"steps", "N", "steps of the optimiser; the learning rate falls over all of them", OPTION_COUNT,
     TRAIN_AT(steps), TRAIN_FREE, 1, 1e15, NULL},
    {"lr", "X", "highest learning rate", OPTION_REAL, TRAIN_AT(lr), TRAIN_FIXED, 0, 1000, NULL},
    {"clip", "X", "longest gradient, as a norm over all parameters; 0: any", OPTION_REAL,
     TRAIN_AT(clip), TRAIN_FIXED, 0, 1e30, NULL},
    {"freeze", "PATTERN", "parameters that stay as they are; may be given again", OPTION_LIST,
     TRAIN_AT(freeze), TRAIN_FIXED, 0, 0, NULL},
    {"seed", "N", "of weights, order of data and dropout", OPTION_COUNT, TRAIN_AT(seed),
     TRAIN_FIXED, 0, U64_TOP, NULL},
    {"threads", "N", "threads; 0: one per processor", OPTION_COUNT, TRAIN_AT(threads), TRAIN_FREE,
     0, 1024, NULL},
    {"precision", "f32|bf16", "in which products are computed; parameters stay f32", OPTION_CHOICE,
     TRAIN_AT(precision), TRAIN_FIXED, 0, 0, train_precision_words},
    {"eval-every", "N", "steps between looks at the held-out part; 0: never", OPTION_COUNT,
     TRAIN_AT(eval_every), TRAIN_FREE, 0, 1e15, NULL},

    {.help = "Memory"},
    {"checkpoint", "none|block[:FATES]|every:N[:FATES]|sequential:N[:FATES]",
     "which blocks give back their activations and compute them again; FATES says\n"
     "of which ops or parts the results are kept, and where: keep, host or spill,\n"
     "as in --checkpoint 'block:keep=matmul,linear;spill=mlp'",
     OPTION_PATTERN, TRAIN_AT(checkpoint), TRAIN_FREE, 0, 10000, train_checkpoint_words},
    {"logits", "auto|keep|recompute",
     "whether the loss's logits wait for backward or are made again there; auto:\n"
     "what a budget's plan says, else kept up to 512 MiB",
     OPTION_CHOICE, TRAIN_AT(logits), TRAIN_FREE, 0, 0, train_logits_words},
    {"spill", "FOLDER",
     "where the file is that takes what is spilled; else in that of --save, or here", OPTION_TEXT,
     TRAIN_AT(spill), TRAIN_FREE, 1, 0, NULL},
    {"moments", "memory|file",
     "where the optimiser's moments wait between steps; file: that of --spill", OPTION_CHOICE,
     TRAIN_AT(moments), TRAIN_FREE, 0, 0, train_moments_words},
    {"step-in-backward", "", "apply each gradient the moment it is whole; takes --clip 0",
     OPTION_FLAG, TRAIN_AT(step_in_backward), TRAIN_FREE, 0, 0, NULL},
    {"memory", "SIZE", "most bytes ever held, such as 512MiB; 0: no limit", OPTION_SIZE,
     TRAIN_AT(memory), TRAIN_FREE, 0, 0, NULL},
    {"budget", "SIZE",
     "the same, and a plan of what to keep and what to compute again, so that\n"
     "the whole run fits, as fast as these bytes allow",
     OPTION_SIZE, TRAIN_AT(budget), TRAIN_FREE, 0, 0, NULL},
    {"tiers", "none|host|file|host,file",
     "where values may wait that the plan of a budget neither keeps nor computes\n"
     "again: in memory beside the budget, or in the file of --spill",
     OPTION_CHOICE, TRAIN_AT(tiers), TRAIN_FREE, 0, 0, train_tiers_words},
    {"plan", "FILE", "the plan of refrain plan --save, in place of one that is looked for",
     OPTION_TEXT, TRAIN_AT(plan), TRAIN_FREE, 1, 0, NULL},
    {"costs", "measured|model", "what plans take the time of an op from", OPTION_CHOICE,
     TRAIN_AT(costs), TRAIN_FREE, 0, 0, train_costs_words},
    {"explain", "", "tell what bounds the peak, and what checkpointing spares and costs",
     OPTION_FLAG, TRAIN_AT(explain), OPTION_CHANGEABLE, 0, 0, NULL},

    {.help = "Files"},
    {"log", "FILE.jsonl", "write one JSON object a step", OPTION_TEXT, TRAIN_AT(log), TRAIN_FREE, 1,
     0, NULL},
    {"report", "FILE.html", "write a page with pictures of memory, loss and time", OPTION_TEXT,
     TRAIN_AT(report), OPTION_CHANGEABLE, 1, 0, NULL},
    {"save", "FOLDER", "save the model, and what --resume needs", OPTION_TEXT, TRAIN_AT(save),
     OPTION_CHANGEABLE, 1, 0, NULL},
    {"save-every", "N", "steps between saves; 0: only at the end", OPTION_COUNT,
     TRAIN_AT(save_every), TRAIN_FREE, 0, 1e15, NULL},
    {"resume", "FOLDER", "go on with the run that was saved there", OPTION_TEXT, TRAIN_AT(resume),
     OPTION_CHANGEABLE, 1, 0, NULL},

    {"positions", "N", "", OPTION_COUNT, TRAIN_AT(positions), TRAIN_KEPT, 0, 16777216, NULL},
    {"eps", "X", "", OPTION_REAL, TRAIN_AT(eps), TRAIN_KEPT, 0, 1, NULL},
    {"bos", "N", "", OPTION_COUNT, TRAIN_AT(bos), TRAIN_KEPT, 0, U64_TOP, NULL},
    {"eos", "N", "", OPTION_COUNT, TRAIN_AT(eos), TRAIN_KEPT, 0, U64_TOP, NULL},
    {"isa", "NAME", "", OPTION_TEXT, TRAIN_AT(isa), TRAIN_KEPT, 1, 0, NULL},
    {"step", "N", "", OPTION_COUNT, TRAIN_AT(step), TRAIN_KEPT, 0, 1e15, NULL},
};

const option_table train_table = {
    .verb = "train",
    .summary = "train a language model on text",
    .usage = "--data FILE|FOLDER ... [OPTION ...]\n"
             "       refrain train --resume FOLDER [OPTION ...]",
    .rows = plan_rows + PLAN_OWN_ROWS,
    .num = sizeof plan_rows / sizeof *plan_rows - PLAN_OWN_ROWS,
    .bytes = sizeof(train_options),
    .defaults = &plan_defaults.train,
    .positional = OPTION_NO_POSITIONAL,
};

const option_table plan_table = {
    .verb = "plan",
    .summary = "tell what a budget of memory costs, before training",
    .usage = "--data FILE|FOLDER ... [--budget SIZE] [OPTION OF TRAIN ...]",
    .rows = plan_rows,
    .num = sizeof plan_rows / sizeof *plan_rows,
    .bytes = sizeof(plan_options),
    .defaults = &plan_defaults,
    .positional = OPTION_NO_POSITIONAL,
};

option_set plan_given_train(option_set given)
{
    return given >> PLAN_OWN_ROWS;
}

static const sample_options sample_defaults = {
    .prompt = "\n",
    .tokens = 256,
    .temperature = 0.8,
    .seed = 1,
};

static const option_row sample_rows[] = {
    {"from", "FOLDER", "a saved model", OPTION_TEXT, SAMPLE_AT(from), OPTION_REQUIRED, 1, 0, NULL},
    {"prompt", "TEXT", "what comes before; token numbers where tokens are not bytes", OPTION_TEXT,
     SAMPLE_AT(prompt), 0, 0, 0, NULL},
    {"tokens", "N", "how many tokens to write", OPTION_COUNT, SAMPLE_AT(tokens), 0, 0, 1e9, NULL},
    {"temperature", "X", "below 1 plays safe, above 1 dares; 0: always the likeliest token",
     OPTION_REAL, SAMPLE_AT(temperature), 0, 0, 1000, NULL},
    {"top-k", "N", "choose among the N likeliest tokens; 0: among all", OPTION_COUNT,
     SAMPLE_AT(top_k), 0, 0, 2147483647, NULL},
    {"seed", "N", "of the choices", OPTION_COUNT, SAMPLE_AT(seed), 0, 0, U64_TOP, NULL},
};

const option_table sample_table = {
    .verb = "sample",
    .summary = "write text with a trained model",
    .usage = "--from FOLDER [OPTION ...]",
    .rows = sample_rows,
    .num = sizeof sample_rows / sizeof *sample_rows,
    .bytes = sizeof(sample_options),
    .defaults = &sample_defaults,
    .positional = OPTION_NO_POSITIONAL,
};

static const info_options info_defaults = {NULL};

const option_table info_table = {
    .verb = "info",
    .summary = "tell what a saved model holds",
    .usage = "FOLDER|FILE.safetensors",
    .num = 0,
    .bytes = sizeof(info_options),
    .defaults = &info_defaults,
    .positional = offsetof(info_options, path),
};

static const check_options check_defaults = {.seed = 1};

static const option_row check_rows[] = {
    {"threads", "N", "threads of the second round; 0: one per processor", OPTION_COUNT,
     CHECK_AT(threads), 0, 0, 1024, NULL},
    {"seed", "N", "of the values that are checked with", OPTION_COUNT, CHECK_AT(seed), 0, 0,
     U64_TOP, NULL},
};

const option_table check_table = {
    .verb = "check",
    .summary = "prove gradients and equality of bits on this machine",
    .usage = "[OPTION ...]",
    .rows = check_rows,
    .num = sizeof check_rows / sizeof *check_rows,
    .bytes = sizeof(check_options),
    .defaults = &check_defaults,
    .positional = OPTION_NO_POSITIONAL,
};
