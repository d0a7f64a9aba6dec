/* test_hooks.c: pre- and post-forward hooks: order, what they may replace, failures, hooks that
 * change the list of hooks while a call runs, and what a region runs again. */
#include "support/modules.h"

/* A hook that notes one letter, and does what it is told to. */
typedef struct teller {
    part_log *log;
    char pre, post;
    rf_status pre_fails, post_fails;
    rf_status seen;    /* by post                             */
    int ended, copies; /* payload destroyed, copied           */
    uint64_t remove;   /* a hook to take away in pre; 0: none */
    const rf_module_hook *add;
    int destroy; /* the module, in pre */
} teller;

static rf_status tell_pre(void *payload, rf_module *m, rf_scope *s, rf_values *in)
{
    teller *t = payload;
    (void)s;
    (void)in;
    part_note(t->log, t->pre);
    if (t->remove)
        assert_int_equal(rf_module_remove_hook(m, t->remove), RF_OK);
    if (t->add)
        assert_int_equal(rf_module_add_hook(m, *t->add, NULL), RF_OK);
    if (t->destroy)
        rf_module_destroy(m);
    return t->pre_fails;
}

static rf_status tell_post(void *payload, rf_module *m, rf_scope *s, rf_values *out,
                           rf_status status)
{
    teller *t = payload;
    (void)m;
    (void)s;
    (void)out;
    t->seen = status;
    part_note(t->log, t->post);
    return t->post_fails;
}

static void tell_end(void *payload)
{
    ((teller *)payload)->ended++;
}

static uint64_t tell(rf_module *m, teller *t)
{
    uint64_t id;
    rf_module_hook hook = {tell_pre, tell_post, t, NULL, tell_end};
    assert_ok(rf_module_context(m), rf_module_add_hook(m, hook, &id));
    return id;
}

static rf_status run(world *w, rf_module *m)
{
    rf_tensor *x = world_leaf(w, 1, 4, 0);
    rf_module_call1(m, w->s, x);
    rf_status status = rf_scope_status(w->s);
    rf_scope_clear(w->s);
    return status;
}

/* AT-79 */
static void test_order(void **state)
{
    world *w = *state;
    part_log log = {"", RF_OK, NULL};
    rf_module *m = part_new(w->ctx, &log);
    teller a = {.log = &log, .pre = 'a', .post = 'A'}, b = {.log = &log, .pre = 'b', .post = 'B'};
    uint64_t first = tell(m, &a), second = tell(m, &b);
    assert_ok(w->ctx, run(w, m));
    assert_string_equal(log.text, "abfAB");
    assert_int_not_equal(first, second);
    assert_ok(w->ctx, rf_module_remove_hook(m, first));
    assert_int_equal(a.ended, 1);
    assert_int_equal(rf_module_remove_hook(m, first), RF_E_NOT_FOUND);
    assert_int_equal(rf_module_remove_hook(m, 77), RF_E_NOT_FOUND);
    log.text[0] = 0;
    assert_ok(w->ctx, run(w, m));
    assert_string_equal(log.text, "bfB");
    rf_module_destroy(m);
    assert_int_equal(a.ended, 1);
    assert_int_equal(b.ended, 1);
}

static void test_many(void **state)
{
    world *w = *state;
    part_log log = {"", RF_OK, NULL};
    rf_module *m = part_new(w->ctx, &log);
    teller t = {.log = &log, .pre = 'x', .post = 'y'};
    for (int i = 0; i < 11; i++)
        tell(m, &t);
    assert_ok(w->ctx, run(w, m));
    assert_string_equal(log.text, "xxxxxxxxxxxfyyyyyyyyyyy");
    rf_module_destroy(m);
    assert_int_equal(t.ended, 11);
}

/* ---- replacing ---- */

static rf_status double_in(void *payload, rf_module *m, rf_scope *s, rf_values *in)
{
    (void)payload;
    (void)m;
    in->v[0] = rf_affine(s, in->v[0], 2, 0);
    return rf_scope_status(s);
}

static rf_status add_one(void *payload, rf_module *m, rf_scope *s, rf_values *out, rf_status status)
{
    (void)payload;
    (void)m;
    out->v[0] = rf_affine(s, out->v[0], 1, 1);
    return status;
}

static void test_entries_may_be_replaced(void **state)
{
    world *w = *state;
    rf_module *m = part_new(w->ctx, NULL);
    rf_tensor *x = rf_full(w->s, RF_F32, 0, NULL, 5), *y = NULL, *mine[1] = {x};
    rf_values in = {mine, 1}, out = {&y, 1};
    double value = 0;
    rf_module_hook pre = {double_in, NULL, NULL, NULL, NULL};
    rf_module_hook post = {NULL, add_one, NULL, NULL, NULL};
    assert_ok(w->ctx, rf_module_add_hook(m, pre, NULL));
    assert_ok(w->ctx, rf_module_add_hook(m, post, NULL));
    assert_ok(w->ctx, rf_module_call(m, w->s, &in, &out));
    assert_ptr_equal(mine[0], x); /* the caller's list is as it was */
    assert_ok(w->ctx, rf_tensor_item(y, &value));
    assert_true(value == 11);
    assert_ok(w->ctx, rf_tensor_item(x, &value));
    assert_true(value == 5);
    rf_module_destroy(m);
}

/* ---- failures ---- */

static void test_post_runs_after_a_failure(void **state)
{
    world *w = *state;
    part_log log = {"", RF_E_IO, NULL};
    rf_module *m = part_new(w->ctx, &log);
    teller a = {.log = &log, .pre = 'a', .post = 'A', .post_fails = RF_E_USER},
           b = {.log = &log, .pre = 'b', .post = 'B'};
    tell(m, &a);
    tell(m, &b);
    assert_int_equal(run(w, m), RF_E_IO); /* the first failure counts */
    assert_string_equal(log.text, "abfAB");
    assert_int_equal(a.seen, RF_E_IO);
    assert_int_equal(b.seen, RF_E_IO);
    log = (part_log){"", RF_OK, NULL};
    assert_int_equal(run(w, m), RF_E_USER); /* now the post-hook's */
    assert_int_equal(a.seen, RF_OK);
    assert_int_equal(b.seen, RF_E_USER);
    assert_int_equal(rf_context_error(w->ctx)->code, RF_E_USER);
    a.post_fails = RF_OK;
    assert_ok(w->ctx, run(w, m)); /* nothing is left behind */
    rf_module_destroy(m);
}

static void test_a_failing_pre_hook_ends_the_call(void **state)
{
    world *w = *state;
    part_log log = {"", RF_OK, NULL};
    rf_module *m = part_new(w->ctx, &log);
    teller a = {.log = &log, .pre = 'a', .post = 'A'},
           b = {.log = &log, .pre = 'b', .post = 'B', .pre_fails = RF_E_USER},
           c = {.log = &log, .pre = 'c', .post = 'C'};
    tell(m, &a);
    tell(m, &b);
    tell(m, &c);
    assert_int_equal(run(w, m), RF_E_USER);
    assert_string_equal(log.text, "abA"); /* what began is ended */
    assert_int_equal(a.seen, RF_E_USER);
    rf_module_destroy(m);
}

/* ---- hooks that change hooks ---- */

static void test_hooks_that_change_the_list(void **state)
{
    world *w = *state;
    part_log log = {"", RF_OK, NULL};
    rf_module *m = part_new(w->ctx, &log);
    teller a = {.log = &log, .pre = 'a', .post = 'A'}, b = {.log = &log, .pre = 'b', .post = 'B'},
           late = {.log = &log, .pre = 'l', .post = 'L'};
    a.remove = tell(m, &a); /* itself */
    tell(m, &b);
    assert_ok(w->ctx, run(w, m));
    assert_string_equal(log.text, "abfB"); /* it is gone at once */
    assert_int_equal(a.ended, 1);
    log.text[0] = 0;
    assert_ok(w->ctx, run(w, m));
    assert_string_equal(log.text, "bfB");
    rf_module_hook hook = {tell_pre, tell_post, &late, NULL, NULL};
    b.add = &hook;
    log.text[0] = 0;
    assert_ok(w->ctx, run(w, m));
    assert_string_equal(log.text, "bfB"); /* the new one runs from the next call on */
    b.add = NULL;
    log.text[0] = 0;
    assert_ok(w->ctx, run(w, m));
    assert_string_equal(log.text, "blfBL");
    rf_module_destroy(m);
}

static void test_a_hook_that_destroys_the_module(void **state)
{
    world *w = *state;
    part_log log = {"", RF_OK, NULL};
    rf_module *m = part_new(w->ctx, &log);
    teller a = {.log = &log, .pre = 'a', .post = 'A', .destroy = 1};
    tell(m, &a);
    assert_int_equal(run(w, m), RF_E_STALE);
    assert_string_equal(log.text, "a"); /* the hooks went with it */
    assert_int_equal(a.ended, 1);
}

/* ---- regions ---- */

/* AT-79 */
static void test_what_a_region_runs_again(void **state)
{
    world *w = *state;
    for (int before = 0; before < 2; before++) {
        part_log log = {"", RF_OK, NULL};
        rf_module *m = part_new(w->ctx, &log), *inner = part_add(m, "inner");
        teller own = {.log = &log, .pre = 'a', .post = 'A'},
               below = {.log = &log, .pre = 'b', .post = 'B'};
        assert_ok(w->ctx, part_param(inner, "w", 4, 0.5));
        if (before)
            assert_ok(w->ctx, rf_checkpoint(m, NULL));
        tell(m, &own);
        tell(inner, &below);
        if (!before)
            assert_ok(w->ctx, rf_checkpoint(m, NULL));
        rf_tensor *y = rf_module_call1(m, w->s, world_leaf(w, 1, 4, 0));
        assert_string_equal(log.text, "afbBA");
        assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
        assert_string_equal(log.text, "afbBAfbB"); /* the module's own do not run again */
        rf_module_destroy(m);
    }
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_order),
        ROW(test_many),
        ROW(test_entries_may_be_replaced),
        ROW(test_post_runs_after_a_failure),
        ROW(test_a_failing_pre_hook_ends_the_call),
        ROW(test_hooks_that_change_the_list),
        ROW(test_a_hook_that_destroys_the_module),
        ROW(test_what_a_region_runs_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
