/* summary_step.c: the part of the page that is of the step that was watched. */
#include <stdio.h>
#include <string.h>

#include "cli/chart.h"
#include "cli/numbers.h"
#include "cli/plan_show.h"
#include "cli/summary.h"

enum { SUMMARY_ROWS = 24 /* of what was held at the peak */ };

/* ---- plain and chosen ---- */

static void summary_compare_row(page *p, const char *name, const rf_explain *e)
{
    char peak[NUMBERS_TEXT];
    rf_explain_totals t = rf_explain_total(e);
    uint64_t activations = 0;
    for (size_t i = 0; i < rf_explain_num_points(e); i++) {
        rf_explain_point point = rf_explain_point_at(e, i);
        if (point.bytes[RF_MEM_ACTIVATION] > activations)
            activations = point.bytes[RF_MEM_ACTIVATION];
    }
    page_add(p, "<tr><td>");
    page_add_text(p, name);
    page_addf(p, "</td><td class=\"n\">%s</td>", numbers_show_bytes(peak, t.peak));
    page_addf(p, "<td class=\"n\">%s</td><td class=\"n\">%.1f</td>",
              numbers_show_bytes(peak, activations), 1e3 * t.seconds);
    page_addf(p, "<td class=\"n\">%.1f</td><td class=\"n\">%llu</td></tr>\n",
              1e3 * t.recompute_seconds, (unsigned long long)t.kernels);
}

static void summary_compare(page *p, const insight *look, const char *chosen)
{
    page_add(p, "<h2>Plain and as chosen</h2>\n");
    if (!look->plain) {
        page_addf(p, "<p class=\"soft\">Not measured: %s.</p>\n",
                  look->no_plain ? look->no_plain : "the run is plain");
        return;
    }
    page_add(p, "<div class=\"wide\"><table><tr><th>checkpoint</th><th class=\"n\">peak</th>"
                "<th class=\"n\">activations, at most</th><th class=\"n\">time, ms</th>"
                "<th class=\"n\">computing again, ms</th><th class=\"n\">kernels</th></tr>\n");
    summary_compare_row(p, "none: forward and backward", look->plain);
    summary_compare_row(p, chosen, look->chosen);
    page_add(p, "</table></div>\n");
}

/* ---- the peak ---- */

static void summary_live_row(page *p, const rf_explain_live *live, uint64_t peak, uint64_t most)
{
    double share = peak ? 100.0 * (double)live->bytes / (double)peak : 0;
    page_add(p, "<tr>");
    page_add_cell(p, live->bytes);
    page_addf(p, "<td class=\"n\">%.1f %%</td>", share);
    page_addf(p, "<td class=\"bar\"><i class=\"c%d\" style=\"width:%.1f%%\"></i></td>",
              (int)live->cls, 100.0 * (double)live->bytes / (double)most);
    page_addf(p, "<td>%s</td><td>", rf_mem_class_name(live->cls));
    if (live->cls == RF_MEM_OTHER && !live->num)
        page_add(p, "bookkeeping");
    else if (live->before)
        page_add(p, "held before the step");
    else if (!*live->op && !*live->path)
        page_add(p, "outside of ops");
    page_add_text(p, live->op);
    page_add(p, "</td><td><code>");
    page_add_text(p, live->path);
    page_addf(p, "</code></td><td class=\"n\">%s", "");
    if (live->num)
        page_addf(p, "%llu", (unsigned long long)live->num);
    page_add(p, "</td></tr>\n");
}

static void summary_live(page *p, const rf_explain *e)
{
    rf_explain_totals t = rf_explain_total(e);
    size_t num = rf_explain_num_live(e);
    uint64_t rest = 0;
    page_add(p, "<h2>What bounds the peak</h2>\n<p class=\"soft\">All bytes that were held at the "
                "highest moment, in the phase ");
    page_addf(p, "%s", rf_phase_name(t.peak_phase));
    page_add(p, *t.peak_op ? ", by " : "");
    page_add_text(p, t.peak_op);
    page_add(p, *t.peak_path ? " of <code>" : "");
    page_add_text(p, t.peak_path);
    page_add(p, *t.peak_path ? "</code>" : "");
    page_add(p, ".</p>\n<div class=\"wide\"><table><thead><tr><th class=\"n\">bytes</th>"
                "<th class=\"n\">share</th><th></th><th>class</th><th>made by</th>"
                "<th>module</th><th class=\"n\">pieces</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < num; i++) {
        rf_explain_live live = rf_explain_live_at(e, i);
        if (i < SUMMARY_ROWS)
            summary_live_row(p, &live, t.peak, rf_explain_live_at(e, 0).bytes);
        else
            rest += live.bytes;
    }
    if (rest) {
        page_add(p, "<tr>");
        page_add_cell(p, rest);
        page_addf(p, "<td class=\"n\">%.1f %%</td>", 100.0 * (double)rest / (double)t.peak);
        page_addf(p, "<td></td><td colspan=\"4\">in %zu smaller rows</td></tr>\n",
                  num - SUMMARY_ROWS);
    }
    page_add(p, "</tbody><tfoot><tr>");
    page_add_cell(p, t.peak);
    page_add(p, "<td class=\"n\">100 %</td><td colspan=\"5\">the peak</td></tr></tfoot></table>"
                "</div>\n");
}

static void summary_regions(page *p, const rf_explain *e)
{
    size_t num = rf_explain_num_regions(e);
    if (!num)
        return;
    page_add(p, "<h2>What is computed again</h2>\n<div class=\"wide\"><table><tr><th>region</th>"
                "<th class=\"n\">calls</th><th class=\"n\">bytes kept</th>"
                "<th class=\"n\">bytes spared</th><th class=\"n\">kernels again</th>"
                "<th class=\"n\">MFLOP again</th><th class=\"n\">ms again</th></tr>\n");
    for (size_t i = 0; i < num; i++) {
        rf_explain_region r = rf_explain_region_at(e, i);
        page_add(p, "<tr><td><code>");
        page_add_text(p, r.path);
        page_add(p, *r.label ? " " : "");
        page_add_text(p, r.label);
        page_add(p, "</code></td>");
        page_add_cell(p, r.calls);
        page_add_cell(p, r.kept);
        page_add_cell(p, r.avoided);
        page_add_cell(p, r.kernels_again);
        page_addf(p, "<td class=\"n\">%.2f</td><td class=\"n\">%.3f</td></tr>\n",
                  r.flops_again / 1e6, 1e3 * r.seconds_again);
    }
    page_add(p, "</table></div>\n");
}

/* ---- a plan ---- */

static void summary_pair(page *p, const char *name, const char *foretold, const char *measured)
{
    page_addf(p, "<tr><td>%s</td><td class=\"n\">%s</td><td class=\"n\">%s</td></tr>\n", name,
              foretold, measured);
}

/* What was foretold beside what came. */
static void summary_plan(page *p, const insight *look)
{
    char foretold[NUMBERS_TEXT], measured[NUMBERS_TEXT];
    const budget *b = look->budget;
    rf_explain_totals t = rf_explain_total(look->chosen);
    page_add(p, "<h2>Foretold and measured</h2>\n<div class=\"wide\"><table><tr><th></th>"
                "<th class=\"n\">foretold</th><th class=\"n\">measured</th></tr>\n");
    snprintf(foretold, sizeof foretold, "%llu", (unsigned long long)b->chosen.step_peak);
    snprintf(measured, sizeof measured, "%llu", (unsigned long long)look->peak);
    summary_pair(p, "peak of the steps, bytes", foretold, measured);
    snprintf(foretold, sizeof foretold, "%.1f", 1e3 * b->chosen.seconds);
    snprintf(measured, sizeof measured, "%.1f", 1e3 * t.seconds);
    summary_pair(p, "a step, ms", foretold, measured);
    snprintf(foretold, sizeof foretold, "%.1f",
             1e3 * rf_explain_total(b->chosen.look).recompute_seconds);
    snprintf(measured, sizeof measured, "%.1f", 1e3 * t.recompute_seconds);
    summary_pair(p, "of it computing again, ms", foretold, measured);
    snprintf(foretold, sizeof foretold, "%.1f", budget_slower(b));
    summary_pair(p, "slower than without a plan, percent", foretold, "");
    page_add(p, "</table></div>\n");
    if (rf_plan_num_points(b->plan)) {
        page_add(p, "<h2>Budget and slow-down, as foretold</h2>\n");
        chart_curve(p, b);
    }
    plan_page_fates(p, b);
}

void summary_step(page *p, const insight *look)
{
    char chosen[256] = "";
    const train_options *o = look->options;
    const option_row *row = options_find(&train_table, "checkpoint", strlen("checkpoint"));
    const rf_explain *plain = look->budget->plan ? look->budget->plain.look : look->plain;
    options_show(row, o, 0, chosen, sizeof chosen);
    page_addf(p, "<h2>Memory during step %llu, checkpoint ", (unsigned long long)look->at);
    page_add_text(p, chosen);
    page_addf(p, "%s</h2>\n", look->budget->plan ? ", and a plan" : "");
    chart_memory(p, look->chosen, plain, o->budget ? o->budget : o->memory);
    if (look->budget->plan)
        summary_plan(p, look);
    else
        summary_compare(p, look, chosen);
    summary_live(p, look->chosen);
    summary_regions(p, look->chosen);
}
