/* test_selective.c: policies, fates and modules that refuse: AT-40 to AT-45 (1F of the reference's
 * behaviour), the exact table of memory and FLOPs, and the tiers. */
#include "support/world.h"

#include <stdio.h>

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

/* ---- single ops, by number ---- */

/* cos, matmul, sin and sum are 0 to 3; the first that fits decides. */
static void test_fates_by_number_are_a_plan(void **state)
{
    world *w = *state;
    static const struct {
        const char *fates;
        int kept;
    } rows[] = {{"keep=#1:matmul", 1},
                {"keep=#0:cos,#1:mat*", 2},
                {"keep=#1:*;recompute=*", 1},
                {"keep=#1:matmul;recompute=matmul;keep=cos", 2},
                {"recompute=matmul;keep=#1:matmul", 0},
                {"recompute=#1:matmul;keep=matmul", 0},
                {"keep=@nobody,#0:cos", 1},
                {"host=#1:matmul;keep=#0:cos;file=#3:sum", 1}};
    figures plain = measure(w, 0, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
        opts.fates = rows[i].fates;
        figures got = measure(w, 1, &opts);
        assert_int_equal(got.kept / MIB, rows[i].kept);
        same_gradients(&plain, &got);
    }
    free(plain.dx);
    free(plain.dy);
}

static rf_status reshaping(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)payload;
    rf_tensor *x = rf_reshape(s, in->v[0], 1, (int64_t[]){64});
    rf_tensor *y = rf_sin(s, x);
    rf_add_inplace(s, y, x);
    out->v[0] = rf_sum(s, y);
    return rf_scope_status(s);
}

static void refused(world *w, rf_function fn, const char *fates, const char *what)
{
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    rf_tensor *v[2] = {world_leaf(w, 8, 8, 0.1), world_leaf(w, 8, 8, 0.2)}, *f;
    rf_values in = {v, 2}, out = {&f, 1};
    opts.fates = fates;
    opts.label = "block";
    assert_int_equal(rf_checkpoint_call(w->s, fn, &in, &out, &opts), RF_E_ARGUMENT);
    if (!strstr(rf_context_error(w->ctx)->message, what))
        fail_msg("%s: %s", fates, rf_context_error(w->ctx)->message);
    rf_scope_clear(w->s);
}

/* The text is of another model: told when the region runs. */
static void test_a_number_of_another_op_is_told(void **state)
{
    world *w = *state;
    rf_function mul = {product, NULL, NULL}, view = {reshaping, NULL, NULL};
    refused(w, mul, "keep=#0:matmul", "fates: #0:matmul: op 0 of region block is cos");
    refused(w, mul, "keep=*;host=#2:cos", "fates: #2:cos: op 2 of region block is sin");
    refused(w, mul, "keep=#1:matmul,#4:sum", "fates: #4:sum: region block has 4 ops");
    refused(w, view, "keep=#0:reshape", "op 0 of region block is reshape, a view");
    refused(w, view, "keep=#2:add*", "in place");
}

static void test_texts_that_are_no_number(void **state)
{
    world *w = *state;
    rf_function mul = {product, NULL, NULL};
    static const char *const none[] = {
        "#",       "#1",        "#:matmul", "#-1:matmul",         "#01:matmul",
        "#1 :sin", "#x:matmul", "##1:sin",  "#4294967295:matmul", "#99999999999999999999:sin",
        "# 1:cos"};
    char text[256];
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        snprintf(text, sizeof text, "keep=%s,cos", none[i]);
        refused(w, mul, text, "is no op by number: write #3:linear");
    }
    refused(w, mul, "keep=#1:", "'#1:' needs the name of an op");
    refused(w, mul, "keep=#1:@x", "'#1:' needs the name of an op");
    refused(w, mul, "keep=#1:matmull", "'matmull'; did you mean 'matmul'?");
    refused(w, mul, "keep=#1:matmul,#1:matmul", "op #1 stands twice");
    refused(w, mul, "keep=#1:matmul;host=#1:mat*", "op #1 stands twice");
    snprintf(text, sizeof text, "keep=#1:%0*d", 64, 0);
    refused(w, mul, text, "a name of 64 letters; at most 63");
    snprintf(text, sizeof text, "keep=#1:%0*d", 63, 0);
    refused(w, mul, text, "no op and no part");
}

enum { LONG = 1000 };

static rf_status sines(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_scope *inner = NULL;
    rf_tensor *x = in->v[0];
    (void)payload;
    if (rf_scope_open(&inner, rf_scope_context(s), s))
        return RF_E_MEMORY;
    for (int i = 0; i < LONG; i++)
        x = rf_sin(inner, x);
    out->v[0] = rf_keep(inner, rf_sum(inner, x));
    rf_scope_close(inner);
    return rf_scope_status(s);
}

static size_t sines_text(char *text, size_t bytes, unsigned step)
{
    size_t at = (size_t)snprintf(text, bytes, "keep="), num = 0;
    for (unsigned i = 0; i < LONG; i += step, num++)
        at += (size_t)snprintf(text + at, bytes - at, "%s#%u:sin", i ? "," : "", i);
    return num;
}

/* Every op of a long region, or every seventh, has its line. */
static void test_many_numbers(void **state)
{
    world *w = *state;
    static const unsigned steps[] = {1, 7, 999};
    char *text = malloc(16 * LONG);
    void *dx = NULL;
    for (size_t i = 0; i < 3; i++) {
        rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
        size_t num = sines_text(text, (size_t)16 * LONG, steps[i]);
        opts.fates = text;
        rf_tensor *x = world_leaf(w, 16, 16, 0.1), *f;
        rf_values in = {&x, 1}, out = {&f, 1};
        uint64_t before = world_used(w, RF_MEM_ACTIVATION);
        assert_ok(w->ctx,
                  rf_checkpoint_call(w->s, (rf_function){sines, NULL, NULL}, &in, &out, &opts));
        assert_int_equal(world_used(w, RF_MEM_ACTIVATION) - before, num * 1024 + sizeof(float));
        rf_op_counts_reset(w->ctx);
        assert_ok(w->ctx, rf_backward(w->s, f)); /* reads all results but the last */
        assert_int_equal(world_executed(w, "sin"), LONG - 1 - (LONG - 2 + steps[i]) / steps[i]);
        if (!dx)
            dx = world_bytes(w, rf_grad(x));
        world_same(w, rf_grad(x), dx);
    }
    free(dx);
    free(text);
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
        cmocka_unit_test_setup_teardown(test_fates_by_number_are_a_plan, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_a_number_of_another_op_is_told, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_texts_that_are_no_number, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_many_numbers, world_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
