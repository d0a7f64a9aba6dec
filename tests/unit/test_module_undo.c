/* test_module_undo.c: an apply that fails leaves no trace, whatever it did first; hooks that come
 * and go while they run, or outlive their module; failures that were only returned. */
#include "support/world.h"

#include <refrain/nn.h>

enum { WIDTH = 4 };

/* A root with a linear child "a" and a tanh child "b", whose result backward needs. */
static rf_module *small(rf_context *ctx)
{
    rf_module *m, *child;
    assert_ok(ctx, rf_nn_sequential(&m, ctx));
    assert_ok(ctx, rf_nn_linear(&child, ctx, WIDTH, WIDTH, 0));
    assert_ok(ctx, rf_module_add_child(m, "a", child));
    assert_ok(ctx, rf_nn_activation(&child, ctx, RF_ACTIVATION_TANH));
    assert_ok(ctx, rf_module_add_child(m, "b", child));
    return m;
}

static rf_tensor *some_tensor(rf_context *ctx)
{
    rf_tensor *t;
    rf_tensor_options opts = RF_TENSOR_OPTIONS_INIT;
    int64_t dims[2] = {WIDTH, WIDTH};
    opts.rank = 2;
    opts.dims = dims;
    opts.mem_class = RF_MEM_PARAM;
    assert_ok(ctx, rf_tensor_create(&t, ctx, &opts));
    return t;
}

/* ---- everything that an apply can do ---- */

typedef enum deed {
    ADD_PARAM,
    ADD_BUFFER,
    ADD_CHILD,
    DESTROY_CHILD,
    DESTROY_ROOT,
    LAST_NAME_CHANGE =
        DESTROY_ROOT, /* those before are refused even if apply says that all is well */
    ADD_HOOK,
    REPLACE_PARAM,
    FREEZE,
    EVALUATE,
    CHECKPOINT,
    DEEDS
} deed;

typedef struct doing {
    deed what;
    rf_status says;
    int removed, destroyed;
} doing;

static int hook_ends;
static void hook_end_counted(void *payload)
{
    (void)payload;
    hook_ends++;
}

static rf_status do_tensor(rf_module *m, deed what)
{
    rf_tensor *t = some_tensor(rf_module_context(m));
    rf_status status = what == ADD_PARAM    ? rf_module_add_param(m, "extra", t)
                       : what == ADD_BUFFER ? rf_module_add_buffer(m, "extra", t)
                                            : rf_module_set_param(m, "weight", t);
    rf_tensor_drop(t);
    return status;
}

static rf_status do_deed(rf_module *root, deed what)
{
    rf_module *a = rf_module_find(root, "a"), *child;
    rf_context *ctx = rf_module_context(root);
    switch (what) {
    case ADD_PARAM:
    case ADD_BUFFER:
    case REPLACE_PARAM:
        return do_tensor(a, what);
    case ADD_CHILD:
        assert_ok(ctx, rf_nn_linear(&child, ctx, WIDTH, WIDTH, 0));
        return rf_module_add_child(a, "extra", child);
    case DESTROY_CHILD:
        rf_module_destroy(a);
        return RF_OK;
    case DESTROY_ROOT:
        rf_module_destroy(root);
        return RF_OK;
    case ADD_HOOK:
        return rf_module_add_hook(a, (rf_module_hook){.destroy = hook_end_counted}, NULL);
    case FREEZE:
        return rf_tensor_set_requires_grad(rf_module_param(a, "weight"), 0);
    case EVALUATE:
        rf_module_train(root, 0);
        return RF_OK;
    case CHECKPOINT:
        return rf_checkpoint(a, NULL);
    case DEEDS:
        break;
    }
    return RF_OK;
}

static rf_status doing_apply(void *state, rf_module *const *modules, size_t num, const void *opts)
{
    doing *d = state;
    (void)num;
    (void)opts;
    assert_ok(rf_module_context(modules[0]), do_deed(modules[0], d->what));
    return d->says;
}

static void doing_remove(void *state, rf_module *const *modules, size_t num)
{
    (void)modules;
    (void)num;
    ((doing *)state)->removed++;
}

static void doing_destroy(void *state)
{
    ((doing *)state)->destroyed++;
}

static const rf_api doing_api = {.size = sizeof(rf_api),
                                 .name = "doing",
                                 .apply = doing_apply,
                                 .remove = doing_remove,
                                 .destroy = doing_destroy};
static const rf_api strict_api = {.size = sizeof(rf_api),
                                  .name = "strict",
                                  .apply = doing_apply,
                                  .remove = doing_remove,
                                  .destroy = doing_destroy,
                                  .strict = 1};

static rf_status join_path(void *payload, const char *path, rf_module *m)
{
    (void)m;
    strcat(strcat(payload, path), " ");
    return RF_OK;
}

static rf_status join_tensor(void *payload, const char *path, rf_tensor *t)
{
    (void)t;
    strcat(strcat(payload, path), " ");
    return RF_OK;
}

static void assert_untouched(world *w, rf_module *m, const rf_tensor *weight)
{
    char names[256] = "";
    rf_module *a = rf_module_find(m, "a");
    assert_ok(w->ctx, rf_module_each(m, join_path, names));
    assert_ok(w->ctx, rf_module_each_param(m, 0, join_tensor, names));
    assert_ok(w->ctx, rf_module_each_buffer(m, join_tensor, names));
    assert_string_equal(names, " a b a.weight a.bias ");
    assert_ptr_equal(rf_module_param(m, "a.weight"), weight);
    assert_true(rf_tensor_requires_grad(weight));
    assert_true(rf_module_training(m));
    assert_true(rf_module_training(a));
    assert_int_equal(rf_module_num_apis(m), 0);
    assert_int_equal(rf_module_num_apis(a), 0);
    assert_false(rf_checkpoint_applied(a));
}

/* A region around it all that was recorded before must not notice a failed apply. */
static void fail_once(world *w, doing d, const rf_api *api, rf_status expected)
{
    rf_module *around, *m = small(w->ctx);
    rf_tensor *weight = rf_module_param(m, "a.weight");
    assert_ok(w->ctx, rf_nn_sequential(&around, w->ctx));
    assert_ok(w->ctx, rf_nn_sequential_add(around, m));
    assert_ok(w->ctx, rf_checkpoint(around, NULL));
    rf_tensor *x = world_leaf(w, WIDTH, WIDTH, 0.1);
    rf_tensor *loss = rf_sum(w->s, rf_module_call1(around, w->s, x));
    int ends = hook_ends;
    assert_int_equal(rf_api_apply(api, &m, 1, &d, NULL), expected);
    assert_non_null(strstr(rf_context_error(w->ctx)->message, api->name));
    assert_int_equal(d.destroyed, 1);
    assert_int_equal(d.removed, d.says ? 0 : 1);
    assert_int_equal(hook_ends - ends, d.what == ADD_HOOK);
    assert_untouched(w, m, weight);
    assert_ok(w->ctx, rf_backward(w->s, loss));

    loss = rf_sum(w->s, rf_module_call1(around, w->s, x));
    d = (doing){.what = ADD_HOOK}; /* a retry starts clean, and is noticed */
    assert_ok(w->ctx, rf_api_apply(api, &m, 1, &d, NULL));
    assert_int_equal(rf_backward(w->s, loss), RF_E_MUTATED);
    rf_scope_clear(w->s);
    rf_module_destroy(around);
    assert_int_equal(d.destroyed, 1);
}

/* AT-77, X15 */
static void test_an_apply_that_fails(void **state)
{
    for (int what = 0; what < DEEDS; what++)
        fail_once(*state, (doing){.what = (deed)what, .says = RF_E_USER}, &doing_api, RF_E_USER);
}

/* AT-74, X15 */
static void test_names_that_changed(void **state)
{
    for (int what = 0; what <= LAST_NAME_CHANGE; what++)
        fail_once(*state, (doing){.what = (deed)what}, &doing_api, RF_E_NAMES);
}

/* AT-75, X15 */
static void test_strict(void **state)
{
    fail_once(*state, (doing){.what = REPLACE_PARAM}, &strict_api, RF_E_CONFLICT);
}

/* AT-75: What is not about names stays done when apply succeeds. */
static void test_an_apply_that_succeeds(void **state)
{
    world *w = *state;
    for (int what = LAST_NAME_CHANGE + 1; what < DEEDS; what++) {
        doing d = {.what = (deed)what};
        rf_module *m = small(w->ctx), *a = rf_module_find(m, "a");
        rf_tensor *weight = rf_module_param(a, "weight");
        assert_ok(w->ctx, rf_api_apply(&doing_api, &m, 1, &d, NULL));
        assert_int_equal(rf_module_param(a, "weight") != weight, what == REPLACE_PARAM);
        assert_int_equal(rf_tensor_requires_grad(rf_module_param(a, "weight")), what != FREEZE);
        assert_int_equal(rf_module_training(m), what != EVALUATE);
        assert_int_equal(rf_checkpoint_applied(a), what == CHECKPOINT);
        assert_ok(w->ctx, rf_api_remove(&doing_api, m));
        assert_int_equal(d.removed, 1);
        rf_module_destroy(m);
    }
}

/* ---- hooks ---- */

typedef struct hook_note {
    rf_module *m;
    uint64_t id;
    int calls, ends;
} hook_note;

static rf_status hook_count(void *payload, rf_module *m, rf_scope *s, rf_values *in)
{
    hook_note *n = payload;
    (void)m;
    (void)s;
    (void)in;
    assert_int_equal(n->ends, 0);
    n->calls++;
    return RF_OK;
}

static rf_status hook_once(void *payload, rf_module *m, rf_scope *s, rf_values *in)
{
    hook_note *n = payload;
    rf_status status = hook_count(payload, m, s, in);
    return status ? status : rf_module_remove_hook(m, n->id);
}

static void hook_note_end(void *payload)
{
    ((hook_note *)payload)->ends++;
}

/* The next hook is not skipped, and the payload outlives its own call. */
static void test_a_hook_that_removes_itself(void **state)
{
    world *w = *state;
    hook_note once = {0}, always = {0};
    rf_module *m = small(w->ctx);
    rf_tensor *x = world_leaf(w, WIDTH, WIDTH, 0.1);
    rf_module_hook hook = {.pre = hook_once, .payload = &once, .destroy = hook_note_end};
    assert_ok(w->ctx, rf_module_add_hook(m, hook, &once.id));
    hook = (rf_module_hook){.pre = hook_count, .payload = &always, .destroy = hook_note_end};
    assert_ok(w->ctx, rf_module_add_hook(m, hook, NULL));
    for (int i = 1; i <= 2; i++) {
        assert_non_null(rf_module_call1(m, w->s, x));
        assert_int_equal(once.calls, 1);
        assert_int_equal(once.ends, 1);
        assert_int_equal(always.calls, i);
    }
    rf_module_destroy(m);
    assert_int_equal(always.ends, 1);
}

/* A payload without a copy is shared, and ends with the last module that has it. */
static void test_a_shared_payload_outlives_the_original(void **state)
{
    world *w = *state;
    hook_note n = {0};
    rf_module *m = small(w->ctx), *copy;
    rf_module_hook hook = {.pre = hook_count, .payload = &n, .destroy = hook_note_end};
    assert_ok(w->ctx, rf_module_add_hook(m, hook, NULL));
    assert_ok(w->ctx, rf_module_copy(&copy, m));
    rf_module_destroy(m);
    assert_int_equal(n.ends, 0);
    assert_non_null(rf_module_call1(copy, w->s, world_leaf(w, WIDTH, WIDTH, 0.1)));
    assert_int_equal(n.calls, 1);
    rf_module_destroy(copy);
    assert_int_equal(n.ends, 1);
}

/* ---- failures ---- */

static rf_status silent_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)m;
    (void)s;
    (void)in;
    (void)out;
    return RF_E_USER; /* without a word */
}

static const rf_module_class silent_class = {
    .size = sizeof(rf_module_class), .name = "Silent", .forward = silent_forward};

static void test_a_status_without_a_word(void **state)
{
    world *w = *state;
    rf_module *m = small(w->ctx), *child;
    rf_tensor *x = world_leaf(w, WIDTH, WIDTH, 0.1), *y = x;
    rf_values in = {&x, 1}, out = {&y, 1};
    assert_ok(w->ctx, rf_module_create(&child, w->ctx, &silent_class, NULL));
    assert_ok(w->ctx, rf_module_add_child(m, "c", child));
    assert_int_equal(rf_module_call(m, w->s, &in, &out), RF_E_USER);
    assert_null(y);
    assert_int_equal(rf_scope_status(w->s), RF_E_USER);
    assert_int_equal(rf_context_error(w->ctx)->code, RF_E_USER);
    assert_string_equal(rf_context_error(w->ctx)->path, "c");
    rf_scope_clear(w->s);
    rf_module_destroy(m);
}

static rf_module *layer_number(rf_context *ctx, int i)
{
    rf_module *m = NULL;
    rf_gpt2_options opts = RF_GPT2_OPTIONS_INIT;
    opts.layers = 1;
    rf_status status = i == 0   ? rf_nn_linear(&m, ctx, WIDTH, WIDTH, 0)
                       : i == 1 ? rf_nn_embedding(&m, ctx, WIDTH, WIDTH)
                       : i == 2 ? rf_nn_layer_norm(&m, ctx, WIDTH, 0)
                       : i == 3 ? rf_nn_rms_norm(&m, ctx, WIDTH, 0)
                       : i == 4 ? rf_nn_dropout(&m, ctx, 0.5)
                       : i == 5 ? rf_nn_activation(&m, ctx, RF_ACTIVATION_RELU)
                       : i == 6 ? rf_nn_sequential(&m, ctx)
                                : rf_nn_gpt2(&m, ctx, &opts);
    assert_ok(ctx, status);
    return m;
}

/* No inputs, an absent one, no result: a typed error from every layer. */
static void test_layers_called_with_nothing(void **state)
{
    world *w = *state;
    for (int i = 0; i < 8; i++)
        for (int way = 0; way < 6; way++) {
            rf_module *m = layer_number(w->ctx, i);
            rf_tensor *x = way % 3 == 2 ? world_leaf(w, WIDTH, WIDTH, 0.1) : NULL, *y = NULL;
            rf_values in = {&x, way % 3 != 0}, out = {&y, way % 3 != 2};
            rf_module_train(m, way < 3);
            rf_status status = rf_module_call(m, w->s, &in, &out);
            assert_true(status == RF_E_ARGUMENT || status == RF_E_SHAPE);
            rf_scope_clear(w->s);
            rf_module_destroy(m);
        }
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_an_apply_that_fails),
        ROW(test_names_that_changed),
        ROW(test_strict),
        ROW(test_an_apply_that_succeeds),
        ROW(test_a_hook_that_removes_itself),
        ROW(test_a_shared_payload_outlives_the_original),
        ROW(test_a_status_without_a_word),
        ROW(test_layers_called_with_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
