/* checkpoint_ranges.c: the public face of ranges that a caller lists.
 *
 * The list is checked as a whole before anything is made. Settings are made once for all ranges
 * that share options, so hooks and policies are taken over once, and on failure are ended once.
 */
#include "nn/ranges.h"
#include "nn/sequential.h"

static rf_status ranges_call(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    return rf_ranges_run(rf_api_state(&rf_ranges_api, m), m, s, in, out);
}

static rf_status ranges_apply(void *state, rf_module *const *modules, size_t num, const void *opts)
{
    (void)state;
    (void)opts;
    for (size_t i = 0; i < num; i++)
        rf_checkpoint_set_run(modules[i], ranges_call);
    return RF_OK;
}

static const rf_api *const ranges_conflicts[] = {&rf_checkpoint_api, &rf_segments_api, NULL};

const rf_api rf_ranges_api = {.size = sizeof(rf_api),
                              .name = "checkpoint_ranges",
                              .apply = ranges_apply,
                              .remove = rf_settings_remove,
                              .copy = rf_ranges_copy_state,
                              .destroy = rf_ranges_destroy,
                              .conflicts = ranges_conflicts};

/* ---- the list ---- */

/* What the caller gives. */
typedef struct ranges_list {
    rf_module *m;
    const rf_range *v;
    size_t num;
    const rf_checkpoint_options *shared;
} ranges_list;

/* Ranges of which a later one may still be a part, from the outermost on. */
typedef struct ranges_open {
    size_t v[RF_RANGE_DEPTH];
    size_t num;
} ranges_open;

static size_t range_end(const rf_range *range)
{
    return range->first + range->count;
}

static rf_status ranges_check_one(const ranges_list *list, size_t i)
{
    const rf_range *range = &list->v[i], *before = i ? range - 1 : NULL;
    size_t children = list->m->num_children;
    if (!range->count)
        return rf_fail(list->m->ctx, RF_E_ARGUMENT, "checkpoint_ranges: range %zu is empty", i);
    if (range->count > children || range->first > children - range->count)
        return rf_fail(list->m->ctx, RF_E_ARGUMENT,
                       "checkpoint_ranges: range %zu is %zu children from number %zu on, of %zu", i,
                       range->count, range->first, children);
    if (before && range->first == before->first && range->count == before->count)
        return rf_fail(list->m->ctx, RF_E_ARGUMENT, "checkpoint_ranges: range %zu stands twice", i);
    if (before && (range->first < before->first ||
                   (range->first == before->first && range->count > before->count)))
        return rf_fail(
            list->m->ctx, RF_E_ARGUMENT,
            "checkpoint_ranges: range %zu stands after range %zu: give them in the order "
            "of the first child, the outer one first",
            i, i - 1);
    return RF_OK;
}

/* Range i goes into the innermost that is open. */
static rf_status ranges_nest(const ranges_list *list, size_t i, ranges_open *open,
                             rf_ranges_item *items)
{
    const rf_range *range = &list->v[i];
    while (open->num && range_end(&list->v[open->v[open->num - 1]]) <= range->first)
        open->num--;
    size_t around = open->num ? open->v[open->num - 1] : i;
    if (range_end(range) > range_end(&list->v[around]))
        return rf_fail(list->m->ctx, RF_E_ARGUMENT,
                       "checkpoint_ranges: ranges %zu and %zu overlap: one must be in the other",
                       around, i);
    if (open->num == RF_RANGE_DEPTH)
        return rf_fail(list->m->ctx, RF_E_ARGUMENT,
                       "checkpoint_ranges: range %zu is in more than %d others", i,
                       RF_RANGE_DEPTH - 1);
    items[i].first = range->first;
    items[i].count = range->count;
    for (size_t k = 0; k < open->num; k++)
        items[open->v[k]].inside++;
    open->v[open->num++] = i;
    return RF_OK;
}

static rf_status ranges_fill(const ranges_list *list, rf_ranges_item *items)
{
    ranges_open open = {.num = 0};
    rf_status status = RF_OK;
    for (size_t i = 0; i < list->num && !status; i++) {
        status = ranges_check_one(list, i);
        if (!status)
            status = ranges_nest(list, i, &open, items);
    }
    return status;
}

/* ---- settings ---- */

static const rf_checkpoint_options *ranges_options(const ranges_list *list, size_t i)
{
    return list->v[i].region ? list->v[i].region : list->shared;
}

/* The first range with the same options as range i. */
static size_t ranges_like(const ranges_list *list, size_t i)
{
    size_t k = 0;
    while (ranges_options(list, k) != ranges_options(list, i))
        k++;
    return k;
}

/* With a failure before, or on the way, the rest is refused; items may be NULL then. */
static rf_status ranges_settings(const ranges_list *list, rf_ranges_item *items, rf_status status)
{
    int shared = 0;
    for (size_t i = 0; i < list->num; i++) {
        size_t like = ranges_like(list, i);
        const rf_checkpoint_options *opts = ranges_options(list, i);
        shared |= opts == list->shared;
        if (like == i && status)
            rf_settings_refuse(opts);
        else if (like == i)
            status = rf_settings_take(&items[i].set, list->m->ctx, &list->m, 1, opts);
        else if (!status) {
            items[i].set = items[like].set;
            items[i].set->refs++;
        }
    }
    if (!shared) /* nobody's */
        rf_settings_refuse(list->shared);
    return status;
}

/* ---- the API ---- */

rf_status rf_checkpoint_ranges(rf_module *m, const rf_range *ranges, size_t num,
                               const rf_checkpoint_options *opts)
{
    ranges_list list = {m, ranges, num, opts};
    rf_ranges *state = NULL;
    rf_status status = RF_OK;
    if (!rf_sequential_is(m))
        status = rf_fail(m->ctx, RF_E_ARGUMENT, "checkpoint_ranges: %s is no sequential container",
                         m->cls->name);
    else if (!num)
        status = rf_fail(m->ctx, RF_E_ARGUMENT, "checkpoint_ranges: no range at all");
    if (!status)
        status = rf_ranges_create(&state, m->ctx, num);
    if (!status)
        status = ranges_fill(&list, state->items);
    status = ranges_settings(&list, state ? state->items : NULL, status);
    if (status) {
        rf_ranges_unref(state);
        return status;
    }
    state->children = m->num_children;
    return rf_api_apply_run(&rf_ranges_api, m, state);
}

size_t rf_checkpoint_ranges_num(const rf_module *m)
{
    const rf_ranges *ranges = rf_api_state(&rf_ranges_api, m);
    return ranges ? ranges->num : 0;
}

rf_status rf_checkpoint_ranges_report(const rf_module *m, size_t index, rf_range *out)
{
    const rf_ranges *ranges = rf_api_state(&rf_ranges_api, m);
    if (!ranges)
        return rf_fail(m->ctx, RF_E_NOT_FOUND, "checkpoint_ranges: %s has no ranges", m->cls->name);
    if (index >= ranges->num)
        return rf_fail(m->ctx, RF_E_ARGUMENT, "checkpoint_ranges: no range %zu of %zu", index,
                       ranges->num);
    const rf_ranges_item *item = &ranges->items[index];
    *out = (rf_range){item->first, item->count, &item->set->opts};
    return RF_OK;
}

rf_status rf_checkpoint_ranges_clear(rf_module *m)
{
    return rf_api_remove(&rf_ranges_api, m);
}
