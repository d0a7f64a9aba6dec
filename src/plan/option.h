/* option.h: ways to run a site: plainly, or as a region that keeps some of its values; or settings
 * of its dial. Each was probed; none is worse than another in all respects. */
#ifndef RF_PLAN_OPTION_H
#define RF_PLAN_OPTION_H

#include "plan/probe.h"

enum { RF_OPTIONS_KEPT = 24, RF_OPTIONS_MOST = 3 * RF_OPTIONS_KEPT };

typedef struct rf_option {
    char *fates;   /* owned; NULL: no region                 */
    uint64_t dial; /* what to set a dial to; else all alike  */
    rf_probe probe;
} rf_option;

/* Of one type of site. The first is plain; then by falling bytes saved. */
typedef struct rf_option_list {
    rf_option v[RF_OPTIONS_MOST];
    size_t num;
} rf_option_list;

/* Options by type: sites[i] has lists[type[i]]. */
typedef struct rf_options {
    rf_context *ctx;
    rf_option_list *lists;
    size_t num, capacity;
    size_t *type; /* one per site */
    size_t num_sites;
} rf_options;

/* In a dry run. tiers: rf_plan_tier. */
rf_status rf_options_find(rf_options *out, const rf_sites *sites, unsigned tiers);
void rf_options_end(rf_options *options);

static inline const rf_option_list *rf_options_of(const rf_options *options, size_t site)
{
    return &options->lists[options->type[site]];
}

#endif
