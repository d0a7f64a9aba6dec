/* saved_options.h: a run's options as text for its state file: a line "name=value" for each, lists
 * as several lines. The same table as that of the command line says what is written and what may be
 * read. */
#ifndef RF_CLI_SAVED_OPTIONS_H
#define RF_CLI_SAVED_OPTIONS_H

#include "cli/verbs.h"

/* Ends with the C library's free. NULL: no memory. */
char *saved_options_write(const train_options *options);
/* Begins with the defaults. text is changed, and must live as long as *out, which options_end
 * frees (also after an error). Returns 0 and the error if a line is not one that we write. */
int saved_options_read(char *text, train_options *out, option_error *error);

#endif
