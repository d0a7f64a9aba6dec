/* The recurrences of revolve, Disk-Revolve and H-Revolve, and the knapsack, at known answers. */
#include "support/world.h"
#include "support/knapsack.h"
#include "support/levels.h"

static void test_revolve(void **state)
{
    static const uint64_t slots[] = {1, 2, 3, 4, 5, 8, 10, 16, 20, 50};
    static const uint64_t table[][11] = {
        {2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
        {5, 10, 6, 5, 4, 4, 4, 4, 4, 4, 4},
        {8, 28, 14, 11, 10, 9, 7, 7, 7, 7, 7},
        {10, 45, 20, 15, 14, 13, 10, 9, 9, 9, 9},
        {16, 120, 45, 33, 27, 25, 22, 20, 15, 15, 15},
        {20, 190, 65, 45, 39, 33, 30, 28, 22, 19, 19},
        {32, 496, 140, 93, 75, 68, 54, 52, 46, 42, 31},
        {50, 1225, 285, 180, 144, 122, 95, 88, 82, 78, 49},
        {56, 1540, 340, 210, 168, 140, 113, 100, 94, 90, 60},
        {64, 2016, 420, 258, 200, 172, 137, 116, 110, 106, 76},
        {100, 4950, 845, 490, 374, 316, 245, 222, 182, 178, 148},
        {128, 8128, 1240, 694, 516, 430, 329, 306, 238, 234, 204},
        {250, 31125, 3479, 1785, 1288, 1040, 780, 672, 579, 497, 448},
        {256, 32640, 3608, 1845, 1330, 1074, 804, 690, 597, 515, 460},
        {1000, 499500, 28820, 12155, 7998, 6284, 4285, 3636, 2860, 2747, 1948},
        {1024, 523776, 29876, 12563, 8261, 6476, 4405, 3755, 2956, 2819, 1996},
        {10000, 49995000, 932820, 278730, 157496, 112868, 68560, 57624, 44015, 37976, 28622}};
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (size_t c = 0; c < 10; c++)
            assert_int_equal(rf_levels_revolve(table[i][0], slots[c]), table[i][c + 1]);
    assert_int_equal(rf_levels_revolve(0, 1), 0);
    assert_int_equal(rf_levels_revolve(1, 1), 0);
}

/* The closed form is what the recurrence gives. */
static void test_revolve_is_its_recurrence(void **state)
{
    uint64_t t[61][13] = {{0}};
    (void)state;
    for (uint64_t l = 2; l <= 60; l++) {
        t[l][1] = l * (l - 1) / 2;
        for (uint64_t c = 2; c <= 12; c++) {
            t[l][c] = UINT64_MAX;
            for (uint64_t j = 1; j < l; j++)
                if (j + t[j][c] + t[l - j][c - 1] < t[l][c])
                    t[l][c] = j + t[j][c] + t[l - j][c - 1];
        }
        for (uint64_t c = 1; c <= 12; c++)
            assert_int_equal(rf_levels_revolve(l, c), t[l][c]);
    }
}

/* A disk behind memory: slots (0 for any number) and what steps 3, 4, ... or a list cost. */
typedef struct levels_case {
    size_t memory, disk;
    double write, read, backward;
    size_t steps[4];
    double cost[4];
} levels_case;

static const levels_case levels_cases[] = {
    {1, 0, 1, 1, 0, {3, 4, 5, 6}, {3, 6, 8, 11}},
    {2, 0, 1, 1, 0, {3, 4, 5, 6}, {2, 4, 6, 8}},
    {1, 0, 2, 2, 0, {3, 4, 5, 6}, {3, 6, 10, 13}},
    {1, 0, 1, .5, 0, {3, 4, 5, 6}, {3, 5.5, 7.5, 10}},
    {1, 0, .5, .5, 0, {3, 4, 5, 6}, {3, 5, 7, 9}},
    {1, 1, .5, .5, 0, {3, 4, 5, 6}, {3, 5, 7, 9.5}},
    {1, 0, 1, 1, 1, {5, 10, 20, 50}, {13, 31, 66, 171}},
    {2, 0, 1, 1, 1, {5, 10, 20, 50}, {11, 28, 61, 161}},
    {3, 0, 1, 1, 1, {5, 10, 20, 50}, {10, 25, 58, 155}},
    {1, 0, 2, 2, 1, {5, 10, 20, 50}, {15, 36, 80, 210}},
    {2, 0, 2, 2, 1, {5, 10, 20, 50}, {11, 30, 70, 190}},
    {3, 0, 2, 2, 1, {5, 10, 20, 50}, {10, 25, 63, 175}},
    {1, 0, 5, 5, 1, {5, 10, 20, 50}, {15, 45, 103, 279}},
    {2, 0, 5, 5, 1, {5, 10, 20, 50}, {11, 30, 80, 230}},
    {3, 0, 5, 5, 1, {5, 10, 20, 50}, {10, 25, 65, 200}},
    {1, 1, 1, 1, 1, {5, 10, 20}, {13, 34, 90}},
    {1, 2, 1, 1, 1, {5, 10, 20}, {13, 32, 77}},
    {2, 2, 1, 1, 1, {5, 10, 20}, {11, 28, 66}},
    {2, 3, 1, 1, 1, {5, 10, 20}, {11, 28, 64}},
    {3, 3, 1, 1, 1, {5, 10, 20}, {10, 25, 58}},
    {1, 1, 2, 2, 1, {5, 10, 20}, {15, 37, 95}},
    {2, 2, 2, 2, 1, {5, 10, 20}, {11, 30, 70}},
    {3, 3, 2, 2, 1, {5, 10, 20}, {10, 25, 63}},
    {1, 1, .5, .5, 1, {5, 10, 20}, {12, 32, 87.5}},
    {2, 2, .5, .5, 1, {5, 10, 20}, {11, 26, 63}},
    {2, 3, .5, .5, 1, {5, 10, 20}, {11, 26, 59.5}},
    {3, 3, .5, .5, 1, {5, 10, 20}, {10, 25, 55}},
};

static void test_levels(void **state)
{
    world *w = *state;
    for (size_t i = 0; i < sizeof levels_cases / sizeof *levels_cases; i++) {
        const levels_case *c = &levels_cases[i];
        rf_level levels[2] = {{c->memory, 0, 0}, {c->disk, c->write, c->read}};
        rf_levels problem = {levels, 2, 1, c->backward};
        double cost[51];
        assert_ok(w->ctx, rf_levels_costs(w->ctx, &problem, 50, cost));
        for (size_t k = 0; k < 4 && c->steps[k]; k++)
            if (cost[c->steps[k]] != c->cost[k])
                fail_msg("case %zu: %zu steps cost %g and not %g", i, c->steps[k],
                         cost[c->steps[k]], c->cost[k]);
    }
}

/* A level more never costs more, one that is too slow changes nothing, and any number of slots is
 * as many as there are steps. */
static void test_more_levels(void **state)
{
    world *w = *state;
    const rf_level levels[3] = {{2, 0, 0}, {2, 1, 1}, {3, 4, 4}};
    const rf_level slow[2] = {{2, 0, 0}, {4, 1e6, 1e6}};
    const rf_level any[2] = {{2, 0, 0}, {0, 1, 2}}, many[2] = {{2, 0, 0}, {40, 1, 2}};
    double one[41], two[41], three[41], other[41];
    rf_levels problem = {levels, 1, 1, 2};
    assert_ok(w->ctx, rf_levels_costs(w->ctx, &problem, 40, one));
    problem.num = 2;
    assert_ok(w->ctx, rf_levels_costs(w->ctx, &problem, 40, two));
    problem.num = 3;
    assert_ok(w->ctx, rf_levels_costs(w->ctx, &problem, 40, three));
    for (size_t n = 0; n <= 40; n++)
        assert_true(one[n] >= two[n] && two[n] >= three[n]);
    assert_true(one[40] > two[40] && two[40] > three[40]);
    problem = (rf_levels){slow, 2, 1, 2};
    assert_ok(w->ctx, rf_levels_costs(w->ctx, &problem, 40, other));
    assert_memory_equal(one, other, sizeof one);
    problem.levels = any;
    assert_ok(w->ctx, rf_levels_costs(w->ctx, &problem, 40, one));
    problem.levels = many;
    assert_ok(w->ctx, rf_levels_costs(w->ctx, &problem, 40, two));
    assert_memory_equal(one, two, sizeof one);
    problem.num = 0;
    assert_int_equal(rf_levels_costs(w->ctx, &problem, 40, two), RF_E_ARGUMENT);
}

/* ---- the knapsack ---- */

typedef struct knapsack_case {
    size_t num;
    double bytes[8], value[8], cap, best;
} knapsack_case;

static const knapsack_case knapsack_cases[] = {
    {5, {2, 3, 2, 4, 1}, {1, 2, 1, 3, 2}, 5, 5},
    {3, {1, 1, 1}, {1, 2, 3}, 3, 6},
    {3, {10, 20, 30}, {1, 2, 3}, 5, 0},
    {3, {1, 2, 3}, {10, 20, 30}, 1, 10},
    {3, {0, 2, 3}, {5, 2, 3}, 5, 10},
    {3, {100, 200, 300}, {1000, 2000, 3000}, 500, 5000},
    {3, {.5, 1.5, 2}, {1, 2, 3}, 2, 3},
    {4, {25, 5, 22, 26}, {25, 2, 27, 28}, 72, 57},
    {8, {2, 19, 25, 2, 14, 3, 9, 7}, {47, 21, 12, 8, 12, 45, 24, 2}, 29, 128},
    {0, {0}, {0}, 5, 0},
    {2, {0, 0}, {0, 3}, -1, 0},
};

/* The value of what was taken; fails if it passes the cap. */
static double knapsack_worth(const rf_knapsack *problem, const uint8_t *taken)
{
    double bytes = 0, value = 0;
    for (size_t i = 0; i < problem->num; i++) {
        bytes += taken[i] ? problem->bytes[i] : 0;
        value += taken[i] ? problem->value[i] : 0;
    }
    assert_true(value == 0 || bytes <= problem->cap);
    return value;
}

static void test_knapsack(void **state)
{
    world *w = *state;
    for (size_t i = 0; i < sizeof knapsack_cases / sizeof *knapsack_cases; i++) {
        const knapsack_case *c = &knapsack_cases[i];
        rf_knapsack problem = {.num = c->num, .bytes = c->bytes, .value = c->value, .cap = c->cap};
        uint8_t taken[8] = {0};
        double value;
        int exact;
        assert_ok(w->ctx, rf_knapsack_solve(w->ctx, &problem, taken, &value, &exact));
        assert_true(exact);
        if (value != c->best || knapsack_worth(&problem, taken) != value)
            fail_msg("case %zu: %g and not %g", i, value, c->best);
    }
}

static void test_knapsack_is_every_subset(void **state)
{
    world *w = *state;
    uint32_t random = 1;
    for (int round = 0; round < 300; round++) {
        double bytes[10], value[10], best = 0, found;
        uint8_t taken[10];
        int exact;
        for (size_t i = 0; i < 10; i++) { /* eighths: their sums are exact */
            random = random * 1664525 + 1013904223;
            bytes[i] = (random >> 16 & 63) / 8.0;
            value[i] = (random >> 24 & 31) / 8.0;
        }
        rf_knapsack problem = {.num = 10, .bytes = bytes, .value = value, .cap = round % 40};
        for (unsigned set = 0; set < 1024; set++) {
            double b = 0, v = 0;
            for (size_t i = 0; i < 10; i++) {
                b += set >> i & 1 ? bytes[i] : 0;
                v += set >> i & 1 ? value[i] : 0;
            }
            best = b <= problem.cap && v > best ? v : best;
        }
        assert_ok(w->ctx, rf_knapsack_solve(w->ctx, &problem, taken, &found, &exact));
        assert_true(exact && found == best && knapsack_worth(&problem, taken) == best);
    }
}

static void test_knapsack_refuses_and_gives_up(void **state)
{
    world *w = *state;
    double bytes[30], value[30], best;
    uint8_t taken[30];
    int exact;
    for (size_t i = 0; i < 30; i++)
        bytes[i] = value[i] = 100 + (double)(i * i % 17);
    rf_knapsack problem = {.num = 30, .bytes = bytes, .value = value, .cap = 1555.5, .effort = 100};
    assert_ok(w->ctx, rf_knapsack_solve(w->ctx, &problem, taken, &best, &exact));
    assert_false(exact);
    assert_true(knapsack_worth(&problem, taken) == best && best > 1400);
    bytes[3] = -1;
    assert_int_equal(rf_knapsack_solve(w->ctx, &problem, taken, &best, &exact), RF_E_ARGUMENT);
    bytes[3] = 0.0 / bytes[0];
    value[3] = (bytes[0] - bytes[0]) / (bytes[0] - bytes[0]); /* no number */
    assert_int_equal(rf_knapsack_solve(w->ctx, &problem, taken, &best, &exact), RF_E_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_revolve),
        cmocka_unit_test(test_revolve_is_its_recurrence),
        cmocka_unit_test_setup_teardown(test_levels, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_more_levels, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_knapsack, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_knapsack_is_every_subset, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_knapsack_refuses_and_gives_up, world_setup,
                                        world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
