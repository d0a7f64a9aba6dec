/* scheme.c: see scheme.h. */
#include "plan/scheme.h"

#include <refrain/checkpoint.h>

#include <string.h>

rf_status rf_scheme_begin(rf_scheme *out, const rf_scheme_space *space)
{
    *out = (rf_scheme){0};
    out->option = rf_plan_alloc(space->ctx, space->sites->num + 1);
    return out->option ? RF_OK : rf_context_error(space->ctx)->code;
}

rf_status rf_scheme_copy(rf_scheme *out, const rf_scheme_space *space, const rf_scheme *from)
{
    rf_status status = rf_scheme_begin(out, space);
    if (status)
        return status;
    memcpy(out->option, from->option, space->sites->num);
    if (!from->num_ranges)
        return RF_OK;
    out->ranges = rf_plan_alloc(space->ctx, from->num_ranges * sizeof *out->ranges);
    if (!out->ranges) {
        rf_scheme_end(out, space);
        return rf_context_error(space->ctx)->code;
    }
    memcpy(out->ranges, from->ranges, from->num_ranges * sizeof *out->ranges);
    out->num_ranges = out->cap_ranges = from->num_ranges;
    return RF_OK;
}

void rf_scheme_end(rf_scheme *scheme, const rf_scheme_space *space)
{
    if (scheme->option)
        rf_plan_free(space->ctx, scheme->option, space->sites->num + 1);
    rf_plan_free(space->ctx, scheme->ranges, scheme->cap_ranges * sizeof *scheme->ranges);
    *scheme = (rf_scheme){0};
}

/* ---- ranges ---- */

/* Whether a comes before b: by chain, by first, the longer first. 0: they are the same. */
static int range_order(rf_scheme_range a, rf_scheme_range b)
{
    if (a.chain != b.chain)
        return a.chain < b.chain ? -1 : 1;
    if (a.first != b.first)
        return a.first < b.first ? -1 : 1;
    return a.count > b.count ? -1 : a.count < b.count;
}

static int range_crosses(rf_scheme_range a, rf_scheme_range b)
{
    uint32_t a_end = a.first + a.count, b_end = b.first + b.count;
    return a.chain == b.chain && a.first < b_end && b.first < a_end &&
           !(a.first <= b.first && b_end <= a_end) && !(b.first <= a.first && a_end <= b_end);
}

rf_status rf_scheme_add_range(rf_scheme *scheme, const rf_scheme_space *space,
                              rf_scheme_range range)
{
    size_t at = 0;
    if (!range.count || range.first + range.count > space->sites->chains[range.chain].num_links)
        return RF_E_ARGUMENT;
    for (size_t i = 0; i < scheme->num_ranges; i++) {
        int order = range_order(scheme->ranges[i], range);
        if (!order)
            return RF_OK;
        if (range_crosses(scheme->ranges[i], range))
            return RF_E_ARGUMENT;
        at += order < 0;
    }
    rf_status status = rf_plan_grow(space->ctx, &scheme->ranges, scheme->num_ranges,
                                    &scheme->cap_ranges, sizeof *scheme->ranges);
    if (status)
        return status;
    memmove(&scheme->ranges[at + 1], &scheme->ranges[at],
            (scheme->num_ranges - at) * sizeof *scheme->ranges);
    scheme->ranges[at] = range;
    scheme->num_ranges++;
    return RF_OK;
}

void rf_scheme_remove_range(rf_scheme *scheme, size_t index)
{
    memmove(&scheme->ranges[index], &scheme->ranges[index + 1],
            (scheme->num_ranges - index - 1) * sizeof *scheme->ranges);
    scheme->num_ranges--;
}

/* ---- what counts ---- */

int rf_scheme_covered(const rf_scheme *scheme, const rf_scheme_space *space, size_t site)
{
    for (; site != SIZE_MAX; site = space->sites->v[site].outer) {
        const char *fates = rf_options_of(space->options, site)->v[scheme->option[site]].fates;
        if (fates && *fates)
            return 1;
    }
    return 0;
}

size_t rf_scheme_option(const rf_scheme *scheme, const rf_scheme_space *space, size_t site)
{
    return rf_scheme_covered(scheme, space, space->sites->v[site].outer) ? 0 : scheme->option[site];
}

int rf_scheme_turns(const rf_scheme *scheme, const rf_scheme_space *space, size_t site)
{
    return space->sites->v[site].dial && rf_scheme_option(scheme, space, site);
}

/* Ranges of a container that is a region itself would be in its way. */
int rf_scheme_has_ranges(const rf_scheme *scheme, const rf_scheme_space *space, size_t chain)
{
    const rf_site_chain *c = &space->sites->chains[chain];
    int region = c->outer != SIZE_MAX && space->sites->v[c->outer].module == c->container &&
                 scheme->option[c->outer];
    return !region && !rf_scheme_covered(scheme, space, c->outer);
}

/* ---- carrying out ---- */

/* The ranges of a chain, which begin at index and end before *end. */
static rf_status scheme_apply_ranges(const rf_scheme *scheme, const rf_scheme_space *space,
                                     size_t index, size_t *end)
{
    uint32_t chain = scheme->ranges[index].chain;
    size_t num = 0;
    while (index + num < scheme->num_ranges && scheme->ranges[index + num].chain == chain)
        num++;
    *end = index + num;
    if (!rf_scheme_has_ranges(scheme, space, chain))
        return RF_OK;
    rf_range *ranges = rf_plan_alloc(space->ctx, num * sizeof *ranges);
    if (!ranges)
        return rf_context_error(space->ctx)->code;
    for (size_t i = 0; i < num; i++)
        ranges[i] =
            (rf_range){scheme->ranges[index + i].first, scheme->ranges[index + i].count, NULL};
    rf_status status =
        rf_checkpoint_ranges(space->sites->chains[chain].container, ranges, num, NULL);
    rf_plan_free(space->ctx, ranges, num * sizeof *ranges);
    return status;
}

static rf_status scheme_apply_site(const rf_scheme *scheme, const rf_scheme_space *space, size_t i)
{
    const rf_option_list *list = rf_options_of(space->options, i);
    const rf_option *option = &list->v[rf_scheme_option(scheme, space, i)];
    const rf_site *site = &space->sites->v[i];
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    if (site->dial)
        return rf_module_set_dial(site->module, site->dial->name, option->dial);
    if (!option->fates)
        return RF_OK;
    opts.fates = *option->fates ? option->fates : NULL;
    return rf_checkpoint(site->module, &opts);
}

rf_status rf_scheme_apply(const rf_scheme *scheme, const rf_scheme_space *space)
{
    rf_status status = RF_OK;
    for (size_t i = 0; i < space->sites->num && !status; i++)
        status = scheme_apply_site(scheme, space, i);
    for (size_t i = 0; i < scheme->num_ranges && !status;)
        status = scheme_apply_ranges(scheme, space, i, &i);
    if (status)
        rf_scheme_clear(scheme, space);
    return status;
}

void rf_scheme_clear(const rf_scheme *scheme, const rf_scheme_space *space)
{
    for (size_t i = 0; i < space->sites->num; i++) {
        const rf_site *site = &space->sites->v[i];
        if (site->dial)
            (void)!rf_module_set_dial(site->module, site->dial->name, RF_DIAL_AUTO);
        else if (rf_scheme_option(scheme, space, i) && rf_checkpoint_applied(site->module))
            (void)!rf_checkpoint_clear(site->module);
    }
    for (size_t i = 0; i < scheme->num_ranges; i++) {
        rf_module *container = space->sites->chains[scheme->ranges[i].chain].container;
        if (rf_scheme_has_ranges(scheme, space, scheme->ranges[i].chain) &&
            rf_checkpoint_ranges_num(container))
            (void)!rf_checkpoint_ranges_clear(container);
    }
}
