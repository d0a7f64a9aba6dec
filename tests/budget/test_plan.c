/* test_plan.c: a plan holds its budget to the byte, changes no bit, and a budget that is too small
 * is refused with one that works. */
#include "support/gpt.h"
#include "support/world.h"

#include <refrain/nn.h>
#include "plan/profile.h"

#include <refrain/plan.h>

typedef struct trainer {
    gpt g;
    uint32_t batch;
} trainer;

static rf_status trainer_step(void *payload)
{
    trainer *t = payload;
    int32_t ids[GPT_BATCH * GPT_CONTEXT + 1];
    int64_t dims[2] = {GPT_BATCH, t->g.context};
    rf_scope *s;
    rf_tensor *in[2], *loss = NULL;
    rf_values from = {in, 2}, to = {&loss, 1};
    rf_status status = rf_scope_open(&s, rf_module_context(t->g.model), NULL);
    if (status)
        return status;
    for (uint32_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        ids[i] = (int32_t)((i * 7 + t->batch) % GPT_VOCAB);
    in[0] = rf_tensor_copy_in(s, RF_I32, 2, dims, ids);
    in[1] = rf_tensor_copy_in(s, RF_I32, 2, dims, ids + 1);
    status = rf_module_call(t->g.model, s, &from, &to);
    if (!status)
        status = rf_optim_backward(t->g.optim, s, loss, NULL);
    rf_scope_close(s);
    return status;
}

static trainer trainer_new(void)
{
    trainer t = {.batch = 0};
    rf_context *ctx;
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.seed = 5;
    assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
    assert_int_equal(gpt_create(&t.g, ctx, 0.1), RF_OK);
    return t;
}

static void trainer_end(trainer *t)
{
    rf_context *ctx = rf_module_context(t->g.model);
    gpt_destroy(&t->g);
    rf_context_destroy(ctx);
}

static uint64_t trainer_peak(trainer *t, int steps)
{
    rf_memory_info info;
    rf_context *ctx = rf_module_context(t->g.model);
    rf_memory_reset_peak(ctx);
    for (int i = 0; i < steps; i++) {
        t->batch++;
        assert_int_equal(trainer_step(t), RF_OK);
    }
    assert_int_equal(rf_memory_get(ctx, RF_DEVICE_CPU, RF_MEM_ALL, &info), RF_OK);
    return info.peak;
}

static uint64_t trainer_hash(trainer *t)
{
    uint64_t hash;
    assert_int_equal(rf_module_hash(t->g.model, &hash), RF_OK);
    return hash;
}

/* With costs of one table, so that all contexts plan alike. */
static rf_costs *costs;

static rf_plan *plan_for(trainer *t, uint64_t budget, rf_status want)
{
    rf_plan *plan = NULL;
    rf_plan_options opts = RF_PLAN_OPTIONS_INIT;
    const rf_training_step step = {trainer_step, t};
    opts.budget = budget;
    opts.costs = costs;
    opts.seconds = getenv("RF_TEST_FAST") ? 0.1 : 60; /* where tries end it */
    assert_int_equal(rf_plan_create(&plan, t->g.model, &step, &opts), want);
    return plan;
}

/* ---- tests ---- */

static void test_budgets_hold_and_bits_stay(void **state)
{
    (void)state;
    trainer plain = trainer_new();
    uint64_t peak = trainer_peak(&plain, 3), hash = trainer_hash(&plain);
    trainer first = trainer_new();
    assert_int_equal(rf_costs_create(&costs, rf_module_context(first.g.model)), RF_OK);
    rf_plan *curve = plan_for(&first, 0, RF_OK);
    uint64_t small = rf_plan_point_at(curve, 0).peak;
    assert_true(small < peak);
    for (int i = 1; i <= 8; i++) {
        uint64_t budget = small + (peak - small) * (uint64_t)i / 8;
        trainer t = trainer_new();
        rf_plan *plan = plan_for(&t, budget, RF_OK);
        rf_plan_info info = rf_plan_info_of(plan);
        assert_int_equal(rf_plan_apply(plan, t.g.model), RF_OK);
        assert_int_equal(trainer_peak(&t, 3), info.peak);
        assert_true(info.peak <= budget);
        assert_int_equal(trainer_hash(&t), hash);
        assert_int_equal(rf_plan_clear(plan, t.g.model), RF_OK);
        rf_plan_destroy(plan);
        trainer_end(&t);
    }
    rf_plan_destroy(curve);
    rf_costs_destroy(costs);
    costs = NULL;
    trainer_end(&first);
    trainer_end(&plain);
}

static void test_too_small_is_refused_with_what_works(void **state)
{
    (void)state;
    trainer t = trainer_new();
    rf_context *ctx = rf_module_context(t.g.model);
    assert_null(plan_for(&t, 1000, RF_E_BUDGET));
    uint64_t needed = rf_context_error(ctx)->limit_needed;
    assert_true(needed > 1000);
    assert_int_equal(rf_context_error(ctx)->limit, 1000);
    rf_plan *plan = plan_for(&t, needed, RF_OK);
    rf_plan_destroy(plan);
    assert_null(plan_for(&t, needed - 1, RF_E_BUDGET));
    trainer_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_budgets_hold_and_bits_stay),
        cmocka_unit_test(test_too_small_is_refused_with_what_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
