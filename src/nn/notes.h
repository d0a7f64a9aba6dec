/* notes.h: what is written down of modules before an API is applied to them, to be put back. */
#ifndef RF_NN_NOTES_H
#define RF_NN_NOTES_H

#include "nn/module.h"

typedef struct rf_module_note {
    rf_module *m;
    size_t num_children, num_groups;
    uint64_t next_hook; /* hooks from this id on are the API's */
    uint64_t locked_hooks;
    size_t locked_groups;
    int training, changed_meanwhile;
    rf_status (*run)(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out);
    rf_tensor **tensors; /* held: parameters, then buffers */
    uint8_t *wanted;     /* whether the parameters require gradients */
    size_t num_params, num_buffers;
} rf_module_note;

typedef struct rf_notes {
    rf_context *ctx;
    rf_module_note *v;
    size_t num, capacity;
    uint64_t names; /* a hash of all names in order */
} rf_notes;

/* Write down the trees of the modules. End notes also after a failure. */
rf_status rf_notes_take(rf_notes *notes, rf_module *const *modules, size_t num);
/* Put everything back. */
void rf_notes_restore(const rf_notes *notes);
void rf_notes_end(rf_notes *notes);

/* RF_E_NAMES, saying what and where, if api changed the names or their order. */
rf_status rf_notes_check_names(const rf_notes *notes, const rf_api *api, rf_module *const *modules,
                               size_t num);
/* RF_E_CONFLICT if a parameter is another tensor than before. (No tensor changes its shape or type,
 * so the same objects are enough.) */
rf_status rf_notes_check_params(const rf_notes *notes, const rf_api *api);

#endif
