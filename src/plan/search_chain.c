/* search_chain.c: a container's calls as a chain for the solver (chain.h), and its plans as
 * schemes to try.
 *
 * A link is a stage with the options of its site. What comes after the container (the head, the
 * loss) is a last stage with nothing to choose, so that the solver leaves room for it; what lies
 * before and around adds the same bytes to all plans and is left out. The figures are those of
 * single calls, so the solver's bytes are not quite the step's: whole curves are tried, not points.
 */
#include "plan/chain.h"
#include "plan/search.h"
#include "tensor/trace.h"

#include <string.h>

enum { CHAIN_TRIES = 192 };

/* What lies behind the container, from one plain step. */
typedef struct chain_head {
    rf_context *ctx;
    const rf_module *container;
    uint64_t hook;
    int state; /* 0: before the container's call is over, 1: after it, 2: its backward has begun */
    uint64_t used; /* when the call was over */
    uint64_t need; /* above that, until its backward began */
    uint64_t left; /* above that, when it began */
} chain_head;

/* Arrays for the solver. */
typedef struct chain_problem {
    rf_search *search;
    size_t number; /* of the chain */
    const rf_site_chain *chain;
    size_t *site; /* of each link */
    rf_chain_stage *stages;
    rf_chain_option *options;
    size_t num_options;
    rf_chain arrays;
} chain_problem;

/* ---- the head ---- */

static const rf_memory_info *head_row(const chain_head *head)
{
    return &head->ctx->ledger.row[RF_DEVICE_CPU][RF_MEM_ALL];
}

static rf_status head_post(void *payload, rf_module *m, rf_scope *s, rf_values *out,
                           rf_status status)
{
    chain_head *head = payload;
    (void)m;
    (void)s;
    (void)out;
    if (head->state == 0) {
        head->state = 1;
        head->used = head_row(head)->used;
        rf_memory_reset_peak(head->ctx);
    }
    return status;
}

static void head_event(void *payload, const rf_event *event)
{
    chain_head *head = payload;
    const rf_module *m = head->ctx->module;
    if (head->state != 1 || event->kind != RF_EVENT_OP || event->phase != RF_PHASE_BACKWARD)
        return;
    while (m && m != head->container)
        m = m->parent;
    if (!m)
        return;
    uint64_t peak = head_row(head)->peak, used = head_row(head)->used;
    head->state = 2;
    head->need = peak > head->used ? peak - head->used : 0;
    head->left = used > head->used ? used - head->used : 0;
}

static rf_status head_measure(chain_head *head, const rf_search *search, rf_module *container)
{
    *head = (chain_head){.ctx = search->space.ctx, .container = container};
    rf_module_hook hook = {.post = head_post, .payload = head};
    rf_status status = rf_module_add_hook(container, hook, &head->hook);
    if (status)
        return status;
    rf_trace_set(head->ctx, head_event, head);
    status = search->step->run(search->step->payload);
    rf_trace_set(head->ctx, NULL, NULL);
    rf_status removed = rf_module_remove_hook(container, head->hook);
    return status ? status : removed;
}

/* ---- the arrays ---- */

static uint64_t above(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static rf_chain_option problem_option(const rf_probe *p)
{
    uint64_t saved = p->saved > p->output ? p->saved : p->output;
    return (rf_chain_option){.saved = saved,
                             .forward = p->forward,
                             .backward = p->backward,
                             .forward_workspace = above(p->forward_peak, saved),
                             .backward_workspace =
                                 above(p->backward_peak, saved + p->gradient + p->input_gradient)};
}

static void problem_stage(chain_problem *problem, size_t link)
{
    const rf_option_list *list = rf_options_of(problem->search->space.options, problem->site[link]);
    rf_chain_stage *stage = &problem->stages[link];
    *stage = (rf_chain_stage){.output = list->v[0].probe.output,
                              .gradient = list->v[0].probe.gradient,
                              .forward = list->v[0].probe.forward,
                              .forward_workspace = UINT64_MAX,
                              .first_option = problem->num_options,
                              .num_options = list->num};
    for (size_t k = 0; k < list->num; k++) {
        uint64_t work = above(list->v[k].probe.forward_peak, stage->output);
        stage->forward_workspace =
            work < stage->forward_workspace ? work : stage->forward_workspace;
        problem->options[problem->num_options++] = problem_option(&list->v[k].probe);
    }
}

static uint64_t problem_input(const chain_problem *problem)
{
    const rf_site_call *call = &problem->search->space.sites->v[problem->site[0]].call;
    size_t bytes = 0;
    if (call->num_in && call->in[0].dtype != RF_ABSENT)
        rf_shape_bytes(&call->in[0], &bytes);
    return bytes;
}

static void problem_fill(chain_problem *problem, const chain_head *head)
{
    size_t n = problem->chain->num_links;
    const rf_probe *first =
        &rf_options_of(problem->search->space.options, problem->site[0])->v[0].probe;
    for (size_t i = 0; i < n; i++)
        problem_stage(problem, i);
    uint64_t gradient = problem->stages[n - 1].gradient;
    problem->stages[n] = (rf_chain_stage){.first_option = problem->num_options, .num_options = 1};
    problem->options[problem->num_options++] =
        (rf_chain_option){.backward_workspace = above(head->need, gradient)};
    problem->arrays = (rf_chain){.input = problem_input(problem),
                                 .input_gradient = first->input_gradient,
                                 .stages = problem->stages,
                                 .num_stages = n + 1,
                                 .options = problem->options,
                                 .num_options = problem->num_options};
}

static size_t problem_most_options(const chain_problem *problem)
{
    return (problem->chain->num_links + 1) * RF_OPTIONS_MOST;
}

static void problem_end(chain_problem *problem)
{
    rf_context *ctx = problem->search->space.ctx;
    size_t n = problem->chain->num_links;
    rf_plan_free(ctx, problem->site, n * sizeof *problem->site);
    rf_plan_free(ctx, problem->stages, (n + 1) * sizeof *problem->stages);
    rf_plan_free(ctx, problem->options, problem_most_options(problem) * sizeof(rf_chain_option));
}

static rf_status problem_begin(chain_problem *problem, rf_search *search, size_t number)
{
    rf_context *ctx = search->space.ctx;
    const rf_sites *sites = search->space.sites;
    chain_head head;
    *problem = (chain_problem){.search = search, .number = number, .chain = &sites->chains[number]};
    size_t n = problem->chain->num_links;
    problem->site = rf_plan_alloc(ctx, n * sizeof *problem->site);
    problem->stages = rf_plan_alloc(ctx, (n + 1) * sizeof *problem->stages);
    problem->options = rf_plan_alloc(ctx, problem_most_options(problem) * sizeof(rf_chain_option));
    rf_status status = problem->site && problem->stages && problem->options
                           ? head_measure(&head, search, problem->chain->container)
                           : rf_context_error(ctx)->code;
    for (size_t i = 0; i < sites->num && !status; i++)
        if (sites->v[i].chain == number)
            problem->site[sites->v[i].link] = i;
    if (!status)
        problem_fill(problem, &head);
    else
        problem_end(problem);
    return status;
}

/* ---- plans as schemes ---- */

/* The head is last and never in a region. */
static rf_status problem_scheme(const chain_problem *problem, const rf_chain_nodes *plan,
                                rf_scheme *scheme)
{
    size_t links = problem->chain->num_links;
    rf_status status = RF_OK;
    scheme->num_ranges = 0;
    for (size_t i = 0; i < plan->num && !status; i++) {
        const rf_chain_node *node = &plan->v[i];
        if (node->first >= links)
            continue;
        if (node->kind == RF_CHAIN_KEEP)
            scheme->option[problem->site[node->first]] = (uint8_t)node->option;
        else if (node->first + node->count <= links)
            status = rf_scheme_add_range(
                scheme, &problem->search->space,
                (rf_scheme_range){(uint32_t)problem->number, node->first, node->count});
    }
    return status;
}

static rf_status problem_try(const chain_problem *problem, const rf_chain_point *point,
                             rf_scheme *scheme, rf_trial *trial)
{
    rf_status status = problem_scheme(problem, &point->plan, scheme);
    return status ? status : rf_search_try(problem->search, scheme, trial);
}

/* As many of the points as are worth their time, over the whole curve or around a peak. */
static rf_status problem_try_all(const chain_problem *problem, const rf_chain_front *front,
                                 uint64_t around, rf_scheme *scheme)
{
    size_t stride = 1 + front->num / CHAIN_TRIES;
    rf_status status = RF_OK;
    for (size_t i = 0; i < front->num && !status && !rf_search_over(problem->search); i++) {
        uint64_t peak = front->points[i].peak;
        int near = around && peak > around - around / 8 && peak < around + around / 8;
        if (around ? near : i % stride == 0 || i + 1 == front->num)
            status = problem_try(problem, &front->points[i], scheme, NULL);
    }
    return status;
}

/* What the solver must be asked for, for a step that is to stay within budget. */
static rf_status problem_budget(const chain_problem *problem, const rf_chain_front *front,
                                uint64_t budget, rf_scheme *scheme, uint64_t *asked)
{
    uint64_t around = budget;
    rf_status status = RF_OK;
    for (int i = 0; i < 4 && !status; i++) {
        rf_trial trial;
        const rf_chain_point *point = rf_chain_front_find(front, around);
        point = point ? point : front->points;
        status = problem_try(problem, point, scheme, &trial);
        if (!status)
            around = above(budget + point->peak, trial.peak);
    }
    *asked = around ? around : 1;
    return status;
}

static rf_status chain_search(rf_search *search, size_t number, uint64_t budget)
{
    chain_problem problem;
    rf_chain_front front = {0};
    rf_scheme scheme;
    rf_chain_front_options opts = {.size = sizeof opts, .threads = search->space.ctx->threads};
    const rf_trial *best = rf_search_find(search, budget);
    rf_status status = best ? rf_scheme_copy(&scheme, &search->space, &best->scheme)
                            : rf_scheme_begin(&scheme, &search->space);
    if (status)
        return status;
    for (size_t i = search->space.sites->chains[number].outer; i != SIZE_MAX;
         i = search->space.sites->v[i].outer)
        scheme.option[i] = 0; /* it is the chain's turn */
    status = problem_begin(&problem, search, number);
    if (!status) {
        uint64_t asked = 0;
        status = rf_chain_front_begin(&front, &search->space.ctx->alloc, &problem.arrays, &opts);
        if (!status && budget)
            status = problem_budget(&problem, &front, budget, &scheme, &asked);
        if (!status && asked)
            status = rf_chain_front_refine(&front, asked);
        if (!status)
            status = problem_try_all(&problem, &front, asked, &scheme);
        rf_chain_front_end(&front);
        problem_end(&problem);
    }
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
