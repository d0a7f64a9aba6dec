/* links.c: see links.h. The figures of a stage are those of its links' single calls, added up as
 * they come one after another. */
#include "plan/links.h"

#include <string.h>

static uint64_t links_above(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static const rf_option_list *links_options(const rf_links *links, size_t link)
{
    return rf_options_of(links->search->space.options, links->site[link]);
}

static const rf_probe *links_plain(const rf_links *links, size_t link)
{
    return &links_options(links, link)->v[0].probe;
}

/* Gradients of parameters wait for the optimiser, or it takes each of them at once: of those that a
 * region read, when the outermost region is done (optim.h). */
static int links_settle(const rf_links *links, const rf_links_head *head)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < links->num; i++)
        sum += links_plain(links, i)->param_gradient;
    return 2 * head->left <= sum;
}

/* ---- stages ---- */

/* Nobody wants the value between this link and the next for backward. */
static int links_passing(const rf_links *links, size_t link)
{
    const rf_probe *a = links_plain(links, link), *b = links_plain(links, link + 1);
    return a->output && !a->holds_output && !b->holds_input;
}

static void links_group(rf_links *links, int apart)
{
    size_t num = 0, combinations = 1;
    for (size_t i = 0; i < links->num; i++) {
        size_t options = links_options(links, i)->num;
        combinations *= options;
        if (!i || apart || !links_passing(links, i - 1) || combinations > RF_OPTIONS_KEPT) {
            links->first[num++] = i;
            combinations = options;
        }
    }
    links->first[num] = links->num;
    links->arrays.num_stages = num + 1;
}

/* The option of a link in its stage's combination number k, of which the first link's is the lowest
 * digit. */
static size_t links_digit(const rf_links *links, size_t first, size_t link, size_t k)
{
    for (; first < link; first++)
        k /= links_options(links, first)->num;
    return k % links_options(links, link)->num;
}

/* A stage with one combination, being walked forward and then backward. */
typedef struct links_walk {
    uint64_t kept;     /* by the links so far, and the last one's output     */
    uint64_t passing;  /* of it: goes when the next link has run             */
    uint64_t forward;  /* the most held                                      */
    uint64_t backward; /* likewise, both gradients and all that is kept too  */
    double seconds[2];
} links_walk;

static void links_walk_forward(links_walk *w, const rf_option *o)
{
    const rf_probe *p = &o->probe;
    uint64_t saved = p->saved > p->output ? p->saved : p->output, peak = w->kept + p->forward_peak;
    w->forward = peak > w->forward ? peak : w->forward;
    w->kept += saved - (o->fates ? 0 : w->passing); /* a region holds its input */
    w->passing = p->output;
    w->seconds[0] += p->forward;
}

/* around: what the links before it keep, and what those behind it left; less the link's output,
 * where that is gone by then. */
static void links_walk_backward(links_walk *w, const rf_probe *p, uint64_t around)
{
    uint64_t peak = around + p->backward_peak;
    w->backward = peak > w->backward ? peak : w->backward;
    w->seconds[1] += p->backward;
}

/* Half of the way to a tier and back is taken to be hidden by other work. */
static double links_away(const rf_links *links, const rf_probe *p)
{
    return links->search->space.ctx->cost_file * (double)p->away;
}

static rf_chain_option links_combine(const rf_links *links, size_t stage, size_t k)
{
    size_t first = links->first[stage], end = links->first[stage + 1];
    uint64_t left = links->stages[stage].left;
    links_walk w = {0};
    for (size_t i = first; i < end; i++) {
        const rf_option *o = &links_options(links, i)->v[links_digit(links, first, i, k)];
        uint64_t before = w.kept - w.passing, gone = i + 1 < end ? o->probe.output : 0;
        left -= links_plain(links, i)->param_gradient;
        links_walk_forward(&w, o);
        links_walk_backward(&w, &o->probe, before + left - gone);
        w.seconds[1] += links_away(links, &o->probe);
    }
    uint64_t there = w.kept + links->stages[stage].left + links_plain(links, end - 1)->gradient +
                     links_plain(links, first)->input_gradient;
    return (rf_chain_option){.saved = w.kept,
                             .forward = w.seconds[0],
                             .backward = w.seconds[1],
                             .forward_workspace = links_above(w.forward, w.kept),
                             .backward_workspace = links_above(w.backward, there)};
}

/* The most that the links of a stage hold while they run and keep nothing. */
static uint64_t links_passing_peak(const rf_links *links, size_t stage)
{
    uint64_t peak = 0, input = 0;
    for (size_t i = links->first[stage]; i < links->first[stage + 1]; i++) {
        const rf_option_list *list = links_options(links, i);
        uint64_t least = UINT64_MAX;
        for (size_t k = 0; k < list->num; k++)
            least = list->v[k].probe.forward_peak < least ? list->v[k].probe.forward_peak : least;
        peak = input + least > peak ? input + least : peak;
        input = links_plain(links, i)->output;
    }
    return peak;
}

static void links_fill_stage(rf_links *links, size_t stage)
{
    size_t first = links->first[stage], end = links->first[stage + 1], combinations = 1;
    const rf_probe *last = links_plain(links, end - 1);
    rf_chain_stage *out = &links->stages[stage];
    *out = (rf_chain_stage){.output = last->output,
                            .gradient = last->gradient,
                            .first_option = links->arrays.num_options};
    out->forward_workspace = links_above(links_passing_peak(links, stage), out->output);
    for (size_t i = first; i < end; i++) {
        out->left += links_plain(links, i)->param_gradient;
        out->forward += links_plain(links, i)->forward;
        combinations *= links_options(links, i)->num;
    }
    out->num_options = combinations;
    for (size_t k = 0; k < combinations; k++)
        links->options[links->arrays.num_options++] = links_combine(links, stage, k);
}

static uint64_t links_input(const rf_links *links)
{
    const rf_site_call *call = &links->search->space.sites->v[links->site[0]].call;
    size_t bytes = 0;
    if (call->num_in && call->in[0].dtype != RF_ABSENT)
        rf_shape_bytes(&call->in[0], &bytes);
    return bytes;
}

static void links_fill(rf_links *links, const rf_links_head *head, int apart)
{
    rf_chain *arrays = &links->arrays;
    arrays->settles = links_settle(links, head);
    links_group(links, apart);
    size_t last = arrays->num_stages - 1;
    for (size_t i = 0; i < last; i++)
        links_fill_stage(links, i);
    links->stages[last] = (rf_chain_stage){.first_option = arrays->num_options, .num_options = 1};
    links->options[arrays->num_options++] = (rf_chain_option){
        .backward_workspace = links_above(head->need, links->stages[last - 1].gradient)};
    arrays->input = links_input(links);
    arrays->input_gradient = links_plain(links, 0)->input_gradient;
    arrays->stages = links->stages;
    arrays->options = links->options;
}

/* ---- the public face ---- */

void rf_links_end(rf_links *links)
{
    rf_context *ctx = links->search->space.ctx;
    size_t n = links->num;
    rf_plan_free(ctx, links->site, n * sizeof *links->site);
    rf_plan_free(ctx, links->first, (n + 1) * sizeof *links->first);
    rf_plan_free(ctx, links->stages, (n + 1) * sizeof *links->stages);
    rf_plan_free(ctx, links->options, links->cap_options * sizeof *links->options);
}

rf_status rf_links_begin(rf_links *out, rf_search *search, size_t number, int apart)
{
    rf_context *ctx = search->space.ctx;
    const rf_sites *sites = search->space.sites;
    const rf_site_chain *chain = &sites->chains[number];
    rf_links_head head;
    size_t n = chain->num_links;
    *out = (rf_links){.search = search, .number = number, .num = n};
    out->cap_options = (n + 1) * RF_OPTIONS_MOST;
    out->site = rf_plan_alloc(ctx, n * sizeof *out->site);
    out->first = rf_plan_alloc(ctx, (n + 1) * sizeof *out->first);
    out->stages = rf_plan_alloc(ctx, (n + 1) * sizeof *out->stages);
    out->options = rf_plan_alloc(ctx, out->cap_options * sizeof *out->options);
    rf_status status = out->site && out->first && out->stages && out->options
                           ? rf_links_head_measure(&head, search, chain->container)
                           : rf_context_error(ctx)->code;
    for (size_t i = 0; i < sites->num && !status; i++)
        if (sites->v[i].chain == number)
            out->site[sites->v[i].link] = i;
    if (!status)
        links_fill(out, &head, apart);
    else
        rf_links_end(out);
    return status;
}

/* ---- plans as schemes ---- */

static void links_keep(const rf_links *links, const rf_chain_node *node, rf_scheme *scheme)
{
    size_t first = links->first[node->first];
    for (size_t i = first; i < links->first[node->first + 1]; i++)
        scheme->option[links->site[i]] = (uint8_t)links_digit(links, first, i, node->option);
}

static rf_scheme_range links_range(const rf_links *links, const rf_chain_node *node)
{
    size_t first = links->first[node->first], end = links->first[node->first + node->count];
    return (rf_scheme_range){(uint32_t)links->number, (uint32_t)first, (uint32_t)(end - first)};
}

rf_status rf_links_scheme(const rf_links *links, const rf_chain_nodes *plan, rf_scheme *scheme)
{
    size_t head = links->arrays.num_stages - 1;
    rf_status status = RF_OK;
    scheme->num_ranges = 0;
    for (size_t i = 0; i < plan->num && !status; i++) {
        const rf_chain_node *node = &plan->v[i];
        if (node->first >= head)
            continue;
        if (node->kind == RF_CHAIN_KEEP)
            links_keep(links, node, scheme);
        else if (node->first + node->count <= head)
            status = rf_scheme_add_range(scheme, &links->search->space, links_range(links, node));
    }
    return status;
}
