/* test_plan_tiers.c: with tiers allowed a plan has values wait there: what was foretold is
 * measured, the budget is held, no bit is another, and a step is foretold to be faster than
 * without. */
#include "support/world.h"

#include <refrain/refrain.h>

#include <math.h>

enum { TIERS_ROWS = 4, TIERS_CONTEXT = 64, TIERS_VOCAB = 256, TIERS_STEPS = 3 };

typedef struct tiered {
    rf_context *ctx;
    rf_module *model;
    rf_optim *optim;
    int32_t batch;
} tiered;

static rf_status tiered_step(void *payload)
{
    tiered *t = payload;
    int32_t ids[TIERS_ROWS * TIERS_CONTEXT + 1];
    int64_t dims[2] = {TIERS_ROWS, TIERS_CONTEXT};
    rf_scope *s;
    rf_tensor *in[2], *loss = NULL;
    rf_status status = rf_scope_open(&s, t->ctx, NULL);
    if (status)
        return status;
    for (int32_t i = 0; i < TIERS_ROWS * TIERS_CONTEXT + 1; i++)
        ids[i] = (i * 31 + t->batch) % TIERS_VOCAB;
    in[0] = rf_tensor_copy_in(s, RF_I32, 2, dims, ids);
    in[1] = rf_tensor_copy_in(s, RF_I32, 2, dims, ids + 1);
    status = rf_module_call(t->model, s, &(rf_values){in, 2}, &(rf_values){&loss, 1});
    if (!status)
        status = rf_optim_backward(t->optim, s, loss, NULL);
    rf_scope_close(s);
    return status;
}

static tiered tiered_new(rf_device moments)
{
    tiered t = {.batch = 0};
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_gpt2_options sizes = RF_GPT2_OPTIONS_INIT;
    rf_adamw_options adamw = RF_ADAMW_OPTIONS_INIT;
    opts.seed = 8;
    opts.threads = 1;
    sizes.layers = 3;
    sizes.width = 256;
    sizes.heads = 4;
    sizes.context = TIERS_CONTEXT;
    sizes.vocab = TIERS_VOCAB;
    sizes.dropout = 0.1;
    adamw.moments = moments;
    assert_int_equal(rf_context_create(&t.ctx, &opts), RF_OK);
    assert_ok(t.ctx, rf_nn_gpt2(&t.model, t.ctx, &sizes));
    assert_ok(t.ctx, rf_optim_adamw(&t.optim, t.model, &adamw));
    return t;
}

static void tiered_end(tiered *t)
{
    rf_optim_destroy(t->optim);
    rf_module_destroy(t->model);
    rf_context_destroy(t->ctx);
}

static uint64_t tiered_peak(const tiered *t, rf_device device)
{
    rf_memory_info info;
    assert_ok(t->ctx, rf_memory_get(t->ctx, device, RF_MEM_ALL, &info));
    return info.peak;
}

/* Steps in earnest: their peak, and what they end with. */
static uint64_t tiered_run(tiered *t, uint64_t *hash)
{
    rf_memory_reset_peak(t->ctx);
    for (int i = 0; i < TIERS_STEPS; i++) {
        t->batch++;
        assert_ok(t->ctx, tiered_step(t));
    }
    assert_ok(t->ctx, rf_module_hash(t->model, hash));
    return tiered_peak(t, RF_DEVICE_CPU);
}

/* Under sanitizers a search is ended by the clock, and then promises bytes and bits, but no time.
 */
static int tiered_hurry(void)
{
    return getenv("RF_TEST_FAST") != NULL;
}

static rf_status tiered_plan(tiered *t, uint64_t budget, unsigned tiers, rf_plan **plan)
{
    rf_plan_options opts = RF_PLAN_OPTIONS_INIT;
    const rf_training_step step = {tiered_step, t};
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
    tiered t = tiered_new(RF_DEVICE_CPU);
    rf_plan *plan;
    rf_status status = tiered_plan(&t, budget, 0, &plan);
    double seconds = status ? HUGE_VAL : rf_plan_info_of(plan).seconds;
    if (status) {
        assert_int_equal(status, RF_E_BUDGET);
        tiered_end(&t);
        return seconds;
    }
    assert_int_equal(plan_has(plan, "file=") || plan_has(plan, "host="), 0);
    rf_plan_destroy(plan);
    tiered_end(&t);
    return seconds;
}

/* A budget, kept with these tiers. Returns whether it used them. */
static int budget_is_held(uint64_t budget, unsigned tiers, rf_device moments, uint64_t wanted)
{
    tiered t = tiered_new(moments);
    rf_plan *plan;
    uint64_t hash;
    assert_ok(t.ctx, tiered_plan(&t, budget, tiers, &plan));
    rf_plan_info info = rf_plan_info_of(plan);
    int host = plan_has(plan, "host="), file = plan_has(plan, "file=");
    assert_true(info.peak <= budget);
    assert_true((tiers & RF_PLAN_HOST || !host) && (tiers & RF_PLAN_FILE || !file));
    assert_ok(t.ctx, rf_plan_apply(plan, t.model));
    rf_plan_destroy(plan);
    assert_int_equal(tiered_run(&t, &hash), info.peak);
    assert_int_equal(hash, wanted);
    assert_int_equal(tiered_peak(&t, RF_DEVICE_HOST) != 0, host);
    assert_int_equal(tiered_peak(&t, RF_DEVICE_FILE) != 0, file || moments == RF_DEVICE_FILE);
    if (moments == RF_DEVICE_CPU && (host || file) && !tiered_hurry())
        assert_true(info.seconds < seconds_without(budget));
    tiered_end(&t);
    return host || file;
}

static void budgets_are_held(unsigned tiers, rf_device moments)
{
    tiered plain = tiered_new(moments);
    rf_plan *none;
    uint64_t hash, peak = tiered_run(&plain, &hash);
    int used = 0;
    assert_int_equal(tiered_plan(&plain, 1000, tiers, &none), RF_E_BUDGET);
    uint64_t low = rf_context_error(plain.ctx)->limit_needed + 20000; /* another context's */
    tiered_end(&plain);
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
    tiered t = tiered_new(RF_DEVICE_CPU);
    rf_plan *plan;
    assert_int_equal(tiered_plan(&t, 0, 4, &plan), RF_E_ARGUMENT);
    assert_null(plan);
    tiered_end(&t);
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
