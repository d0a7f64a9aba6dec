/* plan_print.c: a plan as lines, and as JSON; see plan_show.h. */
#include "cli/plan_show.h"

#include <stdio.h>
#include <string.h>

#include "cli/numbers.h"

enum { PLAN_CURVE = 12, PLAN_NAME = 160 };

double plan_slower(const budget *b, double seconds)
{
    double plain = b->plain.seconds;
    return plain > 0 ? 100 * (seconds / plain - 1) : 0;
}

/* ---- lines ---- */

static void plan_print_head(const budget *b)
{
    char peak[NUMBERS_TEXT], plain[NUMBERS_TEXT], budget_text[NUMBERS_TEXT];
    rf_plan_info info = rf_plan_info_of(b->plan);
    if (b->options->budget)
        printf("budget    %s\n", numbers_show_bytes(budget_text, b->options->budget));
    else if (!b->options->plan)
        printf("budget    none: this is the plan of the smallest\n");
    printf("peak      %s (%llu bytes), plain %s\n", numbers_show_bytes(peak, b->chosen.peak),
           (unsigned long long)b->chosen.peak, numbers_show_bytes(plain, b->plain.peak));
    printf("step      %.1f ms, plain %.1f ms: %.2f %% slower\n", 1e3 * b->chosen.seconds,
           1e3 * b->plain.seconds, budget_slower(b));
    if (b->smallest)
        printf("smallest  %s (%llu bytes)\n", numbers_show_bytes(peak, b->smallest),
               (unsigned long long)b->smallest);
    else if (info.smallest)
        printf("smallest  about %s\n", numbers_show_bytes(peak, info.smallest - b->grown));
    if (info.bound)
        printf("bound     no plan below %s\n", numbers_show_bytes(peak, info.bound));
    printf("found in  %.1f s\n", b->seconds);
}

/* What the watched step tells of a part's region, and its fates. */
typedef struct plan_row {
    const char *first, *last, *fates; /* paths */
    size_t num, begin, end;           /* parts; children of a range */
    uint64_t kept, avoided;
    double seconds;
} plan_row;

static void plan_row_add(plan_row *row, const rf_explain *e, const char *path)
{
    for (size_t i = 0; i < rf_explain_num_regions(e); i++) {
        rf_explain_region r = rf_explain_region_at(e, i);
        if (strcmp(r.path, path) != 0)
            continue;
        row->kept += r.kept;
        row->avoided += r.avoided;
        row->seconds += r.seconds_again;
    }
}

/* The row that begins with part `index`: parts of the same fates that follow each other are one. */
static plan_row plan_row_at(const budget *b, size_t index)
{
    rf_plan_part part = rf_plan_part_at(b->plan, index), next = part;
    plan_row row = {.first = part.path, .last = part.path, .fates = part.fates};
    row.begin = part.first;
    row.end = part.first + part.count;
    do {
        row.last = next.path;
        if (!part.count)
            plan_row_add(&row, b->chosen.look, next.path);
        if (++row.num + index == rf_plan_num_parts(b->plan))
            break;
        next = rf_plan_part_at(b->plan, index + row.num);
    } while (!part.count && !next.count && !next.dial && !strcmp(part.fates, next.fates));
    return row;
}

static void plan_dial_print(const rf_plan_part *part)
{
    char kept[NUMBERS_TEXT];
    printf("  %-24.80s %10s %10s %9s  keep so much of %s\n",
           *part->path ? part->path : "the whole model", numbers_show_bytes(kept, part->bytes), "",
           "", part->dial);
}

static void plan_row_print(const plan_row *row)
{
    char name[PLAN_NAME], kept[NUMBERS_TEXT], avoided[NUMBERS_TEXT];
    const char *first = *row->first ? row->first : "the whole model";
    if (row->end) {
        snprintf(name, sizeof name, "%.60s.%zu ... %zu", first, row->begin, row->end - 1);
        printf("  %-24s %10s %10s %9s  %s\n", name, "", "", "",
               *row->fates ? row->fates : "one region");
        return;
    }
    if (row->num > 1)
        snprintf(name, sizeof name, "%.40s ... %.40s (%zu)", first, row->last, row->num);
    else
        snprintf(name, sizeof name, "%.80s", first);
    printf("  %-24s %10s %10s %9.2f  %s\n", name, numbers_show_bytes(kept, row->kept),
           numbers_show_bytes(avoided, row->avoided), 1e3 * row->seconds,
           *row->fates ? row->fates : "keep nothing");
}

static void plan_print_parts(const budget *b)
{
    size_t num = rf_plan_num_parts(b->plan);
    if (!num) {
        printf("regions   none: everything is kept\n");
        return;
    }
    printf("\n  %-24s %10s %10s %9s  %s\n", "region", "kept", "spared", "again, ms", "fates");
    for (size_t i = 0; i < num;) {
        rf_plan_part part = rf_plan_part_at(b->plan, i);
        plan_row row = {.num = 1};
        if (part.dial) {
            plan_dial_print(&part);
        } else {
            row = plan_row_at(b, i);
            plan_row_print(&row);
        }
        i += row.num;
    }
}

static void plan_print_curve(const budget *b)
{
    size_t num = rf_plan_num_points(b->plan), step = 1 + num / PLAN_CURVE;
    char bytes[NUMBERS_TEXT];
    if (!num)
        return;
    printf("\n  %10s  %s\n", "budget", "slower, %");
    for (size_t i = 0; i < num; i++) {
        rf_plan_point point = rf_plan_point_at(b->plan, i);
        if (i % step == 0 || i + 1 == num)
            printf("  %10s  %9.2f\n", numbers_show_bytes(bytes, point.peak - b->grown),
                   plan_slower(b, point.seconds));
    }
}

void plan_print(const budget *b)
{
    plan_print_head(b);
    plan_print_parts(b);
    plan_print_curve(b);
}

/* ---- JSON ---- */

static void plan_json_text(page *p, const char *text)
{
    page_add(p, "\"");
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            page_addf(p, "\\%c", c);
        else if (c < 0x20)
            page_addf(p, "\\u%04x", c);
        else
            page_addf(p, "%c", c);
    }
    page_add(p, "\"");
}

static void plan_json_part(page *p, const rf_plan_part *part)
{
    page_add(p, "{\"path\": ");
    plan_json_text(p, part->path);
    if (part->dial) {
        page_add(p, ", \"dial\": ");
        plan_json_text(p, part->dial);
        page_addf(p, ", \"bytes\": %llu}", (unsigned long long)part->bytes);
        return;
    }
    if (part->count)
        page_addf(p, ", \"first\": %zu, \"count\": %zu", part->first, part->count);
    page_add(p, ", \"fates\": ");
    plan_json_text(p, part->fates);
    page_add(p, "}");
}

static void plan_json_figures(page *p, const budget *b)
{
    rf_plan_info info = rf_plan_info_of(b->plan);
    page_addf(p, "{\"budget\": %llu, \"peak\": %llu, \"step_peak\": %llu, \"plain_peak\": %llu, ",
              (unsigned long long)b->options->budget, (unsigned long long)b->chosen.peak,
              (unsigned long long)b->chosen.step_peak, (unsigned long long)b->plain.peak);
    page_addf(p, "\"seconds\": %.9g, \"plain_seconds\": %.9g, \"slower_percent\": %.6g, ",
              b->chosen.seconds, b->plain.seconds, budget_slower(b));
    page_addf(p, "\"smallest\": %llu, \"bound\": %llu, \"tries\": %llu,\n",
              (unsigned long long)(b->smallest ? b->smallest : info.smallest),
              (unsigned long long)info.bound, (unsigned long long)info.tries);
}

void plan_json(page *p, const budget *b)
{
    plan_json_figures(p, b);
    page_add(p, " \"parts\": [");
    for (size_t i = 0; i < rf_plan_num_parts(b->plan); i++) {
        rf_plan_part part = rf_plan_part_at(b->plan, i);
        page_add(p, i ? ",\n  " : "\n  ");
        plan_json_part(p, &part);
    }
    page_add(p, "],\n \"curve\": [");
    for (size_t i = 0; i < rf_plan_num_points(b->plan); i++) {
        rf_plan_point point = rf_plan_point_at(b->plan, i);
        page_add(p, i ? ",\n  " : "\n  ");
        page_addf(p, "{\"peak\": %llu, \"seconds\": %.9g, \"slower_percent\": %.6g}",
                  (unsigned long long)point.peak, point.seconds, plan_slower(b, point.seconds));
    }
    page_add(p, "]}\n");
}
