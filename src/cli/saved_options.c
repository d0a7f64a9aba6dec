/* saved_options.c: see saved_options.h. In values a newline is written %0A, and '%' is %25. */
#include "cli/saved_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char saved_version[] = "refrain-train=1\n";

/* Text that grows; failed once, it stays NULL. */
typedef struct saved_text {
    char *text;
    size_t len, capacity;
    int failed;
} saved_text;

static void saved_add(saved_text *out, const char *bytes, size_t len)
{
    if (out->failed)
        return;
    if (out->capacity - out->len <= len) {
        size_t capacity = 2 * (out->len + len) + 256;
        char *text = realloc(out->text, capacity);
        if (!text) {
            out->failed = 1;
            return;
        }
        out->text = text;
        out->capacity = capacity;
    }
    memcpy(out->text + out->len, bytes, len);
    out->len += len;
    out->text[out->len] = '\0';
}

static void saved_add_escaped(saved_text *out, const char *value)
{
    while (*value) {
        size_t plain = strcspn(value, "%\n");
        saved_add(out, value, plain);
        value += plain;
        if (*value)
            saved_add(out, *value == '%' ? "%25" : "%0A", 3);
        value += *value != '\0';
    }
}

static void saved_add_row(saved_text *out, const option_row *row, const train_options *options)
{
    for (size_t i = 0; i < options_items(row, options); i++) {
        size_t bytes = options_show(row, options, i, NULL, 0) + 1;
        bytes = bytes < 64 ? 64 : bytes;
        char *value = malloc(bytes);
        if (!value) {
            out->failed = 1;
            return;
        }
        options_show(row, options, i, value, bytes);
        if (*value) {
            saved_add(out, row->name, strlen(row->name));
            saved_add(out, "=", 1);
            saved_add_escaped(out, value);
            saved_add(out, "\n", 1);
        }
        free(value);
    }
}

char *saved_options_write(const train_options *options)
{
    saved_text out = {NULL, 0, 0, 0};
    saved_add(&out, saved_version, strlen(saved_version));
    for (size_t i = 0; i < train_table.num; i++)
        if (train_table.rows[i].name && (train_table.rows[i].flags & OPTION_STORED))
            saved_add_row(&out, &train_table.rows[i], options);
    if (!out.failed)
        return out.text;
    free(out.text);
    return NULL;
}

/* In place: a value never gets longer. */
static void saved_unescape(char *value)
{
    char *to = value;
    for (; *value; value++) {
        int newline = strncmp(value, "%0A", 3) == 0, percent = strncmp(value, "%25", 3) == 0;
        *to++ = (char)(newline ? '\n' : *value);
        if (newline || percent)
            value += 2;
    }
    *to = '\0';
}

static int saved_line(char *line, train_options *out, option_error *error)
{
    size_t len = strcspn(line, "=");
    const option_row *row = options_find(&train_table, line, len);
    if (!row || !(row->flags & OPTION_STORED) || line[len] != '=') {
        snprintf(error->what, sizeof error->what, "an option '%.100s' that is none", line);
        snprintf(error->where, sizeof error->where, "the saved options");
        snprintf(error->advice, sizeof error->advice, "use the version that saved it");
        return 0;
    }
    saved_unescape(line + len + 1);
    return options_set(&train_table, row, line + len + 1, out, error);
}

int saved_options_read(char *text, train_options *out, option_error *error)
{
    memcpy(out, train_table.defaults, sizeof *out);
    if (strncmp(text, saved_version, strlen(saved_version)) != 0) {
        snprintf(error->what, sizeof error->what, "its options are not those of a training run");
        snprintf(error->where, sizeof error->where, "the saved options");
        snprintf(error->advice, sizeof error->advice, "use the version that saved it");
        return 0;
    }
    text += strlen(saved_version);
    while (*text) {
        size_t len = strcspn(text, "\n");
        char *next = text + len + (text[len] == '\n');
        text[len] = '\0';
        if (len && !saved_line(text, out, error))
            return 0;
        text = next;
    }
    return 1;
}
