/* test_module.c: modules: names and paths, ownership, walks, calls, failures, large and deep trees,
 * every allocation failing. */
#include "support/modules.h"

#include <pthread.h>
#include <stdio.h>

/* ---- names ---- */

static void test_names(void **state)
{
    world *w = *state;
    rf_module *m = part_new(w->ctx, NULL), *a = part_add(m, "a"), *other = part_new(w->ctx, NULL);
    assert_ok(w->ctx, part_param(m, "p", 2, 0));
    assert_ok(w->ctx, part_buffer(m, "q", 2, 0));
    static const char *const wrong[] = {"", "a.b", ".", "a", "p", "q", NULL};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(rf_module_add_child(m, wrong[i], other), RF_E_ARGUMENT);
        assert_int_equal(part_param(m, wrong[i], 2, 0), RF_E_ARGUMENT);
        assert_int_equal(part_buffer(m, wrong[i], 2, 0), RF_E_ARGUMENT);
    }
    assert_int_equal(rf_module_num_children(m), 1);
    assert_null(rf_module_parent(other));                            /* still the caller's */
    assert_int_equal(rf_module_add_child(m, "b", a), RF_E_ARGUMENT); /* it has a parent */
    assert_int_equal(rf_module_add_child(a, "up", m), RF_E_ARGUMENT);
    assert_int_equal(rf_module_add_child(m, "self", m), RF_E_ARGUMENT);
    assert_int_equal(rf_module_add_child(m, "none", NULL), RF_E_ARGUMENT);
    assert_string_equal(rf_module_name(a), "a");
    assert_string_equal(rf_module_name(m), "");
    assert_ptr_equal(rf_module_parent(a), m);
    assert_ptr_equal(rf_module_class_of(a), &part_class);
    rf_module_destroy(other);
    rf_module_destroy(m);
    rf_module_destroy(NULL);
}

static void test_only_one_context(void **state)
{
    world *w = *state;
    rf_context *ctx;
    assert_int_equal(rf_context_create(&ctx, NULL), RF_OK);
    rf_module *m = part_new(w->ctx, NULL), *other = part_new(ctx, NULL);
    assert_ok(ctx, part_param(other, "w", 4, 0));
    assert_int_equal(rf_module_add_child(m, "a", other), RF_E_ARGUMENT);
    assert_int_equal(rf_module_add_param(m, "w", rf_module_param(other, "w")), RF_E_ARGUMENT);
    rf_tensor *x = world_leaf(w, 1, 4, 0);
    assert_null(rf_module_call1(other, w->s, x));
    assert_int_equal(rf_scope_status(w->s), RF_E_ARGUMENT);
    rf_module_destroy(m);
    rf_module_destroy(other);
    rf_context_destroy(ctx);
}

/* ---- paths and walks ---- */

static void test_find(void **state)
{
    world *w = *state;
    rf_module *m;
    assert_ok(w->ctx, part_tree(&m, w->ctx));
    assert_ptr_equal(rf_module_find(m, ""), m);
    assert_ptr_equal(rf_module_find(m, "a"), rf_module_child(m, 0));
    rf_module *inner = rf_module_find(m, "a.inner");
    assert_ptr_equal(inner, rf_module_child(rf_module_child(m, 0), 0));
    static const char *const wrong[] = {"c", "a.", ".a",     "a..inner",
                                        ".", "ab", "a.inne", "a.inner.w"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_null(rf_module_find(m, wrong[i]));
    assert_non_null(rf_module_param(m, "w"));
    assert_ptr_equal(rf_module_param(m, "a.inner.w"), rf_module_param(inner, "w"));
    assert_ptr_equal(rf_module_param(m, "a.inner.w"), rf_module_param(m, "b.w"));
    assert_non_null(rf_module_buffer(m, "a.mean"));
    static const char *const none[] = {"", "a", "a.mean", "x.w", "a.inner", ".w", "a..w", "w."};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_null(rf_module_param(m, none[i]));
    assert_null(rf_module_buffer(m, "a.w"));
    assert_null(rf_module_child(m, 2));
    rf_module_destroy(m);
}

static void test_path_is_like_snprintf(void **state)
{
    world *w = *state;
    rf_module *m;
    char text[16];
    assert_ok(w->ctx, part_tree(&m, w->ctx));
    rf_module *inner = rf_module_find(m, "a.inner");
    for (size_t bytes = 0; bytes <= 10; bytes++) {
        char wanted[16] = "?";
        memset(text, '?', sizeof text);
        snprintf(wanted, bytes, "a.inner");
        assert_int_equal(rf_module_path(inner, text, bytes), 7);
        if (bytes)
            assert_string_equal(text, wanted);
        assert_int_equal(text[bytes], '?');
    }
    assert_int_equal(rf_module_path(m, text, sizeof text), 0);
    assert_string_equal(text, "");
    rf_module_destroy(m);
}

typedef struct visits {
    size_t num, stop_at;
} visits;

static rf_status visit_module(void *payload, const char *path, rf_module *m)
{
    visits *v = payload;
    (void)path;
    (void)m;
    return ++v->num == v->stop_at ? RF_E_USER : RF_OK;
}

static rf_status visit_tensor(void *payload, const char *path, rf_tensor *t)
{
    visits *v = payload;
    (void)path;
    (void)t;
    return ++v->num == v->stop_at ? RF_E_USER : RF_OK;
}

static void test_each(void **state)
{
    world *w = *state;
    rf_module *m;
    char text[256];
    assert_ok(w->ctx, part_tree(&m, w->ctx));
    assert_string_equal(part_names(m, text, sizeof text),
                        "m |m a|m a.inner|m b|p w|p a.w|p a.bias|p a.inner.w|p b.w|b a.mean|");
    assert_string_equal(part_names(rf_module_find(m, "a"), text, sizeof text),
                        "m |m inner|p w|p bias|p inner.w|b mean|");
    visits v = {0, 0};
    assert_ok(w->ctx, rf_module_each_param(m, 0, visit_tensor, &v));
    assert_int_equal(v.num, 4); /* the tied one once */
    v = (visits){0, 2};
    assert_int_equal(rf_module_each(m, visit_module, &v), RF_E_USER);
    assert_int_equal(v.num, 2);
    v = (visits){0, 3};
    assert_int_equal(rf_module_each_param(m, 1, visit_tensor, &v), RF_E_USER);
    assert_int_equal(v.num, 3);
    v = (visits){0, 1};
    assert_int_equal(rf_module_each_buffer(m, visit_tensor, &v), RF_E_USER);
    /* held by somebody else, still once */
    rf_tensor *held = rf_tensor_hold(rf_module_param(m, "a.bias"));
    v = (visits){0, 0};
    assert_ok(w->ctx, rf_module_each_param(m, 0, visit_tensor, &v));
    assert_int_equal(v.num, 4);
    rf_tensor_drop(held);
    rf_module_destroy(m);
}

/* ---- parameters ---- */

static void test_parameters(void **state)
{
    world *w = *state;
    rf_module *m = part_new(w->ctx, NULL);
    rf_tensor *x = world_leaf(w, 1, 4, 0), *ids = rf_zeros(w->s, RF_I32, 1, (int64_t[]){4});
    uint64_t params = world_used(w, RF_MEM_PARAM), all = world_used(w, RF_MEM_ACTIVATION);
    assert_int_equal(rf_module_add_param(m, "a", rf_sin(w->s, x)), RF_E_STATE); /* no leaf */
    assert_int_equal(rf_module_add_param(m, "a", ids), RF_E_DTYPE);
    assert_int_equal(rf_module_add_param(m, "a", NULL), RF_E_ARGUMENT);
    assert_int_equal(rf_module_add_buffer(m, "a", x), RF_E_STATE);
    assert_null(rf_module_param(m, "a"));
    assert_ok(w->ctx, rf_tensor_set_requires_grad(x, 0));
    assert_ok(w->ctx, rf_module_add_param(m, "a", x));
    assert_true(rf_tensor_requires_grad(x));
    assert_int_equal(world_used(w, RF_MEM_PARAM), params + 16); /* no activation any more */
    assert_int_equal(world_used(w, RF_MEM_ACTIVATION), all);    /* -x, +sin */
    assert_ok(w->ctx, rf_module_add_buffer(m, "ids", ids));
    assert_false(rf_tensor_requires_grad(ids));
    rf_module_destroy(m);
    assert_int_equal(rf_tensor_count(x), 4); /* in its scope */
}

static void test_set_param(void **state)
{
    world *w = *state;
    rf_module *m;
    assert_ok(w->ctx, part_tree(&m, w->ctx));
    rf_tensor *old = rf_module_param(m, "b.w"), *t = rf_zeros(w->s, RF_F32, 1, (int64_t[]){4});
    rf_module *b = rf_module_find(m, "b");
    assert_int_equal(rf_module_set_param(b, "v", t), RF_E_NOT_FOUND);
    assert_int_equal(rf_module_set_param(b, "w", NULL), RF_E_ARGUMENT);
    assert_ok(w->ctx, rf_module_set_param(b, "w", t));
    assert_ptr_equal(rf_module_param(m, "b.w"), t);
    assert_true(rf_tensor_requires_grad(t));
    assert_ptr_equal(rf_module_param(m, "a.inner.w"), old); /* which was tied to it */
    assert_ok(w->ctx, rf_module_set_param(b, "w", t));      /* itself */
    assert_ok(w->ctx, rf_module_set_param(b, "w", old));    /* and tied again */
    assert_ptr_equal(rf_module_param(m, "a.inner.w"), rf_module_param(m, "b.w"));
    rf_module_destroy(m);
}

/* ---- calls ---- */

/* out[i] = in[i] + in[i + 1], absent where one of them is. */
static rf_status sums_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)m;
    for (size_t i = 0; i < out->num && i + 1 < in->num; i++)
        out->v[i] = in->v[i] && in->v[i + 1] ? rf_add(s, in->v[i], in->v[i + 1]) : NULL;
    return rf_scope_status(s);
}

static const rf_module_class sums_class = {
    .size = sizeof(rf_module_class), .name = "Sums", .forward = sums_forward};

static void test_many_inputs_and_outputs_some_absent(void **state)
{
    world *w = *state;
    rf_module *m;
    rf_tensor *x[12], *y[11];
    rf_values in = {x, 12}, out = {y, 11};
    assert_ok(w->ctx, rf_module_create(&m, w->ctx, &sums_class, NULL));
    for (int i = 0; i < 12; i++)
        x[i] = i % 5 == 3 ? NULL : rf_full(w->s, RF_F32, 0, NULL, i);
    assert_ok(w->ctx, rf_module_call(m, w->s, &in, &out));
    for (int i = 0; i < 11; i++) {
        double value = -1;
        if (!x[i] || !x[i + 1]) {
            assert_null(y[i]);
            continue;
        }
        assert_ok(w->ctx, rf_tensor_item(y[i], &value));
        assert_true(value == 2 * i + 1);
    }
    out.num = 0;
    assert_ok(w->ctx, rf_module_call(m, w->s, &in, &out));
    in.num = 0;
    assert_ok(w->ctx, rf_module_call(m, w->s, &in, &out));
    rf_module_destroy(m);
}

/* Gives back its input, a temporary of its own twice, and a tensor that lives elsewhere. */
static rf_status odd_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    out->v[0] = in->v[0];
    out->v[1] = out->v[2] = rf_sin(s, in->v[0]);
    out->v[3] = rf_module_param(m, "w");
    return rf_scope_status(s);
}

static const rf_module_class odd_class = {
    .size = sizeof(rf_module_class), .name = "Odd", .forward = odd_forward};

static void test_outputs_of_any_origin(void **state)
{
    world *w = *state;
    rf_module *m;
    rf_tensor *x = world_leaf(w, 1, 4, 0), *y[4];
    rf_values in = {&x, 1}, out = {y, 4};
    assert_ok(w->ctx, rf_module_create(&m, w->ctx, &odd_class, NULL));
    assert_ok(w->ctx, part_param(m, "w", 4, 0));
    assert_ok(w->ctx, rf_module_call(m, w->s, &in, &out));
    assert_ptr_equal(y[0], x);
    assert_ptr_equal(y[1], y[2]);
    assert_ptr_equal(y[3], rf_module_param(m, "w"));
    rf_release(w->s, y[1]); /* in the caller's scope, once */
    rf_release(w->s, x);
    rf_module_destroy(m);
}

static void test_failures(void **state)
{
    world *w = *state;
    part_log log = {"", RF_E_USER, NULL};
    rf_module *m = part_new(w->ctx, NULL), *deep = part_new(w->ctx, &log);
    const rf_error *error = rf_context_error(w->ctx);
    assert_ok(w->ctx, rf_module_add_child(part_add(part_add(m, "h"), "3"), "mlp", deep));
    rf_tensor *x = world_leaf(w, 1, 4, 0), *y = x;
    rf_values in = {&x, 1}, out = {&y, 1};
    assert_int_equal(rf_module_call(m, w->s, &in, &out), RF_E_USER); /* only returned */
    assert_null(y);
    assert_int_equal(error->code, RF_E_USER);
    assert_string_equal(error->path, "h.3.mlp");
    assert_non_null(strstr(error->message, "Part"));
    assert_int_equal(rf_scope_status(w->s), RF_E_USER);
    assert_int_equal(rf_module_call(m, w->s, &in, &out), RF_E_USER); /* nothing runs */
    assert_null(rf_module_call1(m, w->s, x));
    assert_string_equal(log.text, "f");
    rf_scope_clear(w->s);
    log.fail = RF_E_IO;
    log.message = "no such tape";
    assert_null(rf_module_call1(m, w->s, x)); /* recorded by the forward */
    assert_string_equal(error->message, "no such tape");
    assert_string_equal(error->path, "h.3.mlp");
    rf_scope_clear(w->s);
    log.fail = RF_OK;
    assert_ok(w->ctx, part_param(deep, "w", 3, 0)); /* does not fit (1, 4): an op fails */
    assert_null(rf_module_call1(m, w->s, x));
    assert_int_equal(error->code, RF_E_SHAPE);
    assert_string_equal(error->path, "h.3.mlp");
    assert_string_equal(error->op, "mul");
    rf_scope_clear(w->s);
    assert_null(rf_sin(w->s, NULL));
    assert_string_equal(error->path, ""); /* no module runs any more */
    rf_scope_clear(w->s);
    assert_null(rf_module_call1(m, w->s, NULL));
    assert_int_equal(rf_scope_status(w->s), RF_E_ARGUMENT);
    rf_module_destroy(m);
}

static void test_train(void **state)
{
    world *w = *state;
    rf_module *m;
    assert_ok(w->ctx, part_tree(&m, w->ctx));
    assert_true(rf_module_training(m));
    rf_module_train(rf_module_find(m, "a"), 0);
    assert_true(rf_module_training(m));
    assert_false(rf_module_training(rf_module_find(m, "a.inner")));
    rf_module_train(m, 5);
    assert_int_equal(rf_module_training(rf_module_find(m, "a.inner")), 1);
    rf_module_destroy(m);
}

/* ---- large and deep ---- */

enum { MANY = 10000, DEEP = 500 };

static rf_module *tree_of(rf_context *ctx, int deep)
{
    char name[16];
    rf_module *m = part_new(ctx, NULL), *at = m;
    for (int i = 1; i < MANY; i++) {
        snprintf(name, sizeof name, "%d", i);
        rf_module *child = part_add(at, name);
        at = deep ? child : m;
    }
    return m;
}

static size_t large_case(rf_context *ctx, int deep)
{
    rf_module *m = tree_of(ctx, deep), *copy = NULL;
    visits v = {0, 0};
    if (deep) { /* paths of such a depth are long: walk them in the last part only */
        rf_module *at = m;
        for (int i = 1; i < MANY - DEEP; i++)
            at = rf_module_child(at, 0);
        v.num = MANY - DEEP - 1;
        if (rf_module_each(at, visit_module, &v))
            return 0;
    } else if (rf_module_each(m, visit_module, &v)) {
        return 0;
    }
    rf_module_train(m, 0);
    if (rf_module_copy(&copy, m) || rf_checkpoint(copy, NULL))
        return 0;
    rf_module_destroy(m);
    rf_module_destroy(copy);
    return v.num;
}

static void *large_run(void *payload)
{
    rf_context *ctx = payload;
    return (void *)(uintptr_t)(large_case(ctx, 0) + large_case(ctx, 1));
}

/* 10,000 modules in one, and one in the other, on a stack of 256 KiB. */
static void test_10000_modules_on_a_small_stack(void **state)
{
    world *w = *state;
    pthread_t thread;
    pthread_attr_t attr;
    void *visited;
    assert_int_equal(pthread_attr_init(&attr), 0);
    assert_int_equal(pthread_attr_setstacksize(&attr, 256 * 1024), 0);
    assert_int_equal(pthread_create(&thread, &attr, large_run, w->ctx), 0);
    assert_int_equal(pthread_join(thread, &visited), 0);
    pthread_attr_destroy(&attr);
    assert_int_equal((uintptr_t)visited, 2 * MANY);
}

static void test_depth_500_runs(void **state)
{
    world *w = *state;
    rf_module *m = part_new(w->ctx, NULL), *at = m;
    for (int i = 1; i < DEEP; i++)
        at = part_add(at, "x");
    assert_ok(w->ctx, part_param(at, "w", 4, 0.5));
    rf_tensor *x = world_leaf(w, 1, 4, 0);
    rf_tensor *y = rf_module_call1(m, w->s, x);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
    assert_non_null(rf_grad(rf_module_param(at, "w")));
    char text[2 * DEEP];
    assert_int_equal(rf_module_path(at, text, sizeof text), 2 * (DEEP - 1) - 1);
    rf_module_destroy(m);
}

/* ---- every allocation may fail ---- */

static rf_status live(rf_context *ctx)
{
    rf_module *m, *copy = NULL;
    rf_scope *s = NULL;
    visits v = {0, 0};
    rf_status status = part_tree(&m, ctx);
    if (!status)
        status = rf_module_copy(&copy, m);
    if (!status)
        status = rf_module_each_param(copy, 0, visit_tensor, &v);
    if (!status)
        status = rf_scope_open(&s, ctx, NULL);
    if (!status)
        rf_module_call1(copy, s, rf_zeros(s, RF_F32, 2, (int64_t[]){2, 4}));
    if (!status)
        status = rf_scope_status(s);
    rf_scope_close(s);
    rf_module_destroy(copy);
    rf_module_destroy(m);
    return status;
}

static void test_every_allocation_may_fail(void **state)
{
    rf_status status = RF_E_MEMORY;
    (void)state;
    for (uint64_t k = 1; status; k++) {
        counting c = {0};
        rf_context *ctx;
        rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
        opts.alloc = counting_alloc;
        opts.alloc_payload = &c;
        assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
        c.made = 0;
        c.fail_at = k;
        status = live(ctx);
        assert_true(status == RF_E_MEMORY || (!status && k > 1));
        rf_context_destroy(ctx);
        assert_int_equal(c.live, 0);
    }
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_names),
        ROW(test_only_one_context),
        ROW(test_find),
        ROW(test_path_is_like_snprintf),
        ROW(test_each),
        ROW(test_parameters),
        ROW(test_set_param),
        ROW(test_many_inputs_and_outputs_some_absent),
        ROW(test_outputs_of_any_origin),
        ROW(test_failures),
        ROW(test_train),
        ROW(test_10000_modules_on_a_small_stack),
        ROW(test_depth_500_runs),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
