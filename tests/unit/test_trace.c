/* test_trace.c: the stream of events. The bytes that it tells of are the ledger, at every moment;
 * the kernels that it tells of are those that ran; regions are told once for each run; and nothing
 * is told to nobody. */
#include "support/world.h"

#include <stdio.h>

#include <refrain/trace.h>

typedef struct heard {
    rf_context *ctx;
    uint64_t events, next;
    int64_t used[RF_MEM_CLASSES];
    int wrong; /* a moment when the sum was not the ledger */
    uint64_t ops[RF_PHASES], adds, regions[3];
    uint64_t kept, avoided, first_region;
    double last_end, flops;
    char path[64], label[64];
} heard;

static void heard_bytes(heard *h, const rf_event *e)
{
    rf_memory_info info;
    h->used[e->cls] += e->bytes;
    if (e->cls != RF_MEM_BORROWED)
        h->used[RF_MEM_ALL] += e->bytes;
    /* A change of class is told in two events, of which the first is half the truth. */
    if (rf_memory_get(h->ctx, e->device, RF_MEM_ALL, &info) ||
        (e->bytes > 0 && info.used != (uint64_t)h->used[RF_MEM_ALL]))
        h->wrong = 1;
}

static void heard_event(void *payload, const rf_event *e)
{
    heard *h = payload;
    if (e->size != sizeof *e || e->number != ++h->events || e->begin > e->end || !e->op ||
        !e->path || !e->label)
        h->wrong = 1;
    h->last_end = e->end;
    if (e->kind == RF_EVENT_MEMORY)
        heard_bytes(h, e);
    if (e->kind == RF_EVENT_OP) {
        h->ops[e->phase]++;
        h->adds += !strcmp(e->op, "linear");
        h->flops += e->flops;
        snprintf(h->path, sizeof h->path, "%s", e->path);
    }
    if (e->kind == RF_EVENT_REGION) {
        h->regions[e->pass]++;
        h->kept += e->kept;
        h->avoided += e->avoided;
        snprintf(h->label, sizeof h->label, "%s", e->label);
    }
}

static void hear(heard *h, rf_context *ctx)
{
    rf_memory_info info;
    *h = (heard){.ctx = ctx};
    for (int cls = 0; cls < RF_MEM_CLASSES; cls++) {
        assert_ok(ctx, rf_memory_get(ctx, RF_DEVICE_CPU, (rf_mem_class)cls, &info));
        h->used[cls] = (int64_t)info.used;
    }
    rf_trace_set(ctx, heard_event, h);
}

static void assert_ledger(const heard *h)
{
    rf_memory_info info;
    assert_false(h->wrong);
    for (int cls = 0; cls < RF_MEM_CLASSES; cls++) {
        assert_ok(h->ctx, rf_memory_get(h->ctx, RF_DEVICE_CPU, (rf_mem_class)cls, &info));
        assert_int_equal(info.used, h->used[cls]);
    }
}

static rf_status two_tanh(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)payload;
    out->v[0] = rf_tanh(s, rf_sigmoid(s, rf_tanh(s, in->v[0])));
    return rf_scope_status(s);
}

static void test_events_are_the_ledger(void **state)
{
    world *w = *state;
    heard h;
    rf_function fn = {two_tanh, NULL, NULL};
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    rf_tensor *x = world_leaf(w, 8, 16, 0), *borrowed;
    float some[4] = {1, 2, 3, 4};
    int64_t four[1] = {4};
    opts.label = "pair";
    hear(&h, w->ctx);
    assert_true(rf_trace_is_set(w->ctx));
    rf_tensor *y = world_region(w, fn, x, &opts);
    rf_tensor *loss = rf_sum(w->s, rf_mul(w->s, y, y));
    assert_ok(w->ctx, rf_backward(w->s, loss));
    assert_ledger(&h);
    assert_int_equal(h.regions[RF_PASS_FORWARD], 1);
    assert_int_equal(h.regions[RF_PASS_RECOMPUTE], 1);
    assert_int_equal(h.regions[RF_PASS_PLAIN], 0);
    assert_string_equal(h.label, "pair");
    assert_int_equal(h.kept, 8 * 16 * 4);        /* x */
    assert_int_equal(h.avoided, 2 * 8 * 16 * 4); /* tanh, sigmoid; the last is the result */
    /* Of a class that changes, a buffer of the caller's, and its end. */
    assert_non_null(borrowed = rf_tensor_borrow(w->s, RF_F32, 1, four,
                                                (rf_buffer){some, sizeof some, NULL, NULL}));
    assert_int_equal(h.used[RF_MEM_BORROWED], sizeof some);
    rf_release(w->s, borrowed);
    assert_int_equal(h.used[RF_MEM_BORROWED], 0);
    assert_true(h.used[RF_MEM_GRAD] > 0);
    rf_grad_clear(x);
    assert_int_equal(h.used[RF_MEM_GRAD], 0);
    assert_ledger(&h);
    rf_trace_set(w->ctx, NULL, NULL);
    assert_false(rf_trace_is_set(w->ctx));
    uint64_t before = h.events;
    assert_non_null(rf_tanh(w->s, x));
    assert_int_equal(h.events, before);
}

static void test_ops_tell_when_and_why(void **state)
{
    world *w = *state;
    heard h;
    rf_function fn = {two_tanh, NULL, NULL};
    rf_tensor *x = world_leaf(w, 8, 16, 0);
    uint64_t tanhs = world_executed(w, "tanh");
    hear(&h, w->ctx);
    rf_tensor *y = world_region(w, fn, x, NULL);
    assert_int_equal(h.ops[RF_PHASE_FORWARD], 3);
    rf_tensor *loss = rf_sum(w->s, y);
    assert_ok(w->ctx, rf_backward(w->s, loss));
    /* All three are read by their own backward. */
    assert_int_equal(h.ops[RF_PHASE_RECOMPUTE], 3);
    assert_true(h.ops[RF_PHASE_BACKWARD] > 0);
    assert_int_equal(h.ops[RF_PHASE_OTHER], 0);
    assert_int_equal(world_executed(w, "tanh") - tanhs, 4);
    rf_trace_set(w->ctx, NULL, NULL);
}

static void test_a_module_is_named(void **state)
{
    world *w = *state;
    heard h;
    rf_module *m, *linear;
    rf_tensor *x = world_leaf(w, 3, 4, 0);
    assert_ok(w->ctx, rf_nn_sequential(&m, w->ctx));
    assert_ok(w->ctx, rf_nn_linear(&linear, w->ctx, 4, 5, 0));
    assert_ok(w->ctx, rf_nn_sequential_add(m, linear));
    hear(&h, w->ctx);
    assert_non_null(rf_module_call1(m, w->s, x));
    assert_string_equal(h.path, "0");
    assert_true(h.flops >= 2 * 3 * 4 * 5);
    rf_trace_set(w->ctx, NULL, NULL);
    rf_module_destroy(m);
}

/* A refusal enters nothing, so it tells nothing; what was held is told as it goes. */
static void test_a_refusal_is_no_event(void **state)
{
    world *w = *state;
    heard h;
    rf_memory_info info;
    rf_tensor *x = world_leaf(w, 64, 64, 0);
    hear(&h, w->ctx);
    assert_ok(w->ctx, rf_memory_get(w->ctx, RF_DEVICE_CPU, RF_MEM_ALL, &info));
    assert_ok(w->ctx, rf_memory_set_limit(w->ctx, RF_DEVICE_CPU, RF_MEM_ALL, info.used + 20000));
    assert_null(rf_add(w->s, rf_tanh(w->s, x), x));
    assert_ledger(&h);
    rf_trace_set(w->ctx, NULL, NULL);
}

static void test_phases_have_names(void **state)
{
    (void)state;
    assert_string_equal(rf_phase_name(RF_PHASE_RECOMPUTE), "recompute");
    assert_string_equal(rf_phase_name((rf_phase)77), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_events_are_the_ledger, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_ops_tell_when_and_why, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_a_module_is_named, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_a_refusal_is_no_event, world_setup, world_teardown),
        cmocka_unit_test(test_phases_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
