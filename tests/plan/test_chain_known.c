/* The chain planner against answers that are known: revolve's closed form, the mixed recurrence,
 * small chains that were searched exhaustively, and larger ones that were solved exactly. */
#include "support/chain.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static chain_case *known;

static int setup(void **state)
{
    (void)state;
    known = malloc(sizeof *known);
    return !known;
}

static int teardown(void **state)
{
    (void)state;
    free(known);
    return 0;
}

static void begin(rf_chain_front *front, const rf_chain_front_options *opts)
{
    assert_int_equal(rf_chain_front_begin(front, &chain_alloc, &known->chain, opts), RF_OK);
}

/* ---- revolve ---- */

/* C(c + r, c) */
static double binomial(int c, int r)
{
    double product = 1;
    for (int i = 1; i <= c; i++)
        product = product * (r + i) / i;
    return product;
}

/* The least number of advances more than one per step, of l steps with c states (Griewank 1992). */
static double revolve(int l, int c)
{
    int r = 1;
    while (binomial(c, r) < l)
        r++;
    return (double)r * l - binomial(c + 1, r - 1);
}

typedef struct revolve_row {
    int l, v[10];
} revolve_row;

static const int revolve_slots[] = {1, 2, 3, 4, 5, 8, 10, 16, 20, 50};
static const revolve_row revolve_rows[] = {
    {2, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
    {5, {10, 6, 5, 4, 4, 4, 4, 4, 4, 4}},
    {8, {28, 14, 11, 10, 9, 7, 7, 7, 7, 7}},
    {10, {45, 20, 15, 14, 13, 10, 9, 9, 9, 9}},
    {16, {120, 45, 33, 27, 25, 22, 20, 15, 15, 15}},
    {20, {190, 65, 45, 39, 33, 30, 28, 22, 19, 19}},
    {32, {496, 140, 93, 75, 68, 54, 52, 46, 42, 31}},
    {50, {1225, 285, 180, 144, 122, 95, 88, 82, 78, 49}},
    {56, {1540, 340, 210, 168, 140, 113, 100, 94, 90, 60}},
    {64, {2016, 420, 258, 200, 172, 137, 116, 110, 106, 76}},
    {100, {4950, 845, 490, 374, 316, 245, 222, 182, 178, 148}},
    {128, {8128, 1240, 694, 516, 430, 329, 306, 238, 234, 204}},
    {250, {31125, 3479, 1785, 1288, 1040, 780, 672, 579, 497, 448}},
    {256, {32640, 3608, 1845, 1330, 1074, 804, 690, 597, 515, 460}},
    {1000, {499500, 28820, 12155, 7998, 6284, 4285, 3636, 2860, 2747, 1948}},
    {1024, {523776, 29876, 12563, 8261, 6476, 4405, 3755, 2956, 2819, 1996}},
    {10000, {49995000, 932820, 278730, 157496, 112868, 68560, 57624, 44015, 37976, 28622}},
};

/* Steps with states of size 1 and records so large that two never fit: what is left to store is
 * states, which is revolve. Of the c states one is the input; one more is the input of the step
 * that runs backward. */
static double revolve_solved(int l, int c)
{
    rf_chain_front front;
    uint64_t record = (uint64_t)c + 2;
    chain_begin(known, 1);
    known->chain.input_gradient = 0;
    for (int i = 0; i < l; i++) {
        chain_stage(known, 1, 1, 0)->gradient = 0;
        chain_option(known, (rf_chain_option){.saved = record, .forward = 1});
    }
    begin(&front, &(rf_chain_front_options){.size = sizeof front.opts, .levels = 500});
    double time = chain_answer(&front, 1 + (uint64_t)c + record);
    rf_chain_front_end(&front);
    return time - l;
}

static void test_revolve(void **state)
{
    (void)state;
    int most = getenv("RF_TEST_FAST") ? 56 : 256;
    for (size_t i = 0; i < sizeof revolve_rows / sizeof revolve_rows[0]; i++)
        for (size_t j = 0; j < 10; j++) {
            const revolve_row *row = &revolve_rows[i];
            assert_true(revolve(row->l, revolve_slots[j]) == row->v[j]);
            if (row->l > most)
                continue;
            double solved = revolve_solved(row->l, revolve_slots[j]);
            if (solved != row->v[j])
                fail_msg("%d steps, %d states: %g advances more, not %d", row->l, revolve_slots[j],
                         solved, row->v[j]);
        }
}

/* ---- a slot for a state or a record ---- */

static void test_mixed(void **state)
{
    static const int answers[][3] = {{4, 1, 9},     {5, 2, 8},     {10, 1, 54}, {10, 2, 26},
                                     {10, 3, 19},   {10, 4, 17},   {10, 5, 15}, {10, 8, 12},
                                     {16, 3, 40},   {20, 3, 55},   {20, 5, 38}, {50, 5, 138},
                                     {100, 5, 352}, {100, 10, 237}};
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        rf_chain_front front;
        chain_begin(known, 1);
        known->chain.input_gradient = 0;
        for (int j = 0; j < answers[i][0]; j++) {
            chain_stage(known, 1, 1, 0)->gradient = 0;
            chain_option(known, (rf_chain_option){.saved = 1, .forward = 1});
        }
        begin(&front, NULL);
        assert_true(chain_answer(&front, 2 + (uint64_t)answers[i][1]) == answers[i][2]);
        rf_chain_front_end(&front);
    }
}

/* ---- chains of one option, searched exhaustively ---- */

typedef struct small_chain {
    int n;
    uint64_t sizes[8], records[8];
    double forward[8];
    double answers[24][3]; /* budget, persistent, best; -1: none */
} small_chain;

static const small_chain small_chains[] = {
    {6,
     {1, 1, 1, 1, 1, 1, 0},
     {3, 3, 3, 3, 3, 2},
     {1, 1, 1, 1, 1, 1},
     {{6, -1, -1},
      {7, 29, 29},
      {8, 25, 25},
      {9, 23, 23},
      {10, 22, 22},
      {11, 22, 21},
      {12, 21, 21},
      {13, 21, 20},
      {14, 20, 20},
      {16, 20, 19},
      {17, 19, 19},
      {19, 18, 18}}},
    {3, {4, 1, 2, 0}, {1, 4, 2}, {1, 4, 2}, {{11, -1, -1}, {12, 25, 22}, {13, 21, 21}}},
};

static void small_make(const small_chain *s)
{
    chain_begin(known, s->sizes[0]);
    for (int i = 0; i < s->n; i++) {
        chain_stage(known, s->sizes[i + 1], s->forward[i], 0);
        chain_option(known, (rf_chain_option){.saved = s->records[i],
                                              .forward = s->forward[i],
                                              .backward = 2 * s->forward[i]});
    }
}

static void small_check(const small_chain *s, int free_schedules)
{
    rf_chain_front front;
    begin(&front, &(rf_chain_front_options){.size = sizeof front.opts, .free = free_schedules});
    for (size_t i = 0; s->answers[i][0] > 0; i++) {
        const double *a = s->answers[i];
        double time = chain_answer(&front, (uint64_t)a[0]);
        if (time != a[free_schedules ? 2 : 1])
            fail_msg("%d stages, budget %g: %g, not %g", s->n, a[0], time,
                     a[free_schedules ? 2 : 1]);
    }
    rf_chain_front_end(&front);
}

static void test_small(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof small_chains / sizeof small_chains[0]; i++) {
        small_make(&small_chains[i]);
        small_check(&small_chains[i], 0);
        small_check(&small_chains[i], 1);
    }
}

/* ---- four options per stage ---- */

static void options_make(int n)
{
    chain_begin(known, 1);
    for (int i = 0; i < n; i++) {
        int last = i == n - 1;
        chain_stage(known, !last, 1, 1);
        for (uint64_t k = 0; k < 4; k++)
            chain_option(known, (rf_chain_option){.saved = last ? 2 * k : 1 + k,
                                                  .forward = 1,
                                                  .backward = 2 + 0.3 * (double)(3 - k),
                                                  .forward_workspace = 1,
                                                  .backward_workspace = 3 - k});
    }
}

static void options_check(int n, const double (*answers)[2], size_t num)
{
    rf_chain_front front;
    options_make(n);
    begin(&front,
          &(rf_chain_front_options){.size = sizeof front.opts, .levels = n < 1000 ? 500 : 3000});
    for (size_t i = 0; i < num; i++) {
        double time = chain_answer(&front, 1 + (uint64_t)answers[i][0]);
        if (fabs(time - answers[i][1]) > (n < 1000 ? 1e-9 : 1e-4) * time)
            fail_msg("%d stages, budget %g: %g, not %g", n, answers[i][0], time, answers[i][1]);
    }
    rf_chain_front_end(&front);
}

static void test_options(void **state)
{
    static const double four[][2] = {{7, 16.4},  {8, 15.3},  {9, 15.0},  {10, 14.6}, {11, 14.3},
                                     {12, 14.0}, {13, 13.8}, {14, 13.5}, {19, 12.0}};
    static const double fifty[][2] = {{20, 208.5},  {30, 195.3},  {40, 192.0},  {60, 186.6},
                                      {100, 176.3}, {150, 163.6}, {200, 150.9}, {300, 150.0}};
    static const double thousand[][2] = {{500, 3877.9}, {2000, 3501.3}};
    (void)state;
    options_check(4, four, sizeof four / sizeof four[0]);
    options_check(50, fifty, sizeof fifty / sizeof fifty[0]);
    if (!getenv("RF_TEST_FAST"))
        options_check(1000, thousand, sizeof thousand / sizeof thousand[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_revolve),
        cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
