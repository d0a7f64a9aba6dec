/* Planning of small graphs at random, against a search that leaves nothing out. */
#include "plan/graph_cut.h"
#include "support/graphs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const rf_allocator memory = {rf_alloc_libc, NULL};

static size_t cases(size_t num)
{
    return getenv("RF_TEST_FAST") ? num / 10 : num;
}

static void begin(rf_graph_planner *p, const graph_case *c)
{
    const char *why = NULL;
    assert_int_equal(rf_graph_planner_begin(p, &memory, &c->g, &why), RF_OK);
    assert_null(why);
}

static void answer(rf_graph_planner *p, uint64_t budget, const rf_graph_options *opts,
                   rf_graph_answer *out)
{
    rf_graph_run run;
    assert_int_equal(rf_graph_planner_answer(p, budget, opts, out), RF_OK);
    if (!out->feasible) {
        assert_int_equal(out->steps.num, 0);
        return;
    }
    const rf_graph *g = p->front.g;
    assert_int_equal(rf_graph_simulate(&memory, g, out->steps.v, out->steps.num, &run), RF_OK);
    assert_true(run.peak == out->peak && run.peak <= budget);
    assert_true(run.cost == out->cost);
}

/* A budget between the least that is possible and what plain execution takes, often a tight one. */
static uint64_t some_budget(const rf_graph_planner *p, uint64_t *random)
{
    size_t range = p->plain_peak - p->least.bytes + 1;
    if (rf_graph_pick(random, 2) && range > 4)
        range = 4;
    return p->least.bytes + rf_graph_pick(random, range);
}

static size_t num_goals(const graph_case *c)
{
    uint8_t goals[GRAPH_NODES];
    size_t num = 0;
    rf_graph_goals(&c->g, goals);
    for (size_t i = 0; i < c->g.num_nodes; i++)
        num += goals[i];
    return num;
}

/* V16.3 and V16.4: equal to exhaustive search, and refused exactly where there is none. */
static void test_exact_is_exhaustive(void **state)
{
    (void)state;
    uint64_t random = 1;
    size_t infeasible = 0, dearer = 0;
    for (size_t i = 0; i < cases(1000); i++) {
        graph_case c;
        do
            graph_case_random(&c, 4 + rf_graph_pick(&random, 6), &random);
        while (num_goals(&c) + c.g.num_nodes > 15);
        rf_graph_planner p;
        begin(&p, &c);
        for (int k = 0; k < 3; k++) {
            uint64_t budget = some_budget(&p, &random);
            double best = graph_case_exhaustive(&c, budget);
            rf_graph_answer a;
            answer(&p, budget, NULL, &a);
            assert_true(a.exact);
            assert_int_equal(a.feasible, best >= 0);
            if (a.feasible)
                assert_true(a.cost == best && a.cost_bound == best);
            infeasible += !a.feasible;
            dearer += a.feasible && a.cost > a.plain_cost;
            assert_true(a.smallest_exact);
            assert_int_equal(budget >= a.smallest_budget, a.feasible);
            rf_graph_answer_end(&memory, &a);
        }
        rf_graph_planner_end(&p);
    }
    printf("# %zu infeasible, %zu with repetitions\n", infeasible, dearer);
}

/* The heuristics alone, against exact search: never below it, nearly always within 1 %. */
static void test_heuristics(void **state)
{
    (void)state;
    uint64_t random = 2;
    size_t all = 0, near = 0, far = 0, missed = 0, repeated = 0;
    double worst = 0;
    for (size_t i = 0; i < cases(1000); i++) {
        graph_case c;
        graph_case_random(&c, 8 + rf_graph_pick(&random, 9), &random);
        rf_graph_planner exact, other;
        begin(&exact, &c);
        begin(&other, &c);
        uint64_t budget = some_budget(&exact, &random);
        rf_graph_options opts = {.size = sizeof opts, .moves = 20000, .no_exact = 1};
        rf_graph_answer a, b;
        answer(&exact, budget, NULL, &a);
        answer(&other, budget, &opts, &b);
        assert_true(a.exact);
        assert_true(a.feasible || !b.feasible);
        if (a.feasible && b.feasible) {
            assert_true(b.cost >= a.cost);
            all++;
            repeated += a.cost > a.plain_cost;
            near += b.cost <= a.cost * 1.01;
            far += b.cost > a.cost * 1.05;
            if (a.cost > 0 && b.cost / a.cost > worst)
                worst = b.cost / a.cost;
        }
        missed += a.feasible && !b.feasible;
        rf_graph_answer_end(&memory, &a);
        rf_graph_answer_end(&memory, &b);
        rf_graph_planner_end(&exact);
        rf_graph_planner_end(&other);
    }
    printf("# %zu plans, %zu with repetitions, %zu within 1 %%, %zu beyond 5 %%, worst %.3f, %zu "
           "missed\n",
           all, repeated, near, far, worst, missed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_is_exhaustive),
        cmocka_unit_test(test_heuristics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
