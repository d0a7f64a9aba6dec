/* test_selective.c: policies, fates and modules that refuse: AT-40 to AT-45 (1F of the reference's
 * behaviour), the exact table of memory and FLOPs, and the tiers. */
#include "support/world.h"

enum { SIDE = 512, MIB = 1 << 20 };

/* f = sum(sin(mm(cos(x), y))), of 1 MiB tensors. */
static rf_status product(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_scope *inner = NULL;
    (void)payload;
    if (rf_scope_open(&inner, rf_scope_context(s), s))
        return RF_E_MEMORY;
    rf_tensor *h = rf_matmul(inner, rf_cos(inner, in->v[0]), in->v[1]);
    out->v[0] = rf_keep(inner, rf_sum(inner, rf_sin(inner, h)));
    rf_status status = rf_scope_status(inner);
    rf_scope_close(inner);
    return status;
}

typedef struct figures {
    int64_t kept;    /* bytes of activations that stay after the forward, beside the result */
    double products; /* FLOPs of products in backward, in units of one 512^3 product        */
    uint64_t matmuls;
    void *dx, *dy;
} figures;

static double flops_of(world *w)
{
    return rf_op_counts_of(w->ctx, "matmul").flops;
}

static figures measure(world *w, int region, const rf_checkpoint_options *opts)
{
    rf_tensor *x = world_leaf(w, SIDE, SIDE, 0.1), *y = world_leaf(w, SIDE, SIDE, 0.2), *f = NULL;
    rf_tensor *v[2] = {x, y};
    rf_values in = {v, 2}, out = {&f, 1};
    figures got = {0};
    uint64_t before = world_used(w, RF_MEM_ACTIVATION);
    if (region)
        assert_ok(w->ctx,
                  rf_checkpoint_call(w->s, (rf_function){product, NULL, NULL}, &in, &out, opts));
    else
        assert_ok(w->ctx, product(NULL, w->s, &in, &out));
    got.kept = (int64_t)(world_used(w, RF_MEM_ACTIVATION) - before - rf_tensor_bytes(f));
    rf_op_counts_reset(w->ctx);
    assert_ok(w->ctx, rf_backward(w->s, f));
    got.products = flops_of(w) / (2.0 * SIDE * SIDE * SIDE);
    got.matmuls = rf_op_counts_of(w->ctx, "matmul").executed;
    got.dx = world_bytes(w, rf_grad(x));
    got.dy = world_bytes(w, rf_grad(y));
    rf_release(w->s, f);
    rf_release(w->s, x);
    rf_release(w->s, y);
    return got;
}

static void same_gradients(figures *plain, figures *other)
{
    assert_memory_equal(plain->dx, other->dx, MIB);
    assert_memory_equal(plain->dy, other->dy, MIB);
    free(other->dx);
    free(other->dy);
}

typedef struct asked {
    int calls, recomputes, stop_at;
    rf_fate fate;
    const char *op;
} asked;

static rf_status choose(void *payload, const rf_policy_op *op, rf_fate *fate)
{
    asked *a = payload;
    a->calls++;
    assert_int_equal(*fate, RF_FATE_RECOMPUTE);
    if (a->stop_at == a->calls)
        return RF_E_USER;
    if (!strcmp(op->op, a->op)) {
        assert_int_equal(op->bytes, MIB);
        assert_int_equal(op->in->num, 2);
        assert_true(op->flops == 2.0 * SIDE * SIDE * SIDE);
        assert_non_null(rf_tensor_data(op->out->v[0]));
        *fate = a->fate;
    }
    return RF_OK;
}

/* AT-40: plain 2.0 MiB / 2.0 products, full 0.0 / 3.0, saving matmul 1.0 / 2.0 */
static void test_at40_table_of_memory_and_flops(void **state)
{
    world *w = *state;
    rf_checkpoint_options full = RF_CHECKPOINT_OPTIONS_INIT, text = full, policy = full;
    asked a = {.fate = RF_FATE_KEEP, .op = "matmul"};
    text.fates = "keep=matmul";
    policy.policy = (rf_policy){choose, &a, NULL};
    figures plain = measure(w, 0, NULL), got = measure(w, 1, &full);
    assert_int_equal(plain.kept, 2 * MIB);
    assert_true(plain.products == 2.0);
    assert_int_equal(got.kept, 0);
    assert_true(got.products == 3.0);
    same_gradients(&plain, &got);
    const rf_checkpoint_options *saving[] = {&text, &policy};
    for (int i = 0; i < 2; i++) {
        got = measure(w, 1, saving[i]);
        assert_int_equal(got.kept, 1 * MIB);
        assert_true(got.products == 2.0);
        assert_int_equal(got.matmuls, 2);
        same_gradients(&plain, &got);
    }
    free(plain.dx);
    free(plain.dy);
}

/* AT-41: once per op, in the forward alone: cos, matmul, sin, sum */
static void test_at41_a_policy_is_asked_once_per_op(void **state)
{
    world *w = *state;
    asked a = {.fate = RF_FATE_KEEP, .op = "matmul"};
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.policy = (rf_policy){choose, &a, NULL};
    figures got = measure(w, 1, &opts);
    assert_int_equal(a.calls, 4);
    free(got.dx);
    free(got.dy);
    /* its failure ends the forward, unchanged */
    a = (asked){.stop_at = 2, .op = "none"};
    rf_tensor *v[2] = {world_leaf(w, SIDE, SIDE, 0.1), world_leaf(w, SIDE, SIDE, 0.2)}, *f;
    rf_values in = {v, 2}, out = {&f, 1};
    assert_int_equal(rf_checkpoint_call(w->s, (rf_function){product, NULL, NULL}, &in, &out, &opts),
                     RF_E_USER);
    rf_scope_clear(w->s);
}

/* AT-42: a misspelt name, an unknown fate, both forms at once */
static void test_at42_bad_policies_are_refused_by_name(void **state)
{
    world *w = *state;
    static const char *const bad[] = {"keep=matmull", "kep=matmul",   "keep",
                                      "keep=",        "keep=matmul;", "keep=matmul,"};
    rf_tensor *v[2] = {world_leaf(w, 4, 4, 0.1), world_leaf(w, 4, 4, 0.2)}, *f;
    rf_values in = {v, 2}, out = {&f, 1};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
        opts.fates = bad[i];
        assert_int_equal(
            rf_checkpoint_call(w->s, (rf_function){product, NULL, NULL}, &in, &out, &opts),
            RF_E_ARGUMENT);
        rf_scope_clear(w->s);
        if (!i)
            assert_non_null(
                strstr(rf_context_error(w->ctx)->message, "'matmull'; did you mean 'matmul'?"));
    }
    asked a = {.op = ""};
    rf_checkpoint_options both = RF_CHECKPOINT_OPTIONS_INIT;
    both.policy = (rf_policy){choose, &a, NULL};
    both.fates = "keep=matmul";
    assert_int_equal(rf_checkpoint_call(w->s, (rf_function){product, NULL, NULL}, &in, &out, &both),
                     RF_E_ARGUMENT);
    rf_scope_clear(w->s);
}

/* ---- AT-43: what is kept is guarded ---- */

typedef struct spoiler {
    rf_tensor *kept; /* the product, held */
} spoiler;

static rf_status spoiling(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    spoiler *p = payload;
    rf_tensor *h = rf_matmul(s, rf_cos(s, in->v[0]), in->v[1]);
    if (rf_pass_current(s) == RF_PASS_FORWARD)
        p->kept = rf_tensor_hold(h);
    out->v[0] = rf_sum(s, rf_sin(s, h));
    return rf_scope_status(s);
}

/* AT-43 */
static void test_at43_changing_what_was_kept_is_an_error(void **state)
{
    world *w = *state;
    for (int change = 0; change < 2; change++) {
        spoiler p = {0};
        rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
        rf_tensor *v[2] = {world_leaf(w, 8, 8, 0.1), world_leaf(w, 8, 8, 0.2)}, *f;
        rf_values in = {v, 2}, out = {&f, 1};
        opts.fates = "keep=matmul";
        assert_ok(w->ctx,
                  rf_checkpoint_call(w->s, (rf_function){spoiling, &p, NULL}, &in, &out, &opts));
        if (change)
            rf_tensor_touch(p.kept);
        assert_int_equal(rf_backward(w->s, f), change ? RF_E_MUTATED : RF_OK);
        rf_tensor_drop(p.kept);
    }
}

/* AT-44: a second backward over a retained graph gives the same bits (X13; the reference refuses)
 */
/* AT-44 */
static void test_at44_backward_twice(void **state)
{
    world *w = *state;
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    static const char *const fates[] = {"keep=matmul", "host=matmul", "file=matmul;host=cos",
                                        "keep=*",      "host=*",      "file=*"};
    for (size_t i = 0; i < sizeof fates / sizeof fates[0]; i++) {
        rf_tensor *v[2] = {world_leaf(w, 32, 32, 0.1), world_leaf(w, 32, 32, 0.2)}, *f;
        rf_values in = {v, 2}, out = {&f, 1};
        rf_backward_options retain = RF_BACKWARD_OPTIONS_INIT;
        retain.retain = 1;
        opts.fates = fates[i];
        assert_ok(w->ctx,
                  rf_checkpoint_call(w->s, (rf_function){product, NULL, NULL}, &in, &out, &opts));
        uint64_t before = world_used(w, RF_MEM_ACTIVATION);
        assert_ok(w->ctx, rf_backward_with(w->s, f, &retain));
        if (strstr(fates[i], "file")) /* what was on its way has arrived */
            assert_true(world_used(w, RF_MEM_ACTIVATION) <= before);
        else
            assert_int_equal(world_used(w, RF_MEM_ACTIVATION), before);
        void *first = world_bytes(w, rf_grad(v[0]));
        rf_grad_clear(v[0]);
        rf_grad_clear(v[1]);
        assert_ok(w->ctx, rf_backward(w->s, f));
        world_same(w, rf_grad(v[0]), first);
        free(first);
    }
}

/* AT-45: what is kept dies with its use, and with the graph */
static void test_at45_lifetime(void **state)
{
    world *w = *state;
    static const char *const fates[] = {"keep=*", "host=*", "file=*", "spill=*"};
    for (size_t i = 0; i < 4; i++)
        for (int run = 0; run < 2; run++) {
            rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
            rf_tensor *v[2] = {world_leaf(w, 32, 32, 0.1), world_leaf(w, 32, 32, 0.2)}, *f;
            rf_values in = {v, 2}, out = {&f, 1};
            uint64_t before = world_used(w, RF_MEM_ACTIVATION);
            rf_memory_info tier;
            opts.fates = fates[i];
            assert_ok(w->ctx, rf_checkpoint_call(w->s, (rf_function){product, NULL, NULL}, &in,
                                                 &out, &opts));
            if (i) { /* all four results are away */
                assert_ok(w->ctx, rf_memory_get(w->ctx, i == 1 ? RF_DEVICE_HOST : RF_DEVICE_FILE,
                                                RF_MEM_ACTIVATION, &tier));
                assert_int_equal(tier.used, 3 * 32 * 32 * 4 + 4);
            }
            if (run)
                assert_ok(w->ctx, rf_backward(w->s, f));
            rf_release(w->s, f);
            assert_int_equal(world_used(w, RF_MEM_ACTIVATION), before);
            for (int d = RF_DEVICE_HOST; d <= RF_DEVICE_FILE; d++) {
                assert_ok(w->ctx, rf_memory_get(w->ctx, (rf_device)d, RF_MEM_ACTIVATION, &tier));
                assert_int_equal(tier.used, 0);
            }
        }
}

/* The host's bytes leave the processor's ledger; gradients are the same. */
/* AT-45 */
static void test_tiers_move_bytes(void **state)
{
    world *w = *state;
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    figures plain = measure(w, 0, NULL);
    static const char *const fates[] = {"host=matmul", "file=matmul", "host=cos;file=matmul"};
    for (size_t i = 0; i < 3; i++) {
        opts.fates = fates[i];
        figures got = measure(w, 1, &opts);
        /* a value on its way to the file keeps its bytes until the next is asked for */
        assert_int_equal(got.kept, i ? 1 * MIB : 0);
        assert_true(got.products == 2.0);
        same_gradients(&plain, &got);
    }
    free(plain.dx);
    free(plain.dy);
}

/* An op that comes only in one pass is told, never matched with another. */
static rf_status shifting(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)payload;
    rf_tensor *x = in->v[0];
    if (rf_pass_current(s) == RF_PASS_RECOMPUTE)
        x = rf_exp(s, x);
    rf_tensor *h = rf_matmul(s, rf_cos(s, x), in->v[1]);
    out->v[0] = rf_sum(s, rf_sin(s, rf_sin(s, h)));
    return rf_scope_status(s);
}

/* AT-45 */
static void test_a_shifted_op_is_told(void **state)
{
    world *w = *state;
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    rf_tensor *v[2] = {world_leaf(w, 8, 8, 0.1), world_leaf(w, 8, 8, 0.2)}, *f;
    rf_values in = {v, 2}, out = {&f, 1};
    opts.fates = "keep=matmul";
    opts.label = "shifty";
    assert_ok(w->ctx,
              rf_checkpoint_call(w->s, (rf_function){shifting, NULL, NULL}, &in, &out, &opts));
    assert_int_equal(rf_backward(w->s, f), RF_E_REPLAY_META);
    assert_non_null(strstr(rf_context_error(w->ctx)->message, "step 1 was matmul"));
    assert_non_null(strstr(rf_context_error(w->ctx)->message, "shifty"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_at40_table_of_memory_and_flops, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_at41_a_policy_is_asked_once_per_op, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_at42_bad_policies_are_refused_by_name, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_at43_changing_what_was_kept_is_an_error, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_at44_backward_twice, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_at45_lifetime, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_tiers_move_bytes, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_a_shifted_op_is_told, world_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
