/* save.c: a run's folder. The state file comes first: it is what a resume needs; what is beside it
 * is written for other programs. Each file is the old one or the new one at any moment. */
#include "cli/session.h"

#include <stdlib.h>
#include <string.h>

#include <refrain/io.h>

#include "cli/paths.h"
#include "cli/report.h"
#include "cli/saved_options.h"

static int save_state(session *s, const char *folder)
{
    char path[PATHS_BYTES];
    rf_state state = RF_STATE_INIT;
    s->options->step = rf_optim_steps(s->optim);
    char *text = saved_options_write(s->options);
    if (!text || !paths_join(path, folder, FOLDER_STATE)) {
        free(text);
        report_error("no memory", folder, "close other programs");
        return EXIT_FAILED;
    }
    state.module = s->model;
    state.optim = s->optim;
    state.data = s->data;
    state.options = text;
    rf_status status = rf_state_save(&state, path);
    free(text);
    if (!status)
        return EXIT_FINE;
    report_failure(s->ctx, folder, "make room there; what was saved before is still there");
    return EXIT_FAILED;
}

int session_save(session *s)
{
    const char *folder = s->options->save;
    int failed = save_state(s, folder);
    if (failed)
        return failed;
    return s->kind == SESSION_DRY ? folder_write_weights(s->model, folder)
                                  : folder_write_model(s->model, &s->config, folder);
}

int session_save_first(session *s)
{
    const char *folder = s->options->save;
    int failed = session_save(s);
    if (failed || s->kind == SESSION_DRY)
        return failed;
    if (s->options->init && s->config.shape.vocab != 256)
        return folder_copy_tokenizer(s->ctx, s->options->init, folder);
    if (s->config.shape.vocab == 256)
        return folder_write_tokenizer(s->ctx, folder);
    return EXIT_FINE;
}
