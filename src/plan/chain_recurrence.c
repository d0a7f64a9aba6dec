/* chain_recurrence.c: the choices that a sub-chain has, and the tree that choices make.
 *
 * C(s,t,m) is the least time to run stages s..t forward and backward with m bytes; value s is
 * stored and counted by the caller, the gradient of value t + 1 is there and counted here. With
 * v_i, d_i for the bytes of value i and of its gradient, and of option k of stage s
 * A_k for the record, of_k and ob_k for work spaces, f_k and b_k for times:
 *
 *   C(s,t,m) = min of
 *     KEEP k:     f_k + C(s+1, t, m - A_k) + b_k                                     if m >= need
 *                 need = max(d_{t+1} + A_k + of_k,  A_k + d_{s+1} + d_s + ob_k)
 *     REGION s..i (i < t):  sum of f over s..i  +  C(i+1, t, m - v_{i+1})  +  C(s, i, m)
 *                 need = d_{t+1} + max over j in s..i of (v_j unless j = s) + v_{j+1} + of_j
 *   C(t+1,t,m) = 0
 *
 * after Beaumont, Eyraud-Dubois, Herrmann, Joly, Shilova 2019, with options per stage and both
 * gradients counted in a backward. The replay C(s,i,m) may use all m bytes, for v_{i+1} and all
 * behind it is gone by then. Exact among schedules that keep what they store until its backward.
 */
#include "plan/chain_parts.h"

void rf_chain_each(const rf_chain *c, size_t s, size_t t, rf_chain_visit visit, void *payload)
{
    rf_chain_choice choice = {.kind = RF_CHAIN_KEEP, .last = (uint32_t)s};
    for (size_t k = 0; k < c->stages[s].num_options; k++) {
        const rf_chain_option *o = rf_chain_option_of(c, s, k);
        choice.option = (uint32_t)k;
        choice.need = rf_chain_need_keep(c, s, t, o);
        choice.held = o->saved;
        choice.time = o->forward + o->backward;
        if (visit(payload, &choice))
            return;
    }
    choice = (rf_chain_choice){.kind = RF_CHAIN_REGION};
    uint64_t walk = 0;
    for (size_t i = s; i < t; i++) {
        walk = rf_chain_max(walk, rf_chain_need_walk(c, s, i));
        choice.last = (uint32_t)i;
        choice.need = rf_chain_gradient(c, t + 1) + walk;
        choice.held = rf_chain_value(c, i + 1);
        choice.time += c->stages[i].forward;
        if (visit(payload, &choice))
            return;
    }
}

/* ---- trees ---- */

/* A node whose own nodes are being found, and what comes after it. */
typedef struct trace_open {
    rf_chain_list rest;
    size_t node;
} trace_open;

typedef struct trace_state {
    rf_chain_nodes *out;
    trace_open *open;
    size_t num_open;
    rf_chain_list list;
} trace_state;

/* The list is complete: go on after the innermost open node. 0: there is none. */
static int trace_close(trace_state *x)
{
    if (!x->num_open)
        return 0;
    const trace_open *open = &x->open[--x->num_open];
    x->out->v[open->node].num_nodes = (uint32_t)(x->out->num - open->node - 1);
    x->list = open->rest;
    return 1;
}

static rf_status trace_node(trace_state *x, const rf_chain_tracer *tracer)
{
    rf_chain_first first;
    tracer->choose(tracer->payload, &x->list, &first);
    const rf_chain_choice *c = &first.choice;
    rf_chain_node node = {c->kind, x->list.s, c->last - x->list.s + 1, c->option, 0};
    rf_status status = rf_chain_nodes_add(x->out, tracer->alloc, node);
    if (status)
        return status;
    if (c->kind == RF_CHAIN_KEEP) {
        x->list = first.rest;
        return RF_OK;
    }
    x->open[x->num_open++] = (trace_open){first.rest, x->out->num - 1};
    x->list = first.own;
    return RF_OK;
}

/* Stages s .. t are covered: of a LATE, all but its last. */
static int trace_done(const rf_chain_list *list)
{
    return list->late ? list->s == list->t : list->s > list->t;
}

rf_status rf_chain_trace(rf_chain_nodes *out, const rf_chain_tracer *tracer, rf_chain_list list)
{
    size_t bytes = tracer->num_stages * sizeof(trace_open);
    trace_state x = {out, rf_allocator_get(tracer->alloc, bytes), 0, list};
    rf_status status = x.open ? RF_OK : RF_E_MEMORY;
    while (!status && (!trace_done(&x.list) || trace_close(&x)))
        if (!trace_done(&x.list))
            status = trace_node(&x, tracer);
    rf_allocator_put(tracer->alloc, x.open, bytes);
    return status;
}
