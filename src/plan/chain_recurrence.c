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
 *
 * Those that do not gain most by keeping a record without its stage's input, which runs again just
 * before the record's backward and leaves what earlier backwards want. That is a LATE node, and
 * D(s,t,k,m) is the least time of its second part: the record k of stage t is there besides the m
 * bytes, value t is not.
 *
 *   C and D(s,t,..,m) may also choose
 *     LATE s..i k (s < i < t):  sum of f over s..i-1 + f_k + rest(i+1, t, m - A_k) + D(s, i, k, m -
 * A_k) need = d_{t+1} + max(that of the walk over s..i-1,  v_i + A_k + of_k) D(s,t,k,m), s < t,
 * chooses as C does, its rest from D; replays have A_k bytes more, and so has a KEEP's backward,
 * for the record is gone by then D(t,t,k,m) = b_k                                         if m >=
 * d_{t+1} + d_t + ob_k
 */
#include "plan/chain_parts.h"

typedef struct each_walk {
    const rf_chain *chain;
    const rf_chain_list *list;
    uint64_t gradient; /* that is there: of the list's output      */
    uint64_t record;   /* that goes before a replay: of a LATE     */
    uint64_t need;     /* of the walk over the stages so far       */
    double time;       /* and its time                             */
    rf_chain_visit visit;
    void *payload;
} each_walk;

static void each_keep(const each_walk *w)
{
    size_t s = w->list->s;
    rf_chain_choice choice = {.kind = RF_CHAIN_KEEP, .last = w->list->s};
    for (size_t k = 0; k < w->chain->stages[s].num_options; k++) {
        const rf_chain_option *o = rf_chain_option_of(w->chain, s, k);
        uint64_t backward = rf_chain_need_backward(w->chain, s, o);
        choice.option = (uint32_t)k;
        choice.need = rf_chain_max(w->gradient + o->saved + o->forward_workspace,
                                   backward > w->record ? backward - w->record : 0);
        choice.held = o->saved;
        choice.time = o->forward + o->backward;
        w->visit(w->payload, &choice);
    }
}

static void each_late(const each_walk *w, size_t i)
{
    rf_chain_choice choice = {.kind = RF_CHAIN_LATE, .last = (uint32_t)i};
    for (size_t k = 0; k < w->chain->stages[i].num_options; k++) {
        const rf_chain_option *o = rf_chain_option_of(w->chain, i, k);
        uint64_t last = rf_chain_value(w->chain, i) + o->saved + o->forward_workspace;
        choice.option = (uint32_t)k;
        choice.need = w->gradient + rf_chain_max(w->need, last);
        choice.held = o->saved;
        choice.time = w->time + o->forward;
        w->visit(w->payload, &choice);
    }
}

/* The walk goes on through stage i. */
static int each_region(each_walk *w, size_t i)
{
    w->need = rf_chain_max(w->need, rf_chain_need_walk(w->chain, w->list->s, i));
    w->time += w->chain->stages[i].forward;
    rf_chain_choice choice = {.kind = RF_CHAIN_REGION,
                              .last = (uint32_t)i,
                              .need = w->gradient + w->need,
                              .held = rf_chain_value(w->chain, i + 1),
                              .time = w->time};
    return w->visit(w->payload, &choice);
}

void rf_chain_each(const rf_chain *c, const rf_chain_list *list, size_t window,
                   rf_chain_visit visit, void *payload)
{
    size_t s = list->s, t = list->t;
    each_walk w = {.chain = c, .list = list, .visit = visit, .payload = payload};
    w.gradient = rf_chain_gradient(c, t + 1);
    w.record = list->late ? rf_chain_option_of(c, t, list->late - 1)->saved : 0;
    if (s < t || !list->late)
        each_keep(&w);
    for (size_t i = s; i < t; i++) {
        if (i > s && i - s <= window)
            each_late(&w, i);
        if (each_region(&w, i))
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
