/* graph_track.c: see graph_track.h. Invariant: sets[num] is empty, and sets[0] too, since nothing is
 * stored before the first execution; an edit that would leave something there is no plan. */
#include "plan/graph_track.h"

#include <string.h>

/* ---- memory: one block ---- */

rf_status rf_graph_track_begin(rf_graph_track *t, const rf_allocator *a, const rf_graph *g,
                               const uint8_t *goals, size_t room)
{
    size_t words = g->num_nodes / 64 + 1, places = room + 1;
    size_t longs = places * (2 + words) + words;
    *t = (rf_graph_track){.a = a, .g = g, .goals = goals, .room = room, .words = words};
    t->block_bytes = longs * sizeof(uint64_t) + (2 * places + g->num_nodes) * sizeof(uint32_t);
    t->block = rf_allocator_get(a, t->block_bytes);
    if (!t->block)
        return RF_E_MEMORY;
    t->stored = t->block;
    t->over = (double *)(t->stored + places);
    t->sets = (uint64_t *)(t->over + places);
    t->set = t->sets + places * words;
    t->node = (uint32_t *)(t->set + words);
    t->new_node = t->node + places;
    t->count = t->new_node + places;
    return RF_OK;
}

void rf_graph_track_end(rf_graph_track *t)
{
    rf_allocator_put(t->a, t->block, t->block_bytes);
    *t = (rf_graph_track){0};
}

/* ---- walking from the end ---- */

typedef struct track_walk {
    uint64_t *set;
    uint64_t stored;
    double over, cost;
} track_walk;

/* Go below an execution of id; 0 if it is of no use there, and left out. */
static int track_step(const rf_graph_track *t, track_walk *w, uint32_t id)
{
    const rf_graph_node *n = &t->g->nodes[id];
    const uint32_t *inputs = t->g->inputs + n->first_input;
    uint64_t bit = (uint64_t)1 << id % 64;
    if (w->set[id / 64] & bit) {
        w->set[id / 64] ^= bit;
        w->stored -= n->bytes;
    } else if (!t->goals[id])
        return 0;
    for (uint32_t i = 0; i < n->num_inputs; i++) {
        uint64_t *word = &w->set[inputs[i] / 64], input = (uint64_t)1 << inputs[i] % 64;
        w->stored += *word & input ? 0 : t->g->nodes[inputs[i]].bytes;
        *word |= input;
    }
    uint64_t live = w->stored + n->bytes + n->workspace;
    if (live > t->budget)
        w->over += (double)(live - t->budget);
    w->cost += n->cost;
    return 1;
}

static int track_meets(const rf_graph_track *t, const track_walk *w, size_t at)
{
    return w->stored == t->stored[at] &&
           memcmp(w->set, t->sets + at * t->words, t->words * sizeof *w->set) == 0;
}

rf_graph_trial rf_graph_track_try(rf_graph_track *t, const rf_graph_edit *edit)
{
    track_walk w = {t->set, t->stored[edit->to], t->over[edit->to], t->cost};
    memcpy(w.set, t->sets + edit->to * t->words, t->words * sizeof *w.set);
    size_t at = edit->from, num = 0, most = t->room - (t->num - edit->to);
    for (size_t i = edit->from; i < edit->to; i++)
        w.cost -= t->g->nodes[t->node[i]].cost;
    for (size_t i = edit->num; i-- > 0 && num < most;)
        if (track_step(t, &w, edit->with[i]))
            t->new_node[num++] = edit->with[i];
    for (; at > 0 && num + at <= most && !track_meets(t, &w, at); at--) {
        uint32_t id = t->node[at - 1];
        w.cost -= t->g->nodes[id].cost;
        if (track_step(t, &w, id))
            t->new_node[num++] = id;
    }
    t->new_num = num;
    return (rf_graph_trial){w.cost, w.over + (t->over[0] - t->over[at]), at,
                            num + at <= most && track_meets(t, &w, at)};
}

/* Fill in places [from, to) from what is known at `to`. */
static void track_fill(rf_graph_track *t, size_t from, size_t to)
{
    size_t bytes = t->words * sizeof *t->sets;
    for (size_t at = to; at-- > from;) {
        track_walk w = {t->sets + at * t->words, t->stored[at + 1], t->over[at + 1], 0};
        memcpy(w.set, w.set + t->words, bytes);
        track_step(t, &w, t->node[at]);
        t->stored[at] = w.stored;
        t->over[at] = w.over;
    }
}

void rf_graph_track_make(rf_graph_track *t, const rf_graph_edit *edit, const rf_graph_trial *trial)
{
    size_t tail = t->num - edit->to, to = trial->stop + t->new_num;
    for (size_t i = trial->stop; i < edit->to; i++)
        t->count[t->node[i]]--;
    memmove(t->node + to, t->node + edit->to, tail * sizeof *t->node);
    memmove(t->stored + to, t->stored + edit->to, (tail + 1) * sizeof *t->stored);
    memmove(t->over + to, t->over + edit->to, (tail + 1) * sizeof *t->over);
    memmove(t->sets + to * t->words, t->sets + edit->to * t->words,
            (tail + 1) * t->words * sizeof *t->sets);
    for (size_t i = 0; i < t->new_num; i++) {
        t->node[to - 1 - i] = t->new_node[i];
        t->count[t->new_node[i]]++;
    }
    t->num = to + tail;
    double below = t->over[trial->stop];
    track_fill(t, trial->stop, to);
    /* The sums below the edit change by the same amount each, which is no change of any of their
     * differences; they are made anew all the same, so that rounding never adds up. */
    if (t->over[trial->stop] != below)
        for (size_t at = trial->stop; at-- > 0;) {
            uint64_t live = rf_graph_track_live(t, at);
            t->over[at] = t->over[at + 1] + (live > t->budget ? (double)(live - t->budget) : 0);
        }
    t->cost = trial->cost;
}

int rf_graph_track_set(rf_graph_track *t, const rf_graph_sequence *s, uint64_t budget)
{
    t->budget = budget;
    t->num = 0;
    t->cost = t->over[0] = 0;
    t->stored[0] = 0;
    memset(t->sets, 0, t->words * sizeof *t->sets);
    memset(t->count, 0, t->g->num_nodes * sizeof *t->count);
    rf_graph_edit all = {0, 0, s->v, s->num};
    rf_graph_trial trial = rf_graph_track_try(t, &all);
    if (trial.fits)
        rf_graph_track_make(t, &all, &trial);
    return trial.fits;
}
