/* checkpoint_sequential.c: sequential containers run in segments, each a region of its own.
 *
 * The split depends on how many children there are at the call, so a container that grew or shrank
 * since still runs each of its children once.
 */
#include "nn/checkpoint.h"
#include "nn/layer.h"
#include "nn/sequential.h"

static rf_status segments_run(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out);

static rf_status segments_apply(void *state, rf_module *const *modules, size_t num,
                                const void *opts)
{
    (void)state;
    (void)opts;
    for (size_t i = 0; i < num; i++)
        rf_checkpoint_set_run(modules[i], segments_run);
    return RF_OK;
}

static const rf_api *const segments_conflicts[] = {&rf_checkpoint_api, NULL};

static const rf_api segments_api = {.size = sizeof(rf_api),
                                    .name = "checkpoint_sequential",
                                    .apply = segments_apply,
                                    .remove = rf_settings_remove,
                                    .copy = rf_settings_copy_state,
                                    .destroy = rf_settings_destroy,
                                    .conflicts = segments_conflicts};

/* Segments of floor(n / segments) children; the last takes the rest. */
static rf_segment segments_at(const rf_module *m, const rf_settings *set, size_t index)
{
    size_t n = m->num_children, length = n / set->segments;
    int last = index + 1 == set->segments;
    return (rf_segment){.first = index * length,
                        .count = last ? n - index * length : length,
                        .checkpointed = !last || set->tail};
}

/* An empty segment hands its input on. */
static rf_status segments_step(rf_module *m, rf_scope *s, const rf_segment *segment, rf_tensor *x,
                               rf_tensor **y)
{
    size_t range[2] = {segment->first, segment->first + segment->count};
    rf_values in = {&x, 1}, out = {y, 1};
    if (segment->checkpointed && segment->count)
        return rf_settings_region(m, s, rf_api_state(&segments_api, m), range, &in, &out);
    *y = rf_sequential_range(m, s, x, range);
    return rf_scope_status(s);
}

static rf_status segments_run(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    const rf_settings *set = rf_api_state(&segments_api, m);
    rf_status status = rf_layer_one(m, s, in, out);
    rf_tensor *x = status ? NULL : in->v[0];
    for (size_t i = 0; i < set->segments && !status; i++) {
        rf_segment segment = segments_at(m, set, i);
        rf_tensor *y = NULL;
        status = segments_step(m, s, &segment, x, &y);
        if (x != in->v[0])
            rf_layer_done(s, x, y);
        x = y;
    }
    if (!status)
        out->v[0] = x;
    return status;
}

/* ---- the public face ---- */

static rf_status segments_check(rf_module *m, const rf_sequential_options *opts)
{
    if (opts->size != sizeof *opts)
        return rf_fail(m->ctx, RF_E_ARGUMENT, "checkpoint_sequential: options of another size");
    if (!rf_sequential_is(m))
        return rf_fail(m->ctx, RF_E_ARGUMENT,
                       "checkpoint_sequential: %s is no sequential container", m->cls->name);
    if (!opts->segments || opts->segments > m->num_children)
        return rf_fail(m->ctx, RF_E_ARGUMENT,
                       "checkpoint_sequential: %zu segments of %zu children: from 1 to as many "
                       "as there are",
                       opts->segments, m->num_children);
    return RF_OK;
}

rf_status rf_checkpoint_sequential_with(rf_module *m, const rf_sequential_options *opts)
{
    const rf_checkpoint_options *region = opts->region;
    rf_settings *set;
    rf_status status = segments_check(m, opts);
    if (status) {
        if (opts->size == sizeof *opts)
            rf_settings_refuse(region);
        return status;
    }
    status = rf_settings_take(&set, m->ctx, &m, 1, region);
    if (status)
        return status;
    set->segments = opts->segments;
    set->tail = opts->tail != 0;
    return rf_api_apply(&segments_api, &m, 1, set, NULL);
}

rf_status rf_checkpoint_sequential(rf_module *m, size_t segments, const rf_checkpoint_options *opts)
{
    rf_sequential_options with = RF_SEQUENTIAL_OPTIONS_INIT;
    with.segments = segments;
    with.region = opts;
    return rf_checkpoint_sequential_with(m, &with);
}

size_t rf_checkpoint_sequential_num(const rf_module *m)
{
    const rf_settings *set = rf_api_state(&segments_api, m);
    return set ? set->segments : 0;
}

rf_status rf_checkpoint_sequential_report(const rf_module *m, size_t index, rf_segment *out)
{
    const rf_settings *set = rf_api_state(&segments_api, m);
    if (!set)
        return rf_fail(m->ctx, RF_E_NOT_FOUND, "checkpoint_sequential: %s is not run in segments",
                       m->cls->name);
    if (index >= set->segments)
        return rf_fail(m->ctx, RF_E_ARGUMENT, "checkpoint_sequential: no segment %zu of %zu", index,
                       set->segments);
    *out = segments_at(m, set, index);
    return RF_OK;
}

rf_status rf_checkpoint_sequential_clear(rf_module *m)
{
    return rf_api_remove(&segments_api, m);
}
