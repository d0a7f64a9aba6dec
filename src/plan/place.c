/* place.c: see place.h. Takes a problem apart: a block that lives as long as all of its group goes
 * below the rest, which loses nothing and lets the rest fall into groups that never meet. What
 * can't be taken apart is placed by fitting, or exactly where it is small.
 */
#include "plan/place_parts.h"
#include "base/check.h"
#include "base/sort.h"

enum {
    PLACE_EFFORT = 150 * 1000 * 1000,
    PLACE_PEEL = 64,       /* steps of taking apart, times the number of blocks */
    PLACE_FEW = 16 * 1024, /* effort of fitting where all of the rest is searched */
};

/* Items [begin, end) above base, not yet taken apart. */
typedef struct place_range {
    uint32_t begin, end;
    uint64_t base;
} place_range;

typedef struct place_state {
    rf_context *ctx;
    const rf_place_problem *problem;
    size_t num; /* blocks that have bytes */
    rf_place_item *items;
    uint64_t *moments; /* the starts, each once, in order */
    uint32_t num_moments;
    uint64_t *sums;      /* num_moments + 1, for loads    */
    place_range *ranges; /* a stack                       */
    size_t num_ranges;
    uint64_t goal, peeling;
    uint64_t effort; /* of all; each group has its share, by its number of blocks */
    rf_placement result;
} place_state;

static int place_by_start(const void *payload, const void *a, const void *b)
{
    const rf_place_block *blocks = payload;
    const rf_place_item *p = a, *q = b;
    uint64_t s = blocks[p->block].start, t = blocks[q->block].start;
    if (s != t)
        return s < t ? -1 : 1;
    return p->block < q->block ? -1 : p->block > q->block;
}

static rf_status place_check(rf_context *ctx, const rf_place_problem *problem, size_t *num)
{
    uint64_t sum = 0;
    *num = 0;
    if (problem->num > UINT32_MAX / 2)
        return rf_fail(ctx, RF_E_ARGUMENT, "%zu blocks to place: too many", problem->num);
    for (size_t i = 0; i < problem->num; i++) {
        const rf_place_block *b = &problem->blocks[i];
        if (b->end < b->start)
            return rf_fail(ctx, RF_E_ARGUMENT, "block %zu to place ends before it starts", i);
        if (b->bytes > INT64_MAX - sum)
            return rf_fail(ctx, RF_E_ARGUMENT, "the blocks to place have more bytes than 63 bits");
        sum += b->bytes;
        *num += b->bytes > 0;
    }
    return RF_OK;
}

/* The last moment that is not after `time`: there is one. */
static uint32_t place_moment(const place_state *p, uint64_t time)
{
    uint32_t low = 0, high = p->num_moments;
    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;
        if (p->moments[mid] <= time)
            low = mid;
        else
            high = mid;
    }
    return low;
}

static void place_read(place_state *p)
{
    const rf_place_block *blocks = p->problem->blocks;
    uint32_t num = 0;
    for (size_t i = 0; i < p->problem->num; i++)
        if (blocks[i].bytes)
            p->items[num++] = (rf_place_item){.bytes = blocks[i].bytes, .block = (uint32_t)i};
    rf_sort(p->items, num, sizeof *p->items, place_by_start, blocks);
    for (uint32_t i = 0; i < num; i++) {
        uint64_t start = blocks[p->items[i].block].start;
        if (!i || p->moments[p->num_moments - 1] != start)
            p->moments[p->num_moments++] = start;
        p->items[i].start = p->num_moments - 1;
    }
    for (uint32_t i = 0; i < num; i++)
        p->items[i].end = place_moment(p, blocks[p->items[i].block].end);
}

/* The most bytes of items [begin, end) that live at one moment. */
static uint64_t place_load(place_state *p, uint32_t begin, uint32_t end)
{
    uint32_t first = p->items[begin].start, last = first;
    uint64_t load = 0, now = 0;
    for (uint32_t i = begin; i < end; i++)
        if (p->items[i].end > last)
            last = p->items[i].end;
    for (uint32_t t = first; t <= last + 1; t++)
        p->sums[t] = 0;
    for (uint32_t i = begin; i < end; i++) {
        p->sums[p->items[i].start] += p->items[i].bytes;
        p->sums[p->items[i].end + 1] -= p->items[i].bytes; /* modulo 2^64 */
    }
    for (uint32_t t = first; t <= last; t++) {
        now += p->sums[t];
        load = now > load ? now : load;
    }
    return load;
}

static rf_status place_solve(place_state *p, place_range range)
{
    rf_place_group group = {.items = p->items + range.begin, .num = range.end - range.begin};
    uint64_t top = 0, bound;
    group.load = bound = place_load(p, range.begin, range.end);
    group.goal = p->goal > range.base + group.load ? p->goal - range.base : group.load;
    uint64_t share = p->effort / p->num * group.num, few = PLACE_FEW;
    rf_status status =
        rf_place_fit(p->ctx, &group, group.num > RF_PLACE_EXACT ? &share : &few, &top);
    if (status)
        return status;
    if (top > group.goal && group.num <= RF_PLACE_EXACT && rf_place_exact(&group, &share, &top))
        bound = top;
    for (uint32_t i = 0; i < group.num; i++)
        group.items[i].at += range.base;
    if (range.base + top > p->result.top)
        p->result.top = range.base + top;
    if (range.base + bound > p->result.bound)
        p->result.bound = range.base + bound;
    return RF_OK;
}

/* Put the items that live as long as all of the range at its bottom. They are among those that
 * start first. Returns what is left; its begin is the range's if there are none. */
static place_range place_peel(place_state *p, place_range range, uint32_t last)
{
    rf_place_item *items = p->items;
    uint32_t first = items[range.begin].start;
    for (uint32_t i = range.begin; i < range.end && items[i].start == first; i++) {
        if (items[i].end != last)
            continue;
        rf_place_item whole = items[i];
        whole.at = range.base;
        range.base += whole.bytes;
        items[i] = items[range.begin];
        items[range.begin++] = whole;
    }
    return range;
}

/* The first group of a range, whose items never meet the others'; *last: its last moment. */
static place_range place_first_group(const place_state *p, place_range range, uint32_t *last)
{
    uint32_t i = range.begin;
    *last = p->items[i].end;
    for (; i < range.end && p->items[i].start <= *last; i++)
        if (p->items[i].end > *last)
            *last = p->items[i].end;
    return (place_range){range.begin, i, range.base};
}

static rf_status place_range_split(place_state *p, place_range range)
{
    while (range.begin < range.end) {
        uint32_t last, num;
        place_range group = place_first_group(p, range, &last);
        range.begin = group.end;
        num = group.end - group.begin;
        place_range rest = place_peel(p, group, last);
        if (rest.base > p->result.top)
            p->result.top = rest.base;
        if (rest.base > p->result.bound)
            p->result.bound = rest.base;
        if (rest.begin == rest.end)
            continue;
        if (rest.begin > group.begin && p->peeling > num) {
            p->peeling -= num;
            p->ranges[p->num_ranges++] = rest;
            continue;
        }
        rf_status status = place_solve(p, rest);
        if (status)
            return status;
    }
    return RF_OK;
}

static rf_status place_all(place_state *p)
{
    rf_status status = RF_OK;
    place_read(p);
    p->result.load = place_load(p, 0, (uint32_t)p->num);
    p->goal = p->problem->goal > p->result.load ? p->problem->goal : p->result.load;
    p->ranges[p->num_ranges++] = (place_range){0, (uint32_t)p->num, 0};
    while (p->num_ranges && !status)
        status = place_range_split(p, p->ranges[--p->num_ranges]);
    return status;
}

static void place_end(place_state *p)
{
    rf_plan_free(p->ctx, p->items, p->num * sizeof *p->items);
    rf_plan_free(p->ctx, p->moments, p->num * sizeof *p->moments);
    rf_plan_free(p->ctx, p->sums, (p->num + 1) * sizeof *p->sums);
    rf_plan_free(p->ctx, p->ranges, p->num * sizeof *p->ranges);
}

static rf_status place_begin(place_state *p)
{
    p->items = rf_plan_alloc(p->ctx, p->num * sizeof *p->items);
    p->moments = p->items ? rf_plan_alloc(p->ctx, p->num * sizeof *p->moments) : NULL;
    p->sums = p->moments ? rf_plan_alloc(p->ctx, (p->num + 1) * sizeof *p->sums) : NULL;
    p->ranges = p->sums ? rf_plan_alloc(p->ctx, p->num * sizeof *p->ranges) : NULL;
    return p->ranges ? RF_OK : rf_context_error(p->ctx)->code;
}

rf_status rf_place(rf_context *ctx, const rf_place_problem *problem, uint64_t *offsets,
                   rf_placement *out)
{
    place_state p = {.ctx = ctx, .problem = problem};
    *out = (rf_placement){0};
    rf_status status = place_check(ctx, problem, &p.num);
    for (size_t i = 0; i < problem->num && !status; i++)
        offsets[i] = 0;
    if (status || !p.num)
        return status;
    p.effort = problem->effort ? problem->effort : PLACE_EFFORT;
    p.peeling = PLACE_PEEL * (uint64_t)p.num;
    status = place_begin(&p);
    if (!status)
        status = place_all(&p);
    for (size_t i = 0; i < p.num && !status; i++)
        offsets[p.items[i].block] = p.items[i].at;
    *out = p.result;
    place_end(&p);
    return status;
}
