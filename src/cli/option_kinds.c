/* option_kinds.c: what each kind of value is: how text becomes a field, and a field text again.
 * What options_show writes, options_set reads back as the same value; state files rely on it. */
#include "cli/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/numbers.h"

typedef struct kind_class {
    int (*set)(const option_row *row, const char *text, void *field);
    int (*show)(const option_row *row, const void *field, char *buffer, size_t bytes);
    const char *expected; /* what a value looks like, for errors */
    size_t bytes;         /* of the field                        */
} kind_class;

static int kind_set_count(const option_row *row, const char *text, void *field)
{
    uint64_t value;
    if (!numbers_count(text, &value) || (double)value < row->low || (double)value > row->high)
        return 0;
    *(uint64_t *)field = value;
    return 1;
}

static int kind_show_count(const option_row *row, const void *field, char *buffer, size_t bytes)
{
    (void)row;
    return snprintf(buffer, bytes, "%llu", (unsigned long long)*(const uint64_t *)field);
}

static int kind_set_real(const option_row *row, const char *text, void *field)
{
    double value;
    if (!numbers_real(text, &value) || value < row->low || value > row->high)
        return 0;
    *(double *)field = value;
    return 1;
}

static int kind_show_real(const option_row *row, const void *field, char *buffer, size_t bytes)
{
    /* The shortest of the two that is the same number again. */
    double value = *(const double *)field, again;
    (void)row;
    int len = snprintf(buffer, bytes, "%.9g", value);
    if (bytes > 24 && numbers_real(buffer, &again) && again == value)
        return len;
    return snprintf(buffer, bytes, "%.17g", value);
}

static int kind_set_size(const option_row *row, const char *text, void *field)
{
    (void)row;
    return numbers_size(text, field);
}

static int kind_set_text(const option_row *row, const char *text, void *field)
{
    if (!*text && row->low > 0)
        return 0;
    *(const char **)field = text;
    return 1;
}

static int kind_show_text(const option_row *row, const void *field, char *buffer, size_t bytes)
{
    const char *text = *(const char *const *)field;
    (void)row;
    return snprintf(buffer, bytes, "%s", text ? text : "");
}

static int kind_set_choice(const option_row *row, const char *text, void *field)
{
    for (uint64_t i = 0; row->choices[i]; i++)
        if (strcmp(row->choices[i], text) == 0) {
            *(uint64_t *)field = i;
            return 1;
        }
    return 0;
}

static int kind_show_choice(const option_row *row, const void *field, char *buffer, size_t bytes)
{
    return snprintf(buffer, bytes, "%s", row->choices[*(const uint64_t *)field]);
}

/* A word of an OPTION_PATTERN, and what may stand behind it. */
typedef struct kind_word {
    const char *text;
    size_t len;
    int takes_n, takes_more;
} kind_word;

static kind_word kind_word_at(const option_row *row, uint64_t i)
{
    const char *text = row->choices[i];
    size_t len = strlen(text);
    int takes_more = text[len - 1] == '+';
    len -= (size_t)takes_more;
    int takes_n = text[len - 1] == ':';
    return (kind_word){text, len - (size_t)takes_n, takes_n, takes_more};
}

/* ":N" at the beginning of text; what follows, or NULL if it is none. */
static const char *kind_take_n(const option_row *row, const char *text, uint64_t *n)
{
    char digits[32];
    if (*text != ':')
        return NULL;
    size_t len = strcspn(text + 1, ":");
    if (len >= sizeof digits)
        return NULL;
    memcpy(digits, text + 1, len);
    digits[len] = '\0';
    return numbers_count(digits, n) && *n && (double)*n <= row->high ? text + 1 + len : NULL;
}

/* "block" for the word "block", "every:2" for "every:", "every:2:keep=attn" for "every:+". */
static int kind_set_pattern(const option_row *row, const char *text, void *field)
{
    for (uint64_t i = 0; row->choices[i]; i++) {
        kind_word word = kind_word_at(row, i);
        option_choice_n choice = {i, 0, NULL};
        if (strncmp(word.text, text, word.len) != 0)
            continue;
        const char *at = text + word.len;
        if (word.takes_n)
            at = kind_take_n(row, at, &choice.n);
        if (at && word.takes_more && at[0] == ':' && at[1]) {
            choice.more = at + 1;
            at += strlen(at);
        }
        if (!at || *at)
            continue;
        *(option_choice_n *)field = choice;
        return 1;
    }
    return 0;
}

static int kind_show_pattern(const option_row *row, const void *field, char *buffer, size_t bytes)
{
    const option_choice_n *choice = field;
    kind_word word = kind_word_at(row, choice->word);
    const char *colon = choice->more ? ":" : "", *more = choice->more ? choice->more : "";
    if (!choice->n)
        return snprintf(buffer, bytes, "%.*s%s%s", (int)word.len, word.text, colon, more);
    return snprintf(buffer, bytes, "%.*s:%llu%s%s", (int)word.len, word.text,
                    (unsigned long long)choice->n, colon, more);
}

static int kind_set_list(const option_row *row, const char *text, void *field)
{
    option_list *list = field;
    (void)row;
    if (!*text)
        return 0;
    if (list->num == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 8;
        const char **v = realloc(list->v, capacity * sizeof *v);
        if (!v)
            return 0;
        list->v = v;
        list->capacity = capacity;
    }
    list->v[list->num++] = text;
    return 1;
}

static int kind_set_flag(const option_row *row, const char *text, void *field)
{
    (void)row;
    if (strcmp(text, "1") != 0 && strcmp(text, "0") != 0)
        return 0;
    *(uint64_t *)field = text[0] == '1';
    return 1;
}

static const kind_class kinds[OPTION_KINDS] = {
    [OPTION_COUNT] = {kind_set_count, kind_show_count, "a whole number", sizeof(uint64_t)},
    [OPTION_REAL] = {kind_set_real, kind_show_real, "a number", sizeof(double)},
    [OPTION_SIZE] = {kind_set_size, kind_show_count, "bytes, or a size such as 512MiB or 2GiB",
                     sizeof(uint64_t)},
    [OPTION_TEXT] = {kind_set_text, kind_show_text, "a text that is not empty",
                     sizeof(const char *)},
    [OPTION_CHOICE] = {kind_set_choice, kind_show_choice, NULL, sizeof(uint64_t)},
    [OPTION_PATTERN] = {kind_set_pattern, kind_show_pattern, NULL, sizeof(option_choice_n)},
    [OPTION_LIST] = {kind_set_list, NULL, "a text that is not empty", sizeof(option_list)},
    [OPTION_MANY] = {kind_set_list, NULL, "a text that is not empty", sizeof(option_list)},
    [OPTION_FLAG] = {kind_set_flag, kind_show_count, "given without a value", sizeof(uint64_t)},
};

/* "--layers is a whole number from 1 to 1000", "--tokens is u8, u16 or u32". */
static void kind_expect(const option_row *row, char *buffer, size_t bytes)
{
    const kind_class *kind = &kinds[row->kind];
    if (kind->expected && row->kind <= OPTION_REAL)
        snprintf(buffer, bytes, "--%s is %s from %.10g to %.10g", row->name, kind->expected,
                 row->low, row->high);
    else if (kind->expected)
        snprintf(buffer, bytes, "--%s is %s", row->name, kind->expected);
    else
        snprintf(buffer, bytes, "--%s is one of %s", row->name, row->value);
}

int options_set(const option_table *table, const option_row *row, const char *text, void *values,
                option_error *error)
{
    if (kinds[row->kind].set(row, text, (char *)values + row->offset))
        return 1;
    snprintf(error->what, sizeof error->what, "--%s: '%.100s' does not fit", row->name, text);
    snprintf(error->where, sizeof error->where, "refrain %s", table->verb);
    kind_expect(row, error->advice, sizeof error->advice);
    return 0;
}

size_t options_items(const option_row *row, const void *values)
{
    const char *field = (const char *)values + row->offset;
    if (row->kind == OPTION_LIST || row->kind == OPTION_MANY)
        return ((const option_list *)(const void *)field)->num;
    return 1;
}

size_t options_show(const option_row *row, const void *values, size_t item, char *buffer,
                    size_t bytes)
{
    const void *field = (const char *)values + row->offset;
    if (row->kind == OPTION_LIST || row->kind == OPTION_MANY)
        return (size_t)snprintf(buffer, bytes, "%s", ((const option_list *)field)->v[item]);
    return (size_t)kinds[row->kind].show(row, field, buffer, bytes);
}

static int kind_equal_texts(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

int options_equal(const option_row *row, const void *a, const void *b)
{
    const void *x = (const char *)a + row->offset, *y = (const char *)b + row->offset;
    size_t num = options_items(row, a);
    if (row->kind == OPTION_LIST || row->kind == OPTION_MANY) {
        if (num != options_items(row, b))
            return 0;
        for (size_t i = 0; i < num; i++)
            if (!kind_equal_texts(((const option_list *)x)->v[i], ((const option_list *)y)->v[i]))
                return 0;
        return 1;
    }
    if (row->kind == OPTION_TEXT)
        return kind_equal_texts(*(const char *const *)x, *(const char *const *)y);
    if (row->kind == OPTION_PATTERN) {
        const option_choice_n *p = x, *q = y;
        return p->word == q->word && p->n == q->n && kind_equal_texts(p->more, q->more);
    }
    char left[64], right[64];
    options_show(row, a, 0, left, sizeof left);
    options_show(row, b, 0, right, sizeof right);
    return strcmp(left, right) == 0;
}

void options_move(const option_row *row, void *dst, void *src)
{
    void *to = (char *)dst + row->offset, *from = (char *)src + row->offset;
    int is_list = row->kind == OPTION_LIST || row->kind == OPTION_MANY;
    if (is_list)
        free(((option_list *)to)->v);
    memcpy(to, from, kinds[row->kind].bytes);
    if (is_list)
        *(option_list *)from = (option_list){NULL, 0, 0};
}
