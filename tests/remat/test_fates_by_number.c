/* test_fates_by_number.c: fates of single ops, told by number and name: which rule decides, texts
 * of another model, texts that are none, and that a plan written down is the policy it came from.
 */
#include "support/gpt.h"
#include "support/world.h"

#include <refrain/nn.h>

#include <stdio.h>

/* sum(sin(mm(cos(x), y))): cos, matmul, sin and sum are 0 to 3. */
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

/* How many values are kept, and how often cos and matmul run again for backward, which reads the
 * results of both, and has a cos and two products of its own. */
static void test_the_first_that_fits_decides(void **state)
{
    world *w = *state;
    static const struct {
        const char *fates;
        int kept, cos, matmul;
    } rows[] = {{"recompute=*", 0, 1, 1},
                {"keep=#1:matmul", 1, 1, 0},
                {"keep=#0:cos,#1:mat*", 2, 0, 0},
                {"keep=#1:*;recompute=*", 1, 1, 0},
                {"keep=#1:matmul;recompute=matmul;keep=cos", 2, 0, 0},
                {"recompute=matmul;keep=#1:matmul", 0, 1, 1},
                {"recompute=#1:matmul;keep=matmul", 0, 1, 1},
                {"keep=@nobody,#0:cos", 1, 0, 1},
                {"host=#1:matmul;keep=#0:cos;file=#2:sin", 2, 0, 0}};
    enum { BYTES = 64 * 64 * 4 };
    void *dx = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
        rf_tensor *v[2] = {world_leaf(w, 64, 64, 0.1), world_leaf(w, 64, 64, 0.2)}, *f;
        rf_values in = {v, 2}, out = {&f, 1};
        uint64_t before = world_used(w, RF_MEM_ACTIVATION);
        opts.fates = rows[i].fates;
        assert_ok(w->ctx,
                  rf_checkpoint_call(w->s, (rf_function){product, NULL, NULL}, &in, &out, &opts));
        assert_int_equal((world_used(w, RF_MEM_ACTIVATION) - before) / BYTES, rows[i].kept);
        rf_op_counts_reset(w->ctx);
        assert_ok(w->ctx, rf_backward(w->s, f));
        assert_int_equal(world_executed(w, "cos"), 1 + rows[i].cos);       /* sin's */
        assert_int_equal(world_executed(w, "matmul"), 2 + rows[i].matmul); /* its own */
        dx = dx ? dx : world_bytes(w, rf_grad(v[0]));
        world_same(w, rf_grad(v[0]), dx);
    }
    free(dx);
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

/* Every step-th op, from the last to the first if falling. */
static size_t sines_text(char *text, size_t bytes, unsigned step, int falling)
{
    size_t at = (size_t)snprintf(text, bytes, "keep="), num = 0;
    for (unsigned i = 0; i < LONG; i += step, num++)
        at += (size_t)snprintf(text + at, bytes - at, "%s#%u:sin", i ? "," : "",
                               falling ? (LONG - 1) / step * step - i : i);
    return num;
}

/* Every op of a long region, or every seventh, has its line. */
static void test_many_numbers(void **state)
{
    world *w = *state;
    static const unsigned steps[] = {1, 7, 999};
    char *text = malloc(16 * LONG);
    void *dx = NULL;
    for (size_t k = 0; k < 6; k++) {
        unsigned step = steps[k / 2];
        rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
        size_t num = sines_text(text, (size_t)16 * LONG, step, k % 2);
        opts.fates = text;
        rf_tensor *x = world_leaf(w, 16, 16, 0.1), *f;
        rf_values in = {&x, 1}, out = {&f, 1};
        uint64_t before = world_used(w, RF_MEM_ACTIVATION);
        assert_ok(w->ctx,
                  rf_checkpoint_call(w->s, (rf_function){sines, NULL, NULL}, &in, &out, &opts));
        assert_int_equal(world_used(w, RF_MEM_ACTIVATION) - before, num * 1024 + sizeof(float));
        rf_op_counts_reset(w->ctx);
        assert_ok(w->ctx, rf_backward(w->s, f)); /* reads all results but the last */
        assert_int_equal(world_executed(w, "sin"), LONG - 1 - (LONG - 2 + step) / step);
        if (!dx)
            dx = world_bytes(w, rf_grad(x));
        world_same(w, rf_grad(x), dx);
    }
    free(dx);
    free(text);
}

/* What a policy sees of a block, and what it chooses. */
typedef struct seen_ops {
    char op[128][24];
    uint8_t kept[128], shown[128];
} seen_ops;

static rf_status seen_choose(void *payload, const rf_policy_op *op, rf_fate *fate)
{
    seen_ops *seen = payload;
    assert_true(op->index < 128);
    snprintf(seen->op[op->index], sizeof seen->op[0], "%s", op->op);
    seen->shown[op->index] = 1;
    *fate = seen->kept[op->index] ? RF_FATE_KEEP : RF_FATE_RECOMPUTE;
    return RF_OK;
}

typedef struct plan_figures {
    uint64_t peak, linear, norm;
    float loss;
} plan_figures;

static plan_figures plan_step(rf_context *ctx, const rf_checkpoint_options *opts)
{
    gpt g;
    plan_figures f;
    rf_memory_info info;
    rf_context_set_rng(ctx, (rf_rng){3, 0}); /* parameters, too */
    assert_ok(ctx, gpt_create(&g, ctx, 0.1));
    for (size_t i = 0; i < GPT_LAYERS; i++)
        assert_ok(ctx, rf_checkpoint(rf_nn_gpt2_block(g.model, i), opts));
    rf_memory_reset_peak(ctx);
    rf_op_counts_reset(ctx);
    for (uint32_t n = 0; n < 2; n++)
        assert_ok(ctx, gpt_step(&g, n, &f.loss));
    assert_ok(ctx, rf_memory_get(ctx, RF_DEVICE_CPU, RF_MEM_ACTIVATION, &info));
    f.peak = info.peak;
    f.linear = rf_op_counts_of(ctx, "linear").executed;
    f.norm = rf_op_counts_of(ctx, "layer_norm").executed;
    gpt_destroy(&g);
    return f;
}

/* Numbers and names as a policy was shown them, some of them kept, written as a text: the text does
 * what the policy would have done. */
static void test_a_plan_as_text_is_the_policy(void **state)
{
    world *w = *state;
    float loss = 0;
    for (unsigned i = 0; i < 12; i++) {
        seen_ops seen = {.kept = {0}};
        char text[4096] = "keep=";
        rf_checkpoint_options policy = RF_CHECKPOINT_OPTIONS_INIT, plan = policy;
        policy.policy = (rf_policy){seen_choose, &seen, NULL};
        for (unsigned k = 0; k < 128; k++)
            seen.kept[k] = i && (k * 7919 + i * 31) % 5 < 2;
        plan_figures wanted = plan_step(w->ctx, &policy);
        size_t at = strlen(text), num = 0;
        for (unsigned k = 0; k < 128; k++)
            if (seen.shown[k] && seen.kept[k])
                at += (size_t)snprintf(text + at, sizeof text - at, "%s#%u:%s", num++ ? "," : "", k,
                                       seen.op[k]);
        assert_true(!i || num > 3);
        plan.fates = num ? text : "recompute=*";
        plan_figures got = plan_step(w->ctx, &plan);
        assert_int_equal(got.peak, wanted.peak);
        assert_int_equal(got.linear, wanted.linear);
        assert_int_equal(got.norm, wanted.norm);
        loss = i ? loss : wanted.loss;
        assert_memory_equal(&got.loss, &loss, sizeof loss);
        assert_memory_equal(&wanted.loss, &loss, sizeof loss);
    }
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_the_first_that_fits_decides),  ROW(test_a_number_of_another_op_is_told),
        ROW(test_texts_that_are_no_number),     ROW(test_many_numbers),
        ROW(test_a_plan_as_text_is_the_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
