/* graph_sequence.c: sequences of executions, and the steps that one means. Invariant: the steps of
 * a sequence store a value exactly while an execution to come still reads it. */
#include "plan/graph_search.h"

#include <string.h>

rf_status rf_graph_sequence_reserve(const rf_allocator *a, rf_graph_sequence *s, size_t room)
{
    if (room <= s->room)
        return RF_OK;
    room = room > 2 * s->room ? room : 2 * s->room;
    uint32_t *v = rf_allocator_get(a, room * sizeof *v);
    if (!v)
        return RF_E_MEMORY;
    if (s->num)
        memcpy(v, s->v, s->num * sizeof *v);
    rf_allocator_put(a, s->v, s->room * sizeof *v);
    s->v = v;
    s->room = room;
    return RF_OK;
}

void rf_graph_sequence_end(const rf_allocator *a, rf_graph_sequence *s)
{
    rf_allocator_put(a, s->v, s->room * sizeof *s->v);
    *s = (rf_graph_sequence){0};
}

/* Steps are found from the last to the first, since what is read later decides; they are written
 * from the end of their room downwards, and then moved to its front. */
typedef struct sequence_writer {
    const rf_graph *g;
    rf_graph_steps *steps;
    size_t at;       /* of the first step that is written */
    uint8_t *wanted; /* of each node: read by an execution that is written    */
    uint8_t *goals;
} sequence_writer;

static void sequence_write(sequence_writer *w, uint32_t node, uint32_t drop)
{
    w->steps->v[--w->at] = (rf_graph_step){node, drop};
}

static void sequence_execution(sequence_writer *w, uint32_t id)
{
    const rf_graph_node *n = &w->g->nodes[id];
    if (!w->wanted[id] && !w->goals[id])
        return;
    for (uint32_t i = 0; i < n->num_inputs; i++) {
        uint32_t input = w->g->inputs[n->first_input + i];
        if (!w->wanted[input])
            sequence_write(w, input, 1);
        w->wanted[input] = 1;
    }
    if (!w->wanted[id])
        sequence_write(w, id, 1);
    sequence_write(w, id, 0);
    w->wanted[id] = 0;
}

static size_t sequence_most_steps(const rf_graph *g, const rf_graph_sequence *s)
{
    size_t most = 2 * s->num;
    for (size_t i = 0; i < s->num; i++)
        most += g->nodes[s->v[i]].num_inputs;
    return most;
}

rf_status rf_graph_sequence_steps(const rf_allocator *a, const rf_graph *g,
                                  const rf_graph_sequence *s, rf_graph_steps *out)
{
    size_t bytes = 2 * g->num_nodes + 1;
    sequence_writer w = {.g = g, .steps = out};
    *out = (rf_graph_steps){.room = sequence_most_steps(g, s) + 1};
    out->v = rf_allocator_get(a, out->room * sizeof *out->v);
    w.wanted = rf_allocator_get(a, bytes);
    if (out->v && w.wanted) {
        memset(w.wanted, 0, bytes);
        w.goals = w.wanted + g->num_nodes;
        rf_graph_goals(g, w.goals);
        w.at = out->room;
        for (size_t i = s->num; i-- > 0;)
            sequence_execution(&w, s->v[i]);
        out->num = out->room - w.at;
        memmove(out->v, out->v + w.at, out->num * sizeof *out->v);
    }
    rf_allocator_put(a, w.wanted, bytes);
    if (out->v && w.wanted)
        return RF_OK;
    rf_graph_steps_end(a, out);
    return RF_E_MEMORY;
}

void rf_graph_steps_end(const rf_allocator *a, rf_graph_steps *s)
{
    rf_allocator_put(a, s->v, s->room * sizeof *s->v);
    *s = (rf_graph_steps){0};
}
