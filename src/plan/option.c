/* option.c: see option.h.
 *
 * A region can keep the results of any set of its ops. Ops that change nothing when kept alone are
 * left out; of the others every set is probed while they are few, and else two paths of sets: from
 * none on, adding what spares most time for its bytes, and from all on, giving up what spares
 * least. What is kept may wait in a tier as well, all of a set in one. A dial is probed at even
 * steps between nothing and what it keeps by itself.
 */
#include "plan/option.h"

#include <stdio.h>
#include <string.h>

enum { OPTION_ALL_SETS = 9, OPTION_DIAL_STEPS = 16, OPTION_TEXT = RF_SITE_OPS * 56 + 8 };

/* The search for one site. */
typedef struct option_search {
    rf_context *ctx;
    const rf_site *site;
    rf_probe_op ops[RF_SITE_OPS];
    size_t num; /* of ops that matter */
    rf_option_list *list;
} option_search;

static double option_time(const rf_probe *p)
{
    return p->forward + p->backward;
}

/* ---- the list ---- */

/* a is at least as good as b. */
static int option_beats(const rf_probe *a, const rf_probe *b)
{
    return a->away <= b->away && a->saved <= b->saved && option_time(a) <= option_time(b) &&
           a->backward_peak <= b->backward_peak && a->forward_peak <= b->forward_peak;
}

static void option_remove(rf_context *ctx, rf_option_list *list, size_t at)
{
    rf_plan_free_text(ctx, list->v[at].fates);
    memmove(&list->v[at], &list->v[at + 1], (list->num - at - 1) * sizeof list->v[0]);
    list->num--;
}

/* The one whose neighbours are nearest to it in bytes: the least loss. The first two, plain and
 * nothing kept, stay. */
static size_t option_dispensable(const rf_option_list *list)
{
    size_t best = list->num - 1;
    double least = -1;
    for (size_t i = 1; i + 1 < list->num; i++) {
        const rf_probe *above = &list->v[i - 1].probe, *p = &list->v[i].probe;
        double loss =
            (double)(above->saved - p->saved) * (option_time(p) - option_time(above) + 1e-12);
        if (least < 0 || loss < least) {
            least = loss;
            best = i;
        }
    }
    return best;
}

/* By falling bytes, plain first; where they are equal, what waits in a tier first. Fates are
 * copied. */
static rf_status option_insert(rf_context *ctx, rf_option_list *list, rf_option option)
{
    const rf_probe *probe = &option.probe;
    for (size_t i = 0; i < list->num; i++)
        if (option_beats(&list->v[i].probe, probe))
            return RF_OK;
    for (size_t i = list->num; i-- > 1;)
        if (option_beats(probe, &list->v[i].probe))
            option_remove(ctx, list, i);
    if (list->num == RF_OPTIONS_KEPT && !probe->away)
        option_remove(ctx, list, option_dispensable(list));
    if (option.fates && !(option.fates = rf_plan_copy_text(ctx, option.fates)))
        return rf_context_error(ctx)->code;
    size_t at = 1;
    while (at < list->num && (list->v[at].probe.saved > probe->saved ||
                              (list->v[at].probe.saved == probe->saved && !probe->away)))
        at++;
    memmove(&list->v[at + 1], &list->v[at], (list->num - at) * sizeof list->v[0]);
    list->v[at] = option;
    list->num++;
    return RF_OK;
}

/* ---- sets ---- */

static void option_text(const option_search *search, uint64_t set, char *text)
{
    size_t at = 0;
    text[0] = 0;
    for (size_t i = 0; i < search->num; i++)
        if (set >> i & 1)
            at += (size_t)snprintf(text + at, OPTION_TEXT - at, "%s#%u:%s",
                                   at ? "," : "keep=", (unsigned)search->ops[i].index,
                                   search->ops[i].name);
}

static rf_status option_try(option_search *search, uint64_t set, rf_probe *probe)
{
    char text[OPTION_TEXT];
    option_text(search, set, text);
    rf_status status = rf_probe_site(probe, search->site, text);
    return status ? status : option_insert(search->ctx, search->list, (rf_option){text, 0, *probe});
}

static rf_status option_all_sets(option_search *search)
{
    rf_probe probe;
    rf_status status = RF_OK;
    for (uint64_t set = 1; set < UINT64_C(1) << search->num && !status; set++)
        status = option_try(search, set, &probe);
    return status;
}

/* Seconds given (or, giving up, taken) for each byte. */
static double option_worth(const rf_probe *from, const rf_probe *to)
{
    double bytes = (double)to->saved - (double)from->saved;
    double seconds = option_time(from) - option_time(to);
    if (bytes < 0)
        return -seconds / -bytes;
    return seconds / (bytes + 1);
}

/* One step of a path: the best set that differs from *set in one op. */
static rf_status option_step(option_search *search, uint64_t *set, rf_probe *at, int adding)
{
    uint64_t best_set = *set;
    rf_probe best = *at, probe;
    double worth = 0;
    for (size_t i = 0; i < search->num; i++) {
        uint64_t next = *set ^ UINT64_C(1) << i;
        if ((next > *set) != adding)
            continue;
        rf_status status = option_try(search, next, &probe);
        if (status)
            return status;
        double found = option_worth(at, &probe);
        if (best_set == *set || found > worth) {
            worth = found;
            best = probe;
            best_set = next;
        }
    }
    *set = best_set;
    *at = best;
    return RF_OK;
}

static rf_status option_path(option_search *search, uint64_t set, int adding)
{
    rf_probe at;
    rf_status status = option_try(search, set, &at);
    for (size_t i = 0; i < search->num && !status; i++)
        status = option_step(search, &set, &at, adding);
    return status;
}

/* Keep of the ops those that matter. */
static rf_status option_sift(option_search *search, const rf_probe *none, size_t num_ops)
{
    for (size_t i = 0; i < num_ops; i++) {
        rf_probe probe;
        search->ops[search->num] = search->ops[i];
        search->num++;
        rf_status status = option_try(search, UINT64_C(1) << (search->num - 1), &probe);
        if (status)
            return status;
        if (option_time(&probe) >= option_time(none))
            search->num--;
    }
    return RF_OK;
}

static rf_status option_search_site(option_search *search)
{
    rf_probe none;
    size_t num = RF_SITE_OPS;
    rf_status status = option_try(search, 0, &none);
    if (!status)
        status = rf_probe_ops(search->ops, &num, search->site);
    if (!status)
        status = option_sift(search, &none, num < RF_SITE_OPS ? num : RF_SITE_OPS);
    if (status || search->num < 2)
        return status;
    if (search->num <= OPTION_ALL_SETS)
        return option_all_sets(search);
    status = option_path(search, 0, 1);
    return status ? status : option_path(search, (UINT64_C(1) << search->num) - 1, 0);
}

/* ---- tiers ---- */

/* "keep=..." with another fate. */
static rf_status option_send(option_search *search, const char *kept, const char *fate)
{
    char text[OPTION_TEXT];
    rf_option option = {.fates = text};
    snprintf(text, sizeof text, "%s%s", fate, strchr(kept, '='));
    rf_status status = rf_probe_site(&option.probe, search->site, text);
    return status ? status : option_insert(search->ctx, search->list, option);
}

/* What each of the options keeps. A tier may not do for a site, whose options then stay. */
static rf_status option_search_tiers(option_search *search, unsigned tiers)
{
    static const char *const fates[] = {"host", "file"};
    rf_option_list kept = *search->list; /* texts are the list's */
    rf_status status = RF_OK;
    for (size_t tier = 0; tier < 2; tier++)
        for (size_t i = 1; i < kept.num && tiers >> tier & 1 && !status; i++)
            if (*kept.v[i].fates)
                status = option_send(search, kept.v[i].fates, fates[tier]);
    return status;
}

/* ---- dials ---- */

static rf_status option_dial(option_search *search, uint64_t bytes, uint64_t *saved)
{
    rf_option option = {.dial = bytes};
    rf_status status = rf_probe_dial(&option.probe, search->site, bytes);
    *saved = option.probe.saved;
    return status ? status : option_insert(search->ctx, search->list, option);
}

static rf_status option_search_dial(option_search *search)
{
    uint64_t all = search->list->v[0].probe.saved, none, saved;
    rf_status status = option_dial(search, 0, &none);
    for (uint64_t i = 1; i < OPTION_DIAL_STEPS && !status && none < all; i++)
        status = option_dial(search, (all - none) * i / OPTION_DIAL_STEPS, &saved);
    return status;
}

/* ---- types ---- */

static int option_same_shape(const rf_shape *a, const rf_shape *b)
{
    return a->dtype == b->dtype && (a->dtype == RF_ABSENT || rf_shape_equal(a, b));
}

static int option_alike(const rf_site *a, const rf_site *b)
{
    int same = a->module->cls == b->module->cls && a->dial == b->dial &&
               a->call.num_in == b->call.num_in && a->call.num_out == b->call.num_out &&
               a->call.wanted == b->call.wanted && a->call.precision == b->call.precision &&
               a->call.kernels == b->call.kernels && a->opened == b->opened &&
               a->module->training == b->module->training;
    for (uint32_t i = 0; i < a->call.num_in && i < RF_SITE_INPUTS && same; i++)
        same = option_same_shape(&a->call.in[i], &b->call.in[i]);
    return same;
}

static int option_same_probe(const rf_probe *a, const rf_probe *b)
{
    return a->saved == b->saved && a->forward_peak == b->forward_peak &&
           a->backward_peak == b->backward_peak && a->param_gradient == b->param_gradient &&
           a->output == b->output && a->holds_input == b->holds_input &&
           a->holds_output == b->holds_output && option_time(a) == option_time(b);
}

/* A site may not run alone, or not as a region: then it is as if there were no more options than
 * were found by then. Memory that is short is another matter. */
static rf_status option_forgive(rf_status status)
{
    return status == RF_E_MEMORY ? status : RF_OK;
}

/* The plain call; *alone: it runs alone. */
static rf_status option_plain(const rf_site *site, rf_probe *plain, int *alone)
{
    rf_status status = RF_OK;
    *plain = (rf_probe){0};
    *alone = 0;
    if (site->call.num_in > RF_SITE_INPUTS || !site->call.num_in || !site->calls)
        return RF_OK;
    status = rf_probe_site(plain, site, NULL);
    if (!status && site->chain != SIZE_MAX)
        status = rf_probe_holds(plain, site);
    *alone = !status;
    if (status)
        *plain = (rf_probe){0};
    return option_forgive(status);
}

/* The type of site number i, made if there is none like it. */
static rf_status options_type(rf_options *out, const rf_sites *sites, size_t i, unsigned tiers)
{
    const rf_site *site = &sites->v[i];
    rf_probe plain;
    int alone;
    rf_status status = option_plain(site, &plain, &alone);
    for (size_t k = 0; k < i && !status; k++)
        if (option_alike(site, &sites->v[k]) &&
            option_same_probe(&plain, &rf_options_of(out, k)->v[0].probe)) {
            out->type[i] = out->type[k];
            return RF_OK;
        }
    if (!status)
        status = rf_plan_grow(out->ctx, &out->lists, out->num, &out->capacity, sizeof *out->lists);
    if (status)
        return status;
    rf_option_list *list = &out->lists[out->num];
    memset(list, 0, sizeof *list);
    list->v[0] = (rf_option){.dial = RF_DIAL_AUTO, .probe = plain};
    list->num = 1;
    out->type[i] = out->num++;
    option_search search = {.ctx = out->ctx, .site = site, .list = list};
    if (site->opened || !alone)
        return RF_OK;
    status = site->dial ? option_search_dial(&search) : option_search_site(&search);
    if (!status && !site->dial)
        status = option_search_tiers(&search, tiers);
    return option_forgive(status);
}

rf_status rf_options_find(rf_options *out, const rf_sites *sites, unsigned tiers)
{
    double file = sites->ctx->cost_file;
    *out = (rf_options){.ctx = sites->ctx, .num_sites = sites->num};
    out->type = rf_plan_alloc(sites->ctx, sites->num * sizeof *out->type);
    rf_status status = out->type || !sites->num ? RF_OK : rf_context_error(sites->ctx)->code;
    sites->ctx->cost_file = 0; /* alone there is no other work that hides it */
    for (size_t i = 0; i < sites->num && !status; i++)
        status = options_type(out, sites, i, tiers);
    sites->ctx->cost_file = file;
    if (status)
        rf_options_end(out);
    return status;
}

void rf_options_end(rf_options *options)
{
    for (size_t i = 0; i < options->num; i++)
        for (size_t k = 0; k < options->lists[i].num; k++)
            rf_plan_free_text(options->ctx, options->lists[i].v[k].fates);
    rf_plan_free(options->ctx, options->lists, options->capacity * sizeof *options->lists);
    rf_plan_free(options->ctx, options->type, options->num_sites * sizeof *options->type);
    *options = (rf_options){.ctx = options->ctx};
}
