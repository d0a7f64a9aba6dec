/* test_plan_file.c: plans that were found where there are no bytes, and go elsewhere: by a copy, by
 * a file, timed by costs of a context with kernels. */
#include "support/learner.h"

#include <string.h>
#include <unistd.h>

static learner owner_new(int dry)
{
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_gpt2_options sizes = RF_GPT2_OPTIONS_INIT;
    opts.dry = dry;
    opts.threads = 1;
    sizes.layers = 5;
    sizes.width = 32;
    sizes.heads = 2;
    sizes.context = LEARNER_CONTEXT;
    sizes.vocab = 64;
    return learner_new(&opts, &sizes, NULL);
}

/* A plan with parts, found in a dry context. */
static rf_plan *plan_found(learner *dry, rf_costs *costs)
{
    rf_plan *plan;
    rf_plan_options opts = RF_PLAN_OPTIONS_INIT;
    rf_prediction plain = RF_PREDICTION_INIT;
    const rf_training_step step = {learner_step, dry};
    assert_ok(dry->ctx, rf_predict(&plain, dry->ctx, &step, NULL));
    opts.budget = plain.peak[RF_MEM_ALL] * 4 / 5;
    opts.costs = costs;
    assert_ok(dry->ctx, rf_plan_create(&plan, dry->model, &step, &opts));
    assert_true(rf_plan_num_parts(plan) > 0);
    return plan;
}

static void assert_same_plan(const rf_plan *a, const rf_plan *b)
{
    rf_plan_info x = rf_plan_info_of(a), y = rf_plan_info_of(b);
    assert_int_equal(x.peak, y.peak);
    assert_int_equal(x.plain_peak, y.plain_peak);
    assert_int_equal(x.smallest, y.smallest);
    assert_true(x.seconds - y.seconds < 1e-8 && y.seconds - x.seconds < 1e-8);
    assert_int_equal(rf_plan_num_parts(a), rf_plan_num_parts(b));
    for (size_t i = 0; i < rf_plan_num_parts(a); i++) {
        rf_plan_part p = rf_plan_part_at(a, i), q = rf_plan_part_at(b, i);
        assert_string_equal(p.path, q.path);
        assert_string_equal(p.fates, q.fates);
        assert_int_equal(p.count, q.count);
        assert_string_equal(p.dial ? p.dial : "", q.dial ? q.dial : "");
        assert_int_equal(p.bytes, q.bytes);
    }
    assert_int_equal(rf_plan_num_points(a), rf_plan_num_points(b));
    for (size_t i = 0; i < rf_plan_num_points(a); i++)
        assert_int_equal(rf_plan_point_at(a, i).peak, rf_plan_point_at(b, i).peak);
}

/* ---- tests ---- */

static void test_found_dry_carried_out_for_real(void **state)
{
    (void)state;
    learner dry, fresh, real;
    rf_plan *copy, *again;
    dry = owner_new(1);
    rf_plan *plan = plan_found(&dry, NULL);
    fresh = owner_new(1);
    assert_ok(fresh.ctx, rf_plan_copy(&copy, plan, fresh.ctx));
    assert_same_plan(plan, copy);
    rf_plan_destroy(plan);
    learner_end(&dry); /* the copy lives on */
    assert_ok(fresh.ctx,
              rf_plan_check(copy, fresh.model, &(rf_training_step){learner_step, &fresh}, 0));
    real = owner_new(0);
    assert_ok(real.ctx, rf_plan_copy(&again, copy, real.ctx));
    assert_ok(real.ctx, rf_plan_apply(again, real.model));
    assert_int_equal(learner_run(&real, NULL), rf_plan_info_of(copy).peak);
    rf_plan_destroy(again);
    rf_plan_destroy(copy);
    learner_end(&real);
    learner_end(&fresh);
}

static void test_a_file_is_the_plan(void **state)
{
    (void)state;
    learner dry;
    rf_plan *again;
    dry = owner_new(1);
    rf_plan *plan = plan_found(&dry, NULL);
    assert_ok(dry.ctx, rf_plan_save(plan, "plan.json"));
    assert_ok(dry.ctx, rf_plan_load(&again, dry.ctx, "plan.json"));
    assert_same_plan(plan, again);
    rf_plan_destroy(again);
    rf_plan_destroy(plan);
    assert_int_equal(rf_plan_load(&again, dry.ctx, "none.json"), RF_E_IO);
    assert_null(again);
    learner_end(&dry);
}

static void test_costs_of_another_context(void **state)
{
    (void)state;
    learner dry, tools;
    rf_costs *costs;
    rf_prediction p = RF_PREDICTION_INIT;
    dry = owner_new(1);
    tools = owner_new(0);
    const rf_training_step step = {learner_step, &dry};
    assert_ok(tools.ctx, rf_costs_create(&costs, tools.ctx));
    assert_ok(dry.ctx, rf_costs_note_plan(costs, dry.model, &step));
    size_t known = rf_costs_counts_of(costs).known;
    assert_true(known > 10);
    assert_ok(tools.ctx, rf_costs_measure(costs, NULL));
    assert_int_equal(rf_costs_counts_of(costs).measured, known);
    assert_ok(dry.ctx, rf_predict(&p, dry.ctx, &step, NULL));
    assert_true(p.seconds == 0);
    rf_costs_use(costs, dry.ctx);
    assert_ok(dry.ctx, rf_predict(&p, dry.ctx, &step, NULL));
    double seconds = p.seconds;
    assert_true(seconds > 0);
    rf_plan *plan = plan_found(&dry, costs); /* which times by itself, and puts that back */
    assert_int_equal(rf_costs_counts_of(costs).known, known);
    rf_plan_destroy(plan);
    assert_ok(dry.ctx, rf_predict(&p, dry.ctx, &step, NULL));
    assert_true(p.seconds < seconds * (1 + 1e-6) && p.seconds > seconds * (1 - 1e-6));
    rf_costs_use(NULL, dry.ctx);
    assert_ok(dry.ctx, rf_predict(&p, dry.ctx, &step, NULL));
    assert_true(p.seconds == 0);
    assert_int_equal(rf_costs_note_plan(costs, dry.model, NULL), RF_E_ARGUMENT);
    rf_costs_destroy(costs);
    learner_end(&tools);
    learner_end(&dry);
}

/* What is a region already stays as it is, and is no failure. */
static void test_what_is_checkpointed_stays(void **state)
{
    (void)state;
    learner dry;
    dry = owner_new(1);
    for (size_t i = 0; i < 5; i += 2)
        assert_ok(dry.ctx, rf_checkpoint(rf_nn_gpt2_block(dry.model, i), NULL));
    rf_plan *plan = plan_found(&dry, NULL);
    for (size_t i = 0; i < rf_plan_num_parts(plan); i++)
        assert_int_equal(strncmp(rf_plan_part_at(plan, i).path, "h.2", 3) != 0, 1);
    assert_ok(dry.ctx, rf_plan_apply(plan, dry.model));
    assert_ok(dry.ctx, rf_plan_clear(plan, dry.model));
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(rf_checkpoint_applied(rf_nn_gpt2_block(dry.model, i)), i % 2 == 0);
    rf_plan_destroy(plan);
    learner_end(&dry);
}

static int kth_fails(uint64_t k)
{
    counting memory = {0};
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_context *ctx;
    rf_plan *plan = NULL, *copy = NULL;
    opts.alloc = counting_alloc;
    opts.alloc_payload = &memory;
    opts.threads = 1;
    assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
    memory.made = 0;
    memory.fail_at = k;
    rf_status status = rf_plan_load(&plan, ctx, "plan.json");
    if (!status)
        status = rf_plan_copy(&copy, plan, ctx);
    if (!status)
        status = rf_plan_save(copy, "again.json");
    assert_true(status == RF_OK || status == RF_E_MEMORY);
    int failed = memory.made >= k;
    rf_plan_destroy(copy);
    rf_plan_destroy(plan);
    rf_context_destroy(ctx);
    assert_int_equal(memory.live, 0);
    return failed;
}

static void test_allocations_that_fail(void **state)
{
    (void)state;
    learner dry;
    uint64_t k = 1;
    dry = owner_new(1);
    rf_plan *plan = plan_found(&dry, NULL);
    assert_ok(dry.ctx, rf_plan_save(plan, "plan.json"));
    rf_plan_destroy(plan);
    learner_end(&dry);
    while (kth_fails(k))
        k++;
    assert_true(k > 10);
}

/* A file of tensors costs a dry context's ledger what it does a real one's, and is not written. */
static void test_saving_in_a_dry_context(void **state)
{
    (void)state;
    uint64_t peaks[2];
    for (int dry = 0; dry < 2; dry++) {
        learner o;
        rf_memory_info info;
        rf_state saved = RF_STATE_INIT;
        o = owner_new(dry);
        saved.module = o.model;
        saved.optim = o.optim;
        unlink("model");
        rf_memory_reset_peak(o.ctx);
        assert_ok(o.ctx, rf_state_save(&saved, "model"));
        assert_ok(o.ctx, rf_module_save(o.model, "model", NULL));
        assert_ok(o.ctx, rf_memory_get(o.ctx, RF_DEVICE_CPU, RF_MEM_ALL, &info));
        peaks[dry] = info.peak;
        assert_int_equal(access("model", F_OK) == 0, !dry);
        learner_end(&o);
    }
    assert_int_equal(peaks[0], peaks[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found_dry_carried_out_for_real),
        cmocka_unit_test(test_a_file_is_the_plan),
        cmocka_unit_test(test_costs_of_another_context),
        cmocka_unit_test(test_what_is_checkpointed_stays),
        cmocka_unit_test(test_allocations_that_fail),
        cmocka_unit_test(test_saving_in_a_dry_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
