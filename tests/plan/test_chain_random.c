/* The chain planner on random chains, against the textbook recurrence and against itself.
 * RF_TEST_CASES sets how many chains. */
#include "plan/chain_parts.h"
#include "support/chain.h"
#include "support/failing.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static chain_case *drawn, *other;

static int setup(void **state)
{
    (void)state;
    drawn = malloc(sizeof *drawn);
    other = malloc(sizeof *other);
    return !drawn || !other;
}

static int teardown(void **state)
{
    (void)state;
    free(drawn);
    free(other);
    return 0;
}

static uint64_t num_cases(void)
{
    const char *text = getenv("RF_TEST_CASES");
    return text ? strtoull(text, NULL, 10) : getenv("RF_TEST_FAST") ? 50 : 1000;
}

static void begin(rf_chain_front *front, const chain_case *c, const rf_chain_front_options *opts)
{
    assert_int_equal(rf_chain_front_begin(front, &chain_alloc, &c->chain, opts), RF_OK);
}

static void check_points(rf_chain_front *front)
{
    assert_true(front->num > 0);
    assert_true(front->lower_bound <= front->points[0].peak);
    for (size_t i = 0; i < front->num; i++) {
        rf_chain_steps steps = {0};
        rf_chain_cost cost;
        const rf_chain_point *p = &front->points[i];
        assert_int_equal(rf_chain_front_steps(front, p, &steps), RF_OK);
        assert_int_equal(rf_chain_simulate(&cost, &front->alloc, front->chain, &steps), RF_OK);
        rf_chain_steps_end(&steps, &front->alloc);
        assert_true(cost.peak == p->peak && cost.time == p->time);
        assert_true(front->opts.free || p->plan.num);
        assert_true(!i || (p[-1].peak < p->peak && p[-1].time > p->time));
        assert_ptr_equal(rf_chain_front_find(front, p->peak), p);
        assert_true(rf_chain_front_find(front, p->peak - 1) == (i ? p - 1 : NULL));
    }
    assert_true(front->points[front->num - 1].time <= front->plain.time);
    assert_ptr_equal(rf_chain_front_find(front, UINT64_MAX), &front->points[front->num - 1]);
}

/* Every budget of a small chain: the textbook's time where it has one, and none where not. */
static void check_textbook(const rf_chain_front *front, uint64_t seed)
{
    uint64_t most = front->plain.peak - front->chain->input;
    double *time = chain_textbook(front->chain, most);
    for (uint64_t m = 0; m <= most; m++) {
        const rf_chain_point *p = rf_chain_front_find(front, m + front->chain->input);
        double found = p ? p->time : INFINITY;
        if (found != time[m])
            fail_msg("case %llu, %llu bytes: %g and not %g", (unsigned long long)seed,
                     (unsigned long long)m, found, time[m]);
    }
    free(time);
}

static void test_textbook(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= num_cases(); seed++) {
        rf_chain_front front;
        uint64_t random = seed;
        size_t n = 1 + chain_random(&random, 9);
        chain_draw(drawn, &random, n, 3, 16, 1);
        begin(&front, drawn, NULL);
        check_points(&front);
        check_textbook(&front, seed);
        rf_chain_front_end(&front);
    }
}

/* What stages leave goes with the outermost region. */
static void test_settling(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= num_cases() / 2; seed++) {
        rf_chain_front front;
        uint64_t random = seed;
        size_t n = 1 + chain_random(&random, 8);
        chain_draw(drawn, &random, n, 2, 12, 1);
        for (size_t i = 1; i < n; i++)
            if (seed % 2) /* equal stages, the last like the others */
                drawn->stages[i] = drawn->stages[0];
        drawn->chain.settles = 1;
        begin(&front, drawn, NULL);
        check_points(&front);
        check_textbook(&front, seed);
        rf_chain_front_end(&front);
    }
}

/* Chains with equal stages, whose sub-chains are shared, and one that breaks the row. */
static void test_shared(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= num_cases() / 10; seed++) {
        rf_chain_front front;
        uint64_t random = seed;
        size_t n = 4 + chain_random(&random, 8), odd = chain_random(&random, n);
        chain_draw(drawn, &random, n, 2, 10, 1);
        for (size_t i = 2; i < n; i++)
            if (i != odd)
                drawn->stages[i] = drawn->stages[chain_random(&random, 2)];
        drawn->stages[n - 1] = drawn->stages[0]; /* the same but for one size */
        drawn->stages[n - 1].gradient += 5 * (seed % 2);
        drawn->stages[n - 1].forward_workspace += 5 * ((seed + 1) % 2);
        begin(&front, drawn, NULL);
        check_points(&front);
        check_textbook(&front, seed);
        rf_chain_front_end(&front);
    }
}

static void check_same(const rf_chain_front *a, const rf_chain_front *b, uint64_t bytes,
                       double time)
{
    assert_int_equal(a->num, b->num);
    assert_true(a->lower_bound * bytes == b->lower_bound);
    for (size_t i = 0; i < a->num; i++) {
        assert_true(a->points[i].peak * bytes == b->points[i].peak);
        assert_true(a->points[i].time * time == b->points[i].time);
    }
}

/* All bytes three times and a thousand times as many, and all times eight times as long. */
static void scale(chain_case *c, uint64_t bytes, double time)
{
    c->chain.input *= bytes;
    c->chain.input_gradient *= bytes;
    for (size_t i = 0; i < c->chain.num_stages; i++) {
        rf_chain_stage *s = &c->stages[i];
        s->output *= bytes;
        s->gradient *= bytes;
        s->left *= bytes;
        s->forward_workspace *= bytes;
        s->forward *= time;
    }
    for (size_t i = 0; i < c->chain.num_options; i++) {
        rf_chain_option *o = &c->options[i];
        o->saved *= bytes;
        o->forward_workspace *= bytes;
        o->backward_workspace *= bytes;
        o->forward *= time;
        o->backward *= time;
    }
}

static void copy_case(chain_case *to, const chain_case *from)
{
    memcpy(to, from, sizeof *to);
    to->chain.stages = to->stages;
    to->chain.options = to->options;
}

static void test_scales(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= num_cases() / 10; seed++) {
        rf_chain_front front, scaled;
        uint64_t random = seed, bytes = seed % 2 ? 3 : 1000;
        chain_draw(drawn, &random, 20, 3, 100000, 1);
        copy_case(other, drawn);
        scale(other, bytes, 8);
        rf_chain_front_options opts = {.size = sizeof opts, .levels = 300};
        begin(&front, drawn, &opts);
        begin(&scaled, other, &opts);
        check_points(&front);
        check_same(&front, &scaled, bytes, 8);
        rf_chain_front_end(&front);
        rf_chain_front_end(&scaled);
    }
}

/* A stage of nothing at the end of a chain that ends with a value of no bytes. */
static void test_appended(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= num_cases() / 10; seed++) {
        rf_chain_front front, longer;
        uint64_t random = seed;
        chain_draw(drawn, &random, 6, 3, 16, 1);
        drawn->stages[5].output = drawn->stages[5].gradient = 0;
        copy_case(other, drawn);
        chain_stage(other, 0, 0, 0);
        chain_option(other, (rf_chain_option){.saved = 0});
        begin(&front, drawn, NULL);
        begin(&longer, other, NULL);
        check_same(&front, &longer, 1, 1);
        rf_chain_front_end(&front);
        rf_chain_front_end(&longer);
    }
}

/* Refining a front makes no budget slower, and a finer table no answer. */
static void test_refined(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= num_cases() / 20; seed++) {
        rf_chain_front front, coarse;
        uint64_t random = seed;
        chain_draw(drawn, &random, 10 + chain_random(&random, 30), 3, 1000000, 1);
        begin(&front, drawn, &(rf_chain_front_options){.size = sizeof front.opts, .levels = 200});
        begin(&coarse, drawn, &(rf_chain_front_options){.size = sizeof front.opts, .levels = 200});
        uint64_t least = front.points[0].peak, spread = front.plain.peak - least;
        for (uint64_t i = 0; i < 5; i++)
            chain_answer(&front, least + spread * i / 4);
        check_points(&front);
        assert_int_equal(front.points[0].peak, least);
        for (size_t i = 0; i < coarse.num; i++)
            assert_true(rf_chain_front_find(&front, coarse.points[i].peak)->time <=
                        coarse.points[i].time * (1 + 1e-9));
        rf_chain_front_end(&front);
        rf_chain_front_end(&coarse);
    }
}

/* However coarse the table: a budget asked for is answered to the byte, where the chain is short.
 */
static void test_to_the_byte(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= num_cases() / 10; seed++) {
        rf_chain_front front;
        uint64_t random = seed;
        chain_draw(drawn, &random, 1 + chain_random(&random, 8), 2, 97, 1);
        begin(&front, drawn, &(rf_chain_front_options){.size = sizeof front.opts, .levels = 16});
        uint64_t least = front.points[0].peak, most = front.plain.peak;
        double *time = chain_textbook(&drawn->chain, most - drawn->chain.input);
        for (uint64_t i = 0; i <= 6; i++) {
            uint64_t budget = least + (most - least) * i / 6;
            assert_true(chain_answer(&front, budget) == time[budget - drawn->chain.input]);
        }
        assert_true(isinf(time[least - drawn->chain.input - 1]));
        free(time);
        check_points(&front);
        rf_chain_front_end(&front);
    }
}

typedef struct gaps {
    size_t num, above_1, above_5;
} gaps;

/* How far the tables are from the search, on chains of n stages at 5 budgets. */
static void add_gaps(gaps *g, uint64_t seed, size_t n, size_t most_options)
{
    rf_chain_front front;
    rf_chain_front_options opts = {.size = sizeof opts, .free = 1, .no_exact = 1};
    uint64_t random = seed;
    chain_draw(drawn, &random, n, most_options, 1000000, 1);
    begin(&front, drawn, &opts);
    uint64_t least = front.points[0].peak, spread = front.plain.peak - least;
    for (uint64_t i = 0; i < 5; i++) {
        uint64_t budget = least + spread * i / 5;
        rf_chain_steps steps = {0};
        rf_chain_cost best;
        size_t states = (size_t)1 << 20;
        assert_int_equal(rf_chain_exact(&steps, &chain_alloc, &drawn->chain, budget, &states),
                         RF_OK);
        assert_int_equal(rf_chain_simulate(&best, &chain_alloc, &drawn->chain, &steps), RF_OK);
        rf_chain_steps_end(&steps, &chain_alloc);
        double gap = chain_answer(&front, budget) / best.time - 1;
        assert_true(best.peak <= budget && gap >= -1e-12);
        g->num++;
        g->above_1 += gap > 0.01;
        g->above_5 += gap > 0.05;
    }
    rf_chain_front_end(&front);
}

/* The tables alone, on chains that the search can still judge: within 1 % of the best schedule in
 * 95 cases of 100, and beyond 5 % in 1 of 100 at most. */
static void test_gaps(void **state)
{
    gaps g = {0, 0, 0};
    (void)state;
    for (uint64_t seed = 1; seed <= num_cases() / 50; seed++) {
        add_gaps(&g, seed, 4 + seed % 4, 3);
        add_gaps(&g, seed, 8 + seed % 3, 1);
        add_gaps(&g, seed, 8, 2);
    }
    print_message("%zu budgets: %zu more than 1 %% above the best, %zu more than 5 %%\n", g.num,
                  g.above_1, g.above_5);
    assert_true(g.above_1 * 20 <= g.num && g.above_5 * 100 <= g.num);
}

/* Several threads find what one finds. */
static void test_parallel(void **state)
{
    rf_chain_front front, other_front;
    uint64_t random = 5;
    (void)state;
    chain_draw(drawn, &random, 60, 2, 1000000, 1);
    begin(&front, drawn, &(rf_chain_front_options){.size = sizeof front.opts, .threads = 1});
    begin(&other_front, drawn, &(rf_chain_front_options){.size = sizeof front.opts, .threads = 3});
    check_same(&front, &other_front, 1, 1);
    rf_chain_front_end(&front);
    rf_chain_front_end(&other_front);
}

static rf_status whole_use(const rf_allocator *alloc, const rf_chain_front_options *opts)
{
    rf_chain_front front;
    rf_chain_steps steps = {0};
    rf_status status = rf_chain_front_begin(&front, alloc, &drawn->chain, opts);
    if (status)
        return status;
    status = rf_chain_front_refine(&front, front.plain.peak / 2);
    if (!status)
        status = rf_chain_front_steps(&front, &front.points[0], &steps);
    rf_chain_steps_end(&steps, alloc);
    rf_chain_front_end(&front);
    return status;
}

/* Whichever allocation fails: said, and nothing lost. */
static void fail_each(const rf_chain_front_options *opts)
{
    failing_allocator a = {0, 0, 0};
    rf_allocator alloc = {failing_alloc, &a};
    assert_int_equal(whole_use(&alloc, opts), RF_OK);
    assert_int_equal(a.bytes, 0);
    for (size_t k = 1, num = a.calls; k <= num; k++) {
        a = (failing_allocator){k, 0, 0};
        assert_int_equal(whole_use(&alloc, opts), RF_E_MEMORY);
        assert_int_equal(a.bytes, 0);
    }
}

static void test_no_memory(void **state)
{
    uint64_t random = 3;
    (void)state;
    chain_draw(drawn, &random, 7, 2, 40, 1);
    fail_each(&(rf_chain_front_options){.size = sizeof(rf_chain_front_options)});
    fail_each(&(rf_chain_front_options){.size = sizeof(rf_chain_front_options), .free = 1});
}

/* Short chains with any schedule, at every budget: the exhaustive search's time, and none where it
 * has none. */
static void test_exhaustive(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= num_cases() / 5; seed++) {
        rf_chain_front front;
        uint64_t random = seed;
        size_t n = 1 + chain_random(&random, 5), most = n > 4 ? 1 : 3;
        chain_draw(drawn, &random, n, most, 10, 1);
        begin(&front, drawn, &(rf_chain_front_options){.size = sizeof front.opts, .free = 1});
        check_points(&front);
        for (uint64_t budget = front.lower_bound; budget <= front.plain.peak; budget++) {
            const rf_chain_point *p = rf_chain_front_find(&front, budget);
            double found = p ? p->time : INFINITY, best = chain_exhaustive(&drawn->chain, budget);
            if (found != best)
                fail_msg("case %llu, %llu bytes: %g and not %g", (unsigned long long)seed,
                         (unsigned long long)budget, found, best);
        }
        rf_chain_front_end(&front);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_textbook),    cmocka_unit_test(test_shared),
        cmocka_unit_test(test_settling),    cmocka_unit_test(test_scales),
        cmocka_unit_test(test_appended),    cmocka_unit_test(test_refined),
        cmocka_unit_test(test_parallel),    cmocka_unit_test(test_exhaustive),
        cmocka_unit_test(test_to_the_byte), cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
