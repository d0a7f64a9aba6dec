/* options.c: the parser of command lines. Invariant: a field changes only if its whole text is
 * right, and the first thing that is wrong ends the parse with an error that names it. */
#include "cli/options.h"

#include <refrain/base.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/numbers.h"

/* What a parse is at. */
typedef struct options_line {
    const option_table *table;
    int argc, at;
    char **argv;
    char *values;
    option_set *given;
    option_error *error;
} options_line;

/* before, text and after make one sentence. */
static option_result options_wrong(const options_line *line, const char *before, const char *text,
                                   const char *after, const char *advice)
{
    snprintf(line->error->what, sizeof line->error->what, "%s%.160s%s", before, text, after);
    snprintf(line->error->where, sizeof line->error->where, "refrain %s", line->table->verb);
    snprintf(line->error->advice, sizeof line->error->advice, "%s", advice);
    return OPTION_WRONG;
}

const option_row *options_find(const option_table *table, const char *name, size_t len)
{
    for (size_t i = 0; i < table->num; i++) {
        const option_row *row = &table->rows[i];
        if (row->name && strlen(row->name) == len && memcmp(row->name, name, len) == 0)
            return row;
    }
    return NULL;
}

/* An option of the command line: "--name" or "--name=value". */
static const option_row *options_visible(const option_table *table, const char *text)
{
    if (strncmp(text, "--", 2) != 0)
        return NULL;
    const option_row *row = options_find(table, text + 2, strcspn(text + 2, "="));
    return row && !(row->flags & OPTION_HIDDEN) ? row : NULL;
}

static option_result options_unknown(const options_line *line, const char *text)
{
    const char *words[OPTION_ROWS];
    char name[64], advice[128];
    size_t num = 0;
    for (size_t i = 0; i < line->table->num; i++)
        if (line->table->rows[i].name && !(line->table->rows[i].flags & OPTION_HIDDEN))
            words[num++] = line->table->rows[i].name;
    const char *bare = text + strspn(text, "-");
    snprintf(name, sizeof name, "%.*s", (int)strcspn(bare, "="), bare);
    const char *nearest = rf_nearest_word(name, words, num);
    if (nearest)
        snprintf(advice, sizeof advice, "did you mean --%s?", nearest);
    else
        snprintf(advice, sizeof advice, "see refrain %s --help", line->table->verb);
    return options_wrong(line, "unknown option '", text, "'", advice);
}

static option_result options_take(options_line *line, const option_row *row, const char *text)
{
    if (!options_set(line->table, row, text, line->values, line->error))
        return OPTION_WRONG;
    *line->given |= (option_set)1 << (row - line->table->rows);
    return OPTION_FINE;
}

/* Whether the argument at hand is a value, and not the next option. */
static int options_value_follows(const options_line *line)
{
    return line->at < line->argc && !options_visible(line->table, line->argv[line->at]) &&
           strcmp(line->argv[line->at], "--help") != 0;
}

/* "--name value", "--name=value", "--name value value ...": line->at is behind the name. */
static option_result options_one(options_line *line, const option_row *row, const char *argument)
{
    const char *equals = strchr(argument, '=');
    if (row->kind == OPTION_FLAG && !equals)
        return options_take(line, row, "1");
    if (equals)
        return options_take(line, row, equals + 1);
    if (!options_value_follows(line)) {
        char advice[128];
        snprintf(advice, sizeof advice, "give --%s %s", row->name, row->value);
        return options_wrong(line, "", argument, " needs a value", advice);
    }
    option_result result = options_take(line, row, line->argv[line->at++]);
    while (row->kind == OPTION_MANY && result == OPTION_FINE && line->at < line->argc &&
           line->argv[line->at][0] != '-')
        result = options_take(line, row, line->argv[line->at++]);
    return result;
}

static option_result options_positional(options_line *line, const char *text)
{
    if (line->table->positional == OPTION_NO_POSITIONAL) {
        char advice[128];
        snprintf(advice, sizeof advice, "see refrain %s --help", line->table->verb);
        return options_wrong(line, "'", text, "' belongs to no option", advice);
    }
    const char **field = (const char **)(void *)(line->values + line->table->positional);
    if (*field)
        return options_wrong(line, "'", text, "' is one too many", "give one folder or file");
    *field = text;
    return OPTION_FINE;
}

static option_result options_argument(options_line *line)
{
    const char *argument = line->argv[line->at++];
    if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0)
        return OPTION_HELP;
    const option_row *row = options_visible(line->table, argument);
    if (row)
        return options_one(line, row, argument);
    if (argument[0] == '-' && argument[1])
        return options_unknown(line, argument);
    return options_positional(line, argument);
}

option_result options_parse(const option_table *table, int argc, char **argv, void *values,
                            option_set *given, option_error *error)
{
    options_line line = {table, argc, 0, argv, values, given, error};
    option_result result = OPTION_FINE;
    memcpy(values, table->defaults, table->bytes);
    *given = 0;
    while (result == OPTION_FINE && line.at < argc)
        result = options_argument(&line);
    for (size_t i = 0; i < table->num && result == OPTION_FINE; i++) {
        const option_row *row = &table->rows[i];
        if ((row->flags & OPTION_REQUIRED) && !(*given >> i & 1)) {
            char advice[128];
            snprintf(advice, sizeof advice, "give --%s %s", row->name, row->value);
            result = options_wrong(&line, "--", row->name, " is missing", advice);
        }
    }
    return result;
}

void options_end(const option_table *table, void *values)
{
    for (size_t i = 0; i < table->num; i++) {
        const option_row *row = &table->rows[i];
        if (!row->name || (row->kind != OPTION_LIST && row->kind != OPTION_MANY))
            continue;
        option_list *list = (option_list *)(void *)((char *)values + row->offset);
        free(list->v);
        *list = (option_list){NULL, 0, 0};
    }
}
