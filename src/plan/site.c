/* site.c: see site.h. Calls are seen by hooks on every module, kernels by the trace. */
#include "plan/site.h"
#include "nn/sequential.h"
#include "tensor/trace.h"

#include <refrain/checkpoint.h>

#include <string.h>

/* A module of the tree. */
typedef struct site_seen {
    struct site_watch *watch;
    rf_module *module;
    uint64_t hook, calls;
    uint64_t kernels; /* of the watch when its first call began; of the call when it is over */
    rf_site_call call;
} site_seen;

typedef struct site_watch {
    rf_context *ctx;
    uint64_t kernels;
    site_seen *seen;
    size_t num, capacity;
} site_watch;

/* ---- watching a step ---- */

static rf_status seen_pre(void *payload, rf_module *m, rf_scope *s, rf_values *in)
{
    site_seen *seen = payload;
    (void)m;
    if (seen->calls++ || !s->grad)
        return RF_OK;
    seen->call.num_in = (uint32_t)in->num;
    seen->call.precision = s->precision;
    for (size_t i = 0; i < in->num && i < RF_SITE_INPUTS; i++) {
        seen->call.in[i].dtype = RF_ABSENT;
        if (!in->v[i])
            continue;
        seen->call.in[i] = in->v[i]->view.shape;
        seen->call.wanted |= in->v[i]->requires_grad ? 1u << i : 0;
    }
    seen->kernels = seen->watch->kernels;
    return RF_OK;
}

static rf_status seen_post(void *payload, rf_module *m, rf_scope *s, rf_values *out,
                           rf_status status)
{
    site_seen *seen = payload;
    (void)m;
    (void)s;
    if (seen->calls == 1) {
        seen->call.num_out = (uint32_t)out->num;
        seen->call.kernels = seen->watch->kernels - seen->kernels;
    }
    return status;
}

static void watch_event(void *payload, const rf_event *event)
{
    site_watch *watch = payload;
    watch->kernels += event->kind == RF_EVENT_OP;
}

static rf_status site_watch_add(site_watch *watch, rf_module *m)
{
    rf_status status =
        rf_plan_grow(watch->ctx, &watch->seen, watch->num, &watch->capacity, sizeof *watch->seen);
    if (!status)
        watch->seen[watch->num++] = (site_seen){.watch = watch, .module = m};
    return status;
}

static rf_status watch_begin(site_watch *watch, rf_module *root)
{
    rf_status status = RF_OK;
    for (rf_module *m = root; m && !status; m = rf_module_next(m, root))
        status = site_watch_add(watch, m);
    for (size_t i = 0; i < watch->num && !status; i++) {
        rf_module_hook hook = {.pre = seen_pre, .post = seen_post, .payload = &watch->seen[i]};
        status = rf_module_add_hook(watch->seen[i].module, hook, &watch->seen[i].hook);
        if (status)
            watch->seen[i].module = NULL; /* and those after it have no hook either */
    }
    if (!status)
        rf_trace_set(watch->ctx, watch_event, watch);
    return status;
}

static void watch_end(site_watch *watch)
{
    rf_trace_set(watch->ctx, NULL, NULL);
    for (size_t i = 0; i < watch->num && watch->seen[i].module; i++)
        (void)!rf_module_remove_hook(watch->seen[i].module, watch->seen[i].hook);
}

/* ---- choosing ---- */

static site_seen *seen_of(const site_watch *watch, const rf_module *m)
{
    for (size_t i = 0; i < watch->num; i++)
        if (watch->seen[i].module == m)
            return &watch->seen[i];
    return NULL;
}

static rf_status sites_add(rf_sites *sites, const site_seen *seen, rf_site like)
{
    rf_status status =
        rf_plan_grow(sites->ctx, &sites->v, sites->num, &sites->capacity, sizeof *sites->v);
    like.module = seen->module;
    like.call = seen->call;
    like.calls = seen->calls;
    if (!status)
        sites->v[sites->num++] = like;
    return status;
}

/* Something was applied to it, such as rf_checkpoint: that is the user's to decide. */
static int site_is_taken(const site_seen *seen)
{
    const rf_module *m = seen->module;
    return rf_module_num_apis(m) || rf_checkpoint_ranges_num(m) || rf_checkpoint_sequential_num(m);
}

static int site_may_be_region(const site_seen *seen)
{
    return !site_is_taken(seen) && seen->calls && seen->call.num_in &&
           seen->call.num_in <= RF_SITE_INPUTS && seen->call.num_out && seen->call.kernels > 1;
}

/* The largest part of the model that is called as a whole. */
static uint64_t site_most_kernels(const site_watch *watch)
{
    uint64_t most = 0;
    for (size_t i = 0; i < watch->num; i++)
        most = watch->seen[i].call.kernels > most ? watch->seen[i].call.kernels : most;
    return most;
}

/* A module is worth going into where it is large, or much of the model. */
static int site_is_much(const site_watch *watch, const site_seen *seen)
{
    return seen->call.kernels > RF_SITE_OPS || 8 * seen->call.kernels > site_most_kernels(watch);
}

static int site_is_chain(const site_watch *watch, const site_seen *seen)
{
    return rf_sequential_is(seen->module) && seen->module->num_children > 2 && seen->calls == 1 &&
           site_is_much(watch, seen);
}

static int site_has_parts(const site_watch *watch, const rf_module *m)
{
    for (size_t i = 0; i < m->num_children; i++)
        if (seen_of(watch, m->children[i])->call.kernels > 1)
            return 1;
    return 0;
}

static rf_status sites_open_chain(rf_sites *sites, const site_seen *seen, size_t outer)
{
    rf_status status = rf_plan_grow(sites->ctx, &sites->chains, sites->num_chains,
                                    &sites->cap_chains, sizeof *sites->chains);
    if (!status)
        sites->chains[sites->num_chains++] =
            (rf_site_chain){seen->module, seen->module->num_children, seen->call.kernels, outer};
    return status;
}

/* A dial can be probed where its module can be called alone. */
static rf_status sites_add_dial(rf_sites *sites, const site_seen *seen, size_t outer)
{
    const rf_dial *dial = rf_module_dial(seen->module);
    if (!dial || dial->get(seen->module) != RF_DIAL_AUTO || !seen->calls)
        return RF_OK;
    return sites_add(sites, seen, (rf_site){.dial = dial, .chain = SIZE_MAX, .outer = outer});
}

/* What m is: a chain, a site, something to go into, or several of these. Modules are few levels
 * deep, so is this. */
static rf_status sites_visit(rf_sites *sites, const site_watch *watch, rf_module *m, rf_site like)
{
    const site_seen *seen = seen_of(watch, m);
    int taken = site_is_taken(seen), link = like.chain != SIZE_MAX;
    int chain = !taken && site_is_chain(watch, seen);
    int open = chain || (site_is_much(watch, seen) && site_has_parts(watch, m));
    size_t number = sites->num_chains, outer = like.outer;
    rf_status status = sites_add_dial(sites, seen, outer);
    like.opened = (open && seen->call.kernels > RF_SITE_OPS) || !site_may_be_region(seen);
    if (!status && (link || !like.opened))
        status = sites_add(sites, seen, like);
    if (!status && !like.opened)
        outer = sites->num - 1;
    if (!status && chain)
        status = sites_open_chain(sites, seen, outer);
    for (size_t i = 0; i < m->num_children && !taken && (open || !seen->calls) && !status; i++)
        status =
            sites_visit(sites, watch, m->children[i],
                        (rf_site){.chain = chain ? number : SIZE_MAX, .link = i, .outer = outer});
    return status;
}

rf_status rf_sites_find(rf_sites *out, rf_module *root, const rf_training_step *step)
{
    site_watch watch = {.ctx = root->ctx};
    *out = (rf_sites){.ctx = root->ctx};
    rf_status status = watch_begin(&watch, root);
    if (!status)
        status = step->run(step->payload);
    watch_end(&watch);
    if (!status)
        status = sites_visit(out, &watch, root, (rf_site){.chain = SIZE_MAX, .outer = SIZE_MAX});
    rf_plan_free(root->ctx, watch.seen, watch.capacity * sizeof *watch.seen);
    if (status)
        rf_sites_end(out);
    return status;
}

void rf_sites_end(rf_sites *sites)
{
    rf_plan_free(sites->ctx, sites->v, sites->capacity * sizeof *sites->v);
    rf_plan_free(sites->ctx, sites->chains, sites->cap_chains * sizeof *sites->chains);
    *sites = (rf_sites){.ctx = sites->ctx};
}

rf_site *rf_sites_link(const rf_sites *sites, size_t chain, size_t link)
{
    for (size_t i = 0; i < sites->num; i++)
        if (sites->v[i].chain == chain && sites->v[i].link == link)
            return &sites->v[i];
    return NULL;
}
