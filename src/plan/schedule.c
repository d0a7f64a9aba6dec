/* schedule.c: see schedule.h. */
#include "plan/schedule.h"

#include <refrain/checkpoint.h>

#include <string.h>

rf_status rf_schedule_begin(rf_schedule *out, const rf_schedule_space *space)
{
    *out = (rf_schedule){0};
    out->option = rf_plan_alloc(space->ctx, space->sites->num + 1);
    return out->option ? RF_OK : rf_context_error(space->ctx)->code;
}

rf_status rf_schedule_copy(rf_schedule *out, const rf_schedule_space *space,
                           const rf_schedule *from)
{
    rf_status status = rf_schedule_begin(out, space);
    if (status)
        return status;
    memcpy(out->option, from->option, space->sites->num);
    if (!from->num_ranges)
        return RF_OK;
    out->ranges = rf_plan_alloc(space->ctx, from->num_ranges * sizeof *out->ranges);
    if (!out->ranges) {
        rf_schedule_end(out, space);
        return rf_context_error(space->ctx)->code;
    }
    memcpy(out->ranges, from->ranges, from->num_ranges * sizeof *out->ranges);
    out->num_ranges = out->cap_ranges = from->num_ranges;
    return RF_OK;
}

void rf_schedule_end(rf_schedule *schedule, const rf_schedule_space *space)
{
    if (schedule->option)
        rf_plan_free(space->ctx, schedule->option, space->sites->num + 1);
    rf_plan_free(space->ctx, schedule->ranges, schedule->cap_ranges * sizeof *schedule->ranges);
    *schedule = (rf_schedule){0};
}

/* ---- ranges ---- */

/* Whether a comes before b: by chain, by first, the longer first. 0: they are the same. */
static int range_order(rf_schedule_range a, rf_schedule_range b)
{
    if (a.chain != b.chain)
        return a.chain < b.chain ? -1 : 1;
    if (a.first != b.first)
        return a.first < b.first ? -1 : 1;
    return a.count > b.count ? -1 : a.count < b.count;
}

static int range_crosses(rf_schedule_range a, rf_schedule_range b)
{
    uint32_t a_end = a.first + a.count, b_end = b.first + b.count;
    return a.chain == b.chain && a.first < b_end && b.first < a_end &&
           !(a.first <= b.first && b_end <= a_end) && !(b.first <= a.first && a_end <= b_end);
}

rf_status rf_schedule_add_range(rf_schedule *schedule, const rf_schedule_space *space,
                                rf_schedule_range range)
{
    size_t at = 0;
    if (!range.count || range.first + range.count > space->sites->chains[range.chain].num_links)
        return RF_E_ARGUMENT;
    for (size_t i = 0; i < schedule->num_ranges; i++) {
        int order = range_order(schedule->ranges[i], range);
        if (!order)
            return RF_OK;
        if (range_crosses(schedule->ranges[i], range))
            return RF_E_ARGUMENT;
        at += order < 0;
    }
    rf_status status = rf_plan_grow(space->ctx, &schedule->ranges, schedule->num_ranges,
                                    &schedule->cap_ranges, sizeof *schedule->ranges);
    if (status)
        return status;
    memmove(&schedule->ranges[at + 1], &schedule->ranges[at],
            (schedule->num_ranges - at) * sizeof *schedule->ranges);
    schedule->ranges[at] = range;
    schedule->num_ranges++;
    return RF_OK;
}

void rf_schedule_remove_range(rf_schedule *schedule, size_t index)
{
    memmove(&schedule->ranges[index], &schedule->ranges[index + 1],
            (schedule->num_ranges - index - 1) * sizeof *schedule->ranges);
    schedule->num_ranges--;
}

/* ---- carrying out ---- */

/* The ranges of a chain, which begin at index and end before *end. */
static rf_status schedule_apply_ranges(const rf_schedule *schedule, const rf_schedule_space *space,
                                       size_t index, size_t *end)
{
    uint32_t chain = schedule->ranges[index].chain;
    size_t num = 0;
    while (index + num < schedule->num_ranges && schedule->ranges[index + num].chain == chain)
        num++;
    *end = index + num;
    rf_range *ranges = rf_plan_alloc(space->ctx, num * sizeof *ranges);
    if (!ranges)
        return rf_context_error(space->ctx)->code;
    for (size_t i = 0; i < num; i++)
        ranges[i] =
            (rf_range){schedule->ranges[index + i].first, schedule->ranges[index + i].count, NULL};
    rf_status status =
        rf_checkpoint_ranges(space->sites->chains[chain].container, ranges, num, NULL);
    rf_plan_free(space->ctx, ranges, num * sizeof *ranges);
    return status;
}

static rf_status schedule_apply_site(const rf_schedule *schedule, const rf_schedule_space *space,
                                     size_t i)
{
    const rf_option_list *list = rf_options_of(space->options, i);
    const char *fates = list->v[schedule->option[i]].fates;
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    if (!fates)
        return RF_OK;
    opts.fates = *fates ? fates : NULL;
    return rf_checkpoint(space->sites->v[i].module, &opts);
}

rf_status rf_schedule_apply(const rf_schedule *schedule, const rf_schedule_space *space)
{
    rf_status status = RF_OK;
    for (size_t i = 0; i < space->sites->num && !status; i++)
        status = schedule_apply_site(schedule, space, i);
    for (size_t i = 0; i < schedule->num_ranges && !status;)
        status = schedule_apply_ranges(schedule, space, i, &i);
    if (status)
        rf_schedule_clear(schedule, space);
    return status;
}

void rf_schedule_clear(const rf_schedule *schedule, const rf_schedule_space *space)
{
    for (size_t i = 0; i < space->sites->num; i++)
        if (schedule->option[i] && rf_checkpoint_applied(space->sites->v[i].module))
            (void)!rf_checkpoint_clear(space->sites->v[i].module);
    for (size_t i = 0; i < schedule->num_ranges; i++) {
        rf_module *container = space->sites->chains[schedule->ranges[i].chain].container;
        if (rf_checkpoint_ranges_num(container))
            (void)!rf_checkpoint_ranges_clear(container);
    }
}
