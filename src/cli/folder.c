/* folder.c: reading and writing saved models; see folder.h. */
#include "cli/folder.h"

#include <stdio.h>
#include <string.h>

#include "cli/paths.h"
#include "cli/report.h"
#include "cli/verbs.h"

enum { FOLDER_TEXT_LIMIT = 1 << 20, FOLDER_TOKENIZER_LIMIT = 1 << 28 };

/* ---- config.json ----------------------------------------------------------------------------- */

/* A whole number of config.json, at least 1. */
static int folder_count(rf_context *ctx, const char *text, const char *key, int64_t *out)
{
    double value;
    if (rf_json_number(ctx, text, key, &value) || !(value >= 1 && value <= 2147483647) ||
        value != (double)(int64_t)value)
        return 0;
    *out = (int64_t)value;
    return 1;
}

static uint64_t folder_token(rf_context *ctx, const char *text, const char *key)
{
    double value;
    if (rf_json_number(ctx, text, key, &value) || !(value >= 0 && value <= 2147483647))
        return TRAIN_NO_TOKEN;
    return (uint64_t)value;
}

/* Whether a text of config.json is absent, or one of the words that we can follow. */
static int folder_word_ok(rf_context *ctx, const char *text, const char *key, const char *one,
                          const char *other)
{
    char word[64];
    rf_status status = rf_json_string(ctx, text, key, word, sizeof word);
    if (status)
        return status == RF_E_NOT_FOUND;
    return strcmp(word, one) == 0 || strcmp(word, other) == 0;
}

/* Whether a key of config.json has a word such as true for its value. A look at the text is enough:
 * these keys are nowhere else in it, and rf_json_... reads numbers and strings only. */
static int folder_has_word(const char *text, const char *key, const char *word)
{
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\"", key);
    const char *at = strstr(text, quoted);
    if (!at)
        return 0;
    at += strlen(quoted);
    at += strspn(at, " \t\r\n:");
    return strncmp(at, word, strlen(word)) == 0;
}

static const char *folder_parse(rf_context *ctx, const char *text, folder_config *out)
{
    rf_gpt2_options *shape = &out->shape;
    *shape = (rf_gpt2_options)RF_GPT2_OPTIONS_INIT;
    if (!folder_word_ok(ctx, text, "model_type", "gpt2", "gpt2"))
        return "its model_type is not gpt2";
    if (!folder_word_ok(ctx, text, "activation_function", "gelu_new", "gelu_pytorch_tanh"))
        return "its activation_function is not gelu_new";
    if (folder_has_word(text, "scale_attn_by_inverse_layer_idx", "true") ||
        folder_has_word(text, "scale_attn_weights", "false"))
        return "it scales attention in a way of its own";
    if (folder_has_word(text, "tie_word_embeddings", "false"))
        return "its head is not tied to its embedding";
    if (!folder_count(ctx, text, "n_layer", &shape->layers))
        return "n_layer is missing or no count";
    if (!folder_count(ctx, text, "n_embd", &shape->width))
        return "n_embd is missing or no count";
    if (!folder_count(ctx, text, "n_head", &shape->heads))
        return "n_head is missing or no count";
    if (!folder_count(ctx, text, "n_positions", &shape->context) &&
        !folder_count(ctx, text, "n_ctx", &shape->context))
        return "n_positions is missing or no count";
    if (!folder_count(ctx, text, "vocab_size", &shape->vocab))
        return "vocab_size is missing or no count";
    if (shape->width % shape->heads)
        return "n_embd is no multiple of n_head";
    if (rf_json_number(ctx, text, "layer_norm_epsilon", &shape->eps) || !(shape->eps > 0))
        shape->eps = 1e-5;
    out->bos = folder_token(ctx, text, "bos_token_id");
    out->eos = folder_token(ctx, text, "eos_token_id");
    return NULL;
}

int folder_read_config(rf_context *ctx, const char *folder, folder_config *out)
{
    char path[PATHS_BYTES], *text;
    size_t len;
    if (!paths_join(path, folder, FOLDER_CONFIG))
        return EXIT_FAILED;
    if (rf_text_read(&text, &len, ctx, path, FOLDER_TEXT_LIMIT)) {
        report_failure(ctx, folder,
                       "give a folder that refrain train --save made, or a GPT-2 of "
                       "the same form");
        return EXIT_FAILED;
    }
    const char *wrong = folder_parse(ctx, text, out);
    rf_text_free(ctx, text);
    if (!wrong)
        return EXIT_FINE;
    report_error(wrong, path, "give the folder of a GPT-2");
    return EXIT_FAILED;
}

/* "null" for a token that does not exist. */
static const char *folder_show_token(char *buffer, size_t bytes, uint64_t token)
{
    if (token == TRAIN_NO_TOKEN)
        return "null";
    snprintf(buffer, bytes, "%llu", (unsigned long long)token);
    return buffer;
}

static int folder_write_config(rf_context *ctx, const folder_config *config, const char *folder)
{
    const rf_gpt2_options *shape = &config->shape;
    char path[PATHS_BYTES], text[2048], bos[32], eos[32];
    int len = snprintf(text, sizeof text,
                       "{\n"
                       "  \"activation_function\": \"gelu_new\",\n"
                       "  \"architectures\": [\"GPT2LMHeadModel\"],\n"
                       "  \"attn_pdrop\": 0.0,\n"
                       "  \"bos_token_id\": %s,\n"
                       "  \"embd_pdrop\": %.9g,\n"
                       "  \"eos_token_id\": %s,\n"
                       "  \"initializer_range\": 0.02,\n"
                       "  \"layer_norm_epsilon\": %.9g,\n"
                       "  \"model_type\": \"gpt2\",\n"
                       "  \"n_ctx\": %lld,\n"
                       "  \"n_embd\": %lld,\n"
                       "  \"n_head\": %lld,\n"
                       "  \"n_inner\": null,\n"
                       "  \"n_layer\": %lld,\n"
                       "  \"n_positions\": %lld,\n"
                       "  \"resid_pdrop\": %.9g,\n"
                       "  \"scale_attn_weights\": true,\n"
                       "  \"tie_word_embeddings\": true,\n"
                       "  \"torch_dtype\": \"float32\",\n"
                       "  \"vocab_size\": %lld\n"
                       "}\n",
                       folder_show_token(bos, sizeof bos, config->bos), shape->dropout,
                       folder_show_token(eos, sizeof eos, config->eos), shape->eps,
                       (long long)shape->context, (long long)shape->width, (long long)shape->heads,
                       (long long)shape->layers, (long long)shape->context, shape->dropout,
                       (long long)shape->vocab);
    if (!paths_join(path, folder, FOLDER_CONFIG))
        return EXIT_FAILED;
    if (!rf_text_write(ctx, path, text, (size_t)len))
        return EXIT_FINE;
    report_failure(ctx, folder, "make room there, or save elsewhere");
    return EXIT_FAILED;
}

/* ---- model.safetensors ------------------------------------------------------------------------
 */

int folder_read_weights(rf_module *model, const char *folder)
{
    /* What published files carry besides: causal masks, and the head that is the embedding. */
    static const char *const ignored[] = {"*.attn.bias", "*.attn.masked_bias", "lm_head.weight",
                                          NULL};
    char path[PATHS_BYTES];
    if (!paths_join(path, folder, FOLDER_MODEL))
        return EXIT_FAILED;
    if (!rf_module_load(model, path, ignored))
        return EXIT_FINE;
    report_failure(rf_module_context(model), path,
                   "give a folder whose config.json and weights belong together");
    return EXIT_FAILED;
}

int folder_write_weights(rf_module *model, const char *folder)
{
    static const char *const metadata[] = {"format", "pt", NULL};
    rf_context *ctx = rf_module_context(model);
    char path[PATHS_BYTES];
    if (!paths_join(path, folder, FOLDER_MODEL))
        return EXIT_FAILED;
    if (!rf_module_save(model, path, metadata))
        return EXIT_FINE;
    report_failure(ctx, folder, "make room there, or save elsewhere");
    return EXIT_FAILED;
}

int folder_write_model(rf_module *model, const folder_config *config, const char *folder)
{
    int failed = folder_write_config(rf_module_context(model), config, folder);
    return failed ? failed : folder_write_weights(model, folder);
}

/* ---- the tokeniser -----------------------------------------------------------------------------
 */

static int folder_copy_file(rf_context *ctx, const char *from, const char *to)
{
    char *text;
    size_t len;
    rf_status status = rf_text_read(&text, &len, ctx, from, FOLDER_TOKENIZER_LIMIT);
    if (!status) {
        status = rf_text_write(ctx, to, text, len);
        rf_text_free(ctx, text);
    }
    if (status)
        report_failure(ctx, from, "make room for a copy of it, or save elsewhere");
    return status ? EXIT_FAILED : EXIT_FINE;
}

int folder_copy_tokenizer(rf_context *ctx, const char *from, const char *folder)
{
    static const char *const names[] = {FOLDER_TOKENIZER, "tokenizer_config.json", "vocab.json",
                                        "merges.txt"};
    int failed = EXIT_FINE;
    for (size_t i = 0; i < sizeof names / sizeof *names && !failed; i++) {
        char source[PATHS_BYTES], target[PATHS_BYTES];
        if (!paths_join(source, from, names[i]) || !paths_join(target, folder, names[i]))
            return EXIT_FAILED;
        if (paths_is_file(source) && strcmp(source, target) != 0)
            failed = folder_copy_file(ctx, source, target);
    }
    return failed;
}
