/* text.c: a plan as lines for people: what it does to the model, and the curve. */
#include "plan/plan.h"
#include "remat/explain.h"

#include <string.h>

enum { TEXT_CURVE = 12 };

/* "LABEL 12.3 MiB" */
static void text_bytes(explain_sink *sink, const char *label, uint64_t bytes)
{
    rf_explain_put(sink, label);
    rf_explain_put_bytes(sink, bytes);
}

static void text_number(explain_sink *sink, const char *label, double value, unsigned decimals)
{
    rf_explain_put(sink, label);
    rf_explain_put_decimal(sink, value, decimals);
}

/* In percent; faster than plain is not slower. */
static double text_slower(const rf_plan *plan, double seconds)
{
    double plain = plan->info.plain_seconds;
    return plain > 0 ? 100 * (seconds / plain - 1) : 0;
}

static void text_head(explain_sink *sink, const rf_plan *plan)
{
    const rf_plan_info *info = &plan->info;
    if (info->budget)
        text_bytes(sink, "budget    ", info->budget);
    text_bytes(sink, info->budget ? "\npeak      " : "peak      ", info->peak);
    rf_explain_say(sink, " (%llu bytes)", (unsigned long long)info->peak);
    text_bytes(sink, ", plain ", info->plain_peak);
    text_number(sink, "\nstep      ", 1e3 * info->seconds, 1);
    text_number(sink, " ms, plain ", 1e3 * info->plain_seconds, 1);
    text_number(sink, " ms: ", text_slower(plan, info->seconds), 2);
    rf_explain_put(sink, " % slower\n");
    if (!info->smallest)
        return;
    text_bytes(sink, "smallest  ", info->smallest);
    text_bytes(sink, " known to work, no plan below ", info->bound);
    rf_explain_put(sink, "\n");
}

/* Parts with the same fates that follow each other are one line. */
static size_t text_same(const rf_plan *plan, size_t index)
{
    size_t end = index + 1;
    while (end < plan->num_parts && !plan->parts[index].count && !plan->parts[end].count &&
           !plan->parts[index].dial && !plan->parts[end].dial &&
           !strcmp(plan->parts[index].fates, plan->parts[end].fates))
        end++;
    return end;
}

static void text_part(explain_sink *sink, const rf_plan *plan, size_t index, size_t end)
{
    const rf_plan_own_part *part = &plan->parts[index];
    rf_explain_put(sink, "  ");
    rf_explain_put(sink, *part->path ? part->path : "the whole model");
    if (end - index > 1) {
        rf_explain_put(sink, " ... ");
        rf_explain_put(sink, plan->parts[end - 1].path);
        rf_explain_say(sink, " (%zu)", end - index);
    }
    if (part->count)
        rf_explain_say(sink, ", children %zu to %zu", part->first, part->first + part->count - 1);
    if (part->dial) {
        text_bytes(sink, ": keep ", part->bytes);
        rf_explain_put(sink, " of ");
        rf_explain_put(sink, part->dial);
    } else {
        rf_explain_put(sink, ": ");
        rf_explain_put(sink, *part->fates ? part->fates : "keep nothing");
    }
    rf_explain_put(sink, "\n");
}

static void text_curve(explain_sink *sink, const rf_plan *plan)
{
    size_t step = 1 + plan->num_points / TEXT_CURVE;
    rf_explain_put(sink, "budget and slow-down:\n");
    for (size_t i = 0; i < plan->num_points; i++) {
        if (i % step != 0 && i + 1 != plan->num_points)
            continue;
        text_bytes(sink, "  ", plan->points[i].peak);
        text_number(sink, "  ", text_slower(plan, plan->points[i].seconds), 2);
        rf_explain_put(sink, " %\n");
    }
}

rf_status rf_plan_text(const rf_plan *plan, rf_write to)
{
    explain_sink sink = {to, RF_OK};
    text_head(&sink, plan);
    rf_explain_put(&sink, plan->num_parts ? "regions:\n" : "regions: none\n");
    for (size_t i = 0, end; i < plan->num_parts; i = end) {
        end = text_same(plan, i);
        text_part(&sink, plan, i, end);
    }
    if (plan->num_points)
        text_curve(&sink, plan);
    return sink.status;
}
