/* test_costs_step.c: a dry run of a step notes the very calls that the step then makes, each as
 * often; in a dry context the costs are measured in another. */
#include "support/gpt.h"
#include "support/world.h"

#include "plan/profile.h"

#include <refrain/trace.h>

static rf_context *context_new(int dry, size_t threads, const char *isa)
{
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_context *ctx;
    opts.seed = 3;
    opts.dry = dry;
    opts.threads = threads;
    opts.isa = isa;
    assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
    return ctx;
}

static rf_status run_step(void *payload)
{
    gpt *g = payload;
    int32_t ids[GPT_BATCH * GPT_CONTEXT + 1];
    int64_t dims[2] = {GPT_BATCH, g->context};
    rf_scope *s;
    rf_tensor *in[2], *loss = NULL;
    rf_values from = {in, 2}, to = {&loss, 1};
    rf_status status = rf_scope_open(&s, rf_module_context(g->model), NULL);
    if (status)
        return status;
    for (uint32_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        ids[i] = (int32_t)(i * 7 % GPT_VOCAB);
    in[0] = rf_tensor_copy_in(s, RF_I32, 2, dims, ids);
    in[1] = rf_tensor_copy_in(s, RF_I32, 2, dims, ids + 1);
    status = rf_module_call(g->model, s, &from, &to);
    if (!status)
        status = rf_backward(s, loss);
    if (!status)
        status = rf_clip_grad_norm(g->model, 1.0, NULL);
    if (!status)
        status = rf_optim_step(g->optim);
    rf_optim_zero_grad(g->optim);
    rf_scope_close(s);
    return status;
}

static void checkpoint_blocks(gpt *g)
{
    for (size_t i = 0; i < GPT_LAYERS; i++)
        assert_int_equal(rf_checkpoint(rf_nn_gpt2_block(g->model, i), NULL), RF_OK);
}

static void listen(void *payload, const rf_event *event)
{
    if (event->kind == RF_EVENT_OP)
        (void)rf_costs_of(payload, event->call);
}

static rf_cost find(const rf_costs *costs, uint64_t key)
{
    for (size_t i = 0; i < rf_costs_size(costs); i++)
        if (rf_costs_at(costs, i).key == key)
            return rf_costs_at(costs, i);
    return (rf_cost){0};
}

static void notes_what_runs(int checkpointed)
{
    rf_context *ctx = context_new(0, 2, NULL);
    rf_costs *dry, *real;
    gpt g;
    assert_ok(ctx, gpt_create(&g, ctx, 0.1));
    if (checkpointed)
        checkpoint_blocks(&g);
    assert_ok(ctx, rf_costs_create(&dry, ctx));
    assert_ok(ctx, rf_costs_create(&real, ctx));
    assert_ok(ctx, rf_costs_note_step(dry, &(rf_training_step){run_step, &g}));
    rf_trace_set(ctx, listen, real);
    assert_ok(ctx, run_step(&g));
    rf_trace_set(ctx, NULL, NULL);
    for (size_t i = 0; i < rf_costs_size(real); i++) {
        rf_cost heard = rf_costs_at(real, i), noted = find(dry, heard.key);
        assert_string_equal(heard.text, noted.text ? noted.text : "");
        assert_int_equal(heard.count, noted.count);
    }
    assert_int_equal(rf_costs_size(dry), rf_costs_size(real));
    assert_ok(ctx, rf_costs_measure(dry, NULL));
    assert_int_equal(rf_costs_counts_of(dry).measured, rf_costs_counts_of(dry).known);
    rf_costs_destroy(dry);
    rf_costs_destroy(real);
    gpt_destroy(&g);
    rf_context_destroy(ctx);
}

static void test_notes_what_runs(void **state)
{
    (void)state;
    notes_what_runs(0);
    notes_what_runs(1);
}

static void test_dry_context(void **state)
{
    rf_context *ctx = context_new(1, 2, NULL), *twin = context_new(0, 2, NULL),
               *other = context_new(0, 1, NULL);
    rf_context *portable = context_new(0, 2, "portable");
    rf_costs *costs;
    rf_costs_options opts = RF_COSTS_OPTIONS_INIT;
    gpt g;
    (void)state;
    assert_ok(ctx, gpt_create(&g, ctx, 0.1));
    assert_ok(ctx, rf_costs_create(&costs, ctx));
    assert_int_equal(rf_costs_note_step(costs, NULL), RF_E_ARGUMENT);
    assert_ok(ctx, rf_costs_note_step(costs, &(rf_training_step){run_step, &g}));
    assert_int_equal(rf_costs_measure(costs, NULL), RF_E_STATE);
    opts.ctx = other;
    assert_int_equal(rf_costs_measure(costs, &opts), RF_E_STATE);
    opts.ctx = portable;
    if (strcmp(rf_context_isa(ctx), "portable") != 0)
        assert_int_equal(rf_costs_measure(costs, &opts), RF_E_STATE);
    assert_int_equal(rf_costs_counts_of(costs).measured, 0);
    opts.ctx = twin;
    opts.size--;
    assert_int_equal(rf_costs_measure(costs, &opts), RF_E_ARGUMENT);
    opts.size++;
    rf_costs_measure_rates(costs, twin);
    assert_true(rf_costs_total(costs) > 0);
    assert_ok(ctx, rf_costs_measure(costs, &opts));
    assert_int_equal(rf_costs_counts_of(costs).measured, rf_costs_counts_of(costs).known);
    rf_costs_destroy(costs);
    gpt_destroy(&g);
    rf_context_destroy(ctx);
    rf_context_destroy(twin);
    rf_context_destroy(other);
    rf_context_destroy(portable);
}

static rf_status fail_step(void *payload)
{
    rf_scope *s;
    rf_status status = rf_scope_open(&s, payload, NULL);
    if (status)
        return status;
    rf_tensor *a = rf_zeros(s, RF_F32, 1, (int64_t[]){3});
    (void)rf_add(s, a, rf_zeros(s, RF_F32, 1, (int64_t[]){4}));
    status = rf_scope_status(s);
    rf_scope_close(s);
    return status;
}

/* A step that fails says so, and its context is dry no longer. */
static void test_step_that_fails(void **state)
{
    rf_context *ctx = context_new(0, 1, NULL);
    rf_costs *costs;
    (void)state;
    assert_ok(ctx, rf_costs_create(&costs, ctx));
    assert_int_equal(rf_costs_note_step(costs, &(rf_training_step){fail_step, ctx}), RF_E_SHAPE);
    assert_false(rf_context_dry(ctx));
    rf_costs_destroy(costs);
    rf_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notes_what_runs),
        cmocka_unit_test(test_dry_context),
        cmocka_unit_test(test_step_that_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
