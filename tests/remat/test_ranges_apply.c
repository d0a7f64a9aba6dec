/* test_ranges_apply.c: ranges of a sequential container as an API: what is refused and by which
 * words, options of one range and of several, what may change meanwhile, failing allocations, and
 * depth on a small stack. */
#include "support/range_chain.h"

#include <refrain/nn.h>

#include <pthread.h>
#include <stdio.h>

/* ---- what is refused ---- */

static void payload_end(void *payload)
{
    ++*(int *)payload;
}

static void test_lists_that_make_no_sense(void **state)
{
    world *w = *state;
    static const struct {
        rf_range v[3];
        size_t num;
        const char *what;
    } bad[] = {
        {{{0, 0, NULL}}, 0, "no range at all"},
        {{{1, 0, NULL}}, 1, "range 0 is empty"},
        {{{0, 5, NULL}}, 1, "range 0 is 5 children from number 0 on, of 4"},
        {{{4, 1, NULL}}, 1, "range 0 is 1 children from number 4 on, of 4"},
        {{{2, SIZE_MAX, NULL}}, 1, "of 4"},
        {{{SIZE_MAX, 2, NULL}}, 1, "of 4"},
        {{{0, 2, NULL}, {1, 2, NULL}}, 2, "ranges 0 and 1 overlap"},
        {{{0, 4, NULL}, {0, 2, NULL}, {1, 2, NULL}}, 3, "ranges 1 and 2 overlap"},
        {{{2, 1, NULL}, {0, 1, NULL}}, 2, "range 1 stands after range 0"},
        {{{0, 1, NULL}, {0, 2, NULL}}, 2, "range 1 stands after range 0"},
        {{{0, 2, NULL}, {0, 2, NULL}}, 2, "range 1 stands twice"},
    };
    int ended = 0;
    rf_range one = {0, 1, NULL};
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.hooks.payload = &ended;
    opts.hooks.destroy = payload_end;
    rf_module *m = chain_new(w->ctx, "lbll"), *none = chain_new(w->ctx, "");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(rf_checkpoint_ranges(m, bad[i].v, bad[i].num, &opts), RF_E_ARGUMENT);
        if (!strstr(rf_context_error(w->ctx)->message, bad[i].what))
            fail_msg("%s: %s", bad[i].what, rf_context_error(w->ctx)->message);
        assert_int_equal(ended, (int)i + 1);
    }
    ended = 0;
    assert_int_equal(rf_checkpoint_ranges(none, &one, 1, NULL), RF_E_ARGUMENT);
    assert_int_equal(rf_checkpoint_ranges(rf_module_child(m, 0), &one, 1, &opts), RF_E_ARGUMENT);
    assert_non_null(strstr(rf_context_error(w->ctx)->message, "Linear is no sequential container"));
    opts.fates = "keep=linearr";
    assert_int_equal(rf_checkpoint_ranges(m, &one, 1, &opts), RF_E_ARGUMENT);
    assert_int_equal(ended, 2);
    assert_int_equal(rf_module_num_apis(m), 0);
    rf_module_destroy(none);
    rf_module_destroy(m);
}

static void test_what_excludes_ranges(void **state)
{
    world *w = *state;
    rf_range one = {0, 1, NULL}, out;
    rf_module *m = chain_new(w->ctx, "lll");
    assert_int_equal(rf_checkpoint_ranges_clear(m), RF_E_NOT_FOUND);
    assert_int_equal(rf_checkpoint_ranges_report(m, 0, &out), RF_E_NOT_FOUND);
    assert_int_equal(rf_checkpoint_ranges_num(m), 0);
    assert_ok(w->ctx, rf_checkpoint_ranges(m, &one, 1, NULL));
    assert_int_equal(rf_checkpoint_ranges(m, &one, 1, NULL), RF_E_APPLIED);
    assert_int_equal(rf_checkpoint(m, NULL), RF_E_CONFLICT);
    assert_int_equal(rf_checkpoint_sequential(m, 2, NULL), RF_E_CONFLICT);
    assert_int_equal(rf_checkpoint_sequential_num(m), 0);
    assert_int_equal(rf_checkpoint_sequential_clear(m), RF_E_NOT_FOUND);
    assert_int_equal(rf_checkpoint_ranges_report(m, 1, &out), RF_E_ARGUMENT);
    assert_ok(w->ctx, rf_checkpoint_ranges_clear(m));
    assert_ok(w->ctx, rf_checkpoint_sequential(m, 2, NULL));
    assert_int_equal(rf_checkpoint_ranges(m, &one, 1, NULL), RF_E_CONFLICT);
    assert_int_equal(rf_checkpoint_ranges_num(m), 0);
    rf_module_destroy(m);
}

/* ---- options ---- */

typedef struct entered {
    int forward, again, ended;
} entered;

static rf_status entered_enter(void *payload, rf_scope *s, rf_pass pass)
{
    entered *e = payload;
    (void)s;
    e->forward += pass == RF_PASS_FORWARD;
    e->again += pass == RF_PASS_RECOMPUTE;
    return RF_OK;
}

static void entered_end(void *payload)
{
    ((entered *)payload)->ended++;
}

static rf_checkpoint_options entered_options(entered *e, const char *label)
{
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.hooks = (rf_region_hooks){entered_enter, NULL, e, entered_end};
    opts.label = label;
    return opts;
}

/* Two ranges share options by name, one by the call; the payloads end once, with the last user. */
static void test_options_of_one_range_and_of_several(void **state)
{
    world *w = *state;
    entered e[3] = {{0, 0, 0}};
    rf_checkpoint_options all = entered_options(&e[0], "all"), own = entered_options(&e[1], "own");
    const rf_range list[] = {{0, 4, NULL}, {0, 2, &own}, {2, 1, &own}};
    rf_range out;
    rf_module *m = chain_new(w->ctx, "ltlt"), *copy;
    assert_ok(w->ctx, rf_checkpoint_ranges(m, list, 3, &all));
    assert_int_equal(rf_checkpoint_ranges_num(m), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_ok(w->ctx, rf_checkpoint_ranges_report(m, i, &out));
        assert_int_equal(out.first, list[i].first);
        assert_int_equal(out.count, list[i].count);
        assert_string_equal(out.region->label, i ? "own" : "all");
    }
    assert_ok(w->ctx, rf_module_copy(&copy, m));
    rf_tensor *loss = chain_loss(w, m);
    assert_int_equal(e[0].forward, 1);
    assert_int_equal(e[1].forward, 2);
    assert_ok(w->ctx, rf_checkpoint_ranges_clear(m));
    rf_module_destroy(copy);
    assert_int_equal(e[0].ended + e[1].ended, 0); /* the graph has them still */
    assert_ok(w->ctx, rf_backward(w->s, loss));
    assert_int_equal(e[0].again, 1);
    assert_int_equal(e[1].forward, 4); /* in the outer one's recompute they are new */
    assert_int_equal(e[1].again, 1);   /* the linear layer alone has nothing to compute */
    chain_scope_anew(w);
    assert_int_equal(e[0].ended, 1);
    assert_int_equal(e[1].ended, 1);
    rf_checkpoint_options unused = entered_options(&e[2], NULL),
                          twin = entered_options(&e[1], NULL);
    const rf_range others[] = {{0, 1, &twin}};
    assert_ok(w->ctx, rf_checkpoint_ranges(m, others, 1, &unused));
    assert_int_equal(e[2].ended, 1);
    rf_module_destroy(m);
    assert_int_equal(e[1].ended, 2);
}

/* ---- what changes meanwhile ---- */

static void test_a_container_that_changed(void **state)
{
    world *w = *state;
    const rf_range list[] = {{0, 3, NULL}, {1, 2, NULL}};
    for (int grow = 0; grow < 2; grow++) {
        rf_module *m = chain_new(w->ctx, "lll"), *child = NULL;
        assert_ok(w->ctx, rf_checkpoint_ranges(m, list, 2, NULL));
        rf_tensor *loss = chain_loss(w, m);
        if (grow) {
            child = chain_layer(w->ctx, 'l');
            assert_ok(w->ctx, rf_nn_sequential_add(m, child));
        } else
            rf_module_destroy(rf_module_child(m, 2));
        assert_int_equal(rf_backward(w->s, loss), RF_E_MUTATED);
        rf_scope_clear(w->s);
        assert_null(rf_module_call1(m, w->s, world_leaf(w, CHAIN_ROWS, CHAIN_WIDTH, 0.1)));
        assert_int_equal(rf_scope_status(w->s), RF_E_STATE);
        assert_non_null(
            strstr(rf_context_error(w->ctx)->message,
                   grow ? "had 3 children when its ranges were given and has 4" : "and has 2"));
        chain_scope_anew(w);
        assert_ok(w->ctx, rf_checkpoint_ranges_clear(m));
        assert_ok(w->ctx, rf_backward(w->s, chain_loss(w, m)));
        rf_module_destroy(m);
        chain_scope_anew(w);
    }
}

/* A parameter of a range is watched while it waits; one beside it is not. */
static void test_parameters_changed_in_place(void **state)
{
    world *w = *state;
    const rf_range list[] = {{1, 3, NULL}, {1, 2, NULL}};
    static const char *const paths[] = {"0.bias", "1.bias", "3.bias", "4.bias"};
    for (size_t i = 0; i < 4; i++) {
        rf_module *m = chain_new(w->ctx, "lllll");
        assert_ok(w->ctx, rf_checkpoint_ranges(m, list, 2, NULL));
        rf_tensor *loss = chain_loss(w, m), *bias = rf_module_param(m, paths[i]);
        void *bytes = world_bytes(w, bias);
        assert_ok(w->ctx, rf_tensor_copy_from(bias, bytes, rf_tensor_bytes(bias)));
        free(bytes);
        assert_int_equal(rf_backward(w->s, loss), i == 1 || i == 2 ? RF_E_MUTATED : RF_OK);
        rf_module_destroy(m);
        chain_scope_anew(w);
    }
}

/* ---- failing allocations ---- */

static int faulty_step(rf_context *ctx, rf_module *m)
{
    world w = {.ctx = ctx};
    if (rf_scope_open(&w.s, ctx, NULL))
        return 0;
    float host[CHAIN_ROWS * CHAIN_WIDTH] = {0.5f};
    rf_tensor *x = rf_tensor_copy_in(w.s, RF_F32, 2, (int64_t[]){CHAIN_ROWS, CHAIN_WIDTH}, host);
    rf_status status = x ? rf_tensor_set_requires_grad(x, 1) : RF_E_MEMORY;
    if (!status)
        status = rf_backward(w.s, rf_sum(w.s, rf_module_call1(m, w.s, x)));
    rf_scope_close(w.s);
    assert_true(status == RF_OK || status == RF_E_MEMORY);
    return !status;
}

/* Either the ranges stand or nothing does, and payloads end once; a step fails or is whole. */
static void test_every_failing_allocation(void **state)
{
    (void)state;
    for (uint64_t k = 1, reached = 1; reached; k++) {
        counting c = {0};
        rf_context *ctx;
        rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
        entered e[2] = {{0, 0, 0}};
        rf_checkpoint_options all = entered_options(&e[0], "a"), own = entered_options(&e[1], "b");
        const rf_range list[] = {{0, 3, NULL}, {0, 2, &own}, {1, 1, &own}, {3, 1, NULL}};
        opts.alloc = counting_alloc;
        opts.alloc_payload = &c;
        assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
        rf_module *m = chain_new(ctx, "ltbg"), *copy = NULL;
        own.fates = "keep=1;host=#0:*";
        c.fail_at = c.made + k;
        rf_status status = rf_checkpoint_ranges(m, list, 4, &all);
        assert_int_equal(rf_checkpoint_ranges_num(m), status ? 0 : 4);
        assert_int_equal(e[0].ended, status != RF_OK);
        assert_int_equal(e[1].ended, status != RF_OK);
        int whole = !status && !rf_module_copy(&copy, m) && faulty_step(ctx, copy);
        reached = c.made >= c.fail_at;
        assert_true(whole || reached);
        c.fail_at = 0;
        if (!status)
            assert_true(faulty_step(ctx, m));
        rf_module_destroy(copy);
        rf_module_destroy(m);
        assert_int_equal(e[0].ended, 1);
        assert_int_equal(e[1].ended, 1);
        rf_context_destroy(ctx);
        assert_int_equal(c.live, 0);
    }
}

/* ---- deep ---- */

enum { DEEP = 500, STACK = 2 << 20 };

typedef struct deep {
    int ranges;
    float y[CHAIN_WIDTH], dx[CHAIN_WIDTH];
    rf_status status;
} deep;

/* A child alone and the rest in a range, DEEP times. */
static rf_status deep_ranges(rf_module *m, size_t num)
{
    rf_range *list = malloc(num * sizeof *list);
    for (size_t i = 0; i < num; i++)
        list[i] = (rf_range){i, num + 1 - i, NULL};
    rf_status status = rf_checkpoint_ranges(m, list, num, NULL);
    free(list);
    return status;
}

static rf_status deep_step(deep *d, rf_module *m, rf_scope *s)
{
    float host[CHAIN_WIDTH] = {0.3f, -0.2f, 0.9f, 1.4f};
    rf_tensor *x = rf_tensor_copy_in(s, RF_F32, 1, (int64_t[]){CHAIN_WIDTH}, host);
    rf_status status = rf_tensor_set_requires_grad(x, 1);
    rf_tensor *y = rf_module_call1(m, s, x);
    if (!status)
        status = rf_scope_status(s);
    if (!status)
        status = rf_tensor_copy_out(y, d->y, sizeof d->y);
    if (!status)
        status = rf_backward(s, rf_sum(s, y));
    return status ? status : rf_tensor_copy_out(rf_grad(x), d->dx, sizeof d->dx);
}

static void *deep_run(void *payload)
{
    deep *d = payload;
    rf_context *ctx;
    rf_scope *s;
    rf_module *m = NULL;
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.threads = 1;
    d->status = rf_context_create(&ctx, &opts);
    if (d->status)
        return NULL;
    m = chain_new(ctx, "");
    d->status = rf_scope_open(&s, ctx, NULL);
    for (int i = 0; i <= DEEP && !d->status; i++)
        d->status = rf_nn_sequential_add(m, chain_layer(ctx, 't'));
    if (!d->status && d->ranges)
        d->status = deep_ranges(m, DEEP);
    if (!d->status)
        d->status = deep_step(d, m, s);
    if (d->status)
        fprintf(stderr, "# %s\n", rf_context_error(ctx)->message);
    rf_module_destroy(m);
    rf_scope_close(s);
    rf_context_destroy(ctx);
    return NULL;
}

static void deep_on_small_stack(deep *d)
{
    pthread_attr_t attr;
    pthread_t thread;
    assert_int_equal(pthread_attr_init(&attr), 0);
    assert_int_equal(pthread_attr_setstacksize(&attr, STACK), 0);
    assert_int_equal(pthread_create(&thread, &attr, deep_run, d), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attr);
    assert_int_equal(d->status, RF_OK);
}

static void test_nested_500_deep_on_a_small_stack(void **state)
{
    deep plain = {.ranges = 0}, nested = {.ranges = 1};
    (void)state;
    deep_on_small_stack(&plain);
    deep_on_small_stack(&nested);
    assert_memory_equal(plain.y, nested.y, sizeof plain.y);
    assert_memory_equal(plain.dx, nested.dx, sizeof plain.dx);
}

/* A file may ask for more than any stack has. */
static void test_deeper_than_the_limit(void **state)
{
    world *w = *state;
    rf_module *m = chain_new(w->ctx, "");
    for (int i = 0; i <= RF_RANGE_DEPTH; i++)
        assert_ok(w->ctx, rf_nn_sequential_add(m, chain_layer(w->ctx, 't')));
    assert_ok(w->ctx, deep_ranges(m, RF_RANGE_DEPTH));
    assert_ok(w->ctx, rf_checkpoint_ranges_clear(m));
    assert_ok(w->ctx, rf_nn_sequential_add(m, chain_layer(w->ctx, 't')));
    assert_int_equal(deep_ranges(m, RF_RANGE_DEPTH + 1), RF_E_ARGUMENT);
    assert_non_null(strstr(rf_context_error(w->ctx)->message, "range 512 is in more than 511"));
    rf_module_destroy(m);
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_lists_that_make_no_sense),
        ROW(test_what_excludes_ranges),
        ROW(test_options_of_one_range_and_of_several),
        ROW(test_a_container_that_changed),
        ROW(test_parameters_changed_in_place),
        cmocka_unit_test(test_every_failing_allocation),
        cmocka_unit_test(test_nested_500_deep_on_a_small_stack),
        ROW(test_deeper_than_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
