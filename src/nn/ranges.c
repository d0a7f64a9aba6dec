/* ranges.c: see ranges.h. A walk goes over children and ranges side by side: where a range begins,
 * a region runs its children, and in it another walk the ranges inside; so a walk sees each child
 * once, and the C stack is as deep as the ranges.
 */
#include "nn/ranges.h"
#include "nn/layer.h"

rf_status rf_ranges_create(rf_ranges **out, rf_context *ctx, size_t num)
{
    rf_ranges *ranges = NULL;
    if (num > (SIZE_MAX - sizeof *ranges) / sizeof ranges->items[0])
        return rf_fail(ctx, RF_E_ARGUMENT, "checkpoint_ranges: %zu ranges", num);
    ranges = rf_host_alloc(ctx, sizeof *ranges + num * sizeof ranges->items[0]);
    *out = ranges;
    if (!ranges)
        return rf_context_error(ctx)->code;
    ranges->ctx = ctx;
    ranges->refs = 1;
    ranges->num = num;
    return RF_OK;
}

void rf_ranges_ref(rf_ranges *ranges)
{
    if (ranges)
        ranges->refs++;
}

void rf_ranges_unref(rf_ranges *ranges)
{
    if (!ranges || --ranges->refs)
        return;
    for (size_t i = 0; i < ranges->num; i++)
        rf_settings_destroy(ranges->items[i].set);
    rf_host_free(ranges->ctx, ranges, sizeof *ranges + ranges->num * sizeof ranges->items[0]);
}

size_t rf_ranges_num(const rf_ranges *ranges)
{
    return ranges->segments ? ranges->segments - !ranges->tail : ranges->num;
}

/* Segments are of floor(n / segments) children; the last takes the rest. */
rf_ranges_item rf_ranges_at(const rf_ranges *ranges, const rf_module *m, size_t index)
{
    if (!ranges->segments)
        return ranges->items[index];
    size_t n = m->num_children, length = n / ranges->segments, first = index * length;
    int last = index + 1 == ranges->segments;
    return (rf_ranges_item){
        .first = first, .count = last ? n - first : length, .set = ranges->items[0].set};
}

/* ---- running ---- */

typedef struct ranges_walk {
    rf_ranges *ranges;
    rf_module *m;
    rf_scope *s;
    size_t child, end;   /* children left    */
    size_t range, after; /* ranges left */
} ranges_walk;

/* One child, or all of a range. */
static rf_status walk_step(ranges_walk *walk, rf_tensor *x, rf_tensor **y)
{
    rf_ranges_item range = {0};
    for (; walk->range < walk->after && !range.count; walk->range += !range.count)
        range = rf_ranges_at(walk->ranges, walk->m, walk->range);
    if (!range.count || range.first != walk->child) {
        *y = rf_module_call1(walk->m->children[walk->child++], walk->s, x);
        return rf_scope_status(walk->s);
    }
    rf_region_part part = {range.set, walk->ranges, walk->range};
    walk->child += range.count;
    walk->range += 1 + range.inside;
    return rf_settings_region(walk->m, walk->s, &part, &(rf_values){&x, 1}, &(rf_values){y, 1});
}

static rf_status walk_run(ranges_walk *walk, rf_tensor *x, rf_tensor **out)
{
    rf_tensor *first = x;
    rf_status status = RF_OK;
    while (walk->child < walk->end && !status) {
        rf_tensor *y = NULL;
        status = walk_step(walk, x, &y);
        if (x != first)
            rf_layer_done(walk->s, x, y); /* its bytes stay if backward wants them */
        x = y;
    }
    *out = x;
    return status;
}

rf_status rf_ranges_call(const rf_region_part *part, rf_module *m, rf_scope *s, const rf_values *in,
                         rf_values *out)
{
    rf_ranges_item range = rf_ranges_at(part->ranges, m, part->index);
    ranges_walk walk = {.ranges = part->ranges,
                        .m = m,
                        .s = s,
                        .child = range.first,
                        .end = range.first + range.count,
                        .range = part->index + 1,
                        .after = part->index + 1 + range.inside};
    return walk_run(&walk, in->v[0], &out->v[0]);
}

rf_status rf_ranges_run(rf_ranges *ranges, rf_module *m, rf_scope *s, const rf_values *in,
                        rf_values *out)
{
    ranges_walk walk = {
        .ranges = ranges, .m = m, .s = s, .end = m->num_children, .after = rf_ranges_num(ranges)};
    rf_status status = rf_layer_one(m, s, in, out);
    if (!status && !ranges->segments && ranges->children != m->num_children)
        status = rf_fail(m->ctx, RF_E_STATE,
                         "checkpoint_ranges: %s had %zu children when its ranges were given and "
                         "has %zu: clear them and give others",
                         m->cls->name, ranges->children, m->num_children);
    if (status)
        return status;
    ranges->refs++; /* a child may clear them */
    status = walk_run(&walk, in->v[0], &out->v[0]);
    rf_ranges_unref(ranges);
    return status;
}

/* ---- what the two APIs share ---- */

/* Those that share settings share the copy. */
rf_status rf_ranges_copy_state(void *state, rf_context *ctx, void **state_out)
{
    const rf_ranges *from = state;
    rf_ranges *copy;
    rf_status status = rf_ranges_create(&copy, ctx, from->num);
    *state_out = NULL;
    if (status)
        return status;
    copy->segments = from->segments;
    copy->tail = from->tail;
    copy->children = from->children;
    for (size_t i = 0; i < from->num && !status; i++) {
        size_t k = 0;
        while (from->items[k].set != from->items[i].set)
            k++;
        copy->items[i] = from->items[i];
        copy->items[i].set = k < i ? copy->items[k].set : NULL;
        if (k < i)
            copy->items[i].set->refs++;
        else
            status = rf_settings_copy(&copy->items[i].set, from->items[i].set);
    }
    if (status)
        rf_ranges_unref(copy);
    else
        *state_out = copy;
    return status;
}

void rf_ranges_destroy(void *state)
{
    rf_ranges_unref(state);
}
