/* explain_say.c: writing into a sink, the same under every locale. */
#include "remat/explain.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void say_bytes(explain_sink *sink, const char *text, size_t len)
{
    if (!sink->status && len)
        sink->status = sink->write.write(sink->write.payload, text, len);
}

void rf_explain_put(explain_sink *sink, const char *text)
{
    say_bytes(sink, text, strlen(text));
}

void rf_explain_say(explain_sink *sink, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len > 0)
        say_bytes(sink, text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1);
}

/* Figures here are sums of what is not negative; one past 64 bits is shown as the largest. */
void rf_explain_put_decimal(explain_sink *sink, double value, unsigned decimals)
{
    static const double most = 1.8e19;
    double scale = pow(10, decimals);
    double scaled = value > 0 ? floor(value * scale + 0.5) : 0;
    uint64_t whole = scaled < most ? (uint64_t)scaled : (uint64_t)most;
    uint64_t unit = (uint64_t)scale;
    rf_explain_say(sink, "%llu", (unsigned long long)(whole / unit));
    if (decimals)
        rf_explain_say(sink, ".%0*llu", (int)decimals, (unsigned long long)(whole % unit));
}

void rf_explain_put_bytes(explain_sink *sink, uint64_t bytes)
{
    static const char *const names[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes / 1024;
    size_t i = 0;
    if (bytes < 1024) {
        rf_explain_say(sink, "%llu B", (unsigned long long)bytes);
        return;
    }
    for (; value >= 1024 && i + 1 < sizeof names / sizeof *names; i++)
        value /= 1024;
    rf_explain_put_decimal(sink, value, 1);
    rf_explain_say(sink, " %s", names[i]);
}
