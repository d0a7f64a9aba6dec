/* session.c: see session.h. The order of building is that of the questions: does the machine do it,
 * is the data there, does the model fit, may these parts be frozen; then the weights. */
#include "cli/session.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <refrain/io.h>

#include "cli/budget.h"
#include "cli/checkpoints.h"
#include "cli/paths.h"
#include "cli/report.h"

/* The share of the data that is kept for --eval-every. The same for every run, so that whether one
 * looks at it changes nothing. */
static const double session_held_out = 0.05;

const char *session_advice(const session *s, char *buffer, const char *otherwise)
{
    const train_options *o = s->options;
    if (rf_context_error(s->ctx)->code != RF_E_BUDGET)
        return report_advice(s->ctx, otherwise);
    if (o->budget)
        return "the plan foretold less: please report it, with the command line";
    if (!o->memory) /* no limit of the user's: one is not to be raised */
        return report_advice(s->ctx, otherwise);
    if (!*budget_advice(buffer, SESSION_ADVICE, o, s->given))
        snprintf(buffer, SESSION_ADVICE, "raise --memory, or %s", report_advice(s->ctx, otherwise));
    return buffer;
}

static int session_fail(const session *s, const char *where, const char *advice)
{
    char buffer[SESSION_ADVICE];
    report_failure(s->ctx, where, session_advice(s, buffer, advice));
    return EXIT_FAILED;
}

/* ---- the machine --------------------------------------------------------------------------------
 */

static int session_context(session *s)
{
    train_options *o = s->options;
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.threads = (size_t)o->threads;
    opts.seed = o->seed;
    opts.isa = o->isa;
    opts.spill_folder = o->spill ? o->spill : o->save; /* opened when something goes there */
    opts.dry = s->kind == SESSION_DRY;
    rf_status status = rf_context_create(&s->ctx, &opts);
    if (status && o->isa) {
        report_note("the run was on %s, which this machine has not: its last bits may differ",
                    o->isa);
        opts.isa = NULL;
        status = rf_context_create(&s->ctx, &opts);
    }
    if (status) {
        report_error(rf_status_text(status), "starting", "close other programs");
        return EXIT_FAILED;
    }
    o->isa = rf_context_isa(s->ctx);
    o->threads = rf_context_threads(s->ctx);
    uint64_t limit = o->budget ? o->budget : o->memory;
    if (s->kind == SESSION_DRY || !limit)
        return EXIT_FINE;
    return rf_memory_set_limit(s->ctx, RF_DEVICE_CPU, RF_MEM_ALL, limit)
               ? session_fail(s, o->budget ? "--budget" : "--memory", NULL)
               : EXIT_FINE;
}

/* ---- sizes --------------------------------------------------------------------------------------
 */

/* What --init decides, and so can't be given otherwise. */
static int session_take_size(session *s, option_set given, const char *name, int64_t value)
{
    const option_row *row = options_find(&train_table, name, strlen(name));
    uint64_t *field = (uint64_t *)(void *)((char *)s->options + row->offset);
    char what[256];
    if ((given >> (row - train_table.rows) & 1) && *field != (uint64_t)value) {
        snprintf(what, sizeof what, "--%s %llu: the model of --init has %lld", name,
                 (unsigned long long)*field, (long long)value);
        report_error(what, s->options->init, "leave it out");
        return EXIT_USAGE;
    }
    *field = (uint64_t)value;
    return EXIT_FINE;
}

static int session_take_init(session *s, option_set given)
{
    train_options *o = s->options;
    const option_row *context = options_find(&train_table, "context", strlen("context"));
    int failed = folder_read_config(s->ctx, o->init, &s->config);
    if (failed)
        return failed;
    const rf_gpt2_options *shape = &s->config.shape;
    failed = session_take_size(s, given, "layers", shape->layers);
    failed = failed ? failed : session_take_size(s, given, "width", shape->width);
    failed = failed ? failed : session_take_size(s, given, "heads", shape->heads);
    failed = failed ? failed : session_take_size(s, given, "vocab", shape->vocab);
    o->positions = (uint64_t)shape->context;
    if (!(given >> (context - train_table.rows) & 1))
        o->context = o->positions;
    o->eps = shape->eps;
    o->bos = s->config.bos;
    o->eos = s->config.eos;
    return failed;
}

static void session_set_shape(session *s)
{
    train_options *o = s->options;
    rf_gpt2_options *shape = &s->config.shape;
    if (!o->vocab)
        o->vocab = o->tokens == RF_TOKEN_U8 ? 256 : 50257;
    if (!o->positions)
        o->positions = o->context;
    *shape = (rf_gpt2_options)RF_GPT2_OPTIONS_INIT;
    shape->layers = (int64_t)o->layers;
    shape->width = (int64_t)o->width;
    shape->heads = (int64_t)o->heads;
    shape->vocab = (int64_t)o->vocab;
    shape->context = (int64_t)o->positions;
    shape->dropout = o->dropout;
    shape->eps = o->eps;
    shape->logits = (rf_logits)o->logits;
    s->config.bos = o->bos;
    s->config.eos = o->eos;
}

static int session_check_sizes(const session *s)
{
    const train_options *o = s->options;
    char what[160];
    if (o->width % o->heads) {
        snprintf(what, sizeof what, "--width %llu is no multiple of --heads %llu",
                 (unsigned long long)o->width, (unsigned long long)o->heads);
        report_error(what, "refrain train", "give a width that the heads divide");
        return EXIT_USAGE;
    }
    if (o->context > o->positions) {
        snprintf(what, sizeof what, "--context %llu: the model has %llu positions",
                 (unsigned long long)o->context, (unsigned long long)o->positions);
        report_error(what, "refrain train", "give a smaller context");
        return EXIT_USAGE;
    }
    if (o->tokens == RF_TOKEN_U8 && o->vocab > 256 && s->kind == SESSION_REAL)
        report_note("bytes are used as tokens of a vocabulary of %llu; for text that is tokenised "
                    "already there is --tokens u16",
                    (unsigned long long)o->vocab);
    if (o->step_in_backward && o->clip > 0) {
        report_error("--step-in-backward: clipping needs all gradients before the first is applied",
                     "refrain train", "give --clip 0 too");
        return EXIT_USAGE;
    }
    return checkpoints_fit(o->checkpoint, o->layers) ? EXIT_FINE : EXIT_USAGE;
}

/* ---- data, model, optimiser
 * ---------------------------------------------------------------------- */

static int session_open_data(session *s)
{
    const train_options *o = s->options;
    rf_dataset_options opts = RF_DATASET_OPTIONS_INIT;
    opts.type = (rf_token_type)o->tokens;
    opts.vocab = o->vocab;
    opts.held_out = session_held_out;
    opts.context = o->context;
    opts.batch = o->batch;
    opts.seed = o->seed;
    if (!rf_dataset_open(&s->data, s->ctx, o->data.v, o->data.num, &opts))
        return EXIT_FINE;
    int format = rf_context_error(s->ctx)->code == RF_E_FORMAT;
    return session_fail(s, "--data",
                        format ? "give --tokens and --vocab as the files have them"
                               : "give files that can be read, with more text than a --context");
}

typedef struct session_freeze {
    const char *pattern;
    uint64_t matches;
} session_freeze;

static rf_status session_freeze_one(void *payload, const char *path, rf_tensor *t)
{
    session_freeze *freeze = payload;
    if (!rf_pattern_matches(freeze->pattern, path))
        return RF_OK;
    freeze->matches++;
    return rf_tensor_set_requires_grad(t, 0);
}

static rf_status session_count_one(void *payload, const char *path, rf_tensor *t)
{
    uint64_t *counts = payload;
    (void)path;
    counts[0] += (uint64_t)rf_tensor_count(t);
    counts[1] += rf_tensor_requires_grad(t) ? (uint64_t)rf_tensor_count(t) : 0;
    return RF_OK;
}

static int session_freeze_all(session *s)
{
    const option_list *patterns = &s->options->freeze;
    char what[256];
    for (size_t i = 0; i < patterns->num; i++) {
        session_freeze freeze = {patterns->v[i], 0};
        if (rf_module_each_param(s->model, 0, session_freeze_one, &freeze))
            return session_fail(s, "--freeze", NULL);
        if (freeze.matches)
            continue;
        snprintf(what, sizeof what, "--freeze '%.160s' matches no parameter", freeze.pattern);
        report_error(what, "refrain train",
                     "names are like h.0.attn.c_attn.weight or wte.weight; "
                     "'*' is any run of letters");
        return EXIT_USAGE;
    }
    uint64_t counts[2] = {0, 0};
    if (rf_module_each_param(s->model, 0, session_count_one, counts))
        return session_fail(s, "counting parameters", NULL);
    s->parameters = counts[0];
    if (counts[1])
        return EXIT_FINE;
    report_error("every parameter is frozen", "refrain train", "leave some to be trained");
    return EXIT_USAGE;
}

static int session_checkpoint(session *s)
{
    const train_options *o = s->options;
    if (!checkpoints_apply(s->model, o->checkpoint, o->layers))
        return EXIT_FINE;
    if (rf_context_error(s->ctx)->code != RF_E_ARGUMENT)
        return session_fail(s, "--checkpoint", NULL);
    report_failure(
        s->ctx, "--checkpoint",
        "write FATE=NAME,NAME;FATE=... with names of ops such as matmul or linear, or of "
        "parts such as attn or mlp.c_fc; '*' is any run of letters");
    return EXIT_USAGE;
}

static int session_make_model(session *s)
{
    const train_options *o = s->options;
    if (rf_nn_gpt2(&s->model, s->ctx, &s->config.shape))
        return session_fail(s, "making the model", "check --layers, --width and --heads");
    int read = o->init && s->kind == SESSION_REAL;
    int failed = read ? folder_read_weights(s->model, o->init) : EXIT_FINE;
    failed = failed ? failed : session_freeze_all(s);
    return failed ? failed : session_checkpoint(s);
}

/* Decay is for matrices: biases and the gains of norms are left alone. */
static int session_make_optim(session *s)
{
    static const rf_param_group groups[] = {{"*.bias", (double)NAN, 0}, {"*ln_*", (double)NAN, 0}};
    rf_adamw_options opts = RF_ADAMW_OPTIONS_INIT;
    opts.lr = s->options->lr;
    opts.beta2 = 0.99;
    opts.weight_decay = 0.1;
    opts.groups = groups;
    opts.num_groups = sizeof groups / sizeof *groups;
    if (s->options->moments == TRAIN_MOMENTS_FILE)
        opts.moments = RF_DEVICE_FILE;
    if (!rf_optim_adamw(&s->optim, s->model, &opts))
        return EXIT_FINE;
    return session_fail(s, "making the optimiser",
                        rf_context_error(s->ctx)->code == RF_E_IO
                            ? "give --spill FOLDER, one with room for --moments file"
                            : NULL);
}

double session_lr(const session *s, uint64_t step)
{
    const train_options *o = s->options;
    uint64_t warmup = o->steps / 20;
    rf_schedule schedule = {RF_SCHEDULE_COSINE, o->lr, 0.1 * o->lr, warmup > 200 ? 200 : warmup,
                            o->steps};
    return rf_schedule_at(&schedule, step);
}

/* ---- state --------------------------------------------------------------------------------------
 */

static int session_load(session *s)
{
    char path[PATHS_BYTES];
    rf_state state = RF_STATE_INIT;
    state.module = s->model;
    state.optim = s->optim;
    state.data = s->data;
    if (!paths_join(path, s->options->resume, FOLDER_STATE))
        return EXIT_FAILED;
    if (rf_state_load(&state, path))
        return session_fail(s, path,
                            "give back the data that the run began with, or an older "
                            "copy of the file");
    if (rf_optim_steps(s->optim) == s->options->step)
        return EXIT_FINE;
    report_error("its parts are of different steps", path, "give an older copy of the file");
    return EXIT_FAILED;
}

int session_begin(session *s, train_options *options, option_set given, session_kind kind)
{
    memset(s, 0, sizeof *s);
    s->kind = kind;
    s->given = given;
    s->options = options;
    s->config.bos = s->config.eos = TRAIN_NO_TOKEN;
    int failed = session_context(s);
    if (!failed && options->init && !options->resume)
        failed = session_take_init(s, given);
    if (failed)
        return failed;
    session_set_shape(s);
    failed = session_check_sizes(s);
    failed = failed ? failed : session_open_data(s);
    return failed ? failed : session_make_model(s);
}

int session_begin_steps(session *s)
{
    int failed = session_make_optim(s);
    if (!failed && s->options->resume && s->kind == SESSION_REAL)
        failed = session_load(s);
    return failed;
}

void session_end(session *s)
{
    rf_optim_destroy(s->optim);
    rf_module_destroy(s->model);
    rf_dataset_close(s->data);
    rf_context_destroy(s->ctx);
}
