/* report.c: see report.h. A line is built whole and written at once, so that lines of several
 * processes do not mix. */
#include "cli/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { REPORT_LINE = 2048 };

typedef struct report_line {
    char text[REPORT_LINE];
    size_t len;
} report_line;

static void report_add(report_line *line, const char *text)
{
    for (; *text && line->len + 2 < REPORT_LINE; text++) {
        unsigned char c = (unsigned char)*text;
        line->text[line->len++] = (char)(c < 0x20 || c == 0x7f ? '?' : c);
    }
}

static void report_write(report_line *line)
{
    line->text[line->len++] = '\n';
    fflush(stdout);
    fwrite(line->text, 1, line->len, stderr);
}

void report_error(const char *what, const char *where, const char *advice)
{
    const char *const parts[] = {what, where, advice};
    report_line line = {.len = 0};
    report_add(&line, "refrain");
    for (size_t i = 0; i < 3; i++)
        if (parts[i] && *parts[i]) {
            report_add(&line, i == 0 ? ": " : "; ");
            report_add(&line, parts[i]);
        }
    report_write(&line);
}

/* The bytes of a limit that was passed; nothing for other errors. */
static void report_bytes(const rf_error *error, char *buffer, size_t bytes)
{
    buffer[0] = '\0';
    if (error->code == RF_E_BUDGET) {
        int len = snprintf(buffer, bytes, "%llu bytes wanted, %llu free of %llu",
                           (unsigned long long)error->bytes_wanted,
                           (unsigned long long)error->bytes_free, (unsigned long long)error->limit);
        if (error->limit_needed)
            snprintf(buffer + len, bytes - (size_t)len, ", %llu would do",
                     (unsigned long long)error->limit_needed);
    }
    if (error->code == RF_E_MEMORY && error->bytes_wanted)
        snprintf(buffer, bytes, "%llu bytes wanted", (unsigned long long)error->bytes_wanted);
}

void report_failure(const rf_context *ctx, const char *where, const char *advice)
{
    const rf_error *error = rf_context_error(ctx);
    char what[1024], place[512], bytes[128];
    report_bytes(error, bytes, sizeof bytes);
    if (bytes[0])
        snprintf(what, sizeof what, "%s: %s", rf_status_text(error->code), bytes);
    else
        snprintf(what, sizeof what, "%s",
                 *error->message ? error->message : rf_status_text(error->code));
    snprintf(place, sizeof place, "%s%s%s%s%s", where ? where : "", *error->op ? ", in " : "",
             error->op, *error->path ? " of " : "", error->path);
    report_error(what, place, advice);
}

const char *report_advice(const rf_context *ctx, const char *otherwise)
{
    rf_status code = rf_context_error(ctx)->code;
    if (code == RF_E_MEMORY || code == RF_E_BUDGET)
        return "hold less: --checkpoint block, --moments file, a smaller --batch with "
               "--accumulate, or a smaller --context";
    return otherwise;
}

void report_note(const char *format, ...)
{
    char text[1024];
    report_line line = {.len = 0};
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    report_add(&line, "refrain: note: ");
    report_add(&line, text);
    report_write(&line);
}

void report_more(const char *format, ...)
{
    char text[1024];
    report_line line = {.len = 0};
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    report_add(&line, "  ");
    report_add(&line, text);
    report_write(&line);
}
