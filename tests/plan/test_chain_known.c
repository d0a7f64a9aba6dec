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

/* ---- GPT-2 124M on paper ---- */

/* Bytes are quarters of a vector of 768 per token; times are multiplications of a width by a width
 * per token. A block has 7 pieces that it may drop (ln1, qkv, attention, residual, ln2, fc, gelu)
 * and its output; what is dropped is computed again inside its backward. */
enum { PIECES = 7, QUARTERS = 4, BLOCKS = 12, GRADIENTS = 5 };
static const int piece_bytes[PIECES] = {1, 3, 1, 1, 1, 4, 4};

typedef struct paper {
    double vector; /* time to read or write a vector per token */
    double forward, piece[PIECES];
    int saved[1 << PIECES]; /* of each set of dropped pieces */
    double again[1 << PIECES];
} paper;

static void paper_begin(paper *p, double flops_per_byte)
{
    double v = p->vector = flops_per_byte * 2 / 768;
    const double pieces[PIECES] = {2 * v, 6, 8.0 / 3, 2 + 3 * v, 2 * v, 8, 8 * v};
    p->forward = 24 + 8.0 / 3 + 18 * v;
    for (int set = 0; set < 1 << PIECES; set++) {
        p->saved[set] = 16;
        p->again[set] = 0;
        for (int i = 0; i < PIECES; i++)
            if (set >> i & 1) {
                p->saved[set] -= piece_bytes[i];
                p->again[set] += pieces[i];
            }
    }
}

/* Whether another set is as small and as fast, and either better or met before. */
static int paper_beaten(const paper *p, int set)
{
    for (int other = 0; other < 1 << PIECES; other++) {
        int less = p->saved[other] - p->saved[set];
        double more = p->again[other] - p->again[set];
        if (less <= 0 && more <= 0 && (less < 0 || more < 0 || other < set))
            return 1;
    }
    return 0;
}

static void paper_block(const paper *p)
{
    chain_stage(known, QUARTERS, p->forward, 0);
    for (int set = 0; set < 1 << PIECES; set++) {
        uint64_t saved = (uint64_t)p->saved[set];
        if (paper_beaten(p, set))
            continue;
        chain_option(known,
                     (rf_chain_option){.saved = QUARTERS * saved,
                                       .forward = p->forward,
                                       .backward = 2 * p->forward + p->again[set],
                                       .backward_workspace = QUARTERS * (GRADIENTS + 16 - saved)});
    }
}

/* The last norm and the product with the vocabulary, its logits whole or in parts. */
static void paper_head(uint64_t logits)
{
    double time = 2 * 65.4375;
    chain_stage(known, 0, time, 0);
    chain_option(known, (rf_chain_option){.saved = QUARTERS + logits,
                                          .forward = time,
                                          .backward = 2 * time,
                                          .backward_workspace = QUARTERS});
}

static void paper_check(double flops_per_byte, uint64_t logits, const double *percent)
{
    static const int shares[] = {90, 80, 70, 60, 50, 40, 30, 25, 20, 15};
    rf_chain_front front;
    paper p;
    paper_begin(&p, flops_per_byte);
    chain_begin(known, QUARTERS);
    for (int i = 0; i < BLOCKS; i++)
        paper_block(&p);
    assert_int_equal(known->chain.num_options, BLOCKS * 15);
    paper_head(logits);
    begin(&front, NULL);
    assert_int_equal(front.plain.peak, QUARTERS * 196 + logits);
    assert_int_equal(front.points[0].peak, logits > 100 ? 282 : 100);
    for (size_t i = 0; i < 10; i++) {
        double time = chain_answer(&front, front.plain.peak * (uint64_t)shares[i] / 100);
        if (percent[i] < 0)
            assert_true(time < 0);
        else if (fabs(100 * (time / front.plain.time - 1) - percent[i]) > 0.15)
            fail_msg("%g FLOP/byte, at %d %%: %g and not %g %% slower", flops_per_byte, shares[i],
                     100 * (time / front.plain.time - 1), percent[i]);
    }
    rf_chain_front_end(&front);
}

static void test_gpt2(void **state)
{
    static const double gpu_whole[] = {1.3, 2.6, 4.4, 7.6, 10.9, 14.1, 21.7, -1, -1, -1};
    static const double gpu_parts[] = {1.0, 2.0, 3.0, 4.9, 7.4, 10.0, 12.5, 14.0, 16.0, 27.5};
    static const double cpu_whole[] = {0.2, 0.4, 1.6, 5.3, 9.1, 12.8, 19.9, -1, -1, -1};
    static const double cpu_parts[] = {0.2, 0.3, 0.5, 2.3, 5.2, 8.2, 11.1, 12.6, 14.5, 25.5};
    (void)state;
    paper_check(150, 262, gpu_whole);
    paper_check(150, 33, gpu_parts);
    paper_check(20, 262, cpu_whole);
    paper_check(20, 33, cpu_parts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_revolve), cmocka_unit_test(test_mixed), cmocka_unit_test(test_small),
        cmocka_unit_test(test_options), cmocka_unit_test(test_gpt2),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
