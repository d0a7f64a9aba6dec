/* test_region.c: one region, row by row of the reference's behaviour (A1 to A18): counters of calls
 * and kernels, ledger bytes, error codes, bits. */
#include "support/world.h"

typedef struct counter {
    int calls;      /* of the function                    */
    int take;       /* which way to go, for some          */
    rf_status fail; /* in which pass to fail, for some    */
    rf_pass fail_in;
    int entered, left, failed_leaves;
    rf_tensor *weight;
    rf_tensor *seen;
} counter;

/* Run body in a scope of its own, so that only the result stays, as a module does. */
#define IN_SCOPE(s, inner)                             \
    rf_scope *inner = NULL;                            \
    if (rf_scope_open(&inner, rf_scope_context(s), s)) \
        return RF_E_MEMORY;

/* y = exp(sin(x w)); saves x and w (outside), x w and y (inside). */
static rf_status layer(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    counter *c = payload;
    IN_SCOPE(s, inner)
    c->calls++;
    rf_tensor *h = rf_matmul(inner, in->v[0], c->weight);
    out->v[0] = rf_keep(inner, rf_exp(inner, rf_sin(inner, h)));
    rf_status status = rf_scope_status(inner);
    rf_scope_close(inner);
    return status;
}

/* AT-01 */
static void test_a1_basic_region(void **state)
{
    world *w = *state;
    counter c = {.weight = world_leaf(w, 8, 8, 0.1)};
    rf_tensor *x = world_leaf(w, 4, 8, 0.2);
    rf_function fn = {layer, &c, NULL};
    uint64_t before = world_used(w, RF_MEM_ACTIVATION);

    rf_tensor *y = world_plain(w, fn, x);
    uint64_t plain = world_used(w, RF_MEM_ACTIVATION) - before;
    void *y_bits = world_bytes(w, y);
    size_t nodes = rf_graph_size(y);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
    void *dx = world_bytes(w, rf_grad(x)), *dw = world_bytes(w, rf_grad(c.weight));
    rf_grad_clear(x);
    rf_grad_clear(c.weight);

    c.calls = 0;
    before = world_used(w, RF_MEM_ACTIVATION);
    y = world_region(w, fn, x, NULL);
    /* the output stays (its node's slot is a number), nothing else */
    assert_int_equal(world_used(w, RF_MEM_ACTIVATION) - before, rf_tensor_bytes(y));
    assert_true(rf_tensor_bytes(y) < plain);
    assert_int_equal(c.calls, 1);
    assert_int_equal(rf_graph_size(y), nodes);
    world_same(w, y, y_bits);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
    assert_int_equal(c.calls, 2);
    world_same(w, rf_grad(x), dx);
    world_same(w, rf_grad(c.weight), dw);
    free(y_bits);
    free(dx);
    free(dw);
}

static rf_status count_enter(void *payload, rf_scope *s, rf_pass pass)
{
    counter *c = payload;
    (void)s;
    (void)pass;
    c->entered++;
    return RF_OK;
}

static void count_leave(void *payload, rf_scope *s, rf_pass pass, rf_status status)
{
    counter *c = payload;
    (void)s;
    (void)pass;
    c->left++;
    c->failed_leaves += status != RF_OK;
}

static rf_checkpoint_options with_hooks(counter *c)
{
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.hooks = (rf_region_hooks){count_enter, count_leave, c, NULL};
    return opts;
}

/* AT-02 */
static void test_a2_without_gradients_it_runs_plainly(void **state)
{
    world *w = *state;
    counter c = {.weight = world_leaf(w, 8, 8, 0.1)};
    rf_tensor *x = world_leaf(w, 4, 8, 0.2);
    rf_checkpoint_options opts = with_hooks(&c);
    rf_scope_set_grad(w->s, 0);
    uint64_t before = world_used(w, RF_MEM_ACTIVATION);
    rf_tensor *y = world_region(w, (rf_function){layer, &c, NULL}, x, &opts);
    assert_int_equal(c.calls, 1);
    assert_int_equal(c.entered, 0);
    assert_int_equal(world_used(w, RF_MEM_ACTIVATION) - before, rf_tensor_bytes(y));
    assert_int_equal(rf_graph_size(y), 0);
}

/* AT-03 */
static void test_a3_once_per_backward(void **state)
{
    world *w = *state;
    counter c = {.weight = world_leaf(w, 8, 8, 0.1)};
    rf_tensor *x = world_leaf(w, 4, 8, 0.2);
    rf_tensor *y = world_region(w, (rf_function){layer, &c, NULL}, x, NULL);
    rf_tensor *loss = rf_sum(w->s, y);
    rf_backward_options retain = RF_BACKWARD_OPTIONS_INIT;
    retain.retain = 1;
    for (int i = 2; i <= 4; i++) {
        assert_ok(w->ctx, rf_backward_with(w->s, loss, &retain));
        assert_int_equal(c.calls, i);
        assert_int_equal(world_executed(w, "sin"), i);
    }
    assert_ok(w->ctx, rf_backward(w->s, loss));
    assert_int_equal(c.calls, 5);
    assert_int_equal(rf_backward(w->s, loss), RF_E_CONSUMED);
}

static rf_status copy_only(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    ((counter *)payload)->calls++;
    out->v[0] = rf_clone(s, in->v[0]);
    return rf_scope_status(s);
}

/* AT-03 */
static void test_a3_nothing_saved_nothing_run_again(void **state)
{
    world *w = *state;
    counter c = {0};
    rf_tensor *x = world_leaf(w, 4, 8, 0.2);
    for (int no_early_stop = 0; no_early_stop < 2; no_early_stop++) {
        rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
        opts.no_early_stop = no_early_stop;
        rf_tensor *y = world_region(w, (rf_function){copy_only, &c, NULL}, x, &opts);
        assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
        assert_int_equal(c.calls, no_early_stop + 1);
    }
}

/* ---- A4: when recomputed bytes go ---- */

typedef struct samples {
    world *w;
    uint64_t bytes[8];
    size_t num;
} samples;

static rf_status sample_ledger(void *payload, rf_scope *s, rf_tensor **grad)
{
    samples *list = payload;
    (void)s;
    (void)grad;
    list->bytes[list->num++] = world_used(list->w, RF_MEM_ACTIVATION);
    return RF_OK;
}

static rf_status four_squares(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    IN_SCOPE(s, inner)
    rf_tensor *x = in->v[0];
    for (int i = 0; i < 4; i++) {
        if (rf_pass_current(inner) != RF_PASS_RECOMPUTE &&
            rf_tensor_add_grad_hook(x, (rf_grad_hook){sample_ledger, payload, NULL}))
            return RF_E_MEMORY;
        x = rf_mul(inner, x, x);
    }
    out->v[0] = rf_keep(inner, x);
    rf_scope_close(inner);
    return RF_OK;
}

/* AT-04 */
static void test_a4_recomputed_bytes_go_at_once(void **state)
{
    world *w = *state;
    samples lists[3] = {{.w = w}, {.w = w}, {.w = w}};
    for (int i = 0; i < 3; i++) {
        rf_tensor *x = world_leaf(w, 32, 32, 0.2);
        rf_function fn = {four_squares, &lists[i], NULL};
        rf_backward_options opts = RF_BACKWARD_OPTIONS_INIT;
        opts.retain = i == 2;
        uint64_t before = world_used(w, RF_MEM_ACTIVATION);
        rf_tensor *y = i ? world_region(w, fn, x, NULL) : world_plain(w, fn, x);
        rf_tensor *loss = rf_sum(w->s, y);
        rf_release(w->s, y);
        assert_ok(w->ctx, rf_backward_with(w->s, loss, &opts));
        rf_release(w->s, loss);
        assert_int_equal(lists[i].num, 4);
        for (size_t k = 0; k < 4; k++) {
            lists[i].bytes[k] -= before;
            /* the last is x's own gradient: x was there before, so nothing goes */
            assert_true(k == 0 || lists[i].bytes[k] + (k < 3) <= lists[i].bytes[k - 1]);
        }
    }
    assert_memory_equal(lists[0].bytes, lists[1].bytes, 4 * sizeof(uint64_t));
    assert_memory_equal(lists[1].bytes, lists[2].bytes, 4 * sizeof(uint64_t));
}

/* ---- A6: early stop ---- */

static rf_status trailing_clone(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    ((counter *)payload)->calls++;
    /* exp saves its output, mul its inputs; the clone after them saves nothing */
    out->v[0] = rf_clone(s, rf_mul(s, rf_exp(s, in->v[0]), in->v[0]));
    return rf_scope_status(s);
}

static void early_stop_case(world *w, int no_early_stop, int setting, int stops)
{
    counter c = {0};
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.no_early_stop = no_early_stop;
    rf_op_counts_reset(w->ctx);
    rf_tensor *x = world_leaf(w, 4, 4, 0.1);
    rf_scope_set_early_stop(w->s, setting);
    rf_tensor *y = world_region(w, (rf_function){trailing_clone, &c, NULL}, x, &opts);
    rf_scope_set_early_stop(w->s, !stops); /* what counts is the setting of the forward */
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
    rf_scope_set_early_stop(w->s, -1);
    assert_int_equal(c.calls, 2);
    assert_int_equal(world_executed(w, "exp"), 2);
    assert_int_equal(world_executed(w, "clone"), stops ? 1 : 2);
    /* the product's result is nobody's slot: with early stop it is not computed again (X9) */
    assert_int_equal(rf_op_counts_of(w->ctx, "clone").recorded, 2);
}

/* AT-06 */
static void test_a6_early_stop(void **state)
{
    world *w = *state;
    early_stop_case(w, 0, -1, 1);
    early_stop_case(w, 1, -1, 0);
    early_stop_case(w, 0, 0, 0); /* the scope's setting wins over the option */
    early_stop_case(w, 1, 1, 1);
    early_stop_case(w, 0, 1, 1);
    early_stop_case(w, 1, 0, 0);
}

static rf_status lone_sine(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    ((counter *)payload)->calls++;
    out->v[0] = rf_sin(s, in->v[0]);
    return rf_scope_status(s);
}

/* AT-06 */
static void test_a6_an_input_needs_no_kernel(void **state)
{
    world *w = *state;
    for (int no_early_stop = 0; no_early_stop < 2; no_early_stop++) {
        counter c = {0};
        rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
        opts.no_early_stop = no_early_stop;
        rf_op_counts_reset(w->ctx);
        rf_tensor *x = world_leaf(w, 4, 4, 0.1);
        rf_tensor *y = world_region(w, (rf_function){lone_sine, &c, NULL}, x, &opts);
        assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
        assert_int_equal(world_executed(w, "sin"), 1 + no_early_stop);
    }
}

/* ---- A7: the determinism check ---- */

enum { FEWER = 1, MORE, OTHER_SHAPE, OTHER_TYPE };

/* The forward goes one way; the recompute another. */
static rf_status wavering(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    counter *c = payload;
    int again = rf_pass_current(s) == RF_PASS_RECOMPUTE ? c->take : 0;
    rf_tensor *h = rf_affine(s, in->v[0], 2, 0);
    if (again == OTHER_SHAPE)
        h = rf_reshape(s, h, 1, (int64_t[]){16});
    if (again == OTHER_TYPE)
        h = rf_cast(s, h, RF_F64);
    h = rf_sin(s, h);
    if (again != FEWER)
        h = rf_sin(s, h);
    if (again == MORE)
        h = rf_exp(s, rf_sin(s, h));
    if (again == OTHER_SHAPE)
        h = rf_reshape(s, h, 2, (int64_t[]){4, 4});
    out->v[0] = rf_cast(s, h, RF_F32);
    return rf_scope_status(s);
}

static rf_status waver(world *w, int take, rf_verify verify, int no_early_stop)
{
    counter c = {.take = take};
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.verify = verify;
    opts.no_early_stop = no_early_stop;
    rf_tensor *x = world_leaf(w, 4, 4, 0.1);
    rf_tensor *y = world_region(w, (rf_function){wavering, &c, NULL}, x, &opts);
    return rf_backward(w->s, rf_sum(w->s, y));
}

/* AT-07 */
static void test_a7_determinism(void **state)
{
    world *w = *state;
    const rf_error *error = rf_context_error(w->ctx);
    assert_int_equal(waver(w, 0, RF_VERIFY_DEFAULT, 0), RF_OK);
    assert_int_equal(waver(w, FEWER, RF_VERIFY_DEFAULT, 0), RF_E_REPLAY_FEWER);
    assert_int_equal(error->slot, 1);
    assert_int_equal(waver(w, MORE, RF_VERIFY_DEFAULT, 1), RF_E_REPLAY_MORE);
    assert_int_equal(error->slot, 2);
    assert_int_equal(waver(w, MORE, RF_VERIFY_DEFAULT, 0), RF_OK); /* extra work is invisible */
    assert_int_equal(waver(w, OTHER_SHAPE, RF_VERIFY_DEFAULT, 0), RF_E_REPLAY_META);
    assert_int_equal(error->slot, 0);
    assert_non_null(strstr(error->message, "(4, 4) f32"));
    assert_non_null(strstr(error->message, "(16) f32"));
    assert_int_equal(waver(w, OTHER_TYPE, RF_VERIFY_SHAPES, 0), RF_E_REPLAY_META);
    /* unchecked, the value that does not fit its gradient is an ordinary error of shape */
    assert_int_equal(waver(w, OTHER_SHAPE, RF_VERIFY_NONE, 0), RF_E_SHAPE);
}

/* ---- A9: random numbers ---- */

static rf_status dropping(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)payload;
    out->v[0] = rf_exp(s, rf_dropout(s, rf_sin(s, in->v[0]), 0.5));
    return rf_scope_status(s);
}

static void *drop_gradient(world *w, int region, int fresh)
{
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    rf_function fn = {dropping, NULL, NULL};
    rf_tensor *x = world_leaf(w, 16, 16, 0.1);
    opts.fresh_random = fresh;
    rf_context_set_rng(w->ctx, (rf_rng){77, 5});
    rf_tensor *y = region ? world_region(w, fn, x, &opts) : world_plain(w, fn, x);
    rf_rng ambient = {99, 1000};
    rf_context_set_rng(w->ctx, ambient);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
    rf_rng after = rf_context_rng(w->ctx);
    if (!fresh)
        assert_memory_equal(&after, &ambient, sizeof ambient);
    return world_bytes(w, rf_grad(x));
}

/* AT-09 */
static void test_a9_random_numbers(void **state)
{
    world *w = *state;
    void *plain = drop_gradient(w, 0, 0), *region = drop_gradient(w, 1, 0);
    void *fresh = drop_gradient(w, 1, 1);
    assert_memory_equal(plain, region, 16 * 16 * sizeof(float));
    assert_memory_not_equal(plain, fresh, 16 * 16 * sizeof(float));
    free(plain);
    free(region);
    free(fresh);
}

/* ---- A11, A12: hooks and errors ---- */

static rf_status failing(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    counter *c = payload;
    c->calls++;
    if (c->fail && rf_pass_current(s) == c->fail_in)
        return rf_scope_fail(s, c->fail, "the function says no");
    IN_SCOPE(s, inner)
    out->v[0] = rf_keep(inner, rf_exp(inner, rf_sin(inner, in->v[0])));
    rf_status status = rf_scope_status(inner);
    rf_scope_close(inner);
    return status;
}

/* AT-11 */
static void test_a11_hooks_run_in_both_passes(void **state)
{
    world *w = *state;
    counter c = {0};
    rf_checkpoint_options opts = with_hooks(&c);
    rf_tensor *x = world_leaf(w, 4, 4, 0.1);
    rf_tensor *y = world_region(w, (rf_function){failing, &c, NULL}, x, &opts);
    assert_int_equal(c.entered, 1);
    assert_int_equal(c.left, 1);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
    assert_int_equal(c.entered, 2);
    assert_int_equal(c.left, 2);
    c.fail = RF_E_USER;
    c.fail_in = RF_PASS_FORWARD;
    assert_null(world_region(w, (rf_function){failing, &c, NULL}, x, &opts));
    assert_int_equal(c.left, 3);
    assert_int_equal(c.failed_leaves, 1);
    rf_scope_clear(w->s);
}

/* AT-12 */
static void test_a12_errors_arrive_unchanged(void **state)
{
    world *w = *state;
    static const rf_pass passes[2] = {RF_PASS_FORWARD, RF_PASS_RECOMPUTE};
    for (int i = 0; i < 2; i++) {
        counter c = {.fail = RF_E_USER, .fail_in = passes[i]};
        rf_checkpoint_options opts = with_hooks(&c);
        rf_tensor *x = world_leaf(w, 4, 4, 0.1);
        uint64_t before = world_used(w, RF_MEM_ACTIVATION);
        rf_rng rng = rf_context_rng(w->ctx), after;
        rf_tensor *y = world_region(w, (rf_function){failing, &c, NULL}, x, &opts), *loss = NULL;
        if (i == 0) {
            assert_null(y);
            assert_int_equal(rf_scope_status(w->s), RF_E_USER);
            rf_scope_clear(w->s);
        } else {
            loss = rf_sum(w->s, y);
            assert_int_equal(rf_backward(w->s, loss), RF_E_USER);
            rf_release(w->s, y);
        }
        assert_string_equal(rf_context_error(w->ctx)->message, "the function says no");
        assert_int_equal(c.entered, c.left);
        assert_int_equal(rf_pass_current(w->s), RF_PASS_PLAIN);
        after = rf_context_rng(w->ctx);
        assert_memory_equal(&rng, &after, sizeof rng);
        rf_release(w->s, loss);
        if (i == 1)
            assert_int_equal(world_used(w, RF_MEM_ACTIVATION), before);
        c.fail = RF_OK; /* and a retry succeeds */
        y = world_region(w, (rf_function){failing, &c, NULL}, x, &opts);
        assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
        assert_non_null(rf_grad(x));
    }
}

/* ---- A14: gradient hooks ---- */

static rf_status count_hook(void *payload, rf_scope *s, rf_tensor **grad)
{
    (void)s;
    (void)grad;
    ++*(int *)payload;
    return RF_OK;
}

/* AT-14 */
static void test_a14_gradient_hooks_fire_once(void **state)
{
    world *w = *state;
    int fired = 0;
    counter c = {.weight = world_leaf(w, 4, 4, 0.1)};
    rf_tensor *x = world_leaf(w, 4, 4, 0.2);
    assert_ok(w->ctx, rf_tensor_add_grad_hook(c.weight, (rf_grad_hook){count_hook, &fired, NULL}));
    rf_tensor *y = world_region(w, (rf_function){layer, &c, NULL}, x, NULL);
    y = rf_matmul(w->s, y, c.weight); /* inside and outside */
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
    assert_int_equal(fired, 1);
}

/* ---- A16, A17, A18 ---- */

static rf_status detached(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    ((counter *)payload)->calls++;
    out->v[0] = rf_detach(s, rf_exp(s, rf_sin(s, in->v[0])));
    return rf_scope_status(s);
}

/* AT-16 */
static void test_a16_detached_inside(void **state)
{
    world *w = *state;
    rf_tensor *x = world_leaf(w, 4, 4, 0.2);
    for (int i = 0; i < 3; i++) {
        counter c = {0};
        rf_tensor *y = world_region(w, (rf_function){detached, &c, NULL}, x, NULL);
        assert_false(rf_tensor_requires_grad(y));
        assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, rf_add(w->s, y, x))));
        assert_int_equal(c.calls, 1);
    }
}

static void destroy_counter(void *payload)
{
    ++*(int *)payload;
}

static rf_status sines(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)payload;
    out->v[0] = rf_exp(s, rf_sin(s, rf_sin(s, in->v[0])));
    return rf_scope_status(s);
}

/* AT-17 */
static void test_a17_dropping_the_output_frees_everything(void **state)
{
    world *w = *state;
    int ended = 0;
    for (int backward = 0; backward < 2; backward++) {
        rf_scope *inner;
        world sub = *w;
        assert_ok(w->ctx, rf_scope_open(&inner, w->ctx, w->s));
        sub.s = inner;
        rf_tensor *x = world_leaf(&sub, 4, 4, 0.2);
        rf_function fn = {sines, &ended, destroy_counter};
        rf_tensor *y = world_region(&sub, fn, x, NULL);
        if (backward)
            assert_ok(w->ctx, rf_backward(inner, rf_sum(inner, y)));
        else
            assert_int_equal(ended, 0);
        rf_scope_close(inner);
        assert_int_equal(ended, backward + 1);
        assert_int_equal(world_used(w, RF_MEM_ACTIVATION), 0);
    }
}

static rf_status deep_layer(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    IN_SCOPE(s, inner)
    rf_tensor *x = in->v[0];
    (void)payload;
    for (int i = 0; i < 6; i++)
        x = rf_sin(inner, x); /* each keeps its input */
    out->v[0] = rf_keep(inner, x);
    rf_status status = rf_scope_status(inner);
    rf_scope_close(inner);
    return status;
}

/* Eight blocks of six sines of n bytes each. Plain: after the forward 48 values are held. With
 * every block a region, the boundaries: 8. The peak of a backward is then the 7 boundaries before
 * the last block, its 5 values computed again (its input is a boundary), and two gradients. */
/* AT-18 */
static void test_a18_peak_is_what_shapes_say(void **state)
{
    world *w = *state;
    const uint64_t n = 64 * 64 * 4;
    for (int region = 0; region < 2; region++) {
        rf_memory_mark *mark;
        rf_memory_change change;
        rf_tensor *x = world_leaf(w, 64, 64, 0.2), *y = x;
        assert_ok(w->ctx, rf_memory_mark_create(&mark, w->ctx));
        for (int i = 0; i < 8; i++) {
            rf_function fn = {deep_layer, NULL, NULL};
            rf_tensor *next = region ? world_region(w, fn, y, NULL) : world_plain(w, fn, y);
            if (y != x)
                rf_release(w->s, y);
            y = next;
        }
        assert_ok(w->ctx, rf_memory_delta(mark, RF_DEVICE_CPU, RF_MEM_ACTIVATION, &change));
        assert_int_equal(change.live, (region ? 8 : 48) * n);
        rf_tensor *loss = rf_sum(w->s, y);
        rf_release(w->s, y);
        rf_memory_mark_destroy(mark);
        assert_ok(w->ctx, rf_memory_mark_create(&mark, w->ctx));
        assert_ok(w->ctx, rf_memory_delta(mark, RF_DEVICE_CPU, RF_MEM_ACTIVATION, &change));
        uint64_t start = world_used(w, RF_MEM_ACTIVATION);
        assert_ok(w->ctx, rf_backward(w->s, loss));
        assert_ok(w->ctx, rf_memory_delta(mark, RF_DEVICE_CPU, RF_MEM_ACTIVATION, &change));
        rf_memory_mark_destroy(mark);
        /* x itself (n), then as above; plain: the 47 inputs of sines and, while the last one's
         * gradient is made, cos of it and the product */
        uint64_t peak = (uint64_t)change.peak + start;
        uint64_t wanted = region ? n + 7 * n + 5 * n + 2 * n : n + 47 * n + 2 * n;
        assert_int_equal(peak, wanted + 8); /* seed and loss: 4 bytes each */
        rf_release(w->s, loss);
        rf_release(w->s, x);
    }
}

/* ---- what a recompute may do: reading, in-place ops, side effects ---- */

static rf_status reading(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    counter *c = payload;
    rf_tensor *h = rf_sin(s, in->v[0]);
    double sum = 0;
    rf_status status = rf_tensor_item(rf_sum(s, h), &sum);
    if (status)
        return status;
    c->calls++;
    out->v[0] = sum > 0 ? rf_exp(s, rf_mul(s, h, h)) : rf_log(s, h); /* the same way both times */
    return rf_scope_status(s);
}

static rf_status changing(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)payload;
    rf_tensor *h = rf_sin(s, in->v[0]);
    rf_tensor *before = rf_affine(s, h, 3, 0); /* reads h as it is now */
    h = rf_add_inplace(s, h, in->v[0]);
    out->v[0] = rf_mul(s, rf_exp(s, before), rf_sigmoid(s, h));
    return rf_scope_status(s);
}

static void region_equals_plain(world *w, rf_function fn)
{
    rf_tensor *x = world_leaf(w, 8, 8, 0.6);
    rf_tensor *y = world_plain(w, fn, x);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
    void *dx = world_bytes(w, rf_grad(x));
    rf_grad_clear(x);
    y = world_region(w, fn, x, NULL);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
    world_same(w, rf_grad(x), dx);
    free(dx);
}

static void test_reading_and_changing_inside(void **state)
{
    counter c = {0};
    region_equals_plain(*state, (rf_function){reading, &c, NULL});
    assert_int_equal(c.calls, 3);
    region_equals_plain(*state, (rf_function){changing, NULL, NULL});
}

/* AT-15 */
static void test_an_input_changed_since_is_an_error(void **state)
{
    world *w = *state;
    counter c = {.weight = world_leaf(w, 4, 4, 0.1)};
    rf_tensor *x = rf_affine(w->s, world_leaf(w, 4, 4, 0.2), 1, 0);
    rf_tensor *y = world_region(w, (rf_function){layer, &c, NULL}, x, NULL);
    rf_tensor *loss = rf_sum(w->s, y);
    rf_tensor_touch(x);
    assert_int_equal(rf_backward(w->s, loss), RF_E_MUTATED);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_a1_basic_region),
        ROW(test_a2_without_gradients_it_runs_plainly),
        ROW(test_a3_once_per_backward),
        ROW(test_a3_nothing_saved_nothing_run_again),
        ROW(test_a4_recomputed_bytes_go_at_once),
        ROW(test_a6_early_stop),
        ROW(test_a6_an_input_needs_no_kernel),
        ROW(test_a7_determinism),
        ROW(test_a9_random_numbers),
        ROW(test_a11_hooks_run_in_both_passes),
        ROW(test_a12_errors_arrive_unchanged),
        ROW(test_a14_gradient_hooks_fire_once),
        ROW(test_a16_detached_inside),
        ROW(test_a17_dropping_the_output_frees_everything),
        ROW(test_a18_peak_is_what_shapes_say),
        ROW(test_reading_and_changing_inside),
        ROW(test_an_input_changed_since_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
