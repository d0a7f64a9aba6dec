/* watch.c: see watch.h. A storage counts once, however many values lie in it. */
#include "base/sort.h"
#include "remat/frame.h"
#include "tensor/trace.h"

#include <string.h>

/* What becomes of a storage; of several the first in this order is meant. */
enum { WATCH_ELSEWHERE, WATCH_KEPT, WATCH_AVOIDED };

void rf_watch_begin(rf_region_run *run)
{
    run->watch.on = rf_tracing(run->frame->ctx);
    if (run->watch.on)
        run->watch.begin = rf_trace_clock(run->frame->ctx);
}

static int watch_grow(rf_watch *watch, const rf_allocator *alloc)
{
    size_t wanted = watch->capacity ? 2 * watch->capacity : 64;
    rf_watch_item *items = rf_allocator_get(alloc, wanted * sizeof *items);
    if (!items)
        return 0;
    if (watch->num)
        memcpy(items, watch->items, watch->num * sizeof *items);
    rf_allocator_put(alloc, watch->items, watch->capacity * sizeof *items);
    watch->items = items;
    watch->capacity = wanted;
    return 1;
}

static void watch_add(rf_region_run *run, rf_watch_item item)
{
    rf_watch *watch = &run->watch;
    if (watch->num == watch->capacity && !watch_grow(watch, &run->frame->ctx->alloc))
        watch->lost = 1;
    else
        watch->items[watch->num++] = item;
}

void rf_watch_save(rf_region_run *run, const rf_save *save, int inside)
{
    const rf_storage *s = save->t->storage;
    if (run->watch.on && s->cls != RF_MEM_PARAM)
        watch_add(run, (rf_watch_item){s->id, s->bytes, inside ? WATCH_AVOIDED : WATCH_KEPT});
}

/* Inputs that an outer region keeps by number are that one's. */
static void watch_inputs(rf_region_run *run)
{
    const rf_frame *frame = run->frame;
    for (size_t i = 0; i < frame->num_inputs; i++) {
        const rf_storage *s = frame->inputs[i].slot.storage;
        int kept = s && s->cls != RF_MEM_PARAM;
        watch_add(run, (rf_watch_item){frame->inputs[i].storage, kept ? s->bytes : 0,
                                       kept ? WATCH_KEPT : WATCH_ELSEWHERE});
    }
}

/* What a policy keeps in memory, saved or not, as far as somebody waits for it; what it sent away
 * is as good as given back. */
static void watch_kept(rf_region_run *run)
{
    const rf_frame *frame = run->frame;
    for (size_t i = 0; i < frame->keep.num && frame->num_records; i++) {
        const rf_kept *kept = &frame->keep.v[i];
        if (kept->storage && !kept->tiered &&
            kept->step <= frame->records[frame->num_records - 1].step)
            watch_add(run, (rf_watch_item){kept->id, kept->storage->bytes, WATCH_KEPT});
    }
}

static void watch_results(rf_region_run *run, const rf_values *out)
{
    for (size_t i = 0; i < out->num; i++)
        if (out->v[i] && out->v[i]->storage)
            watch_add(run, (rf_watch_item){out->v[i]->storage->id, 0, WATCH_ELSEWHERE});
}

static int watch_order(const void *payload, const void *a, const void *b)
{
    const rf_watch_item *x = a, *y = b;
    (void)payload;
    if (x->storage != y->storage)
        return x->storage < y->storage ? -1 : 1;
    return (int)x->fate - (int)y->fate;
}

static void watch_sum(const rf_watch *watch, rf_event *event)
{
    for (size_t i = 0; i < watch->num; i++) {
        const rf_watch_item *item = &watch->items[i];
        if (i && item->storage == item[-1].storage)
            continue;
        event->kept += item->fate == WATCH_KEPT ? item->bytes : 0;
        event->avoided += item->fate == WATCH_AVOIDED ? item->bytes : 0;
    }
}

void rf_watch_end(rf_region_run *run, rf_status status, const rf_values *out)
{
    rf_context *ctx = run->frame->ctx;
    rf_watch *watch = &run->watch;
    rf_event event = {.kind = RF_EVENT_REGION,
                      .begin = watch->begin,
                      .label = run->frame->label,
                      .region = run->id,
                      .status = status};
    if (watch->on && out) {
        watch_inputs(run);
        watch_kept(run);
        watch_results(run, out);
        rf_sort(watch->items, watch->num, sizeof *watch->items, watch_order, NULL);
        if (!watch->lost)
            watch_sum(watch, &event);
    }
    if (watch->on && rf_tracing(ctx))
        rf_trace_emit(ctx, &event);
    rf_allocator_put(&ctx->alloc, watch->items, watch->capacity * sizeof *watch->items);
    *watch = (rf_watch){0};
}
