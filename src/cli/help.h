/* help.h: what --help prints, made from the same tables that the parser reads. */
#ifndef RF_CLI_HELP_H
#define RF_CLI_HELP_H

#include "cli/options.h"

void help_verb(const option_table *table);
void help_command(const option_table *const *tables, size_t num);

#endif
