/* text.c: a plan as lines for people: what it does to the model, and the curve. */
#include "plan/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_CURVE = 12, TEXT_FATES = 60 };

/* A sink, and the first thing that went wrong with it. */
typedef struct text_sink {
    rf_write to;
    rf_status status;
} text_sink;

static void text_line(text_sink *sink, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void text_line(text_sink *sink, const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    size_t num = len < 0 ? 0 : (size_t)len < sizeof line - 1 ? (size_t)len : sizeof line - 2;
    line[num] = '\n';
    if (!sink->status)
        sink->status = sink->to.write(sink->to.payload, line, num + 1);
}

/* Decimal points are points whatever the locale. */
static const char *text_fixed(char *buffer, double value, int decimals)
{
    double scale = decimals == 2 ? 100 : decimals == 1 ? 10 : 1;
    double rounded = value < 0 ? value * scale - 0.5 : value * scale + 0.5;
    long long whole = (long long)rounded;
    unsigned long long size = (unsigned long long)(whole < 0 ? -whole : whole);
    unsigned long long unit = (unsigned long long)scale;
    if (decimals)
        snprintf(buffer, 32, "%s%llu.%0*llu", whole < 0 ? "-" : "", size / unit, decimals,
                 size % unit);
    else
        snprintf(buffer, 32, "%lld", whole);
    return buffer;
}

static const char *text_mib(char *buffer, uint64_t bytes)
{
    return text_fixed(buffer, (double)bytes / 1048576, 1);
}

/* Slower than plain, in percent. */
static const char *text_slower(char *buffer, const rf_plan *plan, double seconds)
{
    double plain = plan->info.plain_seconds;
    return text_fixed(buffer, plain > 0 ? 100 * (seconds / plain - 1) : 0, 2);
}

static void text_head(text_sink *sink, const rf_plan *plan)
{
    char a[32], b[32], c[32];
    const rf_plan_info *info = &plan->info;
    if (info->budget)
        text_line(sink, "budget    %s MiB", text_mib(a, info->budget));
    text_line(sink, "peak      %s MiB (%llu bytes), plain %s MiB", text_mib(a, info->peak),
              (unsigned long long)info->peak, text_mib(b, info->plain_peak));
    text_line(sink, "step      %s ms, plain %s ms: %s %% slower",
              text_fixed(a, 1e3 * info->seconds, 1), text_fixed(b, 1e3 * info->plain_seconds, 1),
              text_slower(c, plan, info->seconds));
    if (info->smallest)
        text_line(sink, "smallest  %s MiB known to work, no plan below %s MiB",
                  text_mib(a, info->smallest), text_mib(b, info->bound));
}

/* Parts with the same fates that follow each other are one line. */
static size_t text_same(const rf_plan *plan, size_t index)
{
    size_t end = index + 1;
    while (end < plan->num_parts && !plan->parts[index].count && !plan->parts[end].count &&
           !strcmp(plan->parts[index].fates, plan->parts[end].fates))
        end++;
    return end;
}

static void text_part(text_sink *sink, const rf_plan *plan, size_t index, size_t end)
{
    const rf_plan_own_part *part = &plan->parts[index], *last = &plan->parts[end - 1];
    const char *path = *part->path ? part->path : "the whole model";
    const char *what = *part->fates ? part->fates : "keep nothing";
    if (part->count)
        text_line(sink, "  %s, children %zu to %zu: one region", path, part->first,
                  part->first + part->count - 1);
    else if (end - index > 1)
        text_line(sink, "  %s ... %s (%zu): %s", path, last->path, end - index, what);
    else
        text_line(sink, "  %s: %s", path, what);
}

static void text_curve(text_sink *sink, const rf_plan *plan)
{
    char a[32], b[32];
    size_t step = 1 + plan->num_points / TEXT_CURVE;
    text_line(sink, "budget and slow-down:");
    for (size_t i = 0; i < plan->num_points; i++)
        if (i % step == 0 || i + 1 == plan->num_points)
            text_line(sink, "  %10s MiB  %7s %%", text_mib(a, plan->points[i].peak),
                      text_slower(b, plan, plan->points[i].seconds));
}

rf_status rf_plan_text(const rf_plan *plan, rf_write to)
{
    text_sink sink = {to, RF_OK};
    text_head(&sink, plan);
    text_line(&sink, plan->num_parts ? "regions:" : "regions: none");
    for (size_t i = 0, end; i < plan->num_parts; i = end) {
        end = text_same(plan, i);
        text_part(&sink, plan, i, end);
    }
    if (plan->num_points)
        text_curve(&sink, plan);
    return sink.status;
}
