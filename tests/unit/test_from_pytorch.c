/* test_from_pytorch.c: docs/from-pytorch.md, row by row, but for its tables of checkpointing: what
 * the right column says is done, so that it compiles and does what the left column does. A row
 * of the page that is not here fails, and so does a name in it that is not used here. */
#include "support/page_rows.h"

#include <refrain/refrain.h>

enum { N = 4 };

/* ---- saved tensors ---- */

static rf_status pack(void *payload, rf_scope *s, rf_tensor *value, rf_tensor **packed, void **box)
{
    (void)s;
    (void)box;
    ((count *)payload)->entered++;
    *packed = value;
    return RF_OK;
}

static rf_status unpack(void *payload, rf_scope *s, rf_tensor *packed, void *box, rf_tensor **value)
{
    (void)s;
    (void)box;
    ((count *)payload)->left++;
    *value = packed;
    return RF_OK;
}

static void sine_backward(world *w)
{
    rf_tensor *x = world_leaf(w, N, N, 0.2);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, rf_sin(w->s, x))));
}

static void use_saved_hooks(world *w)
{
    count c = {0};
    rf_saved_hooks hooks = {pack, unpack, NULL, &c, NULL, 0};
    assert_ok(w->ctx, rf_scope_push_saved_hooks(w->s, hooks));
    sine_backward(w);
    assert_ok(w->ctx, rf_scope_pop_saved_hooks(w->s));
    sine_backward(w);
    assert_true(c.entered == 1 && c.left == 1);
}

static void use_stacked_hooks(world *w)
{
    count outer = {0}, inner = {0};
    rf_saved_hooks hooks[2] = {{pack, unpack, NULL, &outer, NULL, 0},
                               {pack, unpack, NULL, &inner, NULL, 0}};
    hooks[1].stacked = 1;
    for (int i = 0; i < 2; i++)
        assert_ok(w->ctx, rf_scope_push_saved_hooks(w->s, hooks[i]));
    sine_backward(w);
    for (int i = 0; i < 2; i++)
        assert_ok(w->ctx, rf_scope_pop_saved_hooks(w->s));
    assert_true(outer.entered == 1 && inner.entered == 1);
}

static void use_refuse_hooks(world *w)
{
    count c = {0};
    rf_saved_hooks hooks = {pack, unpack, NULL, &c, NULL, 0};
    rf_scope_refuse_saved_hooks(w->s, "not now");
    assert_int_equal(rf_scope_push_saved_hooks(w->s, hooks), RF_E_STATE);
    rf_scope_refuse_saved_hooks(w->s, NULL);
    assert_ok(w->ctx, rf_scope_push_saved_hooks(w->s, hooks));
    assert_ok(w->ctx, rf_scope_pop_saved_hooks(w->s));
}

static void use_save_on_cpu(world *w)
{
    rf_memory_info host;
    assert_ok(w->ctx, rf_scope_push_saved_tier(w->s, RF_DEVICE_HOST));
    rf_tensor *h = rf_exp(w->s, world_leaf(w, N, N, 0.2)), *y = rf_sin(w->s, h);
    assert_ok(w->ctx, rf_memory_get(w->ctx, RF_DEVICE_HOST, RF_MEM_ALL, &host));
    assert_true(host.used > 0);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
    assert_ok(w->ctx, rf_scope_pop_saved_hooks(w->s));
}

static void use_guard(world *w)
{
    rf_mutation_guard *guard;
    assert_ok(w->ctx, rf_mutation_guard_open(&guard, w->ctx));
    rf_tensor *h = rf_affine(w->s, world_leaf(w, N, N, 0.2), 2, 0), *y = rf_sin(w->s, h);
    h = rf_add_inplace(w->s, h, rf_detach(w->s, y));
    assert_non_null(h);
    assert_int_equal(rf_mutation_guard_clones(guard), 1);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
    rf_mutation_guard_close(guard);
}

/* ---- wrappers and composable APIs ---- */

static void use_wrapper(world *w)
{
    rf_module *m = page_linears(w, 1);
    assert_int_equal(page_step(w, m, "tanh"), 1);
    assert_ok(w->ctx, rf_checkpoint(m, NULL));
    assert_int_equal(page_step(w, m, "tanh"), 2);
    assert_non_null(rf_module_param(m, "0.weight")); /* the name that it had */
    rf_module_destroy(m);
}

static void use_unwrap(world *w)
{
    rf_module *m = page_linears(w, 1);
    assert_ok(w->ctx, rf_checkpoint(m, NULL));
    assert_ok(w->ctx, rf_checkpoint_clear(m));
    assert_int_equal(page_step(w, m, "tanh"), 1);
    rf_module_destroy(m);
}

static int is_linear(void *payload, const char *path, rf_module *m)
{
    (void)payload;
    (void)path;
    return strcmp(rf_module_class_of(m)->name, "Linear") == 0;
}

static void use_apply(world *w)
{
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    rf_module *model = page_linears(w, 3);
    rf_module_predicate which = {is_linear, NULL};
    size_t applied;
    assert_ok(w->ctx, rf_checkpoint_where(model, which, &opts, &applied));
    assert_int_equal(applied, 3);
    rf_module_destroy(model);
}

static void use_offload_wrapper(world *w)
{
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    rf_module *m = page_linears(w, 2);
    opts.fates = "host=*";
    assert_ok(w->ctx, rf_checkpoint(m, &opts));
    assert_int_equal(page_step(w, m, "tanh"), 2); /* as often as there are: none again */
    rf_module_destroy(m);
}

static void use_composable(world *w)
{
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    rf_module *m = page_linears(w, 1);
    assert_ok(w->ctx, rf_checkpoint(m, &opts));
    assert_int_equal(rf_checkpoint(m, &opts), RF_E_APPLIED);
    rf_module_destroy(m);
}

static void use_state(world *w)
{
    rf_module *m = page_linears(w, 1);
    assert_null(rf_api_state(&rf_checkpoint_api, m));
    assert_ok(w->ctx, rf_checkpoint(m, NULL));
    assert_non_null(rf_api_state(&rf_checkpoint_api, m));
    assert_true(rf_checkpoint_applied(m));
    rf_module_destroy(m);
}

static rf_status freeze(void *state, rf_module *const *modules, size_t num, const void *opts)
{
    (void)state;
    (void)opts;
    rf_status status = RF_OK;
    for (size_t i = 0; i < num && !status; i++)
        status = rf_tensor_set_requires_grad(rf_module_param(modules[i], "0.weight"), 0);
    return status;
}

static void unfreeze(void *state, rf_module *const *modules, size_t num)
{
    (void)state;
    for (size_t i = 0; i < num; i++)
        (void)!rf_tensor_set_requires_grad(rf_module_param(modules[i], "0.weight"), 1);
}

static const rf_api freeze_api = {
    .size = sizeof freeze_api, .name = "freeze", .apply = freeze, .remove = unfreeze};

static void use_contract(world *w)
{
    rf_module *m = page_linears(w, 1);
    assert_ok(w->ctx, rf_api_apply(&freeze_api, &m, 1, NULL, NULL));
    assert_false(rf_tensor_requires_grad(rf_module_param(m, "0.weight")));
    rf_module_destroy(m);
}

static void use_registry(world *w)
{
    rf_module *m = page_linears(w, 1);
    assert_ok(w->ctx, rf_checkpoint(m, NULL));
    assert_ok(w->ctx, rf_api_apply(&freeze_api, &m, 1, NULL, NULL));
    assert_int_equal(rf_module_num_apis(m), 2);
    assert_ptr_equal(rf_module_api(m, 1), &freeze_api);
    rf_module_destroy(m);
}

static void use_undo(world *w)
{
    rf_module *m = page_linears(w, 1);
    assert_ok(w->ctx, rf_api_apply(&freeze_api, &m, 1, NULL, NULL));
    assert_ok(w->ctx, rf_api_remove(&freeze_api, m));
    assert_true(rf_tensor_requires_grad(rf_module_param(m, "0.weight")));
    rf_module_destroy(m);
}

/* ---- autograd ---- */

static void use_backward(world *w)
{
    rf_tensor *x = world_leaf(w, N, N, 0.2), *loss = rf_sum(w->s, x);
    assert_ok(w->ctx, rf_backward(w->s, loss));
    assert_non_null(rf_grad(x));
}

static void use_retain(world *w)
{
    rf_backward_options opts = RF_BACKWARD_OPTIONS_INIT;
    rf_tensor *x = world_leaf(w, N, N, 0.2), *y = rf_sin(w->s, x);
    opts.seed = rf_full(w->s, RF_F32, 2, (int64_t[]){N, N}, 2);
    opts.retain = 1;
    for (int i = 0; i < 2; i++)
        assert_ok(w->ctx, rf_backward_with(w->s, y, &opts));
}

static rf_tensor *sine_gradient(world *w, rf_tensor *x, const rf_backward_options *opts)
{
    rf_tensor *g = NULL;
    rf_tensor *y = rf_sum(w->s, rf_sin(w->s, x));
    rf_values *xs = &(rf_values){&x, 1}, *grads = &(rf_values){&g, 1};
    assert_ok(w->ctx, rf_gradients(w->s, y, xs, grads, opts));
    return g;
}

static void use_create_graph(world *w)
{
    rf_backward_options opts = RF_BACKWARD_OPTIONS_INIT;
    opts.create_graph = 1;
    assert_true(rf_tensor_requires_grad(sine_gradient(w, world_leaf(w, N, N, 0.2), &opts)));
}

static void use_gradients(world *w)
{
    rf_tensor *x = world_leaf(w, N, N, 0.2);
    assert_non_null(sine_gradient(w, x, NULL));
    assert_null(rf_grad(x));
}

static void use_unused(world *w)
{
    rf_backward_options opts = RF_BACKWARD_OPTIONS_INIT;
    rf_tensor *x = world_leaf(w, N, N, 0.2), *other = world_leaf(w, N, N, 0.3), *g = x;
    opts.allow_unused = 1;
    assert_ok(w->ctx, rf_gradients(w->s, rf_sum(w->s, x), &(rf_values){&other, 1},
                                   &(rf_values){&g, 1}, &opts));
    assert_null(g);
}

static void use_grad_set(world *w)
{
    rf_tensor *x = world_leaf(w, N, N, 0.2);
    assert_ok(w->ctx, rf_grad_set(x, sine_gradient(w, x, NULL)));
    assert_non_null(rf_grad(x));
}

static void use_grad(world *w)
{
    rf_tensor *t = world_leaf(w, N, N, 0.2);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, t)));
    assert_non_null(rf_grad(t));
    rf_grad_clear(t);
    assert_null(rf_grad(t));
}

static rf_status see_gradient(void *payload, rf_scope *s, rf_tensor **grad)
{
    (void)s;
    ((count *)payload)->calls += *grad != NULL;
    return RF_OK;
}

static void use_hook(world *w)
{
    count c = {0};
    rf_grad_hook hook = {see_gradient, &c, NULL};
    rf_tensor *t = world_leaf(w, N, N, 0.2);
    assert_ok(w->ctx, rf_tensor_add_grad_hook(t, hook));
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, t)));
    assert_int_equal(c.calls, 1);
}

static void use_no_grad(world *w)
{
    rf_scope_set_grad(w->s, 0);
    assert_false(rf_tensor_requires_grad(rf_sin(w->s, world_leaf(w, N, N, 0.2))));
    rf_scope_set_grad(w->s, 1);
}

static void use_detach(world *w)
{
    rf_tensor *t = rf_sin(w->s, world_leaf(w, N, N, 0.2));
    assert_false(rf_tensor_requires_grad(rf_detach(w->s, t)));
}

static void use_autocast(world *w)
{
    rf_tensor *x = world_leaf(w, N, N, 0.2), *y = rf_matmul(w->s, x, x);
    assert_ok(w->ctx, rf_scope_set_precision(w->s, RF_BF16));
    void *bits = world_bytes(w, rf_matmul(w->s, x, x));
    void *wanted = world_bytes(w, y);
    assert_memory_not_equal(bits, wanted, N * N * sizeof(float));
    assert_ok(w->ctx, rf_scope_set_precision(w->s, RF_F32));
    free(bits);
    free(wanted);
}

static void use_gradcheck(world *w)
{
    count c = {0};
    rf_gradcheck_options opts = RF_GRADCHECK_OPTIONS_INIT;
    rf_tensor *x = rf_full(w->s, RF_F64, 1, (int64_t[]){N}, 0.3);
    opts.second_order = 1;
    assert_ok(w->ctx, rf_tensor_set_requires_grad(x, 1));
    assert_ok(w->ctx,
              rf_gradcheck(w->s, (rf_function){page_sine, &c, NULL}, &(rf_values){&x, 1}, &opts));
    assert_true(c.calls > N);
}

/* ---- the rows ---- */

static const page_row rows[] = {
    {"saved_tensors_hooks(pack, unpack)", use_saved_hooks},
    {"hooks that compose (not there)", use_stacked_hooks},
    {"disable_saved_tensors_hooks(msg)", use_refuse_hooks},
    {"save_on_cpu()", use_save_on_cpu},
    {"pin_memory=", NULL},
    {"allow_mutation_on_saved_tensors()", use_guard},
    {"checkpoint_wrapper(m)", use_wrapper},
    {"unwrapping", use_unwrap},
    {"apply_activation_checkpointing(model, check_fn=)", use_apply},
    {"offload_wrapper(m)", use_offload_wrapper},
    {"composable checkpoint(m)", use_composable},
    {"checkpoint.state(m)", use_state},
    {"contract() on a function", use_contract},
    {"_get_registry(m)", use_registry},
    {"undoing an API (not there)", use_undo},
    {"loss.backward()", use_backward},
    {"backward(gradient=g, retain_graph=True)", use_retain},
    {"create_graph=True", use_create_graph},
    {"torch.autograd.grad(y, xs)", use_gradients},
    {"allow_unused=True", use_unused},
    {"backward(inputs=xs)", use_grad_set},
    {"t.grad, t.grad = None", use_grad},
    {"t.register_hook(f)", use_hook},
    {"torch.no_grad()", use_no_grad},
    {"t.detach()", use_detach},
    {"torch.autocast(\"cpu\", torch.bfloat16)", use_autocast},
    {"gradcheck, gradgradcheck", use_gradcheck},
};

static const page_part part = {.tree = RF_SOURCE_DIR,
                               .source = "tests/unit/test_from_pytorch.c",
                               .rows = rows,
                               .num = sizeof rows / sizeof rows[0],
                               .checkpointing = 0};

static void test_each_row_is_done(void **state)
{
    page_do(*state, &part);
}

static void test_the_page_has_these_rows(void **state)
{
    (void)state;
    page_check(&part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_row_is_done, world_setup, world_teardown),
        cmocka_unit_test(test_the_page_has_these_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
