/* site.h: the parts of a model that a plan decides about.
 *
 * A dial that nobody has turned (rf_dial) is a site of its own, beside its module's. Any other
 * site is a module whose calls may become regions. Those are found by running the step dry: from
 * the root down, a module is a site as soon as its call is small enough for its inner values to be
 * weighed one by one; what is larger, and what is a large part of the model, is gone into. So the
 * blocks of a transformer are sites, and so is the whole of a small network and its parts. A
 * sequential container that was gone into is a chain: its children, the links, are sites whatever
 * their size, and runs of them may be regions too. What the user has applied something to is left
 * alone, with all that is in it.
 *
 * Invariant: sites are in the order of the tree, an outer one before those inside of it, which
 * follow it without a gap.
 */
#ifndef RF_PLAN_SITE_H
#define RF_PLAN_SITE_H

#include "nn/module.h"
#include "plan/memory.h"
#include "tensor/handle.h"

#include <refrain/predict.h>

enum { RF_SITE_INPUTS = 8, RF_SITE_OPS = 40 };

/* A call of a module, as the step makes it. */
typedef struct rf_site_call {
    rf_shape in[RF_SITE_INPUTS]; /* dtype RF_ABSENT: NULL                   */
    uint32_t num_in, num_out;    /* num_in above RF_SITE_INPUTS: not stored */
    uint32_t wanted;             /* bit i: input i wants a gradient         */
    rf_dtype precision;
    uint64_t kernels;
} rf_site_call;

typedef struct rf_site {
    rf_module *module;
    const rf_dial *dial; /* it is about the module's dial; NULL: about regions */
    rf_site_call call;   /* the first              */
    uint64_t calls;      /* in a step              */
    size_t chain;        /* SIZE_MAX: in none      */
    size_t link;         /* of the chain, from 0   */
    size_t outer;        /* the site that it lies in; SIZE_MAX: in none */
    int opened;          /* a link only: a region around it alone is not thought of */
} rf_site;

typedef struct rf_site_chain {
    rf_module *container;
    size_t num_links;
    uint64_t kernels;
    size_t outer; /* as above; the container may be a site itself */
} rf_site_chain;

typedef struct rf_sites {
    rf_context *ctx;
    rf_site *v;
    size_t num, capacity;
    rf_site_chain *chains;
    size_t num_chains, cap_chains;
} rf_sites;

/* Those of root, by one run of the step. In a dry run. */
rf_status rf_sites_find(rf_sites *out, rf_module *root, const rf_training_step *step);
void rf_sites_end(rf_sites *sites);
/* The site of a link; NULL: the container has no child of that number any more. */
rf_site *rf_sites_link(const rf_sites *sites, size_t chain, size_t link);

#endif
