/* plan.c: plans as lists of parts: made, applied, cleared, asked. */
#include "plan/plan.h"

#include <refrain/checkpoint.h>

#include <string.h>

rf_status rf_plan_begin(rf_plan **out, rf_context *ctx)
{
    *out = rf_plan_alloc(ctx, sizeof **out);
    if (!*out)
        return rf_context_error(ctx)->code;
    (*out)->ctx = ctx;
    return RF_OK;
}

static void part_end(rf_context *ctx, rf_plan_own_part *part)
{
    rf_plan_free_text(ctx, part->path);
    rf_plan_free_text(ctx, part->fates);
    rf_plan_free_text(ctx, part->dial);
}

void rf_plan_forget_parts(rf_plan *plan)
{
    for (size_t i = 0; i < plan->num_parts; i++)
        part_end(plan->ctx, &plan->parts[i]);
    plan->num_parts = 0;
}

void rf_plan_destroy(rf_plan *plan)
{
    if (!plan)
        return;
    rf_plan_forget_parts(plan);
    rf_plan_free(plan->ctx, plan->parts, plan->cap_parts * sizeof *plan->parts);
    rf_plan_free(plan->ctx, plan->points, plan->cap_points * sizeof *plan->points);
    rf_plan_free(plan->ctx, plan, sizeof *plan);
}

rf_status rf_plan_add_part(rf_plan *plan, const rf_plan_part *part)
{
    rf_context *ctx = plan->ctx;
    rf_status status =
        rf_plan_grow(ctx, &plan->parts, plan->num_parts, &plan->cap_parts, sizeof *plan->parts);
    if (status)
        return status;
    rf_plan_own_part *own = &plan->parts[plan->num_parts];
    *own = (rf_plan_own_part){.first = part->first, .count = part->count, .bytes = part->bytes};
    own->path = rf_plan_copy_text(ctx, part->path);
    own->fates = rf_plan_copy_text(ctx, part->fates ? part->fates : "");
    own->dial = part->dial ? rf_plan_copy_text(ctx, part->dial) : NULL;
    if (own->path && own->fates && (own->dial || !part->dial)) {
        plan->num_parts++;
        return RF_OK;
    }
    part_end(ctx, own);
    return rf_context_error(ctx)->code;
}

static rf_status plan_copy_points(rf_plan *to, const rf_plan *plan)
{
    size_t bytes = plan->num_points * sizeof *plan->points;
    to->points = bytes ? rf_plan_alloc(to->ctx, bytes) : NULL;
    if (bytes && !to->points)
        return rf_context_error(to->ctx)->code;
    if (bytes)
        memcpy(to->points, plan->points, bytes);
    to->num_points = plan->num_points;
    return RF_OK;
}

rf_status rf_plan_copy(rf_plan **out, const rf_plan *plan, rf_context *ctx)
{
    rf_status status = rf_plan_begin(out, ctx);
    if (status)
        return status;
    (*out)->info = plan->info;
    status = plan_copy_points(*out, plan);
    for (size_t i = 0; i < plan->num_parts && !status; i++) {
        rf_plan_part part = rf_plan_part_at(plan, i);
        status = rf_plan_add_part(*out, &part);
    }
    if (status) {
        rf_plan_destroy(*out);
        *out = NULL;
    }
    return status;
}

/* ---- from a scheme ---- */

/* The path of m from root, which need not be the root of its tree. */
static const char *plan_path(const rf_module *root, const rf_module *m, char *buffer, size_t bytes)
{
    size_t skip = rf_module_path(root, buffer, bytes);
    rf_module_path(m, buffer, bytes);
    if (m == root)
        return "";
    return buffer + (skip ? skip + 1 : 0);
}

rf_status rf_plan_take(rf_plan *plan, const rf_scheme *scheme, const rf_scheme_space *space,
                       rf_module *root)
{
    char path[512];
    rf_status status = RF_OK;
    for (size_t i = 0; i < scheme->num_ranges && !status; i++) {
        const rf_scheme_range *range = &scheme->ranges[i];
        const rf_module *m = space->sites->chains[range->chain].container;
        if (!rf_scheme_has_ranges(scheme, space, range->chain))
            continue;
        rf_plan_part part = {.path = plan_path(root, m, path, sizeof path),
                             .first = range->first,
                             .count = range->count};
        status = rf_plan_add_part(plan, &part);
    }
    for (size_t i = 0; i < space->sites->num && !status; i++) {
        const rf_site *site = &space->sites->v[i];
        const rf_option_list *list = rf_options_of(space->options, i);
        const rf_option *option = &list->v[rf_scheme_option(scheme, space, i)];
        rf_plan_part part = {.path = plan_path(root, site->module, path, sizeof path),
                             .fates = option->fates,
                             .dial = site->dial ? site->dial->name : NULL,
                             .bytes = site->dial ? option->dial : 0};
        if (part.fates || rf_scheme_turns(scheme, space, i))
            status = rf_plan_add_part(plan, &part);
    }
    return status;
}

/* ---- applying ---- */

static int part_is_range(const rf_plan_own_part *part)
{
    return part->count != 0;
}

/* How many parts from index on are ranges of one container. */
static size_t plan_ranges_from(const rf_plan *plan, size_t index)
{
    size_t num = 0;
    while (index + num < plan->num_parts && part_is_range(&plan->parts[index + num]) &&
           !strcmp(plan->parts[index].path, plan->parts[index + num].path))
        num++;
    return num;
}

static rf_checkpoint_options part_options(const rf_plan_own_part *part)
{
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.fates = *part->fates ? part->fates : NULL;
    return opts;
}

static rf_status plan_apply_ranges(const rf_plan *plan, rf_module *m, size_t index, size_t num)
{
    rf_context *ctx = plan->ctx;
    size_t range_bytes = num * sizeof(rf_range), bytes = num * sizeof(rf_checkpoint_options);
    rf_range *ranges = rf_plan_alloc(ctx, range_bytes);
    rf_checkpoint_options *opts = rf_plan_alloc(ctx, bytes);
    rf_status status = ranges && opts ? RF_OK : rf_context_error(ctx)->code;
    for (size_t i = 0; i < num && !status; i++) {
        const rf_plan_own_part *part = &plan->parts[index + i];
        opts[i] = part_options(part);
        ranges[i] = (rf_range){part->first, part->count, &opts[i]};
    }
    if (!status)
        status = rf_checkpoint_ranges(m, ranges, num, NULL);
    rf_plan_free(ctx, ranges, range_bytes);
    rf_plan_free(ctx, opts, bytes);
    return status;
}

static rf_status plan_turn(const rf_plan_own_part *part, rf_module *m)
{
    const rf_dial *dial = rf_module_dial(m);
    if (dial && !strcmp(dial->name, part->dial) && dial->get(m) != RF_DIAL_AUTO)
        return rf_fail(m->ctx, RF_E_APPLIED, "plan: the dial '%s' of %s is set already", part->dial,
                       *part->path ? part->path : "the model");
    return rf_module_set_dial(m, part->dial, part->bytes);
}

/* The part at index and, of a container, those that belong to it; *next is the one behind. */
static rf_status plan_apply_part(const rf_plan *plan, rf_module *root, size_t index, size_t *next)
{
    const rf_plan_own_part *part = &plan->parts[index];
    rf_module *m = rf_module_find(root, part->path);
    rf_checkpoint_options opts = part_options(part);
    size_t num = plan_ranges_from(plan, index);
    *next = index + (num ? num : 1);
    if (!m)
        return rf_fail(plan->ctx, RF_E_NOT_FOUND,
                       "plan: the model has no part %s: the plan is another model's", part->path);
    if (part->dial)
        return plan_turn(part, m);
    return num ? plan_apply_ranges(plan, m, index, num) : rf_checkpoint(m, &opts);
}

/* Take away the parts before `end`. */
static rf_status plan_undo(const rf_plan *plan, rf_module *root, size_t end)
{
    rf_status status = RF_OK;
    for (size_t i = 0; i < end;) {
        size_t num = plan_ranges_from(plan, i);
        rf_module *m = rf_module_find(root, plan->parts[i].path);
        const char *dial = plan->parts[i].dial;
        rf_status cleared = !m     ? RF_E_NOT_FOUND
                            : dial ? rf_module_set_dial(m, dial, RF_DIAL_AUTO)
                            : num  ? rf_checkpoint_ranges_clear(m)
                                   : rf_checkpoint_clear(m);
        status = status ? status : cleared;
        i += num ? num : 1;
    }
    return status;
}

rf_status rf_plan_apply(const rf_plan *plan, rf_module *m)
{
    rf_status status = RF_OK;
    size_t i = 0;
    while (i < plan->num_parts && !status) {
        size_t next;
        status = plan_apply_part(plan, m, i, &next);
        if (!status)
            i = next;
    }
    if (status) {
        rf_error_record record = plan->ctx->record; /* the reason, whatever undoing says */
        (void)!plan_undo(plan, m, i);
        plan->ctx->record = record;
    }
    return status;
}

rf_status rf_plan_clear(const rf_plan *plan, rf_module *m)
{
    return plan_undo(plan, m, plan->num_parts);
}

/* ---- asking ---- */

rf_plan_info rf_plan_info_of(const rf_plan *plan)
{
    return plan->info;
}

size_t rf_plan_num_parts(const rf_plan *plan)
{
    return plan->num_parts;
}

rf_plan_part rf_plan_part_at(const rf_plan *plan, size_t index)
{
    const rf_plan_own_part *own = &plan->parts[index];
    return (rf_plan_part){own->path, own->first, own->count, own->fates, own->dial, own->bytes};
}

size_t rf_plan_num_points(const rf_plan *plan)
{
    return plan->num_points;
}

rf_plan_point rf_plan_point_at(const rf_plan *plan, size_t index)
{
    return plan->points[index];
}
