/* search.c: see search.h. */
#include "plan/search.h"
#include "tensor/trace.h"

#include <string.h>
#include <time.h>

enum { SEARCH_FRONT = 512, SEARCH_PRICES = 48, SEARCH_TRIES = 1500 };

static double search_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* The number of tries decides where it can, so that the same step gives the same plan again. */
int rf_search_over(const rf_search *search)
{
    return search->tries >= search->most_tries || search_now() > search->until;
}

uint64_t rf_search_base(const rf_search *search)
{
    return search->space.ctx->ledger.row[RF_DEVICE_CPU][RF_MEM_OTHER].used;
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

/* ---- trying ---- */

rf_status rf_search_try(rf_search *search, const rf_scheme *scheme, rf_trial *trial)
{
    rf_context *ctx = search->space.ctx;
    rf_trial tried = {0};
    uint64_t chunks = rf_search_base(search);
    rf_status status = rf_scheme_apply(scheme, &search->space);
    if (status)
        return status;
    rf_memory_reset_peak(ctx);
    double begin = ctx->dry_seconds;
    status = search->step->run(search->step->payload);
    chunks = rf_search_base(search) > chunks ? rf_search_base(search) : chunks;
    tried.peak = ctx->ledger.row[RF_DEVICE_CPU][RF_MEM_ALL].peak - chunks;
    tried.seconds = ctx->dry_seconds - begin;
    search->tries++;
    rf_scheme_clear(scheme, &search->space);
    if (!status)
        status = front_enter(search, &tried, scheme);
    if (trial)
        *trial = tried;
    return status;
}

/* ---- prices: every site by itself ---- */

static double price_of(const rf_probe *p, double price)
{
    return p->forward + p->backward + price * (double)p->saved;
}

static void scheme_at_price(rf_scheme *scheme, const rf_scheme_space *space, double price)
{
    for (size_t i = 0; i < space->sites->num; i++) {
        const rf_option_list *list = rf_options_of(space->options, i);
        size_t best = 0;
        for (size_t k = 1; k < list->num; k++)
            if (price_of(&list->v[k].probe, price) < price_of(&list->v[best].probe, price))
                best = k;
        scheme->option[i] = (uint8_t)best;
    }
}

/* From nothing for a byte to more than any time is worth. */
static rf_status search_prices(rf_search *search, rf_scheme *scheme)
{
    double price = 1e-14;
    rf_status status = RF_OK;
    for (size_t i = 0; i < SEARCH_PRICES && !status && !rf_search_over(search); i++, price *= 2) {
        scheme_at_price(scheme, &search->space, price);
        status = rf_search_try(search, scheme, NULL);
    }
    return status;
}

/* ---- even splits: for the smallest peaks ---- */

/* Links first to first + count - 1 in runs of length, each run split again in the same way. */
static rf_status split_evenly(rf_scheme *scheme, const rf_scheme_space *space,
                              rf_scheme_range whole, uint32_t length)
{
    rf_status status = RF_OK;
    for (uint32_t at = 0; at < whole.count && !status; at += length) {
        uint32_t count = whole.count - at < length ? whole.count - at : length;
        status = rf_scheme_add_range(scheme, space,
                                     (rf_scheme_range){whole.chain, whole.first + at, count});
    }
    return status;
}

static rf_status search_splits(rf_search *search, rf_scheme *scheme)
{
    rf_status status = RF_OK;
    for (uint32_t c = 0; c < search->space.sites->num_chains && !status; c++) {
        uint32_t links = (uint32_t)search->space.sites->chains[c].num_links;
        for (uint32_t length = 1; length < links && !status && !rf_search_over(search);
             length += 1 + length / 8) {
            scheme->num_ranges = 0;
            status = split_evenly(scheme, &search->space, (rf_scheme_range){c, 0, links}, length);
            if (!status)
                status = rf_search_try(search, scheme, NULL);
        }
    }
    scheme->num_ranges = 0;
    return status;
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
    uint64_t resident = row[RF_MEM_ALL].used - row[RF_MEM_OTHER].used; /* as peaks are */
    rf_trace_set(ctx, bound_event, &bound);
    rf_status status = rf_search_try(search, plain, NULL); /* makes room for bookkeeping, too */
    rf_trace_set(ctx, NULL, NULL);
    if (!status)
        status = rf_search_try(search, plain, &search->plain);
    search->bound = resident + bound.largest;
    return status;
}

rf_status rf_search_begin(rf_search *out, const rf_scheme_space *space,
                          const rf_training_step *step, double seconds)
{
    rf_scheme scheme;
    *out = (rf_search){.space = *space, .step = step};
    out->until = search_now() + seconds;
    out->most_tries = SEARCH_TRIES;
    rf_status status = rf_scheme_begin(&scheme, space);
    if (status)
        return status;
    status = search_plain(out, &scheme);
    if (!status)
        status = search_prices(out, &scheme);
    if (!status)
        status = search_splits(out, &scheme); /* at the highest price */
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
    search->front = NULL;
    search->num = 0;
}
