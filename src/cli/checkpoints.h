/* checkpoints.h: --checkpoint, carried out with the calls that any program would use. */
#ifndef RF_CLI_CHECKPOINTS_H
#define RF_CLI_CHECKPOINTS_H

#include <refrain/checkpoint.h>

#include "cli/verbs.h"

/* Whether a choice fits a model of so many layers; reports it if not. */
int checkpoints_fit(option_choice_n choice, uint64_t layers);
/* RF_E_ARGUMENT if its fates are none, or name what the model has not. */
rf_status checkpoints_apply(rf_module *model, option_choice_n choice, uint64_t layers);
/* Take away what apply did. */
rf_status checkpoints_clear(rf_module *model, option_choice_n choice, uint64_t layers);

#endif
