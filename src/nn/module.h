/* module.h: the inside of modules.
 *
 * Invariants: a module owns its children and holds its parameters and buffers; a name is unique
 * among a module's children, parameters and buffers of each kind; `stamp` rises whenever the train
 * flag or a hook of the module, or of anything below it, changes, so that one comparison tells
 * whether a recompute would run what the forward ran. A module outlives its destruction while
 * regions refer to it (refs), but is dead then.
 */
#ifndef RF_NN_MODULE_H
#define RF_NN_MODULE_H

#include "tensor/context.h"

#include <refrain/module.h>

typedef struct rf_named {
    char *name;
    rf_tensor *t; /* held */
} rf_named;

typedef struct rf_named_list {
    rf_named *v;
    size_t num, capacity;
} rf_named_list;

/* A hook, shared by a module and its deep copies; its payload ends with the last of them. A call
 * counts too, so that a hook may take itself away. */
typedef struct rf_shared_hook {
    rf_context *ctx;
    uint32_t refs;
    rf_module_hook hook;
} rf_shared_hook;

typedef struct rf_hook_entry {
    uint64_t id; /* rising along the list */
    rf_shared_hook *shared;
} rf_hook_entry;

/* One application of an API, shared by the modules of its call. */
typedef struct rf_api_group {
    const rf_api *api;
    void *state;
    rf_context *ctx;
    rf_module **modules; /* those still alive */
    size_t num, capacity;
} rf_api_group;

struct rf_module {
    rf_retired retired;
    rf_context *ctx;
    const rf_module_class *cls;
    void *self;
    rf_module *parent;
    char *name;   /* NULL at the root */
    size_t index; /* among the parent's children */
    uint32_t refs;
    int dead;
    int training;
    uint64_t stamp;
    uint64_t next_hook;

    rf_module **children;
    size_t num_children, cap_children;
    rf_named_list params, buffers;
    rf_hook_entry *hooks;
    size_t num_hooks, cap_hooks;
    rf_api_group **groups; /* in order of applying */
    size_t num_groups, cap_groups;

    /* While an API is applied (notes.c): */
    uint32_t noted;        /* how many that are under way have written this module down */
    uint64_t locked_hooks; /* hooks below this id stay   */
    size_t locked_groups;  /* groups below this stay     */
    int destroy_refused;   /* somebody tried to end it   */
    int changed_meanwhile; /* rf_module_changed is owed  */

    /* Set by checkpoint.c: how forward is run. NULL: the class's forward, as it is. */
    rf_status (*run)(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out);
};

void rf_module_unref(rf_module *m);
/* Raise the stamps of m and all around it. */
void rf_module_changed(rf_module *m);
/* The module after m in a walk of root's tree, parents first; NULL at the end. */
rf_module *rf_module_next(const rf_module *m, const rf_module *root);
/* The class's forward, with m as the module that runs. */
rf_status rf_module_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out);
/* The first hook whose id is above `after` (referenced; end with rf_hook_unref); NULL: none. */
rf_shared_hook *rf_hook_next(const rf_module *m, uint64_t after, uint64_t *id);
void rf_hook_unref(rf_shared_hook *shared);
/* Let m have a hook that another module has. */
rf_status rf_module_share_hook(rf_module *m, rf_shared_hook *shared, uint64_t *id);
/* Take hooks away, from index `from` on. */
void rf_module_drop_hooks(rf_module *m, size_t from);

/* Register state for the modules; it is ended on failure. */
rf_status rf_api_group_create(const rf_api *api, rf_module *const *modules, size_t num,
                              void *state);
void rf_api_group_leave(rf_api_group *group, rf_module *m);
/* Undo the API, if it can be undone, and take it off all its modules. */
void rf_api_group_dissolve(rf_api_group *group);
/* Apply api to each of the modules below root by itself, to all or to none, with states[i], which
 * is NULL once it was handed over. For APIs that need no options. */
rf_status rf_api_apply_each(const rf_api *api, rf_module *root, rf_module *const *modules,
                            size_t num, void **states);
/* rf_api_apply to one module, for an API of ours that changes only how m is run, and cannot fail.
 * It costs the same whatever is below m. */
rf_status rf_api_apply_run(const rf_api *api, rf_module *m, void *state);
/* The group that m is in for api; NULL: none. */
rf_api_group *rf_api_group_find(const rf_module *m, const rf_api *api);

#endif
