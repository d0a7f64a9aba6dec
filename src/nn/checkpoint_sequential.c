/* checkpoint_sequential.c: the public face of ranges that follow a rule: even segments.
 *
 * The split depends on how many children there are at the call, so a container that grew or shrank
 * since still runs each of its children once.
 */
#include "nn/ranges.h"
#include "nn/sequential.h"

static rf_status segments_run(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    return rf_ranges_run(rf_api_state(&rf_segments_api, m), m, s, in, out);
}

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

const rf_api rf_segments_api = {.size = sizeof(rf_api),
                                .name = "checkpoint_sequential",
                                .apply = segments_apply,
                                .remove = rf_settings_remove,
                                .copy = rf_ranges_copy_state,
                                .destroy = rf_ranges_destroy,
                                .conflicts = segments_conflicts};

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
    rf_ranges *ranges;
    rf_status status = segments_check(m, opts);
    if (!status)
        status = rf_ranges_create(&ranges, m->ctx, 1);
    if (status) {
        if (opts->size == sizeof *opts)
            rf_settings_refuse(region);
        return status;
    }
    ranges->segments = opts->segments;
    ranges->tail = opts->tail != 0;
    status = rf_settings_take(&ranges->items[0].set, m->ctx, &m, 1, region);
    if (status) {
        rf_ranges_unref(ranges);
        return status;
    }
    return rf_api_apply_run(&rf_segments_api, m, ranges);
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
    const rf_ranges *ranges = rf_api_state(&rf_segments_api, m);
    return ranges ? ranges->segments : 0;
}

rf_status rf_checkpoint_sequential_report(const rf_module *m, size_t index, rf_segment *out)
{
    const rf_ranges *ranges = rf_api_state(&rf_segments_api, m);
    if (!ranges)
        return rf_fail(m->ctx, RF_E_NOT_FOUND, "checkpoint_sequential: %s is not run in segments",
                       m->cls->name);
    if (index >= ranges->segments)
        return rf_fail(m->ctx, RF_E_ARGUMENT, "checkpoint_sequential: no segment %zu of %zu", index,
                       ranges->segments);
    rf_ranges_item segment = rf_ranges_at(ranges, m, index);
    *out = (rf_segment){segment.first, segment.count, index < rf_ranges_num(ranges)};
    return RF_OK;
}

rf_status rf_checkpoint_sequential_clear(rf_module *m)
{
    return rf_api_remove(&rf_segments_api, m);
}
