/* check_equality.c: one training step of a small GPT with dropout, plain and in every form of
 * checkpointing, with results computed again, kept, and sent away to each tier of memory. Its loss
 * and the gradients of all parameters must have the same bits. */
#include "cli/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <refrain/checkpoint.h>
#include <refrain/nn.h>

#include "cli/checkpoints.h"

enum { EQUALITY_LAYERS = 4, EQUALITY_CONTEXT = 16, EQUALITY_BATCH = 2, EQUALITY_VOCAB = 64 };

/* Loss and gradients, one after the other. */
typedef struct equality_bits {
    unsigned char *bytes;
    size_t len;
    rf_status status;
    char why[200];
} equality_bits;

typedef struct equality_form {
    const char *name;
    option_choice_n choice;
    int nested; /* the container, its blocks, and their two halves */
} equality_form;

static const equality_form equality_forms[] = {
    {"block", {TRAIN_CHECKPOINT_BLOCK, 0, NULL}, 0},
    {"every:2", {TRAIN_CHECKPOINT_EVERY, 2, NULL}, 0},
    {"sequential:2", {TRAIN_CHECKPOINT_SEQUENTIAL, 2, NULL}, 0},
    {"sequential:4", {TRAIN_CHECKPOINT_SEQUENTIAL, 4, NULL}, 0},
    {"nested", {TRAIN_CHECKPOINT_BLOCK, 0, NULL}, 1},
    {"block:keep=matmul,linear", {TRAIN_CHECKPOINT_BLOCK, 0, "keep=matmul,linear"}, 0},
    {"block:keep=*", {TRAIN_CHECKPOINT_BLOCK, 0, "keep=*"}, 0},
    {"block:host=*", {TRAIN_CHECKPOINT_BLOCK, 0, "host=*"}, 0},
    {"block:spill=*", {TRAIN_CHECKPOINT_BLOCK, 0, "spill=*"}, 0},
    {"every:2:keep=attn;spill=mlp", {TRAIN_CHECKPOINT_EVERY, 2, "keep=attn;spill=mlp"}, 0},
    {"sequential:2:host=linear", {TRAIN_CHECKPOINT_SEQUENTIAL, 2, "host=linear"}, 0},
};

static rf_status equality_add(void *payload, const char *path, rf_tensor *t)
{
    equality_bits *bits = payload;
    (void)path;
    if (!t)
        return RF_E_NOT_FOUND;
    size_t num = rf_tensor_bytes(t);
    unsigned char *grown = realloc(bits->bytes, bits->len + num + 1);
    if (!grown)
        return RF_E_MEMORY;
    bits->bytes = grown;
    bits->len += num;
    return rf_tensor_copy_out(t, grown + bits->len - num, num);
}

static rf_status equality_add_grad(void *payload, const char *path, rf_tensor *t)
{
    return equality_add(payload, path, rf_grad(t));
}

static rf_status equality_nest(rf_module *model)
{
    rf_status status = rf_checkpoint(rf_module_find(model, "h"), NULL);
    for (size_t i = 0; i < EQUALITY_LAYERS && !status; i++) {
        rf_module *block = rf_nn_gpt2_block(model, i);
        status = rf_checkpoint(rf_module_find(block, "attn"), NULL);
        if (!status)
            status = rf_checkpoint(rf_module_find(block, "mlp"), NULL);
    }
    return status;
}

static rf_status equality_step(rf_module *model, rf_scope *s, equality_bits *bits)
{
    int32_t ids[EQUALITY_BATCH * EQUALITY_CONTEXT + 1];
    int64_t dims[2] = {EQUALITY_BATCH, EQUALITY_CONTEXT};
    rf_tensor *in[2], *loss = NULL;
    rf_values from = {in, 2}, to = {&loss, 1};
    for (uint32_t i = 0; i < sizeof ids / sizeof *ids; i++)
        ids[i] = (int32_t)((i * i * 7 + i) % EQUALITY_VOCAB);
    in[0] = rf_tensor_copy_in(s, RF_I32, 2, dims, ids);
    in[1] = rf_tensor_copy_in(s, RF_I32, 2, dims, ids + 1);
    rf_status status = rf_module_call(model, s, &from, &to);
    if (!status)
        status = equality_add(bits, "", loss);
    if (!status)
        status = rf_backward(s, loss);
    if (!status)
        status = rf_module_each_param(model, 0, equality_add_grad, bits);
    return status;
}

static rf_status equality_model(rf_context *ctx, const equality_form *form, equality_bits *bits)
{
    rf_gpt2_options sizes = RF_GPT2_OPTIONS_INIT;
    rf_module *model;
    rf_scope *s;
    sizes.vocab = EQUALITY_VOCAB;
    sizes.context = EQUALITY_CONTEXT;
    sizes.layers = EQUALITY_LAYERS;
    sizes.heads = 2;
    sizes.width = 32;
    sizes.dropout = 0.1;
    rf_status status = rf_nn_gpt2(&model, ctx, &sizes);
    if (status)
        return status;
    if (form)
        status = checkpoints_apply(model, form->choice, EQUALITY_LAYERS);
    if (!status && form && form->nested)
        status = equality_nest(model);
    if (!status)
        status = rf_scope_open(&s, ctx, NULL);
    if (!status) {
        status = equality_step(model, s, bits);
        rf_scope_close(s);
    }
    rf_module_destroy(model);
    return status;
}

/* Where what is spilled goes: not into the current folder, which the check is not about. */
static const char *equality_folder(void)
{
    const char *folder = getenv("TMPDIR");
    return folder && *folder ? folder : "/tmp";
}

/* form: NULL is plain. */
static equality_bits equality_run(const equality_form *form, uint64_t seed, size_t threads)
{
    equality_bits bits = {0};
    rf_context *ctx;
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.threads = threads;
    opts.seed = seed;
    opts.spill_folder = equality_folder();
    bits.status = rf_context_create(&ctx, &opts);
    if (bits.status) {
        snprintf(bits.why, sizeof bits.why, "%s", rf_status_text(bits.status));
        return bits;
    }
    bits.status = equality_model(ctx, form, &bits);
    if (bits.status)
        snprintf(bits.why, sizeof bits.why, "%s", rf_context_error(ctx)->message);
    rf_context_destroy(ctx);
    return bits;
}

static void equality_tell(check_tally *tally, const char *name, const equality_bits *plain,
                          const equality_bits *form)
{
    int same = !plain->status && !form->status && plain->len == form->len &&
               memcmp(plain->bytes, form->bytes, plain->len) == 0;
    tally->made++;
    tally->failed += !same;
    if (same)
        printf("  %-28s %zu bytes the same  ok\n", name, form->len);
    else
        printf("  %-28s %s\n", name,
               form->status    ? form->why
               : plain->status ? plain->why
                               : "other bits than plain: please report it");
    fflush(stdout);
}

void check_equality(check_tally *tally, size_t threads)
{
    printf("\nloss and gradients, checkpointed and plain, %zu thread%s\n", threads,
           threads == 1 ? "" : "s");
    equality_bits plain = equality_run(NULL, tally->options->seed, threads);
    equality_bits again = equality_run(NULL, tally->options->seed, threads);
    equality_tell(tally, "plain, again", &plain, &again);
    free(again.bytes);
    for (size_t i = 0; i < sizeof equality_forms / sizeof *equality_forms; i++) {
        equality_bits form = equality_run(&equality_forms[i], tally->options->seed, threads);
        equality_tell(tally, equality_forms[i].name, &plain, &form);
        free(form.bytes);
    }
    free(plain.bytes);
}
