/* place_fit.c: placing many blocks: fit in several orders, keep the best, then repair.
 *
 * Fitting puts one item after the other into the tightest gap that is free for all of its life. A
 * repair takes an item that reaches the top out, with some that live beside it, and fits them again
 * in another order; what is no better is undone. Now and then everything sinks: each item, from the
 * lowest up, to the lowest place that is free, which never lifts one.
 *
 * Invariant: the row lists placed items in order of place, so that one walk meets the gaps in
 * order.
 */
#include "plan/place_parts.h"
#include "base/sort.h"

#include <string.h>

enum { FIT_ORDERS = 4, FIT_TAKEN = 24, FIT_SINK_EVERY = 64 };

/* A placed item, as the walk reads it. */
typedef struct fit_place {
    uint64_t low, high;
    uint32_t start, end;
    uint32_t item;
} fit_place;

typedef struct fit_state {
    rf_place_item *items;
    uint32_t num;
    uint64_t goal;
    fit_place *row;
    uint32_t num_row;
    uint32_t *order;
    uint64_t *best; /* places of the best so far */
    uint64_t top;   /* its arena                 */
    uint64_t *effort;
    uint64_t random;
    int lowest; /* take the lowest gap that fits, and not the tightest */
} fit_state;

static int fit_has_effort(const fit_state *f)
{
    return *f->effort > 0;
}

static void fit_spend(fit_state *f, uint64_t steps)
{
    *f->effort -= steps < *f->effort ? steps : *f->effort;
}

/* xorshift: the search is the same every time. */
static uint32_t fit_random(fit_state *f, uint32_t below)
{
    f->random ^= f->random << 13;
    f->random ^= f->random >> 7;
    f->random ^= f->random << 17;
    return (uint32_t)((f->random >> 32) * below >> 32);
}

/* ---- the row ---- */

/* Where an item would lie. */
static uint64_t fit_find(fit_state *f, const rf_place_item *item)
{
    uint64_t high = 0, at = 0, best = UINT64_MAX;
    const fit_place *row = f->row, *end = row + f->num_row;
    uint32_t first = item->start, last = item->end;
    const fit_place *p = row;
    for (; p < end; p++) {
        if (p->start > last || p->end < first)
            continue;
        if (p->low > high && p->low - high >= item->bytes && p->low - high < best) {
            best = p->low - high;
            at = high;
            if (f->lowest || best == item->bytes)
                break;
        }
        high = p->high > high ? p->high : high;
    }
    fit_spend(f, (uint64_t)(p - row) + 1);
    return best == UINT64_MAX ? high : at;
}

/* The first place of the row that is not below `low`. */
static uint32_t fit_position(const fit_state *f, uint64_t low)
{
    uint32_t begin = 0, end = f->num_row;
    while (begin < end) {
        uint32_t mid = begin + (end - begin) / 2;
        if (f->row[mid].low < low)
            begin = mid + 1;
        else
            end = mid;
    }
    return begin;
}

static void fit_put(fit_state *f, uint32_t index, uint64_t at)
{
    rf_place_item *item = &f->items[index];
    uint32_t to = fit_position(f, at);
    memmove(f->row + to + 1, f->row + to, (f->num_row - to) * sizeof *f->row);
    f->num_row++;
    item->at = at;
    f->row[to] = (fit_place){at, at + item->bytes, item->start, item->end, index};
}

static void fit_take(fit_state *f, uint32_t index)
{
    uint32_t at = fit_position(f, f->items[index].at);
    while (f->row[at].item != index)
        at++;
    f->num_row--;
    memmove(f->row + at, f->row + at + 1, (f->num_row - at) * sizeof *f->row);
}

/* ---- orders ---- */

static uint64_t fit_life(const rf_place_item *item)
{
    return (uint64_t)item->end - item->start + 1;
}

/* Larger first, then longer, then earlier. */
static int fit_by_bytes(const void *payload, const void *a, const void *b)
{
    const rf_place_item *items = payload;
    const rf_place_item *p = &items[*(const uint32_t *)a], *q = &items[*(const uint32_t *)b];
    if (p->bytes != q->bytes)
        return p->bytes > q->bytes ? -1 : 1;
    if (fit_life(p) != fit_life(q))
        return fit_life(p) > fit_life(q) ? -1 : 1;
    if (p->start != q->start)
        return p->start < q->start ? -1 : 1;
    return p->block < q->block ? -1 : 1;
}

static int fit_by_life(const void *payload, const void *a, const void *b)
{
    const rf_place_item *items = payload;
    const rf_place_item *p = &items[*(const uint32_t *)a], *q = &items[*(const uint32_t *)b];
    if (fit_life(p) != fit_life(q))
        return fit_life(p) > fit_life(q) ? -1 : 1;
    return fit_by_bytes(payload, a, b);
}

static int fit_by_area(const void *payload, const void *a, const void *b)
{
    const rf_place_item *items = payload;
    const rf_place_item *p = &items[*(const uint32_t *)a], *q = &items[*(const uint32_t *)b];
    double s = (double)p->bytes * (double)fit_life(p), t = (double)q->bytes * (double)fit_life(q);
    return s != t ? (s > t ? -1 : 1) : fit_by_bytes(payload, a, b);
}

static int fit_by_start(const void *payload, const void *a, const void *b)
{
    const rf_place_item *items = payload;
    const rf_place_item *p = &items[*(const uint32_t *)a], *q = &items[*(const uint32_t *)b];
    if (p->start != q->start)
        return p->start < q->start ? -1 : 1;
    return fit_by_life(payload, a, b);
}

static int fit_by_place(const void *payload, const void *a, const void *b)
{
    const rf_place_item *items = payload;
    const rf_place_item *p = &items[*(const uint32_t *)a], *q = &items[*(const uint32_t *)b];
    if (p->at != q->at)
        return p->at < q->at ? -1 : 1;
    return p->block < q->block ? -1 : 1;
}

static void fit_keep(fit_state *f, uint64_t top)
{
    f->top = top;
    for (uint32_t i = 0; i < f->num; i++)
        f->best[i] = f->items[i].at;
}

/* Place all in the order; given up once it is no better than the best. */
static void fit_pass(fit_state *f, rf_order order)
{
    uint64_t top = 0;
    for (uint32_t i = 0; i < f->num; i++)
        f->order[i] = i;
    rf_sort(f->order, f->num, sizeof *f->order, order, f->items);
    f->num_row = 0;
    for (uint32_t i = 0; i < f->num; i++) {
        rf_place_item *item = &f->items[f->order[i]];
        uint64_t at = fit_find(f, item);
        if (at + item->bytes >= f->top)
            return;
        fit_put(f, f->order[i], at);
        top = at + item->bytes > top ? at + item->bytes : top;
    }
    fit_keep(f, top);
}

/* ---- repair ---- */

static uint64_t fit_row_top(const fit_state *f)
{
    uint64_t top = 0;
    for (uint32_t i = 0; i < f->num_row; i++)
        top = f->row[i].high > top ? f->row[i].high : top;
    return top;
}

static void fit_restore(fit_state *f)
{
    f->num_row = 0;
    for (uint32_t i = 0; i < f->num; i++) {
        f->items[i].at = f->best[i];
        f->order[i] = i;
    }
    rf_sort(f->order, f->num, sizeof *f->order, fit_by_place, f->items);
    for (uint32_t i = 0; i < f->num; i++)
        fit_put(f, f->order[i], f->items[f->order[i]].at);
}

static void fit_sink(fit_state *f)
{
    for (uint32_t i = 0; i < f->num; i++)
        f->order[i] = i;
    rf_sort(f->order, f->num, sizeof *f->order, fit_by_place, f->items);
    f->num_row = 0;
    f->lowest = 1;
    for (uint32_t i = 0; i < f->num; i++)
        fit_put(f, f->order[i], fit_find(f, &f->items[f->order[i]]));
    f->lowest = 0;
}

static int fit_meets(const fit_place *p, const rf_place_item *item)
{
    return p->start <= item->end && p->end >= item->start;
}

/* One of the items that reach the top. */
static uint32_t fit_peak(fit_state *f, uint64_t top)
{
    uint32_t seen = 0, peak = 0;
    for (uint32_t i = 0; i < f->num_row; i++)
        if (f->row[i].high == top && !fit_random(f, ++seen))
            peak = f->row[i].item;
    return peak;
}

/* It and a few of those that meet it: neighbours in place, which leave a wide gap, or any. */
static uint32_t fit_choose(fit_state *f, uint64_t top, uint32_t *taken)
{
    uint32_t meet = 0, num = 1;
    const rf_place_item *peak = &f->items[taken[0] = fit_peak(f, top)];
    for (uint32_t i = 0; i < f->num_row; i++)
        meet += fit_meets(&f->row[i], peak);
    uint32_t wanted = 2 + fit_random(f, FIT_TAKEN - 2), every = 1, skip = fit_random(f, meet);
    if (fit_random(f, 2)) {
        every = 2 * meet / wanted + 1;
        skip = fit_random(f, every);
    }
    for (uint32_t i = 0; i < f->num_row && num < wanted; i++) {
        if (!fit_meets(&f->row[i], peak) || f->row[i].item == taken[0] || skip-- > 0)
            continue;
        taken[num++] = f->row[i].item;
        skip = every > 1 ? fit_random(f, every) : 0;
    }
    fit_spend(f, 3 * (uint64_t)f->num_row);
    return num;
}

/* The peak first or the largest first, and some chance. */
static void fit_shuffle(fit_state *f, uint32_t *taken, uint32_t num)
{
    if (fit_random(f, 2))
        rf_sort(taken, num, sizeof *taken, fit_random(f, 2) ? fit_by_bytes : fit_by_area, f->items);
    uint32_t swaps = fit_random(f, num);
    for (uint32_t i = 0; i < swaps; i++) {
        uint32_t a = fit_random(f, num), b = fit_random(f, num), item = taken[a];
        taken[a] = taken[b];
        taken[b] = item;
    }
}

/* 0: it would pass the top, and is undone. */
static int fit_repair(fit_state *f, uint64_t top)
{
    uint32_t taken[FIT_TAKEN], num = fit_choose(f, top, taken), put = 0;
    uint64_t before[FIT_TAKEN];
    fit_shuffle(f, taken, num);
    for (uint32_t i = 0; i < num; i++) {
        before[i] = f->items[taken[i]].at;
        fit_take(f, taken[i]);
    }
    for (; put < num; put++) {
        const rf_place_item *item = &f->items[taken[put]];
        uint64_t at = fit_find(f, item);
        if (at + item->bytes > top)
            break;
        fit_put(f, taken[put], at);
    }
    if (put == num)
        return 1;
    while (put--)
        fit_take(f, taken[put]);
    for (uint32_t i = 0; i < num; i++)
        fit_put(f, taken[i], before[i]);
    return 0;
}

static void fit_improve(fit_state *f)
{
    uint64_t top = f->top;
    fit_restore(f);
    for (uint32_t round = 1; top > f->goal && fit_has_effort(f); round++) {
        if (round % FIT_SINK_EVERY == 0)
            fit_sink(f);
        else if (!fit_repair(f, top))
            continue;
        top = fit_row_top(f);
        if (top < f->top)
            fit_keep(f, top);
    }
}

/* ---- ends ---- */

static void fit_search(fit_state *f)
{
    static const rf_order orders[FIT_ORDERS] = {fit_by_bytes, fit_by_life, fit_by_area,
                                                fit_by_start};
    for (int i = 0; i < 2 * FIT_ORDERS && f->top > f->goal; i++) {
        if (i && !fit_has_effort(f))
            break;
        f->lowest = i >= FIT_ORDERS;
        fit_pass(f, orders[i % FIT_ORDERS]);
    }
    f->lowest = 0;
    if (f->top > f->goal && fit_has_effort(f))
        fit_improve(f);
    for (uint32_t i = 0; i < f->num; i++)
        f->items[i].at = f->best[i];
}

rf_status rf_place_fit(rf_context *ctx, const rf_place_group *group, uint64_t *effort,
                       uint64_t *top)
{
    fit_state f = {.items = group->items, .num = group->num, .goal = group->goal};
    f.effort = effort;
    f.random = 0x9E3779B97F4A7C15;
    f.top = UINT64_MAX;
    f.row = rf_plan_alloc(ctx, f.num * sizeof *f.row);
    f.order = f.row ? rf_plan_alloc(ctx, f.num * sizeof *f.order) : NULL;
    f.best = f.order ? rf_plan_alloc(ctx, f.num * sizeof *f.best) : NULL;
    if (f.best)
        fit_search(&f);
    *top = f.top;
    rf_plan_free(ctx, f.row, f.num * sizeof *f.row);
    rf_plan_free(ctx, f.order, f.num * sizeof *f.order);
    rf_plan_free(ctx, f.best, f.num * sizeof *f.best);
    return f.best ? RF_OK : rf_context_error(ctx)->code;
}
