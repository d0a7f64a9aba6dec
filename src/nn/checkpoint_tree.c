/* checkpoint_tree.c: rf_checkpoint on all modules of a tree that a predicate chooses.
 *
 * All are chosen before the first is touched, so that the predicate sees the tree as it was; then
 * all are checkpointed or none (rf_api_apply_each). Each gets settings of its own, so that one can
 * be cleared alone; the hooks are the first one's, shared as deep copies share them.
 */
#include "nn/checkpoint.h"

typedef struct tree_walk {
    rf_context *ctx;
    const rf_module *root;
    rf_module_predicate which;
    rf_module **modules;
    void **states; /* one each; those not handed over yet */
    size_t num, cap_modules, cap_states;
} tree_walk;

static rf_status tree_visit(void *payload, const char *path, rf_module *m)
{
    tree_walk *walk = payload;
    if (m == walk->root || !walk->which.match(walk->which.payload, path, m))
        return RF_OK;
    rf_status status = rf_host_grow(walk->ctx, &walk->modules, walk->num, &walk->cap_modules,
                                    sizeof *walk->modules);
    if (!status)
        status = rf_host_grow(walk->ctx, &walk->states, walk->num, &walk->cap_states,
                              sizeof *walk->states);
    if (status)
        return status;
    walk->states[walk->num] = NULL;
    walk->modules[walk->num++] = m;
    return RF_OK;
}

static rf_status tree_settings(tree_walk *walk, rf_settings *first)
{
    rf_status status = RF_OK;
    for (size_t i = 0; i < walk->num && !status; i++) {
        rf_settings *set;
        status = rf_settings_copy(&set, first);
        walk->states[i] = set;
    }
    return status;
}

static void tree_end(tree_walk *walk)
{
    for (size_t i = 0; i < walk->num; i++)
        rf_settings_destroy(walk->states[i]);
    rf_host_free(walk->ctx, walk->modules, walk->cap_modules * sizeof *walk->modules);
    rf_host_free(walk->ctx, walk->states, walk->cap_states * sizeof *walk->states);
}

rf_status rf_checkpoint_where(rf_module *root, rf_module_predicate which,
                              const rf_checkpoint_options *opts, size_t *applied)
{
    tree_walk walk = {.ctx = root->ctx, .root = root, .which = which};
    rf_settings *first = NULL;
    if (applied)
        *applied = 0;
    rf_status status = rf_module_each(root, tree_visit, &walk);
    if (status)
        rf_settings_refuse(opts);
    else
        status = rf_settings_take(&first, root->ctx, walk.modules, walk.num, opts);
    if (!status)
        status = tree_settings(&walk, first);
    if (!status)
        status = rf_api_apply_each(&rf_checkpoint_api, root, walk.modules, walk.num, walk.states);
    if (!status && applied)
        *applied = walk.num;
    tree_end(&walk);
    rf_settings_destroy(first);
    return status;
}
