/* session.h: what a training run holds. It is built whole from its options or not at all, and what
 * stands in the way is reported. */
#ifndef RF_CLI_SESSION_H
#define RF_CLI_SESSION_H

#include <refrain/data.h>
#include <refrain/nn.h>
#include <refrain/optim.h>

#include "cli/folder.h"
#include "cli/verbs.h"

/* Whether it has bytes, or only tells what it would take (refrain/predict.h). */
typedef enum session_kind { SESSION_REAL, SESSION_DRY } session_kind;

typedef struct session {
    session_kind kind;
    option_set given;       /* on the command line */
    train_options *options; /* borrowed; what --init and the machine decide is filled in */
    rf_context *ctx;
    rf_dataset *data;
    rf_module *model;
    rf_optim *optim;
    folder_config config;
    uint64_t parameters; /* numbers in the model, tied ones once  */
} session;

/* Return exit statuses. given: what the command line gave. First what shows whether all that was
 * given makes sense; then the optimiser, which may need the folders, and what was saved.
 * session_end is for all outcomes. A dry one reads no weights and writes no file. */
int session_begin(session *s, train_options *options, option_set given, session_kind kind);
int session_begin_steps(session *s);
void session_end(session *s);

/* What to do about the last error, in a buffer of SESSION_ADVICE bytes: about memory if it is one
 * of memory, else `otherwise`. */
enum { SESSION_ADVICE = 256 };
const char *session_advice(const session *s, char *buffer, const char *otherwise);

/* The learning rate of a step (0, 1, ...). */
double session_lr(const session *s, uint64_t step);
/* Write the state and, beside it, the model; the first time also what does not change. */
int session_save(session *s);
int session_save_first(session *s);

#endif
