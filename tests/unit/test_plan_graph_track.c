/* Tracks: what an edit is said to change is what changes. Random edits of random plans, each
 * against the simulator and against a track made anew. */
#include "plan/graph_cut.h"
#include "plan/graph_window.h"
#include "support/graphs.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const rf_allocator memory = {rf_alloc_libc, NULL};
enum { ROOM = 256 };

/* Sum of bytes over the budget, and cost, by the simulator alone; 0 if the sequence is no plan. */
static int simulate(const rf_graph *g, const rf_graph_sequence *s, uint64_t budget, double *over,
                    double *cost)
{
    rf_graph_steps steps;
    rf_graph_run run;
    assert_int_equal(rf_graph_sequence_steps(&memory, g, s, &steps), RF_OK);
    int plan = rf_graph_simulate(&memory, g, steps.v, steps.num, &run) == RF_OK;
    uint64_t stored = 0;
    *over = 0;
    *cost = run.cost;
    for (size_t i = 0; i < steps.num; i++) {
        const rf_graph_node *n = &g->nodes[steps.v[i].node];
        if (steps.v[i].drop) {
            stored -= n->bytes;
            continue;
        }
        stored += n->bytes;
        if (stored + n->workspace > budget)
            *over += (double)(stored + n->workspace - budget);
    }
    rf_graph_steps_end(&memory, &steps);
    return plan;
}

/* Replace a few places by some of theirs and some other nodes. */
static rf_graph_edit some_edit(const rf_graph_track *t, uint32_t *with, uint64_t *random)
{
    rf_graph_edit e = {.with = with};
    e.from = rf_graph_pick(random, t->num + 1);
    e.to = e.from + rf_graph_pick(random, 5);
    e.to = e.to < t->num ? e.to : t->num;
    for (size_t at = e.from; at < e.to; at++)
        if (rf_graph_pick(random, 4))
            with[e.num++] = t->node[at];
    for (size_t k = rf_graph_pick(random, 3); k-- > 0;) {
        uint32_t id = (uint32_t)rf_graph_pick(random, t->g->num_nodes);
        if (t->g->nodes[id].once)
            continue;
        size_t at = rf_graph_pick(random, e.num + 1);
        memmove(with + at + 1, with + at, (e.num++ - at) * sizeof *with);
        with[at] = id;
    }
    return e;
}

static void edited(const rf_graph_track *t, const rf_graph_edit *e, rf_graph_sequence *s)
{
    s->num = 0;
    for (size_t at = 0; at < e->from; at++)
        s->v[s->num++] = t->node[at];
    for (size_t i = 0; i < e->num; i++)
        s->v[s->num++] = e->with[i];
    for (size_t at = e->to; at < t->num; at++)
        s->v[s->num++] = t->node[at];
}

static void same(const rf_graph_track *a, const rf_graph_track *b)
{
    assert_int_equal(a->num, b->num);
    assert_memory_equal(a->node, b->node, a->num * sizeof *a->node);
    assert_memory_equal(a->signature, b->signature, a->num * sizeof *a->signature);
    assert_memory_equal(a->excess, b->excess, a->num * sizeof *a->excess);
    assert_memory_equal(a->stored, b->stored, (a->num + 1) * sizeof *a->stored);
    assert_memory_equal(a->over, b->over, (a->num + 1) * sizeof *a->over);
    assert_memory_equal(a->sets, b->sets, (a->num + 1) * a->words * sizeof *a->sets);
    assert_memory_equal(a->count, b->count, a->g->num_nodes * sizeof *a->count);
    assert_true(fabs(a->cost - b->cost) < 1e-6);
}

static void test_edits(void **state)
{
    (void)state;
    uint64_t random = 3;
    uint32_t list[ROOM], with[16];
    size_t plans = 0, others = 0;
    for (int i = 0; i < 300; i++) {
        graph_case c;
        uint8_t goals[GRAPH_NODES];
        graph_case_random(&c, 4 + rf_graph_pick(&random, 30), &random);
        rf_graph_goals(&c.g, goals);
        rf_graph_track t, anew;
        assert_int_equal(rf_graph_track_begin(&t, &memory, &c.g, goals, ROOM), RF_OK);
        assert_int_equal(rf_graph_track_begin(&anew, &memory, &c.g, goals, ROOM), RF_OK);
        rf_graph_sequence s = {list, 0, ROOM};
        for (; s.num < c.g.num_nodes; s.num++)
            list[s.num] = (uint32_t)s.num;
        uint64_t budget = rf_graph_pick(&random, 40);
        assert_true(rf_graph_track_set(&t, &s, budget));
        for (int k = 0; k < 100; k++) {
            double over, cost;
            rf_graph_edit e = some_edit(&t, with, &random);
            rf_graph_trial trial = rf_graph_track_try(&t, &e);
            edited(&t, &e, &s);
            int plan = simulate(&c.g, &s, budget, &over, &cost);
            plans += (size_t)plan;
            others += !plan;
            /* An edit may take away a node that must run: whoever edits sees to that. */
            if (!trial.fits || !plan) {
                assert_false(plan && s.num < ROOM);
                continue;
            }
            assert_true(trial.over == over && fabs(trial.cost - cost) < 1e-6);
            rf_graph_track_make(&t, &e, &trial);
            assert_true(rf_graph_track_set(&anew, &s, budget));
            same(&t, &anew);
        }
        rf_graph_track_end(&t);
        rf_graph_track_end(&anew);
    }
    printf("# %zu plans, %zu others\n", plans, others);
    assert_true(plans > 2000 && others > 2000);
}

/* A plan in which a few values are computed again, for no good reason. */
static void spoil(rf_graph_track *t, uint64_t *random)
{
    uint32_t list[RF_GRAPH_CUT_MOST];
    for (int k = 0; k < 8; k++) {
        uint32_t id = (uint32_t)rf_graph_pick(random, t->g->num_nodes);
        size_t read = rf_graph_next_read(t, rf_graph_pick(random, t->num), id);
        if (t->goals[id] || read == t->num || !rf_graph_track_has(t, read, id))
            continue;
        size_t num = rf_graph_cut_chain(t, id, read, 0, random, list);
        rf_graph_edit edit = {read, read, list, num};
        rf_graph_trial trial = rf_graph_track_try(t, &edit);
        if (trial.fits)
            rf_graph_track_make(t, &edit, &trial);
    }
}

/* A window only ever makes a plan better, leaves nothing to a second one at the same place, and
 * what spoils a plan is found: with room for all values, nothing that runs twice is left in the
 * end. */
static void test_windows(void **state)
{
    (void)state;
    uint64_t random = 4;
    uint32_t list[ROOM];
    size_t improved = 0, restored = 0;
    for (int i = 0; i < 100; i++) {
        graph_case c;
        uint8_t goals[GRAPH_NODES];
        graph_case_random(&c, 30 + rf_graph_pick(&random, 10), &random);
        rf_graph_goals(&c.g, goals);
        rf_graph_track t;
        rf_graph_sequence s = {list, 0, ROOM};
        assert_int_equal(rf_graph_track_begin(&t, &memory, &c.g, goals, ROOM), RF_OK);
        for (; s.num < c.g.num_nodes; s.num++)
            list[s.num] = (uint32_t)s.num;
        uint64_t budget = i % 2 ? 1000 : 30 + rf_graph_pick(&random, 30);
        assert_true(rf_graph_track_set(&t, &s, budget));
        double plain = t.cost;
        spoil(&t, &random);
        for (size_t from = 0; from < t.num; from++) {
            double over = t.over[0], cost = t.cost;
            int better;
            assert_int_equal(rf_graph_window_solve(&t, from, &better), RF_OK);
            assert_int_equal(better, t.over[0] < over || t.cost < cost);
            assert_true(t.over[0] < over || (t.over[0] == over && t.cost <= cost));
            improved += (size_t)better;
        }
        s.num = t.num;
        memcpy(list, t.node, t.num * sizeof *list);
        double over, cost;
        assert_true(simulate(&c.g, &s, budget, &over, &cost));
        assert_true(over == t.over[0] && fabs(cost - t.cost) < 1e-6);
        restored += i % 2 && t.cost == plain;
        rf_graph_track_end(&t);
    }
    printf("# %zu windows were better, %zu of 50 plans were plain again\n", improved, restored);
    assert_true(improved > 100 && restored >= 35);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_edits),
                                       cmocka_unit_test(test_windows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
