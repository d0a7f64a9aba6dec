/* graph_greedy.c: see graph_greedy.h. Each round takes the place where most is live and cuts there
 * the interval that costs least for each byte that it takes off the budget's excess, all places
 * counted. Invariant: each cut makes the sum of bytes over the budget smaller, so that the rounds
 * end.
 *
 * A cut is tried in full only while it may be the best: it costs at least its own node's run, and
 * takes off at most its bytes at each place of its interval. */
#include "plan/graph_greedy.h"
#include "plan/graph_cut.h"

#include <string.h>

rf_status rf_graph_greedy_begin(rf_graph_greedy *s, rf_graph_track *t)
{
    size_t num = t->g->num_nodes + 1;
    *s = (rf_graph_greedy){.t = t, .bytes = num * (sizeof(double) + 2 * sizeof(uint32_t))};
    s->bound = rf_allocator_get(t->a, s->bytes);
    if (!s->bound)
        return RF_E_MEMORY;
    s->next = (uint32_t *)(s->bound + num);
    s->last = s->next + num;
    return RF_OK;
}

void rf_graph_greedy_end(rf_graph_greedy *s)
{
    rf_allocator_put(s->t->a, s->bound, s->bytes);
}

typedef struct greedy_choice {
    uint32_t list[RF_GRAPH_CUT_MOST];
    size_t num, place;
    double score; /* cost of a byte less over the budget; negative: none yet */
} greedy_choice;

/* The place where most is live. */
static size_t greedy_highest(const rf_graph_track *t)
{
    size_t best = 0;
    for (size_t at = 1; at < t->num; at++)
        if (t->excess[at] > t->excess[best])
            best = at;
    return best;
}

/* Of every value that is stored while `top` runs: the last place at or below top that reads or
 * makes it, and the first one above that reads it. */
static void greedy_readers(rf_graph_greedy *s, size_t top)
{
    const rf_graph_track *t = s->t;
    for (size_t at = 0; at <= top; at++) {
        const rf_graph_node *n = &t->g->nodes[t->node[at]];
        s->last[t->node[at]] = (uint32_t)at;
        for (uint32_t i = 0; i < n->num_inputs; i++)
            s->last[t->g->inputs[n->first_input + i]] = (uint32_t)at;
    }
    for (size_t at = t->num; at-- > top + 1;) {
        const rf_graph_node *n = &t->g->nodes[t->node[at]];
        for (uint32_t i = 0; i < n->num_inputs; i++)
            s->next[t->g->inputs[n->first_input + i]] = (uint32_t)at;
    }
}

static void greedy_consider(rf_graph_greedy *s, uint32_t id, greedy_choice *best)
{
    greedy_choice next = {.place = s->next[id]};
    next.num = rf_graph_cut_chain(s->t, id, next.place, 0, NULL, next.list);
    rf_graph_edit edit = {next.place, next.place, next.list, next.num};
    rf_graph_trial trial = rf_graph_track_try(s->t, &edit);
    double gain = s->t->over[0] - trial.over;
    if (!trial.fits || gain <= 0)
        return;
    next.score = (trial.cost - s->t->cost) / gain;
    if (best->score < 0 || next.score < best->score)
        *best = next;
}

/* Of each value that could be given up at `top`, the least score that its cut can have; of others a
 * negative number. Returns the node of the least, UINT32_MAX if there is none. */
static void greedy_bounds(rf_graph_greedy *s, size_t top)
{
    const rf_graph_track *t = s->t;
    for (uint32_t id = 0; id < t->g->num_nodes; id++) {
        const rf_graph_node *n = &t->g->nodes[id];
        int held = rf_graph_track_has(t, top, id) && rf_graph_track_has(t, top + 1, id);
        s->bound[id] = -1;
        if (held && !t->goals[id] && s->last[id] < top)
            s->bound[id] = n->cost / ((double)n->bytes * (s->next[id] - s->last[id]) + 1);
    }
}

static uint32_t greedy_least(const rf_graph_greedy *s)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t id = 0; id < s->t->g->num_nodes; id++)
        if (s->bound[id] >= 0 && (best == UINT32_MAX || s->bound[id] < s->bound[best]))
            best = id;
    return best;
}

static void greedy_choose(rf_graph_greedy *s, greedy_choice *best)
{
    size_t top = greedy_highest(s->t);
    greedy_readers(s, top);
    greedy_bounds(s, top);
    best->score = -1;
    for (uint32_t id; (id = greedy_least(s)) != UINT32_MAX; s->bound[id] = -1) {
        if (best->score >= 0 && s->bound[id] >= best->score)
            return;
        greedy_consider(s, id, best);
    }
}

int rf_graph_greedy_run(rf_graph_greedy *s)
{
    rf_graph_track *t = s->t;
    while (t->over[0] > 0) {
        greedy_choice best;
        greedy_choose(s, &best);
        if (best.score < 0)
            return 0;
        rf_graph_edit edit = {best.place, best.place, best.list, best.num};
        rf_graph_trial trial = rf_graph_track_try(t, &edit);
        rf_graph_track_make(t, &edit, &trial);
    }
    return 1;
}
