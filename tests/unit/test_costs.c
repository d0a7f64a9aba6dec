/* test_costs.c: keys of executions, the table of costs, the model, and measuring: every op of the
 * table can be measured, whatever can't be is the model's, and the context is as it was. */
#include "support/world.h"

#include "plan/profile.h"

#include <math.h>
#include <stdio.h>

#include <refrain/trace.h>

/* ---- listening ---- */

/* The kernels that ran, by name, and their costs. */
typedef struct listener {
    rf_costs *costs;
    size_t heard;
    uint64_t last;
    double seconds;
    char names[4096];
} listener;

static void listen(void *payload, const rf_event *event)
{
    listener *l = payload;
    char name[80];
    if (event->kind != RF_EVENT_OP) {
        assert_null(event->call);
        return;
    }
    l->heard++;
    if (l->costs)
        l->last = rf_costs_note(l->costs, event->call);
    snprintf(name, sizeof name, ",%s,", event->op);
    if (!strstr(l->names, name))
        strncat(l->names, name, sizeof l->names - strlen(l->names) - 1);
}

static void listen_begin(listener *l, rf_context *ctx)
{
    *l = (listener){0};
    assert_ok(ctx, rf_costs_create(&l->costs, ctx));
    rf_trace_set(ctx, listen, l);
}

static void listen_end(listener *l, rf_context *ctx)
{
    rf_trace_set(ctx, NULL, NULL);
    rf_costs_destroy(l->costs);
}

/* The key of the kernel that made t, and its text. */
static uint64_t key_of(listener *l, rf_tensor *t, char *text)
{
    assert_non_null(t);
    for (size_t i = 0; i < rf_costs_size(l->costs); i++) {
        rf_cost cost = rf_costs_at(l->costs, i);
        if (cost.key == l->last)
            strcpy(text, cost.text);
    }
    return l->last;
}

/* ---- keys ---- */

static rf_tensor *some(world *w, rf_dtype dtype, int64_t rows, int64_t columns)
{
    return rf_full(w->s, dtype, 2, (int64_t[]){rows, columns}, 0.5);
}

static void test_keys(void **state)
{
    world *w = *state;
    listener l;
    char text[RF_COST_TEXT];
    listen_begin(&l, w->ctx);
    rf_tensor *a = some(w, RF_F32, 3, 4), *b = some(w, RF_F32, 3, 4);
    uint64_t add = key_of(&l, rf_add(w->s, a, b), text);
    assert_string_equal(text, "add f32(3,4) f32(3,4) > f32(3,4)");
    assert_true(add == rf_cost_key_of_text(text, strlen(text)));
    /* Equal: other tensors of the same shapes, whatever they hold; where a view begins. */
    assert_true(add == key_of(&l, rf_add(w->s, b, a), text));
    rf_tensor *tall = some(w, RF_F32, 6, 4);
    assert_true(add == key_of(&l, rf_add(w->s, rf_slice(w->s, tall, 0, 3, 6), b), text));
    /* Different: op, shape, type, strides, attributes. */
    uint64_t keys[8];
    size_t num = 0;
    keys[num++] = add;
    keys[num++] = key_of(&l, rf_mul(w->s, a, b), text);
    keys[num++] = key_of(&l, rf_add(w->s, tall, tall), text);
    rf_tensor *d = some(w, RF_F64, 3, 4);
    keys[num++] = key_of(&l, rf_add(w->s, d, d), text);
    rf_tensor *turned = rf_transpose_axes(w->s, some(w, RF_F32, 4, 3), 0, 1);
    keys[num++] = key_of(&l, rf_add(w->s, turned, b), text);
    assert_string_equal(text, "add f32(3,4)[1,3] f32(3,4) > f32(3,4)");
    keys[num++] = key_of(&l, rf_affine(w->s, a, 2, 0), text);
    assert_non_null(strstr(text, " > f32(3,4) #"));
    keys[num++] = key_of(&l, rf_affine(w->s, a, 3, 0), text);
    rf_tensor *weight = some(w, RF_F32, 2, 4);
    keys[num++] = key_of(&l, rf_linear(w->s, a, weight, NULL), text);
    assert_non_null(strstr(text, "linear f32(3,4) f32(2,4) - > f32(3,2)"));
    for (size_t i = 0; i < num; i++)
        for (size_t j = 0; j < i; j++)
            assert_true(keys[i] != keys[j]);
    /* An axis with one element may have any stride. */
    rf_tensor *row = some(w, RF_F32, 1, 4);
    uint64_t narrow = key_of(&l, rf_add(w->s, row, row), text);
    turned = rf_transpose_axes(w->s, some(w, RF_F32, 4, 3), 0, 1);
    rf_tensor *same = rf_slice(w->s, turned, 0, 0, 1);
    key_of(&l, rf_add(w->s, same, row), text);
    assert_string_equal(text, "add f32(1,4)[0,3] f32(1,4) > f32(1,4)");
    assert_true(narrow != l.last);
    listen_end(&l, w->ctx);
}

/* Shapes without bytes have the keys of the processor's. */
static void test_keys_on_meta(void **state)
{
    world *w = *state;
    listener l;
    char text[RF_COST_TEXT];
    rf_tensor_options opts = RF_TENSOR_OPTIONS_INIT;
    rf_tensor *shape;
    int64_t dims[2] = {3, 4};
    opts.rank = 2;
    opts.dims = dims;
    opts.device = RF_DEVICE_META;
    assert_ok(w->ctx, rf_tensor_create(&shape, w->ctx, &opts));
    listen_begin(&l, w->ctx);
    uint64_t real = key_of(&l, rf_tanh(w->s, some(w, RF_F32, 3, 4)), text);
    uint64_t dry = key_of(&l, rf_tanh(w->s, shape), text);
    assert_true(real == dry);
    /* And are measured all the same. */
    rf_tensor *alone = rf_sigmoid(w->s, shape);
    dry = key_of(&l, alone, text);
    assert_ok(w->ctx, rf_costs_measure(l.costs, NULL));
    assert_int_equal(rf_costs_num(l.costs, RF_COST_MEASURED), rf_costs_size(l.costs));
    assert_true(rf_costs_seconds(l.costs, dry) > 0);
    listen_end(&l, w->ctx);
    rf_tensor_drop(shape);
}

/* ---- the table ---- */

static void test_table(void **state)
{
    world *w = *state;
    rf_costs *costs;
    char text[64];
    assert_ok(w->ctx, rf_costs_create(&costs, w->ctx));
    uint64_t held = world_used(w, RF_MEM_ALL);
    assert_true(rf_costs_seconds(costs, 1) == 0);
    for (int i = 0; i < 3000; i++) {
        snprintf(text, sizeof text, "op number %d", i);
        assert_int_equal(rf_costs_put(costs, text, 1 + i), RF_OK);
    }
    assert_int_equal(rf_costs_put(costs, "op number 7", 1e-3), RF_OK);
    assert_int_equal(rf_costs_put_absent(costs, "op number 8", 1e-3), RF_OK);
    assert_int_equal(rf_costs_size(costs), 3000);
    for (int i = 0; i < 3000; i++) {
        snprintf(text, sizeof text, "op number %d", i);
        double seconds = rf_costs_seconds(costs, rf_cost_key_of_text(text, strlen(text)));
        assert_true(seconds == (i == 7 ? 1e-3 : 1 + i));
    }
    assert_true(rf_costs_total(costs) == 0); /* none was noted */
    assert_int_equal(world_used(w, RF_MEM_ALL), held);
    rf_costs_destroy(costs);
    rf_costs_destroy(NULL);
}

static void test_counts_and_model(void **state)
{
    world *w = *state;
    listener l;
    char text[RF_COST_TEXT];
    rf_tensor *a = some(w, RF_F32, 64, 64), *b = some(w, RF_F32, 64, 64);
    listen_begin(&l, w->ctx);
    for (int i = 0; i < 3; i++)
        assert_non_null(rf_matmul(w->s, a, b));
    uint64_t key = key_of(&l, a, text);
    assert_non_null(rf_reshape(w->s, a, 1, (int64_t[]){-1})); /* no kernel */
    assert_int_equal(rf_costs_size(l.costs), 1);
    rf_cost cost = rf_costs_at(l.costs, 0);
    assert_int_equal(cost.count, 3);
    assert_int_equal(cost.origin, RF_COST_UNKNOWN);
    /* flops 2^19, bytes 3 * 2^14 */
    rf_cost_rates rates = {.flop_rate = 0x1p20, .byte_rate = 0x1p30, .overhead = 2};
    rf_costs_set_rates(l.costs, &rates);
    assert_true(rf_costs_seconds(l.costs, key) == 2.5);
    assert_true(rf_costs_total(l.costs) == 7.5);
    rates.byte_rate = 0x1p14;
    rf_costs_set_rates(l.costs, &rates);
    assert_true(rf_costs_seconds(l.costs, key) == 5);
    rf_costs_reset_counts(l.costs);
    assert_true(rf_costs_total(l.costs) == 0);
    /* A measured cost stays, whatever the rates. */
    assert_int_equal(rf_costs_put(l.costs, text, 0.25), RF_OK);
    rf_costs_set_rates(l.costs, &rates);
    assert_true(rf_costs_seconds(l.costs, key) == 0.25);
    rates = rf_cost_rates_measure(w->ctx);
    assert_true(rates.flop_rate > 0 && rates.byte_rate > 0 && rates.overhead > 0);
    listen_end(&l, w->ctx);
}

/* ---- measuring ---- */

/* Everything that runs for a sample: forward, backward, and the backward that can be recorded. */
static void run_sample(world *w, const rf_op_class *op, const rf_op_sample *sample)
{
    int refused = 0;
    for (int create_graph = 0; create_graph < 2; create_graph++) {
        rf_scope *s, *outer = w->s;
        rf_tensor *in[RF_MAX_INPUTS], *out[RF_MAX_OUTPUTS] = {NULL}, *loss = NULL;
        rf_values from = {in, 0}, to = {out, op->num_out};
        sample_op call = {op, sample};
        rf_backward_options opts = RF_BACKWARD_OPTIONS_INIT;
        opts.create_graph = create_graph;
        assert_ok(w->ctx, rf_scope_open(&s, w->ctx, NULL));
        w->s = s;
        from.num = sample_inputs(s, sample, RF_F32, in);
        assert_ok(w->ctx, sample_call(&call, s, &from, &to));
        for (size_t j = 0; j < to.num; j++)
            if (out[j] && rf_tensor_requires_grad(out[j])) {
                rf_tensor *sum = rf_sum(s, rf_mul(s, out[j], out[j]));
                loss = loss ? rf_add(s, loss, sum) : sum;
            }
        if (loss && !(op->traits & RF_OP_NO_GRAD))
            refused += rf_backward_with(s, loss, &opts) != RF_OK; /* of the second order */
        for (size_t i = 0; i < from.num; i++)
            if (in[i] && rf_tensor_requires_grad(in[i]))
                rf_grad_clear(in[i]);
        w->s = outer;
        rf_scope_close(s);
        assert_true(refused <= create_graph);
    }
}

static void test_every_op_is_measured(void **state)
{
    world *w = *state;
    listener l;
    rf_op_sample sample;
    char name[80];
    listen_begin(&l, w->ctx);
    for (size_t i = 0; i < rf_op_count(w->ctx); i++) {
        const rf_op_class *op = rf_op_at(w->ctx, i);
        for (size_t k = 0; op->sample; k++) {
            memset(&sample, 0, sizeof sample);
            if (!op->sample(k, &sample))
                break;
            run_sample(w, op, &sample);
        }
    }
    rf_trace_set(w->ctx, NULL, NULL);
    for (size_t i = 0; i < rf_op_count(w->ctx); i++) {
        const rf_op_class *op = rf_op_at(w->ctx, i);
        snprintf(name, sizeof name, ",%s,", op->name);
        if (!(op->traits & RF_OP_VIEW) && !strstr(l.names, name))
            fail_msg("no sample runs %s", op->name);
    }
    assert_int_equal(rf_costs_status(l.costs), RF_OK);
    uint64_t held = world_used(w, RF_MEM_ALL);
    rf_rng rng = rf_context_rng(w->ctx);
    assert_ok(w->ctx, rf_costs_measure(
                          l.costs, &(rf_costs_options){sizeof(rf_costs_options), .seconds = 600}));
    for (size_t i = 0; i < rf_costs_size(l.costs); i++) {
        rf_cost cost = rf_costs_at(l.costs, i);
        if (cost.origin != RF_COST_MEASURED || !(cost.seconds > 0))
            fail_msg("%s was not measured", cost.text);
    }
    assert_int_equal(world_used(w, RF_MEM_ALL), held);
    assert_true(rng.seed == rf_context_rng(w->ctx).seed);
    assert_true(rng.offset == rf_context_rng(w->ctx).offset);
    listen_end(&l, w->ctx);
}

/* What measuring must leave alone: tallies, the last error, the ledger; with strides that repeat,
 * swap and skip. */
static void test_leaves_no_trace(void **state)
{
    world *w = *state;
    listener l;
    listen_begin(&l, w->ctx);
    rf_tensor *a = some(w, RF_F32, 5, 7), *x = some(w, RF_F32, 14, 5);
    rf_tensor *turned = rf_transpose_axes(w->s, rf_slice(w->s, x, 0, 3, 10), 0, 1);
    rf_tensor *repeated = rf_expand(w->s, some(w, RF_F32, 5, 1), 2, (int64_t[]){5, 7});
    assert_non_null(rf_add(w->s, rf_mul(w->s, turned, repeated), a));
    assert_non_null(rf_add_inplace(w->s, a, repeated));
    assert_null(rf_add(w->s, a, x));
    assert_int_equal(rf_scope_status(w->s), RF_E_SHAPE);
    rf_scope_clear(w->s);
    uint64_t held = world_used(w, RF_MEM_ALL), adds = world_executed(w, "add");
    char message[256];
    snprintf(message, sizeof message, "%s", rf_context_error(w->ctx)->message);
    rf_trace_set(w->ctx, NULL, NULL);
    assert_ok(w->ctx, rf_costs_measure(l.costs, NULL));
    assert_int_equal(rf_costs_num(l.costs, RF_COST_MEASURED), rf_costs_size(l.costs));
    assert_int_equal(world_used(w, RF_MEM_ALL), held);
    assert_int_equal(world_executed(w, "add"), adds);
    assert_string_equal(rf_context_error(w->ctx)->message, message);
    listen_end(&l, w->ctx);
}

/* ---- what can't be measured ---- */

static size_t calls;
static rf_status counted_forward(rf_op_call *call)
{
    calls++;
    memset(call->out[0].data, 0, 4);
    return RF_OK;
}
static rf_status refused_forward(rf_op_call *call)
{
    float first = *(const float *)call->in[0].data;
    memset(call->out[0].data, 0, 4);
    return first > 0 ? rf_op_fail(call, RF_E_ARGUMENT, "wants nothing above zero") : RF_OK;
}
static rf_status plain_infer(rf_op_call *call)
{
    call->out[0].shape = call->in[0].shape;
    return RF_OK;
}
static const rf_op_class shouting = {.size = sizeof(rf_op_class),
                                     .name = "shouting",
                                     .traits = RF_OP_EFFECT | RF_OP_NO_GRAD,
                                     .num_out = 1,
                                     .infer = plain_infer,
                                     .forward = counted_forward};
static const rf_op_class picky = {.size = sizeof(rf_op_class),
                                  .name = "picky",
                                  .traits = RF_OP_NO_GRAD,
                                  .num_out = 1,
                                  .infer = plain_infer,
                                  .forward = refused_forward};

static int64_t least_id, most_id;
static rf_status looking_forward(rf_op_call *call)
{
    const int32_t *ids = call->in[0].data;
    for (int64_t i = 0; i < call->in[0].shape.dims[0]; i++) {
        least_id = ids[i] < least_id ? ids[i] : least_id;
        most_id = ids[i] > most_id ? ids[i] : most_id;
    }
    memset(call->out[0].data, 0, 4);
    return RF_OK;
}
static int64_t looking_below(const rf_op_call *call, size_t input)
{
    (void)call;
    return input ? 0 : 100;
}
static const rf_op_class looking = {.size = sizeof(rf_op_class),
                                    .name = "looking",
                                    .traits = RF_OP_NO_GRAD,
                                    .num_out = 1,
                                    .infer = plain_infer,
                                    .forward = looking_forward,
                                    .index_below = looking_below};

static void run_one(world *w, const rf_op_class *op, rf_tensor *x)
{
    rf_tensor *y = NULL;
    rf_values in = {&x, 1}, out = {&y, 1};
    assert_ok(w->ctx, rf_op_run(w->s, op, &in, NULL, 0, &out));
}

static void test_what_has_effects_or_refuses(void **state)
{
    world *w = *state;
    listener l;
    rf_tensor *zero = rf_zeros(w->s, RF_F32, 1, (int64_t[]){1});
    listen_begin(&l, w->ctx);
    run_one(w, &shouting, zero);
    run_one(w, &picky, zero);
    calls = 0;
    assert_ok(w->ctx, rf_costs_measure(l.costs, NULL));
    assert_int_equal(calls, 0);
    assert_int_equal(rf_costs_num(l.costs, RF_COST_MODEL), 2);
    assert_true(rf_costs_total(l.costs) > 0);
    assert_int_equal(rf_context_error(w->ctx)->code, RF_OK);
    listen_end(&l, w->ctx);
}

/* Indices are spread over what the op allows, and never beyond. */
static void test_indices(void **state)
{
    world *w = *state;
    listener l;
    rf_tensor *ids = rf_zeros(w->s, RF_I32, 1, (int64_t[]){5000});
    listen_begin(&l, w->ctx);
    run_one(w, &looking, ids);
    least_id = 1000;
    most_id = -1;
    assert_ok(w->ctx, rf_costs_measure(l.costs, NULL));
    assert_int_equal(rf_costs_num(l.costs, RF_COST_MEASURED), 1);
    assert_true(least_id >= 0 && least_id < 20);
    assert_true(most_id < 100 && most_id > 80);
    listen_end(&l, w->ctx);
}

static void test_no_room(void **state)
{
    world *w = *state;
    listener l;
    rf_memory_info info;
    listen_begin(&l, w->ctx);
    rf_tensor *a = some(w, RF_F32, 256, 256), *b = rf_tanh(w->s, a);
    rf_tensor *c = some(w, RF_F32, 4, 4);
    assert_non_null(rf_tanh(w->s, c));
    rf_release(w->s, b);
    assert_ok(w->ctx, rf_memory_get(w->ctx, RF_DEVICE_CPU, RF_MEM_ALL, &info));
    assert_ok(w->ctx, rf_memory_set_limit(w->ctx, RF_DEVICE_CPU, RF_MEM_ALL, info.used + 300000));
    rf_memory_reset_peak(w->ctx);
    assert_ok(w->ctx, rf_costs_measure(l.costs, NULL)); /* tanh of a wants 512 KiB */
    assert_int_equal(rf_costs_num(l.costs, RF_COST_MODEL), 1);
    assert_int_equal(rf_costs_num(l.costs, RF_COST_MEASURED), rf_costs_size(l.costs) - 1);
    uint64_t limit = info.used + 300000, used = info.used;
    assert_ok(w->ctx, rf_memory_get(w->ctx, RF_DEVICE_CPU, RF_MEM_ALL, &info));
    assert_true(info.peak <= limit);
    assert_int_equal(info.used, used);
    assert_ok(w->ctx, rf_memory_set_limit(w->ctx, RF_DEVICE_CPU, RF_MEM_ALL, 0));
    listen_end(&l, w->ctx);
    /* The caller's own limit. */
    listen_begin(&l, w->ctx);
    assert_non_null(rf_sin(w->s, c));
    assert_ok(w->ctx, rf_costs_measure(
                          l.costs, &(rf_costs_options){sizeof(rf_costs_options), .bytes = 127}));
    assert_int_equal(rf_costs_num(l.costs, RF_COST_MODEL), 1);
    assert_non_null(rf_cos(w->s, c));
    assert_ok(w->ctx, rf_costs_measure(
                          l.costs, &(rf_costs_options){sizeof(rf_costs_options), .bytes = 128}));
    assert_int_equal(rf_costs_num(l.costs, RF_COST_MEASURED), 1);
    listen_end(&l, w->ctx);
}

typedef struct stops {
    size_t told, num;
} stops;

static rf_status stop_at_second(void *payload, size_t done, size_t num)
{
    stops *s = payload;
    assert_int_equal(done, s->told);
    s->told++;
    s->num = num;
    return done ? RF_E_USER : RF_OK;
}

static void test_stopping(void **state)
{
    world *w = *state;
    listener l;
    stops s = {0, 0};
    rf_costs_options opts = {sizeof opts, .progress = stop_at_second, .payload = &s};
    listen_begin(&l, w->ctx);
    rf_tensor *large = some(w, RF_F32, 64, 64), *small = some(w, RF_F32, 2, 2);
    rf_costs_destroy(l.costs);
    assert_ok(w->ctx, rf_costs_create(&l.costs, w->ctx));
    assert_non_null(rf_exp(w->s, small));
    assert_non_null(rf_matmul(w->s, large, large));
    assert_non_null(rf_log(w->s, small));
    assert_int_equal(rf_costs_measure(l.costs, &opts), RF_E_USER);
    assert_int_equal(s.told, 2);
    assert_int_equal(s.num, 3);
    /* The dearest came first, and the rest can be measured later. */
    assert_int_equal(rf_costs_num(l.costs, RF_COST_MEASURED), 1);
    assert_int_equal(rf_costs_at(l.costs, 1).origin, RF_COST_MEASURED);
    assert_ok(w->ctx, rf_costs_measure(l.costs, &(rf_costs_options){sizeof(rf_costs_options),
                                                                    .seconds = 1e-12}));
    assert_int_equal(rf_costs_num(l.costs, RF_COST_UNKNOWN), 2);
    assert_ok(w->ctx, rf_costs_measure(l.costs, NULL));
    assert_int_equal(rf_costs_num(l.costs, RF_COST_MEASURED), 3);
    listen_end(&l, w->ctx);
}

/* ---- memory ---- */

/* Note and measure with the k-th allocation failing. Returns 0 when none was left to fail. */
static int fail_kth(uint64_t k)
{
    counting memory = {0};
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    world w;
    rf_costs *costs = NULL;
    listener l = {0};
    opts.alloc = counting_alloc;
    opts.alloc_payload = &memory;
    opts.threads = 1;
    assert_int_equal(rf_context_create(&w.ctx, &opts), RF_OK);
    assert_ok(w.ctx, rf_scope_open(&w.s, w.ctx, NULL));
    rf_tensor *a = some(&w, RF_F32, 9, 9);
    rf_tensor *b = some(&w, RF_F32, 9, 9);
    rf_memory_info before, after;
    assert_ok(w.ctx, rf_memory_get(w.ctx, RF_DEVICE_CPU, RF_MEM_WORKSPACE, &before));
    memory.made = 0;
    memory.fail_at = k;
    rf_status status = rf_costs_create(&costs, w.ctx);
    l.costs = costs;
    if (!status) {
        rf_trace_set(w.ctx, listen, &l);
        (void)rf_add(w.s, rf_matmul(w.s, a, b), b);
        rf_trace_set(w.ctx, NULL, NULL);
        rf_scope_clear(w.s);
        status = rf_costs_measure(costs, NULL);
        assert_true(rf_costs_num(costs, RF_COST_UNKNOWN) == 0 || status == RF_E_MEMORY ||
                    rf_costs_status(costs) == RF_E_MEMORY);
    }
    assert_true(status == RF_OK || status == RF_E_MEMORY);
    int failed = memory.made >= k;
    assert_ok(w.ctx, rf_memory_get(w.ctx, RF_DEVICE_CPU, RF_MEM_WORKSPACE, &after));
    assert_int_equal(before.used, after.used);
    rf_costs_destroy(costs);
    rf_scope_close(w.s);
    rf_context_destroy(w.ctx);
    assert_int_equal(memory.live, 0);
    return failed;
}

static void test_allocations_that_fail(void **state)
{
    (void)state;
    uint64_t k = 1;
    while (fail_kth(k))
        k++;
    assert_true(k > 5);
}

/* What the listener's last call costs, and how many kinds of calls that takes. */
static void listen_cost(void *payload, const rf_event *event)
{
    listener *l = payload;
    if (event->kind == RF_EVENT_OP && !strncmp(event->op, "linear_cross_entropy", 20))
        l->seconds += rf_costs_of(l->costs, event->call);
}

/* Of a head that keeps a part of its tiles the two ends are known alone, and it costs what lies
 * between. */
static void test_between(void **state)
{
    world *w = *state;
    static const int64_t parts[] = {256 * 64 * 4, 0, 256 * 256 * 4, 256 * 128 * 4};
    double seconds[4];
    listener l;
    listen_begin(&l, w->ctx);
    rf_trace_set(w->ctx, listen_cost, &l);
    for (int i = 0; i < 4; i++) {
        rf_linear_cross_entropy_options opts = RF_LINEAR_CROSS_ENTROPY_OPTIONS_INIT;
        rf_tensor *x = some(w, RF_F32, 256, 32), *weight = some(w, RF_F32, 256, 32);
        opts.tile = 256 * 64 * 4;
        opts.logits = RF_LOGITS_PART;
        opts.part = parts[i];
        assert_ok(w->ctx, rf_tensor_set_requires_grad(x, 1));
        rf_tensor *targets = rf_zeros(w->s, RF_I32, 1, (int64_t[]){256});
        l.seconds = 0;
        assert_ok(w->ctx,
                  rf_backward(w->s, rf_linear_cross_entropy(w->s, x, weight, targets, &opts)));
        seconds[i] = l.seconds;
        assert_int_equal(rf_costs_size(l.costs), 4); /* forward and backward, of the ends */
    }
    assert_true(seconds[1] > seconds[0] && seconds[0] > seconds[3] && seconds[3] > seconds[2]);
    assert_true(fabs(seconds[3] - (seconds[1] + seconds[2]) / 2) < 1e-9 * seconds[1]);
    listen_end(&l, w->ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_keys, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_keys_on_meta, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_table, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_counts_and_model, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_every_op_is_measured, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_leaves_no_trace, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_what_has_effects_or_refuses, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_between, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_indices, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_no_room, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(test_stopping, world_setup, world_teardown),
        cmocka_unit_test(test_allocations_that_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
