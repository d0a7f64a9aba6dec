/* test_saved_values.c: a saved value is seen when the kernel that makes it is done, and not before
 * (X8); and one backward may read it as often as it likes (A5). With ops of the test's own: one
 * that fills what it saves last of all, one that fetches what it saved twice. */
#include "support/world.h"

#include <math.h>

enum { N = 4 };

/* ---- an op that fills its saved noise last ---- */

/* What happened: k a kernel began, K it ended, b a backward rule has the noise, p a hook packs. */
typedef struct noise_log {
    char text[32];
    size_t num;
    int fail;  /* the next kernel, halfway */
    int holes; /* how many elements somebody saw that no kernel had filled */
} noise_log;

static void noise_note(noise_log *log, char what)
{
    assert_true(log->num + 1 < sizeof log->text);
    log->text[log->num++] = what;
    log->text[log->num] = 0;
}

/* y = x n; n, a random number for each element, is saved. */
static rf_status noise_infer(rf_op_call *call)
{
    call->out[0].shape = call->out[1].shape = call->in[0].shape;
    return RF_OK;
}

static float noise_at(rf_rng rng, uint64_t i)
{
    uint64_t h = (rng.seed * 31 + rng.offset * 4 + i) * 0x9E3779B97F4A7C15u;
    return (float)(h >> 40) / 16777216.0f + 0.5f;
}

static rf_status noise_forward(rf_op_call *call)
{
    noise_log *log = *(noise_log *const *)call->attrs;
    const float *x = call->in[0].data;
    float *y = call->out[0].data, *n = call->out[1].data;
    noise_note(log, 'k');
    for (int i = 0; i < N * N; i++)
        n[i] = NAN;
    for (int i = 0; i < N * N; i++)
        y[i] = x[i] * noise_at(call->rng, (uint64_t)i);
    for (int i = 0; i < N * N; i++) {
        if (log->fail && i == N) {
            log->fail = 0;
            return rf_op_fail(call, RF_E_LIBRARY, "halfway");
        }
        n[i] = noise_at(call->rng, (uint64_t)i);
    }
    noise_note(log, 'K');
    return RF_OK;
}

static rf_op_reads noise_reads(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    return (rf_op_reads){0, wanted ? 2 : 0};
}

static rf_status noise_backward(rf_op_grad *grad)
{
    noise_log *log = *(noise_log *const *)grad->attrs;
    rf_tensor *n = rf_op_saved_output(grad, 1);
    if (!n)
        return rf_scope_status(grad->scope);
    noise_note(log, 'b');
    grad->grad_in[0] = rf_mul(grad->scope, grad->grad_out[0], n);
    return rf_scope_status(grad->scope);
}

static uint64_t noise_blocks(const rf_op_call *call)
{
    (void)call;
    return N * N / 4;
}

static const rf_op_class noise_op = {.size = sizeof noise_op,
                                     .name = "noise",
                                     .traits = RF_OP_RANDOM,
                                     .num_out = 1,
                                     .num_aux = 1,
                                     .infer = noise_infer,
                                     .forward = noise_forward,
                                     .reads = noise_reads,
                                     .backward = noise_backward,
                                     .random_blocks = noise_blocks};

static int holes_in(const rf_tensor *t)
{
    float v[N * N];
    int holes = 0;
    if (rf_tensor_bytes(t) != sizeof v || rf_tensor_copy_out(t, v, sizeof v))
        return 1;
    for (int i = 0; i < N * N; i++)
        holes += isnan(v[i]) != 0;
    return holes;
}

static rf_status noise_pack(void *payload, rf_scope *s, rf_tensor *value, rf_tensor **packed,
                            void **box)
{
    noise_log *log = payload;
    (void)s;
    (void)box;
    log->holes += holes_in(value);
    noise_note(log, 'p');
    *packed = value;
    return RF_OK;
}

static rf_status noise_unpack(void *payload, rf_scope *s, rf_tensor *packed, void *box,
                              rf_tensor **value)
{
    (void)payload;
    (void)s;
    (void)box;
    *value = packed;
    return RF_OK;
}

/* The last that is saved is the noise; its op is the last of all, so that early stop has every
 * reason to end there. */
typedef struct noise_payload {
    noise_log *log;
    int packs;
} noise_payload;

static rf_status noisy(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    noise_payload *p = payload;
    rf_scope *inner;
    rf_status status = rf_scope_open(&inner, rf_scope_context(s), s);
    if (status)
        return status;
    if (p->packs)
        status = rf_scope_push_saved_hooks(
            inner, (rf_saved_hooks){noise_pack, noise_unpack, NULL, p->log, NULL, 1});
    rf_tensor *x = in->v[0], *y = NULL;
    rf_values from = {&x, 1}, to = {&y, 1};
    if (!status)
        status = rf_op_run(inner, &noise_op, &from, &p->log, sizeof p->log, &to);
    out->v[0] = rf_keep(inner, y);
    rf_scope_close(inner);
    return status;
}

static rf_status noise_choose(void *payload, const rf_policy_op *op, rf_fate *fate)
{
    noise_log *log = payload;
    for (size_t i = 0; i < op->out->num; i++)
        log->holes += holes_in(op->out->v[i]);
    *fate = RF_FATE_RECOMPUTE;
    return RF_OK;
}

/* The gradient, to be freed. */
static void *noisy_gradient(world *w, noise_payload *p, const rf_checkpoint_options *opts)
{
    rf_function fn = {noisy, p, NULL};
    rf_tensor *x = world_leaf(w, N, N, 0.2);
    rf_context_set_rng(w->ctx, (rf_rng){7, 3});
    rf_tensor *y = opts ? world_region(w, fn, x, opts) : world_plain(w, fn, x);
    rf_context_set_rng(w->ctx, (rf_rng){1, 2});
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
    return world_bytes(w, rf_grad(x));
}

/* X8: with early stop and without, checked by elements and not, in the sight of a policy. */
static void test_x8_saved_when_the_kernel_is_done(void **state)
{
    world *w = *state;
    noise_log log = {0};
    noise_payload p = {&log, 0};
    void *plain = noisy_gradient(w, &p, NULL);
    assert_string_equal(log.text, "kKb");
    for (int way = 0; way < 8; way++) {
        rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
        opts.no_early_stop = way & 1;
        opts.verify = way & 2 ? RF_VERIFY_VALUES : RF_VERIFY_DEFAULT;
        if (way & 4)
            opts.policy = (rf_policy){noise_choose, &log, NULL};
        log = (noise_log){0};
        void *region = noisy_gradient(w, &p, &opts);
        assert_memory_equal(plain, region, N * N * sizeof(float));
        assert_string_equal(log.text, "kKkKb");
        assert_int_equal(log.holes, 0);
        free(region);
    }
    free(plain);
}

/* X8: hooks on saved values see whole ones, in the recompute too, where they ask for them. */
static void test_x8_hooks_see_whole_values(void **state)
{
    world *w = *state;
    noise_log log = {0};
    noise_payload p = {&log, 1};
    void *plain = noisy_gradient(w, &p, NULL);
    assert_string_equal(log.text, "kKpb");
    for (int no_early_stop = 0; no_early_stop < 2; no_early_stop++) {
        rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
        opts.no_early_stop = no_early_stop;
        log = (noise_log){0};
        void *region = noisy_gradient(w, &p, &opts);
        assert_memory_equal(plain, region, N * N * sizeof(float));
        assert_string_equal(log.text, "kKpkKpb");
        assert_int_equal(log.holes, 0);
        free(region);
    }
    free(plain);
}

/* X8: what a failing kernel left half done is not seen, by its own backward or by the next; in a
 * group, the value is still the same one, and is computed when it is asked for again. */
static void test_x8_half_a_kernel_is_nothing(void **state)
{
    world *w = *state;
    rf_backward_options retain = RF_BACKWARD_OPTIONS_INIT;
    retain.retain = 1;
    noise_log log = {0};
    noise_payload p = {&log, 0};
    void *plain = noisy_gradient(w, &p, NULL);
    for (int grouped = 0; grouped < 2; grouped++) {
        rf_backward_group *group = NULL;
        log = (noise_log){0};
        rf_tensor *x = world_leaf(w, N, N, 0.2);
        rf_context_set_rng(w->ctx, (rf_rng){7, 3});
        rf_tensor *y = world_region(w, (rf_function){noisy, &p, NULL}, x, NULL);
        rf_tensor *loss = rf_sum(w->s, y);
        if (grouped)
            assert_ok(w->ctx, rf_backward_group_open(&group, w->ctx, "two tries"));
        log.fail = 1;
        assert_int_equal(rf_backward_with(w->s, loss, &retain), RF_E_LIBRARY);
        assert_string_equal(rf_context_error(w->ctx)->op, "noise");
        assert_null(rf_grad(x));
        rf_scope_clear(w->s);
        assert_string_equal(log.text, "kKk");
        assert_ok(w->ctx, rf_backward_with(w->s, loss, &retain));
        assert_string_equal(log.text, "kKkkKb");
        world_same(w, rf_grad(x), plain);
        if (group)
            rf_backward_group_close(group);
    }
    free(plain);
}

/* ---- an op that fetches its saved value twice ---- */

static int twice_same; /* the two were one handle, so often */

/* y = x x; dx = g x + g x. */
static rf_status twice_infer(rf_op_call *call)
{
    call->out[0].shape = call->in[0].shape;
    return RF_OK;
}

static rf_status twice_forward(rf_op_call *call)
{
    const float *x = call->in[0].data;
    float *y = call->out[0].data;
    for (int i = 0; i < N * N; i++)
        y[i] = x[i] * x[i];
    return RF_OK;
}

static rf_op_reads twice_reads(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    (void)wanted;
    return (rf_op_reads){1, 0};
}

static rf_status twice_backward(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    rf_tensor *first = rf_op_saved_input(grad, 0);
    rf_tensor *a = rf_mul(s, grad->grad_out[0], first);
    rf_tensor *again = rf_op_saved_input(grad, 0); /* after it was used */
    grad->grad_in[0] = rf_add(s, a, rf_mul(s, grad->grad_out[0], again));
    twice_same += first && first == again;
    return rf_scope_status(s);
}

static const rf_op_class twice_op = {.size = sizeof twice_op,
                                     .name = "twice",
                                     .num_out = 1,
                                     .infer = twice_infer,
                                     .forward = twice_forward,
                                     .reads = twice_reads,
                                     .backward = twice_backward};

static rf_tensor *twice(rf_scope *s, rf_tensor *x)
{
    rf_tensor *y = NULL;
    rf_values in = {&x, 1}, out = {&y, 1};
    return rf_op_run(s, &twice_op, &in, NULL, 0, &out) ? NULL : y;
}

/* sin(x), once computed, is saved four times: by two ops, by one as both its inputs, and each reads
 * it at a time of its own. */
static rf_status reads_often(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)payload;
    rf_tensor *h = rf_sin(s, in->v[0]);
    rf_tensor *y = rf_add(s, twice(s, h), rf_mul(s, h, h));
    out->v[0] = rf_mul(s, twice(s, h), rf_exp(s, y));
    return rf_scope_status(s);
}

static rf_status reads_often_in_region(void *payload, rf_scope *s, const rf_values *in,
                                       rf_values *out)
{
    return rf_checkpoint_call(s, (rf_function){reads_often, payload, NULL}, in, out, NULL);
}

/* A5, and beyond: the reference refuses a second read of one value. */
/* AT-05 */
static void test_a5_a_value_may_be_read_twice(void **state)
{
    world *w = *state;
    static const struct {
        int region, nested;
        const char *fates;
        uint64_t sines; /* in a forward and a backward */
    } forms[] = {{0, 0, NULL, 1},       {1, 0, NULL, 2},       {1, 0, "keep=sin", 1},
                 {1, 0, "host=sin", 1}, {1, 0, "file=sin", 1}, {1, 1, NULL, 2}};
    void *plain = NULL;
    twice_same = 0;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
        rf_backward_options retain = RF_BACKWARD_OPTIONS_INIT;
        rf_function fn = {forms[i].nested ? reads_often_in_region : reads_often, NULL, NULL};
        rf_tensor *x = world_leaf(w, N, N, 0.2);
        opts.fates = forms[i].fates;
        retain.retain = 1;
        rf_op_counts_reset(w->ctx);
        rf_tensor *y = forms[i].region ? world_region(w, fn, x, &opts) : world_plain(w, fn, x);
        rf_tensor *loss = rf_sum(w->s, y);
        for (uint64_t run = 0; run < 2; run++) { /* and over a retained graph */
            assert_ok(w->ctx, rf_backward_with(w->s, loss, &retain));
            assert_int_equal(world_executed(w, "sin"), forms[i].sines + run * (forms[i].sines - 1));
            if (!plain)
                plain = world_bytes(w, rf_grad(x));
            world_same(w, rf_grad(x), plain);
            rf_grad_clear(x);
        }
    }
    assert_int_equal(twice_same, 2 * 2 * (int)(sizeof forms / sizeof forms[0]));
    free(plain);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_x8_saved_when_the_kernel_is_done),
        ROW(test_x8_hooks_see_whole_values),
        ROW(test_x8_half_a_kernel_is_nothing),
        ROW(test_a5_a_value_may_be_read_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
