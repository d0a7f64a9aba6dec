/* test_planner.c: steps of changing shapes: each has its own plan, all hold the budget, the bits
 * are those without it, and a shape that cannot be held is refused by name. */
#include "support/gpt.h"
#include "support/world.h"

#include <refrain/nn.h>
#include <refrain/plan.h>

typedef struct trainer {
    rf_context *ctx;
    gpt g;
    int64_t batch, length;
} trainer;

static rf_status trainer_step(void *payload)
{
    trainer *t = payload;
    int32_t ids[512];
    int64_t dims[2] = {t->batch, t->length};
    rf_scope *s;
    rf_tensor *in[2], *loss = NULL;
    rf_values from = {in, 2}, to = {&loss, 1};
    rf_status status = rf_scope_open(&s, t->ctx, NULL);
    if (status)
        return status;
    for (int i = 0; i < 512; i++)
        ids[i] = (i * 7 + (int)t->length) % GPT_VOCAB;
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
    trainer t = {.batch = 2, .length = GPT_CONTEXT};
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.seed = 5;
    assert_int_equal(rf_context_create(&t.ctx, &opts), RF_OK);
    assert_int_equal(gpt_create(&t.g, t.ctx, 0.1), RF_OK);
    return t;
}

static void trainer_end(trainer *t)
{
    gpt_destroy(&t->g);
    rf_context_destroy(t->ctx);
}

static uint64_t trainer_peak(trainer *t)
{
    rf_memory_info info;
    assert_int_equal(rf_memory_get(t->ctx, RF_DEVICE_CPU, RF_MEM_ALL, &info), RF_OK);
    return info.peak;
}

static rf_status planner_shape(rf_planner *p, trainer *t, int64_t batch, int64_t length)
{
    const rf_training_step step = {trainer_step, t};
    int64_t sizes[2] = {batch, length};
    t->batch = batch;
    t->length = length;
    return rf_planner_step(p, (rf_step_shape){sizes, 2}, &step);
}

static const int64_t shapes[][2] = {{2, 16}, {8, 16}, {2, 7}, {8, 16}, {2, 16}, {20, 16}};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

/* The peak of the largest shape, plain. */
static uint64_t plain_hash(uint64_t *peak)
{
    trainer t = trainer_new();
    uint64_t hash;
    for (int i = 0; i < SHAPES; i++) {
        t.batch = shapes[i][0];
        t.length = shapes[i][1];
        assert_int_equal(trainer_step(&t), RF_OK);
    }
    *peak = trainer_peak(&t);
    assert_int_equal(rf_module_hash(t.g.model, &hash), RF_OK);
    trainer_end(&t);
    return hash;
}

static void test_shapes_share_a_budget(void **state)
{
    (void)state;
    trainer t = trainer_new();
    uint64_t peak, hash, wanted = plain_hash(&peak);
    rf_planner *p;
    rf_plan_options opts = RF_PLAN_OPTIONS_INIT;
    opts.budget = peak * 11 / 20;
    opts.seconds = 0.5;
    assert_int_equal(rf_memory_set_limit(t.ctx, RF_DEVICE_CPU, RF_MEM_ALL, opts.budget), RF_OK);
    assert_int_equal(rf_planner_create(&p, t.g.model, &opts), RF_OK);
    assert_null(rf_planner_current(p));
    for (int i = 0; i < SHAPES; i++)
        assert_int_equal(planner_shape(p, &t, shapes[i][0], shapes[i][1]), RF_OK);
    assert_int_equal(rf_planner_num(p), 4);
    assert_true(rf_plan_num_parts(rf_planner_current(p)) > 0);
    assert_int_equal(rf_module_hash(t.g.model, &hash), RF_OK);
    assert_int_equal(hash, wanted);
    /* the small one needs no regions */
    assert_int_equal(planner_shape(p, &t, 2, 7), RF_OK);
    assert_int_equal(rf_plan_num_parts(rf_planner_current(p)), 0);
    /* too large: refused by name, with what it needs; the others go on */
    assert_int_equal(planner_shape(p, &t, 30, 17), RF_E_SHAPE);
    assert_int_equal(planner_shape(p, &t, 31, 16), RF_E_BUDGET);
    assert_non_null(strstr(rf_context_error(t.ctx)->message, "31 x 16"));
    assert_true(rf_context_error(t.ctx)->limit_needed > opts.budget);
    assert_null(rf_planner_current(p));
    assert_int_equal(planner_shape(p, &t, 8, 16), RF_OK);
    rf_planner_destroy(p);
    assert_false(rf_checkpoint_applied(rf_nn_gpt2_block(t.g.model, 0)));
    trainer_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes_share_a_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
