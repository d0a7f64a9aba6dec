/* info.c: refrain info: the tensors of a file, how many parameters they make, what model they are
 * and whether a run can go on from there. Reads headers only, so size is no matter. */
#include "cli/info.h"

#include <stdio.h>
#include <string.h>

#include <refrain/io.h>

#include "cli/folder.h"
#include "cli/numbers.h"
#include "cli/paths.h"
#include "cli/report.h"
#include "cli/saved_options.h"

static void info_shape(const rf_safetensors_entry *entry, char *buffer, size_t bytes)
{
    int len = snprintf(buffer, bytes, "(");
    for (size_t i = 0; i < entry->rank && len < (int)bytes; i++)
        len += snprintf(buffer + len, bytes - (size_t)len, "%s%lld", i ? ", " : "",
                        (long long)entry->dims[i]);
    if (len < (int)bytes)
        snprintf(buffer + len, bytes - (size_t)len, ")");
}

/* Masks of attention, and a head that is the embedding, are in some files; they are not trained. */
static int info_is_parameter(const char *name)
{
    static const char *const others[] = {"*.attn.bias", "*.attn.masked_bias", "lm_head.weight"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (rf_pattern_matches(others[i], name))
            return 0;
    return 1;
}

static uint64_t info_count(const rf_safetensors_entry *entry)
{
    uint64_t count = 1;
    for (size_t i = 0; i < entry->rank; i++)
        count *= (uint64_t)entry->dims[i];
    return count;
}

static int info_tensors(rf_context *ctx, const rf_safetensors *file)
{
    size_t num = rf_safetensors_num(file), widest = 4;
    uint64_t parameters = 0, bytes = 0;
    char shape[256], size[NUMBERS_TEXT];
    rf_safetensors_entry entry;
    for (size_t i = 0; i < num; i++)
        if (!rf_safetensors_get(file, i, &entry) && strlen(entry.name) > widest)
            widest = strlen(entry.name);
    widest = widest > 64 ? 64 : widest;
    printf("%-*s  %-5s  %-18s  %s\n", (int)widest, "name", "type", "shape", "bytes");
    for (size_t i = 0; i < num; i++) {
        if (rf_safetensors_get(file, i, &entry)) {
            report_failure(ctx, "reading the table", "try another file");
            return EXIT_FAILED;
        }
        info_shape(&entry, shape, sizeof shape);
        printf("%-*s  %-5s  %-18s  %llu\n", (int)widest, entry.name, entry.dtype_name, shape,
               (unsigned long long)entry.bytes);
        parameters += info_is_parameter(entry.name) ? info_count(&entry) : 0;
        bytes += entry.bytes;
    }
    printf("\n%llu tensors, %llu parameters, %s\n", (unsigned long long)num,
           (unsigned long long)parameters, numbers_show_bytes(size, bytes));
    return EXIT_FINE;
}

static int info_file(rf_context *ctx, const char *path)
{
    rf_safetensors *file;
    if (rf_safetensors_open(&file, ctx, path)) {
        report_failure(ctx, path,
                       "give a folder that refrain train --save made, or a safetensors "
                       "file");
        return EXIT_FAILED;
    }
    int failed = info_tensors(ctx, file);
    rf_safetensors_close(file);
    return failed;
}

static int info_config(rf_context *ctx, const char *folder)
{
    folder_config config;
    int failed = folder_read_config(ctx, folder, &config);
    if (failed)
        return failed;
    printf("GPT-2: %lld layers, width %lld, %lld heads, context %lld, %lld tokens\n",
           (long long)config.shape.layers, (long long)config.shape.width,
           (long long)config.shape.heads, (long long)config.shape.context,
           (long long)config.shape.vocab);
    return EXIT_FINE;
}

static int info_run_state(rf_context *ctx, const char *folder)
{
    char path[PATHS_BYTES], *text;
    train_options saved;
    option_error error;
    if (!paths_join(path, folder, FOLDER_STATE))
        return EXIT_FAILED;
    if (!paths_is_file(path))
        return EXIT_FINE;
    if (rf_state_options(&text, ctx, path)) {
        report_failure(ctx, path, "the model beside it is good; --resume needs another state");
        return EXIT_FAILED;
    }
    int failed = EXIT_FINE;
    if (!saved_options_read(text, &saved, &error)) {
        report_error(error.what, path, error.advice);
        failed = EXIT_FAILED;
    } else {
        printf("run: step %llu of %llu%s%s\n", (unsigned long long)saved.step,
               (unsigned long long)saved.steps,
               saved.step < saved.steps ? "; goes on with: refrain train --resume " : "",
               saved.step < saved.steps ? folder : "");
    }
    options_end(&train_table, &saved);
    rf_text_free(ctx, text);
    return failed;
}

static int info_folder(rf_context *ctx, const char *folder)
{
    char path[PATHS_BYTES];
    if (!paths_join(path, folder, FOLDER_MODEL))
        return EXIT_FAILED;
    int failed = info_file(ctx, path);
    failed = failed ? failed : info_config(ctx, folder);
    return failed ? failed : info_run_state(ctx, folder);
}

int info_run(const info_options *options)
{
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_context *ctx;
    opts.threads = 1;
    if (!options->path) {
        report_error("a folder or file is missing", "refrain info",
                     "give a saved folder or a safetensors file");
        return EXIT_USAGE;
    }
    if (rf_context_create(&ctx, &opts)) {
        report_error("no memory", "starting", "close other programs");
        return EXIT_FAILED;
    }
    int failed = paths_is_folder(options->path) ? info_folder(ctx, options->path)
                                                : info_file(ctx, options->path);
    rf_context_destroy(ctx);
    return failed;
}
