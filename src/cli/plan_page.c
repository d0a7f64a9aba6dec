/* plan_page.c: a plan as a page with pictures; see plan_show.h. */
#include <stdio.h>
#include <string.h>

#include "cli/chart.h"
#include "cli/numbers.h"
#include "cli/plan_show.h"
#include "cli/summary.h"

/* ---- the fate of each block ---- */

/* What a block does with its activations; the class of its colour. */
typedef enum page_fate { FATE_PLAIN, FATE_SOME, FATE_NONE, FATE_AWAY, FATES } page_fate;
static const char *const page_fates[FATES] = {
    "everything is kept", "some is kept, the rest computed again", "computed again",
    "some is sent to the host or a file"};

static page_fate page_fate_of(const char *fates)
{
    if (strstr(fates, "host=") || strstr(fates, "file=") || strstr(fates, "spill="))
        return FATE_AWAY;
    return *fates ? FATE_SOME : FATE_NONE;
}

/* Whether a part is about block `index`: it, a run of blocks with it, or something in it. */
static int page_part_has(const rf_plan_part *part, size_t index)
{
    char name[32];
    size_t len = (size_t)snprintf(name, sizeof name, "h.%zu", index);
    if (part->count && strcmp(part->path, "h") == 0)
        return index >= part->first && index - part->first < part->count;
    return !*part->path ||
           (strncmp(part->path, name, len) == 0 && (!part->path[len] || part->path[len] == '.'));
}

static void page_block(page *p, const budget *b, size_t index)
{
    page_fate fate = FATE_PLAIN;
    const char *text = "";
    for (size_t i = 0; b->plan && i < rf_plan_num_parts(b->plan); i++) {
        rf_plan_part part = rf_plan_part_at(b->plan, i);
        if (part.dial || !page_part_has(&part, index) || (fate != FATE_PLAIN && !*part.fates))
            continue;
        fate = page_fate_of(part.fates);
        text = part.fates;
    }
    page_addf(p, "<i class=\"f%d\" title=\"h.%zu: %s", (int)fate, index, page_fates[fate]);
    page_add(p, *text ? ": " : "");
    page_add_text(p, text);
    page_addf(p, "\">%zu</i>", index);
}

void plan_page_fates(page *p, const budget *b)
{
    page_add(p, "<h2>The fate of each block</h2>\n<ul class=\"legend\">");
    for (int fate = 0; fate < FATES; fate++)
        page_addf(p, "<li><i class=\"f%d\"></i>%s</li>", fate, page_fates[fate]);
    page_add(p, "</ul>\n<div class=\"blocks\">");
    for (size_t i = 0; i < b->options->layers; i++)
        page_block(p, b, i);
    page_add(p, "</div>\n");
}

/* ---- figures ---- */

static void page_tiles(page *p, const budget *b)
{
    char text[NUMBERS_TEXT];
    page_add(p, "<div class=\"tiles\">\n");
    if (b->options->budget)
        summary_tile(p, numbers_show_bytes(text, b->options->budget), "budget");
    summary_tile(p, numbers_show_bytes(text, b->chosen.peak), "peak of the run with the plan");
    summary_tile(p, numbers_show_bytes(text, b->plain.peak), "without");
    snprintf(text, sizeof text, "%.1f %%", budget_slower(b));
    summary_tile(p, text, "slower, as foretold");
    snprintf(text, sizeof text, "%zu", budget_regions(b));
    summary_tile(p, text, "regions");
    page_add(p, "</div>\n");
}

static void page_parts(page *p, const budget *b)
{
    char bytes[NUMBERS_TEXT];
    page_add(p, "<h2>The plan</h2>\n<div class=\"wide\"><table><tr><th>region</th><th>children</th>"
                "<th>what it keeps</th></tr>\n");
    for (size_t i = 0; i < rf_plan_num_parts(b->plan); i++) {
        rf_plan_part part = rf_plan_part_at(b->plan, i);
        page_add(p, "<tr><td><code>");
        page_add_text(p, *part.path ? part.path : "the whole model");
        page_add(p, "</code></td><td>");
        if (part.count)
            page_addf(p, "%zu to %zu", part.first, part.first + part.count - 1);
        page_add(p, "</td><td class=\"any\"><code>");
        if (part.dial)
            page_addf(p, "%s of ", numbers_show_bytes(bytes, part.bytes));
        page_add_text(p, part.dial ? part.dial : *part.fates ? part.fates : "nothing");
        page_add(p, "</code></td></tr>\n");
    }
    page_add(p, "</table></div>\n");
}

void plan_page(page *p, const budget *b)
{
    summary_begin(p, "A plan of Refrain");
    page_add(p,
             "<p class=\"soft\">What is foretold of a run, to the byte; seconds are those of its "
             "ops on this machine.</p>\n");
    page_tiles(p, b);
    page_add(p, "<h2>Budget and slow-down</h2>\n");
    chart_curve(p, b);
    page_add(p, "<h2>Memory during one step, with the plan</h2>\n");
    chart_memory(p, b->chosen.look, b->plain.look, b->options->budget);
    page_add(p, "<h2>Memory during one step, without</h2>\n");
    chart_memory(p, b->plain.look, NULL, b->options->budget);
    plan_page_fates(p, b);
    page_parts(p, b);
    summary_options(p, b->chosen.of.session.options);
    summary_end(p);
}
