/* search_refine.c: from what was found, by small changes: another option for a site, one site up
 * and another down, a range moved, added, taken away. A change stays if it is better: less above
 * the budget, or not above it and faster. */
#include "plan/search.h"

#include <string.h>

/* A scheme that is being changed. */
typedef struct refine_walk {
    rf_search *search;
    uint64_t budget;
    rf_scheme at;
    rf_trial now;  /* what it takes */
    uint64_t held; /* and keeps     */
    int moved;     /* since the last look */
} refine_walk;

static uint64_t refine_above(const refine_walk *walk, const rf_trial *trial)
{
    return trial->peak > walk->budget ? trial->peak - walk->budget : 0;
}

/* What all sites keep. */
static uint64_t refine_held(const refine_walk *walk)
{
    const rf_scheme_space *space = &walk->search->space;
    uint64_t held = 0;
    for (size_t i = 0; i < space->sites->num; i++)
        held += rf_options_of(space->options, i)->v[walk->at.option[i]].probe.saved;
    return held;
}

/* Among equal peaks, the smallest budget prefers to keep less, which costs do not change. */
static int refine_better(const refine_walk *walk, const rf_trial *trial)
{
    uint64_t x = refine_above(walk, trial), y = refine_above(walk, &walk->now);
    if (x != y)
        return x < y;
    return walk->budget ? trial->seconds < walk->now.seconds : refine_held(walk) < walk->held;
}

/* Try what walk->at is now; 1 in *better if it is to stay. */
static rf_status refine_try(refine_walk *walk, int *better)
{
    rf_trial trial;
    rf_status status = rf_search_try(walk->search, &walk->at, &trial);
    *better = !status && refine_better(walk, &trial);
    if (*better) {
        walk->now = trial;
        walk->held = refine_held(walk);
        walk->moved = 1;
    }
    return status;
}

/* ---- options ---- */

static size_t refine_num_options(const refine_walk *walk, size_t site)
{
    return rf_options_of(walk->search->space.options, site)->num;
}

static rf_status refine_site(refine_walk *walk, size_t site)
{
    size_t num = refine_num_options(walk, site);
    rf_status status = RF_OK;
    for (size_t k = 0; k < num && !status && !rf_search_over(walk->search); k++) {
        uint8_t was = walk->at.option[site];
        int better;
        if (k == was)
            continue;
        walk->at.option[site] = (uint8_t)k;
        status = refine_try(walk, &better);
        if (!better)
            walk->at.option[site] = was;
    }
    return status;
}

/* Options are by falling bytes, so the next one spares some and the one before takes some. */
static rf_status refine_pair(refine_walk *walk, size_t up, size_t down)
{
    uint8_t *option = walk->at.option, was_up = option[up], was_down = option[down];
    int better = 0;
    if (up == down || !was_up || was_down + 1u >= refine_num_options(walk, down))
        return RF_OK;
    option[up]--;
    option[down]++;
    rf_status status = refine_try(walk, &better);
    if (!better) {
        option[up] = was_up;
        option[down] = was_down;
    }
    return status;
}

static rf_status refine_options(refine_walk *walk)
{
    size_t n = walk->search->space.sites->num;
    rf_status status = RF_OK;
    for (size_t i = 0; i < n && !status && !rf_search_over(walk->search); i++)
        status = refine_site(walk, i);
    for (size_t i = 0; i < n && !status && !rf_search_over(walk->search); i++)
        for (size_t k = 0; k < n && !status && !rf_search_over(walk->search); k++)
            status = refine_pair(walk, i, k);
    return status;
}

/* Two sites at once, to any options: where no single change is better, two may be. */
static rf_status refine_two(refine_walk *walk, size_t i, size_t j)
{
    uint8_t *option = walk->at.option, was_i = option[i], was_j = option[j];
    size_t num_i = refine_num_options(walk, i), num_j = refine_num_options(walk, j);
    rf_status status = RF_OK;
    for (size_t at = 0; at < num_i * num_j && !status && !rf_search_over(walk->search); at++) {
        int better;
        option[i] = (uint8_t)(at / num_j);
        option[j] = (uint8_t)(at % num_j);
        status = refine_try(walk, &better);
        if (better) {
            was_i = option[i];
            was_j = option[j];
        }
    }
    option[i] = was_i;
    option[j] = was_j;
    return status;
}

static rf_status refine_twos(refine_walk *walk)
{
    size_t n = walk->search->space.sites->num;
    rf_status status = RF_OK;
    for (size_t i = 0; i < n && !status && !walk->moved; i++)
        for (size_t j = i + 1; j < n && !status && !rf_search_over(walk->search); j++)
            status = refine_two(walk, i, j);
    return status;
}

/* ---- ranges ---- */

/* In the place of range number index another one; count 0: none. */
static rf_status refine_range(refine_walk *walk, size_t index, rf_scheme_range other)
{
    rf_scheme was = walk->at, copy;
    int better = 0;
    rf_status status = rf_scheme_copy(&copy, &walk->search->space, &walk->at);
    if (status)
        return status;
    walk->at = copy;
    if (index < walk->at.num_ranges)
        rf_scheme_remove_range(&walk->at, index);
    status = other.count ? rf_scheme_add_range(&walk->at, &walk->search->space, other) : RF_OK;
    if (status == RF_E_ARGUMENT)
        status = RF_OK; /* it would cross another */
    else if (!status)
        status = refine_try(walk, &better);
    rf_scheme_end(better ? &was : &walk->at, &walk->search->space);
    if (!better)
        walk->at = was;
    return status;
}

static rf_status refine_ranges(refine_walk *walk)
{
    static const int moves[][2] = {{0, -1}, {0, 1}, {1, -1}, {-1, 1}, {1, 0}, {-1, 0}};
    rf_status status = RF_OK;
    for (size_t i = 0; i < walk->at.num_ranges && !status; i++) {
        for (size_t k = 0; k < 6 && i < walk->at.num_ranges && !status; k++) {
            rf_scheme_range r = walk->at.ranges[i];
            if (rf_search_over(walk->search))
                return RF_OK;
            if (!(r.first + (uint32_t)moves[k][0] + 1) || !(r.count + (uint32_t)moves[k][1]))
                continue;
            r.first += (uint32_t)moves[k][0];
            r.count += (uint32_t)moves[k][1];
            status = refine_range(walk, i, r);
        }
        if (!status && i < walk->at.num_ranges)
            status = refine_range(walk, i, (rf_scheme_range){0, 0, 0});
    }
    return status;
}

static rf_status refine_new_ranges(refine_walk *walk)
{
    const rf_sites *sites = walk->search->space.sites;
    rf_status status = RF_OK;
    for (uint32_t c = 0; c < sites->num_chains && !status; c++) {
        uint32_t links = (uint32_t)sites->chains[c].num_links;
        for (uint32_t count = 1; count < links && !status; count *= 2)
            for (uint32_t first = 0; first + count <= links && !status; first++) {
                if (rf_search_over(walk->search))
                    return RF_OK;
                status = refine_range(walk, SIZE_MAX, (rf_scheme_range){c, first, count});
            }
    }
    return status;
}

static rf_status refine_from(rf_search *search, const rf_scheme *start, uint64_t budget)
{
    refine_walk walk = {.search = search, .budget = budget};
    rf_status status = rf_scheme_copy(&walk.at, &search->space, start);
    if (status)
        return status;
    status = rf_search_try(search, &walk.at, &walk.now);
    walk.held = refine_held(&walk);
    while (!status && !rf_search_over(search)) {
        walk.moved = 0;
        status = refine_options(&walk);
        if (!status)
            status = refine_ranges(&walk);
        if (!status && (budget == 0 || refine_above(&walk, &walk.now)))
            status = refine_new_ranges(&walk);
        if (!status && !walk.moved)
            status = refine_twos(&walk);
        if (!walk.moved)
            break;
    }
    rf_scheme_end(&walk.at, &search->space);
    return status;
}

/* The option that keeps least, which is the last. */
static void refine_keep_nothing(rf_scheme *scheme, const rf_scheme_space *space)
{
    for (size_t i = 0; i < space->sites->num; i++)
        scheme->option[i] = (uint8_t)(rf_options_of(space->options, i)->num - 1);
}

/* From where nothing is kept, and from the smallest that is known. */
static rf_status refine_smallest(rf_search *search)
{
    rf_scheme scheme;
    uint64_t before = search->tries;
    rf_status status = rf_scheme_begin(&scheme, &search->space);
    if (status)
        return status;
    refine_keep_nothing(&scheme, &search->space);
    status = refine_from(search, &scheme, 0);
    rf_scheme_end(&scheme, &search->space);
    search->most_tries += search->tries - before;
    return status ? status : refine_from(search, &search->front[0].scheme, 0);
}

/* From the point of the front that is `away` above the best within budget, if there is one. */
static rf_status refine_near(rf_search *search, uint64_t budget, int away)
{
    const rf_trial *best = rf_search_find(search, budget);
    size_t at = (best ? (size_t)(best - search->front) : 0) + (size_t)away;
    return at < search->num ? refine_from(search, &search->front[at].scheme, budget) : RF_OK;
}

/* What is a little too large may come down to something better, what is smaller may rise. */
rf_status rf_search_refine(rf_search *search, uint64_t budget, uint64_t tries)
{
    static const int starts[] = {0, 1, -1, 2, 4, -3};
    search->most_tries = search->tries + tries;
    if (!budget)
        return refine_smallest(search);
    rf_status status = rf_search_chains(search, budget);
    for (size_t i = 0; i < sizeof starts / sizeof starts[0] && !status; i++)
        if (!rf_search_over(search))
            status = refine_near(search, budget, starts[i]);
    return status;
}
