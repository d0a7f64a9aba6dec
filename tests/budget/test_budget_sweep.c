/* test_budget_sweep.c: the promise of a plan, on random models of all shapes and at budgets from
 * the smallest to the plain peak: what was predicted is measured, in every class and to the byte;
 * it is within the budget; no bit of losses, gradients, parameters, statistics, optimiser and
 * generator is another than without a plan.
 *
 * How many models: RF_BUDGET_MODELS (`make check-budget` asks for 200), from seed RF_BUDGET_SEED
 * on.
 */
#include "plan/profile.h"
#include "support/random_model.h"
#include "support/world.h"

#include <stdio.h>
#include <stdlib.h>

enum { SWEEP_STEPS = 3, SWEEP_BUDGETS = 5 };

/* The curve of one plan is monotone; two searches at two budgets may end in different places. */
#define SWEEP_SLACK 1.05

typedef struct sweep_figures {
    uint64_t peak[RF_MEM_CLASSES];
    uint64_t hash;
} sweep_figures;

static uint64_t sweep_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static uint64_t sweep_models(void)
{
    return sweep_number("RF_BUDGET_MODELS", getenv("RF_TEST_FAST") ? 2 : 5);
}

/* ---- a model and its context ---- */

static rf_context *sweep_context(uint64_t seed)
{
    rf_context *ctx;
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.seed = seed;
    opts.threads = 1 + seed % 2;
    assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
    return ctx;
}

static random_model sweep_begin(uint64_t seed)
{
    random_model model;
    rf_context *ctx = sweep_context(seed);
    assert_ok(ctx, random_model_begin(&model, ctx, seed));
    return model;
}

static void sweep_end(random_model *model)
{
    rf_context *ctx = model->ctx;
    random_model_end(model);
    rf_context_destroy(ctx);
}

static sweep_figures sweep_train(random_model *model)
{
    sweep_figures out;
    rf_memory_info info;
    rf_memory_reset_peak(model->ctx);
    for (int i = 0; i < SWEEP_STEPS; i++, model->batch++)
        assert_ok(model->ctx, random_model_step(model));
    for (int c = 0; c < RF_MEM_CLASSES; c++) {
        assert_ok(model->ctx, rf_memory_get(model->ctx, RF_DEVICE_CPU, (rf_mem_class)c, &info));
        out.peak[c] = info.peak;
    }
    assert_ok(model->ctx, random_model_hash(model, &out.hash));
    return out;
}

static rf_plan *sweep_plan(random_model *model, rf_costs *costs, uint64_t budget, rf_status want)
{
    rf_plan *plan = NULL;
    rf_plan_options opts = RF_PLAN_OPTIONS_INIT;
    const rf_training_step step = {random_model_step, model};
    opts.budget = budget;
    opts.costs = costs;
    opts.seconds = 60; /* tries end it */
    rf_status status = rf_plan_create(&plan, model->root, &step, &opts);
    if (status != want)
        fail_msg("a plan for %llu bytes: %s: %s", (unsigned long long)budget,
                 rf_status_name(status), rf_context_error(model->ctx)->message);
    return plan;
}

/* ---- the curve ---- */

static void sweep_curve(const rf_plan *plan)
{
    for (size_t i = 1; i < rf_plan_num_points(plan); i++) {
        rf_plan_point below = rf_plan_point_at(plan, i - 1), p = rf_plan_point_at(plan, i);
        assert_true(below.peak < p.peak);
        assert_true(below.seconds > p.seconds);
    }
}

/* The smallest budget that works, by being refused. */
static uint64_t sweep_smallest(uint64_t seed, rf_costs *costs)
{
    random_model model = sweep_begin(seed);
    assert_null(sweep_plan(&model, costs, 1, RF_E_BUDGET));
    uint64_t smallest = rf_context_error(model.ctx)->limit_needed;
    sweep_end(&model);
    model = sweep_begin(seed);
    assert_null(sweep_plan(&model, costs, smallest - 1, RF_E_BUDGET));
    assert_int_equal(rf_context_error(model.ctx)->limit_needed, smallest);
    sweep_end(&model);
    return smallest;
}

/* ---- one budget ---- */

static rf_plan_info sweep_budget(uint64_t seed, rf_costs *costs, uint64_t budget,
                                 const sweep_figures *plain)
{
    random_model model = sweep_begin(seed);
    const rf_training_step step = {random_model_step, &model};
    rf_prediction told = RF_PREDICTION_INIT;
    rf_plan *plan = sweep_plan(&model, costs, budget, RF_OK);
    rf_plan_info info = rf_plan_info_of(plan);
    sweep_curve(plan);
    assert_true(info.peak <= budget);
    assert_true(info.bound <= info.peak);
    assert_ok(model.ctx, rf_plan_apply(plan, model.root));
    assert_ok(model.ctx, rf_predict(&told, model.ctx, &step, NULL));
    sweep_figures real = sweep_train(&model);
    assert_int_equal(real.peak[RF_MEM_ALL], info.peak);
    for (int c = 0; c < RF_MEM_CLASSES; c++)
        if (real.peak[c] != told.peak[c])
            fail_msg("%s: %llu predicted, %llu measured", rf_mem_class_name((rf_mem_class)c),
                     (unsigned long long)told.peak[c], (unsigned long long)real.peak[c]);
    assert_true(real.hash == plain->hash);
    assert_ok(model.ctx, rf_plan_clear(plan, model.root));
    rf_plan_destroy(plan);
    sweep_end(&model);
    return info;
}

static void sweep_model(uint64_t seed, rf_costs *costs)
{
    random_model model = sweep_begin(seed);
    sweep_figures plain = sweep_train(&model);
    printf("# %llu: %s\n", (unsigned long long)seed, random_kind_name(model.kind));
    fflush(stdout);
    sweep_end(&model);
    uint64_t smallest = sweep_smallest(seed, costs), most = plain.peak[RF_MEM_ALL];
    assert_true(smallest <= most);
    rf_plan_info below = {0};
    for (uint64_t i = 0; i < SWEEP_BUDGETS; i++) {
        uint64_t budget = smallest + (most - smallest) * i / (SWEEP_BUDGETS - 1);
        rf_plan_info info = sweep_budget(seed, costs, budget, &plain);
        if (i) {
            if (info.seconds > SWEEP_SLACK * below.seconds)
                fail_msg("%llu bytes: %g s, more than the %g s of fewer bytes",
                         (unsigned long long)budget, info.seconds, below.seconds);
        }
        below = info;
    }
}

static void test_budgets_of_random_models(void **state)
{
    rf_costs *costs;
    (void)state;
    rf_context *ctx = sweep_context(0);
    uint64_t first = sweep_number("RF_BUDGET_SEED", 0);
    uint64_t stride = getenv("RF_BUDGET_MODELS") ? 1 : 2; /* few: one of every other kind */
    assert_ok(ctx, rf_costs_create(&costs, ctx));
    for (uint64_t i = 0; i < sweep_models(); i++)
        sweep_model(first + i * stride, costs);
    rf_costs_destroy(costs);
    rf_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_budgets_of_random_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
