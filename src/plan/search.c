/* search.c: see search.h. */
#include "plan/search.h"
#include "base/clock.h"
#include "tensor/dry.h"
#include "tensor/tiered.h"
#include "tensor/trace.h"

#include <math.h>
#include <string.h>

/* Dry kernels a second, and how much slower it may be before the clock decides. */
#define SEARCH_RATE     1e6
#define SEARCH_PATIENCE 20

enum { SEARCH_FRONT = 512, SEARCH_TRIES = 1500 };

int rf_search_late(const rf_search *search)
{
    return search->kernels >= search->most_kernels || rf_seconds() > search->until;
}

int rf_search_over(const rf_search *search)
{
    return search->tries >= search->most_tries || rf_search_late(search);
}

uint64_t rf_search_base(const rf_search *search)
{
    const rf_context *ctx = search->space.ctx;
    return ctx->ledger.row[RF_DEVICE_CPU][RF_MEM_OTHER].used - rf_tiered_dry_footprint(ctx);
}

/* ---- the front ---- */

static void front_remove(rf_search *search, size_t at)
{
    rf_scheme_end(&search->front[at].scheme, &search->space);
    memmove(&search->front[at], &search->front[at + 1],
            (search->num - at - 1) * sizeof *search->front);
    search->num--;
}

/* Where a peak belongs: the first point that has no smaller one. */
static size_t front_place(const rf_search *search, uint64_t peak)
{
    size_t at = 0;
    while (at < search->num && search->front[at].peak < peak)
        at++;
    return at;
}

/* The point, but for the first and the last, whose neighbours are nearest. */
static size_t front_dispensable(const rf_search *search)
{
    size_t best = 1;
    double least = -1;
    for (size_t i = 1; i + 1 < search->num; i++) {
        const rf_trial *below = &search->front[i - 1], *p = &search->front[i];
        double loss = (below->seconds - p->seconds) * (double)(p[1].peak - p->peak);
        if (least < 0 || loss < least) {
            least = loss;
            best = i;
        }
    }
    return best;
}

static rf_status front_enter(rf_search *search, const rf_trial *trial, const rf_scheme *scheme)
{
    size_t at = front_place(search, trial->peak);
    if (at && search->front[at - 1].seconds <= trial->seconds)
        return RF_OK;
    if (at < search->num && search->front[at].peak == trial->peak &&
        search->front[at].seconds <= trial->seconds)
        return RF_OK;
    while (at < search->num && search->front[at].seconds >= trial->seconds)
        front_remove(search, at);
    if (search->num == SEARCH_FRONT) {
        size_t gone = front_dispensable(search);
        front_remove(search, gone);
        at -= gone < at;
    }
    rf_trial entry = *trial;
    rf_status status = rf_plan_grow(search->space.ctx, &search->front, search->num,
                                    &search->capacity, sizeof *search->front);
    if (!status)
        status = rf_scheme_copy(&entry.scheme, &search->space, scheme);
    if (status)
        return status;
    memmove(&search->front[at + 1], &search->front[at], (search->num - at) * sizeof *search->front);
    search->front[at] = entry;
    search->num++;
    return RF_OK;
}

/* ---- what was tried ---- */

static uint64_t tried_mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * UINT64_C(0x9E3779B97F4A7C15);
    return h ^ h >> 32;
}

static uint64_t tried_key(const rf_search *search, const rf_scheme *scheme)
{
    uint64_t h = 1;
    for (size_t i = 0; i < search->space.sites->num; i++)
        h = tried_mix(h, rf_scheme_option(scheme, &search->space, i));
    for (size_t i = 0; i < scheme->num_ranges; i++) {
        if (!rf_scheme_has_ranges(scheme, &search->space, scheme->ranges[i].chain))
            continue;
        h = tried_mix(h, scheme->ranges[i].chain);
        h = tried_mix(h, (uint64_t)scheme->ranges[i].first << 32 | scheme->ranges[i].count);
    }
    return h ? h : 1;
}

/* Where a key is, or belongs. There always is a free place. */
static rf_tried *tried_place(const rf_search *search, uint64_t key)
{
    size_t at = key % search->tried_places;
    while (search->tried[at].key && search->tried[at].key != key)
        at = (at + 1) % search->tried_places;
    return &search->tried[at];
}

static rf_status tried_grow(rf_search *search)
{
    rf_context *ctx = search->space.ctx;
    rf_search old = *search;
    if (2 * (search->num_tried + 1) <= search->tried_places)
        return RF_OK;
    size_t places = old.tried_places ? 2 * old.tried_places : 1024;
    rf_tried *grown = rf_plan_alloc(ctx, places * sizeof *grown);
    if (!grown)
        return rf_context_error(ctx)->code;
    search->tried = grown;
    search->tried_places = places;
    for (size_t i = 0; i < old.tried_places; i++)
        if (old.tried[i].key)
            *tried_place(search, old.tried[i].key) = old.tried[i];
    rf_plan_free(ctx, old.tried, old.tried_places * sizeof *old.tried);
    return RF_OK;
}

/* ---- trying ---- */

/* A step may fail because of a scheme (an effect that a region in a region refuses, a function that
 * does not run twice): then the scheme is no candidate. What the failed step left is taken away by
 * beginning the dry run anew; in a context that is dry for good nothing needs to be. */
static rf_status search_failed(rf_search *search, rf_status status, rf_trial *out)
{
    rf_context *ctx = search->space.ctx;
    if (status == RF_E_MEMORY || !search->plain.peak)
        return status;
    *out = (rf_trial){.peak = UINT64_MAX, .seconds = HUGE_VAL};
    rf_dry_end(ctx);
    return rf_dry_begin(ctx);
}

static uint64_t search_executed(const rf_context *ctx)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < RF_TALLIES; i++)
        sum += ctx->tally[i].counts.executed;
    return sum;
}

/* Once more where bookkeeping grew meanwhile: its bytes may or may not be in the peak. */
static rf_status search_run(rf_search *search, rf_trial *out)
{
    rf_context *ctx = search->space.ctx;
    uint64_t before, executed = search_executed(ctx);
    rf_status status;
    int runs = 0;
    do {
        rf_tiered_dry_rest(ctx);
        before = rf_search_base(search);
        rf_memory_reset_peak(ctx);
        double begin = ctx->dry_seconds;
        status = search->step->run(search->step->payload);
        out->seconds = ctx->dry_seconds - begin;
        out->peak = ctx->ledger.row[RF_DEVICE_CPU][RF_MEM_ALL].peak - rf_search_base(search);
    } while (!status && rf_search_base(search) > before && ++runs < 2);
    search->kernels += search_executed(ctx) - executed;
    search->tries++;
    return status;
}

rf_status rf_search_try(rf_search *search, const rf_scheme *scheme, rf_trial *trial)
{
    rf_trial found = {0};
    rf_status status = tried_grow(search);
    if (status)
        return status;
    rf_tried *place = tried_place(search, tried_key(search, scheme));
    found.peak = place->peak;
    found.seconds = place->seconds;
    if (!place->key) {
        status = rf_scheme_apply(scheme, &search->space);
        if (status)
            return status;
        status = search_run(search, &found);
        rf_scheme_clear(scheme, &search->space);
        if (status)
            status = search_failed(search, status, &found);
        else
            status = front_enter(search, &found, scheme);
        if (status)
            return status;
        *place = (rf_tried){tried_key(search, scheme), found.peak, found.seconds};
        search->num_tried++;
    }
    if (trial)
        *trial = found;
    return RF_OK;
}

/* ---- beginning and end ---- */

/* Bytes that are there before the step, and the largest outputs with workspace of one kernel. */
typedef struct search_bound {
    uint64_t largest;
} search_bound;

static void bound_event(void *payload, const rf_event *event)
{
    search_bound *bound = payload;
    uint64_t sum = 0;
    size_t bytes;
    if (event->kind != RF_EVENT_OP || event->call->op->traits & RF_OP_INPLACE)
        return;
    for (size_t j = 0; j < event->call->num_out; j++)
        if (rf_shape_bytes(&event->call->out[j].shape, &bytes))
            sum += bytes;
    sum += event->call->workspace_bytes;
    bound->largest = sum > bound->largest ? sum : bound->largest;
}

static rf_status search_plain(rf_search *search, const rf_scheme *plain)
{
    rf_context *ctx = search->space.ctx;
    const rf_memory_info *row = ctx->ledger.row[RF_DEVICE_CPU];
    search_bound bound = {0};
    /* without bookkeeping, as peaks are, and without gradients, which the step may begin by
     * dropping */
    uint64_t resident = row[RF_MEM_ALL].used - row[RF_MEM_OTHER].used - row[RF_MEM_GRAD].used;
    rf_trace_set(ctx, bound_event, &bound);
    rf_status status = search->step->run(search->step->payload); /* as any later one begins */
    if (!status)
        status = rf_search_try(search, plain, &search->plain);
    rf_trace_set(ctx, NULL, NULL);
    search->bound = resident + bound.largest;
    return status;
}

rf_status rf_search_begin(rf_search *out, const rf_scheme_space *space,
                          const rf_training_step *step, double seconds)
{
    rf_scheme scheme;
    *out = (rf_search){.space = *space, .step = step};
    out->until = rf_seconds() + SEARCH_PATIENCE * seconds;
    out->most_kernels = (uint64_t)(SEARCH_RATE * seconds);
    out->most_tries = SEARCH_TRIES;
    rf_status status = rf_scheme_begin(&scheme, space);
    if (status)
        return status;
    status = search_plain(out, &scheme);
    if (!status)
        status = rf_search_seeds(out);
    if (!status)
        status = rf_search_chains(out, 0);
    rf_scheme_end(&scheme, space);
    if (status)
        rf_search_end(out);
    return status;
}

const rf_trial *rf_search_find(const rf_search *search, uint64_t budget)
{
    size_t at = front_place(search, budget);
    if (at < search->num && search->front[at].peak == budget)
        return &search->front[at];
    return at ? &search->front[at - 1] : NULL;
}

void rf_search_end(rf_search *search)
{
    for (size_t i = 0; i < search->num; i++)
        rf_scheme_end(&search->front[i].scheme, &search->space);
    rf_plan_free(search->space.ctx, search->front, search->capacity * sizeof *search->front);
    rf_plan_free(search->space.ctx, search->tried, search->tried_places * sizeof *search->tried);
    search->front = NULL;
    search->tried = NULL;
    search->num = search->num_tried = search->capacity = search->tried_places = 0;
}
