/* test_explain.c: what a watch tells is true: bytes avoided are the plain run's activations minus
 * the checkpointed one's, kernels run again are those that the counters count, what was held at the
 * peak adds up to it, and the peak is the ledger's. In words and in JSON. */
#include "support/world.h"

#include <stdio.h>

#include "io/json.h"

enum { BLOCKS = 4, WIDTH = 24, ROWS = 16 };

/* Blocks of linear, activation, linear, activation: the last one's result is read by its own
 * backward and by the next block's. */
static rf_module *mlp(rf_context *ctx)
{
    rf_module *m, *block, *part;
    assert_ok(ctx, rf_nn_sequential(&m, ctx));
    for (int i = 0; i < BLOCKS; i++) {
        assert_ok(ctx, rf_nn_sequential(&block, ctx));
        for (int k = 0; k < 4; k++) {
            if (k % 2)
                assert_ok(ctx, rf_nn_activation(&part, ctx, RF_ACTIVATION_TANH));
            else
                assert_ok(ctx, rf_nn_linear(&part, ctx, WIDTH, WIDTH, 0));
            assert_ok(ctx, rf_nn_sequential_add(block, part));
        }
        assert_ok(ctx, rf_nn_sequential_add(m, block));
    }
    return m;
}

typedef struct told {
    uint64_t activations; /* held at the end of the forward  */
    uint64_t kernels;     /* executed                        */
    uint64_t peak;        /* the ledger's                    */
    rf_explain *e;
    rf_module *m;
    rf_context *ctx;
} told;

static uint64_t told_kernels(rf_context *ctx)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < rf_op_count(ctx); i++)
        if (!(rf_op_at(ctx, i)->traits & RF_OP_VIEW))
            sum += rf_op_counts_of(ctx, rf_op_at(ctx, i)->name).executed;
    return sum;
}

static uint64_t told_bytes(rf_context *ctx, rf_mem_class cls, int peak)
{
    rf_memory_info info;
    assert_ok(ctx, rf_memory_get(ctx, RF_DEVICE_CPU, cls, &info));
    return peak ? info.peak : info.used;
}

static void told_step(told *t)
{
    rf_scope *s;
    float host[ROWS * WIDTH];
    int64_t dims[2] = {ROWS, WIDTH};
    for (int i = 0; i < ROWS * WIDTH; i++)
        host[i] = (float)(i % 17) / 17 - 0.5F;
    assert_ok(t->ctx, rf_scope_open(&s, t->ctx, NULL));
    rf_tensor *y = rf_module_call1(t->m, s, rf_tensor_copy_in(s, RF_F32, 2, dims, host));
    assert_non_null(y);
    t->activations = told_bytes(t->ctx, RF_MEM_ACTIVATION, 0);
    assert_ok(t->ctx, rf_backward(s, rf_sum(s, y)));
    rf_scope_close(s);
}

/* One watched step of the MLP; stride: every so manieth block is a region, 0: none; fates: what
 * they keep, or NULL. */
static told tell_fates(int stride, const char *fates)
{
    told t = {0};
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.label = "block \"b\"";
    opts.fates = fates;
    assert_int_equal(rf_context_create(&t.ctx, NULL), RF_OK);
    t.m = mlp(t.ctx);
    for (int i = 0; i < BLOCKS && stride; i += stride)
        assert_ok(t.ctx, rf_checkpoint(rf_module_child(t.m, (size_t)i), &opts));
    rf_op_counts_reset(t.ctx);
    assert_ok(t.ctx, rf_explain_create(&t.e, t.ctx));
    told_step(&t);
    rf_explain_stop(t.e);
    t.kernels = told_kernels(t.ctx);
    t.peak = told_bytes(t.ctx, RF_MEM_ALL, 1);
    assert_int_equal(rf_explain_status(t.e), RF_OK);
    return t;
}

static told tell(int stride)
{
    return tell_fates(stride, NULL);
}

static void told_end(told *t)
{
    rf_explain_destroy(t->e);
    rf_module_destroy(t->m);
    rf_context_destroy(t->ctx);
}

static void test_regions_against_plain(void **state)
{
    (void)state;
    told plain = tell(0);
    assert_int_equal(rf_explain_num_regions(plain.e), 0);
    assert_int_equal(rf_explain_total(plain.e).kernels_again, 0);
    assert_int_equal(rf_explain_total(plain.e).kernels, plain.kernels);
    for (int stride = 1; stride <= 2; stride++) {
        told some = tell(stride);
        rf_explain_totals total = rf_explain_total(some.e);
        uint64_t again = 0, avoided = 0;
        double flops = 0, seconds = 0;
        size_t num = rf_explain_num_regions(some.e);
        assert_int_equal(num, BLOCKS / stride);
        assert_int_equal(total.avoided, plain.activations - some.activations);
        assert_true(total.avoided > 0);
        assert_int_equal(total.kernels_again, some.kernels - plain.kernels);
        for (size_t i = 0; i < num; i++) {
            char path[16];
            rf_explain_region r = rf_explain_region_at(some.e, i);
            snprintf(path, sizeof path, "%zu", i * (size_t)stride);
            assert_string_equal(r.path, path);
            assert_string_equal(r.label, "block \"b\"");
            assert_int_equal(r.calls, 1);
            assert_int_equal(r.runs_again, 1);
            assert_int_equal(r.kept, ROWS * WIDTH * sizeof(float));
            again += r.kernels_again;
            avoided += r.avoided;
            flops += r.flops_again;
            seconds += r.seconds_again;
        }
        assert_int_equal(again, total.kernels_again);
        assert_int_equal(avoided, total.avoided);
        assert_true(flops == total.flops_again && flops > 0);
        assert_true(seconds > 0 && seconds <= total.recompute_seconds);
        assert_true(total.recompute_seconds < total.seconds);
        told_end(&some);
    }
    told_end(&plain);
}

/* A policy keeps some in memory, or sends them away: what is kept counts as kept, by as much as is
 * held more at the end of the forward; what is away is avoided. */
static void test_policies_against_plain(void **state)
{
    static const struct {
        const char *fates;
        int blocks; /* whose inner activation is avoided */
    } cases[] = {{"keep=tanh", 0},
                 {"keep=linear", BLOCKS},
                 {"keep=tanh,linear", 0},
                 {"host=tanh", BLOCKS},
                 {"file=tanh", BLOCKS}};
    (void)state;
    told plain = tell(0), all = tell(1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        told some = tell_fates(1, cases[i].fates);
        rf_explain_totals total = rf_explain_total(some.e);
        uint64_t sum = 0;
        assert_int_equal(total.avoided, (size_t)cases[i].blocks * ROWS * WIDTH * sizeof(float));
        if (cases[i].fates[0] != 'f') /* what is on its way to a file is still there */
            assert_int_equal(total.kept - rf_explain_total(all.e).kept,
                             some.activations - all.activations);
        assert_int_equal(total.kernels_again, some.kernels - plain.kernels);
        assert_int_equal(total.peak, some.peak);
        for (size_t k = 0; k < rf_explain_num_live(some.e); k++)
            sum += rf_explain_live_at(some.e, k).bytes;
        assert_int_equal(sum, some.peak);
        told_end(&some);
    }
    told_end(&all);
    told_end(&plain);
}

static void test_the_peak_adds_up(void **state)
{
    (void)state;
    for (int stride = 0; stride <= 1; stride++) {
        told t = tell(stride);
        uint64_t sum = 0, before = 0, unnamed = 0, most = UINT64_MAX;
        int gradients = 0;
        assert_int_equal(rf_explain_total(t.e).peak, t.peak);
        for (size_t i = 0; i < rf_explain_num_live(t.e); i++) {
            rf_explain_live live = rf_explain_live_at(t.e, i);
            assert_true(live.bytes && live.bytes <= most);
            most = live.bytes;
            sum += live.bytes;
            before += live.before ? live.bytes : 0;
            gradients += live.cls == RF_MEM_GRAD;
            unnamed += live.cls == RF_MEM_ACTIVATION && !*live.op ? live.bytes : 0;
        }
        assert_int_equal(sum, t.peak);
        assert_int_equal(unnamed, ROWS * WIDTH * sizeof(float)); /* the input */
        assert_int_equal(before, told_bytes(t.ctx, RF_MEM_PARAM, 0));
        if (stride) /* the peak is late in the backward, when many gradients are there */
            assert_true(gradients > 0);
        /* The time line has it too, and is never above it. */
        uint64_t top = 0;
        for (size_t i = 0; i < rf_explain_num_points(t.e); i++) {
            rf_explain_point p = rf_explain_point_at(t.e, i);
            uint64_t all = 0;
            for (int cls = RF_MEM_PARAM; cls < RF_MEM_BORROWED; cls++)
                all += p.bytes[cls];
            assert_int_equal(all, p.bytes[RF_MEM_ALL]);
            top = all > top ? all : top;
        }
        assert_int_equal(top, t.peak);
        told_end(&t);
    }
}

/* Many steps: the time line is thinned, and has the peak still. */
static void test_long_watches_are_thinned(void **state)
{
    (void)state;
    told t = tell(0);
    rf_explain_destroy(t.e);
    assert_ok(t.ctx, rf_explain_create(&t.e, t.ctx));
    for (int i = 0; i < 60; i++)
        told_step(&t);
    rf_explain_stop(t.e);
    rf_explain_stop(t.e);
    size_t num = rf_explain_num_points(t.e);
    uint64_t top = 0;
    double last = -1;
    assert_in_range(num, 500, 2100);
    for (size_t i = 0; i < num; i++) {
        rf_explain_point p = rf_explain_point_at(t.e, i);
        top = p.bytes[RF_MEM_ALL] > top ? p.bytes[RF_MEM_ALL] : top;
        assert_true(p.seconds >= last);
        last = p.seconds;
    }
    assert_int_equal(top, told_bytes(t.ctx, RF_MEM_ALL, 1));
    assert_int_equal(top, rf_explain_total(t.e).peak);
    told_end(&t);
}

typedef struct text {
    char *bytes;
    size_t len, pieces, refuse_at;
} text;

static rf_status text_write(void *payload, const void *bytes, size_t num)
{
    text *t = payload;
    if (t->refuse_at && ++t->pieces >= t->refuse_at)
        return RF_E_USER;
    t->bytes = realloc(t->bytes, t->len + num + 1);
    memcpy(t->bytes + t->len, bytes, num);
    t->len += num;
    t->bytes[t->len] = 0;
    return RF_OK;
}

static void test_json_is_json(void **state)
{
    (void)state;
    told t = tell(1);
    text out = {0};
    rf_json j;
    rf_json_kind kind;
    size_t keys = 0;
    double value;
    assert_ok(t.ctx, rf_explain_json(t.e, (rf_write){text_write, &out}));
    rf_json_begin(&j, out.bytes, out.len);
    while ((kind = rf_json_next(&j)) != RF_JSON_END) {
        if (kind == RF_JSON_ERROR)
            fail_msg("%s at %zu of %s", j.why, j.at, out.bytes);
        keys += kind == RF_JSON_KEY;
    }
    assert_true(keys > 50);
    assert_ok(t.ctx, rf_json_number(t.ctx, out.bytes, "peak_bytes", &value));
    assert_true(value == (double)t.peak);
    assert_non_null(strstr(out.bytes, "\"label\": \"block \\\"b\\\"\""));
    free(out.bytes);
    told_end(&t);
}

static void test_text_tells_the_figures(void **state)
{
    (void)state;
    told t = tell(1);
    text out = {0}, refused = {.refuse_at = 5};
    char peak[64];
    assert_ok(t.ctx, rf_explain_text(t.e, (rf_write){text_write, &out}));
    snprintf(peak, sizeof peak, "peak     %llu bytes", (unsigned long long)t.peak);
    assert_true(!strncmp(out.bytes, peak, strlen(peak)));
    assert_non_null(strstr(out.bytes, "what bounds the peak"));
    assert_non_null(strstr(out.bytes, "held before"));
    assert_non_null(strstr(out.bytes, "tanh of 0."));
    assert_int_equal(rf_explain_text(t.e, (rf_write){text_write, &refused}), RF_E_USER);
    free(refused.bytes);
    free(out.bytes);
    told_end(&t);
}

static void no_events(void *payload, const rf_event *event)
{
    (void)payload;
    (void)event;
}

static void test_one_watch_at_a_time(void **state)
{
    (void)state;
    told t = tell(0);
    rf_explain *second;
    text out = {0};
    rf_trace_set(t.ctx, no_events, NULL);
    assert_int_equal(rf_explain_create(&second, t.ctx), RF_E_STATE);
    assert_null(second);
    rf_trace_set(t.ctx, NULL, NULL);
    assert_ok(t.ctx, rf_explain_create(&second, t.ctx));
    assert_int_equal(rf_explain_text(second, (rf_write){text_write, &out}), RF_E_STATE);
    assert_int_equal(rf_explain_json(second, (rf_write){text_write, &out}), RF_E_STATE);
    rf_explain_destroy(second);
    rf_explain_destroy(NULL);
    assert_false(rf_trace_is_set(t.ctx));
    told_end(&t);
}

/* The ledger is the same with a watch and without. */
static void test_a_watch_holds_nothing(void **state)
{
    (void)state;
    told t = tell(1);
    uint64_t watched = told_bytes(t.ctx, RF_MEM_ALL, 0);
    rf_explain_destroy(t.e);
    t.e = NULL;
    assert_int_equal(told_bytes(t.ctx, RF_MEM_ALL, 0), watched);
    told_end(&t);
}

static rf_status square_tanh(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)payload;
    rf_tensor *y = rf_tanh(s, in->v[0]);
    out->v[0] = rf_tanh(s, rf_mul(s, y, y));
    return rf_scope_status(s);
}

static rf_status watched_once(rf_context *ctx, rf_explain **e)
{
    rf_scope *s;
    int64_t dims[1] = {64};
    float host[64] = {0.5F};
    rf_tensor *x, *y = NULL;
    rf_values in = {&x, 1}, out = {&y, 1};
    rf_status status = rf_explain_create(e, ctx);
    if (status)
        return status;
    status = rf_scope_open(&s, ctx, NULL);
    if (status)
        return status;
    x = rf_tensor_copy_in(s, RF_F32, 1, dims, host);
    status = x ? rf_tensor_set_requires_grad(x, 1) : RF_E_MEMORY;
    if (!status)
        status = rf_checkpoint_call(s, (rf_function){square_tanh, NULL, NULL}, &in, &out, NULL);
    if (!status)
        status = rf_backward(s, rf_sum(s, y));
    rf_scope_close(s);
    return status;
}

/* Its own memory failing is told by it, and never by what it watches. */
static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    int own = 0;
    for (uint64_t k = 1; k < 1000; k++) {
        counting c = {0};
        rf_context *ctx;
        rf_explain *e;
        rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
        opts.alloc = counting_alloc;
        opts.alloc_payload = &c;
        assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
        c.made = 0;
        c.fail_at = k;
        rf_status status = watched_once(ctx, &e);
        int reached = c.made >= k;
        if (e)
            rf_explain_stop(e);
        if (reached && !status && e && rf_explain_status(e) == RF_E_MEMORY)
            own++;
        else if (reached && status && status != RF_E_MEMORY)
            fail_msg("allocation %llu: %s", (unsigned long long)k, rf_status_name(status));
        c.fail_at = 0;
        rf_explain_destroy(e);
        assert_ok(ctx, watched_once(ctx, &e));
        rf_explain_stop(e);
        assert_int_equal(rf_explain_status(e), RF_OK);
        rf_explain_destroy(e);
        rf_context_destroy(ctx);
        assert_int_equal(c.live, 0);
        if (!reached) {
            assert_true(own > 3);
            return;
        }
    }
    fail_msg("it never succeeds");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_regions_against_plain),
        cmocka_unit_test(test_policies_against_plain),
        cmocka_unit_test(test_the_peak_adds_up),
        cmocka_unit_test(test_long_watches_are_thinned),
        cmocka_unit_test(test_json_is_json),
        cmocka_unit_test(test_text_tells_the_figures),
        cmocka_unit_test(test_one_watch_at_a_time),
        cmocka_unit_test(test_a_watch_holds_nothing),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
