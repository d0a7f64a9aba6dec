/* numbers.c: see numbers.h. */
#include "cli/numbers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Digits from *text on, which is moved past them; 0 if there are none or they do not fit. */
static int numbers_digits(const char **text, uint64_t *out)
{
    const char *at = *text;
    uint64_t value = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return 0;
        value = value * 10 + digit;
    }
    if (at == *text)
        return 0;
    *text = at;
    *out = value;
    return 1;
}

int numbers_count(const char *text, uint64_t *out)
{
    uint64_t value;
    if (!numbers_digits(&text, &value) || *text)
        return 0;
    *out = value;
    return 1;
}

int numbers_real(const char *text, double *out)
{
    /* strtod also takes spaces, hexadecimals, "inf" and "nan", which nobody means here. */
    size_t len = strlen(text);
    if (!len || len > 64 || strspn(text, "0123456789.eE+-") != len)
        return 0;
    char *end;
    double value = strtod(text, &end);
    if (*end || !isfinite(value))
        return 0;
    *out = value;
    return 1;
}

static const struct numbers_unit {
    const char *name;
    uint64_t bytes;
} numbers_units[] = {
    {"", 1},
    {"B", 1},
    {"KiB", UINT64_C(1) << 10},
    {"MiB", UINT64_C(1) << 20},
    {"GiB", UINT64_C(1) << 30},
    {"TiB", UINT64_C(1) << 40},
    {"kB", UINT64_C(1000)},
    {"MB", UINT64_C(1000000)},
    {"GB", UINT64_C(1000000000)},
    {"TB", UINT64_C(1000000000000)},
};

int numbers_size(const char *text, uint64_t *out)
{
    uint64_t value;
    if (!numbers_digits(&text, &value))
        return 0;
    if (*text == ' ')
        text++;
    for (size_t i = 0; i < sizeof numbers_units / sizeof *numbers_units; i++) {
        if (strcmp(text, numbers_units[i].name) != 0)
            continue;
        if (value > UINT64_MAX / numbers_units[i].bytes)
            return 0;
        *out = value * numbers_units[i].bytes;
        return 1;
    }
    return 0;
}

const char *numbers_show_bytes(char *buffer, uint64_t bytes)
{
    static const char *const names[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes / 1024;
    size_t i = 0;
    if (bytes < 1024) {
        snprintf(buffer, NUMBERS_TEXT, "%u B", (unsigned)bytes);
        return buffer;
    }
    for (; value >= 1024 && i + 1 < sizeof names / sizeof *names; i++)
        value /= 1024;
    snprintf(buffer, NUMBERS_TEXT, "%.1f %s", value, names[i]);
    return buffer;
}

const char *numbers_show_rate(char *buffer, double per_second)
{
    if (per_second >= 1e6)
        snprintf(buffer, NUMBERS_TEXT, "%.2fM", per_second / 1e6);
    else if (per_second >= 1e4)
        snprintf(buffer, NUMBERS_TEXT, "%.1fk", per_second / 1e3);
    else
        snprintf(buffer, NUMBERS_TEXT, "%.0f", per_second);
    return buffer;
}

const char *numbers_show_seconds(char *buffer, double seconds)
{
    double capped = seconds > 0 ? (seconds < 3.6e9 ? seconds : 3.6e9) : 0;
    uint64_t whole = (uint64_t)(capped + 0.5);
    unsigned hours = (unsigned)(whole / 3600), minutes = (unsigned)(whole / 60 % 60);
    unsigned rest = (unsigned)(whole % 60);
    if (hours)
        snprintf(buffer, NUMBERS_TEXT, "%uh%02um", hours, minutes);
    else if (minutes)
        snprintf(buffer, NUMBERS_TEXT, "%um%02us", minutes, rest);
    else
        snprintf(buffer, NUMBERS_TEXT, "%us", rest);
    return buffer;
}
