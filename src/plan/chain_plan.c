/* chain_plan.c: chains that make sense, plans as trees, and the steps that a tree stands for.
 *
 * Trees also come from files, so unfolding checks them: nodes side by side cover their stages one
 * after another, and a node's own lie within it. Whether the steps are right is for simulate to
 * say. Nothing here recurses: a plan may be as deep as the chain is long.
 */
#include "plan/chain_parts.h"

#include <string.h>

/* ---- chains ---- */

static int plan_time_ok(double time)
{
    return time >= 0 && time < RF_CHAIN_MOST_TIME; /* no NaN either */
}

static int plan_add(uint64_t *sum, uint64_t bytes)
{
    *sum += bytes;
    return bytes < RF_CHAIN_MOST_BYTES && *sum < RF_CHAIN_MOST_BYTES;
}

static int plan_option_ok(const rf_chain_stage *stage, const rf_chain_option *o, uint64_t *sum)
{
    return o->saved >= stage->output && plan_time_ok(o->forward) && plan_time_ok(o->backward) &&
           plan_add(sum, o->saved) && plan_add(sum, o->forward_workspace) &&
           plan_add(sum, o->backward_workspace);
}

static int plan_stage_ok(const rf_chain *c, const rf_chain_stage *stage, uint64_t *sum)
{
    if (!stage->num_options || stage->first_option > c->num_options ||
        stage->num_options > c->num_options - stage->first_option ||
        !plan_time_ok(stage->forward) || !plan_add(sum, stage->output) ||
        !plan_add(sum, stage->gradient) || !plan_add(sum, stage->left) ||
        !plan_add(sum, stage->forward_workspace))
        return 0;
    for (size_t k = 0; k < stage->num_options; k++)
        if (!plan_option_ok(stage, &c->options[stage->first_option + k], sum))
            return 0;
    return 1;
}

rf_status rf_chain_check(const rf_chain *chain)
{
    uint64_t sum = 0;
    if (!chain->num_stages || chain->num_stages > RF_CHAIN_MOST_STAGES ||
        !plan_add(&sum, chain->input) || !plan_add(&sum, chain->input_gradient))
        return RF_E_ARGUMENT;
    for (size_t i = 0; i < chain->num_stages; i++)
        if (!plan_stage_ok(chain, &chain->stages[i], &sum))
            return RF_E_ARGUMENT;
    return RF_OK;
}

/* ---- lists ---- */

rf_status rf_chain_grow(const rf_allocator *alloc, void *list, size_t num, size_t *capacity,
                        size_t size)
{
    void **v = list;
    if (num < *capacity)
        return RF_OK;
    size_t more = *capacity ? *capacity * 2 : 16;
    void *grown = rf_allocator_get(alloc, more * size);
    if (!grown)
        return RF_E_MEMORY;
    if (num)
        memcpy(grown, *v, num * size);
    rf_allocator_put(alloc, *v, *capacity * size);
    *v = grown;
    *capacity = more;
    return RF_OK;
}

rf_status rf_chain_nodes_add(rf_chain_nodes *nodes, const rf_allocator *alloc, rf_chain_node node)
{
    rf_status status = rf_chain_grow(alloc, &nodes->v, nodes->num, &nodes->capacity, sizeof node);
    if (!status)
        nodes->v[nodes->num++] = node;
    return status;
}

rf_status rf_chain_steps_add(rf_chain_steps *steps, const rf_allocator *alloc, rf_chain_step step)
{
    rf_status status = rf_chain_grow(alloc, &steps->v, steps->num, &steps->capacity, sizeof step);
    if (!status)
        steps->v[steps->num++] = step;
    return status;
}

void rf_chain_nodes_end(rf_chain_nodes *nodes, const rf_allocator *alloc)
{
    rf_allocator_put(alloc, nodes->v, nodes->capacity * sizeof *nodes->v);
    *nodes = (rf_chain_nodes){0};
}

void rf_chain_steps_end(rf_chain_steps *steps, const rf_allocator *alloc)
{
    rf_allocator_put(alloc, steps->v, steps->capacity * sizeof *steps->v);
    *steps = (rf_chain_steps){0};
}

/* ---- unfolding ---- */

typedef struct plan_unfolding {
    rf_chain_steps *out;
    const rf_allocator *alloc;
    const rf_chain *chain;
    const rf_chain_nodes *plan;
    uint32_t *waiting; /* nodes whose forward has run and whose backward has not */
    size_t num_waiting;
} plan_unfolding;

static rf_status unfold_step(plan_unfolding *u, uint32_t kind, uint32_t stage, uint32_t option)
{
    return rf_chain_steps_add(u->out, u->alloc, (rf_chain_step){kind, stage, option});
}

/* Whether node `at`, of a list that ends before node `end`, covers stages from `stage` on. */
static int unfold_fits(const plan_unfolding *u, size_t at, size_t end, size_t stage, size_t stop)
{
    const rf_chain_node *node = &u->plan->v[at];
    if (node->first != stage || !node->count || node->count > stop - stage ||
        node->num_nodes >= end - at)
        return 0;
    if (node->kind == RF_CHAIN_KEEP)
        return node->count == 1 && !node->num_nodes;
    return node->kind == RF_CHAIN_REGION && node->num_nodes;
}

/* The forward of one node. */
static rf_status unfold_forward(plan_unfolding *u, const rf_chain_node *node)
{
    if (node->kind == RF_CHAIN_KEEP)
        return unfold_step(u, RF_CHAIN_FORWARD_KEEP, node->first, node->option);
    rf_status status = unfold_step(u, RF_CHAIN_FORWARD_STORE, node->first, 0);
    for (uint32_t i = 1; i < node->count && !status; i++)
        status = unfold_step(u, RF_CHAIN_FORWARD_DROP, node->first + i, 0);
    return status;
}

/* The forward of nodes at .. end - 1, side by side over stages first .. stop - 1. */
static rf_status unfold_list(plan_unfolding *u, size_t at, size_t end, size_t first, size_t stop)
{
    rf_status status = RF_OK;
    for (size_t stage = first; !status && (at < end || stage < stop);) {
        if (at >= end || !unfold_fits(u, at, end, stage, stop))
            return RF_E_FORMAT;
        const rf_chain_node *node = &u->plan->v[at];
        status = unfold_forward(u, node);
        u->waiting[u->num_waiting++] = (uint32_t)at;
        at += node->num_nodes + 1;
        stage += node->count;
    }
    return status;
}

/* The backward of one node: a REGION first runs again. */
static rf_status unfold_backward(plan_unfolding *u, size_t at)
{
    const rf_chain_node *node = &u->plan->v[at];
    if (node->kind == RF_CHAIN_KEEP)
        return unfold_step(u, RF_CHAIN_BACKWARD, node->first, node->option);
    return unfold_list(u, at + 1, at + 1 + node->num_nodes, node->first, node->first + node->count);
}

rf_status rf_chain_unfold(rf_chain_steps *out, const rf_allocator *alloc, const rf_chain *chain,
                          const rf_chain_nodes *plan)
{
    size_t bytes = chain->num_stages * sizeof(uint32_t);
    plan_unfolding u = {out, alloc, chain, plan, rf_allocator_get(alloc, bytes), 0};
    if (!u.waiting)
        return RF_E_MEMORY;
    rf_status status = unfold_list(&u, 0, plan->num, 0, chain->num_stages);
    while (!status && u.num_waiting)
        status = unfold_backward(&u, u.waiting[--u.num_waiting]);
    rf_allocator_put(alloc, u.waiting, bytes);
    return status;
}
