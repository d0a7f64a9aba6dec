/* budget_refuse.c: see budget_refuse.h. What would help is tried, as a whole run in a dry context:
 * no figure here is a guess. */
#include "cli/budget_refuse.h"

#include <stdio.h>
#include <string.h>

#include "cli/numbers.h"
#include "cli/report.h"

enum { REFUSE_PIECES = 6 };

/* ---- what would help ---- */

/* Another way to train the same model: words for the command line, and what they set. */
typedef struct refuse_variant {
    char words[96];
    train_options options;
    option_set given;
} refuse_variant;

static int refuse_in_backward(refuse_variant *v)
{
    train_options *o = &v->options;
    if (o->step_in_backward)
        return 0;
    snprintf(v->words, sizeof v->words, "--step-in-backward%s", o->clip > 0 ? " --clip 0" : "");
    o->step_in_backward = 1;
    o->clip = 0;
    return 1;
}

static int refuse_moments(refuse_variant *v)
{
    if (v->options.moments == TRAIN_MOMENTS_FILE)
        return 0;
    snprintf(v->words, sizeof v->words, "--moments file");
    v->options.moments = TRAIN_MOMENTS_FILE;
    return 1;
}

static int refuse_tiers(refuse_variant *v)
{
    if (v->options.tiers & RF_PLAN_FILE)
        return 0;
    v->options.tiers |= RF_PLAN_FILE;
    snprintf(v->words, sizeof v->words, "--tiers %sfile",
             v->options.tiers & RF_PLAN_HOST ? "host," : "");
    return 1;
}

static int refuse_both(refuse_variant *v)
{
    char before[sizeof v->words];
    if (!refuse_in_backward(v))
        return 0;
    memcpy(before, v->words, sizeof before);
    if (!refuse_moments(v))
        return 0;
    snprintf(v->words, sizeof v->words, "%.40s --moments file", before);
    return 1;
}

static int refuse_no_checkpoint(refuse_variant *v)
{
    if (v->options.checkpoint.word == TRAIN_CHECKPOINT_NONE)
        return 0;
    v->options.checkpoint = (option_choice_n){TRAIN_CHECKPOINT_NONE, 0, NULL};
    snprintf(v->words, sizeof v->words, "--checkpoint none");
    return 1;
}

static int refuse_logits(refuse_variant *v)
{
    if (v->options.logits == TRAIN_LOGITS_AUTO)
        return 0;
    v->options.logits = TRAIN_LOGITS_AUTO;
    snprintf(v->words, sizeof v->words, "--logits auto");
    return 1;
}

static int refuse_batch(refuse_variant *v)
{
    train_options *o = &v->options;
    if (o->batch < 2 || o->resume)
        return 0;
    o->accumulate *= o->batch % 2 ? o->batch : 2;
    o->batch = o->batch % 2 ? 1 : o->batch / 2;
    snprintf(v->words, sizeof v->words, "--batch %llu --accumulate %llu",
             (unsigned long long)o->batch, (unsigned long long)o->accumulate);
    return 1;
}

static int refuse_context(refuse_variant *v)
{
    train_options *o = &v->options;
    const option_row *row = options_find(&train_table, "context", strlen("context"));
    if (o->context < 2 || o->resume)
        return 0;
    o->context /= 2;
    v->given |= (option_set)1 << (row - train_table.rows);
    snprintf(v->words, sizeof v->words, "--context %llu", (unsigned long long)o->context);
    return 1;
}

static int (*const refuse_variants[])(refuse_variant *) = {
    refuse_no_checkpoint, refuse_logits, refuse_tiers, refuse_in_backward,
    refuse_moments,       refuse_both,   refuse_batch, refuse_context};
enum { REFUSE_VARIANTS = sizeof refuse_variants / sizeof *refuse_variants };

/* One that does not work out is left out: it was only going to be a piece of advice. */
static void refuse_try(const budget *b, int (*set)(refuse_variant *))
{
    char bytes[NUMBERS_TEXT];
    budget other;
    refuse_variant v = {.options = *b->chosen.of.session.options, .given = b->given};
    if (!set(&v))
        return;
    v.options.costs = TRAIN_COSTS_MODEL;
    v.options.budget = 0;
    if (!budget_find_smallest(&other, &v.options, v.given) && other.smallest < b->smallest)
        report_more("with %s: %s (%llu bytes) would do", v.words,
                    numbers_show_bytes(bytes, other.smallest), (unsigned long long)other.smallest);
    budget_end(&other);
}

/* ---- what is held ---- */

static void refuse_piece(const rf_explain_live *live, uint64_t peak)
{
    char bytes[NUMBERS_TEXT];
    int book = live->cls == RF_MEM_OTHER && !live->num;
    report_more("%9s  %4.1f %%  %s%s%s%s%s%s", numbers_show_bytes(bytes, live->bytes),
                100.0 * (double)live->bytes / (double)peak, rf_mem_class_name(live->cls),
                book ? ", bookkeeping" : "", *live->op ? ", of " : "", live->op,
                *live->path ? " in " : "", live->path);
}

static void refuse_pieces(const budget *b)
{
    const rf_explain *e = b->chosen.look;
    rf_explain_totals t = rf_explain_total(e);
    report_more("at its peak, in the %s%s%s, there are held:", rf_phase_name(t.peak_phase),
                *t.peak_path ? " of " : "", t.peak_path);
    for (size_t i = 0; i < rf_explain_num_live(e) && i < REFUSE_PIECES; i++) {
        rf_explain_live live = rf_explain_live_at(e, i);
        refuse_piece(&live, t.peak);
    }
}

int budget_refuse(budget *b)
{
    char what[256], advice[128], wanted[NUMBERS_TEXT], needed[NUMBERS_TEXT];
    snprintf(what, sizeof what,
             "--budget %llu (%s) is too small: the smallest for this run is %llu bytes (%s)",
             (unsigned long long)b->options->budget, numbers_show_bytes(wanted, b->options->budget),
             (unsigned long long)b->smallest, numbers_show_bytes(needed, b->smallest));
    snprintf(advice, sizeof advice, "give --budget %llu, or hold less",
             (unsigned long long)b->smallest);
    report_error(what, "--budget", advice);
    refuse_pieces(b);
    for (int i = 0; i < REFUSE_VARIANTS; i++)
        refuse_try(b, refuse_variants[i]);
    return EXIT_FAILED;
}

/* ---- where --memory failed ---- */

static int advice_block(char *buffer, size_t bytes, const train_options *o, option_set given)
{
    rehearsal_figures f = {.look = NULL};
    train_options other = *o;
    if (o->checkpoint.word != TRAIN_CHECKPOINT_NONE)
        return 0;
    other.checkpoint = (option_choice_n){TRAIN_CHECKPOINT_BLOCK, 0, NULL};
    int fits = !rehearsal_play(&f, &other, given, NULL, NULL) && f.peak <= o->memory;
    if (fits)
        snprintf(buffer, bytes,
                 "give --checkpoint block, which takes %llu bytes, or --budget %llu "
                 "in place of --memory",
                 (unsigned long long)f.peak, (unsigned long long)o->memory);
    rehearsal_forget(&f);
    return fits;
}

const char *budget_advice(char *buffer, size_t bytes, const train_options *o, option_set given)
{
    budget b;
    train_options other = *o;
    *buffer = '\0';
    if (advice_block(buffer, bytes, o, given))
        return buffer;
    other.costs = TRAIN_COSTS_MODEL;
    if (!budget_find_smallest(&b, &other, given)) {
        if (b.smallest <= o->memory)
            snprintf(buffer, bytes, "give --budget %llu in place of --memory",
                     (unsigned long long)o->memory);
        else
            snprintf(buffer, bytes,
                     "give --budget %llu in place of --memory, or hold less: --step-in-backward, "
                     "--moments file, a smaller --batch with --accumulate, or a smaller --context",
                     (unsigned long long)b.smallest);
    }
    budget_end(&b);
    return buffer;
}
