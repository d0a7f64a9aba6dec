/* test_passes.c: which pass, and of which run of a region: asked from ops, from hooks of regions,
 * modules and gradients, and from the counters' side, the trace (X7). */
#include "support/world.h"

#include <refrain/refrain.h>

/* ---- who asks ---- */

typedef struct asked {
    char what;
    rf_pass pass;
    uint64_t region;
} asked;

/* What was said, in order; a letter each: region hooks e and l, functions f (outer) and i (inner),
 * kernels k (outer) and j (inner), module hooks m and n, backward rules b, gradient hooks g. */
typedef struct answers {
    rf_context *ctx;
    asked v[64];
    size_t num;
    int fail_again;
    size_t events, wrong_events;
} answers;

static void ask(answers *a, char what)
{
    assert_true(a->num < sizeof a->v / sizeof a->v[0]);
    a->v[a->num++] = (asked){what, rf_context_pass(a->ctx), rf_context_region(a->ctx)};
}

/* The first of that letter in that pass, from `from` on. */
static const asked *find(const answers *a, char what, rf_pass pass)
{
    for (size_t i = 0; i < a->num; i++)
        if (a->v[i].what == what && a->v[i].pass == pass)
            return &a->v[i];
    fail_msg("no %c in pass %d", what, (int)pass);
    return NULL;
}

/* How many of that letter, in any pass. */
static size_t count(const answers *a, char what)
{
    size_t n = 0;
    for (size_t i = 0; i < a->num; i++)
        n += a->v[i].what == what;
    return n;
}

/* An op that asks in its kernel and in its backward rule: y = x. */
typedef struct asking_attrs {
    answers *a;
    char what;
} asking_attrs;

static rf_status asking_infer(rf_op_call *call)
{
    call->out[0].shape = call->in[0].shape;
    return RF_OK;
}

static rf_status asking_forward(rf_op_call *call)
{
    const asking_attrs *attrs = call->attrs;
    assert_ptr_equal(call->ctx, attrs->a->ctx);
    ask(attrs->a, attrs->what);
    memcpy(call->out[0].data, call->in[0].data, 4 * 4 * sizeof(float));
    return RF_OK;
}

static rf_op_reads asking_reads(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    (void)wanted;
    return (rf_op_reads){0, 0};
}

static rf_status asking_backward(rf_op_grad *grad)
{
    ask(((const asking_attrs *)grad->attrs)->a, 'b');
    grad->grad_in[0] = grad->grad_out[0];
    return RF_OK;
}

static const rf_op_class asking_op = {.size = sizeof asking_op,
                                      .name = "asking",
                                      .num_out = 1,
                                      .infer = asking_infer,
                                      .forward = asking_forward,
                                      .reads = asking_reads,
                                      .backward = asking_backward};

static rf_tensor *asking(rf_scope *s, answers *a, char what, rf_tensor *x)
{
    rf_tensor *y = NULL;
    asking_attrs attrs = {a, what};
    rf_values in = {&x, 1}, out = {&y, 1};
    return rf_op_run(s, &asking_op, &in, &attrs, sizeof attrs, &out) ? NULL : y;
}

static rf_status hook_enter(void *payload, rf_scope *s, rf_pass pass)
{
    ask(payload, 'e');
    assert_int_equal(rf_pass_current(s), pass);
    return RF_OK;
}

static void hook_leave(void *payload, rf_scope *s, rf_pass pass, rf_status status)
{
    (void)status;
    ask(payload, 'l');
    assert_int_equal(rf_pass_current(s), pass);
}

static rf_status module_pre(void *payload, rf_module *m, rf_scope *s, rf_values *in)
{
    (void)m;
    (void)s;
    (void)in;
    ask(payload, 'm');
    return RF_OK;
}

static rf_status module_post(void *payload, rf_module *m, rf_scope *s, rf_values *out,
                             rf_status status)
{
    (void)m;
    (void)s;
    (void)out;
    ask(payload, 'n');
    return status;
}

static rf_status gradient_hook(void *payload, rf_scope *s, rf_tensor **grad)
{
    (void)s;
    (void)grad;
    ask(payload, 'g');
    return RF_OK;
}

/* Every event says what the queries say; but one of a region tells its own number. */
static void trace_event(void *payload, const rf_event *event)
{
    answers *a = payload;
    a->events++;
    a->wrong_events += event->pass != (int)rf_context_pass(a->ctx);
    a->wrong_events += event->kind != RF_EVENT_REGION && event->region != rf_context_region(a->ctx);
}

/* ---- one region ---- */

static rf_status one(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    answers *a = payload;
    ask(a, 'f');
    assert_int_equal(rf_pass_current(s), rf_context_pass(a->ctx));
    if (a->fail_again && rf_context_pass(a->ctx) == RF_PASS_RECOMPUTE)
        return rf_scope_fail(s, RF_E_USER, "no");
    out->v[0] = rf_exp(s, asking(s, a, 'k', rf_sin(s, in->v[0])));
    return rf_scope_status(s);
}

static void assert_outside(const answers *a)
{
    assert_int_equal(rf_context_pass(a->ctx), RF_PASS_PLAIN);
    assert_int_equal(rf_context_region(a->ctx), 0);
}

/* X7: the words "plain, forward, recompute" and the number, from everywhere; the kernel of a
 * recompute, which runs when the function is over, counts to it. */
static void test_x7_one_region(void **state)
{
    world *w = *state;
    answers a = {.ctx = w->ctx};
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.hooks = (rf_region_hooks){hook_enter, hook_leave, &a, NULL};
    rf_tensor *x = world_leaf(w, 4, 4, 0.2);
    assert_ok(w->ctx, rf_tensor_add_grad_hook(x, (rf_grad_hook){gradient_hook, &a, NULL}));
    rf_trace_set(w->ctx, trace_event, &a);
    assert_outside(&a);
    rf_tensor *y = asking(w->s, &a, 'k', x);
    y = world_region(w, (rf_function){one, &a, NULL}, y, &opts);
    assert_outside(&a);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
    assert_outside(&a);
    rf_trace_set(w->ctx, NULL, NULL);

    static const char order[] = "kefkl" /* then the backward: */ "eflkbbg";
    assert_int_equal(a.num, sizeof order - 1);
    for (size_t i = 0; i < a.num; i++)
        assert_int_equal(a.v[i].what, order[i]);
    assert_int_equal(find(&a, 'k', RF_PASS_PLAIN)->region, 0);
    uint64_t forward = find(&a, 'f', RF_PASS_FORWARD)->region;
    uint64_t again = find(&a, 'f', RF_PASS_RECOMPUTE)->region;
    assert_true(forward && again && forward != again);
    for (size_t i = 1; i < 5; i++) {
        assert_int_equal(a.v[i].pass, RF_PASS_FORWARD);
        assert_int_equal(a.v[i].region, forward);
    }
    for (size_t i = 5; i < 9; i++) {
        assert_int_equal(a.v[i].pass, RF_PASS_RECOMPUTE);
        assert_int_equal(a.v[i].region, again);
    }
    for (size_t i = 9; i < a.num; i++) {
        assert_int_equal(a.v[i].pass, RF_PASS_PLAIN);
        assert_int_equal(a.v[i].region, 0);
    }
    assert_true(a.events > 10);
    assert_int_equal(a.wrong_events, 0);
}

/* X7: without early stop, in a plain run, and after a failure. */
static void test_x7_other_ways(void **state)
{
    world *w = *state;
    for (int way = 0; way < 3; way++) {
        answers a = {.ctx = w->ctx, .fail_again = way == 2};
        rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
        opts.no_early_stop = way == 0;
        rf_tensor *x = world_leaf(w, 4, 4, 0.2);
        rf_scope_set_grad(w->s, way != 1); /* without gradients there is no region */
        rf_tensor *y = world_region(w, (rf_function){one, &a, NULL}, x, &opts);
        rf_scope_set_grad(w->s, 1);
        assert_outside(&a);
        if (way == 1) {
            assert_int_equal(find(&a, 'k', RF_PASS_PLAIN)->region, 0);
            continue;
        }
        assert_int_equal(rf_backward(w->s, rf_sum(w->s, y)), way == 2 ? RF_E_USER : RF_OK);
        assert_outside(&a);
        if (way == 0)
            assert_int_equal(find(&a, 'k', RF_PASS_RECOMPUTE)->region,
                             find(&a, 'f', RF_PASS_RECOMPUTE)->region);
        rf_scope_clear(w->s);
    }
}

/* ---- a region in a region, by modules ---- */

static rf_status inner_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    answers *a = rf_module_self(m);
    ask(a, 'i');
    out->v[0] = rf_exp(s, asking(s, a, 'j', rf_sin(s, in->v[0])));
    return rf_scope_status(s);
}

static const rf_module_class inner_class = {
    .size = sizeof inner_class, .name = "Inner", .forward = inner_forward};

static rf_status outer_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    answers *a = rf_module_self(m);
    ask(a, 'f');
    rf_tensor *x = rf_exp(s, asking(s, a, 'k', in->v[0]));
    out->v[0] = rf_sigmoid(s, rf_module_call1(rf_module_child(m, 0), s, x));
    ask(a, 'f'); /* still, or again, in the outer one */
    return rf_scope_status(s);
}

static const rf_module_class outer_class = {
    .size = sizeof outer_class, .name = "Outer", .forward = outer_forward};

/* X7: nested: everything of a run has its number, the inner one's has another; hooks of the inner
 * module are the outer region's. */
static void test_x7_nested_regions(void **state)
{
    world *w = *state;
    answers a = {.ctx = w->ctx};
    rf_module *outer, *inner;
    uint64_t id;
    static const rf_pass passes[] = {RF_PASS_FORWARD, RF_PASS_RECOMPUTE};
    assert_ok(w->ctx, rf_module_create(&outer, w->ctx, &outer_class, &a));
    assert_ok(w->ctx, rf_module_create(&inner, w->ctx, &inner_class, &a));
    assert_ok(w->ctx, rf_module_add_child(outer, "in", inner));
    assert_ok(w->ctx, rf_module_add_hook(
                          inner, (rf_module_hook){module_pre, module_post, &a, NULL, NULL}, &id));
    assert_ok(w->ctx, rf_checkpoint(outer, NULL));
    assert_ok(w->ctx, rf_checkpoint(inner, NULL));
    rf_trace_set(w->ctx, trace_event, &a);
    rf_tensor *x = world_leaf(w, 4, 4, 0.2);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, rf_module_call1(outer, w->s, x))));
    rf_trace_set(w->ctx, NULL, NULL);
    assert_outside(&a);
    for (int i = 0; i < 2; i++) {
        uint64_t region = find(&a, 'f', passes[i])->region;
        assert_int_not_equal(region, 0);
        for (size_t k = 0; k < a.num; k++)
            if (a.v[k].pass == passes[i] && strchr("fkmn", a.v[k].what))
                assert_int_equal(a.v[k].region, region);
            else if (a.v[k].pass == passes[i])
                assert_true(a.v[k].region && a.v[k].region != region);
    }
    assert_int_equal(count(&a, 'k'), 2);
    assert_int_equal(count(&a, 'j'), 3); /* of depth two: see test_nesting.c */
    assert_int_equal(find(&a, 'j', RF_PASS_FORWARD)->region,
                     find(&a, 'i', RF_PASS_FORWARD)->region);
    assert_int_equal(a.wrong_events, 0);
    rf_module_destroy(outer);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_x7_one_region),
        ROW(test_x7_other_ways),
        ROW(test_x7_nested_regions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
