/* chain_trace.c: from choices to a plan: a tree, or steps.
 *
 * Neither recurses, for plans are as deep as the chain is long. What waits is on a stack: after the
 * first of a list the rest is done, then what the node owns, then a kept stage's backward.
 */
#include "plan/chain_parts.h"

/* ---- a tree ---- */

/* A node whose own nodes are being found, and the list that its rest is. */
typedef struct trace_open {
    rf_chain_list rest;
    size_t node;
} trace_open;

typedef struct trace_tree {
    rf_chain_nodes *out;
    trace_open *open; /* at most a node per stage */
    size_t num_open;
    rf_chain_list list;
} trace_tree;

/* The list is complete: on with what comes after the innermost open node. 0: there is none. */
static int trace_close(trace_tree *x)
{
    if (!x->num_open)
        return 0;
    const trace_open *open = &x->open[--x->num_open];
    x->out->v[open->node].num_nodes = (uint32_t)(x->out->num - open->node - 1);
    x->list = open->rest;
    return 1;
}

static rf_status trace_node(trace_tree *x, const rf_chain_tracer *tracer)
{
    rf_chain_choice c;
    tracer->choose(tracer->payload, &x->list, &c);
    rf_chain_node node = {.kind = RF_CHAIN_REGION, .first = c.from, .count = c.last - c.from + 1};
    if (c.kept) {
        node.kind = RF_CHAIN_KEEP;
        node.option = c.record - 1;
    }
    rf_status status = rf_chain_nodes_add(x->out, tracer->alloc, node);
    if (status)
        return status;
    x->list = c.kept ? c.rest : c.own;
    if (!c.kept)
        x->open[x->num_open++] = (trace_open){c.rest, x->out->num - 1};
    return RF_OK;
}

static rf_chain_list trace_whole(const rf_chain_tracer *tracer, uint64_t memory)
{
    return (rf_chain_list){.t = (uint32_t)tracer->num_stages - 1, .memory = memory};
}

static rf_status trace_all_nodes(rf_chain_nodes *out, const rf_chain_tracer *tracer,
                                 uint64_t memory)
{
    size_t bytes = tracer->num_stages * sizeof(trace_open);
    trace_tree x = {out, rf_allocator_get(tracer->alloc, bytes), 0, trace_whole(tracer, memory)};
    rf_status status = x.open ? RF_OK : RF_E_MEMORY;
    while (!status && (!rf_chain_list_empty(&x.list) || trace_close(&x)))
        if (!rf_chain_list_empty(&x.list))
            status = trace_node(&x, tracer);
    rf_allocator_put(tracer->alloc, x.open, bytes);
    return status;
}

/* ---- steps ---- */

/* A list, or else a step. */
typedef struct trace_task {
    int is_step;
    rf_chain_step step;
    rf_chain_list list;
} trace_task;

typedef struct trace_steps {
    rf_chain_steps *out;
    const rf_chain_tracer *tracer;
    trace_task *tasks; /* the next one last */
    size_t num, capacity;
} trace_steps;

static rf_status trace_push(trace_steps *x, trace_task task)
{
    rf_status status =
        rf_chain_grow(x->tracer->alloc, &x->tasks, x->num, &x->capacity, sizeof task);
    if (!status)
        x->tasks[x->num++] = task;
    return status;
}

static rf_status trace_push_list(trace_steps *x, rf_chain_list list)
{
    return rf_chain_list_empty(&list) ? RF_OK : trace_push(x, (trace_task){.list = list});
}

static rf_status trace_forward(trace_steps *x, const rf_chain_choice *c)
{
    rf_status status = RF_OK;
    for (uint32_t i = c->from; i <= c->last && !status; i++) {
        int drop = i > c->from || c->drop;
        rf_chain_step step = {drop ? RF_CHAIN_FORWARD_DROP : RF_CHAIN_FORWARD_STORE, i, 0};
        if (i == c->last && c->record) {
            step.kind = drop ? RF_CHAIN_FORWARD_KEEP_DROP : RF_CHAIN_FORWARD_KEEP;
            step.option = c->record - 1;
        }
        status = rf_chain_steps_add(x->out, x->tracer->alloc, step);
    }
    return status;
}

static rf_status trace_list(trace_steps *x, const rf_chain_list *list)
{
    rf_chain_choice c;
    trace_task backward = {.is_step = 1};
    if (rf_chain_list_last(list))
        return rf_chain_steps_add(x->out, x->tracer->alloc,
                                  (rf_chain_step){RF_CHAIN_BACKWARD, list->t, list->late - 1});
    x->tracer->choose(x->tracer->payload, list, &c);
    backward.step = (rf_chain_step){RF_CHAIN_BACKWARD, c.last, c.record - 1};
    rf_status status = trace_forward(x, &c);
    if (!status && c.kept)
        status = trace_push(x, backward);
    if (!status)
        status = trace_push_list(x, c.own);
    if (!status)
        status = trace_push_list(x, c.rest);
    return status;
}

static rf_status trace_all_steps(rf_chain_steps *out, const rf_chain_tracer *tracer,
                                 uint64_t memory)
{
    trace_steps x = {.out = out, .tracer = tracer};
    rf_status status = trace_push_list(&x, trace_whole(tracer, memory));
    while (!status && x.num) {
        trace_task task = x.tasks[--x.num];
        status = task.is_step ? rf_chain_steps_add(out, tracer->alloc, task.step)
                              : trace_list(&x, &task.list);
    }
    rf_allocator_put(tracer->alloc, x.tasks, x.capacity * sizeof *x.tasks);
    return status;
}

rf_status rf_chain_trace(rf_chain_plan *out, const rf_chain_tracer *tracer, uint64_t memory)
{
    return tracer->steps ? trace_all_steps(&out->steps, tracer, memory)
                         : trace_all_nodes(&out->nodes, tracer, memory);
}
