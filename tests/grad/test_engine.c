/* test_engine.c: backward: accumulation, chosen inputs, retained and consumed graphs, frozen
 * inputs, stale handles, in-place changes, hooks, users' own ops. */
#include "support/world.h"

static void test_leaves_accumulate(void **state)
{
    world *w = *state;
    rf_tensor *x = world_leaf(w, 2, 2, 0);
    float g[4];
    for (int i = 1; i <= 3; i++) {
        assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, rf_affine(w->s, x, 2, 0))));
        assert_ok(w->ctx, rf_tensor_copy_out(rf_grad(x), g, sizeof g));
        assert_true(g[3] == 2.0f * (float)i);
    }
    assert_int_equal(world_used(w, RF_MEM_GRAD), 16);
    rf_grad_clear(x);
    assert_null(rf_grad(x));
    assert_int_equal(world_used(w, RF_MEM_GRAD), 0);
}

static void test_chosen_inputs_leave_leaves_alone(void **state)
{
    world *w = *state;
    rf_tensor *x = world_leaf(w, 2, 2, 0), *y = world_leaf(w, 2, 2, 1);
    rf_tensor *unused = world_leaf(w, 2, 2, 1);
    rf_tensor *h = rf_sin(w->s, x);
    rf_tensor *loss = rf_sum(w->s, rf_mul(w->s, rf_exp(w->s, h), rf_matmul(w->s, y, y)));
    rf_tensor *wanted[2] = {h, unused}, *found[2];
    rf_values in = {wanted, 2}, out = {found, 2};
    rf_backward_options opts = RF_BACKWARD_OPTIONS_INIT;
    opts.retain = 1;
    assert_int_equal(rf_gradients(w->s, loss, &in, &out, &opts), RF_E_ARGUMENT);
    opts.allow_unused = 1;
    rf_op_counts_reset(w->ctx);
    assert_ok(w->ctx, rf_gradients(w->s, loss, &in, &out, &opts));
    assert_non_null(found[0]);
    assert_null(found[1]);
    assert_null(rf_grad(x));
    assert_null(rf_grad(y));
    assert_int_equal(world_executed(w, "matmul"), 0); /* only what h needs is computed */
    assert_int_equal(world_executed(w, "cos"), 0);
}

static void test_a_graph_is_used_up_unless_retained(void **state)
{
    world *w = *state;
    rf_tensor *x = world_leaf(w, 2, 2, 0.3);
    rf_tensor *loss = rf_sum(w->s, rf_exp(w->s, x));
    rf_backward_options retain = RF_BACKWARD_OPTIONS_INIT;
    retain.retain = 1;
    assert_ok(w->ctx, rf_backward_with(w->s, loss, &retain));
    assert_ok(w->ctx, rf_backward(w->s, loss));
    assert_int_equal(rf_backward(w->s, loss), RF_E_CONSUMED);
    loss = rf_sum(w->s, rf_add(w->s, x, x)); /* nothing saved, nothing used up */
    assert_ok(w->ctx, rf_backward(w->s, loss));
    assert_ok(w->ctx, rf_backward(w->s, loss));
}

static void test_frozen_inputs_cost_no_slots(void **state)
{
    world *w = *state;
    rf_tensor *weight = world_leaf(w, 32, 32, 0), *x = world_leaf(w, 8, 32, 0);
    for (int frozen = 0; frozen < 2; frozen++) {
        assert_ok(w->ctx, rf_tensor_set_requires_grad(weight, !frozen));
        rf_tensor *h = rf_affine(w->s, x, 2, 0); /* wanted only for the weight's gradient */
        rf_tensor *y = rf_matmul(w->s, h, weight);
        uint64_t before = world_used(w, RF_MEM_ACTIVATION);
        rf_release(w->s, h);
        assert_int_equal(before - world_used(w, RF_MEM_ACTIVATION), frozen ? 8 * 32 * 4 : 0);
        rf_release(w->s, y);
    }
}

static void test_interior_handles_are_used_up(void **state)
{
    world *w = *state;
    float host[4];
    rf_tensor *x = world_leaf(w, 2, 2, 0.3);
    rf_tensor *h = rf_sin(w->s, x), *held = rf_tensor_hold(rf_cos(w->s, h));
    rf_tensor *loss = rf_sum(w->s, rf_mul(w->s, h, held));
    assert_ok(w->ctx, rf_backward(w->s, loss));
    assert_int_equal(rf_tensor_copy_out(h, host, sizeof host), RF_E_STALE);
    assert_null(rf_exp(w->s, h));
    assert_int_equal(rf_scope_status(w->s), RF_E_STALE);
    rf_scope_clear(w->s);
    assert_ok(w->ctx, rf_tensor_copy_out(held, host, sizeof host));
    assert_ok(w->ctx, rf_tensor_copy_out(x, host, sizeof host));
    assert_ok(w->ctx, rf_tensor_copy_out(loss, host, 4));
    rf_tensor_drop(held);
}

static void test_in_place(void **state)
{
    world *w = *state;
    float one[4], two[4];
    rf_tensor *x = world_leaf(w, 2, 2, 0.3), *y = world_leaf(w, 2, 2, 0.7);
    rf_tensor *h = rf_add(w->s, rf_sin(w->s, x), y);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, rf_exp(w->s, h))));
    assert_ok(w->ctx, rf_tensor_copy_out(rf_grad(x), one, sizeof one));
    rf_grad_clear(x);
    h = rf_sin(w->s, x);
    uint32_t version = rf_tensor_version(h);
    assert_ptr_equal(rf_add_inplace(w->s, h, y), h);
    assert_int_equal(rf_tensor_version(h), version + 1);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, rf_exp(w->s, h))));
    assert_ok(w->ctx, rf_tensor_copy_out(rf_grad(x), two, sizeof two));
    assert_memory_equal(one, two, sizeof one);

    assert_null(rf_add_inplace(w->s, x, y)); /* a leaf */
    assert_int_equal(rf_scope_status(w->s), RF_E_STATE);
    rf_scope_clear(w->s);
    h = rf_sin(w->s, x);
    rf_tensor *view = rf_transpose_axes(w->s, h, 0, 1);
    assert_null(rf_relu_inplace(w->s, h)); /* others share its bytes */
    rf_scope_clear(w->s);
    assert_null(rf_relu_inplace(w->s, view));
    rf_scope_clear(w->s);
    /* exp keeps its result; changing that is noticed */
    h = rf_exp(w->s, x);
    rf_tensor *loss = rf_sum(w->s, rf_mul(w->s, h, y));
    rf_scope_set_grad(w->s, 0);
    assert_non_null(rf_mul_inplace(w->s, h, y));
    rf_scope_set_grad(w->s, 1);
    assert_int_equal(rf_backward(w->s, loss), RF_E_MUTATED);
}

static rf_status halve(void *payload, rf_scope *s, rf_tensor **grad)
{
    ++*(int *)payload;
    *grad = rf_affine(s, *grad, 0.5, 0);
    return rf_scope_status(s);
}

static rf_status stop(void *payload, rf_scope *s, rf_tensor **grad)
{
    (void)payload;
    (void)grad;
    return rf_scope_fail(s, RF_E_USER, "the hook says stop");
}

static void test_hooks_see_whole_gradients(void **state)
{
    world *w = *state;
    int calls = 0;
    float g[4];
    rf_tensor *x = world_leaf(w, 2, 2, 0.3);
    rf_tensor *h = rf_affine(w->s, x, 1, 0);
    assert_ok(w->ctx, rf_tensor_add_grad_hook(h, (rf_grad_hook){halve, &calls, NULL}));
    rf_tensor *sum = rf_add(w->s, rf_affine(w->s, h, 3, 0), rf_affine(w->s, h, 5, 0));
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, sum)));
    assert_int_equal(calls, 1);
    assert_ok(w->ctx, rf_tensor_copy_out(rf_grad(x), g, sizeof g));
    assert_true(g[0] == 4);
    h = rf_affine(w->s, x, 1, 0);
    assert_ok(w->ctx, rf_tensor_add_grad_hook(h, (rf_grad_hook){stop, NULL, NULL}));
    assert_int_equal(rf_backward(w->s, rf_sum(w->s, h)), RF_E_USER);
    assert_string_equal(rf_context_error(w->ctx)->message, "the hook says stop");
}

/* A user's own op: x squared, by hand. */
static rf_status square_infer(rf_op_call *call)
{
    call->out[0].shape = call->in[0].shape;
    return call->in[0].shape.dtype == RF_F64 ? RF_OK : rf_op_fail(call, RF_E_DTYPE, "f64 only");
}

static rf_status square_forward(rf_op_call *call)
{
    const double *x = call->in[0].data;
    double *y = call->out[0].data;
    for (int64_t i = 0; i < call->in[0].shape.dims[0]; i++)
        y[i] = x[i] * x[i];
    return RF_OK;
}

static rf_op_reads square_reads(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    return (rf_op_reads){wanted ? 1u : 0, 0};
}

static rf_status square_backward(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    rf_tensor *x = rf_op_saved_input(grad, 0);
    grad->grad_in[0] = rf_mul(s, grad->grad_out[0], rf_affine(s, x, 2, 0));
    return rf_scope_status(s);
}

static const rf_op_class square = {.size = sizeof(rf_op_class),
                                   .name = "users_square",
                                   .doc = "x x",
                                   .num_out = 1,
                                   .infer = square_infer,
                                   .forward = square_forward,
                                   .reads = square_reads,
                                   .backward = square_backward};

static rf_status run_square(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)payload;
    return rf_op_run(s, &square, in, NULL, 0, out);
}

static void test_users_ops_are_like_ours(void **state)
{
    world *w = *state;
    double host[3] = {1, 2, 3};
    int64_t dims[1] = {3};
    size_t before = rf_op_count(w->ctx);
    assert_ok(w->ctx, rf_op_register(w->ctx, &square));
    assert_int_equal(rf_op_register(w->ctx, &square), RF_E_ARGUMENT);
    assert_int_equal(rf_op_count(w->ctx), before + 1);
    rf_tensor *x = rf_tensor_copy_in(w->s, RF_F64, 1, dims, host);
    assert_ok(w->ctx, rf_tensor_set_requires_grad(x, 1));
    rf_values in = {&x, 1};
    rf_gradcheck_options opts = RF_GRADCHECK_OPTIONS_INIT;
    opts.second_order = 1;
    opts.tolerance = 1e-4;
    assert_ok(w->ctx, rf_gradcheck(w->s, (rf_function){run_square, NULL, NULL}, &in, &opts));
    rf_tensor *y = world_region(w, (rf_function){run_square, NULL, NULL}, x, NULL);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
    assert_int_equal(world_executed(w, "users_square") > 0, 1);
}

static rf_status wrong_rule(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)payload;
    out->v[0] = rf_mul(s, in->v[0], rf_detach(s, in->v[0])); /* half of the gradient is missing */
    return rf_scope_status(s);
}

static void test_gradcheck_finds_a_wrong_gradient(void **state)
{
    world *w = *state;
    double host[3] = {1, 2, 3};
    int64_t dims[1] = {3};
    rf_tensor *x = rf_tensor_copy_in(w->s, RF_F64, 1, dims, host);
    assert_ok(w->ctx, rf_tensor_set_requires_grad(x, 1));
    rf_values in = {&x, 1};
    assert_int_equal(rf_gradcheck(w->s, (rf_function){wrong_rule, NULL, NULL}, &in, NULL),
                     RF_E_USER);
    assert_non_null(strstr(rf_context_error(w->ctx)->message, "input 0, element 0"));
}

static void test_errors_name_op_and_shapes(void **state)
{
    world *w = *state;
    rf_tensor *a = world_leaf(w, 2, 3, 0), *b = world_leaf(w, 2, 4, 0);
    assert_null(rf_exp(w->s, rf_add(w->s, a, b)));
    const rf_error *error = rf_context_error(w->ctx);
    assert_int_equal(error->code, RF_E_SHAPE);
    assert_string_equal(error->op, "add");
    assert_non_null(strstr(error->message, "(2, 3) f32 and (2, 4) f32"));
    assert_int_equal(rf_backward(w->s, NULL), RF_E_SHAPE); /* the first failure of the scope */
    rf_scope_clear(w->s);
    assert_null(rf_add(w->s, a, NULL));
    assert_int_equal(rf_scope_status(w->s), RF_E_ARGUMENT);
    rf_scope_clear(w->s);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_leaves_accumulate),
        ROW(test_chosen_inputs_leave_leaves_alone),
        ROW(test_a_graph_is_used_up_unless_retained),
        ROW(test_frozen_inputs_cost_no_slots),
        ROW(test_interior_handles_are_used_up),
        ROW(test_in_place),
        ROW(test_hooks_see_whole_gradients),
        ROW(test_users_ops_are_like_ours),
        ROW(test_gradcheck_finds_a_wrong_gradient),
        ROW(test_errors_name_op_and_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
