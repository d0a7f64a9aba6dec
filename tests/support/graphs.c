/* graphs.c: see graphs.h. */
#include "support/graphs.h"

#include "plan/graph_cut.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

void graph_case_begin(graph_case *c)
{
    memset(c, 0, sizeof *c);
    c->g.nodes = c->nodes;
    c->g.inputs = c->inputs;
}

uint32_t graph_case_add(graph_case *c, double cost, uint64_t bytes, int once)
{
    assert_true(c->g.num_nodes < GRAPH_NODES);
    c->nodes[c->g.num_nodes] = (rf_graph_node){
        .cost = cost, .bytes = bytes, .first_input = (uint32_t)c->g.num_inputs, .once = once != 0};
    return (uint32_t)c->g.num_nodes++;
}

void graph_case_input(graph_case *c, uint32_t input)
{
    assert_true(c->g.num_inputs < GRAPH_INPUTS);
    c->inputs[c->g.num_inputs++] = input;
    c->nodes[c->g.num_nodes - 1].num_inputs++;
}

/* ---- random ---- */

static uint32_t random_node(graph_case *c, int once, uint64_t *random)
{
    uint32_t id =
        graph_case_add(c, (double)rf_graph_pick(random, 10), rf_graph_pick(random, 9), once);
    if (rf_graph_pick(random, 4) == 0)
        c->nodes[id].workspace = rf_graph_pick(random, 5);
    return id;
}

/* Forward nodes that read the one before and perhaps an older one, and backward nodes that read the
 * gradient before, and what their forward node read or made. */
static void random_training(graph_case *c, size_t num, uint64_t *random)
{
    uint32_t forward = (uint32_t)num / 2;
    for (uint32_t i = 0; i < forward; i++) {
        random_node(c, 0, random);
        if (i > 0)
            graph_case_input(c, i - 1);
        if (i > 1 && rf_graph_pick(random, 3) == 0)
            graph_case_input(c, (uint32_t)rf_graph_pick(random, i - 1));
    }
    for (uint32_t i = forward; i-- > 0;) {
        uint32_t id = random_node(c, 1, random);
        graph_case_input(c, id - 1);
        if (rf_graph_pick(random, 2))
            graph_case_input(c, i);
        for (uint32_t k = 0; k < c->nodes[i].num_inputs; k++)
            if (rf_graph_pick(random, 4))
                graph_case_input(c, c->inputs[c->nodes[i].first_input + k]);
        if (id > forward + 1 && rf_graph_pick(random, 4) == 0)
            graph_case_input(c, forward + (uint32_t)rf_graph_pick(random, id - forward - 1));
    }
}

static void random_any(graph_case *c, size_t num, uint64_t *random)
{
    for (uint32_t i = 0; i < num; i++) {
        random_node(c, rf_graph_pick(random, 3) == 0, random);
        for (size_t k = i ? rf_graph_pick(random, 4) : 0; k-- > 0;)
            graph_case_input(c, (uint32_t)rf_graph_pick(random, i));
    }
}

void graph_case_random(graph_case *c, size_t num, uint64_t *random)
{
    graph_case_begin(c);
    if (rf_graph_pick(random, 3))
        random_training(c, num, random);
    else
        random_any(c, num, random);
}

/* ---- exhaustive ---- */

enum { MOST_COST = 1024, MOST_BITS = 16, MOST_ENTRIES = 1 << 20 };

typedef struct exhaustive {
    const rf_graph *g;
    uint64_t budget;
    uint32_t goal_bit[GRAPH_NODES]; /* 0: no goal */
    uint32_t all_goals;
    uint16_t best[1 << MOST_BITS]; /* of a state: 0 is not reached, else cost + 1   */
    uint32_t first[MOST_COST];     /* of each cost, a list of entries: number, or 0 */
    uint32_t num_entries;
    struct {
        uint32_t state, next;
    } entries[MOST_ENTRIES];
} exhaustive;

static void exhaustive_reach(exhaustive *e, uint32_t state, uint32_t cost)
{
    assert_true(cost + 1 < MOST_COST);
    if (e->best[state] && e->best[state] <= cost + 1)
        return;
    e->best[state] = (uint16_t)(cost + 1);
    assert_true(++e->num_entries < MOST_ENTRIES);
    e->entries[e->num_entries].state = state;
    e->entries[e->num_entries].next = e->first[cost];
    e->first[cost] = e->num_entries;
}

static int exhaustive_runs(const exhaustive *e, uint32_t state, uint32_t id)
{
    const rf_graph_node *n = &e->g->nodes[id];
    uint64_t live = n->bytes + n->workspace;
    for (uint32_t i = 0; i < n->num_inputs; i++)
        if (!(state >> e->g->inputs[n->first_input + i] & 1))
            return 0;
    for (uint32_t other = 0; other < e->g->num_nodes; other++)
        live += state >> other & 1 ? e->g->nodes[other].bytes : 0;
    if (n->once && state & e->goal_bit[id])
        return 0;
    return live <= e->budget;
}

static void exhaustive_expand(exhaustive *e, uint32_t state, uint32_t cost)
{
    for (uint32_t id = 0; id < e->g->num_nodes; id++) {
        if (state >> id & 1)
            exhaustive_reach(e, state & ~(1u << id), cost);
        else if (exhaustive_runs(e, state, id))
            exhaustive_reach(e, state | 1u << id | e->goal_bit[id],
                             cost + (uint32_t)e->g->nodes[id].cost);
    }
}

static double exhaustive_search(exhaustive *e)
{
    exhaustive_reach(e, 0, 0);
    for (uint32_t cost = 0; cost < MOST_COST; cost++)
        while (e->first[cost]) {
            uint32_t state = e->entries[e->first[cost]].state;
            e->first[cost] = e->entries[e->first[cost]].next;
            if (e->best[state] != cost + 1)
                continue; /* it was reached for less since */
            if ((state & e->all_goals) == e->all_goals)
                return cost;
            exhaustive_expand(e, state, cost);
        }
    return -1;
}

double graph_case_exhaustive(const graph_case *c, uint64_t budget)
{
    uint8_t goals[GRAPH_NODES];
    exhaustive *e = calloc(1, sizeof *e);
    assert_non_null(e);
    e->g = &c->g;
    e->budget = budget;
    rf_graph_goals(&c->g, goals);
    uint32_t bits = (uint32_t)c->g.num_nodes;
    for (uint32_t id = 0; id < c->g.num_nodes; id++)
        if (goals[id])
            e->all_goals |= e->goal_bit[id] = 1u << bits++;
    assert_true(bits <= MOST_BITS);
    double best = exhaustive_search(e);
    free(e);
    return best;
}

void graph_read(graph_file *f, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/tests/data/graphs/%s.json", getenv("RF_SOURCE_DIR"), name);
    if (graph_file_read(path, f))
        fail_msg("cannot read %s", path);
}
