/* graph_cut.c: see graph_cut.h. Invariant: a chain holds each node once, and falls in number while
 * it is made; ids are topological, so that turned around it is an order in which it can run. */
#include "plan/graph_cut.h"

/* Put id into the falling list [from, num) if it is not there. */
static size_t cut_insert(uint32_t *list, size_t from, size_t num, uint32_t id)
{
    size_t at = from;
    while (at < num && list[at] > id)
        at++;
    if (at < num && list[at] == id)
        return num;
    for (size_t i = num; i > at; i--)
        list[i] = list[i - 1];
    list[at] = id;
    return num + 1;
}

size_t rf_graph_cut_chain(const rf_graph_track *t, uint32_t id, size_t place, double keep,
                          uint64_t *random, uint32_t *list)
{
    size_t num = 1;
    list[0] = id;
    for (size_t at = 0; at < num; at++) {
        const rf_graph_node *n = &t->g->nodes[list[at]];
        for (uint32_t i = 0; i < n->num_inputs && num < RF_GRAPH_CUT_MOST; i++) {
            uint32_t input = t->g->inputs[n->first_input + i];
            if (rf_graph_track_has(t, place, input) || t->goals[input])
                continue;
            if (keep > 0 && rf_graph_chance(random) < keep)
                continue;
            num = cut_insert(list, at + 1, num, input);
        }
    }
    for (size_t i = 0; i < num / 2; i++) {
        uint32_t other = list[num - 1 - i];
        list[num - 1 - i] = list[i];
        list[i] = other;
    }
    return num;
}
