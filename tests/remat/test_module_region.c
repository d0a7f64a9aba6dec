/* test_module_region.c: what the region of a module remembers of it, what changes are noticed
 * before a backward, and what copies of checkpointed modules share. */
#include "support/world.h"

#include <refrain/nn.h>

enum { ROWS = 4, WIDTH = 8 };

static rf_module *add(rf_module *sequential, rf_context *ctx, int kind)
{
    rf_module *m = NULL;
    if (kind == 'd')
        assert_ok(ctx, rf_nn_dropout(&m, ctx, 0.5));
    else if (kind == 't')
        assert_ok(ctx, rf_nn_activation(&m, ctx, RF_ACTIVATION_TANH));
    else
        assert_ok(ctx, rf_nn_linear(&m, ctx, WIDTH, WIDTH, 0));
    assert_ok(ctx, rf_nn_sequential_add(sequential, m));
    return m;
}

/* A container: l linear, t tanh, d dropout. */
static rf_module *chain(rf_context *ctx, const char *kinds)
{
    rf_module *m;
    assert_ok(ctx, rf_nn_sequential(&m, ctx));
    for (; *kinds; kinds++)
        add(m, ctx, *kinds);
    return m;
}

static rf_tensor *loss_of(world *w, rf_module *m)
{
    rf_tensor *loss = rf_sum(w->s, rf_module_call1(m, w->s, world_leaf(w, ROWS, WIDTH, 0.1)));
    assert_ok(w->ctx, rf_scope_status(w->s));
    return loss;
}

static void bump(world *w, rf_tensor *t)
{
    void *bytes = world_bytes(w, t);
    assert_ok(w->ctx, rf_tensor_copy_from(t, bytes, rf_tensor_bytes(t)));
    free(bytes);
}

/* The error is a change of the parameter of that path. */
static void assert_names(world *w, rf_status status, const char *path)
{
    const rf_error *error = rf_context_error(w->ctx);
    assert_int_equal(status, RF_E_MUTATED);
    assert_int_equal(error->code, RF_E_MUTATED);
    assert_string_equal(error->path, path);
    assert_non_null(strstr(error->message, path));
    rf_scope_clear(w->s);
}

/* X12. A bias is saved by no op: only the region itself can notice. A weight, the ops notice too.
 */
static void test_parameters_changed_in_place(void **state)
{
    world *w = *state;
    static const char *const paths[] = {"0.bias", "0.weight", "2.bias", "2.weight"};
    for (size_t i = 0; i < 2 * sizeof paths / sizeof paths[0]; i++) {
        const char *path = paths[i / 2];
        rf_module *m = chain(w->ctx, "ltlt");
        assert_ok(w->ctx,
                  i % 2 ? rf_checkpoint_sequential_with(
                              m, &(rf_sequential_options){.size = sizeof(rf_sequential_options),
                                                          .segments = 2,
                                                          .tail = 1})
                        : rf_checkpoint(m, NULL));
        rf_tensor *loss = loss_of(w, m);
        bump(w, rf_module_param(m, path));
        assert_names(w, rf_backward(w->s, loss), path);
        assert_ok(w->ctx, rf_backward(w->s, loss_of(w, m))); /* and the next step is fine */
        rf_module_destroy(m);
    }
}

static rf_status with_weight(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)payload;
    out->v[0] = rf_sin(s, rf_matmul(s, in->v[0], in->v[1]));
    return rf_scope_status(s);
}

/* A region around a function that is handed its parameter. */
static rf_status handing_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_tensor *v[2] = {in->v[0], rf_module_param(m, "w")};
    return rf_checkpoint_call(s, (rf_function){with_weight, NULL, NULL}, &(rf_values){v, 2}, out,
                              NULL);
}

static const rf_module_class handing_class = {
    .size = sizeof(rf_module_class), .name = "Handing", .forward = handing_forward};

/* X12: wherever a parameter is read, deep in a tree; in a region of what is around it; in none. */
static void test_changed_parameters_are_named(void **state)
{
    world *w = *state;
    for (int i = 0; i < 4; i++) {
        rf_module *root = chain(w->ctx, "tt"), *inner = chain(w->ctx, "tl"), *handing;
        assert_ok(w->ctx, rf_module_create(&handing, w->ctx, &handing_class, NULL));
        assert_ok(w->ctx, rf_module_add_param(handing, "w", world_leaf(w, WIDTH, WIDTH, 0.3)));
        assert_ok(w->ctx, rf_nn_sequential_add(inner, handing));
        assert_ok(w->ctx, rf_nn_sequential_add(root, inner));
        if (i % 2)
            assert_ok(w->ctx, rf_checkpoint(inner, NULL));
        const char *path = i / 2 ? "2.2.w" : "2.1.weight";
        rf_tensor *loss = loss_of(w, root);
        bump(w, rf_module_param(root, path));
        assert_names(w, rf_backward(w->s, loss), path);
        rf_module_destroy(root);
    }
}

/* X12: another tensor in its place. */
static void test_replaced_parameters_are_named(void **state)
{
    world *w = *state;
    rf_module *m = chain(w->ctx, "ltl");
    assert_ok(w->ctx, rf_checkpoint(m, NULL));
    rf_tensor *loss = loss_of(w, m);
    assert_ok(w->ctx, rf_module_set_param(rf_module_child(m, 2), "weight",
                                          world_leaf(w, WIDTH, WIDTH, 0.1)));
    assert_names(w, rf_backward(w->s, loss), "2.weight");
    rf_module_destroy(m);
}

/* Which gradients are wanted decides what ops save. */
static void test_parameters_frozen_meanwhile(void **state)
{
    world *w = *state;
    for (int frozen = 0; frozen < 2; frozen++) {
        rf_module *m = chain(w->ctx, "ltl");
        rf_tensor *t = rf_module_param(m, "0.weight");
        assert_ok(w->ctx, rf_tensor_set_requires_grad(t, !frozen));
        assert_ok(w->ctx, rf_checkpoint(m, NULL));
        rf_tensor *loss = loss_of(w, m);
        assert_ok(w->ctx, rf_tensor_set_requires_grad(t, frozen));
        assert_names(w, rf_backward(w->s, loss), "0.weight");
        rf_module_destroy(m);
    }
}

static void test_a_parameter_of_another_module_may_change(void **state)
{
    world *w = *state;
    rf_module *m = chain(w->ctx, "tt"), *other = chain(w->ctx, "l");
    assert_ok(w->ctx, rf_checkpoint(m, NULL));
    rf_tensor *loss = loss_of(w, m);
    bump(w, rf_module_param(other, "0.weight"));
    assert_ok(w->ctx, rf_backward(w->s, loss));
    rf_module_destroy(m);
    rf_module_destroy(other);
}

static void test_checkpoints_that_come_and_go(void **state)
{
    world *w = *state;
    for (int i = 0; i < 4; i++) {
        rf_module *m = chain(w->ctx, "ltl"), *inner = rf_module_child(m, 1);
        assert_ok(w->ctx, rf_checkpoint(m, NULL));
        if (i == 1)
            assert_ok(w->ctx, rf_checkpoint(inner, NULL));
        rf_tensor *loss = loss_of(w, m);
        if (i == 0)
            assert_ok(w->ctx, rf_checkpoint(inner, NULL));
        else if (i == 1)
            assert_ok(w->ctx, rf_checkpoint_clear(inner));
        else if (i == 2)
            assert_ok(w->ctx, rf_checkpoint_clear(m)); /* its own graphs stay valid */
        else
            rf_module_destroy(rf_module_child(m, 2));
        assert_int_equal(rf_backward(w->s, loss), i == 2 ? RF_OK : RF_E_MUTATED);
        rf_scope_clear(w->s);
        rf_module_destroy(m);
    }
}

/* A dropout that does nothing hands its input on: nobody may release it. */
static void test_a_child_that_returns_its_input(void **state)
{
    world *w = *state;
    static const char *const kinds[] = {"ldl", "dld", "ldd", "dd"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        for (size_t segments = 0; segments <= strlen(kinds[i]); segments++) {
            rf_module *m = chain(w->ctx, kinds[i]);
            rf_module_train(m, 0);
            if (segments)
                assert_ok(w->ctx, rf_checkpoint_sequential(m, segments, NULL));
            assert_ok(w->ctx, rf_backward(w->s, loss_of(w, m)));
            rf_module_destroy(m);
        }
}

/* More segments than children are left: the container still runs, each child once. */
/* AT-30 */
static void test_segments_of_a_shorter_container(void **state)
{
    world *w = *state;
    rf_module *m = chain(w->ctx, "lll");
    assert_ok(w->ctx, rf_checkpoint_sequential(m, 3, NULL));
    rf_module_destroy(rf_module_child(m, 2));
    rf_module_destroy(rf_module_child(m, 1));
    rf_op_counts_reset(w->ctx);
    rf_tensor *loss = loss_of(w, m);
    assert_int_equal(rf_op_counts_of(w->ctx, "linear").recorded, 1);
    assert_ok(w->ctx, rf_backward(w->s, loss));
    rf_module_destroy(m);
}

/* ---- copies ---- */

typedef struct region_count {
    int entered, ended;
} region_count;

static rf_status count_enter(void *payload, rf_scope *s, rf_pass pass)
{
    region_count *c = payload;
    (void)s;
    (void)pass;
    assert_int_equal(c->ended, 0);
    c->entered++;
    return RF_OK;
}

static void count_end(void *payload)
{
    ((region_count *)payload)->ended++;
}

/* The payload of a region's hooks ends once, with the last of the copies and graphs. */
static void test_copies_share_the_regions_hooks(void **state)
{
    world *w = *state;
    region_count c = {0, 0};
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    rf_module *m = chain(w->ctx, "lt"), *copy, *second;
    opts.hooks = (rf_region_hooks){count_enter, NULL, &c, count_end};
    assert_ok(w->ctx, rf_checkpoint(m, &opts));
    assert_ok(w->ctx, rf_module_copy(&copy, m));
    assert_ok(w->ctx, rf_module_copy(&second, copy));
    assert_ptr_not_equal(rf_api_state(&rf_checkpoint_api, m),
                         rf_api_state(&rf_checkpoint_api, copy));
    rf_module_destroy(m);
    rf_module_destroy(copy);
    assert_int_equal(c.ended, 0);
    rf_tensor *loss = loss_of(w, second);
    assert_ok(w->ctx, rf_checkpoint_clear(second));
    assert_int_equal(c.ended, 0); /* the graph has it still */
    assert_ok(w->ctx, rf_backward(w->s, loss));
    assert_int_equal(c.entered, 2);
    rf_module_destroy(second);
    rf_scope_close(w->s);
    assert_int_equal(c.ended, 1);
    assert_ok(w->ctx, rf_scope_open(&w->s, w->ctx, NULL));
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_parameters_changed_in_place),
        ROW(test_changed_parameters_are_named),
        ROW(test_replaced_parameters_are_named),
        ROW(test_parameters_frozen_meanwhile),
        ROW(test_a_parameter_of_another_module_may_change),
        ROW(test_checkpoints_that_come_and_go),
        ROW(test_a_child_that_returns_its_input),
        ROW(test_segments_of_a_shorter_container),
        ROW(test_copies_share_the_regions_hooks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
