/* checkpoint.h: what the files of checkpointing share: the settings of one application, and regions
 * made with them. */
#ifndef RF_NN_CHECKPOINT_H
#define RF_NN_CHECKPOINT_H

#include "nn/module.h"

#include <refrain/checkpoint.h>

/* Settings of one application, shared by its regions. A copy's settings are its own but for the
 * payloads of the options' hooks and policy: those are the first one's, which lives as long. */
typedef struct rf_settings {
    rf_context *ctx;
    uint32_t refs;
    struct rf_settings *from; /* referenced: whose hooks these are; NULL: its own */
    rf_checkpoint_options opts;
} rf_settings;

/* Made of options (NULL: the defaults) for modules, whose parts fates may name. Hooks and policy
 * are taken over: on failure they are ended. */
rf_status rf_settings_take(rf_settings **out, rf_context *ctx, rf_module *const *modules,
                           size_t num, const rf_checkpoint_options *opts);
/* End what options bring. */
void rf_settings_refuse(const rf_checkpoint_options *opts);
/* Others like them, with the same hooks. */
rf_status rf_settings_copy(rf_settings **out, rf_settings *set);
void rf_settings_unref(rf_settings *set);

/* Which children of a sequential container are regions: as listed, or by the rule of segments. */
typedef struct rf_ranges rf_ranges; /* ranges.h */

/* What is a region: the whole forward of a module, or (ranges is not NULL) range number index. */
typedef struct rf_region_part {
    rf_settings *set;
    rf_ranges *ranges;
    size_t index;
} rf_region_part;

/* Run it as a region, now. */
rf_status rf_settings_region(rf_module *m, rf_scope *s, const rf_region_part *part,
                             const rf_values *in, rf_values *out);

/* How m is run from now on; NULL: plainly. */
void rf_checkpoint_set_run(rf_module *m, rf_status (*run)(rf_module *, rf_scope *,
                                                          const rf_values *, rf_values *));

/* rf_api.remove, copy and destroy of APIs whose state is settings and that set how m is run. */
void rf_settings_remove(void *state, rf_module *const *modules, size_t num);
rf_status rf_settings_copy_state(void *state, rf_context *ctx, void **state_out);
void rf_settings_destroy(void *state);

#endif
