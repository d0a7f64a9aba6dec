/* Planning of graphs: the simulator, known answers, and what an answer promises. The numbers V4 to
 * V12 are those of the project's list of test vectors; where they come from stands beside each. */
#include "support/failing.h"
#include "support/graphs.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const rf_allocator memory = {rf_alloc_libc, NULL};

/* ---- simulator ---- */

static rf_graph_step run(uint32_t node)
{
    return (rf_graph_step){node, 0};
}

static rf_graph_step drop(uint32_t node)
{
    return (rf_graph_step){node, 1};
}

/* a (1, 5 bytes), b (2, 3; a), c once (4, 2, workspace 7; a, b) */
static void three_nodes(graph_case *c)
{
    graph_case_begin(c);
    graph_case_add(c, 1, 5, 0);
    graph_case_add(c, 2, 3, 0);
    graph_case_input(c, 0);
    graph_case_add(c, 4, 2, 1);
    c->nodes[2].workspace = 7;
    graph_case_input(c, 0);
    graph_case_input(c, 1);
}

static void test_simulate_counts(void **state)
{
    (void)state;
    graph_case c;
    three_nodes(&c);
    rf_graph_run r;
    const rf_graph_step plain[] = {run(0), run(1), run(2)};
    assert_int_equal(rf_graph_simulate(&memory, &c.g, plain, 3, &r), RF_OK);
    assert_true(r.cost == 7 && r.peak == 17 && r.runs == 3);
    const rf_graph_step again[] = {run(0), run(1), drop(0), run(0), run(2), drop(1), drop(2)};
    assert_int_equal(rf_graph_simulate(&memory, &c.g, again, 7, &r), RF_OK);
    assert_true(r.cost == 8 && r.peak == 17 && r.runs == 4);
    assert_null(r.why);
}

static void refuses(const graph_case *c, const rf_graph_step *steps, size_t num, size_t at,
                    const char *why)
{
    rf_graph_run r;
    assert_int_equal(rf_graph_simulate(&memory, &c->g, steps, num, &r), RF_E_ARGUMENT);
    assert_string_equal(r.why, why);
    assert_int_equal(r.at, at);
}

static void test_simulate_refuses(void **state)
{
    (void)state;
    graph_case c;
    three_nodes(&c);
    const rf_graph_step missing[] = {run(0), drop(0), run(1)};
    refuses(&c, missing, 3, 2, "a node runs without one of its inputs");
    const rf_graph_step twice[] = {run(0), run(0)};
    refuses(&c, twice, 2, 1, "a node runs whose value is stored");
    const rf_graph_step once[] = {run(0), run(1), run(2), drop(2), run(2)};
    refuses(&c, once, 5, 4, "a node runs again that may run only once");
    const rf_graph_step unknown[] = {run(3)};
    refuses(&c, unknown, 1, 0, "a step names no node");
    const rf_graph_step nothing[] = {run(0), drop(1)};
    refuses(&c, nothing, 2, 1, "a value is dropped that is not stored");
    const rf_graph_step idle[] = {run(0), run(1)};
    refuses(&c, idle, 2, 2, "a node never runs");
    refuses(&c, idle, 0, 0, "a node never runs");
}

static void check_refuses(graph_case *c, const char *why)
{
    const char *said = NULL;
    rf_graph_planner p;
    assert_int_equal(rf_graph_planner_begin(&p, &memory, &c->g, &said), RF_E_ARGUMENT);
    assert_string_equal(said, why);
}

static void test_check(void **state)
{
    (void)state;
    graph_case c;
    three_nodes(&c);
    c.nodes[1].cost = -1;
    check_refuses(&c, "a node's cost is negative or no number");
    c.nodes[1].cost = (double)NAN;
    check_refuses(&c, "a node's cost is negative or no number");
    c.nodes[1].cost = (double)INFINITY;
    check_refuses(&c, "a node's cost is negative or no number");
    three_nodes(&c);
    c.inputs[0] = 1;
    check_refuses(&c, "a node's input does not come before it");
    three_nodes(&c);
    c.nodes[2].num_inputs = 3;
    check_refuses(&c, "a node's inputs lie outside of the list of inputs");
    c.nodes[2].first_input = UINT32_MAX;
    check_refuses(&c, "a node's inputs lie outside of the list of inputs");
    three_nodes(&c);
    c.nodes[0].bytes = UINT64_MAX;
    check_refuses(&c, "the bytes of all nodes together are too many");
    c.nodes[0].bytes = (uint64_t)1 << 62;
    check_refuses(&c, "the bytes of all nodes together are too many");
    three_nodes(&c);
    c.nodes[2].workspace = UINT64_MAX - 3;
    check_refuses(&c, "the bytes of all nodes together are too many");
}

/* ---- known answers ---- */

static rf_graph_answer answer(rf_graph_planner *p, uint64_t budget, const rf_graph_options *opts)
{
    rf_graph_answer a;
    rf_graph_run r;
    assert_int_equal(rf_graph_planner_answer(p, budget, opts, &a), RF_OK);
    if (a.feasible) {
        rf_status status = rf_graph_simulate(&memory, p->front.g, a.steps.v, a.steps.num, &r);
        assert_int_equal(status, RF_OK);
        assert_true(r.peak == a.peak && a.peak <= budget && r.cost == a.cost);
        assert_true(a.cost >= a.cost_bound && a.peak >= a.lower_bound);
    }
    rf_graph_answer_end(&memory, &a);
    return a;
}

static void begin(rf_graph_planner *p, const rf_graph *g)
{
    const char *why;
    assert_int_equal(rf_graph_planner_begin(p, &memory, g, &why), RF_OK);
}

/* Costs by budget, from `first` on; negative: none. The answers must be proved. */
static void costs(const graph_case *c, uint64_t first, const double *expected, size_t num)
{
    for (size_t i = 0; i < num; i++) {
        rf_graph_planner p;
        begin(&p, &c->g);
        rf_graph_answer a = answer(&p, first + i, NULL);
        rf_graph_planner_end(&p);
        assert_true(a.exact);
        assert_int_equal(a.feasible, expected[i] >= 0);
        assert_true(!a.feasible || a.cost == expected[i]);
    }
}

/* V4, the generator of Checkmate's tests: node k needs k - 1, node 2f - i needs i too. */
static void unit_linear(graph_case *c, uint32_t f)
{
    graph_case_begin(c);
    for (uint32_t k = 0; k <= 2 * f; k++) {
        graph_case_add(c, 1, 1, k >= f);
        if (k > 0)
            graph_case_input(c, k - 1);
        if (k > f)
            graph_case_input(c, 2 * f - k);
    }
}

static void test_unit_linear(void **state)
{
    (void)state;
    graph_case c;
    unit_linear(&c, 4);
    costs(&c, 2, (const double[]){-1, 15, 11, 10, 9, 9}, 6);
    unit_linear(&c, 6);
    costs(&c, 2, (const double[]){-1, 28, 18, 16, 15, 14, 13}, 7);
    unit_linear(&c, 10);
    costs(&c, 2, (const double[]){-1, 66, 35, 29, 27, 26, 25, 24, 23, 22, 21}, 11);
}

/* V5: f_0 to f_(n-1), a loss of no cost, then b_i reads the gradient before, f_i and f_(i-1). */
static void unit_training(graph_case *c, uint32_t n)
{
    graph_case_begin(c);
    for (uint32_t i = 0; i <= n; i++) {
        graph_case_add(c, i < n, 1, i == n);
        if (i > 0)
            graph_case_input(c, i - 1);
    }
    for (uint32_t i = n; i-- > 0;) {
        graph_case_input(c, graph_case_add(c, 1, 1, 1) - 1);
        graph_case_input(c, i);
        if (i > 0)
            graph_case_input(c, i - 1);
    }
}

static double unit_training_cost(uint32_t n, uint64_t budget, const rf_graph_options *opts)
{
    graph_case c;
    rf_graph_planner p;
    unit_training(&c, n);
    begin(&p, &c.g);
    rf_graph_answer a = answer(&p, budget, opts);
    rf_graph_planner_end(&p);
    return a.feasible ? a.cost : -1;
}

static void test_unit_training(void **state)
{
    (void)state;
    assert_true(unit_training_cost(4, 6, NULL) == 8);
    assert_true(unit_training_cost(6, 7, NULL) == 13);
    assert_true(unit_training_cost(12, 9, NULL) == 29);
    assert_true(unit_training_cost(24, 12, NULL) == 62);
    const rf_graph_options heuristic = {.size = sizeof heuristic, .no_exact = 1};
    assert_true(unit_training_cost(4, 6, &heuristic) == 8);
    assert_true(unit_training_cost(6, 7, &heuristic) == 13);
    assert_true(unit_training_cost(12, 9, &heuristic) == 29);
}

static void add(graph_case *c, double cost, uint64_t bytes, int once, const char *inputs)
{
    graph_case_add(c, cost, bytes, once);
    for (; *inputs; inputs++)
        graph_case_input(c, (uint32_t)(*inputs - 'a'));
}

/* V6: residual4. Nodes f1 x1 f2 x2 f3 x3 f4 x4 are a to h, then g4 i, bf4 j, g3 k, bf3 l, g2 m, ...
 */
static void test_residual(void **state)
{
    (void)state;
    graph_case c;
    graph_case_begin(&c);
    add(&c, 3, 2, 0, "");
    add(&c, 1, 2, 0, "a");
    add(&c, 3, 2, 0, "b");
    add(&c, 1, 2, 0, "cb");
    add(&c, 3, 2, 0, "d");
    add(&c, 1, 2, 0, "ed");
    add(&c, 3, 2, 0, "f");
    add(&c, 1, 2, 0, "gf");
    add(&c, 1, 2, 1, "h");
    add(&c, 6, 2, 1, "if");
    add(&c, 1, 2, 1, "ij");
    add(&c, 6, 2, 1, "kd");
    add(&c, 1, 2, 1, "kl");
    add(&c, 6, 2, 1, "mb");
    add(&c, 1, 2, 1, "mn");
    add(&c, 6, 0, 1, "o");
    costs(&c, 7, (const double[]){-1, 48, 48, 44, 44}, 5);
}

/* V6: unet2. e1 e2 m d2 d1 are a to e, then L f, gd1 g, gd2 h, ge1a i, gm j, ge2a k, ge2 l, ... */
static void test_unet(void **state)
{
    (void)state;
    graph_case c;
    graph_case_begin(&c);
    add(&c, 2, 4, 0, "");
    add(&c, 2, 2, 0, "a");
    add(&c, 2, 1, 0, "b");
    add(&c, 2, 2, 0, "cb");
    add(&c, 2, 4, 0, "da");
    add(&c, 1, 1, 1, "e");
    add(&c, 1, 4, 1, "fe");
    add(&c, 2, 2, 1, "gda");
    add(&c, 2, 4, 1, "gda");
    add(&c, 2, 1, 1, "hcb");
    add(&c, 2, 2, 1, "hcb");
    add(&c, 2, 2, 1, "jkcb");
    add(&c, 2, 4, 1, "lbai");
    add(&c, 2, 0, 1, "ma");
    costs(&c, 15, (const double[]){-1, 30, 28, 26, 26}, 5);
}

/* V9, orders of plain execution (OLLA's fixtures): values are nodes, named by their ends; all run
 * once, so that only the order is free. */
static void smallest(const graph_case *c, uint64_t expected)
{
    rf_graph_planner p;
    begin(&p, &c->g);
    rf_graph_answer a = answer(&p, expected, NULL);
    assert_true(a.feasible && a.exact && a.smallest_exact);
    assert_true(a.smallest_budget == expected && a.cost == a.plain_cost);
    assert_false(answer(&p, expected - 1, NULL).feasible);
    rf_graph_planner_end(&p);
}

static void test_plain_orders(void **state)
{
    (void)state;
    graph_case c;
    graph_case_begin(&c); /* simple: AB, then BC and BD, then DE, then E itself */
    add(&c, 1, 10, 1, "");
    add(&c, 1, 20, 1, "a");
    add(&c, 1, 30, 1, "a");
    add(&c, 1, 40, 1, "c");
    smallest(&c, 70);
    graph_case_begin(&c); /* diamond: AB a; BC b, BD c; DE d; EF e; CF f; FG g */
    add(&c, 1, 10, 1, "");
    add(&c, 1, 20, 1, "a");
    add(&c, 1, 30, 1, "a");
    add(&c, 1, 40, 1, "c");
    add(&c, 1, 50, 1, "d");
    add(&c, 1, 60, 1, "b");
    add(&c, 1, 10, 1, "ef");
    smallest(&c, 130);
    rf_graph_run r; /* the same with C before E */
    const rf_graph_step order[] = {run(0), run(1),  run(2), drop(0), run(5), drop(1),
                                   run(3), drop(2), run(4), drop(3), run(6)};
    assert_int_equal(rf_graph_simulate(&memory, &c.g, order, 11, &r), RF_OK);
    assert_true(r.peak == 150);
    graph_case_begin(&c); /* multi: AB, AC; BD; DE; CE; E */
    add(&c, 1, 10, 1, "");
    add(&c, 1, 20, 1, "");
    add(&c, 1, 30, 1, "a");
    add(&c, 1, 40, 1, "c");
    add(&c, 1, 50, 1, "b");
    add(&c, 1, 0, 1, "de");
    smallest(&c, 110);
    graph_case_begin(&c); /* B and C make one value together */
    add(&c, 1, 10, 1, "");
    add(&c, 1, 20, 1, "");
    add(&c, 1, 30, 1, "ab");
    smallest(&c, 60);
}

/* ---- V12: profiled graphs ---- */

static void profile(const char *name, uint64_t peak_mb, double cost, uint32_t num)
{
    graph_file f;
    graph_read(&f, name);
    rf_graph_planner p;
    begin(&p, &f.g);
    assert_int_equal(f.g.num_nodes, num);
    assert_int_equal((p.plain_peak + 500000) / 1000000, peak_mb);
    assert_true(p.plain_cost == cost);
    rf_graph_planner_end(&p);
    graph_file_free(&f);
}

static void test_profiles(void **state)
{
    (void)state;
    profile("resnet50", 38059, 405670, 353);
    profile("mobilenet", 34701, 162080, 185);
    profile("unet", 20959, 31005, 71);
}

static double overhead(rf_graph_planner *p, double share, const rf_graph_options *opts)
{
    rf_graph_answer a = answer(p, (uint64_t)(share * (double)p->plain_peak), opts);
    return a.feasible ? 100 * (a.cost / a.plain_cost - 1) : -1;
}

/* No plan is better than its proved optimum or bound, nor, after a second of moves, much worse than
 * what is known to be found. */
static void test_profile_overheads(void **state)
{
    (void)state;
    graph_file f;
    graph_read(&f, "unet");
    rf_graph_planner p;
    int fast = getenv("RF_TEST_FAST") != NULL;
    rf_graph_options opts = {.size = sizeof opts, .moves = fast ? 20000 : 600000};
    begin(&p, &f.g);
    assert_true(overhead(&p, 0.394, &opts) < 0);
    assert_true(fabs(overhead(&p, 0.8, &opts) - 1.984) < 0.001);
    double half = overhead(&p, 0.5, &opts), least = overhead(&p, 0.41, &opts);
    assert_true(half >= 6.30 && least >= half);
    assert_true(fast || (half <= 7.0 && least <= 12.6));
    rf_graph_planner_end(&p);
    graph_file_free(&f);
}

/* ---- what an answer promises ---- */

static void test_same_moves_same_plan(void **state)
{
    (void)state;
    graph_file f;
    graph_read(&f, "mobilenet");
    rf_graph_options opts = {.size = sizeof opts, .moves = 20000, .seed = 7};
    rf_graph_answer a[2];
    for (int i = 0; i < 2; i++) {
        rf_graph_planner p;
        begin(&p, &f.g);
        assert_int_equal(rf_graph_planner_answer(&p, p.plain_peak / 2, &opts, &a[i]), RF_OK);
        rf_graph_planner_end(&p);
    }
    assert_true(a[0].feasible && a[0].cost > a[0].plain_cost);
    assert_int_equal(a[0].steps.num, a[1].steps.num);
    assert_memory_equal(a[0].steps.v, a[1].steps.v, a[0].steps.num * sizeof *a[0].steps.v);
    for (int i = 0; i < 2; i++)
        rf_graph_answer_end(&memory, &a[i]);
    graph_file_free(&f);
}

/* V16.6: a larger budget never costs more, whatever order they are asked in. */
static void test_monotone(void **state)
{
    (void)state;
    graph_file f;
    graph_read(&f, "unet");
    rf_graph_planner p;
    rf_graph_options opts = {.size = sizeof opts, .moves = 2000};
    begin(&p, &f.g);
    uint64_t range = p.plain_peak - p.least.bytes;
    for (uint64_t i = 0; i <= 20; i++)
        answer(&p, p.least.bytes + range * (i * 8 % 21) / 20, &opts);
    double last = INFINITY;
    opts.moves = 1;
    for (uint64_t i = 0; i <= 20; i++) {
        rf_graph_answer a = answer(&p, p.least.bytes + range * i / 20, &opts);
        if (a.feasible) {
            assert_true(a.cost <= last);
            last = a.cost;
        }
    }
    assert_true(last == p.plain_cost);
    rf_graph_planner_end(&p);
    graph_file_free(&f);
}

/* A refusal names the smallest budget known, and the node that binds. */
static void test_refusal(void **state)
{
    (void)state;
    graph_case c;
    unit_linear(&c, 10);
    rf_graph_planner p;
    begin(&p, &c.g);
    rf_graph_answer a = answer(&p, 2, NULL);
    assert_true(!a.feasible && a.exact && isinf(a.cost_bound));
    assert_true(a.smallest_budget == 3 && a.smallest_exact && a.lower_bound == 3);
    assert_int_equal(a.binds, 11);
    rf_graph_planner_end(&p);

    graph_file f;
    graph_read(&f, "unet");
    begin(&p, &f.g);
    a = answer(&p, 1000, NULL);
    assert_true(!a.feasible && a.exact && a.steps.num == 0);
    assert_true(a.smallest_budget < p.plain_peak / 2 && a.smallest_budget >= a.lower_bound);
    assert_true(answer(&p, a.smallest_budget, NULL).feasible);
    rf_graph_planner_end(&p);
    graph_file_free(&f);
}

static double ticks(void *payload)
{
    return ++*(double *)payload;
}

static void test_time_limit(void **state)
{
    (void)state;
    graph_file f;
    graph_read(&f, "unet");
    for (double limit = 1; limit < 1000; limit *= 4) {
        double clock = 0;
        rf_graph_options opts = {sizeof opts, 0, 0, limit, ticks, &clock, 0, 0};
        rf_graph_planner p;
        begin(&p, &f.g);
        assert_true(answer(&p, p.plain_peak / 2, &opts).feasible);
        assert_true(clock >= limit && clock < limit + 8);
        rf_graph_planner_end(&p);
    }
    graph_file_free(&f);
}

static rf_status whole_call(const rf_allocator *a, const rf_graph *g, int no_exact)
{
    const char *why;
    rf_graph_planner p;
    rf_graph_answer out;
    rf_graph_options opts = {.size = sizeof opts, .moves = 60, .no_exact = no_exact};
    rf_status status = rf_graph_planner_begin(&p, a, g, &why);
    if (status)
        return status;
    for (int i = 0; i < 3 && !status; i++) {
        status = rf_graph_planner_answer(&p, 3 + (uint64_t)i, &opts, &out);
        rf_graph_answer_end(a, &out);
    }
    rf_graph_planner_end(&p);
    return status;
}

static void test_failing_allocations(void **state)
{
    (void)state;
    graph_case c;
    unit_linear(&c, 5);
    for (int no_exact = 0; no_exact < 2; no_exact++) {
        rf_status status = RF_E_MEMORY;
        size_t k = 0;
        while (status) {
            failing_allocator failing = {.fail_at = ++k};
            rf_allocator a = {failing_alloc, &failing};
            status = whole_call(&a, &c.g, no_exact);
            assert_int_equal(failing.bytes, 0);
            assert_true(status == (failing.calls >= k ? RF_E_MEMORY : RF_OK));
        }
        assert_true(k > 20);
    }
}

/* Nodes that cost nothing and hold nothing, one node, none at all. */
static void test_degenerate(void **state)
{
    (void)state;
    graph_case c;
    graph_case_begin(&c);
    rf_graph_planner p;
    for (int no_exact = 0; no_exact < 2; no_exact++) {
        rf_graph_options opts = {.size = sizeof opts, .moves = 1000, .no_exact = no_exact};
        graph_case_begin(&c);
        begin(&p, &c.g);
        assert_true(answer(&p, 0, &opts).feasible);
        rf_graph_planner_end(&p);
        add(&c, 0, 0, 0, "");
        begin(&p, &c.g);
        assert_true(answer(&p, 0, &opts).feasible);
        rf_graph_planner_end(&p);
        add(&c, 2, 5, 0, "aa");
        add(&c, 0, 0, 1, "ab");
        begin(&p, &c.g);
        assert_true(answer(&p, 5, &opts).feasible);
        assert_false(answer(&p, 4, &opts).feasible);
        assert_true(answer(&p, UINT64_MAX, &opts).cost == 2);
        rf_graph_planner_end(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_simulate_counts),
        cmocka_unit_test(test_simulate_refuses),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_unit_linear),
        cmocka_unit_test(test_unit_training),
        cmocka_unit_test(test_residual),
        cmocka_unit_test(test_unet),
        cmocka_unit_test(test_plain_orders),
        cmocka_unit_test(test_profiles),
        cmocka_unit_test(test_profile_overheads),
        cmocka_unit_test(test_same_moves_same_plan),
        cmocka_unit_test(test_monotone),
        cmocka_unit_test(test_refusal),
        cmocka_unit_test(test_time_limit),
        cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_degenerate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
