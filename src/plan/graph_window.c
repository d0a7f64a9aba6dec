/* graph_window.c: see graph_window.h. The window becomes a small graph of its own. Values that its
 * executions make or read are its nodes; all other values that are stored there take their bytes
 * from the budget. What the window cannot compute (an input is neither among its values nor stored,
 * or it may not run again) it can only keep, drop or find at its start. Invariant: since what is
 * stored at both ends stays, so does everything outside, and a window that is cheaper makes the
 * plan cheaper. */
#include "plan/graph_window.h"

enum { WINDOW_RUNS = 20, WINDOW_STATES = 1 << 13 };

typedef struct window {
    const rf_graph_track *t;
    size_t from, to;
    uint32_t ids[RF_GRAPH_SMALL]; /* rising */
    uint32_t num;
} window;

/* Where id is, or would be. */
static uint32_t window_find(const window *w, uint32_t id)
{
    uint32_t at = 0;
    while (at < w->num && w->ids[at] < id)
        at++;
    return at;
}

static int window_has(const window *w, uint32_t id)
{
    uint32_t at = window_find(w, id);
    return at < w->num && w->ids[at] == id;
}

/* Add a value; 0 if there is no room. */
static int window_add(window *w, uint32_t id)
{
    uint32_t at = window_find(w, id);
    if (at < w->num && w->ids[at] == id)
        return 1;
    if (w->num == RF_GRAPH_SMALL)
        return 0;
    for (uint32_t i = w->num++; i > at; i--)
        w->ids[i] = w->ids[i - 1];
    w->ids[at] = id;
    return 1;
}

/* Take in the next execution; 0 if it does not go in. */
static int window_extend(window *w)
{
    uint32_t id = w->t->node[w->to];
    const rf_graph_node *n = &w->t->g->nodes[id];
    window before = *w;
    int fits = window_add(w, id);
    for (uint32_t i = 0; i < n->num_inputs && fits; i++)
        fits = window_add(w, w->t->g->inputs[n->first_input + i]);
    if (!fits)
        *w = before;
    w->to += (size_t)fits;
    return fits;
}

/* Bits of a node's inputs; *all tells whether each is in the window, or stored all through it. */
static uint32_t window_inputs(const window *w, uint32_t id, int *all)
{
    const rf_graph_node *n = &w->t->g->nodes[id];
    uint32_t bits = 0;
    *all = 1;
    for (uint32_t i = 0; i < n->num_inputs; i++) {
        uint32_t input = w->t->g->inputs[n->first_input + i];
        if (window_has(w, input))
            bits |= 1u << window_find(w, input);
        else if (!rf_graph_track_has(w->t, w->from, input) ||
                 !rf_graph_track_has(w->t, w->to, input))
            *all = 0;
    }
    return bits;
}

/* The window as a problem; returns what its executions cost now. */
static double window_problem(const window *w, rf_graph_small *p)
{
    const rf_graph_track *t = w->t;
    double cost = 0;
    *p = (rf_graph_small){.num = w->num};
    for (uint32_t i = 0; i < w->num; i++) {
        uint32_t id = w->ids[i];
        int all;
        p->inputs[i] = window_inputs(w, id, &all);
        p->cost[i] = t->g->nodes[id].cost;
        p->bytes[i] = t->g->nodes[id].bytes;
        p->workspace[i] = t->g->nodes[id].workspace;
        p->start |= (uint32_t)rf_graph_track_has(t, w->from, id) << i;
        p->end |= (uint32_t)rf_graph_track_has(t, w->to, id) << i;
        p->once |= (uint32_t)(t->goals[id] || !all) << i;
    }
    for (size_t at = w->from; at < w->to; at++) {
        cost += t->g->nodes[t->node[at]].cost;
        if (t->goals[t->node[at]])
            p->goals |= 1u << window_find(w, t->node[at]);
    }
    return cost;
}

static uint64_t window_bytes_at_start(const rf_graph_small *p)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < p->num; i++)
        sum += p->start >> i & 1 ? p->bytes[i] : 0;
    return sum;
}

static int window_replace(rf_graph_track *t, const window *w, rf_graph_sequence *s)
{
    for (size_t i = 0; i < s->num; i++)
        s->v[i] = w->ids[s->v[i]];
    rf_graph_edit edit = {w->from, w->to, s->v, s->num};
    rf_graph_trial trial = rf_graph_track_try(t, &edit);
    int better = trial.fits &&
                 (trial.over < t->over[0] || (trial.over == t->over[0] && trial.cost < t->cost));
    if (better)
        rf_graph_track_make(t, &edit, &trial);
    return better;
}

rf_status rf_graph_window_solve(rf_graph_track *t, size_t from, int *better)
{
    window w = {.t = t, .from = from, .to = from};
    rf_graph_small p;
    rf_graph_sequence s = {0};
    rf_graph_exact exact;
    *better = 0;
    while (w.to < t->num && w.to - from < WINDOW_RUNS && window_extend(&w))
        continue;
    double cost = window_problem(&w, &p);
    uint64_t others = t->stored[from] - window_bytes_at_start(&p);
    if (others > t->budget)
        return RF_OK;
    rf_status status = rf_graph_exact_cost(t->a, &p, t->budget - others, WINDOW_STATES, &s, &exact);
    int over = t->over[w.from] > t->over[w.to];
    if (!status && exact.found && (over || exact.best < cost))
        *better = window_replace(t, &w, &s);
    rf_graph_sequence_end(t->a, &s);
    return status;
}
