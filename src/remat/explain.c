/* explain.c: see explain.h: collecting.
 *
 * It runs inside of what allocates and frees, so it neither fails nor uses the context: memory
 * comes from the allocator beside the ledger, and the first time that there is none is remembered.
 * The groups are copied only when bytes leave just after a new peak: while bytes only come, the
 * peak is now.
 */
#include "remat/explain.h"
#include "base/sort.h"

#include <string.h>

/* ---- bytes ---- */

static void group_change(rf_explain *e, uint32_t group, int64_t bytes)
{
    if (group >= e->groups.num)
        return;
    explain_group *g = &explain_groups(e)[group];
    g->bytes += (uint64_t)bytes;
    if (!g->before)
        g->num += bytes > 0 ? 1 : (uint64_t)-1;
}

/* The peak was the moment before this one. */
static void explain_copy_peak(rf_explain *e)
{
    explain_group *g = explain_groups(e);
    e->fresh = 0;
    for (size_t i = 0; i < e->groups.num; i++) {
        g[i].peak_bytes = g[i].bytes;
        g[i].peak_num = g[i].num;
    }
}

/* The group of bytes that come or go. Bookkeeping is one; a storage that changes its class keeps
 * its origin. */
static uint32_t explain_group_of(rf_explain *e, const rf_event *event)
{
    if (!event->storage)
        return e->before[event->cls];
    const explain_group *moved =
        event->storage == e->left_storage ? &explain_groups(e)[e->left_group] : NULL;
    if (event->bytes > 0 && moved)
        return rf_explain_group_of(e, event->cls, moved->path, moved->op);
    if (event->bytes > 0)
        return rf_explain_group_of(e, event->cls, rf_explain_name_of(e, event->path),
                                   rf_explain_name_of(e, event->op));
    uint32_t group = rf_explain_storage_take(e, event->storage);
    if (group == EXPLAIN_NONE)
        return e->before[event->cls];
    e->left_storage = event->storage;
    e->left_group = group;
    return group;
}

static void explain_new_peak(rf_explain *e, const rf_event *event)
{
    e->totals.peak = e->used[RF_MEM_ALL];
    e->totals.peak_seconds = event->end;
    e->totals.peak_phase = event->phase;
    e->peak_path = rf_explain_name_of(e, event->path);
    e->peak_op = rf_explain_name_of(e, event->storage ? event->op : "");
    e->fresh = 1;
}

/* Two neighbours become one: the higher moment of both. */
static void points_halve(rf_explain *e)
{
    for (size_t i = 0; i < e->num_points / 2; i++) {
        const rf_explain_point *a = &e->points[2 * i], *b = a + 1;
        e->points[i] = b->bytes[RF_MEM_ALL] > a->bytes[RF_MEM_ALL] ? *b : *a;
    }
    e->num_points /= 2;
    e->stride *= 2;
}

static void points_add(rf_explain *e, double seconds, rf_phase phase)
{
    rf_explain_point point = {.seconds = seconds, .phase = phase};
    memcpy(point.bytes, e->used, sizeof point.bytes);
    if (e->left) {
        rf_explain_point *newest = &e->points[e->num_points - 1];
        e->left--;
        if (point.bytes[RF_MEM_ALL] > newest->bytes[RF_MEM_ALL])
            *newest = point;
        return;
    }
    if (e->num_points == EXPLAIN_POINTS)
        points_halve(e);
    e->points[e->num_points++] = point;
    e->left = e->stride - 1;
}

static void explain_memory(rf_explain *e, const rf_event *event)
{
    if (event->device != RF_DEVICE_CPU)
        return;
    int counts = event->cls != RF_MEM_BORROWED;
    if (e->fresh && counts && event->bytes < 0)
        explain_copy_peak(e);
    uint32_t group = explain_group_of(e, event);
    group_change(e, group, event->bytes);
    if (event->storage && event->bytes > 0 && group != EXPLAIN_NONE)
        rf_explain_storage_put(e, (explain_storage){event->storage, group});
    e->used[event->cls] += (uint64_t)event->bytes;
    e->used[RF_MEM_ALL] += counts ? (uint64_t)event->bytes : 0;
    if (e->used[RF_MEM_ALL] > e->totals.peak)
        explain_new_peak(e, event);
    points_add(e, event->end, event->phase);
}

/* ---- regions ---- */

static explain_run *explain_run_of(rf_explain *e, uint64_t id)
{
    explain_run *runs = e->runs.items;
    for (size_t i = e->runs.num; i-- > 0;)
        if (runs[i].id == id)
            return &runs[i];
    explain_run *run = rf_explain_list_add(e, &e->runs, sizeof *run);
    if (run)
        *run = (explain_run){.id = id, .entry = EXPLAIN_NONE};
    return run;
}

static uint32_t explain_entry_of(rf_explain *e, const rf_event *event)
{
    uint32_t path = rf_explain_name_of(e, event->path), label = rf_explain_name_of(e, event->label);
    explain_entry *entries = e->entries.items;
    for (size_t i = 0; i < e->entries.num; i++)
        if (entries[i].path == path && entries[i].label == label)
            return (uint32_t)i;
    explain_entry *entry = rf_explain_list_add(e, &e->entries, sizeof *entry);
    if (!entry)
        return EXPLAIN_NONE;
    *entry = (explain_entry){.path = path, .label = label};
    return (uint32_t)(e->entries.num - 1);
}

static void explain_region_event(rf_explain *e, const rf_event *event)
{
    uint32_t entry = explain_entry_of(e, event);
    explain_run *run = explain_run_of(e, event->region);
    if (!run || entry == EXPLAIN_NONE)
        return;
    run->entry = entry;
    rf_explain_region *sums = &((explain_entry *)e->entries.items)[entry].sums;
    if (event->phase == RF_PHASE_RECOMPUTE) {
        sums->runs_again++;
        return;
    }
    sums->calls++;
    sums->kept += event->kept;
    sums->avoided += event->avoided;
    e->totals.kept += event->kept;
    e->totals.avoided += event->avoided;
}

static void explain_op(rf_explain *e, const rf_event *event)
{
    e->totals.kernels++;
    e->totals.flops += event->flops;
    if (event->phase != RF_PHASE_RECOMPUTE)
        return;
    e->totals.kernels_again++;
    e->totals.flops_again += event->flops;
    explain_run *run = explain_run_of(e, event->region);
    if (!run)
        return;
    run->kernels++;
    run->flops += event->flops;
    run->seconds += event->end - event->begin;
}

static void explain_event(void *payload, const rf_event *event)
{
    rf_explain *e = payload;
    if (event->kind == RF_EVENT_MEMORY)
        explain_memory(e, event);
    else if (event->kind == RF_EVENT_OP)
        explain_op(e, event);
    else if (event->kind == RF_EVENT_REGION)
        explain_region_event(e, event);
}

/* ---- beginning and ending ---- */

/* What is held already is told by class. */
static void explain_begin(rf_explain *e)
{
    const rf_memory_info *row = e->ctx->ledger.row[RF_DEVICE_CPU];
    for (int cls = RF_MEM_PARAM; cls < RF_MEM_CLASSES; cls++) {
        e->used[cls] = row[cls].used;
        e->before[cls] = rf_explain_group_new(e, (explain_group){.cls = (rf_mem_class)cls,
                                                                 .path = EXPLAIN_NONE,
                                                                 .op = EXPLAIN_NONE,
                                                                 .before = 1,
                                                                 .bytes = row[cls].used});
    }
    e->used[RF_MEM_ALL] = e->totals.peak = row[RF_MEM_ALL].used;
    e->totals.limit = row[RF_MEM_ALL].limit;
    e->totals.recompute_seconds = -e->ctx->recompute_seconds;
    e->peak_path = e->peak_op = EXPLAIN_NONE;
    e->fresh = 1;
    e->stride = 1;
    points_add(e, 0, RF_PHASE_OTHER);
}

rf_status rf_explain_create(rf_explain **out, rf_context *ctx)
{
    *out = NULL;
    if (rf_tracing(ctx))
        return rf_fail(ctx, RF_E_STATE, "somebody is told of this context's events already");
    rf_explain *e = rf_allocator_get(&ctx->alloc, sizeof *e);
    if (!e)
        return rf_fail(ctx, RF_E_MEMORY, "no memory for watching");
    *e = (rf_explain){.ctx = ctx, .alloc = ctx->alloc};
    e->points = rf_explain_grow(e, NULL, 0, EXPLAIN_POINTS * sizeof *e->points);
    if (e->points)
        explain_begin(e);
    if (e->status) {
        rf_explain_destroy(e);
        return rf_fail(ctx, RF_E_MEMORY, "no memory for watching");
    }
    rf_memory_reset_peak(ctx);
    rf_trace_set(ctx, explain_event, e);
    e->running = 1;
    *out = e;
    return RF_OK;
}

static int live_order(const void *payload, const void *a, const void *b)
{
    const rf_explain *e = payload;
    const explain_group *x = &explain_groups(e)[*(const uint32_t *)a];
    const explain_group *y = &explain_groups(e)[*(const uint32_t *)b];
    if (x->peak_bytes != y->peak_bytes)
        return x->peak_bytes > y->peak_bytes ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* What was held at the peak, most first. */
static void explain_list_live(rf_explain *e)
{
    for (size_t i = 0; i < e->groups.num; i++) {
        const explain_group *g = &explain_groups(e)[i];
        if (!g->peak_bytes || g->cls == RF_MEM_BORROWED)
            continue;
        uint32_t *item = rf_explain_list_add(e, &e->live, sizeof *item);
        if (item)
            *item = (uint32_t)i;
    }
    if (e->live.num)
        rf_sort(e->live.items, e->live.num, sizeof(uint32_t), live_order, e);
}

static void explain_sum_runs(rf_explain *e)
{
    const explain_run *runs = e->runs.items;
    for (size_t i = 0; i < e->runs.num; i++) {
        if (runs[i].entry == EXPLAIN_NONE)
            continue;
        rf_explain_region *sums = &((explain_entry *)e->entries.items)[runs[i].entry].sums;
        sums->kernels_again += runs[i].kernels;
        sums->flops_again += runs[i].flops;
        sums->seconds_again += runs[i].seconds;
    }
    rf_explain_list_free(e, &e->runs);
}

void rf_explain_stop(rf_explain *e)
{
    if (!e->running)
        return;
    e->running = 0;
    e->totals.seconds = rf_trace_clock(e->ctx);
    e->totals.recompute_seconds += e->ctx->recompute_seconds;
    rf_trace_set(e->ctx, NULL, NULL);
    if (e->fresh)
        explain_copy_peak(e);
    explain_list_live(e);
    explain_sum_runs(e);
}

void rf_explain_destroy(rf_explain *e)
{
    if (!e)
        return;
    rf_explain_stop(e);
    rf_allocator alloc = e->alloc;
    for (size_t i = 0; i < e->names.num; i++) {
        explain_name *name = &((explain_name *)e->names.items)[i];
        rf_explain_free(e, name->text, name->bytes);
    }
    rf_explain_list_free(e, &e->names);
    rf_explain_list_free(e, &e->groups);
    rf_explain_list_free(e, &e->entries);
    rf_explain_list_free(e, &e->runs);
    rf_explain_list_free(e, &e->live);
    rf_explain_free(e, e->table, e->table_size * sizeof *e->table);
    rf_explain_free(e, e->points, EXPLAIN_POINTS * sizeof *e->points);
    rf_allocator_put(&alloc, e, sizeof *e);
}

/* ---- what was seen ---- */

rf_status rf_explain_status(const rf_explain *e)
{
    return e->status;
}

size_t rf_explain_num_regions(const rf_explain *e)
{
    return e->entries.num;
}

rf_explain_region rf_explain_region_at(const rf_explain *e, size_t index)
{
    const explain_entry *entry = &((const explain_entry *)e->entries.items)[index];
    rf_explain_region region = entry->sums;
    region.path = rf_explain_name_at(e, entry->path);
    region.label = rf_explain_name_at(e, entry->label);
    return region;
}

rf_explain_totals rf_explain_total(const rf_explain *e)
{
    rf_explain_totals totals = e->totals;
    totals.peak_path = rf_explain_name_at(e, e->peak_path);
    totals.peak_op = rf_explain_name_at(e, e->peak_op);
    return totals;
}

size_t rf_explain_num_live(const rf_explain *e)
{
    return e->live.num;
}

rf_explain_live rf_explain_live_at(const rf_explain *e, size_t index)
{
    const explain_group *g = &explain_groups(e)[((const uint32_t *)e->live.items)[index]];
    return (rf_explain_live){.cls = g->cls,
                             .path = rf_explain_name_at(e, g->path),
                             .op = rf_explain_name_at(e, g->op),
                             .before = g->before && g->cls != RF_MEM_OTHER,
                             .num = g->peak_num,
                             .bytes = g->peak_bytes};
}

size_t rf_explain_num_points(const rf_explain *e)
{
    return e->num_points;
}

rf_explain_point rf_explain_point_at(const rf_explain *e, size_t index)
{
    return e->points[index];
}
