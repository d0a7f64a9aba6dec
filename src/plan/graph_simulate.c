/* graph_simulate.c: what a list of steps costs and how many bytes it takes, told without trusting
 * whoever made it. Invariant: after step i, `stored` holds exactly the values that steps 0 to i
 * left, and `live` their bytes. This file shares no code with the solvers, since it is what shows
 * their mistakes; it follows the definition in graph.h line by line. */
#include "plan/graph.h"

#include <math.h>
#include <string.h>

enum { SIMULATE_STORED = 1, SIMULATE_RAN = 2 };
static const uint64_t simulate_most_bytes = (uint64_t)1 << 62;

static const char *simulate_bad_node(const rf_graph *g, size_t id, uint64_t *sum)
{
    const rf_graph_node *n = &g->nodes[id];
    if (!isfinite(n->cost) || n->cost < 0)
        return "a node's cost is negative or no number";
    if (n->first_input > g->num_inputs || n->num_inputs > g->num_inputs - n->first_input)
        return "a node's inputs lie outside of the list of inputs";
    for (uint32_t i = 0; i < n->num_inputs; i++)
        if (g->inputs[n->first_input + i] >= id)
            return "a node's input does not come before it";
    if (n->bytes > simulate_most_bytes - *sum)
        return "the bytes of all nodes together are too many";
    *sum += n->bytes;
    if (n->workspace > simulate_most_bytes - *sum)
        return "the bytes of all nodes together are too many";
    *sum += n->workspace;
    return NULL;
}

rf_status rf_graph_check(const rf_graph *g, const char **why)
{
    uint64_t sum = 0;
    *why = g->num_nodes >= UINT32_MAX ? "there are too many nodes" : NULL;
    for (size_t id = 0; id < g->num_nodes && !*why; id++)
        *why = simulate_bad_node(g, id, &sum);
    return *why ? RF_E_ARGUMENT : RF_OK;
}

void rf_graph_goals(const rf_graph *g, uint8_t *flags)
{
    memset(flags, 1, g->num_nodes);
    for (size_t id = 0; id < g->num_nodes; id++)
        for (uint32_t i = 0; i < g->nodes[id].num_inputs; i++)
            flags[g->inputs[g->nodes[id].first_input + i]] = 0;
    for (size_t id = 0; id < g->num_nodes; id++)
        if (g->nodes[id].once)
            flags[id] = 1;
}

rf_status rf_graph_footprint_find(const rf_allocator *a, const rf_graph *g, rf_graph_footprint *out)
{
    size_t bytes = (g->num_nodes + 1) * sizeof(uint32_t);
    uint32_t *counted_by = rf_allocator_get(a, bytes);
    *out = (rf_graph_footprint){0};
    if (!counted_by)
        return RF_E_MEMORY;
    memset(counted_by, 0xff, bytes);
    for (uint32_t id = 0; id < g->num_nodes; id++) {
        const rf_graph_node *n = &g->nodes[id];
        uint64_t sum = n->bytes + n->workspace;
        for (uint32_t i = 0; i < n->num_inputs; i++) {
            uint32_t input = g->inputs[n->first_input + i];
            if (counted_by[input] != id)
                sum += g->nodes[input].bytes;
            counted_by[input] = id;
        }
        if (sum > out->bytes)
            *out = (rf_graph_footprint){sum, id};
    }
    rf_allocator_put(a, counted_by, bytes);
    return RF_OK;
}

/* ---- steps ---- */

typedef struct simulate_state {
    const rf_graph *g;
    uint8_t *flags; /* of each node: SIMULATE_STORED, SIMULATE_RAN */
    uint64_t live;
} simulate_state;

static const char *simulate_run(simulate_state *s, uint32_t id, rf_graph_run *out)
{
    const rf_graph_node *n = &s->g->nodes[id];
    if (s->flags[id] & SIMULATE_STORED)
        return "a node runs whose value is stored";
    if (n->once && s->flags[id] & SIMULATE_RAN)
        return "a node runs again that may run only once";
    for (uint32_t i = 0; i < n->num_inputs; i++)
        if (!(s->flags[s->g->inputs[n->first_input + i]] & SIMULATE_STORED))
            return "a node runs without one of its inputs";
    s->flags[id] |= SIMULATE_STORED | SIMULATE_RAN;
    s->live += n->bytes;
    if (s->live + n->workspace > out->peak)
        out->peak = s->live + n->workspace;
    out->cost += n->cost;
    out->runs++;
    return NULL;
}

static const char *simulate_step(simulate_state *s, rf_graph_step step, rf_graph_run *out)
{
    if (step.node >= s->g->num_nodes)
        return "a step names no node";
    if (!step.drop)
        return simulate_run(s, step.node, out);
    if (!(s->flags[step.node] & SIMULATE_STORED))
        return "a value is dropped that is not stored";
    s->flags[step.node] &= (uint8_t)~SIMULATE_STORED;
    s->live -= s->g->nodes[step.node].bytes;
    return NULL;
}

static const char *simulate_end(const simulate_state *s, const uint8_t *goals)
{
    for (size_t id = 0; id < s->g->num_nodes; id++)
        if (goals[id] && !(s->flags[id] & SIMULATE_RAN))
            return "a node never runs";
    return NULL;
}

rf_status rf_graph_simulate(const rf_allocator *a, const rf_graph *g, const rf_graph_step *steps,
                            size_t num, rf_graph_run *out)
{
    size_t bytes = 2 * g->num_nodes + 1;
    uint8_t *flags = rf_allocator_get(a, bytes);
    *out = (rf_graph_run){0};
    if (!flags)
        return RF_E_MEMORY;
    memset(flags, 0, bytes);
    simulate_state s = {g, flags, 0};
    rf_graph_goals(g, flags + g->num_nodes);
    for (; out->at < num && !out->why; out->at += !out->why)
        out->why = simulate_step(&s, steps[out->at], out);
    if (!out->why)
        out->why = simulate_end(&s, flags + g->num_nodes);
    rf_allocator_put(a, flags, bytes);
    return out->why ? RF_E_ARGUMENT : RF_OK;
}
