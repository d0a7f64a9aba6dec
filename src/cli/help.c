/* help.c: see help.h. */
#include "cli/help.h"

#include <stdio.h>
#include <string.h>

enum { HELP_COLUMN = 26 };

/* " [4]" where there is a default worth telling. */
static void help_default(const option_table *table, const option_row *row)
{
    char text[64];
    if (row->kind == OPTION_LIST || row->kind == OPTION_MANY || row->kind == OPTION_TEXT)
        return;
    options_show(row, table->defaults, 0, text, sizeof text);
    if (strcmp(text, "0") != 0)
        printf(" [%s]", text);
}

/* The lines of a text; those after the first begin in the column too. */
static void help_lines(const char *text)
{
    for (; *text; text++) {
        putchar(*text);
        if (*text == '\n')
            printf("%*s", HELP_COLUMN, "");
    }
}

static void help_row(const option_table *table, const option_row *row)
{
    if (!row->name) {
        printf("\n%s\n", row->help);
        return;
    }
    if (row->flags & OPTION_HIDDEN || options_find(table, row->name, strlen(row->name)) != row)
        return;
    int len = printf("  --%s%s%s", row->name, *row->value ? " " : "", row->value);
    if (len > HELP_COLUMN - 2) {
        printf("\n");
        len = 0;
    }
    printf("%*s", HELP_COLUMN - len, "");
    help_lines(row->help);
    help_default(table, row);
    printf("\n");
}

void help_verb(const option_table *table)
{
    printf("refrain %s: %s\n\nusage: refrain %s %s\n", table->verb, table->summary, table->verb,
           table->usage);
    if (table->num && table->rows[0].name)
        printf("\n");
    for (size_t i = 0; i < table->num; i++)
        help_row(table, &table->rows[i]);
}

void help_command(const option_table *const *tables, size_t num)
{
    printf("refrain: trains neural networks in a byte budget\n\n");
    for (size_t i = 0; i < num; i++)
        printf("  refrain %-8s  %s\n", tables[i]->verb, tables[i]->summary);
    printf("\nrefrain VERB --help tells the options; refrain --version the version.\n");
}
