/* Offsets in one arena: known answers, against every order of few blocks, and properties of many.
 */
#include "support/world.h"
#include "support/failing.h"
#include "plan/place.h"

static uint32_t place_random(uint64_t *state, uint32_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*state >> 33) % below);
}

/* Fewer steps of search where they are slow. */
static uint64_t effort_here(void)
{
    return getenv("RF_TEST_FAST") ? 2000000 : 20000000;
}

static int places_meet(const rf_place_block *a, const rf_place_block *b)
{
    return a->start <= b->end && b->start <= a->end;
}

static uint64_t load_of(const rf_place_block *blocks, size_t num)
{
    uint64_t load = 0;
    for (size_t i = 0; i < num; i++) { /* the load grows only where a block starts */
        uint64_t sum = 0;
        for (size_t j = 0; j < num; j++)
            if (blocks[j].start <= blocks[i].start && blocks[i].start <= blocks[j].end)
                sum += blocks[j].bytes;
        load = sum > load ? sum : load;
    }
    return load;
}

/* Nothing overlaps, and what is said of the placement is so. */
static void verify(const rf_place_block *blocks, size_t num, const uint64_t *at,
                   const rf_placement *result)
{
    uint64_t top = 0;
    for (size_t i = 0; i < num; i++) {
        if (at[i] + blocks[i].bytes > top)
            top = at[i] + blocks[i].bytes;
        for (size_t j = 0; j < i; j++)
            if (places_meet(&blocks[i], &blocks[j]) && at[i] < at[j] + blocks[j].bytes &&
                at[j] < at[i] + blocks[i].bytes)
                fail_msg("blocks %zu and %zu overlap", j, i);
    }
    assert_int_equal(result->top, top);
    assert_int_equal(result->load, load_of(blocks, num));
    assert_in_range(result->bound, result->load, result->top);
}

static rf_placement place(world *w, const rf_place_block *blocks, size_t num)
{
    rf_place_problem problem = {.blocks = blocks, .num = num, .effort = effort_here()};
    rf_placement result;
    uint64_t *at = calloc(num + 1, sizeof *at);
    assert_ok(w->ctx, rf_place(w->ctx, &problem, at, &result));
    verify(blocks, num, at, &result);
    free(at);
    return result;
}

static void test_known_answers(void **state)
{
    static const rf_place_block a[] = {{1, 10, 1}, {2, 3, 9}, {4, 13, 1},  {5, 6, 8},
                                       {7, 16, 1}, {8, 9, 7}, {11, 12, 8}, {14, 15, 7}};
    static const rf_place_block b[] = {{3, 6, 2}, {6, 8, 2}, {6, 6, 2}, {2, 5, 3},
                                       {7, 8, 3}, {3, 4, 2}, {8, 8, 2}, {5, 7, 1}};
    rf_placement result = place(*state, a, sizeof a / sizeof *a);
    assert_int_equal(result.load, 10);
    assert_int_equal(result.top, 10);
    result = place(*state, b, sizeof b / sizeof *b);
    assert_int_equal(result.load, 7);
    assert_int_equal(result.top, 8);
    assert_int_equal(result.bound, 8); /* known to be the least, above the load */
}

static void test_nothing_and_blocks_of_no_bytes(void **state)
{
    static const rf_place_block empty[] = {{1, 5, 0}, {0, UINT64_MAX, 64}, {2, 2, 0}};
    assert_int_equal(place(*state, NULL, 0).top, 0);
    assert_int_equal(place(*state, empty, 1).top, 0);
    assert_int_equal(place(*state, empty, 3).top, 64);
}

static void test_bad_blocks_are_refused(void **state)
{
    world *w = *state;
    rf_place_block blocks[2] = {{0, 3, 64}, {5, 4, 64}};
    rf_place_problem problem = {.blocks = blocks, .num = 2};
    rf_placement result;
    uint64_t at[2];
    assert_int_equal(rf_place(w->ctx, &problem, at, &result), RF_E_ARGUMENT);
    blocks[1] = (rf_place_block){1, 2, INT64_MAX - 63};
    assert_int_equal(rf_place(w->ctx, &problem, at, &result), RF_E_ARGUMENT);
    blocks[1].bytes--;
    assert_ok(w->ctx, rf_place(w->ctx, &problem, at, &result));
    assert_int_equal(result.top, INT64_MAX);
}

/* ---- against every order ---- */

/* The least arena: each block on top of what it meets of those before, in every order. */
static uint64_t least_of(const rf_place_block *blocks, size_t num, uint64_t *at, unsigned placed)
{
    uint64_t least = UINT64_MAX;
    if (placed + 1 == 1u << num) {
        least = 0;
        for (size_t i = 0; i < num; i++)
            least = at[i] + blocks[i].bytes > least ? at[i] + blocks[i].bytes : least;
        return least;
    }
    for (size_t i = 0; i < num; i++) {
        if (placed >> i & 1)
            continue;
        at[i] = 0;
        for (size_t j = 0; j < num; j++)
            if (placed >> j & 1 && places_meet(&blocks[i], &blocks[j]) &&
                at[j] + blocks[j].bytes > at[i])
                at[i] = at[j] + blocks[j].bytes;
        uint64_t top = least_of(blocks, num, at, placed | 1u << i);
        least = top < least ? top : least;
    }
    return least;
}

static size_t blocks_make(rf_place_block *blocks, size_t num, uint64_t *random)
{
    uint32_t time = 1 + place_random(random, 2 * (uint32_t)num), life, most;
    most = 1 + place_random(random, 12);
    for (size_t i = 0; i < num; i++) {
        life = place_random(random, time);
        blocks[i].start = 1000 + 10 * (uint64_t)place_random(random, time);
        blocks[i].end = blocks[i].start + 10 * (uint64_t)life + place_random(random, 10);
        blocks[i].bytes = 1 + place_random(random, most);
    }
    return num;
}

static void test_few_blocks_are_placed_exactly(void **state)
{
    uint64_t random = 1, at[7];
    rf_place_block blocks[7];
    for (int i = 0; i < (getenv("RF_TEST_FAST") ? 100 : 1000); i++) {
        size_t num = blocks_make(blocks, 1 + place_random(&random, 7), &random);
        rf_placement result = place(*state, blocks, num);
        uint64_t least = least_of(blocks, num, at, 0);
        assert_int_equal(result.top, least);
        assert_int_equal(result.bound, least);
    }
}

/* ---- many ---- */

/* A step: values that live from forward to backward, gradients, and what lives for one op; above
 * blocks that live throughout. */
static size_t step_make(rf_place_block *blocks, uint32_t layers, uint64_t *random)
{
    size_t num = 0;
    for (uint32_t i = 0; i < layers; i++) {
        uint64_t bytes = 64 * (1 + (uint64_t)place_random(random, 64)), back = 8u * layers - 4u * i;
        if (place_random(random, 3))
            blocks[num++] = (rf_place_block){4u * i, back + place_random(random, 4), bytes};
        blocks[num++] = (rf_place_block){4u * i, 4u * i + place_random(random, 5), 2 * bytes};
        blocks[num++] = (rf_place_block){back, back + place_random(random, 7), bytes};
        if (!place_random(random, 4))
            blocks[num++] = (rf_place_block){0, UINT64_MAX, bytes};
    }
    return num;
}

static void test_steps_fit_within_two_percent(void **state)
{
    uint64_t random = 7;
    rf_place_block *blocks = malloc(4 * 400 * sizeof *blocks);
    for (uint32_t layers = 5; layers < 400; layers += 79) {
        rf_placement result = place(*state, blocks, step_make(blocks, layers, &random));
        if (result.top * 50 > result.load * 51)
            fail_msg("%u layers: %llu for a load of %llu", layers, (unsigned long long)result.top,
                     (unsigned long long)result.load);
    }
    free(blocks);
}

static void test_the_answer_is_always_the_same(void **state)
{
    world *w = *state;
    uint64_t random = 11, first[200], second[200];
    rf_place_block blocks[200];
    rf_place_problem problem = {.blocks = blocks, .num = 200, .effort = effort_here()};
    rf_placement result, again;
    blocks_make(blocks, 200, &random);
    assert_ok(w->ctx, rf_place(w->ctx, &problem, first, &result));
    assert_ok(w->ctx, rf_place(w->ctx, &problem, second, &again));
    assert_memory_equal(first, second, sizeof first);
    assert_memory_equal(&result, &again, sizeof result);
}

static void test_more_effort_and_a_goal(void **state)
{
    world *w = *state;
    uint64_t random = 13, at[300];
    rf_place_block blocks[300];
    rf_place_problem problem = {.blocks = blocks, .num = 300, .effort = 1};
    rf_placement little, much, enough;
    blocks_make(blocks, 300, &random);
    assert_ok(w->ctx, rf_place(w->ctx, &problem, at, &little));
    verify(blocks, 300, at, &little);
    problem.effort = effort_here();
    assert_ok(w->ctx, rf_place(w->ctx, &problem, at, &much));
    assert_true(much.top <= little.top);
    problem.goal = little.top;
    assert_ok(w->ctx, rf_place(w->ctx, &problem, at, &enough));
    verify(blocks, 300, at, &enough);
    assert_true(enough.top <= little.top);
}

static void test_twenty_thousand_blocks(void **state)
{
    world *w = *state;
    uint64_t random = 17;
    uint32_t layers = getenv("RF_TEST_FAST") ? 600 : 6000;
    rf_place_block *blocks = malloc(4 * layers * sizeof *blocks);
    rf_place_problem problem = {.blocks = blocks};
    rf_placement result;
    problem.num = step_make(blocks, layers, &random);
    uint64_t *at = malloc(problem.num * sizeof *at);
    assert_ok(w->ctx, rf_place(w->ctx, &problem, at, &result));
    assert_true(result.top * 100 <= result.load * 102);
    free(at);
    free(blocks);
}

static void test_each_allocation_fails_once(void **state)
{
    uint64_t random = 19, at[100];
    rf_place_block blocks[100];
    rf_place_problem problem = {.blocks = blocks, .num = 100, .effort = 1000};
    rf_placement result;
    rf_status status = RF_E_MEMORY;
    (void)state;
    blocks_make(blocks, 100, &random);
    for (size_t k = 1; status; k++) {
        failing_allocator a = {0};
        rf_context *ctx = failing_context(&a);
        a.fail_at = a.calls + k;
        status = rf_place(ctx, &problem, at, &result);
        assert_true(status == RF_OK || status == RF_E_MEMORY);
        rf_context_destroy(ctx);
        assert_int_equal(a.bytes, 0);
        assert_true(k < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_known_answers, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_nothing_and_blocks_of_no_bytes, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_bad_blocks_are_refused, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_few_blocks_are_placed_exactly, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_steps_fit_within_two_percent, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_the_answer_is_always_the_same, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_more_effort_and_a_goal, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_twenty_thousand_blocks, world_setup, world_teardown),
        cmocka_unit_test(test_each_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
