/* resume.h: the options of a run that goes on: those that were saved, and those of the command line
 * that may change on the way. */
#ifndef RF_CLI_RESUME_H
#define RF_CLI_RESUME_H

#include "cli/verbs.h"

/* Replace *options (what the command line gave, of which `given` says what) by those of the run
 * saved in options->resume. *text holds the texts; end it with free after the options. Reports what
 * goes wrong and returns an exit status. */
int resume_options(train_options *options, option_set given, char **text);

/* A run that starts afresh in a folder that holds an unfinished one: its state is kept under
 * another name, and a note says so. */
void resume_set_aside(const char *folder);

#endif
