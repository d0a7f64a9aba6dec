/* never.c: modules that refuse to be recomputed. While one runs inside a region, what its slots
 * need is kept, and its results (remat/keep.c); outside of regions it runs as ever. */
#include "nn/module.h"
#include "remat/keep.h"

static rf_status never_run(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_keep_refuse_begin(s);
    rf_status status = rf_module_forward(m, s, in, out);
    rf_keep_refuse_end(s, out);
    return status;
}

static void never_set(rf_module *m,
                      rf_status (*run)(rf_module *, rf_scope *, const rf_values *, rf_values *))
{
    m->run = run;
    rf_module_changed(m);
}

static rf_status never_apply(void *state, rf_module *const *modules, size_t num, const void *opts)
{
    (void)state;
    (void)opts;
    for (size_t i = 0; i < num; i++)
        never_set(modules[i], never_run);
    return RF_OK;
}

static void never_remove(void *state, rf_module *const *modules, size_t num)
{
    (void)state;
    for (size_t i = 0; i < num; i++)
        never_set(modules[i], NULL);
}

static rf_status never_copy(void *state, rf_context *ctx, void **state_out)
{
    (void)state;
    (void)ctx;
    *state_out = NULL;
    return RF_OK;
}

static const rf_api *const never_conflicts[] = {&rf_checkpoint_api, NULL};

static const rf_api never_api = {.size = sizeof(rf_api),
                                 .name = "checkpoint_never",
                                 .apply = never_apply,
                                 .remove = never_remove,
                                 .copy = never_copy,
                                 .conflicts = never_conflicts};

rf_status rf_checkpoint_never(rf_module *m)
{
    return rf_api_apply_run(&never_api, m, NULL);
}

rf_status rf_checkpoint_never_clear(rf_module *m)
{
    return rf_api_remove(&never_api, m);
}
