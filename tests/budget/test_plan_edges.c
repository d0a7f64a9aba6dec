/* test_plan_edges.c: plans where something is unusual: a model that has regions already, a step
 * that fails or reads, parts that do not run alone or not twice, no gradient, no time, another
 * model, and the k-th allocation failing. In all of these the model stands as before. */
#include "support/random_model.h"
#include "support/random_parts.h"
#include "support/world.h"

#include <string.h>

/* ---- a chain of blocks with a step ---- */

enum { EDGE_ROWS = 128, EDGE_WIDTH = 16 };

typedef struct edge {
    rf_context *ctx;
    rf_module *root;
    int no_grad, read, fail; /* what its step does */
} edge;

static rf_status edge_clear(void *payload, const char *path, rf_tensor *param)
{
    (void)payload;
    (void)path;
    rf_grad_clear(param);
    return RF_OK;
}

static rf_status edge_step(void *payload)
{
    edge *e = payload;
    float values[EDGE_ROWS * EDGE_WIDTH];
    int64_t dims[2] = {EDGE_ROWS, EDGE_WIDTH};
    rf_scope *s;
    double value;
    rf_status status = rf_scope_open(&s, e->ctx, NULL);
    if (status)
        return status;
    for (int i = 0; i < EDGE_ROWS * EDGE_WIDTH; i++)
        values[i] = 0.01f * (float)(i % 97) - 0.4f;
    rf_scope_set_grad(s, !e->no_grad);
    rf_tensor *x = rf_tensor_copy_in(s, RF_F32, 2, dims, values);
    rf_tensor *y = rf_module_call1(e->root, s, x);
    rf_tensor *loss = rf_mean(s, rf_mul(s, y, y));
    status = rf_scope_status(s);
    if (!status && e->fail)
        status = rf_scope_fail(s, RF_E_STATE, "the step had enough");
    if (!status && e->read)
        status = rf_tensor_item(loss, &value);
    if (!status && !e->no_grad)
        status = rf_backward(s, loss);
    rf_scope_close(s);
    return status ? status : rf_module_each_param(e->root, 0, edge_clear, NULL);
}

static edge edge_of(rf_context *ctx, int blocks)
{
    random_build b = {ctx, 77, RF_OK};
    edge e = {.ctx = ctx, .root = random_sequence(&b)};
    for (int i = 0; i < blocks; i++)
        random_append(&b, e.root, random_residual(&b, EDGE_WIDTH));
    assert_int_equal(b.status, RF_OK);
    return e;
}

static edge edge_begin(rf_context *ctx)
{
    return edge_of(ctx, 5);
}

static rf_context *edge_context(counting *c)
{
    rf_context *ctx;
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.seed = 3;
    opts.threads = 1;
    opts.alloc = c ? counting_alloc : NULL;
    opts.alloc_payload = c;
    assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
    return ctx;
}

static void edge_end(edge *e)
{
    rf_module_destroy(e->root);
    rf_context_destroy(e->ctx);
}

static uint64_t edge_info(const edge *e, rf_mem_class cls, int peak)
{
    rf_memory_info info;
    assert_ok(e->ctx, rf_memory_get(e->ctx, RF_DEVICE_CPU, cls, &info));
    return peak ? info.peak : info.used;
}

static rf_status edge_plan(edge *e, rf_plan **plan, uint64_t budget, double seconds)
{
    rf_plan_options opts = RF_PLAN_OPTIONS_INIT;
    const rf_training_step step = {edge_step, e};
    rf_costs *costs = NULL; /* the model's: measuring would take longer than all else */
    rf_status status = rf_costs_create(&costs, e->ctx);
    *plan = NULL;
    opts.budget = budget;
    opts.seconds = seconds;
    opts.costs = costs;
    if (!status)
        status = rf_plan_create(plan, e->root, &step, &opts);
    rf_costs_destroy(costs);
    return status;
}

/* Bytes that e's step takes, run in earnest. */
static uint64_t edge_peak(edge *e)
{
    rf_memory_reset_peak(e->ctx);
    assert_ok(e->ctx, edge_step(e));
    assert_ok(e->ctx, edge_step(e));
    return edge_info(e, RF_MEM_ALL, 1);
}

/* No part has anything applied to it. */
static rf_status edge_untouched(void *payload, const char *path, rf_module *m)
{
    (void)payload;
    (void)path;
    assert_int_equal(rf_module_num_apis(m), 0);
    assert_int_equal(rf_module_training(m), 1);
    return RF_OK;
}

static void edge_assert_untouched(const edge *e)
{
    assert_int_equal(rf_module_each(e->root, edge_untouched, NULL), RF_OK);
}

/* ---- budgets ---- */

static void test_far_more_than_enough_is_no_plan(void **state)
{
    (void)state;
    edge e = edge_begin(edge_context(NULL));
    rf_plan *plan;
    assert_ok(e.ctx, edge_plan(&e, &plan, (uint64_t)1 << 40, 0));
    assert_int_equal(rf_plan_num_parts(plan), 0);
    assert_int_equal(rf_plan_info_of(plan).peak, rf_plan_info_of(plan).plain_peak);
    rf_plan_destroy(plan);
    assert_ok(e.ctx, edge_plan(&e, &plan, 0, 0));
    assert_int_equal(rf_plan_num_parts(plan), 0);
    assert_true(rf_plan_num_points(plan) > 3);
    rf_plan_destroy(plan);
    edge_assert_untouched(&e);
    edge_end(&e);
}

static void test_no_time_still_gives_a_true_plan(void **state)
{
    (void)state;
    edge e = edge_begin(edge_context(NULL));
    uint64_t peak = edge_peak(&e);
    rf_plan *plan;
    rf_status status = edge_plan(&e, &plan, peak * 9 / 10, 1e-9);
    assert_true(status == RF_OK || status == RF_E_BUDGET);
    if (!status) {
        assert_ok(e.ctx, rf_plan_apply(plan, e.root));
        assert_int_equal(edge_peak(&e), rf_plan_info_of(plan).peak);
        assert_ok(e.ctx, rf_plan_clear(plan, e.root));
    }
    rf_plan_destroy(plan);
    edge_assert_untouched(&e);
    edge_end(&e);
}

/* ---- applying ---- */

static void test_twice_and_to_another_model(void **state)
{
    (void)state;
    edge e = edge_begin(edge_context(NULL)), other = edge_begin(edge_context(NULL));
    rf_plan *plan;
    assert_ok(e.ctx, edge_plan(&e, &plan, edge_peak(&e) * 9 / 10, 1));
    assert_true(rf_plan_num_parts(plan) > 0);
    assert_ok(e.ctx, rf_plan_apply(plan, e.root));
    uint64_t peak = edge_peak(&e);
    assert_int_equal(rf_plan_apply(plan, e.root), RF_E_APPLIED);
    assert_int_equal(edge_peak(&e), peak);
    assert_ok(e.ctx, rf_plan_clear(plan, e.root));
    edge_assert_untouched(&e);
    rf_status status = rf_plan_apply(plan, rf_module_find(other.root, "0.body.0"));
    assert_true(status == RF_E_NOT_FOUND || status == RF_E_ARGUMENT); /* no part, or no container */
    edge_assert_untouched(&other);
    rf_plan_destroy(plan);
    edge_end(&other);
    edge_end(&e);
}

static void test_regions_of_the_users_stay(void **state)
{
    (void)state;
    edge e = edge_begin(edge_context(NULL));
    rf_module *mine = rf_module_find(e.root, "2");
    rf_plan *plan;
    assert_ok(e.ctx, rf_checkpoint(mine, NULL));
    uint64_t peak = edge_peak(&e);
    assert_ok(e.ctx, edge_plan(&e, &plan, peak * 9 / 10, 1));
    assert_true(rf_plan_num_parts(plan) > 0);
    assert_true(rf_checkpoint_applied(mine));
    assert_ok(e.ctx, rf_plan_apply(plan, e.root));
    assert_true(edge_peak(&e) <= peak * 9 / 10);
    assert_ok(e.ctx, rf_plan_clear(plan, e.root));
    assert_true(rf_checkpoint_applied(mine));
    assert_ok(e.ctx, rf_checkpoint_clear(mine));
    edge_assert_untouched(&e);
    rf_plan_destroy(plan);
    edge_end(&e);
}

/* ---- steps ---- */

static void test_a_step_that_fails_or_reads(void **state)
{
    (void)state;
    edge e = edge_begin(edge_context(NULL));
    rf_plan *plan;
    e.fail = 1;
    assert_int_equal(edge_plan(&e, &plan, 0, 1), RF_E_STATE);
    assert_null(plan);
    assert_non_null(strstr(rf_context_error(e.ctx)->message, "had enough"));
    e.fail = 0;
    e.read = 1;
    assert_int_equal(edge_plan(&e, &plan, 0, 1), RF_E_DEVICE);
    assert_null(plan);
    assert_non_null(strstr(rf_context_error(e.ctx)->message, "sum"));
    e.read = 0;
    edge_assert_untouched(&e);
    assert_int_equal(edge_info(&e, RF_MEM_GRAD, 0), 0);
    assert_ok(e.ctx, edge_plan(&e, &plan, 0, 1));
    rf_plan_destroy(plan);
    edge_end(&e);
}

static void test_no_gradient_and_evaluation(void **state)
{
    (void)state;
    edge e = edge_begin(edge_context(NULL));
    rf_plan *plan;
    e.no_grad = 1;
    assert_ok(e.ctx, edge_plan(&e, &plan, 0, 1));
    assert_int_equal(rf_plan_num_parts(plan), 0);
    rf_plan_destroy(plan);
    e.no_grad = 0;
    rf_module_train(e.root, 0);
    assert_ok(e.ctx, edge_plan(&e, &plan, edge_peak(&e) * 9 / 10, 1));
    assert_int_equal(rf_module_training(rf_module_find(e.root, "1.body")), 0);
    assert_ok(e.ctx, rf_plan_apply(plan, e.root));
    assert_int_equal(edge_peak(&e), rf_plan_info_of(plan).peak);
    rf_plan_destroy(plan);
    edge_end(&e);
}

/* ---- parts ---- */

/* Does not run alone: its input must be a result. */
static rf_status proud_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)m;
    if (rf_tensor_is_leaf(in->v[0]))
        return rf_scope_fail(s, RF_E_ARGUMENT, "this part is never first");
    out->v[0] = rf_tanh(s, rf_sin(s, rf_tanh(s, in->v[0])));
    return rf_scope_status(s);
}

static const rf_module_class proud_class = {
    .size = sizeof(rf_module_class), .name = "Proud", .forward = proud_forward};

/* Does not run in a region. */
static const rf_module_class once_class = {.size = sizeof(rf_module_class),
                                           .name = "Once",
                                           .forward = proud_forward,
                                           .effect = RF_EFFECT_FORBID};

static void edge_with(const rf_module_class *cls)
{
    edge e = edge_begin(edge_context(NULL));
    random_build b = {e.ctx, 3, RF_OK};
    rf_plan *plan;
    random_append(&b, e.root, random_with(&b, cls, NULL));
    random_append(&b, e.root, random_residual(&b, EDGE_WIDTH));
    assert_int_equal(b.status, RF_OK);
    uint64_t peak = edge_peak(&e);
    assert_ok(e.ctx, edge_plan(&e, &plan, peak * 9 / 10, 1));
    assert_true(rf_plan_num_parts(plan) > 0);
    assert_ok(e.ctx, rf_plan_apply(plan, e.root));
    assert_int_equal(edge_peak(&e), rf_plan_info_of(plan).peak);
    assert_ok(e.ctx, rf_plan_clear(plan, e.root));
    edge_assert_untouched(&e);
    rf_plan_destroy(plan);
    edge_end(&e);
}

static void test_a_part_that_does_not_run_alone(void **state)
{
    (void)state;
    edge_with(&proud_class);
}

static void test_a_part_that_refuses_regions(void **state)
{
    (void)state;
    edge_with(&once_class);
}

/* ---- memory ---- */

/* Allocations while planning and applying with no time to search. */
static uint64_t edge_plan_counted(edge *e, counting *c, uint64_t fail_at, rf_status *status)
{
    rf_plan *plan = NULL;
    c->made = 0;
    c->fail_at = fail_at;
    *status = edge_plan(e, &plan, 0, 1e-9);
    if (!*status)
        *status = rf_plan_apply(plan, e->root);
    if (plan && !*status)
        *status = rf_plan_clear(plan, e->root);
    c->fail_at = 0;
    rf_plan_destroy(plan);
    return c->made;
}

static void test_the_kth_allocation_fails(void **state)
{
    (void)state;
    counting c = {0};
    rf_status status;
    edge e = edge_of(edge_context(&c), 3);
    uint64_t made = edge_plan_counted(&e, &c, 0, &status), tried = 0;
    assert_int_equal(status, RF_OK);
    edge_end(&e);
    assert_int_equal(c.live, 0);
    uint64_t stride = 1 + made / (getenv("RF_TEST_FAST") ? 12 : 60);
    for (uint64_t k = 1; k <= made; k += k < 10 ? 1 : stride, tried++) {
        counting again = {0};
        e = edge_of(edge_context(&again), 3);
        uint64_t params = edge_info(&e, RF_MEM_PARAM, 0);
        edge_plan_counted(&e, &again, k, &status);
        if (status != RF_E_MEMORY && status != RF_OK)
            fail_msg("allocation %llu: %s: %s", (unsigned long long)k, rf_status_name(status),
                     rf_context_error(e.ctx)->message);
        edge_assert_untouched(&e);
        assert_int_equal(edge_info(&e, RF_MEM_PARAM, 0), params);
        assert_int_equal(edge_info(&e, RF_MEM_ACTIVATION, 0), 0);
        assert_int_equal(edge_info(&e, RF_MEM_GRAD, 0), 0);
        edge_plan_counted(&e, &again, 0, &status);
        assert_int_equal(status, RF_OK);
        assert_ok(e.ctx, edge_step(&e));
        edge_end(&e);
        assert_int_equal(again.live, 0);
    }
    assert_true(tried > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_far_more_than_enough_is_no_plan),
        cmocka_unit_test(test_no_time_still_gives_a_true_plan),
        cmocka_unit_test(test_twice_and_to_another_model),
        cmocka_unit_test(test_regions_of_the_users_stay),
        cmocka_unit_test(test_a_step_that_fails_or_reads),
        cmocka_unit_test(test_no_gradient_and_evaluation),
        cmocka_unit_test(test_a_part_that_does_not_run_alone),
        cmocka_unit_test(test_a_part_that_refuses_regions),
        cmocka_unit_test(test_the_kth_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
