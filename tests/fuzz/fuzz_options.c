/*
 * Command lines and the options text of state files. Whatever is given: no crash, a reason for each
 * refusal, and what was understood comes back the same when it is saved and read again.
 *
 * An input is a letter for the verb and then the arguments, one a line; or 's' and a saved text.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The command's parser is no part of the library, and needs nothing of it. */
#include "base/nearest.c"
#include "cli/numbers.c"
#include "cli/option_kinds.c"
#include "cli/options.c"
#include "cli/saved_options.c"
#include "cli/verbs.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_ARGUMENTS = 64 };

static void demand(int truth, const char *what)
{
    if (!truth) {
        fprintf(stderr, "fuzz_options: %s\n", what);
        abort();
    }
}

static void check_error(const option_error *error)
{
    demand(error->what[0] && error->where[0] && error->advice[0], "an error without its parts");
}

static void check_saving(const train_options *options)
{
    train_options again;
    option_error error;
    char *text = saved_options_write(options);

    demand(text != NULL, "no memory");
    demand(saved_options_read(text, &again, &error), "what is saved can't be read");
    for (size_t i = 0; i < train_table.num; i++) {
        const option_row *row = &train_table.rows[i];

        if (row->name && (row->flags & OPTION_STORED))
            demand(options_equal(row, options, &again), "an option changes when it is saved");
    }
    options_end(&train_table, &again);
    free(text);
}

static void run_line(const option_table *table, int argc, char **argv)
{
    union {
        train_options train;
        sample_options sample;
        info_options info;
    } values;
    option_set given;
    option_error error = {"", "", ""};
    option_result result = options_parse(table, argc, argv, &values, &given, &error);

    if (result == OPTION_WRONG)
        check_error(&error);
    else if (result == OPTION_FINE && table == &train_table)
        check_saving(&values.train);
    options_end(table, &values);
}

static void run_saved(char *text)
{
    train_options options;
    option_error error = {"", "", ""};

    if (saved_options_read(text, &options, &error))
        check_saving(&options);
    else
        check_error(&error);
    options_end(&train_table, &options);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *argv[MAX_ARGUMENTS], *text = malloc(size + 1);
    int argc = 0;

    if (!text || !size) {
        free(text);
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    if (text[0] == 's') {
        run_saved(text + 1);
    } else {
        for (char *at = text + 1; at && argc < MAX_ARGUMENTS; argc++) {
            char *end = strchr(at, '\n');

            argv[argc] = at;
            if (end)
                *end = '\0';
            at = end ? end + 1 : NULL;
        }
        run_line(text[0] == 'i'   ? &info_table
                 : text[0] == 'a' ? &sample_table
                                  : &train_table,
                 argc, argv);
    }
    free(text);
    return 0;
}
