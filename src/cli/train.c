/* train.c: refrain train. A run is: options settled, session built, steps taken, end told.
 *
 * Between two steps everything that matters is in the session, and a save writes all of it; so a
 * run that was stopped, however, goes on from its last save with the same bits. */
#include "cli/train.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/budget.h"
#include "cli/insight.h"
#include "cli/interrupt.h"
#include "cli/log.h"
#include "cli/numbers.h"
#include "cli/paths.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/resume.h"
#include "cli/session.h"
#include "cli/step.h"

typedef struct train_job {
    train_options *options;
    session session;
    budget budget;
    train_log log;
    progress progress;
    insight look;
    uint64_t begun; /* the step that it goes on after; 0: a new run */
    double clock;
    uint64_t peak, activation_peak; /* of all steps */
    char *texts;                    /* of a resumed run's options */
    option_list paths;              /* made absolute; each is ours */
} train_job;

static int train_failed(train_job *job, const char *doing, uint64_t step)
{
    const rf_context *ctx = job->session.ctx;
    rf_status code = rf_context_error(ctx)->code;
    char where[96], buffer[SESSION_ADVICE];
    const char *advice = "please report it, with the command line";
    if (code == RF_E_USER)
        advice = "lower --lr";
    else if (code == RF_E_IO && strncmp(rf_context_error(ctx)->message, "spill:", 6) == 0)
        advice = "give --spill FOLDER, one with room";
    else if (code == RF_E_FORMAT || code == RF_E_IO)
        advice = "check the files of --data";
    snprintf(where, sizeof where, "%s step %llu", doing, (unsigned long long)step);
    progress_end(&job->progress);
    report_failure(ctx, where, session_advice(&job->session, buffer, advice));
    return EXIT_FAILED;
}

/* ---- before the first step ------------------------------------------------------------------- */

/* A path that still means the same file when the run goes on in another folder. */
static const char *train_absolute(train_job *job, const char *path)
{
    static const option_row row = {.kind = OPTION_LIST};
    char buffer[PATHS_BYTES];
    option_error error;
    if (!paths_absolute(buffer, path))
        return NULL;
    char *copy = malloc(strlen(buffer) + 1);
    if (!copy)
        return NULL;
    strcpy(copy, buffer);
    if (!options_set(&train_table, &row, copy, &job->paths, &error)) {
        free(copy);
        return NULL;
    }
    return copy;
}

static int train_settle_paths(train_job *job)
{
    train_options *o = job->options;
    for (size_t i = 0; i < o->data.num; i++)
        if (!(o->data.v[i] = train_absolute(job, o->data.v[i])))
            return EXIT_FAILED;
    if (o->log && !(o->log = train_absolute(job, o->log)))
        return EXIT_FAILED;
    if (o->spill && !(o->spill = train_absolute(job, o->spill)))
        return EXIT_FAILED;
    if (o->plan && !(o->plan = train_absolute(job, o->plan)))
        return EXIT_FAILED;
    return EXIT_FINE;
}

static int train_settle(train_job *job, option_set given)
{
    train_options *o = job->options;
    if (o->resume) {
        int failed = resume_options(o, given, &job->texts);
        if (failed)
            return failed;
    }
    if (!o->data.num) {
        report_error("--data is missing", "refrain train", "give --data FILE|FOLDER ...");
        return EXIT_USAGE;
    }
    if (o->budget && o->memory) {
        report_error("--budget and --memory exclude each other", "refrain train",
                     "give --budget alone: it is a limit too");
        return EXIT_USAGE;
    }
    job->begun = o->resume ? o->step : 0;
    return train_settle_paths(job);
}

/* Only when all that was given is known to make sense. */
static int train_make_folders(const train_options *o)
{
    if (o->save && !paths_make_folder(o->save, "--save"))
        return EXIT_FAILED;
    return o->spill && !paths_make_folder(o->spill, "--spill") ? EXIT_FAILED : EXIT_FINE;
}

static void train_greet_plan(const budget *b)
{
    char peak[NUMBERS_TEXT], plain[NUMBERS_TEXT];
    printf("plan   %zu regions, peak %s, plain %s; %.1f %% slower foretold, found in %.1f s\n",
           budget_regions(b), numbers_show_bytes(peak, b->chosen.peak),
           numbers_show_bytes(plain, b->plain.peak), budget_slower(b), b->seconds);
}

static void train_greet(const train_job *job)
{
    const train_options *o = job->options;
    const session *s = &job->session;
    char checkpoint[256] = "";
    const option_row *row = options_find(&train_table, "checkpoint", strlen("checkpoint"));
    options_show(row, o, 0, checkpoint, sizeof checkpoint);
    printf("model  %llu parameters: %llu layers, width %llu, %llu heads, context %llu, %llu "
           "tokens\n",
           (unsigned long long)s->parameters, (unsigned long long)o->layers,
           (unsigned long long)o->width, (unsigned long long)o->heads,
           (unsigned long long)o->context, (unsigned long long)o->vocab);
    printf("data   %llu tokens, and %llu held out\n",
           (unsigned long long)rf_dataset_tokens(s->data),
           (unsigned long long)rf_dataset_held_out(s->data));
    printf("run    %llu steps of %llu tokens, checkpoint %s, %llu threads, %s\n",
           (unsigned long long)o->steps,
           (unsigned long long)(o->batch * o->context * o->accumulate), checkpoint,
           (unsigned long long)o->threads, o->isa);
    if (budget_wanted(o))
        train_greet_plan(&job->budget);
    if (job->begun)
        printf("       goes on after step %llu\n", (unsigned long long)job->begun);
    fflush(stdout);
}

/* The step that was taken last, or the first: nothing but the learning rate is what comes of it. */
static rf_status train_rehearse(void *payload)
{
    train_job *job = payload;
    figures f = {.step = job->begun ? job->begun : 1};
    return step_take(&job->session, &f);
}

/* The process is to hold no more than the ledger says, and no page is to come or go while it
 * trains: tensors share one pool. What stands against that (addresses, an allocator) stands against
 * no training. */
static void train_pool(train_job *job)
{
    const rf_training_step step = {train_rehearse, job};
    budget_give_back();
    (void)!rf_pool_use(job->session.ctx, job->options->budget, &step);
}

static int train_start(train_job *job, option_set given)
{
    train_options *o = job->options;
    int failed = budget_wanted(o) ? budget_find(&job->budget, o, given) : EXIT_FINE;
    failed = failed ? failed : session_begin(&job->session, o, given, SESSION_REAL);
    failed = failed ? failed : train_make_folders(o);
    failed = failed ? failed : session_begin_steps(&job->session);
    if (!failed && job->budget.plan)
        failed = rehearsal_apply(job->budget.plan, &job->session);
    if (failed)
        return failed;
    train_pool(job);
    failed = log_open(&job->log, o->log, job->begun);
    if (failed)
        return failed;
    train_greet(job);
    failed = insight_begin(&job->look, &job->session, &job->budget, job->begun);
    if (failed || !o->save)
        return failed;
    if (!o->resume)
        resume_set_aside(o->save);
    return session_save_first(&job->session);
}

/* ---- steps -------------------------------------------------------------------------------------
 */

static int train_due(uint64_t every, uint64_t step)
{
    return every && step % every == 0;
}

static int train_look(train_job *job, figures *f)
{
    const train_options *o = job->options;
    if (!train_due(o->eval_every, f->step) && !(o->eval_every && f->step == o->steps))
        return EXIT_FINE;
    if (step_held_out(&job->session, &f->held_out_loss, &f->has_held_out))
        return train_failed(job, "evaluation after", f->step);
    return EXIT_FINE;
}

/* The line that is written over is left first, where something is going to be told. */
static int train_explain(train_job *job, const figures *f)
{
    if (job->options->explain && f->step == job->look.at)
        progress_end(&job->progress);
    return insight_after(&job->look, &job->session, f);
}

static int train_one(train_job *job, uint64_t step)
{
    const train_options *o = job->options;
    figures f;
    int failed = insight_before(&job->look, &job->session, step);
    if (failed)
        return failed;
    rf_pool_step(job->session.ctx);
    figures_begin(&f, job->session.ctx, step);
    rf_status status = step_take(&job->session, &f);
    figures_end(&f, job->session.ctx);
    insight_stop(&job->look);
    if (status)
        return train_failed(job, "training", step);
    failed = train_look(job, &f);
    if (failed)
        return failed;
    job->peak = f.peak_bytes > job->peak ? f.peak_bytes : job->peak;
    if (f.activation_peak_bytes > job->activation_peak)
        job->activation_peak = f.activation_peak_bytes;
    progress_step(&job->progress, &f);
    failed = train_explain(job, &f);
    failed = failed ? failed : log_step(&job->log, &f);
    if (!failed && o->save && (train_due(o->save_every, step) || step == o->steps))
        failed = session_save(&job->session);
    return failed;
}

static int train_stop(train_job *job, uint64_t step)
{
    const train_options *o = job->options;
    progress_end(&job->progress);
    int unwritten = insight_write(&job->look, &job->session);
    if (unwritten)
        return unwritten;
    if (!o->save) {
        fprintf(stderr, "refrain: stopped after step %llu; nothing is saved, for want of --save\n",
                (unsigned long long)step);
        return EXIT_STOPPED;
    }
    int failed = session_save(&job->session);
    if (failed)
        return failed;
    fprintf(stderr,
            "refrain: stopped after step %llu; saved in %s; go on with: refrain train "
            "--resume %s\n",
            (unsigned long long)step, o->save, o->save);
    return EXIT_STOPPED;
}

static int train_steps(train_job *job)
{
    uint64_t steps = job->options->steps;
    progress_begin(&job->progress, job->begun, steps);
    for (uint64_t step = job->begun + 1; step <= steps; step++) {
        int failed = train_one(job, step);
        if (failed) {
            progress_end(&job->progress);
            return failed;
        }
        if (interrupt_asked() && step < steps)
            return train_stop(job, step);
    }
    progress_end(&job->progress);
    return EXIT_FINE;
}

/* ---- the end ------------------------------------------------------------------------------------
 */

static int train_finish(train_job *job)
{
    const train_options *o = job->options;
    char bytes[NUMBERS_TEXT], part[NUMBERS_TEXT], time[NUMBERS_TEXT];
    log_end end = {.steps = o->steps,
                   .parameters = job->session.parameters,
                   .seconds = figures_clock() - job->clock,
                   .peak_bytes = job->peak,
                   .activation_peak_bytes = job->activation_peak};
    if (budget_wanted(o)) {
        end.predicted_peak_bytes = job->budget.chosen.step_peak;
        end.predicted_slower = budget_slower(&job->budget);
        end.planned = 1;
    }
    if (rf_module_hash(job->session.model, &end.hash))
        return train_failed(job, "hashing after", o->steps);
    printf("done   %s, memory at most %s (activations %s), parameters %016llx\n",
           numbers_show_seconds(time, end.seconds), numbers_show_bytes(bytes, job->peak),
           numbers_show_bytes(part, job->activation_peak), (unsigned long long)end.hash);
    if (end.planned)
        printf("plan   peak %llu bytes foretold, %llu measured\n",
               (unsigned long long)end.predicted_peak_bytes, (unsigned long long)end.peak_bytes);
    if (o->save)
        printf("saved  %s; try: refrain sample --from %s\n", o->save, o->save);
    if (o->report)
        printf("report %s\n", o->report);
    int failed = insight_write(&job->look, &job->session);
    return failed ? failed : log_done(&job->log, &end);
}

int train_run(train_options *options, option_set given)
{
    train_job job = {.options = options, .clock = figures_clock()};
    interrupt_begin();
    int failed = train_settle(&job, given);
    if (!failed)
        failed = train_start(&job, given);
    if (!failed)
        failed = train_steps(&job);
    if (!failed)
        failed = train_finish(&job);
    int unclosed = log_close(&job.log);
    insight_end(&job.look);
    session_end(&job.session);
    budget_end(&job.budget);
    options_end(&train_table, options);
    for (size_t i = 0; i < job.paths.num; i++)
        free((void *)(uintptr_t)job.paths.v[i]);
    free(job.paths.v);
    free(job.texts);
    return failed ? failed : unclosed;
}
