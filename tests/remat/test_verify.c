/* test_verify.c: what a recompute is checked for: elements (X5), the ops of both passes (A8),
 * effects (X6), and modules that refuse. */
#include "support/world.h"

#include <refrain/refrain.h>

/* A linear layer whose op sequence wavers with a counter. */
typedef struct wavering {
    int calls;
    int what; /* 1: other elements, 2: another op of the same shape, 3: one op more at the start */
} wavering;

static rf_status waver_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    wavering *wave = rf_module_self(m);
    rf_tensor *x = in->v[0];
    int again = rf_pass_current(s) == RF_PASS_RECOMPUTE;
    wave->calls++;
    if (again && wave->what == 1)
        x = rf_affine(s, x, 1.0, 0.25);
    if (!again && wave->what == 1)
        x = rf_affine(s, x, 1.0, 0.0);
    x = again && wave->what == 2 ? rf_cos(s, x) : rf_sin(s, x);
    if (again && wave->what == 3)
        x = rf_reshape(s, x, 1, (int64_t[]){16});
    out->v[0] = rf_exp(s, x);
    return rf_scope_status(s);
}

static const rf_module_class waver_class = {
    .size = sizeof waver_class, .name = "Wavering", .forward = waver_forward};

/* root "" with a child "part", which is checkpointed */
static rf_status waver(world *w, int what, rf_verify verify, int debug)
{
    wavering wave = {0, what};
    rf_module *root, *part;
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.verify = verify;
    opts.debug = debug;
    opts.label = "here";
    assert_ok(w->ctx, rf_nn_sequential(&root, w->ctx));
    assert_ok(w->ctx, rf_module_create(&part, w->ctx, &waver_class, &wave));
    assert_ok(w->ctx, rf_nn_sequential_add(root, part));
    assert_ok(w->ctx, rf_checkpoint(part, &opts));
    rf_scope *s = NULL;
    assert_ok(w->ctx, rf_scope_open(&s, w->ctx, w->s));
    rf_tensor *x = world_leaf(w, 4, 4, 0.1);
    rf_tensor *loss = rf_sum(s, rf_module_call1(root, s, x));
    assert_ok(w->ctx, rf_scope_status(s));
    rf_status status = rf_backward(s, loss);
    rf_scope_close(s);
    rf_module_destroy(root);
    rf_release(w->s, x);
    return status;
}

/* AT-08, X5: a hash of the elements finds what shapes do not show */
static void test_x5_values_are_checked(void **state)
{
    world *w = *state;
    const rf_error *error = rf_context_error(w->ctx);
    assert_int_equal(waver(w, 0, RF_VERIFY_VALUES, 0), RF_OK);
    assert_int_equal(waver(w, 0, RF_VERIFY_SAMPLED, 0), RF_OK);
    assert_int_equal(waver(w, 1, RF_VERIFY_SHAPES, 0), RF_OK); /* silently wrong, as elsewhere */
    static const rf_verify both[] = {RF_VERIFY_SAMPLED, RF_VERIFY_VALUES};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(waver(w, 1, both[i], 0), RF_E_REPLAY_VALUE);
        assert_int_equal(error->slot, 1); /* exp's result is asked for first */
        assert_string_equal(error->op, "exp");
        assert_string_equal(error->path, "0");
        assert_non_null(strstr(error->message, "region here: value 1 (of exp)"));
    }
}

/* AT-08, A8: both lists, and where they part */
static void test_a8_debug_tells_the_first_difference(void **state)
{
    world *w = *state;
    rf_mismatch_op op;
    assert_int_equal(waver(w, 3, RF_VERIFY_DEFAULT, 0), RF_E_REPLAY_META);
    assert_int_equal(rf_mismatch_num(w->ctx, RF_PASS_FORWARD), 0);
    assert_int_equal(rf_mismatch_first(w->ctx), -1);
    assert_int_equal(waver(w, 3, RF_VERIFY_DEFAULT, 1), RF_E_REPLAY_META);
    assert_int_equal(rf_mismatch_num(w->ctx, RF_PASS_FORWARD), 2);
    assert_int_equal(rf_mismatch_num(w->ctx, RF_PASS_RECOMPUTE), 3);
    assert_int_equal(rf_mismatch_first(w->ctx), 1);
    assert_ok(w->ctx, rf_mismatch_at(w->ctx, RF_PASS_FORWARD, 1, &op));
    assert_string_equal(op.op, "exp");
    assert_string_equal(op.path, "0");
    assert_int_equal(op.rank, 2);
    assert_ok(w->ctx, rf_mismatch_at(w->ctx, RF_PASS_RECOMPUTE, 1, &op));
    assert_string_equal(op.op, "reshape");
    assert_non_null(strstr(rf_context_error(w->ctx)->message,
                           "first difference: op 1 is reshape in 0, was exp in 0"));
    assert_int_equal(rf_mismatch_at(w->ctx, RF_PASS_RECOMPUTE, 3, &op), RF_E_NOT_FOUND);
    /* an op of the same shape is found by its elements, and told by its name */
    assert_int_equal(waver(w, 2, RF_VERIFY_VALUES, 1), RF_E_REPLAY_VALUE);
    assert_int_equal(rf_mismatch_first(w->ctx), 0);
    /* a graph that goes without an error tells nothing new */
    assert_int_equal(waver(w, 0, RF_VERIFY_VALUES, 1), RF_OK);
    assert_int_equal(rf_mismatch_first(w->ctx), 0);
}

/* ---- effects ---- */

static int happened;

static rf_status effect_infer(rf_op_call *call)
{
    call->out[0].shape = call->in[0].shape;
    return RF_OK;
}

static rf_status effect_forward(rf_op_call *call)
{
    happened++;
    memcpy(call->out[0].data, call->in[0].data, 16 * sizeof(float));
    return RF_OK;
}

static rf_op_reads effect_reads(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    (void)wanted;
    return (rf_op_reads){0, 0};
}

static rf_status effect_backward(rf_op_grad *grad)
{
    grad->grad_in[0] = grad->grad_out[0];
    return RF_OK;
}

#define EFFECT(traits_)                                                                      \
    {                                                                                        \
        .size = sizeof(rf_op_class), .name = "effect", .doc = "x, and it is told",           \
        .traits = (traits_), .num_out = 1, .infer = effect_infer, .forward = effect_forward, \
        .reads = effect_reads, .backward = effect_backward                                   \
    }
static const rf_op_class effects[] = {EFFECT(0), EFFECT(RF_OP_EFFECT), EFFECT(RF_OP_ONCE),
                                      EFFECT(RF_OP_FORBID)};

static rf_status with_effect(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_tensor *v[1] = {rf_sin(s, in->v[0])}, *y = NULL;
    rf_values from = {v, 1}, to = {&y, 1};
    if (rf_op_run(s, payload, &from, NULL, 0, &to))
        return rf_scope_status(s);
    out->v[0] = rf_sum(s, rf_sin(s, rf_exp(s, y)));
    return rf_scope_status(s);
}

/* AT-106: once, replay, forbid; and an op without an effect, which runs if it is needed */
static void test_x6_effects(void **state)
{
    world *w = *state;
    static const int times[] = {2, 2, 1};
    for (size_t i = 0; i < 4; i++) {
        union {
            const void *in;
            void *out;
        } op = {.in = &effects[i]};
        rf_function fn = {with_effect, op.out, NULL};
        rf_tensor *x = world_leaf(w, 4, 4, 0.1);
        happened = 0;
        rf_tensor *y = world_plain(w, fn, x);
        assert_ok(w->ctx, rf_backward(w->s, y));
        void *dx = world_bytes(w, rf_grad(x));
        rf_grad_clear(x);
        assert_int_equal(happened, 1);
        happened = 0;
        y = world_region(w, fn, x, NULL);
        if (i == 3) {
            assert_null(y);
            assert_int_equal(rf_scope_status(w->s), RF_E_UNSUPPORTED);
            assert_int_equal(happened, 0);
            rf_scope_clear(w->s);
        } else {
            assert_ok(w->ctx, rf_backward(w->s, y));
            assert_int_equal(happened, times[i]);
            world_same(w, rf_grad(x), dx);
        }
        free(dx);
    }
}

/* ---- modules with effects ---- */

static int forwards;

static rf_status once_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)m;
    forwards++;
    out->v[0] = rf_dropout(s, rf_exp(s, rf_tanh(s, in->v[0])), 0.5);
    return rf_scope_status(s);
}

static const rf_module_class effect_classes[] = {
    {.size = sizeof(rf_module_class), .name = "Again", .forward = once_forward},
    {.size = sizeof(rf_module_class),
     .name = "Once",
     .forward = once_forward,
     .effect = RF_EFFECT_ONCE},
    {.size = sizeof(rf_module_class),
     .name = "Never",
     .forward = once_forward,
     .effect = RF_EFFECT_FORBID},
};

/* linear, the module, linear, dropout; as one region or none. */
static void *effect_gradient(world *w, const rf_module_class *cls, int regions, rf_status *status)
{
    rf_module *root = NULL, *part[4];
    rf_scope *s = NULL;
    void *dx = NULL;
    assert_ok(w->ctx, rf_nn_sequential(&root, w->ctx));
    rf_context_set_rng(w->ctx, (rf_rng){5, 0});
    assert_ok(w->ctx, rf_nn_linear(&part[0], w->ctx, 16, 16, 0));
    assert_ok(w->ctx, rf_module_create(&part[1], w->ctx, cls, NULL));
    assert_ok(w->ctx, rf_nn_linear(&part[2], w->ctx, 16, 16, 0));
    assert_ok(w->ctx, rf_nn_dropout(&part[3], w->ctx, 0.25));
    for (int i = 0; i < 4; i++)
        assert_ok(w->ctx, rf_nn_sequential_add(root, part[i]));
    if (regions)
        assert_ok(w->ctx, rf_checkpoint(root, NULL));
    assert_ok(w->ctx, rf_scope_open(&s, w->ctx, w->s));
    rf_tensor *x = world_leaf(w, 8, 16, 0.3);
    forwards = 0;
    rf_tensor *y = rf_module_call1(root, s, x);
    *status = rf_scope_status(s);
    if (y) {
        rf_tensor *loss = rf_sum(s, rf_exp(s, y));
        assert_ok(w->ctx, rf_backward(s, loss));
        dx = world_bytes(w, rf_grad(x));
    }
    rf_scope_close(s);
    rf_release(w->s, x);
    rf_module_destroy(root);
    return dx;
}

/* X6: a module's forward runs once, twice, or not at all */
static void test_x6_effects_of_modules(void **state)
{
    world *w = *state;
    rf_status status;
    void *plain = effect_gradient(w, &effect_classes[0], 0, &status);
    assert_int_equal(forwards, 1);
    for (int i = 0; i < 3; i++) {
        void *region = effect_gradient(w, &effect_classes[i], 1, &status);
        static const int times[] = {2, 1, 0};
        assert_int_equal(forwards, times[i]);
        assert_int_equal(status, i == 2 ? RF_E_UNSUPPORTED : RF_OK);
        assert_int_equal(region == NULL, i == 2);
        if (region)
            assert_memory_equal(plain, region, 8 * 16 * 4);
        free(region);
    }
    free(plain);
}

/* ---- modules that refuse ---- */

/* Four linear layers with tanh between, each a sequential of its own: 0.0 is a linear. */
static rf_module *stack(world *w)
{
    rf_module *root = NULL;
    assert_ok(w->ctx, rf_nn_sequential(&root, w->ctx));
    rf_context_set_rng(w->ctx, (rf_rng){5, 0});
    for (int i = 0; i < 4; i++) {
        rf_module *part, *linear, *act;
        assert_ok(w->ctx, rf_nn_sequential(&part, w->ctx));
        assert_ok(w->ctx, rf_nn_linear(&linear, w->ctx, 16, 16, 0));
        assert_ok(w->ctx, rf_nn_activation(&act, w->ctx, RF_ACTIVATION_TANH));
        assert_ok(w->ctx, rf_nn_sequential_add(part, linear));
        assert_ok(w->ctx, rf_nn_sequential_add(part, act));
        assert_ok(w->ctx, rf_nn_sequential_add(root, part));
    }
    return root;
}

static void *stack_gradient(world *w, rf_module *root, uint64_t *kept, uint64_t *linears)
{
    rf_scope *s = NULL;
    assert_ok(w->ctx, rf_scope_open(&s, w->ctx, w->s));
    rf_tensor *x = world_leaf(w, 8, 16, 0.3);
    uint64_t before = world_used(w, RF_MEM_ACTIVATION);
    rf_tensor *y = rf_module_call1(root, s, x), *loss = rf_sum(s, y);
    rf_release(s, y); /* which backward needs no more than tanh before it does */
    *kept = world_used(w, RF_MEM_ACTIVATION) - before - 4;
    rf_op_counts_reset(w->ctx);
    assert_ok(w->ctx, rf_backward(s, loss));
    *linears = world_executed(w, "linear") + world_executed(w, "tanh");
    void *dx = world_bytes(w, rf_grad(x));
    rf_scope_close(s);
    rf_release(w->s, x);
    return dx;
}

static void test_a_child_refuses(void **state)
{
    world *w = *state;
    uint64_t kept, ran;
    rf_module *root = stack(w);
    void *plain = stack_gradient(w, root, &kept, &ran);
    assert_int_equal(kept, 4 * 8 * 16 * 4); /* every tanh's result, which is the next one's input */
    assert_int_equal(ran, 0);
    assert_ok(w->ctx, rf_checkpoint(root, NULL));
    void *region = stack_gradient(w, root, &kept, &ran);
    assert_int_equal(kept, 0);
    assert_int_equal(ran, 8);
    assert_memory_equal(plain, region, 8 * 16 * 4);
    free(region);
    /* the second part refuses: its result, which tanh's backward reads, stays; the first runs again
     * for the input of its linear layer, it does not */
    rf_module *second = rf_module_child(root, 1);
    assert_ok(w->ctx, rf_checkpoint_never(second));
    assert_int_equal(rf_checkpoint(second, NULL), RF_E_CONFLICT);
    assert_int_equal(rf_checkpoint_never(second), RF_E_APPLIED);
    region = stack_gradient(w, root, &kept, &ran);
    assert_int_equal(kept, 8 * 16 * 4);
    assert_int_equal(ran, 6);
    assert_memory_equal(plain, region, 8 * 16 * 4);
    free(region);
    assert_ok(w->ctx, rf_checkpoint_never_clear(second));
    assert_int_equal(rf_checkpoint_never_clear(second), RF_E_NOT_FOUND);
    region = stack_gradient(w, root, &kept, &ran);
    assert_int_equal(ran, 8);
    free(region);
    free(plain);
    rf_module_destroy(root);
}

static int is_root(void *payload, const char *path, rf_module *m)
{
    (void)path;
    return payload == m;
}

/* Names of parts work like names of ops. */
static void test_fates_by_part(void **state)
{
    world *w = *state;
    uint64_t kept, ran;
    rf_module *root = stack(w);
    void *plain = stack_gradient(w, root, &kept, &ran);
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.fates = "keep=1.?";
    assert_ok(w->ctx, rf_checkpoint(root, &opts));
    void *region = stack_gradient(w, root, &kept, &ran);
    assert_int_equal(kept, 2 * 8 * 16 * 4); /* both results of the part, needed or not */
    assert_int_equal(ran, 6);
    assert_memory_equal(plain, region, 8 * 16 * 4);
    free(region);
    assert_ok(w->ctx, rf_checkpoint_clear(root));
    /* names are paths from the region's module: the end of one is none */
    rf_module *outer = NULL;
    assert_ok(w->ctx, rf_nn_sequential(&outer, w->ctx));
    assert_ok(w->ctx, rf_nn_sequential_add(outer, root));
    opts.fates = "keep=3.1"; /* outer's is 0.3.1 */
    assert_int_equal(rf_checkpoint(outer, &opts), RF_E_ARGUMENT);
    assert_int_equal(rf_checkpoint_sequential(outer, 1, &opts), RF_E_ARGUMENT);
    assert_ok(w->ctx, rf_checkpoint(root, &opts));
    assert_ok(w->ctx, rf_checkpoint_clear(root));
    /* by predicate: from each module that was chosen */
    size_t applied = 0;
    rf_module_predicate which = {is_root, root};
    assert_ok(w->ctx, rf_checkpoint_where(outer, which, &opts, &applied));
    assert_int_equal(applied, 1);
    assert_ok(w->ctx, rf_checkpoint_clear(root));
    opts.fates = "keep=0.3.1";
    assert_int_equal(rf_checkpoint_where(outer, which, &opts, &applied), RF_E_ARGUMENT);
    opts.fates = "keep=7";
    assert_int_equal(rf_checkpoint(root, &opts), RF_E_ARGUMENT);
    assert_non_null(strstr(rf_context_error(w->ctx)->message, "called '7'"));
    free(plain);
    rf_module_destroy(outer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_x5_values_are_checked, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_a8_debug_tells_the_first_difference, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_x6_effects, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_x6_effects_of_modules, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_a_child_refuses, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_fates_by_part, world_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
