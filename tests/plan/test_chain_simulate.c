/* The verifier of steps: what it counts, and what it refuses. */
#include "support/chain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static chain_case two;

/* Values of 10, 20, 30 bytes with gradients of 11, 21, 31; stage 0 has two options. */
static int setup(void **state)
{
    (void)state;
    chain_begin(&two, 10);
    two.chain.input_gradient = 11;
    chain_stage(&two, 20, 1, 3)->gradient = 21;
    chain_option(&two, (rf_chain_option){100, 2, 4, 5, 7});
    chain_option(&two, (rf_chain_option){50, 8, 16, 0, 200});
    chain_stage(&two, 30, 32, 6)->gradient = 31;
    chain_option(&two, (rf_chain_option){60, 64, 128, 9, 1});
    return 0;
}

static rf_status walk(const rf_chain_step *steps, size_t num, rf_chain_cost *cost)
{
    rf_chain_step copy[16];
    memcpy(copy, steps, num * sizeof *steps);
    return rf_chain_simulate(cost, &chain_alloc, &two.chain, &(rf_chain_steps){copy, num, 16});
}

static void test_counts(void **state)
{
    static const rf_chain_step kept[] = {{RF_CHAIN_FORWARD_KEEP, 0, 0},
                                         {RF_CHAIN_FORWARD_KEEP, 1, 0},
                                         {RF_CHAIN_BACKWARD, 1, 0},
                                         {RF_CHAIN_BACKWARD, 0, 0}};
    static const rf_chain_step again[] = {{RF_CHAIN_FORWARD_STORE, 0, 0},
                                          {RF_CHAIN_FORWARD_KEEP, 1, 0},
                                          {RF_CHAIN_BACKWARD, 1, 0},
                                          {RF_CHAIN_FORWARD_KEEP, 0, 1},
                                          {RF_CHAIN_BACKWARD, 0, 0}};
    static const rf_chain_step late[] = {{RF_CHAIN_FORWARD_DROP, 0, 0},
                                         {RF_CHAIN_FORWARD_KEEP_DROP, 1, 0},
                                         {RF_CHAIN_FORWARD_KEEP, 0, 0},
                                         {RF_CHAIN_BACKWARD, 1, 0},
                                         {RF_CHAIN_BACKWARD, 0, 0}};
    rf_chain_cost cost;
    (void)state;
    assert_int_equal(walk(kept, 4, &cost), RF_OK);
    assert_int_equal(cost.time, 2 + 64 + 128 + 4);
    /* input, both records, both gradients of stage 1, its workspace */
    assert_int_equal(cost.peak, 10 + 100 + 60 + 31 + 21 + 1);
    assert_int_equal(cost.at, 2);
    assert_int_equal(walk(again, 5, &cost), RF_OK);
    assert_int_equal(cost.time, 1 + 64 + 128 + 8 + 16);
    /* input, record, both gradients of stage 0, its workspace */
    assert_int_equal(cost.peak, 10 + 50 + 21 + 11 + 200);
    assert_int_equal(cost.at, 4);
    assert_int_equal(walk(late, 5, &cost), RF_OK);
    assert_int_equal(cost.time, 1 + 64 + 2 + 128 + 4);
    assert_int_equal(cost.peak, 10 + 60 + 100 + 31 + 21 + 1);
}

/* The workspace of a forward that runs again counts, with the gradient that waits. */
static void test_replayed_workspace(void **state)
{
    static const rf_chain_step again[] = {{RF_CHAIN_FORWARD_STORE, 0, 0},
                                          {RF_CHAIN_FORWARD_KEEP, 1, 0},
                                          {RF_CHAIN_BACKWARD, 1, 0},
                                          {RF_CHAIN_FORWARD_KEEP, 0, 0},
                                          {RF_CHAIN_BACKWARD, 0, 0}};
    rf_chain_cost cost;
    (void)state;
    two.options[0].forward_workspace = 1000;
    assert_int_equal(walk(again, 5, &cost), RF_OK);
    assert_int_equal(cost.peak, 10 + 21 + 100 + 1000);
    assert_int_equal(cost.at, 3);
    two.options[0].forward_workspace = 5;
}

static void wrong(const rf_chain_step *steps, size_t num, size_t at)
{
    rf_chain_cost cost;
    assert_int_equal(walk(steps, num, &cost), RF_E_FORMAT);
    assert_int_equal(cost.at, at);
}

static void test_refuses(void **state)
{
    enum { DROP, STORE, KEEP, KEEP_DROP, BACK };
    (void)state;
    wrong((rf_chain_step[]){{KEEP, 1, 0}}, 1, 0);                /* no input          */
    wrong((rf_chain_step[]){{KEEP, 2, 0}}, 1, 0);                /* no such stage     */
    wrong((rf_chain_step[]){{KEEP, 0, 2}}, 1, 0);                /* no such option    */
    wrong((rf_chain_step[]){{9, 0, 0}}, 1, 0);                   /* no such step      */
    wrong((rf_chain_step[]){{KEEP, 0, 0}, {KEEP, 0, 0}}, 2, 1);  /* twice             */
    wrong((rf_chain_step[]){{DROP, 0, 0}, {STORE, 0, 0}}, 2, 1); /* twice             */
    wrong((rf_chain_step[]){{KEEP, 0, 0}, {STORE, 0, 0}}, 2, 1); /* the record has it */
    wrong((rf_chain_step[]){{DROP, 0, 0}, {DROP, 1, 0}, {KEEP, 1, 0}}, 3, 2); /* input gone      */
    wrong((rf_chain_step[]){{KEEP, 0, 0}, {BACK, 0, 0}}, 2, 1); /* not its turn      */
    wrong((rf_chain_step[]){{DROP, 0, 0}, {STORE, 1, 0}, {BACK, 1, 0}}, 3, 2); /* no record      */
    wrong((rf_chain_step[]){{DROP, 0, 0}, {KEEP_DROP, 1, 0}, {BACK, 1, 0}}, 3, 2); /* no input   */
    wrong((rf_chain_step[]){{KEEP, 0, 0}, {KEEP, 1, 0}, {BACK, 1, 0}}, 3, 3);      /* not all     */
    wrong((rf_chain_step[]){{KEEP, 0, 0}, {KEEP, 1, 0}, {BACK, 1, 0}, {KEEP, 1, 0}}, 4, 3);
}

/* Trees that are none. */
static void test_refuses_trees(void **state)
{
    static rf_chain_node trees[][3] = {
        {{RF_CHAIN_KEEP, 0, 1, 0, 0}},                                /* a stage is missing */
        {{RF_CHAIN_KEEP, 1, 1, 0, 0}},                                /* the first is       */
        {{RF_CHAIN_KEEP, 0, 2, 0, 0}},                                /* too many stages    */
        {{RF_CHAIN_KEEP, 0, 1, 0, 1}, {RF_CHAIN_KEEP, 1, 1, 0, 0}},   /* a KEEP with nodes  */
        {{RF_CHAIN_REGION, 0, 1, 0, 0}, {RF_CHAIN_KEEP, 1, 1, 0, 0}}, /* a REGION without   */
        {{RF_CHAIN_REGION, 0, 1, 0, 9}, {RF_CHAIN_KEEP, 1, 1, 0, 0}}, /* more than there are */
        {{RF_CHAIN_REGION, 0, 3, 0, 1}, {RF_CHAIN_KEEP, 1, 1, 0, 0}}, /* past the end       */
        {{7, 0, 1, 0, 0}, {RF_CHAIN_KEEP, 1, 1, 0, 0}},               /* no kind            */
        {{RF_CHAIN_KEEP, 0, 1, 0, 0}, {RF_CHAIN_KEEP, 1, 1, 0, 0}, {0, 1, 1, 0, 0}}, /* too many */
    };
    static const size_t nums[] = {1, 1, 1, 2, 2, 2, 2, 2, 3};
    (void)state;
    for (size_t i = 0; i < sizeof nums / sizeof nums[0]; i++) {
        rf_chain_steps steps = {0};
        rf_chain_nodes nodes = {trees[i], nums[i], 3};
        if (rf_chain_unfold(&steps, &chain_alloc, &two.chain, &nodes) != RF_E_FORMAT)
            fail_msg("tree %zu", i);
        rf_chain_steps_end(&steps, &chain_alloc);
    }
}

static void refused(void)
{
    assert_int_equal(rf_chain_check(&two.chain), RF_E_ARGUMENT);
    setup(NULL);
    assert_int_equal(rf_chain_check(&two.chain), RF_OK);
}

static void test_refuses_chains(void **state)
{
    (void)state;
    assert_int_equal(rf_chain_check(&two.chain), RF_OK);
    two.chain.num_stages = 0;
    refused();
    two.stages[0].num_options = 0;
    refused();
    two.stages[1].num_options = 2;
    refused();
    two.stages[1].first_option = SIZE_MAX;
    refused();
    two.options[0].saved = 19;
    refused();
    two.options[0].forward = -1;
    refused();
    two.options[1].backward = 0.0 / (two.chain.num_stages - 2.0);
    refused();
    two.stages[0].forward = 1e300;
    refused();
    two.stages[0].forward_workspace = UINT64_MAX;
    refused();
    two.stages[0].gradient = two.stages[1].gradient = (uint64_t)1 << 59;
    refused();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),         cmocka_unit_test(test_replayed_workspace),
        cmocka_unit_test(test_refuses),        cmocka_unit_test(test_refuses_trees),
        cmocka_unit_test(test_refuses_chains),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
