/* resume.c: see resume.h. Only the state file is read: what else is in the folder are copies. */
#include "cli/resume.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/folder.h"
#include "cli/paths.h"
#include "cli/report.h"
#include "cli/saved_options.h"

/* The saved text as a copy of the C library's, NULL if there is none to be read. */
static char *resume_text(rf_context *ctx, const char *path)
{
    char *saved, *copy = NULL;
    if (rf_state_options(&saved, ctx, path)) {
        report_failure(ctx, path,
                       rf_context_error(ctx)->code == RF_E_FORMAT
                           ? "give an older copy of that file, or begin a new run"
                           : "give a folder that a run with --save has saved to");
        return NULL;
    }
    size_t bytes = strlen(saved) + 1;
    copy = malloc(bytes);
    if (copy)
        memcpy(copy, saved, bytes);
    else
        report_error("no memory", path, "close other programs");
    rf_text_free(ctx, saved);
    return copy;
}

/* How the run's own threads and generator are set is in the text, so that a context of no account
 * reads it. */
static char *resume_read(const char *folder)
{
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    char path[PATHS_BYTES];
    rf_context *ctx;
    opts.threads = 1;
    if (!paths_join(path, folder, FOLDER_STATE))
        return NULL;
    if (rf_context_create(&ctx, &opts)) {
        report_error("no memory", path, "close other programs");
        return NULL;
    }
    char *text = resume_text(ctx, path);
    rf_context_destroy(ctx);
    return text;
}

static void resume_refuse(const option_row *row, const train_options *saved,
                          const train_options *wanted)
{
    char what[512], advice[512], there[128], here[128];
    int list = row->kind == OPTION_LIST;
    snprintf(there, sizeof there, "other values");
    snprintf(here, sizeof here, "these");
    if (!list) {
        options_show(row, saved, 0, there, sizeof there);
        options_show(row, wanted, 0, here, sizeof here);
    }
    snprintf(what, sizeof what, "--%s can't change on --resume: the run has %s, not %s", row->name,
             there, here);
    snprintf(advice, sizeof advice, "leave out --%s, or begin a run of its own", row->name);
    report_error(what, "refrain train", advice);
}

/* One of the two limits takes the other's place. */
static void resume_limits(train_options *saved, const train_options *wanted, option_set given)
{
    const option_row *memory = options_find(&train_table, "memory", strlen("memory"));
    const option_row *budget = options_find(&train_table, "budget", strlen("budget"));
    int has_memory = given >> (memory - train_table.rows) & 1 && wanted->memory;
    int has_budget = given >> (budget - train_table.rows) & 1 && wanted->budget;
    if (has_memory && !has_budget)
        saved->budget = 0;
    if (has_budget && !has_memory)
        saved->memory = 0;
}

/* Take what was given and may change from wanted to saved; 0 if something else was given. */
static int resume_merge(train_options *saved, train_options *wanted, option_set given)
{
    resume_limits(saved, wanted, given);
    for (size_t i = 0; i < train_table.num; i++) {
        const option_row *row = &train_table.rows[i];
        if (!row->name || !(given >> i & 1))
            continue;
        if (row->flags & OPTION_CHANGEABLE) {
            options_move(row, saved, wanted);
        } else if (!(row->flags & OPTION_STORED)) {
            report_error("--init and --resume exclude each other", "refrain train",
                         "leave out --init: the saved run has its weights");
            return 0;
        } else if (!options_equal(row, saved, wanted)) {
            resume_refuse(row, saved, wanted);
            return 0;
        }
    }
    return 1;
}

static int resume_check(const train_options *options, uint64_t saved_threads)
{
    char what[128];
    if (options->threads != saved_threads)
        report_note("the run had %llu threads: with another number its last bits may differ",
                    (unsigned long long)saved_threads);
    if (options->steps >= options->step)
        return EXIT_FINE;
    snprintf(what, sizeof what, "the run is at step %llu already, past --steps %llu",
             (unsigned long long)options->step, (unsigned long long)options->steps);
    report_error(what, options->resume, "give more steps");
    return EXIT_USAGE;
}

int resume_options(train_options *options, option_set given, char **text)
{
    train_options saved;
    option_error error;
    const char *folder = options->resume;
    *text = resume_read(folder);
    if (!*text)
        return EXIT_FAILED;
    int status = EXIT_FINE;
    if (!saved_options_read(*text, &saved, &error)) {
        report_error(error.what, folder, error.advice);
        status = EXIT_FAILED;
    }
    uint64_t threads = saved.threads;
    if (!status && !resume_merge(&saved, options, given))
        status = EXIT_USAGE;
    options_end(&train_table, options);
    *options = saved;
    options->resume = folder;
    if (!options->save)
        options->save = folder;
    return status ? status : resume_check(options, threads);
}

/* ---- a new run over an old one ------------------------------------------------------------------
 */

static int resume_unfinished(const char *path, uint64_t *step, uint64_t *steps)
{
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_context *ctx;
    train_options saved;
    option_error error;
    char *text;
    int unfinished = 0;
    opts.threads = 1;
    if (rf_context_create(&ctx, &opts))
        return 0;
    if (!rf_state_options(&text, ctx, path)) {
        unfinished = saved_options_read(text, &saved, &error) && saved.step < saved.steps;
        *step = saved.step;
        *steps = saved.steps;
        options_end(&train_table, &saved);
        rf_text_free(ctx, text);
    }
    rf_context_destroy(ctx);
    return unfinished && *step > 0;
}

void resume_set_aside(const char *folder)
{
    char path[PATHS_BYTES], aside[PATHS_BYTES];
    uint64_t step, steps;
    if (!paths_join(path, folder, FOLDER_STATE) ||
        !paths_join(aside, folder, FOLDER_STATE ".before") || !paths_is_file(path) ||
        !resume_unfinished(path, &step, &steps))
        return;
    unlink(aside);
    if (link(path, aside) == 0)
        report_note("%s held a run that stopped at step %llu of %llu; its state is kept as %s",
                    folder, (unsigned long long)step, (unsigned long long)steps, aside);
}
