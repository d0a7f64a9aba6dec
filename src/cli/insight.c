/* insight.c: see insight.h. The plain step runs after the watched one, on the same model with its
 * checkpoints taken away for as long: forward and backward of a batch of its own, whose gradients
 * are dropped and whose random numbers are given back. */
#include "cli/insight.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <refrain/io.h>

#include "cli/checkpoints.h"
#include "cli/report.h"
#include "cli/step.h"
#include "cli/summary.h"

/* The first steps fill caches. */
enum { INSIGHT_STEP = 3 };

static int insight_failed(const session *s, const char *where)
{
    char buffer[SESSION_ADVICE];
    report_failure(s->ctx, where, session_advice(s, buffer, "leave --explain and --report out"));
    return EXIT_FAILED;
}

int insight_begin(insight *look, session *s, const budget *b, uint64_t begun)
{
    const train_options *o = s->options;
    *look = (insight){.options = o, .budget = b, .stride = 1, .wanted = o->explain || o->report};
    look->at = begun + INSIGHT_STEP < o->steps ? begun + INSIGHT_STEP : o->steps;
    return look->wanted ? insight_write(look, s) : EXIT_FINE;
}

int insight_before(insight *look, session *s, uint64_t step)
{
    if (!look->wanted || step != look->at)
        return EXIT_FINE;
    return rf_explain_create(&look->chosen, s->ctx) ? insight_failed(s, "--explain") : EXIT_FINE;
}

void insight_stop(insight *look)
{
    if (look->chosen)
        rf_explain_stop(look->chosen);
}

/* ---- the course of the run ---- */

/* Two neighbours become one, which keeps its place as the last of them. */
static void insight_halve(insight *look)
{
    for (size_t i = 0; i < INSIGHT_POINTS / 2; i++) {
        const insight_point *a = &look->points[2 * i], *b = a + 1;
        insight_point both = *b;
        both.loss = 0.5 * (a->loss + b->loss);
        if (!b->has_held_out) {
            both.has_held_out = a->has_held_out;
            both.held_out = a->held_out;
        }
        look->points[i] = both;
    }
    look->num = INSIGHT_POINTS / 2;
    look->stride *= 2;
}

static void insight_course(insight *look, const figures *f)
{
    if (!look->num || look->in_newest == look->stride) {
        if (look->num == INSIGHT_POINTS)
            insight_halve(look);
        look->points[look->num++] = (insight_point){.step = f->step};
        look->in_newest = 0;
    }
    insight_point *p = &look->points[look->num - 1];
    p->loss += (f->loss - p->loss) / (double)++look->in_newest;
    p->step = f->step;
    if (f->has_held_out) {
        p->has_held_out = 1;
        p->held_out = f->held_out_loss;
    }
    look->steps++;
    look->tokens += f->tokens;
    look->seconds += f->seconds;
    look->recompute_seconds += f->recompute_seconds;
    look->peak = f->peak_bytes > look->peak ? f->peak_bytes : look->peak;
    if (f->activation_peak_bytes > look->activation_peak)
        look->activation_peak = f->activation_peak_bytes;
}

/* ---- the plain step ---- */

/* Whether what regions avoided would have found room: below the limit, or in free memory. */
static int insight_fits(const insight *look)
{
    rf_explain_totals t = rf_explain_total(look->chosen);
    long pages = sysconf(_SC_AVPHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
    uint64_t available = pages > 0 && bytes > 0 ? (uint64_t)pages * (uint64_t)bytes : UINT64_MAX;
    if (t.limit && t.peak + t.avoided > t.limit)
        return 0;
    return t.avoided < available / 2;
}

static int insight_plain_step(insight *look, session *s)
{
    rf_rng rng = rf_context_rng(s->ctx);
    if (rf_explain_create(&look->plain, s->ctx))
        return insight_failed(s, "--report");
    rf_status status = step_rehearse(s);
    rf_explain_stop(look->plain);
    rf_context_set_rng(s->ctx, rng);
    if (!status)
        return EXIT_FINE;
    rf_explain_destroy(look->plain);
    look->plain = NULL;
    look->no_plain = "a plain step does not fit into memory";
    return status == RF_E_BUDGET || status == RF_E_MEMORY ? EXIT_FINE
                                                          : insight_failed(s, "a plain step");
}

static int insight_compare(insight *look, session *s)
{
    const train_options *o = look->options;
    if (!o->report || look->budget->plan || o->checkpoint.word == TRAIN_CHECKPOINT_NONE)
        return EXIT_FINE; /* of a plan it is foretold */
    look->no_plain = "a plain step does not fit into memory";
    if (!insight_fits(look))
        return EXIT_FINE;
    look->no_plain = NULL;
    if (checkpoints_clear(s->model, o->checkpoint, o->layers))
        return insight_failed(s, "--report");
    int failed = insight_plain_step(look, s);
    if (checkpoints_apply(s->model, o->checkpoint, o->layers))
        return insight_failed(s, "--report");
    return failed;
}

int insight_after(insight *look, session *s, const figures *f)
{
    if (!look->wanted)
        return EXIT_FINE;
    insight_course(look, f);
    if (f->step != look->at)
        return EXIT_FINE;
    int failed = insight_compare(look, s);
    return failed ? failed : insight_tell(look, s);
}

/* ---- telling ---- */

static rf_status insight_print(void *payload, const void *bytes, size_t num)
{
    (void)payload;
    return fwrite(bytes, 1, num, stdout) == num ? RF_OK : RF_E_IO;
}

int insight_tell(insight *look, session *s)
{
    if (!look->options->explain)
        return EXIT_FINE;
    printf("\nstep %llu, explained\n", (unsigned long long)look->at);
    if (rf_explain_text(look->chosen, (rf_write){insight_print, NULL}) == RF_E_STATE)
        return insight_failed(s, "--explain");
    printf("\n");
    fflush(stdout); /* a failure of writing is told at the end of the process */
    return EXIT_FINE;
}

int insight_write(insight *look, session *s)
{
    const char *path = look->options->report;
    page p = {NULL, 0, 0, 0};
    int failed = EXIT_FINE;
    if (!path)
        return EXIT_FINE;
    summary_page(&p, look, s);
    if (p.failed) {
        report_error("no memory", path, "close other programs");
        failed = EXIT_FAILED;
    } else if (rf_text_write(s->ctx, path, p.text, p.len)) {
        report_failure(s->ctx, "--report", "give a file in a folder that can be written to");
        failed = EXIT_FAILED;
    }
    page_end(&p);
    return failed;
}

void insight_end(insight *look)
{
    rf_explain_destroy(look->chosen);
    rf_explain_destroy(look->plain);
}
