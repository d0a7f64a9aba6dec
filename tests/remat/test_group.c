/* test_group.c: AT-24: several backward calls that share one recompute (1C). */
#include "support/world.h"

typedef struct counted {
    int calls;
} counted;

/* two results: exp(sin(x)), sin(cos(x)) */
static rf_status two(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    ((counted *)payload)->calls++;
    out->v[0] = rf_exp(s, rf_sin(s, in->v[0]));
    out->v[1] = rf_sin(s, rf_cos(s, in->v[0]));
    return rf_scope_status(s);
}

static void run_two(world *w, counted *c, rf_tensor *x, rf_tensor *losses[2])
{
    rf_tensor *y[2] = {NULL, NULL};
    rf_values in = {&x, 1}, out = {y, 2};
    c->calls = 0;
    assert_ok(w->ctx, rf_checkpoint_call(w->s, (rf_function){two, c, NULL}, &in, &out, NULL));
    for (int i = 0; i < 2; i++)
        losses[i] = rf_sum(w->s, y[i]);
}

/* AT-24 */
static void test_at24_one_recompute_for_two_calls(void **state)
{
    world *w = *state;
    counted c;
    rf_tensor *x = world_leaf(w, 4, 4, 0.1), *losses[2];
    rf_backward_group *group = NULL;
    run_two(w, &c, x, losses);
    assert_ok(w->ctx, rf_backward(w->s, losses[0]));
    assert_ok(w->ctx, rf_backward(w->s, losses[1]));
    assert_int_equal(c.calls, 3);
    void *apart = world_bytes(w, rf_grad(x));
    rf_grad_clear(x);
    for (int retain = 0; retain < 2; retain++) {
        rf_backward_options opts = RF_BACKWARD_OPTIONS_INIT;
        opts.retain = retain;
        run_two(w, &c, x, losses);
        uint64_t before = world_used(w, RF_MEM_ACTIVATION);
        assert_ok(w->ctx, rf_backward_group_open(&group, w->ctx, "split"));
        assert_ok(w->ctx, rf_backward_with(w->s, losses[0], &opts));
        assert_ok(w->ctx, rf_backward_with(w->s, losses[1], &opts));
        assert_int_equal(c.calls, 2);
        rf_backward_group_close(group);
        assert_true(world_used(w, RF_MEM_ACTIVATION) <= before);
        world_same(w, rf_grad(x), apart);
        rf_grad_clear(x);
    }
    free(apart);
}

/* AT-24 */
static void test_at24_overlap_is_an_error(void **state)
{
    world *w = *state;
    counted c;
    rf_tensor *x = world_leaf(w, 4, 4, 0.1), *losses[2];
    rf_backward_group *group = NULL;
    rf_backward_options retain = RF_BACKWARD_OPTIONS_INIT;
    retain.retain = 1;
    run_two(w, &c, x, losses);
    assert_ok(w->ctx, rf_backward_group_open(&group, w->ctx, "split"));
    assert_ok(w->ctx, rf_backward_with(w->s, losses[0], &retain));
    assert_int_equal(rf_backward_with(w->s, losses[0], &retain), RF_E_CONSUMED);
    assert_non_null(strstr(rf_context_error(w->ctx)->message, "group split"));
    rf_backward_group_close(group);
    /* and without the group it is none */
    assert_ok(w->ctx, rf_backward_with(w->s, losses[0], &retain));
    assert_int_equal(c.calls, 3);
}

/* AT-24 */
static void test_at24_groups_do_not_nest(void **state)
{
    world *w = *state;
    rf_backward_group *group = NULL, *inner = NULL;
    assert_ok(w->ctx, rf_backward_group_open(&group, w->ctx, "outer"));
    assert_int_equal(rf_backward_group_open(&inner, w->ctx, "inner"), RF_E_STATE);
    assert_null(inner);
    assert_non_null(strstr(rf_context_error(w->ctx)->message, "group outer is open"));
    rf_backward_group_close(group);
    assert_ok(w->ctx, rf_backward_group_open(&group, w->ctx, "again"));
    rf_backward_group_close(group);
    rf_backward_group_close(NULL);
}

/* A group that is left after an error leaves nothing behind, also if the graph outlives it. */
/* AT-24 */
static void test_at24_a_group_ends_before_its_graph(void **state)
{
    world *w = *state;
    counted c;
    rf_tensor *x = world_leaf(w, 4, 4, 0.1), *losses[2];
    rf_backward_group *group = NULL;
    run_two(w, &c, x, losses);
    assert_ok(w->ctx, rf_backward_group_open(&group, w->ctx, "first"));
    assert_ok(w->ctx, rf_backward(w->s, losses[0]));
    assert_int_equal(rf_backward(w->s, losses[0]), RF_E_CONSUMED);
    rf_backward_group_close(group);
    assert_ok(w->ctx, rf_backward(w->s, losses[1]));
    assert_int_equal(c.calls, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_at24_one_recompute_for_two_calls, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_at24_overlap_is_an_error, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_at24_groups_do_not_nest, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_at24_a_group_ends_before_its_graph, world_setup,
                                        world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
