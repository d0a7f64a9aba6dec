/* test_reference.c: the six tests of the reference system's composable checkpoint, by their names,
 * each for what it means: outputs, gradients and graph sizes with and without, by memcmp; memory
 * measured from the ledger; errors that leave nothing behind. */
#include "support/world.h"

/* ---- the reference's models ---- */

static rf_tensor *param(rf_module *m, const char *name, int64_t rows, int64_t columns)
{
    rf_context *ctx = rf_module_context(m);
    rf_tensor_options opts = RF_TENSOR_OPTIONS_INIT;
    int64_t dims[2] = {rows, columns};
    rf_tensor *t;
    size_t n = (size_t)(rows * columns);
    float *host = malloc(n * sizeof *host);
    for (size_t i = 0; i < n; i++)
        host[i] = (float)((i * 7919 + strlen(name) * 31) % 1009) / 1009 - 0.5f;
    opts.rank = 2;
    opts.dims = dims;
    opts.mem_class = RF_MEM_PARAM;
    assert_ok(ctx, rf_tensor_create(&t, ctx, &opts));
    assert_ok(ctx, rf_tensor_copy_from(t, host, n * sizeof *host));
    assert_ok(ctx, rf_module_add_param(m, name, t));
    rf_tensor_drop(t);
    free(host);
    return t;
}

enum { WIDTH = 100, ROWS = 20 };

/* Toy: seq(l1(x)), seq = relu, linear, relu. */
static rf_status toy_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_tensor *h = rf_module_call1(rf_module_find(m, "l1"), s, in->v[0]);
    out->v[0] = rf_module_call1(rf_module_find(m, "seq"), s, h);
    return rf_scope_status(s);
}

static const rf_module_class toy_class = {
    .size = sizeof(rf_module_class), .name = "Toy", .forward = toy_forward};

static rf_module *toy(rf_context *ctx)
{
    rf_module *m, *seq, *layer;
    assert_ok(ctx, rf_module_create(&m, ctx, &toy_class, NULL));
    assert_ok(ctx, rf_nn_linear(&layer, ctx, WIDTH, WIDTH, 0));
    assert_ok(ctx, rf_module_add_child(m, "l1", layer));
    assert_ok(ctx, rf_nn_sequential(&seq, ctx));
    assert_ok(ctx, rf_module_add_child(m, "seq", seq));
    assert_ok(ctx, rf_nn_activation(&layer, ctx, RF_ACTIVATION_RELU));
    assert_ok(ctx, rf_nn_sequential_add(seq, layer));
    assert_ok(ctx, rf_nn_linear(&layer, ctx, WIDTH, WIDTH, 0));
    assert_ok(ctx, rf_nn_sequential_add(seq, layer));
    assert_ok(ctx, rf_nn_activation(&layer, ctx, RF_ACTIVATION_RELU));
    assert_ok(ctx, rf_nn_sequential_add(seq, layer));
    return m;
}

/* Random: x (p r), r drawn anew in every forward. */
static rf_status random_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_tensor *r = rf_normal(s, RF_F32, 2, (int64_t[]){WIDTH, WIDTH});
    out->v[0] = rf_matmul(s, in->v[0], rf_matmul(s, rf_module_param(m, "p"), r));
    return rf_scope_status(s);
}

static const rf_module_class random_class = {
    .size = sizeof(rf_module_class), .name = "Random", .forward = random_forward};

static rf_module *random_model(rf_context *ctx)
{
    rf_module *m;
    assert_ok(ctx, rf_module_create(&m, ctx, &random_class, NULL));
    param(m, "p", WIDTH, WIDTH);
    return m;
}

/* MultiOutput: z = relu(x w1) w2; sin z and cos z. */
static rf_status multi_output_forward(rf_module *m, rf_scope *s, const rf_values *in,
                                      rf_values *out)
{
    rf_tensor *z = rf_relu(s, rf_matmul(s, in->v[0], rf_module_param(m, "w1")));
    z = rf_matmul(s, z, rf_module_param(m, "w2"));
    out->v[0] = rf_sin(s, z);
    out->v[1] = rf_cos(s, z);
    return rf_scope_status(s);
}

static const rf_module_class multi_output_class = {
    .size = sizeof(rf_module_class), .name = "MultiOutput", .forward = multi_output_forward};

/* MultiInput: one argument that has two tensors in it; (a + b) w. */
static rf_status multi_input_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_tensor *sum = rf_add(s, in->v[0], in->v[1]);
    out->v[0] = rf_matmul(s, sum, rf_module_param(m, "w"));
    return rf_scope_status(s);
}

static const rf_module_class multi_input_class = {
    .size = sizeof(rf_module_class), .name = "MultiInput", .forward = multi_input_forward};

/* The two of them, one after the other. */
static rf_status multi_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_tensor *pair[2];
    rf_values both = {pair, 2};
    rf_status status = rf_module_call(rf_module_child(m, 0), s, in, &both);
    return status ? status : rf_module_call(rf_module_child(m, 1), s, &both, out);
}

static const rf_module_class multi_class = {
    .size = sizeof(rf_module_class), .name = "Multi", .forward = multi_forward};

static rf_module *multi(rf_context *ctx)
{
    rf_module *m, *child;
    assert_ok(ctx, rf_module_create(&m, ctx, &multi_class, NULL));
    assert_ok(ctx, rf_module_create(&child, ctx, &multi_output_class, NULL));
    param(child, "w1", WIDTH, WIDTH);
    param(child, "w2", WIDTH, WIDTH);
    assert_ok(ctx, rf_module_add_child(m, "0", child));
    assert_ok(ctx, rf_module_create(&child, ctx, &multi_input_class, NULL));
    param(child, "w", WIDTH, WIDTH);
    assert_ok(ctx, rf_module_add_child(m, "1", child));
    return m;
}

/* My: fails when it is told to, in the pass it is told to. */
static int my_fails, my_fails_in_recompute, my_calls;

static rf_status my_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    my_calls++;
    if (my_fails || (my_fails_in_recompute && rf_pass_current(s) == RF_PASS_RECOMPUTE))
        return rf_scope_fail(s, RF_E_USER, "My says no");
    out->v[0] = rf_exp(s, rf_sin(s, rf_matmul(s, in->v[0], rf_module_param(m, "w"))));
    return rf_scope_status(s);
}

static const rf_module_class my_class = {
    .size = sizeof(rf_module_class), .name = "My", .forward = my_forward};

static rf_module *my_model(rf_context *ctx)
{
    rf_module *m;
    assert_ok(ctx, rf_module_create(&m, ctx, &my_class, NULL));
    param(m, "w", WIDTH, WIDTH);
    return m;
}

/* ---- one step, everything that may differ written down ---- */

typedef struct step {
    unsigned char *bits;
    size_t len, nodes;
    rf_memory_change forward; /* activation bytes after the forward, and its peak */
} step;

static void step_add(rf_context *ctx, step *r, const rf_tensor *t)
{
    size_t n = t ? rf_tensor_bytes(t) : 0;
    r->bits = realloc(r->bits, r->len + n + 1);
    if (t)
        assert_ok(ctx, rf_tensor_copy_out(t, r->bits + r->len, n));
    r->len += n;
}

typedef struct adding {
    rf_context *ctx;
    step *r;
} adding;

static rf_status step_add_grad(void *payload, const char *path, rf_tensor *t)
{
    adding *a = payload;
    (void)path;
    assert_non_null(rf_grad(t));
    step_add(a->ctx, a->r, rf_grad(t));
    rf_grad_clear(t);
    return RF_OK;
}

static step run_step(world *w, rf_module *m, rf_rng before_backward)
{
    step r = {NULL, 0, 0, {0, 0}};
    rf_memory_mark *mark;
    rf_tensor *x = world_leaf(w, ROWS, WIDTH, 0.1);
    rf_context_set_rng(w->ctx, (rf_rng){5, 0});
    assert_ok(w->ctx, rf_memory_mark_create(&mark, w->ctx));
    rf_tensor *y = rf_module_call1(m, w->s, x);
    assert_non_null(y);
    assert_ok(w->ctx, rf_memory_delta(mark, RF_DEVICE_CPU, RF_MEM_ACTIVATION, &r.forward));
    rf_memory_mark_destroy(mark);
    rf_tensor *loss = rf_sum(w->s, rf_mul(w->s, y, y));
    r.nodes = rf_graph_size(loss);
    step_add(w->ctx, &r, y);
    if (before_backward.seed)
        rf_context_set_rng(w->ctx, before_backward);
    rf_rng ambient = rf_context_rng(w->ctx);
    assert_ok(w->ctx, rf_backward(w->s, loss));
    rf_rng after = rf_context_rng(w->ctx);
    assert_memory_equal(&ambient, &after, sizeof after);
    step_add(w->ctx, &r, rf_grad(x));
    adding a = {w->ctx, &r};
    assert_ok(w->ctx, rf_module_each_param(m, 0, step_add_grad, &a));
    return r;
}

static step run_plainly(world *w, rf_module *m)
{
    return run_step(w, m, (rf_rng){0, 0});
}

static void same_step(const step *a, const step *b)
{
    assert_int_equal(a->nodes, b->nodes);
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->bits, b->bits, a->len);
}

/* Plain against checkpointed at `paths`; with deep copies made before and after. */
static void compare(world *w, rf_module *m, const char *const *paths)
{
    rf_module *before, *after;
    assert_ok(w->ctx, rf_module_copy(&before, m));
    step plain = run_plainly(w, m), first = run_plainly(w, before);
    for (size_t i = 0; paths[i]; i++)
        assert_ok(w->ctx, rf_checkpoint(rf_module_find(m, paths[i]), NULL));
    assert_ok(w->ctx, rf_module_copy(&after, m));
    step region = run_plainly(w, m), second = run_plainly(w, after);
    same_step(&plain, &first);
    same_step(&plain, &region);
    same_step(&plain, &second);
    for (size_t i = 0; paths[i]; i++) { /* a copy has its own state and parameters */
        assert_true(rf_checkpoint_applied(rf_module_find(after, paths[i])));
        assert_false(rf_checkpoint_applied(rf_module_find(before, paths[i])));
        assert_ptr_not_equal(rf_api_state(&rf_checkpoint_api, rf_module_find(m, paths[i])),
                             rf_api_state(&rf_checkpoint_api, rf_module_find(after, paths[i])));
    }
    assert_true(region.forward.live <= plain.forward.live);
    free(plain.bits);
    free(first.bits);
    free(region.bits);
    free(second.bits);
    rf_module_destroy(before);
    rf_module_destroy(after);
}

/* ---- the tests ---- */

/* AT-01 */
static void test_tensor_only_cpu(void **state)
{
    world *w = *state;
    rf_module *m = toy(w->ctx);
    int64_t n = ROWS * WIDTH * (int64_t)sizeof(float);
    step plain = run_plainly(w, m);
    compare(w, m, (const char *const[]){"seq", NULL});
    step region = run_plainly(w, m);
    /* Plain: relu keeps its output, which is the second linear's input, and the last relu its own,
     * which is y. Checkpointed: the region keeps its input, and y stays. Both two, so memory is
     * saved where a region has more inside: see the peak of the forward, and the whole model. */
    assert_int_equal(plain.forward.live, 2 * n);
    assert_int_equal(region.forward.live, 2 * n);
    free(plain.bits);
    free(region.bits);
    assert_ok(w->ctx, rf_checkpoint(m, NULL)); /* around it: only y stays */
    region = run_plainly(w, m);
    assert_int_equal(region.forward.live, n);
    free(region.bits);
    rf_module_destroy(m);
}

/* AT-09 */
static void test_random_cpu(void **state)
{
    world *w = *state;
    rf_module *m = random_model(w->ctx);
    compare(w, m, (const char *const[]){"", NULL});
    rf_module_destroy(m);
}

/* AT-01 */
static void test_multi_args(void **state)
{
    world *w = *state;
    rf_module *m = multi(w->ctx);
    compare(w, m, (const char *const[]){"0", "1", NULL});
    rf_module_destroy(m);
}

static rf_status double_input(void *payload, rf_module *m, rf_scope *s, rf_values *in)
{
    (void)m;
    ++*(int *)payload;
    in->v[0] = rf_affine(s, in->v[0], 2, 0);
    return rf_scope_status(s);
}

/* Section 2, C-5: a pre-hook that doubles its input, added before or after, equals plain. */
/* AT-79 */
static void test_doubling_pre_hook_in_both_orders(void **state)
{
    world *w = *state;
    step results[3];
    for (int i = 0; i < 3; i++) {
        int calls = 0;
        rf_module *m = my_model(w->ctx);
        rf_module_hook hook = {double_input, NULL, &calls, NULL, NULL};
        if (i == 1)
            assert_ok(w->ctx, rf_checkpoint(m, NULL));
        assert_ok(w->ctx, rf_module_add_hook(m, hook, NULL));
        if (i == 2)
            assert_ok(w->ctx, rf_checkpoint(m, NULL));
        results[i] = run_plainly(w, m);
        assert_int_equal(calls, 1);
        if (i)
            same_step(&results[0], &results[i]);
        rf_module_destroy(m);
    }
    for (int i = 0; i < 3; i++)
        free(results[i].bits);
}

/* AT-12 */
static void test_clears_state_on_error_in_forward(void **state)
{
    world *w = *state;
    rf_module *m = my_model(w->ctx);
    step plain = run_plainly(w, m);
    assert_ok(w->ctx, rf_checkpoint(m, NULL));
    for (int in_recompute = 0; in_recompute < 2; in_recompute++) {
        rf_tensor *x = world_leaf(w, ROWS, WIDTH, 0.1);
        uint64_t before = world_used(w, RF_MEM_ACTIVATION);
        my_fails = !in_recompute;
        my_fails_in_recompute = in_recompute;
        rf_tensor *y = rf_module_call1(m, w->s, x);
        if (in_recompute) {
            rf_tensor *loss = rf_sum(w->s, y);
            rf_release(w->s, y);
            assert_int_equal(rf_backward(w->s, loss), RF_E_USER);
            rf_release(w->s, loss);
        } else {
            assert_null(y);
            assert_int_equal(rf_scope_status(w->s), RF_E_USER);
            rf_scope_clear(w->s);
        }
        assert_string_equal(rf_context_error(w->ctx)->message, "My says no");
        assert_int_equal(rf_pass_current(w->s), RF_PASS_PLAIN); /* no frame stays open */
        assert_int_equal(world_used(w, RF_MEM_ACTIVATION), before);
        my_fails = my_fails_in_recompute = 0;
        step again = run_plainly(w, m); /* and a retry succeeds */
        same_step(&plain, &again);
        free(again.bits);
        rf_release(w->s, x);
    }
    free(plain.bits);
    rf_module_destroy(m);
}

/* ---- options ---- */

typedef struct counted {
    int entered, left, ended;
} counted;

static rf_status counted_enter(void *payload, rf_scope *s, rf_pass pass)
{
    (void)s;
    (void)pass;
    ((counted *)payload)->entered++;
    return RF_OK;
}

static void counted_leave(void *payload, rf_scope *s, rf_pass pass, rf_status status)
{
    (void)s;
    (void)pass;
    (void)status;
    ((counted *)payload)->left++;
}

static void counted_end(void *payload)
{
    ((counted *)payload)->ended++;
}

/* Changes its input in place, but only when it runs again. */
static rf_status shifty_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_tensor *h = rf_sin(s, rf_matmul(s, in->v[0], rf_module_param(m, "w")));
    if (rf_pass_current(s) == RF_PASS_RECOMPUTE)
        h = rf_reshape(s, h, 1, (int64_t[]){-1});
    h = rf_exp(s, h);
    out->v[0] = rf_reshape(s, h, 2, (int64_t[]){ROWS, WIDTH});
    return rf_scope_status(s);
}

static const rf_module_class shifty_class = {
    .size = sizeof(rf_module_class), .name = "Shifty", .forward = shifty_forward};

static rf_status shifty_backward(world *w, rf_verify verify)
{
    rf_module *m;
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.verify = verify;
    assert_ok(w->ctx, rf_module_create(&m, w->ctx, &shifty_class, NULL));
    param(m, "w", WIDTH, WIDTH);
    assert_ok(w->ctx, rf_checkpoint(m, &opts));
    rf_tensor *x = world_leaf(w, ROWS, WIDTH, 0.1);
    rf_status status = rf_backward(w->s, rf_sum(w->s, rf_module_call1(m, w->s, x)));
    rf_module_destroy(m);
    return status;
}

static void kwargs_random(world *w)
{
    rf_module *plain = random_model(w->ctx), *same = random_model(w->ctx);
    rf_module *fresh = random_model(w->ctx);
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    rf_rng reseeded = {4711, 99};
    assert_ok(w->ctx, rf_checkpoint(same, &opts));
    opts.fresh_random = 1;
    assert_ok(w->ctx, rf_checkpoint(fresh, &opts));
    step a = run_step(w, plain, reseeded), b = run_step(w, same, reseeded);
    same_step(&a, &b); /* reseeded before the backward: the same bits, the generator untouched */
    rf_tensor *x = world_leaf(w, ROWS, WIDTH, 0.1);
    rf_context_set_rng(w->ctx, (rf_rng){5, 0});
    rf_tensor *y = rf_module_call1(fresh, w->s, x);
    rf_context_set_rng(w->ctx, reseeded);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, rf_mul(w->s, y, y))));
    void *dx = world_bytes(w, rf_grad(x)); /* reads p r: other numbers, another gradient */
    assert_memory_not_equal(dx, a.bits + rf_tensor_bytes(x), rf_tensor_bytes(x));
    free(dx);
    free(a.bits);
    free(b.bits);
    rf_module_destroy(plain);
    rf_module_destroy(same);
    rf_module_destroy(fresh);
}

/* AT-07 */
static void test_checkpoint_kwargs(void **state)
{
    world *w = *state;
    counted c = {0, 0, 0};
    rf_module *m = my_model(w->ctx);
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.hooks = (rf_region_hooks){counted_enter, counted_leave, &c, counted_end};
    assert_ok(w->ctx, rf_checkpoint(m, &opts));
    step r = run_plainly(w, m);
    free(r.bits);
    assert_int_equal(c.entered, 2);
    assert_int_equal(c.left, 2);
    opts.hooks = (rf_region_hooks){0};
    assert_int_equal(rf_checkpoint(m, &opts), RF_E_APPLIED);
    assert_ok(w->ctx, rf_checkpoint_clear(m));
    assert_int_equal(c.ended, 1);
    assert_int_equal(rf_checkpoint_clear(m), RF_E_NOT_FOUND);
    opts.verify = (rf_verify)7;
    assert_int_equal(rf_checkpoint(m, &opts), RF_E_ARGUMENT);
    assert_false(rf_checkpoint_applied(m));
    rf_module_destroy(m);
    assert_int_equal(shifty_backward(w, RF_VERIFY_NONE), RF_E_SHAPE);
    assert_int_equal(shifty_backward(w, RF_VERIFY_DEFAULT), RF_E_REPLAY_META);
    kwargs_random(w);
}

static void test_tensor_only_gpu(void **state)
{
    (void)state;
    print_message("test_tensor_only_gpu: skipped, this build has no GPU device\n");
    skip();
}

/* ---- what a region asks of its module ---- */

static void test_a_module_that_changed_or_went(void **state)
{
    world *w = *state;
    for (int i = 0; i < 3; i++) {
        int calls = 0;
        rf_module_hook hook = {double_input, NULL, &calls, NULL, NULL};
        rf_module *m = toy(w->ctx);
        assert_ok(w->ctx, rf_checkpoint(m, NULL));
        rf_tensor *x = world_leaf(w, ROWS, WIDTH, 0.1);
        rf_tensor *loss = rf_sum(w->s, rf_module_call1(m, w->s, x));
        if (i == 0)
            rf_module_train(m, 0);
        else if (i == 1)
            assert_ok(w->ctx, rf_module_add_hook(rf_module_find(m, "seq.1"), hook, NULL));
        else
            rf_module_destroy(m);
        assert_int_equal(rf_backward(w->s, loss), i < 2 ? RF_E_MUTATED : RF_E_STALE);
        if (i < 2)
            rf_module_destroy(m);
    }
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_tensor_only_cpu),
        ROW(test_random_cpu),
        ROW(test_multi_args),
        ROW(test_doubling_pre_hook_in_both_orders),
        ROW(test_clears_state_on_error_in_forward),
        ROW(test_checkpoint_kwargs),
        ROW(test_tensor_only_gpu),
        ROW(test_a_module_that_changed_or_went),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
