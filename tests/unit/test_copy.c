/* test_copy.c: deep copies: tensors of their own, ties, frozen parameters, hooks, APIs, failures.
 */
#include "support/modules.h"

static rf_module *tree(world *w)
{
    rf_module *m;
    assert_ok(w->ctx, part_tree(&m, w->ctx));
    return m;
}

static rf_module *copy_of(world *w, rf_module *m)
{
    rf_module *copy;
    assert_ok(w->ctx, rf_module_copy(&copy, m));
    return copy;
}

static void test_tensors_of_its_own(void **state)
{
    world *w = *state;
    char mine[256], its[256];
    rf_module *m = tree(w);
    assert_ok(w->ctx, rf_tensor_set_requires_grad(rf_module_param(m, "a.bias"), 0));
    rf_module_train(rf_module_find(m, "a"), 0);
    uint64_t held = world_used(w, RF_MEM_PARAM);
    rf_module *copy = copy_of(w, m);
    assert_int_equal(world_used(w, RF_MEM_PARAM), 2 * held);
    assert_string_equal(part_names(m, mine, sizeof mine), part_names(copy, its, sizeof its));
    assert_ptr_not_equal(rf_module_param(copy, "w"), rf_module_param(m, "w"));
    assert_ptr_equal(rf_module_param(copy, "a.inner.w"), rf_module_param(copy, "b.w"));
    assert_false(rf_tensor_requires_grad(rf_module_param(copy, "a.bias")));
    assert_true(rf_tensor_requires_grad(rf_module_param(copy, "a.w")));
    assert_false(rf_module_training(rf_module_find(copy, "a.inner")));
    assert_true(rf_module_training(copy));
    void *bits = world_bytes(w, rf_module_buffer(m, "a.mean"));
    world_same(w, rf_module_buffer(copy, "a.mean"), bits);
    free(bits);
    bits = world_bytes(w, rf_module_param(m, "a.inner.w"));
    rf_module_destroy(m);
    world_same(w, rf_module_param(copy, "b.w"), bits);
    free(bits);
    rf_module_destroy(copy);
}

static void test_same_results_and_gradients(void **state)
{
    world *w = *state;
    rf_module *m = tree(w), *copy = copy_of(w, m), *all[2] = {m, copy};
    void *bits[2][2];
    for (int i = 0; i < 2; i++) {
        rf_tensor *y = rf_module_call1(all[i], w->s, world_leaf(w, 2, 4, 0.1));
        bits[i][0] = world_bytes(w, y);
        assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
        bits[i][1] = world_bytes(w, rf_grad(rf_module_param(all[i], "b.w")));
    }
    assert_memory_equal(bits[0][0], bits[1][0], 32);
    assert_memory_equal(bits[0][1], bits[1][1], 16);
    rf_module *late = copy_of(w, m); /* gradients are not copied */
    assert_null(rf_grad(rf_module_param(late, "b.w")));
    for (int i = 0; i < 4; i++)
        free(bits[i / 2][i % 2]);
    rf_module_destroy(late);
    rf_module_destroy(copy);
    rf_module_destroy(m);
}

/* ---- hooks ---- */

typedef struct counted {
    int calls, copies, ended;
    rf_status fails;
    struct counted *next; /* the copy */
} counted;

static rf_status counted_pre(void *payload, rf_module *m, rf_scope *s, rf_values *in)
{
    (void)m;
    (void)s;
    (void)in;
    ((counted *)payload)->calls++;
    return RF_OK;
}

static rf_status counted_copy(void *payload, void **payload_out)
{
    counted *c = payload;
    c->copies++;
    *payload_out = c->next;
    return c->fails;
}

static void counted_end(void *payload)
{
    ((counted *)payload)->ended++;
}

static void call(world *w, rf_module *m)
{
    assert_non_null(rf_module_call1(m, w->s, world_leaf(w, 1, 4, 0)));
}

static void test_hooks(void **state)
{
    world *w = *state;
    counted shared = {0}, second = {0}, first = {.next = &second};
    rf_module *m = tree(w);
    rf_module_hook sharing = {counted_pre, NULL, &shared, NULL, counted_end};
    rf_module_hook copying = {counted_pre, NULL, &first, counted_copy, counted_end};
    assert_ok(w->ctx, rf_module_add_hook(m, sharing, NULL));
    assert_ok(w->ctx, rf_module_add_hook(m, copying, NULL));
    rf_module *copy = copy_of(w, m);
    call(w, copy);
    assert_int_equal(shared.calls, 1);
    assert_int_equal(first.calls, 0);
    assert_int_equal(second.calls, 1);
    rf_module_destroy(m);
    assert_int_equal(shared.ended, 0); /* the copy still has it */
    assert_int_equal(first.ended, 1);
    call(w, copy);
    rf_module_destroy(copy);
    assert_int_equal(shared.ended, 1);
    assert_int_equal(second.ended, 1);
}

static void test_a_hook_that_cannot_be_copied(void **state)
{
    world *w = *state;
    counted c = {.fails = RF_E_USER};
    rf_module *m = tree(w), *copy = m;
    rf_module_hook hook = {counted_pre, NULL, &c, counted_copy, counted_end};
    uint64_t held = world_used(w, RF_MEM_PARAM);
    assert_ok(w->ctx, rf_module_add_hook(rf_module_find(m, "b"), hook, NULL));
    assert_int_equal(rf_module_copy(&copy, m), RF_E_USER);
    assert_null(copy);
    assert_int_equal(world_used(w, RF_MEM_PARAM), held);
    assert_int_equal(c.ended, 0);
    rf_module_destroy(m);
    assert_int_equal(c.ended, 1);
}

/* ---- APIs ---- */

static rf_status api_apply(void *state, rf_module *const *modules, size_t num, const void *opts)
{
    (void)state;
    (void)modules;
    (void)num;
    (void)opts;
    return RF_OK;
}

static rf_status api_copy(void *state, rf_context *ctx, void **state_out)
{
    (void)ctx;
    return counted_copy(state, state_out);
}

static const rf_api copied = {sizeof(rf_api), "copied",    api_apply, NULL,
                              api_copy,       counted_end, NULL,      0};
static const rf_api uncopied = {sizeof(rf_api), "uncopied", api_apply, NULL, NULL, NULL, NULL, 0};

static void test_apis(void **state)
{
    world *w = *state;
    counted second = {0}, first = {.next = &second};
    rf_module *m = tree(w), *list[2] = {rf_module_find(m, "a"), rf_module_find(m, "b")};
    assert_ok(w->ctx, rf_api_apply(&copied, list, 2, &first, NULL));
    rf_module *copy = copy_of(w, m);
    assert_int_equal(first.copies, 1); /* one state for the group */
    assert_ptr_equal(rf_api_state(&copied, rf_module_find(copy, "a")), &second);
    assert_ptr_equal(rf_api_state(&copied, rf_module_find(copy, "b")), &second);
    assert_null(rf_api_state(&copied, copy));
    rf_module_destroy(copy);
    assert_int_equal(second.ended, 1);
    assert_ptr_equal(rf_api_state(&copied, list[0]), &first);
    assert_ok(w->ctx, rf_api_apply(&uncopied, &m, 1, NULL, NULL));
    assert_int_equal(rf_module_copy(&copy, m), RF_E_UNSUPPORTED);
    assert_non_null(strstr(rf_context_error(w->ctx)->message, "uncopied"));
    copy = copy_of(w, list[0]); /* a part without it */
    rf_module_destroy(copy);
    rf_module_destroy(m);
    assert_int_equal(first.ended, 1);
}

/* ---- classes ---- */

static rf_status nothing(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)m;
    (void)s;
    (void)in;
    (void)out;
    return RF_OK;
}

static const rf_module_class owner_class = {
    .size = sizeof(rf_module_class), .name = "Owner", .forward = nothing, .destroy = counted_end};

static void test_a_self_that_has_an_end_needs_a_copy(void **state)
{
    world *w = *state;
    counted self = {0};
    rf_module *m = part_new(w->ctx, NULL), *child, *copy;
    assert_ok(w->ctx, rf_module_create(&child, w->ctx, &owner_class, &self));
    assert_ok(w->ctx, rf_module_add_child(m, "child", child));
    assert_int_equal(rf_module_copy(&copy, m), RF_E_UNSUPPORTED);
    assert_int_equal(self.ended, 0);
    rf_module_destroy(m);
    assert_int_equal(self.ended, 1);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_tensors_of_its_own),
        ROW(test_same_results_and_gradients),
        ROW(test_hooks),
        ROW(test_a_hook_that_cannot_be_copied),
        ROW(test_apis),
        ROW(test_a_self_that_has_an_end_needs_a_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
