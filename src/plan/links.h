/* links.h: a container's calls as a chain for the solver (chain.h), and its plans as schemes.
 *
 * A stage is a run of links. Most have one: its site's options are the stage's. Where neither side
 * of a value wants it for backward (a linear and its tanh), no record has it, and a solver that
 * counts it with each of them would pay for twice what is held: there both are one stage, and all
 * combinations of their options are its options. A region may begin or end between them all the
 * same, so that such a chain is worth a look either way. What comes after the container (the head,
 * the loss) is a last stage with nothing to choose, so that the solver leaves room for it; what
 * lies before and around adds the same bytes to all plans and is left out.
 */
#ifndef RF_PLAN_LINKS_H
#define RF_PLAN_LINKS_H

#include "plan/chain.h"
#include "plan/search.h"

/* What lies behind a container, from one plain step, and what its backward leaves there. */
typedef struct rf_links_head {
    uint64_t need; /* above what was held when its call was over, until its backward began */
    uint64_t left; /* of gradients, above what there were before its backward: the most    */
} rf_links_head;
rf_status rf_links_head_measure(rf_links_head *out, const rf_search *search, rf_module *container);

typedef struct rf_links {
    rf_search *search;
    size_t number; /* of the chain */
    size_t num;    /* of links */
    size_t *site;  /* of each */
    size_t *first; /* of each stage its first link, and then num: the head's */
    rf_chain_stage *stages;
    rf_chain_option *options;
    size_t cap_options;
    rf_chain arrays; /* of these */
} rf_links;

/* In a dry run. apart: every link is a stage by itself. */
rf_status rf_links_begin(rf_links *out, rf_search *search, size_t number, int apart);
void rf_links_end(rf_links *links);
/* A plan's options and ranges, in the place of the scheme's. The head is never in a region. */
rf_status rf_links_scheme(const rf_links *links, const rf_chain_nodes *plan, rf_scheme *scheme);

#endif
