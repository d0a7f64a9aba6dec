/* summary.c: see summary.h. One file, with its style and its pictures inside, so that it can be
 * sent and kept; nothing is fetched, and there is no script. Colours follow the reader's choice of
 * light or dark. */
#include "cli/summary.h"

#include <stdio.h>
#include <string.h>

#include "cli/chart.h"
#include "cli/numbers.h"

static const char summary_style[] =
    ":root{color-scheme:light dark;--page:#fff;--ink:#1b1f24;--soft:#5b6570;--line:#d7dce2;"
    "--card:#f5f7f9;--c1:#3b6fb6;--c2:#2f9e77;--c3:#8a63b8;--c4:#e0862f;--c5:#c9b52f;"
    "--c6:#5bb5c9;--c7:#98a2ad;--p0:#c3c9d0;--p1:#4f8fd6;--p2:#d9534f;--p3:#4b5563;"
    "--budget:#c22f2f}\n"
    "@media(prefers-color-scheme:dark){:root{--page:#14181c;--ink:#e6e9ec;--soft:#9aa5b1;"
    "--line:#333b44;--card:#1d2329;--c1:#6b9be0;--c2:#4fc298;--c3:#b08fe0;--c4:#f0a050;"
    "--c5:#dfcf60;--c6:#7fd0e2;--c7:#6f7a86;--p0:#4a535d;--p1:#6ba6ea;--p2:#ee7a76;"
    "--p3:#c3cad2;--budget:#ff7b72}}\n"
    "*{box-sizing:border-box}body{margin:0 auto;padding:24px;max-width:1080px;"
    "background:var(--page);color:var(--ink);font:15px/1.5 system-ui,sans-serif}"
    "h1{font-size:24px;margin:0}h2{font-size:18px;margin:36px 0 8px}p{margin:4px 0}"
    ".soft{color:var(--soft)}"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:12px;"
    "margin:20px 0}.tiles div{background:var(--card);border-radius:8px;padding:10px 14px}"
    ".tiles b{display:block;font-size:20px;font-weight:600}.tiles span{color:var(--soft);"
    "font-size:13px}\n"
    "svg{display:block;width:100%;height:auto}svg text{fill:var(--soft);font-size:13px}"
    "svg .title{font-size:13px}svg .mark{fill:var(--ink);font-weight:600;stroke:var(--page);"
    "stroke-width:4;paint-order:stroke}svg .grid{stroke:var(--line);stroke-width:1}"
    "svg .axis,svg .tick{stroke:var(--soft);stroke-width:1}"
    "svg .plain{fill:none;stroke:var(--ink);stroke-width:1.5;stroke-dasharray:5 4}"
    "svg polyline.curve{fill:none;stroke:var(--c1);stroke-width:1.8}svg "
    "circle.point{fill:var(--c1)}"
    "svg .limit{stroke:var(--budget);stroke-width:2}svg .peak{fill:var(--ink)}"
    "svg polyline.loss{fill:none;stroke:var(--c1);stroke-width:1.8;stroke-linejoin:round}"
    "svg circle.loss{fill:var(--c1)}svg circle.held{fill:var(--c4)}\n"
    ".legend{list-style:none;display:flex;flex-wrap:wrap;gap:2px 18px;margin:4px 0;padding:0;"
    "font-size:13px;color:var(--soft)}.legend i{display:inline-block;width:14px;height:10px;"
    "margin-right:6px;border-radius:2px}.legend i.dash,.legend i.budget{height:0;border-radius:0;"
    "border-top:2px dashed var(--ink);vertical-align:middle;width:20px}"
    ".legend i.budget{border-top:2px solid var(--budget)}.legend i.loss{background:var(--c1)}"
    ".legend i.held{background:var(--c4)}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px}"
    "th,td{text-align:left;padding:4px 14px 4px 0;white-space:nowrap;border-bottom:1px solid "
    "var(--line);"
    "vertical-align:top}th{color:var(--soft);font-weight:500}"
    ".n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    "tfoot td{font-weight:600;border-bottom:0}td.bar{width:22%;min-width:80px}"
    "td.bar i{display:block;height:12px;margin-top:5px;border-radius:2px;min-width:1px}"
    ".blocks{display:flex;flex-wrap:wrap;gap:3px}.blocks i{min-width:30px;padding:5px 4px;"
    "border-radius:3px;color:#fff;font:600 12px/1 system-ui,sans-serif;text-align:center}"
    ".f0{background:var(--c7)}.f1{background:var(--c2)}.f2{background:var(--c4)}"
    ".f3{background:var(--c3)}\n"
    "code{font:13px ui-monospace,monospace}td.any{white-space:normal;overflow-wrap:anywhere}\n";

static void summary_colours(page *p)
{
    for (int cls = RF_MEM_PARAM; cls < RF_MEM_BORROWED; cls++)
        page_addf(p, ".c%d{fill:var(--c%d);background:var(--c%d)}", cls, cls, cls);
    for (int phase = 0; phase < RF_PHASES; phase++)
        page_addf(p, ".p%d{fill:var(--p%d);background:var(--p%d)}", phase, phase, phase);
}

void summary_begin(page *p, const char *title)
{
    page_addf(p,
              "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
              "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
              "<title>%s</title>\n<style>\n",
              title);
    page_add(p, summary_style);
    summary_colours(p);
    page_addf(p, "\n</style></head><body>\n<h1>%s</h1>\n", title);
}

void summary_end(page *p)
{
    page_add(p, "</body></html>\n");
}

void summary_tile(page *p, const char *figure, const char *name)
{
    page_addf(p, "<div><b>%s</b><span>%s</span></div>\n", figure, name);
}

static void summary_tiles(page *p, const insight *look)
{
    char text[NUMBERS_TEXT], share[32];
    page_add(p, "<div class=\"tiles\">\n");
    summary_tile(p, numbers_show_bytes(text, look->peak), "most memory of any step");
    summary_tile(p, numbers_show_bytes(text, look->activation_peak), "of it activations, at most");
    snprintf(share, sizeof share, "%.1f %%",
             look->seconds > 0 ? 100 * look->recompute_seconds / look->seconds : 0);
    summary_tile(p, share, "of the steps&#39; time spent computing again");
    numbers_show_rate(text, look->seconds > 0 ? (double)look->tokens / look->seconds : 0);
    summary_tile(p, text, "tokens a second");
    snprintf(share, sizeof share, "%.4f", look->points[look->num - 1].loss);
    summary_tile(p, share, "loss at the end");
    page_add(p, "</div>\n");
}

/* ---- the run ---- */

static void summary_option(page *p, const option_row *row, const train_options *o)
{
    char value[512];
    page_addf(p, "<tr><td>%s</td><td class=\"any\"><code>", row->name);
    for (size_t i = 0; i < options_items(row, o); i++) {
        options_show(row, o, i, value, sizeof value);
        page_add(p, i ? " " : "");
        if (row->kind == OPTION_SIZE)
            numbers_show_bytes(value,
                               *(const uint64_t *)(const void *)((const char *)o + row->offset));
        page_add_text(p, value);
    }
    page_add(p, "</code></td></tr>\n");
}

void summary_options(page *p, const train_options *o)
{
    page_add(p, "<h2>Configuration</h2>\n<div class=\"wide\"><table>\n");
    page_addf(p, "<tr><td>refrain</td><td><code>%s</code></td></tr>\n", rf_version());
    for (size_t i = 0; i < train_table.num; i++) {
        const option_row *row = &train_table.rows[i];
        int empty = row->name && row->kind == OPTION_TEXT &&
                    !*(const char *const *)(const void *)((const char *)o + row->offset);
        int shown = row->name && (!(row->flags & OPTION_HIDDEN) || strcmp(row->name, "isa") == 0);
        if (shown && !empty && options_items(row, o) && row->kind != OPTION_FLAG)
            summary_option(p, row, o);
    }
    page_add(p, "</table></div>\n");
}

void summary_page(page *p, const insight *look, const session *s)
{
    const train_options *o = look->options;
    summary_begin(p, "A training run of Refrain");
    if (!look->num) {
        page_add(p, "<p class=\"soft\">The run has begun; this page is written at its end.</p>\n");
    } else {
        uint64_t last = look->points[look->num - 1].step;
        page_add(p, "<p class=\"soft\">");
        page_add_count(p, s->parameters);
        page_addf(p, " parameters, steps %llu to %llu of %llu</p>\n",
                  (unsigned long long)(last - look->steps + 1), (unsigned long long)last,
                  (unsigned long long)o->steps);
        summary_tiles(p, look);
        if (look->chosen)
            summary_step(p, look);
        page_add(p, "<h2>Loss</h2>\n");
        chart_loss(p, look);
    }
    summary_options(p, s->options);
    summary_end(p);
}
