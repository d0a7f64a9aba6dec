/* graph_cut.c: see graph_cut.h. Invariant: a chain holds each node once, and falls in number while it
 * is made; ids are topological, so that turned around it is an order in which it can run. */
#include "plan/graph_cut.h"

size_t rf_graph_next_read(const rf_graph_track *t, size_t place, uint32_t id)
{
    while (place < t->num && !rf_graph_reads(t->g, t->node[place], id))
        place++;
    return place;
}

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

/* ---- greedy ---- */

typedef struct cut_choice {
    uint32_t list[RF_GRAPH_CUT_MOST];
    size_t num, place;
    double score; /* cost of a byte less over the budget; negative: none yet */
} cut_choice;

/* The place where most is live. */
static size_t cut_highest(const rf_graph_track *t)
{
    size_t best = 0;
    for (size_t at = 1; at < t->num; at++)
        if (rf_graph_track_live(t, at) > rf_graph_track_live(t, best))
            best = at;
    return best;
}

static void cut_consider(rf_graph_track *t, uint32_t id, size_t top, cut_choice *best)
{
    cut_choice next = {.place = rf_graph_next_read(t, top + 1, id)};
    next.num = rf_graph_cut_chain(t, id, next.place, 0, NULL, next.list);
    rf_graph_edit edit = {next.place, next.place, next.list, next.num};
    rf_graph_trial trial = rf_graph_track_try(t, &edit);
    double gain = t->over[0] - trial.over;
    if (!trial.fits || gain <= 0)
        return;
    next.score = (trial.cost - t->cost) / gain;
    if (best->score < 0 || next.score < best->score)
        *best = next;
}

/* The best cut of a value that is stored while place `top` runs, and is not its own. */
static void cut_choose(rf_graph_track *t, size_t top, cut_choice *best)
{
    best->score = -1;
    for (size_t word = 0; word < t->words; word++) {
        uint64_t left = t->sets[top * t->words + word] & t->sets[(top + 1) * t->words + word];
        for (uint32_t id = (uint32_t)word * 64; left; left >>= 1, id++)
            if (left & 1 && !t->goals[id] && !rf_graph_reads(t->g, t->node[top], id))
                cut_consider(t, id, top, best);
    }
}

int rf_graph_greedy(rf_graph_track *t)
{
    while (t->over[0] > 0) {
        cut_choice best;
        cut_choose(t, cut_highest(t), &best);
        if (best.score < 0)
            return 0;
        rf_graph_edit edit = {best.place, best.place, best.list, best.num};
        rf_graph_trial trial = rf_graph_track_try(t, &edit);
        rf_graph_track_make(t, &edit, &trial);
    }
    return 1;
}
