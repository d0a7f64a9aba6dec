/* rehearsal.c: see rehearsal.h. After a few steps every step is like the one before: bookkeeping
 * has grown to what it needs. */
#include "cli/rehearsal.h"

#include <string.h>

#include "cli/report.h"
#include "cli/step.h"

enum { REHEARSAL_STEPS = 4 };

int rehearsal_begin(rehearsal *r, const train_options *options, option_set given)
{
    *r = (rehearsal){.options = *options};
    int failed = session_begin(&r->session, &r->options, given, SESSION_DRY);
    return failed ? failed : session_begin_steps(&r->session);
}

void rehearsal_end(rehearsal *r)
{
    session_end(&r->session);
}

static rf_status rehearsal_take(void *payload)
{
    rehearsal *r = payload;
    figures f = {.step = 1};
    return step_take(&r->session, &f);
}

rf_training_step rehearsal_step(rehearsal *r)
{
    return (rf_training_step){rehearsal_take, r};
}

int rehearsal_apply(const rf_plan *plan, session *s)
{
    rf_plan *here;
    rf_status status = rf_plan_copy(&here, plan, s->ctx);
    if (!status) {
        status = rf_plan_apply(here, s->model);
        rf_plan_destroy(here);
    }
    if (!status)
        return EXIT_FINE;
    report_failure(s->ctx, "--plan",
                   "give a plan of this model, and parts of it that --checkpoint leaves alone");
    return EXIT_FAILED;
}

/* ---- the whole of a run ---- */

/* The peak since the last time it began again. */
static void rehearsal_note(rehearsal_figures *out, const rehearsal *r, uint64_t *peak)
{
    rf_memory_info info;
    if (rf_memory_get(r->session.ctx, RF_DEVICE_CPU, RF_MEM_ALL, &info))
        return;
    *peak = info.peak > *peak ? info.peak : *peak;
    out->peak = info.peak > out->peak ? info.peak : out->peak;
}

static rf_status rehearsal_one(rehearsal *r, rehearsal_figures *out, int last)
{
    figures f;
    rf_status status = RF_OK;
    rehearsal_note(out, r, &out->peak);
    if (last)
        status = rf_explain_create(&out->look, r->session.ctx);
    figures_begin(&f, r->session.ctx, ++r->step);
    if (!status)
        status = step_take(&r->session, &f);
    rehearsal_note(out, r, &out->step_peak);
    if (out->look)
        rf_explain_stop(out->look);
    return status;
}

/* What may come between two steps. */
static int rehearsal_between(rehearsal *r)
{
    const train_options *o = &r->options;
    double loss;
    int found;
    if (o->eval_every && step_held_out(&r->session, &loss, &found)) {
        report_failure(r->session.ctx, "foretelling the run", "leave out --eval-every");
        return EXIT_FAILED;
    }
    return o->save ? session_save(&r->session) : EXIT_FINE;
}

/* A run with a budget lays its pool out before anything else, by two dry steps: bookkeeping that
 * they make stays. */
static void rehearsal_pool(rehearsal *r)
{
    figures f = {.step = 1};
    for (int i = 0; i < 2; i++)
        if (step_take(&r->session, &f))
            return; /* the step will fail again, and be told */
}

static int rehearsal_steps(rehearsal *r, rehearsal_figures *out)
{
    rehearsal_pool(r);
    int failed = r->options.save ? session_save_first(&r->session) : EXIT_FINE;
    for (int i = 0; i < REHEARSAL_STEPS && !failed; i++) {
        if (rehearsal_one(r, out, i + 1 == REHEARSAL_STEPS)) {
            report_failure(r->session.ctx, "foretelling the run",
                           "train without --budget and --plan, and report it");
            return EXIT_FAILED;
        }
        failed = rehearsal_between(r);
    }
    rehearsal_note(out, r, &out->peak);
    if (out->look)
        out->seconds = rf_explain_total(out->look).seconds;
    return failed;
}

int rehearsal_play(rehearsal_figures *out, const train_options *options, option_set given,
                   const rf_plan *plan, rf_costs *costs)
{
    rehearsal_forget(out);
    int failed = rehearsal_begin(&out->of, options, given);
    if (!failed && plan)
        failed = rehearsal_apply(plan, &out->of.session);
    if (failed)
        return failed;
    rf_costs_use(costs, out->of.session.ctx);
    return rehearsal_steps(&out->of, out);
}

void rehearsal_forget(rehearsal_figures *f)
{
    rf_explain_destroy(f->look);
    rehearsal_end(&f->of);
    *f = (rehearsal_figures){.look = NULL};
}
