/* test_apply.c: checkpoints on many modules at once: chosen by a predicate, and sequential
 * containers run in segments; what they cost is what regions placed by hand cost. */
#include "support/modules.h"

#include <refrain/nn.h>

#include <stdio.h>

enum { ROWS = 4, WIDTH = 16 };

/* ---- segments ---- */

static rf_status counter_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    (*(int *)rf_module_self(m))++;
    out->v[0] = rf_sigmoid(s, in->v[0]); /* keeps its result, so a region must run again for it */
    return rf_scope_status(s);
}

static const rf_module_class counter_class = {
    .size = sizeof(rf_module_class), .name = "Counter", .forward = counter_forward};

static rf_module *counter_chain(rf_context *ctx, int *calls, size_t n)
{
    rf_module *m, *child;
    assert_ok(ctx, rf_nn_sequential(&m, ctx));
    for (size_t i = 0; i < n; i++) {
        calls[i] = 0;
        assert_ok(ctx, rf_module_create(&child, ctx, &counter_class, &calls[i]));
        assert_ok(ctx, rf_nn_sequential_add(m, child));
    }
    return m;
}

/* The gradient of the input, bytes to be freed. */
static void *counter_gradient(world *w, rf_module *m)
{
    rf_tensor *x = world_leaf(w, ROWS, WIDTH, 0.1);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, rf_module_call1(m, w->s, x))));
    return world_bytes(w, rf_grad(x));
}

static void split_check(world *w, size_t n, size_t segments, int tail)
{
    int calls[12];
    rf_module *m = counter_chain(w->ctx, calls, n);
    void *wanted = counter_gradient(w, m);
    rf_sequential_options opts = RF_SEQUENTIAL_OPTIONS_INIT;
    opts.segments = segments;
    opts.tail = tail;
    assert_ok(w->ctx, rf_checkpoint_sequential_with(m, &opts));
    memset(calls, 0, sizeof calls);
    rf_tensor *x = world_leaf(w, ROWS, WIDTH, 0.1);
    rf_tensor *loss = rf_sum(w->s, rf_module_call1(m, w->s, x));
    for (size_t i = 0; i < n; i++)
        assert_int_equal(calls[i], 1);
    assert_ok(w->ctx, rf_backward(w->s, loss));
    world_same(w, rf_grad(x), wanted);
    size_t plain_from = tail ? n : n / segments * (segments - 1);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(calls[i], i < plain_from ? 2 : 1);
    assert_ok(w->ctx, rf_checkpoint_sequential_clear(m));
    free(wanted);
    rf_module_destroy(m);
    rf_scope_clear(w->s);
}

/* AT-30: ten functions in two segments run 1, 1 in the forward; the first five 2, the last five 1
 * in all; and so for every other split. */
static void test_at30_how_often_functions_run(void **state)
{
    world *w = *state;
    split_check(w, 10, 2, 0);
    for (size_t n = 1; n <= 12; n++)
        for (size_t segments = 1; segments <= n; segments++)
            for (int tail = 0; tail < 2; tail++)
                split_check(w, n, segments, tail);
}

/* AT-30: ten functions in four segments: 2 + 2 + 2 regions and 4 plain. */
static void test_at30_the_split_is_reported(void **state)
{
    world *w = *state;
    int calls[10];
    rf_module *m = counter_chain(w->ctx, calls, 10);
    rf_segment segment;
    assert_int_equal(rf_checkpoint_sequential_num(m), 0);
    assert_int_equal(rf_checkpoint_sequential_report(m, 0, &segment), RF_E_NOT_FOUND);
    for (int tail = 0; tail < 2; tail++) {
        rf_sequential_options opts = RF_SEQUENTIAL_OPTIONS_INIT;
        opts.segments = 4;
        opts.tail = tail;
        assert_ok(w->ctx, rf_checkpoint_sequential_with(m, &opts));
        assert_int_equal(rf_checkpoint_sequential_num(m), 4);
        for (size_t i = 0; i < 4; i++) {
            assert_ok(w->ctx, rf_checkpoint_sequential_report(m, i, &segment));
            assert_int_equal(segment.first, 2 * i);
            assert_int_equal(segment.count, i == 3 ? 4 : 2);
            assert_int_equal(segment.checkpointed, i < 3 || tail);
        }
        assert_int_equal(rf_checkpoint_sequential_report(m, 4, &segment), RF_E_ARGUMENT);
        assert_ok(w->ctx, rf_checkpoint_sequential_clear(m));
    }
    assert_int_equal(rf_checkpoint_sequential_num(m), 0);
    rf_module_destroy(m);
}

static void payload_end(void *payload)
{
    (*(int *)payload)++;
}

/* AT-30: arguments that make no sense are refused by name, and the hooks are ended. */
static void test_at30_splits_that_make_no_sense(void **state)
{
    world *w = *state;
    int calls[3], ended = 0;
    static const size_t wrong[] = {0, 4, SIZE_MAX};
    rf_module *m = counter_chain(w->ctx, calls, 3);
    rf_checkpoint_options region = RF_CHECKPOINT_OPTIONS_INIT;
    region.hooks.payload = &ended;
    region.hooks.destroy = payload_end;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(rf_checkpoint_sequential(m, wrong[i], &region), RF_E_ARGUMENT);
        assert_non_null(strstr(rf_context_error(w->ctx)->message, "of 3 children"));
        assert_int_equal(ended, (int)i + 1);
    }
    rf_sequential_options opts = RF_SEQUENTIAL_OPTIONS_INIT;
    opts.size--;
    assert_int_equal(rf_checkpoint_sequential_with(m, &opts), RF_E_ARGUMENT);
    assert_int_equal(rf_checkpoint_sequential(rf_module_child(m, 0), 1, NULL), RF_E_ARGUMENT);
    assert_int_equal(rf_module_num_apis(m), 0);
    rf_module_destroy(m);
}

/* ---- chosen by a predicate ---- */

static int match_letter(void *payload, const char *path, rf_module *m)
{
    const char *last = strrchr(path, '.');
    (void)m;
    return (last ? last[1] : path[0]) == *(const char *)payload;
}

static int match_any(void *payload, const char *path, rf_module *m)
{
    (void)m;
    assert_true(*path != 0); /* never the root */
    if (payload)
        ++*(int *)payload;
    return 1;
}

static int match_class(void *payload, const char *path, rf_module *m)
{
    (void)path;
    return rf_module_class_of(m) == payload;
}

static rf_status count_one(void *payload, const char *path, rf_module *m)
{
    (void)path;
    *(int *)payload += rf_checkpoint_applied(m);
    return RF_OK;
}

static int count_applied(rf_module *root)
{
    int n = 0;
    assert_int_equal(rf_module_each(root, count_one, &n), RF_OK);
    return n;
}

static void test_what_matches_is_checkpointed_once(void **state)
{
    world *w = *state;
    rf_module *m;
    int seen = 0;
    size_t applied = 99;
    char letter = 'a';
    assert_ok(w->ctx, part_tree(&m, w->ctx));
    assert_ok(w->ctx,
              rf_checkpoint_where(m, (rf_module_predicate){match_letter, &letter}, NULL, &applied));
    assert_int_equal(applied, 1);
    assert_true(rf_checkpoint_applied(rf_module_find(m, "a")));
    assert_false(rf_checkpoint_applied(rf_module_find(m, "a.inner")));
    assert_ok(w->ctx, rf_checkpoint_clear(rf_module_find(m, "a")));
    assert_ok(w->ctx, rf_checkpoint_where(m, (rf_module_predicate){match_any, &seen}, NULL, NULL));
    assert_int_equal(seen, 3);
    assert_int_equal(count_applied(m), 3);
    assert_false(rf_checkpoint_applied(m));
    assert_ok(w->ctx, rf_checkpoint_clear(rf_module_find(m, "a.inner"))); /* alone */
    assert_int_equal(count_applied(m), 2);
    letter = 'z';
    assert_ok(w->ctx,
              rf_checkpoint_where(m, (rf_module_predicate){match_letter, &letter}, NULL, &applied));
    assert_int_equal(applied, 0);
    rf_module_destroy(m);
}

/* The last of all in the walk is checkpointed already: nothing else is then. */
static void test_one_that_cannot_leaves_none(void **state)
{
    world *w = *state;
    rf_module *m;
    size_t applied = 99;
    int ended = 0;
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.hooks.payload = &ended;
    opts.hooks.destroy = payload_end;
    assert_ok(w->ctx, part_tree(&m, w->ctx));
    assert_ok(w->ctx, rf_checkpoint(m, NULL));
    assert_ok(w->ctx, rf_checkpoint(rf_module_find(m, "b"), NULL));
    rf_tensor *x = world_leaf(w, ROWS, 4, 0.1);
    rf_tensor *loss = rf_sum(w->s, rf_module_call1(m, w->s, x));
    assert_int_equal(
        rf_checkpoint_where(m, (rf_module_predicate){match_any, NULL}, &opts, &applied),
        RF_E_APPLIED);
    assert_non_null(strstr(rf_context_error(w->ctx)->message, "applied to b already"));
    assert_int_equal(applied, 0);
    assert_int_equal(ended, 1);
    assert_int_equal(count_applied(m), 2);
    assert_ok(w->ctx, rf_backward(w->s, loss)); /* a graph of before has not noticed */
    opts.verify = (rf_verify)7;
    assert_int_equal(rf_checkpoint_where(m, (rf_module_predicate){match_any, NULL}, &opts, NULL),
                     RF_E_ARGUMENT);
    assert_int_equal(ended, 2);
    rf_module_destroy(m);
}

static void test_hooks_are_shared_and_end_with_the_last(void **state)
{
    world *w = *state;
    rf_module *m, *copy;
    int ended = 0;
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.hooks.payload = &ended;
    opts.hooks.destroy = payload_end;
    assert_ok(w->ctx, part_tree(&m, w->ctx));
    assert_ok(w->ctx, rf_checkpoint_where(m, (rf_module_predicate){match_any, NULL}, &opts, NULL));
    assert_ok(w->ctx, rf_module_copy(&copy, m));
    assert_int_equal(count_applied(copy), 3);
    rf_module_destroy(m);
    assert_int_equal(ended, 0);
    assert_ok(w->ctx, rf_checkpoint_clear(rf_module_find(copy, "b")));
    assert_ok(w->ctx, rf_checkpoint_clear(rf_module_find(copy, "a")));
    assert_int_equal(ended, 0);
    rf_module_destroy(copy);
    assert_int_equal(ended, 1);
}

static void test_every_failing_allocation_leaves_none(void **state)
{
    (void)state;
    for (uint64_t k = 1;; k++) {
        counting c = {0};
        rf_context *ctx;
        rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
        opts.alloc = counting_alloc;
        opts.alloc_payload = &c;
        assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
        rf_module *m;
        assert_ok(ctx, part_tree(&m, ctx));
        int ended = 0;
        size_t applied;
        rf_checkpoint_options region = RF_CHECKPOINT_OPTIONS_INIT;
        region.label = "part";
        region.hooks.payload = &ended;
        region.hooks.destroy = payload_end;
        rf_module_predicate which = {match_any, NULL};
        c.fail_at = c.made + k;
        rf_status status = rf_checkpoint_where(m, which, &region, &applied);
        int reached = c.made >= c.fail_at;
        c.fail_at = 0;
        assert_int_equal(count_applied(m), status ? 0 : 3);
        assert_int_equal(applied, status ? 0 : 3);
        assert_int_equal(ended, status != RF_OK);
        if (status)
            assert_ok(ctx, rf_checkpoint_where(m, which, NULL, NULL));
        rf_module_destroy(m);
        rf_context_destroy(ctx);
        assert_int_equal(c.live, 0);
        if (!reached)
            break;
    }
}

/* ---- peaks ---- */

/* A block that is nothing by itself: two linear layers with a gelu between. */
static rf_status block_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_tensor *h = rf_gelu(s, rf_module_call1(rf_module_child(m, 0), s, in->v[0]));
    out->v[0] = rf_add(s, in->v[0], rf_module_call1(rf_module_child(m, 1), s, h));
    return rf_scope_status(s);
}

static const rf_module_class block_class = {
    .size = sizeof(rf_module_class), .name = "Block", .forward = block_forward};

enum { BLOCKS = 5 };

static rf_status block_region(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    return rf_module_call(payload, s, in, out);
}

/* Calls its blocks; by_hand (its self): each in a region of the user's own. */
static rf_status stack_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    const int *by_hand = rf_module_self(m);
    rf_tensor *x = in->v[0];
    for (size_t i = 0; i < rf_module_num_children(m); i++) {
        rf_tensor *y = NULL;
        rf_values from = {&x, 1}, to = {&y, 1};
        rf_function fn = {block_region, rf_module_child(m, i), NULL};
        rf_status status = *by_hand ? rf_checkpoint_call(s, fn, &from, &to, NULL)
                                    : rf_module_call(rf_module_child(m, i), s, &from, &to);
        if (status)
            return status;
        if (x != in->v[0])
            rf_release(s, x);
        x = y;
    }
    out->v[0] = x;
    return rf_scope_status(s);
}

static const rf_module_class stack_class = {
    .size = sizeof(rf_module_class), .name = "Stack", .forward = stack_forward};

static rf_module *stack_new(rf_context *ctx, int *by_hand)
{
    rf_module *m, *block, *layer;
    char name[16];
    assert_ok(ctx, rf_module_create(&m, ctx, &stack_class, by_hand));
    for (int i = 0; i < BLOCKS; i++) {
        assert_ok(ctx, rf_module_create(&block, ctx, &block_class, NULL));
        snprintf(name, sizeof name, "%d", i);
        assert_ok(ctx, rf_module_add_child(m, name, block));
        assert_ok(ctx, rf_nn_linear(&layer, ctx, WIDTH, 4 * WIDTH, 0));
        assert_ok(ctx, rf_module_add_child(block, "up", layer));
        assert_ok(ctx, rf_nn_linear(&layer, ctx, 4 * WIDTH, WIDTH, 0));
        assert_ok(ctx, rf_module_add_child(block, "down", layer));
    }
    return m;
}

static uint64_t peak_of(rf_context *ctx, rf_mem_class cls)
{
    rf_memory_info info;
    assert_ok(ctx, rf_memory_get(ctx, RF_DEVICE_CPU, cls, &info));
    return info.peak;
}

/* One step in a context of its own: peaks by class, and the input's gradient (to be freed). */
static void *stack_step(int by_hand, int where, uint64_t peaks[RF_MEM_CLASSES])
{
    world w;
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    char before[2048], after[2048];
    opts.seed = 5;
    assert_int_equal(rf_context_create(&w.ctx, &opts), RF_OK);
    assert_ok(w.ctx, rf_scope_open(&w.s, w.ctx, NULL));
    rf_module *m = stack_new(w.ctx, &by_hand);
    part_names(m, before, sizeof before);
    if (where) {
        union {
            const void *in;
            void *out;
        } cls = {.in = &block_class};
        size_t applied;
        assert_ok(w.ctx, rf_checkpoint_where(m, (rf_module_predicate){match_class, cls.out}, NULL,
                                             &applied));
        assert_int_equal(applied, BLOCKS);
    }
    assert_string_equal(part_names(m, after, sizeof after), before);
    rf_tensor *x = world_leaf(&w, ROWS, WIDTH, 0.1);
    rf_memory_reset_peak(w.ctx);
    assert_ok(w.ctx, rf_backward(w.s, rf_sum(w.s, rf_module_call1(m, w.s, x))));
    for (int cls = 0; cls < RF_MEM_CLASSES; cls++)
        peaks[cls] = peak_of(w.ctx, (rf_mem_class)cls);
    void *bytes = world_bytes(&w, rf_grad(x));
    rf_module_destroy(m);
    rf_scope_close(w.s);
    rf_context_destroy(w.ctx);
    return bytes;
}

/* AT-55: names are unchanged, and the peak is to the byte that of regions placed by hand. */
static void test_at55_peaks_of_regions_by_predicate_and_by_hand(void **state)
{
    uint64_t plain[RF_MEM_CLASSES], hand[RF_MEM_CLASSES], where[RF_MEM_CLASSES];
    (void)state;
    void *a = stack_step(0, 0, plain), *b = stack_step(1, 0, hand), *c = stack_step(0, 1, where);
    assert_memory_equal(a, b, ROWS * WIDTH * sizeof(float));
    assert_memory_equal(a, c, ROWS * WIDTH * sizeof(float));
    for (int cls = RF_MEM_PARAM; cls < RF_MEM_CLASSES; cls++)
        if (cls != RF_MEM_OTHER) /* what a module's region remembers of it is our bookkeeping */
            assert_int_equal(where[cls], hand[cls]);
    assert_true(where[RF_MEM_ACTIVATION] < plain[RF_MEM_ACTIVATION]);
    free(a);
    free(b);
    free(c);
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_at30_how_often_functions_run),
        ROW(test_at30_the_split_is_reported),
        ROW(test_at30_splits_that_make_no_sense),
        ROW(test_what_matches_is_checkpointed_once),
        ROW(test_one_that_cannot_leaves_none),
        ROW(test_hooks_are_shared_and_end_with_the_last),
        cmocka_unit_test(test_every_failing_allocation_leaves_none),
        cmocka_unit_test(test_at55_peaks_of_regions_by_predicate_and_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
