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

/* How plans by heuristics alone compare with the best there are. */
typedef struct comparison {
    size_t all, repeated, near, far, missed;
    double worst;
} comparison;

static void compare_plans(const graph_case *c, uint64_t *random, comparison *sum)
{
    rf_graph_planner exact, other;
    rf_graph_answer a, b;
    begin(&exact, c);
    begin(&other, c);
    uint64_t budget = some_budget(&exact, random);
    rf_graph_options opts = {.size = sizeof opts, .moves = 20000, .no_exact = 1};
    answer(&exact, budget, NULL, &a);
    answer(&other, budget, &opts, &b);
    assert_true(a.exact);
    assert_true(a.feasible || !b.feasible);
    assert_true(a.smallest_budget <= b.smallest_budget);
    if (a.feasible && b.feasible) {
        assert_true(b.cost >= a.cost && b.cost_bound <= a.cost);
        sum->all++;
        sum->repeated += a.cost > a.plain_cost;
        sum->near += b.cost <= a.cost * 1.01;
        sum->far += b.cost > a.cost * 1.05;
        if (a.cost > 0 && b.cost / a.cost > sum->worst)
            sum->worst = b.cost / a.cost;
    }
    sum->missed += a.feasible && !b.feasible;
    rf_graph_answer_end(&memory, &a);
    rf_graph_answer_end(&memory, &b);
    rf_graph_planner_end(&exact);
    rf_graph_planner_end(&other);
}

static comparison compare_all(size_t num, size_t least, size_t range)
{
    comparison sum = {0};
    uint64_t random = 2;
    for (size_t i = 0; i < cases(num); i++) {
        graph_case c;
        graph_case_random(&c, least + rf_graph_pick(&random, range), &random);
        compare_plans(&c, &random, &sum);
    }
    printf("# %zu plans, %zu with repetitions, %zu within 1 %%, %zu beyond 5 %%, worst %.3f, "
           "%zu missed\n",
           sum.all, sum.repeated, sum.near, sum.far, sum.worst, sum.missed);
    return sum;
}

/* Never below exact search, nearly always within 1 %, and a plan where there is one. */
static void test_heuristics(void **state)
{
    (void)state;
    comparison sum = compare_all(1000, 8, 9);
    assert_true(sum.near >= sum.all * 95 / 100 && sum.far == 0);
    assert_true(sum.missed <= sum.all / 200 + 1);
}

/* Graphs that are larger than what is solved exactly at a time: no promise, but a watch on quality.
 */
static void test_heuristics_larger(void **state)
{
    (void)state;
    comparison sum = compare_all(60, 20, 5);
    assert_true(sum.near + 1 >= sum.all * 85 / 100 && sum.far <= sum.all / 10 + 1);
    assert_true(sum.missed <= sum.all / 10 + 1);
}

static double cost_of(const graph_case *c, uint64_t budget)
{
    rf_graph_planner p;
    rf_graph_answer a;
    begin(&p, c);
    answer(&p, budget, NULL, &a);
    rf_graph_answer_end(&memory, &a);
    rf_graph_planner_end(&p);
    return a.feasible ? a.cost : -1;
}

/* V16.5 and V16.6: scaled bytes change nothing, scaled costs scale the cost, a node that is nothing
 * changes nothing, and more budget never costs more. */
static void test_properties(void **state)
{
    (void)state;
    uint64_t random = 5;
    for (size_t i = 0; i < cases(300); i++) {
        graph_case c;
        graph_case_random(&c, 6 + rf_graph_pick(&random, 11), &random);
        rf_graph_planner p;
        begin(&p, &c);
        uint64_t budget = some_budget(&p, &random);
        rf_graph_planner_end(&p);
        double cost = cost_of(&c, budget), more = cost_of(&c, budget + 1);
        assert_true(cost < 0 || (more >= 0 && more <= cost));
        graph_case scaled = c;
        scaled.g.nodes = scaled.nodes;
        scaled.g.inputs = scaled.inputs;
        for (size_t k = 0; k < c.g.num_nodes; k++) {
            scaled.nodes[k].bytes *= 4096;
            scaled.nodes[k].workspace *= 4096;
            scaled.nodes[k].cost *= 4;
        }
        assert_true(cost_of(&scaled, budget * 4096) == (cost < 0 ? -1 : 4 * cost));
        uint32_t last = (uint32_t)c.g.num_nodes - 1;
        graph_case_add(&c, 0, 0, i % 2);
        if (i % 3 == 0 && c.nodes[last].bytes == 0)
            graph_case_input(&c, last);
        assert_true(cost_of(&c, budget) == cost);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_is_exhaustive),
        cmocka_unit_test(test_heuristics),
        cmocka_unit_test(test_heuristics_larger),
        cmocka_unit_test(test_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
