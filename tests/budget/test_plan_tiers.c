/* test_plan_tiers.c: with tiers allowed a plan has values wait there: what was foretold is
 * measured, the budget is held, no bit is another, and a step is foretold to be faster than
 * without. */
#include "support/learner.h"

#include <math.h>

static learner tiered_new(rf_device moments)
{
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_gpt2_options sizes = RF_GPT2_OPTIONS_INIT;
    rf_adamw_options adamw = RF_ADAMW_OPTIONS_INIT;
    opts.seed = 8;
    opts.threads = 1;
    sizes.layers = 3;
    sizes.width = 256;
    sizes.heads = 4;
    sizes.context = LEARNER_CONTEXT;
    sizes.vocab = 256;
    sizes.dropout = 0.1;
    adamw.moments = moments;
    return learner_new(&opts, &sizes, &adamw);
}

/* Under sanitizers a search is ended by the clock, and then promises bytes and bits, but no time.
 */
static int tiered_hurry(void)
{
    return getenv("RF_TEST_FAST") != NULL;
}

static rf_status tiered_plan(learner *t, uint64_t budget, unsigned tiers, rf_plan **plan)
{
    rf_plan_options opts = RF_PLAN_OPTIONS_INIT;
    const rf_training_step step = {learner_step, t};
    assert_ok(t->ctx, rf_costs_create(&opts.costs, t->ctx));
    opts.budget = budget;
    opts.tiers = tiers;
    opts.seconds = tiered_hurry() ? 0.2 : 60; /* where tries end it */
    rf_status status = rf_plan_create(plan, t->model, &step, &opts);
    rf_costs_destroy(opts.costs);
    return status;
}

/* Whether a part of it has this fate. */
static int plan_has(const rf_plan *plan, const char *fate)
{
    for (size_t i = 0; i < rf_plan_num_parts(plan); i++)
        if (strstr(rf_plan_part_at(plan, i).fates, fate))
            return 1;
    return 0;
}

/* A step's, by a plan without tiers; huge: there is none. */
static double seconds_without(uint64_t budget)
{
    learner t = tiered_new(RF_DEVICE_CPU);
    rf_plan *plan;
    rf_status status = tiered_plan(&t, budget, 0, &plan);
    double seconds = status ? HUGE_VAL : rf_plan_info_of(plan).seconds;
    if (status) {
        assert_int_equal(status, RF_E_BUDGET);
        learner_end(&t);
        return seconds;
    }
    assert_int_equal(plan_has(plan, "file=") || plan_has(plan, "host="), 0);
    rf_plan_destroy(plan);
    learner_end(&t);
    return seconds;
}

/* A budget, kept with these tiers. Returns whether it used them. */
static int budget_is_held(uint64_t budget, unsigned tiers, rf_device moments, uint64_t wanted)
{
    learner t = tiered_new(moments);
    rf_plan *plan;
    uint64_t hash;
    assert_ok(t.ctx, tiered_plan(&t, budget, tiers, &plan));
    rf_plan_info info = rf_plan_info_of(plan);
    int host = plan_has(plan, "host="), file = plan_has(plan, "file=");
    assert_true(info.peak <= budget);
    assert_true((tiers & RF_PLAN_HOST || !host) && (tiers & RF_PLAN_FILE || !file));
    assert_ok(t.ctx, rf_plan_apply(plan, t.model));
    rf_plan_destroy(plan);
    assert_int_equal(learner_run(&t, &hash), info.peak);
    assert_int_equal(hash, wanted);
    assert_int_equal(learner_peak(&t, RF_DEVICE_HOST) != 0, host);
    assert_int_equal(learner_peak(&t, RF_DEVICE_FILE) != 0, file || moments == RF_DEVICE_FILE);
    if (moments == RF_DEVICE_CPU && (host || file) && !tiered_hurry())
        assert_true(info.seconds < seconds_without(budget));
    learner_end(&t);
    return host || file;
}

static void budgets_are_held(unsigned tiers, rf_device moments)
{
    learner plain = tiered_new(moments);
    rf_plan *none;
    uint64_t hash, peak = learner_run(&plain, &hash);
    int used = 0;
    assert_int_equal(tiered_plan(&plain, 1000, tiers, &none), RF_E_BUDGET);
    uint64_t low = rf_context_error(plain.ctx)->limit_needed + 20000; /* another context's */
    learner_end(&plain);
    for (uint64_t i = tiered_hurry() ? 3 : 0; i < 4; i++)
        used += budget_is_held(low + (peak - low) * i / 4, tiers, moments, hash);
    assert_true(used >= 1 || tiered_hurry());
}

static void test_host(void **state)
{
    (void)state;
    if (tiered_hurry())
        skip(); /* test_both */
    budgets_are_held(RF_PLAN_HOST, RF_DEVICE_CPU);
}

static void test_file(void **state)
{
    (void)state;
    if (tiered_hurry())
        skip(); /* test_both */
    budgets_are_held(RF_PLAN_FILE, RF_DEVICE_CPU);
}

static void test_both(void **state)
{
    (void)state;
    budgets_are_held(RF_PLAN_HOST | RF_PLAN_FILE, RF_DEVICE_CPU);
}

/* The file is there already. */
static void test_moments_in_the_file_too(void **state)
{
    (void)state;
    budgets_are_held(RF_PLAN_FILE, RF_DEVICE_FILE);
}

static void test_other_tiers_are_refused(void **state)
{
    (void)state;
    learner t = tiered_new(RF_DEVICE_CPU);
    rf_plan *plan;
    assert_int_equal(tiered_plan(&t, 0, 4, &plan), RF_E_ARGUMENT);
    assert_null(plan);
    learner_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_both),
        cmocka_unit_test(test_moments_in_the_file_too),
        cmocka_unit_test(test_other_tiers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
