/* planner.c: a plan for each shape of step (refrain/plan.h).
 *
 * Invariant: the plan of `current`, and no other, is applied to the model; while a new shape is
 * planned none is.
 */
#include "plan/plan.h"
#include "plan/pool.h"
#include "tensor/pooled.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PLANNER_SIZES = 16 };

typedef struct planner_entry {
    int64_t sizes[PLANNER_SIZES];
    size_t num;
    rf_plan *plan;
    rf_layout layout; /* of its step, if there is a pool */
} planner_entry;

struct rf_planner {
    rf_context *ctx;
    rf_module *module;
    rf_plan_options opts;
    planner_entry *entries; /* in the order of their coming */
    size_t num, capacity;
    size_t current; /* plus one; 0: none */
};

rf_status rf_planner_create(rf_planner **out, rf_module *m, const rf_plan_options *opts)
{
    static const rf_plan_options defaults = RF_PLAN_OPTIONS_INIT;
    *out = NULL;
    if (opts && opts->size != sizeof *opts)
        return rf_fail(m->ctx, RF_E_ARGUMENT, "planner: options of another size");
    rf_planner *p = rf_plan_alloc(m->ctx, sizeof *p);
    if (!p)
        return rf_context_error(m->ctx)->code;
    p->ctx = m->ctx;
    p->module = m;
    p->opts = opts ? *opts : defaults;
    *out = p;
    return RF_OK;
}

static rf_status planner_take_off(rf_planner *p)
{
    if (!p->current)
        return RF_OK;
    const rf_plan *plan = p->entries[p->current - 1].plan;
    p->current = 0;
    return rf_plan_clear(plan, p->module);
}

void rf_planner_destroy(rf_planner *p)
{
    if (!p)
        return;
    (void)!planner_take_off(p);
    for (size_t i = 0; i < p->num; i++) {
        rf_plan_destroy(p->entries[i].plan);
        rf_layout_free(p->ctx, &p->entries[i].layout);
    }
    rf_plan_free(p->ctx, p->entries, p->capacity * sizeof *p->entries);
    rf_plan_free(p->ctx, p, sizeof *p);
}

static size_t planner_find(const rf_planner *p, rf_step_shape shape)
{
    size_t i = 0;
    while (i < p->num &&
           (p->entries[i].num != shape.num ||
            memcmp(p->entries[i].sizes, shape.sizes, shape.num * sizeof *shape.sizes) != 0))
        i++;
    return i;
}

/* Say which shape it is; figures of the error stay. */
static rf_status planner_refuse(rf_planner *p, rf_step_shape shape)
{
    char text[PLANNER_SIZES * 21 + 1] = "";
    rf_error why = p->ctx->record.error;
    size_t at = 0;
    for (size_t i = 0; i < shape.num; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%" PRId64, i ? " x " : "",
                               shape.sizes[i]);
    rf_fail(p->ctx, RF_E_BUDGET,
            "planner: a step of shape %s does not fit into %llu bytes; its smallest budget is %llu",
            text, (unsigned long long)why.limit, (unsigned long long)why.limit_needed);
    p->ctx->record.error.limit = why.limit;
    p->ctx->record.error.limit_needed = why.limit_needed;
    return RF_E_BUDGET;
}

static rf_status planner_plan(rf_planner *p, rf_step_shape shape, const rf_training_step *step)
{
    planner_entry entry = {.num = shape.num};
    memcpy(entry.sizes, shape.sizes, shape.num * sizeof *shape.sizes);
    rf_status status = rf_plan_grow(p->ctx, &p->entries, p->num, &p->capacity, sizeof *p->entries);
    if (!status)
        status = rf_plan_create(&entry.plan, p->module, step, &p->opts);
    if (status == RF_E_BUDGET && p->ctx->record.error.limit_needed)
        return planner_refuse(p, shape);
    if (!status)
        p->entries[p->num++] = entry;
    return status;
}

/* Where the context's memory can be a pool, each shape has its own places in it. */
static int planner_pools(const rf_planner *p)
{
    return p->opts.budget && !p->opts.no_pool && !p->ctx->dry && p->ctx->alloc.fn == rf_alloc_libc;
}

static rf_status planner_put_on(rf_planner *p, size_t at, const rf_training_step *step)
{
    planner_entry *entry = &p->entries[at];
    rf_status status = rf_plan_apply(entry->plan, p->module);
    if (status)
        return status;
    p->current = at + 1;
    if (!planner_pools(p))
        return RF_OK;
    if (!entry->layout.blocks)
        status = rf_pool_layout(&entry->layout, p->ctx, step);
    if (!status)
        status =
            rf_context_set_pool(p->ctx, p->opts.budget, entry->layout.blocks, entry->layout.num);
    if (status)
        (void)!planner_take_off(p);
    return status;
}

rf_status rf_planner_step(rf_planner *p, rf_step_shape shape, const rf_training_step *step)
{
    if (shape.num > PLANNER_SIZES || (shape.num && !shape.sizes) || !step || !step->run)
        return rf_fail(p->ctx, RF_E_ARGUMENT, "planner: at most %d sizes, and a step",
                       PLANNER_SIZES);
    size_t at = planner_find(p, shape);
    rf_status status = p->current == at + 1 ? RF_OK : planner_take_off(p);
    if (!status && at == p->num)
        status = planner_plan(p, shape, step);
    if (!status && !p->current)
        status = planner_put_on(p, at, step);
    if (status)
        return status;
    rf_pool_step(p->ctx);
    return step->run(step->payload);
}

const rf_plan *rf_planner_current(const rf_planner *p)
{
    return p->current ? p->entries[p->current - 1].plan : NULL;
}

size_t rf_planner_num(const rf_planner *p)
{
    return p->num;
}
