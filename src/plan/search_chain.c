/* search_chain.c: plans of the chain solver (links.h) as schemes to try. The figures are those of
 * single calls, so the solver's bytes are not quite the step's: whole curves are tried, not points.
 */
#include "plan/links.h"

enum { CHAIN_TRIES = 192 };

static rf_status chain_try(const rf_links *links, const rf_chain_point *point, rf_scheme *scheme,
                           rf_trial *trial)
{
    rf_status status = rf_links_scheme(links, &point->plan, scheme);
    return status ? status : rf_search_try(links->search, scheme, trial);
}

/* As many of the points as are worth their time, over the whole curve or around a peak. */
static rf_status chain_try_all(const rf_links *links, const rf_chain_front *front, uint64_t around,
                               rf_scheme *scheme)
{
    size_t stride = 1 + front->num / CHAIN_TRIES;
    rf_status status = RF_OK;
    for (size_t i = 0; i < front->num && !status && !rf_search_over(links->search); i++) {
        uint64_t peak = front->points[i].peak;
        int near = around && peak > around - around / 8 && peak < around + around / 8;
        if (around ? near : i % stride == 0 || i + 1 == front->num)
            status = chain_try(links, &front->points[i], scheme, NULL);
    }
    return status;
}

/* What the solver must be asked for, for a step that is to stay within budget. */
static rf_status chain_budget(const rf_links *links, const rf_chain_front *front, uint64_t budget,
                              rf_scheme *scheme, uint64_t *asked)
{
    uint64_t around = budget;
    rf_status status = RF_OK;
    for (int i = 0; i < 4 && !status; i++) {
        rf_trial trial;
        const rf_chain_point *point = rf_chain_front_find(front, around);
        point = point ? point : front->points;
        status = chain_try(links, point, scheme, &trial);
        if (!status)
            around = budget + point->peak > trial.peak ? budget + point->peak - trial.peak : 1;
    }
    *asked = around;
    return status;
}

/* The solver's plans, with the sites around as in the scheme. */
static rf_status chain_try_plans(const rf_links *links, uint64_t budget, rf_scheme *scheme)
{
    rf_context *ctx = links->search->space.ctx;
    rf_chain_front front;
    rf_chain_front_options opts = {.size = sizeof opts, .threads = ctx->threads};
    uint64_t asked = 0;
    rf_status status = rf_chain_front_begin(&front, &ctx->alloc, &links->arrays, &opts);
    if (status)
        return status;
    if (budget)
        status = chain_budget(links, &front, budget, scheme, &asked);
    if (!status && asked)
        status = rf_chain_front_refine(&front, asked);
    if (!status)
        status = chain_try_all(links, &front, asked, scheme);
    rf_chain_front_end(&front);
    return status;
}

/* With links together as they may be; and apart, where that is another chain. */
static rf_status chain_try_links(rf_search *search, size_t number, uint64_t budget,
                                 rf_scheme *scheme)
{
    rf_status status = RF_OK;
    int together = 1;
    for (int apart = 0; apart <= together && !status; apart++) {
        rf_links links;
        status = rf_links_begin(&links, search, number, apart);
        if (status)
            return status;
        together = links.arrays.num_stages <= links.num;
        status = chain_try_plans(&links, budget, scheme);
        rf_links_end(&links);
    }
    return status;
}

static rf_status chain_search(rf_search *search, size_t number, uint64_t budget)
{
    rf_scheme scheme;
    const rf_trial *best = rf_search_find(search, budget);
    rf_status status = best ? rf_scheme_copy(&scheme, &search->space, &best->scheme)
                            : rf_scheme_begin(&scheme, &search->space);
    if (status)
        return status;
    for (size_t i = search->space.sites->chains[number].outer; i != SIZE_MAX;
         i = search->space.sites->v[i].outer)
        scheme.option[i] = 0; /* it is the chain's turn */
    status = chain_try_links(search, number, budget, &scheme);
    rf_scheme_end(&scheme, &search->space);
    return status;
}

rf_status rf_search_chains(rf_search *search, uint64_t budget)
{
    rf_status status = RF_OK;
    for (size_t i = 0; i < search->space.sites->num_chains && !status; i++)
        if (!rf_search_over(search))
            status = chain_search(search, i, budget);
    return status;
}
