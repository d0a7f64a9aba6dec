/* sample.c: refrain sample. Each token is computed from the last `context` tokens before it; what
 * is written depends on the model, the prompt, the options and the seed alone. */
#include "cli/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/choose.h"
#include "cli/folder.h"
#include "cli/numbers.h"
#include "cli/report.h"

typedef struct sample_job {
    const sample_options *options;
    rf_context *ctx;
    rf_module *model;
    folder_config config;
    int32_t *tokens; /* the prompt, and what came after it */
    size_t num;
    choose_item *items; /* room for one choice */
} sample_job;

/* Whether tokens are bytes, and text can be read and written. */
static int sample_is_bytes(const sample_job *job)
{
    return job->config.shape.vocab <= 256;
}

static const char *sample_advice(const sample_job *job, const char *otherwise)
{
    return rf_context_error(job->ctx)->code == RF_E_MEMORY
               ? "close other programs, or take a smaller model"
               : otherwise;
}

/* ---- the prompt ---------------------------------------------------------------------------------
 */

static int sample_bad_prompt(const sample_job *job, const char *what)
{
    char advice[160];
    if (sample_is_bytes(job))
        snprintf(advice, sizeof advice, "use characters below number %lld",
                 (long long)job->config.shape.vocab);
    else
        snprintf(advice, sizeof advice, "give token numbers below %lld with spaces between them",
                 (long long)job->config.shape.vocab);
    report_error(what, "--prompt", advice);
    return EXIT_USAGE;
}

static int sample_add(sample_job *job, uint64_t token)
{
    if (token >= (uint64_t)job->config.shape.vocab)
        return sample_bad_prompt(job, "a token that the model does not know");
    job->tokens[job->num++] = (int32_t)token;
    return EXIT_FINE;
}

static int sample_read_numbers(sample_job *job, const char *prompt)
{
    int failed = EXIT_FINE;
    while (!failed && *(prompt += strspn(prompt, " ,\n\t"))) {
        char word[24];
        uint64_t token;
        size_t len = strcspn(prompt, " ,\n\t");
        snprintf(word, sizeof word, "%.*s", (int)(len < 23 ? len : 23), prompt);
        if (!numbers_count(word, &token))
            return sample_bad_prompt(job, "a prompt that is no list of token numbers");
        failed = sample_add(job, token);
        prompt += len;
    }
    return failed;
}

/* Without a prompt, the token that begins a text; a newline, where tokens are bytes. */
static int sample_read_prompt(sample_job *job)
{
    const char *prompt = job->options->prompt;
    int failed = EXIT_FINE;
    if (!sample_is_bytes(job))
        failed = sample_read_numbers(job, prompt);
    else
        for (; *prompt && !failed; prompt++)
            failed = sample_add(job, (unsigned char)*prompt);
    if (failed || job->num)
        return failed;
    uint64_t first = job->config.bos < (uint64_t)job->config.shape.vocab ? job->config.bos : '\n';
    return sample_add(job, first);
}

static void sample_write(const sample_job *job, size_t from)
{
    for (size_t i = from; i < job->num; i++) {
        if (sample_is_bytes(job))
            putchar((int)job->tokens[i]);
        else
            printf("%s%d", i ? " " : "", (int)job->tokens[i]);
    }
}

/* ---- one token after the other
 * -------------------------------------------------------------------- */

/* The last row of the logits for the last tokens, into job->items. */
static rf_status sample_logits(sample_job *job, rf_scope *s)
{
    size_t context = (size_t)job->config.shape.context, vocab = (size_t)job->config.shape.vocab;
    size_t len = job->num < context ? job->num : context;
    int64_t dims[2] = {1, (int64_t)len};
    rf_tensor *ids = rf_tensor_copy_in(s, RF_I32, 2, dims, job->tokens + job->num - len);
    rf_tensor *logits = rf_module_call1(job->model, s, ids); /* (1, T, V) */
    rf_tensor *last = rf_slice(s, logits, 1, (int64_t)len - 1, (int64_t)len);
    float *row = malloc(vocab * sizeof *row);
    rf_status status = rf_scope_status(s);
    if (!status && !row)
        status = rf_scope_fail(s, RF_E_MEMORY, "no memory for a row of logits");
    if (!status)
        status = rf_tensor_copy_out(last, row, vocab * sizeof *row);
    for (size_t i = 0; i < vocab && !status; i++)
        job->items[i] = (choose_item){row[i], (uint32_t)i};
    free(row);
    return status;
}

static rf_status sample_next(sample_job *job)
{
    const sample_options *o = job->options;
    rf_scope *s;
    double u = 0;
    rf_status status = rf_scope_open(&s, job->ctx, NULL);
    if (status)
        return status;
    rf_scope_set_grad(s, 0);
    status = sample_logits(job, s);
    if (!status) {
        rf_tensor *number = rf_uniform(s, RF_F64, 0, NULL);
        status = number ? rf_tensor_item(number, &u) : rf_scope_status(s);
    }
    rf_scope_close(s);
    if (!status)
        job->tokens[job->num++] = (int32_t)choose_token(job->items, (size_t)job->config.shape.vocab,
                                                        o->temperature, o->top_k, u);
    return status;
}

static int sample_text(sample_job *job)
{
    int terminal = isatty(STDOUT_FILENO);
    if (*job->options->prompt)
        sample_write(job, 0);
    for (uint64_t i = 0; i < job->options->tokens; i++) {
        if (sample_next(job)) {
            report_failure(job->ctx, "sampling", sample_advice(job, "try another folder"));
            return EXIT_FAILED;
        }
        sample_write(job, job->num - 1);
        if (terminal)
            fflush(stdout);
    }
    putchar('\n');
    return EXIT_FINE;
}

/* ---- the model
 * ------------------------------------------------------------------------------------- */

static int sample_load(sample_job *job)
{
    int failed = folder_read_config(job->ctx, job->options->from, &job->config);
    if (failed)
        return failed;
    if (rf_nn_gpt2(&job->model, job->ctx, &job->config.shape)) {
        report_failure(job->ctx, "making the model", sample_advice(job, "try another folder"));
        return EXIT_FAILED;
    }
    failed = folder_read_weights(job->model, job->options->from);
    rf_module_train(job->model, 0);
    return failed;
}

static int sample_room(sample_job *job)
{
    size_t room = strlen(job->options->prompt) + (size_t)job->options->tokens + 1;
    job->tokens = malloc(room * sizeof *job->tokens);
    job->items = malloc((size_t)job->config.shape.vocab * sizeof *job->items);
    if (job->tokens && job->items)
        return EXIT_FINE;
    report_error("no memory", "sampling", "ask for fewer --tokens");
    return EXIT_FAILED;
}

int sample_run(const sample_options *options)
{
    sample_job job = {.options = options};
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.seed = options->seed;
    rf_status status = rf_context_create(&job.ctx, &opts);
    if (status) {
        report_error(rf_status_text(status), "starting", "close other programs");
        return EXIT_FAILED;
    }
    int failed = sample_load(&job);
    failed = failed ? failed : sample_room(&job);
    failed = failed ? failed : sample_read_prompt(&job);
    /* Making the model took numbers of its own; from here on they are the seed's first. */
    rf_context_set_rng(job.ctx, (rf_rng){options->seed, 0});
    failed = failed ? failed : sample_text(&job);
    free(job.items);
    free(job.tokens);
    rf_module_destroy(job.model);
    rf_context_destroy(job.ctx);
    return failed;
}
