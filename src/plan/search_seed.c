/* search_seed.c: schemes to begin with: what people do by hand (every part of a level a region,
 * even splits of a chain), and prices for bytes, at which each part of the model chooses for
 * itself. A byte in a file may cost nothing, as other work hides it, or its way there and back:
 * prices are tried with either and with what lies between.
 */
#include "plan/search.h"

enum { SEED_PRICES = 48 };

static const rf_option_list *seed_options(const rf_search *search, size_t site)
{
    return rf_options_of(search->space.options, site);
}

/* ---- every part of a level ---- */

static size_t seed_depth(const rf_sites *sites, size_t site)
{
    size_t depth = 0;
    while ((site = sites->v[site].outer) != SIZE_MAX)
        depth++;
    return depth;
}

/* What keeps least is last. */
static void seed_level(const rf_search *search, rf_scheme *scheme, size_t depth)
{
    const rf_sites *sites = search->space.sites;
    for (size_t i = 0; i < sites->num; i++)
        scheme->option[i] =
            (uint8_t)(seed_depth(sites, i) == depth ? seed_options(search, i)->num - 1 : 0);
}

static rf_status seed_levels(rf_search *search, rf_scheme *scheme)
{
    const rf_sites *sites = search->space.sites;
    size_t deepest = 0;
    rf_status status = RF_OK;
    for (size_t i = 0; i < sites->num; i++)
        deepest = seed_depth(sites, i) > deepest ? seed_depth(sites, i) : deepest;
    for (size_t depth = 0; depth <= deepest && !status && !rf_search_over(search); depth++) {
        seed_level(search, scheme, depth);
        status = rf_search_try(search, scheme, NULL);
    }
    return status;
}

/* ---- prices ---- */

typedef struct price {
    double saved, away; /* seconds a byte */
} price;

static double price_of(const rf_probe *p, price of)
{
    return p->forward + p->backward + of.saved * (double)p->saved + of.away * (double)p->away;
}

static size_t price_choose(const rf_option_list *list, price of)
{
    size_t best = 0;
    for (size_t k = 1; k < list->num; k++)
        if (price_of(&list->v[k].probe, of) < price_of(&list->v[best].probe, of))
            best = k;
    return best;
}

/* From the last site to the first, so that the parts of a site are known when it is its turn: it
 * is a region itself, or its parts are, whichever gains more. gain: one per site, of it and all in
 * it. */
static void scheme_at_price(const rf_search *search, rf_scheme *scheme, price of, double *gain)
{
    const rf_sites *sites = search->space.sites;
    for (size_t i = 0; i < sites->num; i++)
        gain[i] = 0;
    for (size_t i = sites->num; i-- > 0;) {
        const rf_option_list *list = seed_options(search, i);
        size_t best = price_choose(list, of), outer = sites->v[i].outer;
        double own = price_of(&list->v[0].probe, of) - price_of(&list->v[best].probe, of);
        scheme->option[i] = (uint8_t)(own > gain[i] ? best : 0);
        if (own > gain[i]) {
            gain[i] = own;
            for (size_t k = i + 1;
                 k < sites->num && sites->v[k].outer != SIZE_MAX && sites->v[k].outer >= i; k++)
                scheme->option[k] = 0;
        }
        if (outer != SIZE_MAX)
            gain[outer] += gain[i] * (double)sites->v[i].calls / (double)sites->v[outer].calls;
    }
}

/* From nothing for a byte to more than any time is worth. */
static rf_status seed_prices_with(rf_search *search, rf_scheme *scheme, double away, double *gain)
{
    price of = {1e-14, away};
    rf_status status = RF_OK;
    for (size_t i = 0; i < SEED_PRICES && !status && !rf_search_over(search); i++, of.saved *= 2) {
        scheme_at_price(search, scheme, of, gain);
        status = rf_search_try(search, scheme, NULL);
    }
    return status;
}

static rf_status seed_prices(rf_search *search, rf_scheme *scheme)
{
    rf_context *ctx = search->space.ctx;
    size_t num = search->space.sites->num;
    double *gain = rf_plan_alloc(ctx, num * sizeof *gain);
    rf_status status = gain ? RF_OK : rf_context_error(ctx)->code;
    for (int way = 0; way < 3 && !status; way++)
        status = seed_prices_with(search, scheme, way * ctx->cost_file, gain);
    rf_plan_free(ctx, gain, num * sizeof *gain);
    return status;
}

/* ---- even splits: for the smallest peaks ---- */

static rf_status split_evenly(rf_scheme *scheme, const rf_scheme_space *space,
                              rf_scheme_range whole, uint32_t length)
{
    rf_status status = RF_OK;
    scheme->num_ranges = 0;
    for (uint32_t at = 0; at < whole.count && !status; at += length) {
        uint32_t count = whole.count - at < length ? whole.count - at : length;
        status = rf_scheme_add_range(scheme, space,
                                     (rf_scheme_range){whole.chain, whole.first + at, count});
    }
    return status;
}

/* All lengths of runs, with the sites as they are; the last run may be plain, as its values are
 * wanted at once. */
static rf_status seed_splits_of(rf_search *search, rf_scheme *scheme, uint32_t chain)
{
    uint32_t links = (uint32_t)search->space.sites->chains[chain].num_links;
    rf_status status = RF_OK;
    for (uint32_t length = 1; length < links && !status && !rf_search_over(search);
         length += 1 + length / 8) {
        status = split_evenly(scheme, &search->space, (rf_scheme_range){chain, 0, links}, length);
        if (!status)
            status = rf_search_try(search, scheme, NULL);
        if (!status && scheme->num_ranges > 1) {
            rf_scheme_remove_range(scheme, scheme->num_ranges - 1);
            status = rf_search_try(search, scheme, NULL);
        }
    }
    scheme->num_ranges = 0;
    return status;
}

static rf_status seed_splits(rf_search *search, rf_scheme *scheme)
{
    rf_status status = RF_OK;
    for (uint32_t c = 0; c < search->space.sites->num_chains && !status; c++)
        status = seed_splits_of(search, scheme, c);
    return status;
}

static rf_status search_seeds(rf_search *search, rf_scheme *scheme)
{
    rf_status status = seed_splits(search, scheme); /* with plain links */
    if (!status)
        status = seed_levels(search, scheme);
    if (!status)
        status = seed_prices(search, scheme);
    if (!status)
        status = seed_splits(search, scheme); /* with links at the highest price */
    return status;
}

rf_status rf_search_seeds(rf_search *search)
{
    rf_scheme scheme;
    rf_status status = rf_scheme_begin(&scheme, &search->space);
    if (status)
        return status;
    status = search_seeds(search, &scheme);
    rf_scheme_end(&scheme, &search->space);
    return status;
}
