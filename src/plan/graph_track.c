/* graph_track.c: see graph_track.h. Invariant: sets[num] is empty, and sets[0] too, since nothing
 * is stored before the first execution; an edit that would leave something there is no plan.
 * Everything that a place has is a function of the nodes from there to the end. */
#include "plan/graph_track.h"

#include <string.h>

/* ---- memory: one block ---- */

rf_status rf_graph_track_begin(rf_graph_track *t, const rf_allocator *a, const rf_graph *g,
                               const uint8_t *goals, size_t room)
{
    size_t words = g->num_nodes / 64 + 1, places = room + 1, nodes = g->num_nodes + 1;
    size_t longs = places * (4 + words) + words, changes = nodes;
    *t = (rf_graph_track){.a = a, .g = g, .goals = goals, .room = room, .words = words};
    t->block_bytes = longs * sizeof(uint64_t) + changes * sizeof(rf_graph_change) +
                     (3 * places + nodes) * sizeof(uint32_t);
    t->block = rf_allocator_get(a, t->block_bytes);
    if (!t->block)
        return RF_E_MEMORY;
    t->signature = t->block;
    t->excess = (double *)(t->signature + places);
    t->over = t->excess + places;
    t->stored = (uint64_t *)(t->over + places);
    t->sets = t->stored + places;
    t->set = t->sets + places * words;
    t->changes = (rf_graph_change *)(t->set + words);
    t->node = (uint32_t *)(t->changes + changes);
    t->new_node = t->node + places;
    t->useless = t->new_node + places;
    t->count = t->useless + places;
    return RF_OK;
}

void rf_graph_track_end(rf_graph_track *t)
{
    rf_allocator_put(t->a, t->block, t->block_bytes);
    *t = (rf_graph_track){0};
}

/* ---- one execution, downwards ---- */

typedef struct track_walk {
    uint64_t *set;
    uint64_t stored;
    double excess;
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
    w->excess = (double)(w->stored + n->bytes + n->workspace) - (double)t->budget;
    return 1;
}

/* ---- below an edit: only what differs ---- */

typedef struct track_below {
    size_t at;    /* places from here on are done                                  */
    double delta; /* bytes that are stored more before `at` than without the edit  */
    double over, cost;
} track_below;

static size_t track_change_of(const rf_graph_track *t, uint32_t id)
{
    size_t i = 0;
    while (i < t->num_changes && t->changes[i].id != id)
        i++;
    return i;
}

/* From here down, id is stored either with the edit and without it, or neither. */
static void track_settle(rf_graph_track *t, track_below *b, uint32_t id)
{
    size_t i = track_change_of(t, id);
    if (i == t->num_changes)
        return;
    double bytes = (double)t->g->nodes[id].bytes;
    b->delta += t->changes[i].added ? -bytes : bytes;
    t->changes[i] = t->changes[--t->num_changes];
}

/* id is read at place b->at without the edit; with it, only if something above needs it. */
static void track_unread(rf_graph_track *t, track_below *b, uint32_t id)
{
    size_t i = track_change_of(t, id);
    int without = rf_graph_track_has(t, b->at + 1, id);
    int with = i < t->num_changes ? (int)t->changes[i].added : without;
    if (with)
        track_settle(t, b, id);
    else if (i == t->num_changes) {
        t->changes[t->num_changes++] = (rf_graph_change){id, 0};
        b->delta -= (double)t->g->nodes[id].bytes;
    }
}

static double track_positive(double x)
{
    return x > 0 ? x : 0;
}

/* The execution at b->at has no reader left: then nor do its inputs, there. An input may be named
 * twice, and counts once. */
static void track_leave_out(rf_graph_track *t, track_below *b, const rf_graph_node *n)
{
    const uint32_t *inputs = t->g->inputs + n->first_input;
    for (uint32_t k = 0; k < n->num_inputs; k++) {
        uint32_t first = 0;
        while (inputs[first] != inputs[k])
            first++;
        if (first == k)
            track_unread(t, b, inputs[k]);
    }
    b->cost -= n->cost;
    t->useless[t->num_useless++] = (uint32_t)b->at;
}

/* Place b->at, which touches a value that may differ. */
static void track_touch(rf_graph_track *t, track_below *b)
{
    uint32_t id = t->node[b->at];
    const rf_graph_node *n = &t->g->nodes[id];
    const uint32_t *inputs = t->g->inputs + n->first_input;
    size_t i = track_change_of(t, id);
    int wanted = t->goals[id] || i == t->num_changes || t->changes[i].added;
    track_settle(t, b, id);
    if (!wanted) {
        track_leave_out(t, b, n);
        return;
    }
    for (uint32_t k = 0; k < n->num_inputs; k++)
        track_settle(t, b, inputs[k]);
    b->over += track_positive(t->excess[b->at] + b->delta);
}

/* Places [to, from) touch none of the values that differ. In four sums, which processors like. */
static double track_between(const rf_graph_track *t, size_t to, size_t from, double delta)
{
    double sum[4] = {0};
    for (; to + 4 <= from; to += 4)
        for (size_t k = 0; k < 4; k++)
            sum[k] += track_positive(t->excess[to + k] + delta);
    for (; to < from; to++)
        sum[0] += track_positive(t->excess[to] + delta);
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* Until nothing differs any more, or nothing is left. */
static void track_descend(rf_graph_track *t, track_below *b)
{
    while (t->num_changes && b->at > 0) {
        uint64_t signature = 0;
        size_t from = b->at;
        for (size_t i = 0; i < t->num_changes; i++)
            signature |= rf_graph_signature(t->changes[i].id);
        while (b->at > 0 && !(t->signature[b->at - 1] & signature))
            b->at--;
        b->over += track_between(t, b->at, from, b->delta);
        if (b->at > 0) {
            b->at--;
            track_touch(t, b);
        }
    }
}

/* ---- edits ---- */

/* What differs before place `from`, once t->set is what is stored there with the edit. */
static void track_compare(rf_graph_track *t, size_t from)
{
    const uint64_t *old = t->sets + from * t->words;
    t->num_changes = 0;
    for (size_t word = 0; word < t->words; word++) {
        uint64_t left = t->set[word] ^ old[word];
        for (uint32_t id = (uint32_t)word * 64; left; left >>= 1, id++)
            if (left & 1) {
                uint32_t added = t->set[word] >> id % 64 & 1;
                t->changes[t->num_changes++] = (rf_graph_change){id, added};
            }
    }
}

rf_graph_trial rf_graph_track_try(rf_graph_track *t, const rf_graph_edit *edit)
{
    track_walk w = {t->set, t->stored[edit->to], 0};
    track_below b = {.at = edit->from, .over = t->over[edit->to], .cost = t->cost};
    size_t rest = t->num - (edit->to - edit->from);
    memcpy(w.set, t->sets + edit->to * t->words, t->words * sizeof *w.set);
    t->new_num = t->num_useless = 0;
    for (size_t i = edit->from; i < edit->to; i++)
        b.cost -= t->g->nodes[t->node[i]].cost;
    for (size_t i = edit->num; i-- > 0 && t->new_num < t->room - rest;)
        if (track_step(t, &w, edit->with[i])) {
            t->new_node[t->new_num++] = edit->with[i];
            b.over += track_positive(w.excess);
            b.cost += t->g->nodes[edit->with[i]].cost;
        }
    track_compare(t, edit->from);
    b.delta = (double)w.stored - (double)t->stored[edit->from];
    track_descend(t, &b);
    return (rf_graph_trial){b.cost, b.over + (t->over[0] - t->over[b.at]), b.at,
                            !t->num_changes && rest + t->new_num < t->room};
}

/* Fill in places [from, to) from what is known at `to`. */
static void track_fill(rf_graph_track *t, size_t from, size_t to)
{
    for (size_t at = to; at-- > from;) {
        const rf_graph_node *n = &t->g->nodes[t->node[at]];
        track_walk w = {t->sets + at * t->words, t->stored[at + 1], 0};
        memcpy(w.set, w.set + t->words, t->words * sizeof *w.set);
        track_step(t, &w, t->node[at]);
        t->stored[at] = w.stored;
        t->excess[at] = w.excess;
        t->signature[at] = rf_graph_signature(t->node[at]);
        for (uint32_t i = 0; i < n->num_inputs; i++)
            t->signature[at] |= rf_graph_signature(t->g->inputs[n->first_input + i]);
    }
}

/* Add to what runs in place of the edit what runs below it, down to `stop`, less what is useless.
 */
static void track_gather(rf_graph_track *t, size_t stop, size_t from)
{
    size_t i = 0;
    for (size_t at = from; at-- > stop;)
        if (i < t->num_useless && t->useless[i] == at)
            i++;
        else
            t->new_node[t->new_num++] = t->node[at];
}

static void track_move(rf_graph_track *t, size_t to, size_t from)
{
    size_t tail = t->num - from;
    memmove(t->node + to, t->node + from, tail * sizeof *t->node);
    memmove(t->signature + to, t->signature + from, tail * sizeof *t->signature);
    memmove(t->excess + to, t->excess + from, tail * sizeof *t->excess);
    memmove(t->over + to, t->over + from, (tail + 1) * sizeof *t->over);
    memmove(t->stored + to, t->stored + from, (tail + 1) * sizeof *t->stored);
    memmove(t->sets + to * t->words, t->sets + from * t->words,
            (tail + 1) * t->words * sizeof *t->sets);
    t->num = to + tail;
}

void rf_graph_track_make(rf_graph_track *t, const rf_graph_edit *edit, const rf_graph_trial *trial)
{
    track_gather(t, trial->stop, edit->from);
    size_t to = trial->stop + t->new_num;
    for (size_t i = trial->stop; i < edit->to; i++)
        t->count[t->node[i]]--;
    track_move(t, to, edit->to);
    for (size_t i = 0; i < t->new_num; i++) {
        t->node[to - 1 - i] = t->new_node[i];
        t->count[t->new_node[i]]++;
    }
    track_fill(t, trial->stop, to);
    for (size_t at = to; at-- > 0;)
        t->over[at] = t->over[at + 1] + track_positive(t->excess[at]);
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
