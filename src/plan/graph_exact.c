/* graph_exact.c: the best plan of a small graph, by A* search.
 *
 * A state is the set of stored values and the set of goals done, 32 bits each. Its edges: run a
 * node whose inputs are stored, or drop a value. The search is complete although it does less than
 * all: a value that leads to nothing which is still wanted is dropped at once, and never computed;
 *   any other is dropped only while something that could run does not fit (dropping can wait so
 * long). What a state still costs at least: every node that is wanted, or needed for one and not
 * stored, runs once more. No edge lowers that by more than its own cost, so the first end that is
 * taken from the heap is optimal. Among equals the one nearest to its end goes first.
 *
 * The search for the smallest peak differs in what g means: the largest live bytes so far.
 */
#include "plan/graph_search.h"

#include <string.h>

enum { GRAPH_EXACT_DROP = 32, GRAPH_EXACT_ROOT = 64, GRAPH_EXACT_FIRST_ROOM = 1024 };

typedef struct graph_exact_state {
    uint64_t key; /* stored, and goals done << 32 */
    double g, rest;
    uint32_t parent;
    uint32_t action; /* a node's number; plus GRAPH_EXACT_DROP: its drop */
} graph_exact_state;

typedef struct graph_exact_entry {
    double f, rest, g;
    uint32_t state;
} graph_exact_entry;

typedef struct graph_exact_search {
    const rf_allocator *a;
    const rf_graph_small *p;
    uint32_t reach[RF_GRAPH_SMALL]; /* nodes that a value leads to */
    double budget;                  /* negative: smallest peak     */
    graph_exact_state *states;
    graph_exact_entry *heap;
    uint32_t *table; /* index of a state + 1; twice as large as room */
    size_t num, room, heap_num, heap_room, max_states;
    rf_status status;
    int full;
} graph_exact_search;

void rf_graph_small_from(rf_graph_small *p, const rf_graph *g)
{
    uint8_t flags[RF_GRAPH_SMALL];
    rf_graph_goals(g, flags);
    *p = (rf_graph_small){.num = (uint32_t)g->num_nodes};
    for (uint32_t id = 0; id < p->num; id++) {
        const rf_graph_node *n = &g->nodes[id];
        for (uint32_t i = 0; i < n->num_inputs; i++)
            p->inputs[id] |= 1u << g->inputs[n->first_input + i];
        p->cost[id] = n->cost;
        p->bytes[id] = n->bytes;
        p->workspace[id] = n->workspace;
        p->goals |= (uint32_t)(flags[id] != 0) << id;
        p->once |= (uint32_t)(n->once != 0) << id;
    }
}

/* ---- memory: all arrays double together ---- */

static void *graph_exact_larger(graph_exact_search *s, void *old, size_t num, size_t room,
                                size_t size)
{
    void *p = s->status ? NULL : rf_allocator_get(s->a, room * size);
    if (!p) {
        s->status = RF_E_MEMORY;
        return old;
    }
    if (num)
        memcpy(p, old, num * size);
    return p;
}

static size_t graph_exact_slot(const graph_exact_search *s, uint64_t key)
{
    size_t mask = 2 * s->room - 1;
    size_t at = (size_t)((key ^ key >> 29) * 0x9e3779b97f4a7c15u >> 20) & mask;
    while (s->table[at] && s->states[s->table[at] - 1].key != key)
        at = (at + 1) & mask;
    return at;
}

static void graph_exact_grow(graph_exact_search *s)
{
    size_t room = s->room ? 2 * s->room : GRAPH_EXACT_FIRST_ROOM;
    graph_exact_state *states = graph_exact_larger(s, s->states, s->num, room, sizeof *states);
    if (s->status)
        return;
    rf_allocator_put(s->a, s->states, s->room * sizeof *states);
    s->states = states;
    uint32_t *table = graph_exact_larger(s, s->table, 0, 2 * room, sizeof *table);
    if (s->status) { /* room still tells the table's size, so the states' must be told apart */
        rf_allocator_put(s->a, s->states, room * sizeof *states);
        s->states = NULL;
        return;
    }
    rf_allocator_put(s->a, s->table, 2 * s->room * sizeof *table);
    s->table = table;
    s->room = room;
    memset(table, 0, 2 * room * sizeof *table);
    for (size_t i = 0; i < s->num; i++)
        table[graph_exact_slot(s, states[i].key)] = (uint32_t)i + 1;
}

static void graph_exact_free(graph_exact_search *s)
{
    rf_allocator_put(s->a, s->states, s->room * sizeof *s->states);
    rf_allocator_put(s->a, s->table, 2 * s->room * sizeof *s->table);
    rf_allocator_put(s->a, s->heap, s->heap_room * sizeof *s->heap);
}

/* ---- heap ---- */

static int graph_exact_before(const graph_exact_entry *a, const graph_exact_entry *b)
{
    if (a->f != b->f)
        return a->f < b->f;
    if (a->rest != b->rest)
        return a->rest < b->rest;
    return a->state > b->state;
}

static void graph_exact_push(graph_exact_search *s, graph_exact_entry e)
{
    if (s->heap_num == s->heap_room) {
        size_t room = s->heap_room ? 2 * s->heap_room : GRAPH_EXACT_FIRST_ROOM;
        graph_exact_entry *heap = graph_exact_larger(s, s->heap, s->heap_num, room, sizeof *heap);
        if (s->status)
            return;
        rf_allocator_put(s->a, s->heap, s->heap_room * sizeof *heap);
        s->heap = heap;
        s->heap_room = room;
    }
    size_t at = s->heap_num++;
    for (size_t up; at && (up = (at - 1) / 2, graph_exact_before(&e, &s->heap[up])); at = up)
        s->heap[at] = s->heap[up];
    s->heap[at] = e;
}

static graph_exact_entry graph_exact_pop(graph_exact_search *s)
{
    graph_exact_entry top = s->heap[0], last = s->heap[--s->heap_num];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < s->heap_num; at = child) {
        if (child + 1 < s->heap_num && graph_exact_before(&s->heap[child + 1], &s->heap[child]))
            child++;
        if (!graph_exact_before(&s->heap[child], &last))
            break;
        s->heap[at] = s->heap[child];
    }
    s->heap[at] = last;
    return top;
}

/* ---- states ---- */

static int graph_exact_lowest(uint32_t set)
{
    int at = 0;
    for (; !(set & 1); set >>= 1)
        at++;
    return at;
}

static uint32_t graph_exact_wanted(const rf_graph_small *p, uint64_t key)
{
    return (p->goals & ~(uint32_t)(key >> 32)) | (p->end & ~(uint32_t)key);
}

/* Whether a value of v may still be of use: for a goal to come, or for one of the end. */
static int graph_exact_useful(const graph_exact_search *s, uint64_t key, int v)
{
    uint32_t undone = s->p->goals & ~(uint32_t)(key >> 32);
    return (s->p->end >> v & 1) || (s->reach[v] & (undone | s->p->end));
}

/* The least that is still to be paid; negative if there is no way to the end. */
static double graph_exact_rest(const rf_graph_small *p, uint64_t key)
{
    uint32_t stored = (uint32_t)key, done = (uint32_t)(key >> 32);
    uint32_t needed = graph_exact_wanted(p, key);
    double rest = 0;
    for (uint32_t v = p->num; v-- > 0;) {
        if (!(needed >> v & 1))
            continue;
        if (p->once >> v & 1 && (done >> v & 1 || !(p->goals >> v & 1)))
            return -1;
        needed |= p->inputs[v] & ~stored;
        rest += p->cost[v];
    }
    return rest;
}

static uint64_t graph_exact_trim(const graph_exact_search *s, uint64_t key)
{
    for (uint32_t left = (uint32_t)key; left; left &= left - 1) {
        int v = graph_exact_lowest(left);
        if (!graph_exact_useful(s, key, v))
            key &= ~((uint64_t)1 << v);
    }
    return key;
}

static void graph_exact_reach(graph_exact_search *s, graph_exact_state next)
{
    next.key = graph_exact_trim(s, next.key);
    size_t slot = graph_exact_slot(s, next.key);
    graph_exact_state *known = s->table[slot] ? &s->states[s->table[slot] - 1] : NULL;
    if (known && known->g <= next.g)
        return;
    next.rest = known ? known->rest : graph_exact_rest(s->p, next.key);
    if (next.rest < 0)
        return;
    if (!known && s->num == s->max_states) {
        s->full = 1;
        return;
    }
    if (!known && s->num == s->room) {
        graph_exact_grow(s);
        if (s->status)
            return;
        slot = graph_exact_slot(s, next.key);
    }
    if (!known) {
        s->table[slot] = (uint32_t)++s->num;
        known = &s->states[s->num - 1];
    }
    *known = next;
    double f = s->budget < 0 ? next.g : next.g + next.rest;
    graph_exact_push(s, (graph_exact_entry){f, next.rest, next.g, s->table[slot] - 1});
}

static double graph_exact_stored_bytes(const rf_graph_small *p, uint64_t key)
{
    uint64_t sum = 0;
    for (uint32_t left = (uint32_t)key; left; left &= left - 1)
        sum += p->bytes[graph_exact_lowest(left)];
    return (double)sum;
}

static int graph_exact_can_run(const graph_exact_search *s, uint64_t key, int v)
{
    uint32_t stored = (uint32_t)key, done = (uint32_t)(key >> 32);
    if (stored >> v & 1 || s->p->inputs[v] & ~stored)
        return 0;
    if (s->p->goals >> v & 1)
        return !(done >> v & 1);
    return !(s->p->once >> v & 1) && graph_exact_useful(s, key, v);
}

/* All that can follow a state. What does not fit says which values might go: not its own inputs. */
static void graph_exact_expand(graph_exact_search *s, uint32_t index)
{
    const rf_graph_small *p = s->p;
    graph_exact_state from = s->states[index];
    double stored = graph_exact_stored_bytes(p, from.key),
           limit = s->budget < 0 ? from.g : s->budget;
    uint32_t droppable = 0;
    for (int v = 0; v < (int)p->num && !s->status; v++) {
        if (!graph_exact_can_run(s, from.key, v))
            continue;
        double live = stored + (double)(p->bytes[v] + p->workspace[v]);
        graph_exact_state next = {from.key | (uint64_t)1 << v, from.g, 0, index, (uint32_t)v};
        next.key |= (uint64_t)(p->goals >> v & 1) << (32 + v);
        if (live > limit)
            droppable |= (uint32_t)from.key & ~p->inputs[v];
        if (s->budget < 0)
            next.g = live > from.g ? live : from.g;
        else
            next.g += p->cost[v];
        if (s->budget < 0 || live <= s->budget)
            graph_exact_reach(s, next);
    }
    for (; droppable && !s->status; droppable &= droppable - 1) {
        int v = graph_exact_lowest(droppable);
        graph_exact_reach(s, (graph_exact_state){from.key & ~((uint64_t)1 << v), from.g, 0, index,
                                                 (uint32_t)v + GRAPH_EXACT_DROP});
    }
}

/* ---- search ---- */

static void graph_exact_begin(graph_exact_search *s, double g)
{
    for (uint32_t v = s->p->num; v-- > 0;)
        for (uint32_t left = s->p->inputs[v]; left; left &= left - 1)
            s->reach[graph_exact_lowest(left)] |= s->reach[v] | 1u << v;
    graph_exact_grow(s);
    if (!s->status)
        graph_exact_reach(
            s, (graph_exact_state){.key = s->p->start, .g = g, .action = GRAPH_EXACT_ROOT});
}

/* The state of the end, or UINT32_MAX. */
static uint32_t graph_exact_walk(graph_exact_search *s)
{
    while (!s->status && s->heap_num) {
        graph_exact_entry e = graph_exact_pop(s);
        const graph_exact_state *state = &s->states[e.state];
        if (e.g > state->g)
            continue; /* a cheaper way was found since */
        if (!graph_exact_wanted(s->p, state->key))
            return e.state;
        graph_exact_expand(s, e.state);
    }
    return UINT32_MAX;
}

static rf_status graph_exact_write(const graph_exact_search *s, uint32_t end,
                                   rf_graph_sequence *out)
{
    size_t num = 0, at;
    for (uint32_t i = end; s->states[i].action != GRAPH_EXACT_ROOT; i = s->states[i].parent)
        num += s->states[i].action < GRAPH_EXACT_DROP;
    rf_status status = rf_graph_sequence_reserve(s->a, out, out->num + num);
    if (status)
        return status;
    at = out->num += num;
    for (uint32_t i = end; s->states[i].action != GRAPH_EXACT_ROOT; i = s->states[i].parent)
        if (s->states[i].action < GRAPH_EXACT_DROP)
            out->v[--at] = s->states[i].action;
    return RF_OK;
}

static rf_status graph_exact_run(graph_exact_search *s, double g, rf_graph_sequence *sequence,
                                 rf_graph_exact *out)
{
    graph_exact_begin(s, g);
    uint32_t end = graph_exact_walk(s);
    *out = (rf_graph_exact){.states = s->num, .found = end != UINT32_MAX};
    out->proved = !s->status && !s->full;
    if (out->found) {
        out->best = s->states[end].g;
        s->status = graph_exact_write(s, end, sequence);
    }
    graph_exact_free(s);
    return s->status;
}

rf_status rf_graph_exact_cost(const rf_allocator *a, const rf_graph_small *p, uint64_t budget,
                              size_t max_states, rf_graph_sequence *s, rf_graph_exact *out)
{
    graph_exact_search search = {
        .a = a, .p = p, .budget = (double)budget, .max_states = max_states};
    return graph_exact_run(&search, 0, s, out);
}

rf_status rf_graph_exact_peak(const rf_allocator *a, const rf_graph_small *p, size_t max_states,
                              rf_graph_sequence *s, rf_graph_exact *out)
{
    double least = 0; /* no peak is smaller than what one goal alone takes */
    for (uint32_t v = 0; v < p->num; v++) {
        uint64_t alone = p->bytes[v] + p->workspace[v];
        for (uint32_t left = p->inputs[v]; left; left &= left - 1)
            alone += p->bytes[graph_exact_lowest(left)];
        if (p->goals >> v & 1 && (double)alone > least)
            least = (double)alone;
    }
    graph_exact_search search = {.a = a, .p = p, .budget = -1, .max_states = max_states};
    return graph_exact_run(&search, least, s, out);
}
