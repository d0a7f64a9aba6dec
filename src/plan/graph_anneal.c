/* graph_anneal.c: simulated annealing over sequences of executions. */
#include "plan/graph_anneal.h"

#include <math.h>
#include <string.h>

enum { ANNEAL_REACH = 64, ANNEAL_BUFFER = 2 * ANNEAL_REACH, ANNEAL_LOOK = 256 };
static const double anneal_cold = 5e-3, anneal_rate = 1.2, anneal_little = 0.02;

typedef struct anneal {
    rf_graph_track *t;
    uint64_t random;
    double mean;   /* cost of a node that may run again    */
    double heat;   /* what a move may cost, about          */
    double price;  /* of a byte over the budget            */
    double weight; /* of costs: little while nothing fits  */
    uint32_t list[ANNEAL_BUFFER];
    rf_graph_edit edit;
} anneal;

/* ---- moves: each fills in s->edit, or says that there is none ---- */

/* A value that is stored before `place`, at random; UINT32_MAX if none is. */
static uint32_t anneal_stored(anneal *s, size_t place)
{
    const uint64_t *set = s->t->sets + place * s->t->words;
    size_t bits = s->t->words * 64, at = rf_graph_pick(&s->random, bits);
    for (size_t i = 0; i < bits; i++, at = at + 1 < bits ? at + 1 : 0) {
        if (at % 64 == 0 && !set[at / 64]) {
            at += 63;
            i += 63;
        } else if (set[at / 64] >> at % 64 & 1)
            return (uint32_t)at;
    }
    return UINT32_MAX;
}

static int anneal_insert(anneal *s)
{
    const rf_graph_track *t = s->t;
    size_t place = rf_graph_pick(&s->random, t->num);
    uint32_t id = anneal_stored(s, place);
    if (id == UINT32_MAX || t->goals[id])
        return 0;
    size_t read = rf_graph_next_read(t, place, id);
    if (read == 0 || read >= t->num || t->node[read - 1] == id)
        return 0;
    static const double keeps[4] = {0, 0, 0.3, 1};
    double keep = keeps[rf_graph_pick(&s->random, 4)];
    if (rf_graph_pick(&s->random, 4) == 0) /* before its reader, but not right before */
        read -= rf_graph_pick(&s->random, read - place + 1);
    size_t num = rf_graph_cut_chain(t, id, read, keep, &s->random, s->list);
    s->edit = (rf_graph_edit){read, read, s->list, num};
    return 1;
}

static int anneal_delete(anneal *s)
{
    const rf_graph_track *t = s->t;
    size_t place = rf_graph_pick(&s->random, t->num);
    uint32_t id = t->node[place];
    if (t->count[id] < 2)
        return 0;
    size_t other = place;
    while (other > 0 && t->node[other - 1] != id)
        other--;
    if (!other)
        return 0;
    s->edit = (rf_graph_edit){place, place + 1, s->list, 0};
    return 1;
}

/* ---- shifts: a few executions in a row change places with some before or after them ---- */

static size_t anneal_distance(anneal *s)
{
    size_t most = (size_t)1 << rf_graph_pick(&s->random, 7);
    return 1 + rf_graph_pick(&s->random, most);
}

/* Whether place `first` has to stay before place `last`, for what it makes or is. */
static int anneal_tied(const rf_graph_track *t, size_t first, size_t last)
{
    return t->node[first] == t->node[last] ||
           (t->signature[last] & rf_graph_signature(t->node[first]) &&
            rf_graph_reads(t->g, t->node[last], t->node[first]));
}

static int anneal_tied_to_any(const rf_graph_track *t, size_t first, size_t last, size_t end)
{
    while (last < end && !anneal_tied(t, first, last))
        last++;
    return last < end;
}

/* Exchange [from, middle) and [middle, to). */
static int anneal_exchange(anneal *s, size_t from, size_t middle, size_t to)
{
    if (from == middle || middle == to)
        return 0;
    memcpy(s->list, s->t->node + middle, (to - middle) * sizeof *s->list);
    memcpy(s->list + (to - middle), s->t->node + from, (middle - from) * sizeof *s->list);
    s->edit = (rf_graph_edit){from, to, s->list, to - from};
    return 1;
}

static size_t anneal_length(anneal *s, size_t most)
{
    size_t length = rf_graph_pick(&s->random, 4) ? 1 : 2 + rf_graph_pick(&s->random, 7);
    return length < most ? length : most;
}

static int anneal_earlier(anneal *s)
{
    const rf_graph_track *t = s->t;
    size_t place = rf_graph_pick(&s->random, t->num), to = place, far = anneal_distance(s);
    size_t end = place + anneal_length(s, t->num - place);
    while (to > 0 && place - to < far && !anneal_tied_to_any(t, to - 1, place, end))
        to--;
    return anneal_exchange(s, to, place, end);
}

static int anneal_later(anneal *s)
{
    const rf_graph_track *t = s->t;
    size_t place = rf_graph_pick(&s->random, t->num), far = anneal_distance(s);
    size_t end = place + anneal_length(s, t->num - place), to = end;
    for (; to < t->num && to - end < far; to++)
        for (size_t at = place; at < end; at++)
            if (anneal_tied(t, at, to))
                return anneal_exchange(s, place, end, to);
    return anneal_exchange(s, place, end, to);
}

static int anneal_move(anneal *s)
{
    switch (rf_graph_pick(&s->random, 8)) {
    case 0:
    case 1:
    case 2:
        return anneal_insert(s);
    case 3:
    case 4:
    case 5:
        return anneal_delete(s);
    case 6:
        return anneal_earlier(s);
    default:
        return anneal_later(s);
    }
}

/* ---- annealing ---- */

static int anneal_accepts(anneal *s, const rf_graph_trial *trial)
{
    double more = s->weight * (trial->cost - s->t->cost) + s->price * (trial->over - s->t->over[0]);
    return more <= 0 || rf_graph_chance(&s->random) < exp(-more / s->heat);
}

static void anneal_keep(const rf_graph_track *t, rf_graph_best *best)
{
    if (t->over[0] > best->over || (t->over[0] == best->over && t->cost >= best->cost))
        return;
    memcpy(best->v, t->node, t->num * sizeof *t->node);
    best->num = t->num;
    best->over = t->over[0];
    best->cost = t->cost;
}

/* The mean cost of what may run again: the measure of all that a move may cost. */
static double anneal_mean(const rf_graph_track *t)
{
    double sum = 0, num = 0;
    for (size_t id = 0; id < t->g->num_nodes; id++) {
        sum += t->goals[id] ? 0 : t->g->nodes[id].cost;
        num += !t->goals[id];
    }
    return sum > 0 ? sum / num : 1;
}

/* How much of the limit is used up: 1 is all. */
static double anneal_progress(const rf_graph_limit *limit, uint64_t move, double begin)
{
    double progress = (double)move / (double)limit->moves;
    if (limit->clock) {
        double used = (limit->clock(limit->payload) - begin) / limit->milliseconds;
        progress = used > progress ? used : progress;
    }
    return progress;
}

/* Cool down, and keep to the budget's edge, on both sides of which the best plans are near: a byte
 * costs more while the budget is passed, less while it is kept. Before any plan kept it, what
 * counts is to find one: then costs weigh little, and the price stays, lest all moves freeze. */
static void anneal_adjust(anneal *s, double hot, double progress, const rf_graph_best *best)
{
    s->heat = s->mean * hot * pow(anneal_cold / hot, progress);
    s->weight = best->over > 0 ? anneal_little : 1;
    if (best->over == 0)
        s->price *= s->t->over[0] > 0 ? anneal_rate : 1 / anneal_rate;
}

void rf_graph_anneal(rf_graph_track *t, const rf_graph_round *round, rf_graph_best *best)
{
    const rf_graph_limit *limit = &round->limit;
    double begin = limit->clock ? limit->clock(limit->payload) : 0;
    anneal s = {.t = t, .random = round->seed, .mean = anneal_mean(t)};
    s.price = round->price > 0 ? round->price : 10 * s.mean / ((double)t->budget + 1);
    anneal_keep(t, best);
    for (uint64_t move = 0;; move++) {
        if (move % ANNEAL_LOOK == 0) {
            double progress = anneal_progress(limit, move, begin);
            if (!(progress < 1))
                return;
            anneal_adjust(&s, round->heat, progress, best);
        }
        if (!anneal_move(&s))
            continue;
        rf_graph_trial trial = rf_graph_track_try(t, &s.edit);
        if (!trial.fits || !anneal_accepts(&s, &trial))
            continue;
        rf_graph_track_make(t, &s.edit, &trial);
        anneal_keep(t, best);
    }
}
