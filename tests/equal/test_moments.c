/* test_moments.c: moments that wait in the file give the bits of those in memory, in every rule, in
 * steps and in backwards, saved and loaded; what they take is in the ledger, and is a constant. */
#include "support/bag.h"
#include "support/files.h"
#include "support/gpt.h"

#include <stdio.h>

enum { STEPS = 7, BUFFERS = 3 * (4 << 20) + 4096 };

static rf_context *context(size_t threads)
{
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_context *ctx;
    opts.threads = threads;
    opts.seed = 3;
    assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
    return ctx;
}

static uint64_t used(rf_context *ctx, rf_device device, rf_mem_class cls)
{
    rf_memory_info info;
    assert_ok(ctx, rf_memory_get(ctx, device, cls, &info));
    return info.used;
}

/* ---- steps ---- */

static unsigned char *train(int rule, rf_device moments, size_t threads, size_t *len)
{
    rf_context *ctx = context(threads);
    bag b;
    assert_ok(ctx, bag_begin(&b, ctx, RF_DEVICE_CPU, 0));
    assert_ok(ctx, bag_optim(&b, rule, moments));
    for (int step = 0; step < STEPS; step++)
        assert_ok(ctx, bag_step(&b, step));
    assert_int_equal(rf_optim_steps(b.optim), STEPS);
    unsigned char *bits = bag_bits(&b, len);
    assert_non_null(bits);
    bag_end(&b);
    assert_int_equal(used(ctx, RF_DEVICE_FILE, RF_MEM_ALL), 0);
    rf_context_destroy(ctx);
    return bits;
}

static void test_bits_for_every_rule(void **state)
{
    (void)state;
    for (int rule = 0; rule < BAG_RULES; rule++) {
        size_t wanted_len, len;
        unsigned char *wanted = train(rule, RF_DEVICE_CPU, 1, &wanted_len);
        for (size_t threads = 1; threads <= 2; threads++) {
            unsigned char *bits = train(rule, RF_DEVICE_FILE, threads, &len);
            assert_int_equal(len, wanted_len);
            assert_memory_equal(bits, wanted, len);
            free(bits);
        }
        free(wanted);
    }
}

/* ---- inside the backward ---- */

static rf_status gpt_loss(gpt *g, rf_scope *s, uint32_t n, rf_tensor **loss)
{
    int32_t ids[GPT_BATCH * GPT_CONTEXT + 1];
    int64_t dims[2] = {GPT_BATCH, g->context};
    rf_tensor *in[2];
    rf_values from = {in, 2}, to = {loss, 1};
    for (uint32_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        ids[i] = (int32_t)((i * i * 7 + n * 13 + i) % GPT_VOCAB);
    in[0] = rf_tensor_copy_in(s, RF_I32, 2, dims, ids);
    in[1] = rf_tensor_copy_in(s, RF_I32, 2, dims, ids + 1);
    return rf_module_call(g->model, s, &from, &to);
}

static void gpt_train(gpt *g, int together, uint32_t begin, uint32_t end)
{
    rf_context *ctx = rf_module_context(g->model);
    for (uint32_t n = begin; n < end; n++) {
        rf_scope *s;
        rf_tensor *loss = NULL;
        float value;
        if (!together) {
            assert_ok(ctx, gpt_step(g, n, &value));
            continue;
        }
        assert_ok(ctx, rf_scope_open(&s, ctx, NULL));
        assert_ok(ctx, gpt_loss(g, s, n, &loss));
        assert_ok(ctx, rf_optim_backward(g->optim, s, loss, NULL));
        rf_scope_close(s);
    }
}

static void gpt_begin(gpt *g, rf_context *ctx, int form, rf_device moments)
{
    rf_adamw_options adamw = RF_ADAMW_OPTIONS_INIT;
    adamw.moments = moments;
    adamw.weight_decay = 0.1;
    assert_ok(ctx, gpt_create(g, ctx, 0.1));
    rf_optim_destroy(g->optim);
    assert_ok(ctx, rf_optim_adamw(&g->optim, g->model, &adamw));
    assert_ok(ctx, gpt_apply(g, form));
}

static void gpt_save(gpt *g, const char *path)
{
    rf_state state = RF_STATE_INIT;
    state.module = g->model;
    state.optim = g->optim;
    assert_ok(rf_module_context(g->model), rf_state_save(&state, path));
}

static void gpt_run(int form, rf_device moments, int together, const char *path)
{
    rf_context *ctx = context(1);
    gpt g;
    gpt_begin(&g, ctx, form, moments);
    gpt_train(&g, together, 0, STEPS);
    gpt_save(&g, path);
    gpt_destroy(&g);
    rf_context_destroy(ctx);
}

static void same_files(const char *a, const char *b)
{
    size_t len;
    unsigned char *bytes = files_get(a, &len);
    assert_true(files_equal(b, bytes, len));
    free(bytes);
}

static void test_state_files_are_the_same(void **state)
{
    (void)state;
    gpt_run(GPT_PLAIN, RF_DEVICE_CPU, 0, "apart");
    gpt_run(GPT_PLAIN, RF_DEVICE_FILE, 0, "apart.file");
    same_files("apart", "apart.file");
    for (int form = GPT_PLAIN; form <= GPT_SEQUENTIAL; form++) {
        gpt_run(form, RF_DEVICE_CPU, 1, "together");
        gpt_run(form, RF_DEVICE_FILE, 1, "together.file");
        same_files("together", "together.file");
    }
}

/* Saved by one, gone on with by the other. */
static void test_a_state_goes_either_way(void **state)
{
    (void)state;
    gpt_run(GPT_PLAIN, RF_DEVICE_CPU, 1, "whole");
    for (int way = 0; way < 4; way++) {
        rf_state saved = RF_STATE_INIT;
        rf_context *ctx = context(1);
        gpt g;
        gpt_begin(&g, ctx, GPT_PLAIN, way & 1 ? RF_DEVICE_FILE : RF_DEVICE_CPU);
        gpt_train(&g, 1, 0, 4);
        gpt_save(&g, "half");
        gpt_destroy(&g);
        gpt_begin(&g, ctx, GPT_BLOCK, way & 2 ? RF_DEVICE_FILE : RF_DEVICE_CPU);
        gpt_train(&g, 1, 0, 2); /* something to be overwritten */
        saved.module = g.model;
        saved.optim = g.optim;
        assert_ok(ctx, rf_state_load(&saved, "half"));
        gpt_train(&g, 1, 4, STEPS);
        gpt_save(&g, "half");
        same_files("whole", "half");
        gpt_destroy(&g);
        rf_context_destroy(ctx);
    }
}

/* A visitor may write through the address; nobody has to be told. */
static rf_status poke(void *payload, const char *path, rf_tensor *t)
{
    unsigned char *p = rf_tensor_data(t);
    (void)payload;
    if (strcmp(path, "step"))
        for (size_t i = 0; i < rf_tensor_bytes(t); i++)
            p[i] = (unsigned char)((p[i] * 3 + i) % 59);
    return RF_OK;
}

static void test_visitors_may_write(void **state)
{
    unsigned char *bits[2];
    size_t len[2];
    (void)state;
    for (int i = 0; i < 2; i++) {
        rf_context *ctx = context(1);
        bag b;
        assert_ok(ctx, bag_begin(&b, ctx, RF_DEVICE_CPU, 0));
        assert_ok(ctx, bag_optim(&b, 4, i ? RF_DEVICE_FILE : RF_DEVICE_CPU));
        assert_ok(ctx, bag_step(&b, 0));
        assert_ok(ctx, rf_optim_each_state(b.optim, poke, NULL));
        assert_ok(ctx, bag_step(&b, 1));
        bits[i] = bag_bits(&b, &len[i]);
        bag_end(&b);
        rf_context_destroy(ctx);
    }
    assert_int_equal(len[0], len[1]);
    assert_memory_equal(bits[0], bits[1], len[0]);
    free(bits[0]);
    free(bits[1]);
}

/* One parameter alone comes after itself, and must not be read before it was written. */
static void test_a_single_parameter(void **state)
{
    (void)state;
    for (int small = 0; small < 2; small++) {
        unsigned char *bits[2];
        size_t len[2];
        for (int i = 0; i < 2; i++) {
            rf_context *ctx = context(1);
            bag b;
            assert_ok(ctx, bag_begin(&b, ctx, RF_DEVICE_CPU, small));
            for (int k = 1; k < BAG_PARAMS; k++)
                assert_ok(ctx, rf_tensor_set_requires_grad(b.params[k], 0));
            assert_ok(ctx, bag_optim(&b, 4, i ? RF_DEVICE_FILE : RF_DEVICE_CPU));
            for (int step = 0; step < STEPS; step++)
                assert_ok(ctx, bag_step(&b, step));
            bits[i] = bag_bits(&b, &len[i]);
            bag_end(&b);
            rf_context_destroy(ctx);
        }
        assert_int_equal(len[0], len[1]);
        assert_memory_equal(bits[0], bits[1], len[0]);
        free(bits[0]);
        free(bits[1]);
    }
}

/* A parameter whose elements have gaps keeps its moments in memory, and moves like any other. */
static unsigned char *train_with_gaps(rf_device moments, size_t *len)
{
    rf_context *ctx = context(1);
    rf_scope *s;
    bag b;
    assert_ok(ctx, bag_begin(&b, ctx, RF_DEVICE_CPU, 1));
    assert_ok(ctx, rf_scope_open(&s, ctx, NULL));
    rf_scope_set_grad(s, 0);
    rf_tensor *gaps = rf_transpose_axes(s, rf_full(s, RF_F32, 2, (int64_t[]){30, 20}, 0.5), 0, 1);
    assert_non_null(gaps);
    assert_ok(ctx, rf_module_add_param(b.m, "gaps", gaps));
    assert_ok(ctx, bag_optim(&b, 4, moments));
    if (moments == RF_DEVICE_FILE)
        assert_int_equal(used(ctx, RF_DEVICE_FILE, RF_MEM_OPTIM), 2 * b.bytes);
    for (int step = 0; step < STEPS; step++) {
        rf_tensor *g = rf_full(s, RF_F32, 2, (int64_t[]){20, 30}, 0.1 * (step - 3));
        assert_ok(ctx, rf_grad_set(gaps, g));
        assert_ok(ctx, bag_step(&b, step));
    }
    unsigned char *bits = bag_bits(&b, len);
    rf_scope_close(s);
    bag_end(&b);
    rf_context_destroy(ctx);
    return bits;
}

static void test_elements_with_gaps(void **state)
{
    size_t len[2];
    (void)state;
    unsigned char *memory = train_with_gaps(RF_DEVICE_CPU, &len[0]);
    unsigned char *file = train_with_gaps(RF_DEVICE_FILE, &len[1]);
    assert_int_equal(len[0], len[1]);
    assert_memory_equal(file, memory, len[0]);
    free(memory);
    free(file);
}

/* Room that another optimiser wrote into before. */
static void test_used_room_is_zeros(void **state)
{
    (void)state;
    for (int rule = 1; rule < BAG_RULES; rule++) {
        rf_context *ctx = context(1);
        size_t len, wanted_len;
        unsigned char *wanted = train(rule, RF_DEVICE_CPU, 1, &wanted_len);
        bag first, second, b;
        assert_ok(ctx, bag_begin(&first, ctx, RF_DEVICE_CPU, 0));
        assert_ok(ctx, bag_optim(&first, rule, RF_DEVICE_FILE));
        assert_ok(ctx, bag_begin(&second, ctx, RF_DEVICE_CPU, 1));
        assert_ok(ctx, bag_optim(&second, rule, RF_DEVICE_FILE));
        assert_ok(ctx, bag_step(&first, 3));
        bag_end(&first);
        assert_ok(ctx, bag_begin(&b, ctx, RF_DEVICE_CPU, 0));
        assert_ok(ctx, bag_optim(&b, rule, RF_DEVICE_FILE));
        for (int step = 0; step < STEPS; step++) {
            assert_ok(ctx, bag_step(&b, step));
            assert_ok(ctx, bag_step(&second, step));
        }
        unsigned char *bits = bag_bits(&b, &len);
        assert_int_equal(len, wanted_len);
        assert_memory_equal(bits, wanted, len);
        free(bits);
        free(wanted);
        bag_end(&b);
        bag_end(&second);
        rf_context_destroy(ctx);
    }
}

/* ---- bytes ---- */

static void test_memory_is_a_constant(void **state)
{
    rf_context *ctx = context(1);
    bag b;
    (void)state;
    assert_ok(ctx, bag_begin(&b, ctx, RF_DEVICE_CPU, 0));
    assert_ok(ctx, rf_memory_set_limit(ctx, RF_DEVICE_CPU, RF_MEM_OPTIM, BUFFERS + 40));
    assert_int_equal(bag_optim(&b, 4, RF_DEVICE_CPU), RF_E_BUDGET);
    assert_ok(ctx, bag_optim(&b, 4, RF_DEVICE_FILE));
    assert_int_equal(used(ctx, RF_DEVICE_CPU, RF_MEM_OPTIM), BUFFERS + BAG_PARAMS * 8);
    assert_int_equal(used(ctx, RF_DEVICE_FILE, RF_MEM_OPTIM), 2 * b.bytes);
    assert_int_equal(used(ctx, RF_DEVICE_FILE, RF_MEM_ALL), 2 * b.bytes);
    rf_memory_info info;
    assert_ok(ctx, rf_memory_get(ctx, RF_DEVICE_CPU, RF_MEM_OPTIM, &info));
    uint64_t allocations = info.allocations;
    for (int step = 0; step < 3; step++) {
        assert_ok(ctx, bag_step(&b, step));
        rf_memory_reset_peak(ctx);
        assert_ok(ctx, rf_memory_get(ctx, RF_DEVICE_CPU, RF_MEM_OPTIM, &info));
        assert_int_equal(info.peak, BUFFERS + BAG_PARAMS * 8);
        assert_int_equal(info.allocations, allocations);
        assert_int_equal(used(ctx, RF_DEVICE_FILE, RF_MEM_OPTIM), 2 * b.bytes);
    }
    bag_end(&b);
    assert_int_equal(used(ctx, RF_DEVICE_CPU, RF_MEM_OPTIM), 0);
    assert_int_equal(used(ctx, RF_DEVICE_FILE, RF_MEM_ALL), 0);
    rf_context_destroy(ctx);
}

/* A model that is smaller than a buffer has smaller ones. */
static void test_small_models_take_little(void **state)
{
    rf_context *ctx = context(1);
    bag b;
    (void)state;
    assert_ok(ctx, bag_begin(&b, ctx, RF_DEVICE_CPU, 1));
    assert_ok(ctx, bag_optim(&b, 4, RF_DEVICE_FILE));
    assert_int_equal(used(ctx, RF_DEVICE_CPU, RF_MEM_OPTIM),
                     3 * 2 * 8192 + 4096 + BAG_PARAMS * 8); /* 40 x 50 floats are two pages */
    bag_end(&b);
    rf_context_destroy(ctx);
}

static void test_shapes_alone(void **state)
{
    uint64_t bytes[2];
    (void)state;
    for (int meta = 0; meta < 2; meta++) {
        rf_device device = meta ? RF_DEVICE_META : RF_DEVICE_CPU;
        rf_context *ctx = context(1);
        bag b;
        assert_ok(ctx, bag_begin(&b, ctx, device, 0));
        assert_ok(ctx, bag_optim(&b, 4, RF_DEVICE_FILE));
        assert_ok(ctx, rf_optim_step(b.optim));
        assert_int_equal(rf_optim_steps(b.optim), 1);
        bytes[meta] = used(ctx, device, RF_MEM_OPTIM);
        bag_end(&b);
        assert_int_equal(used(ctx, device, RF_MEM_OPTIM), 0);
        rf_context_destroy(ctx);
    }
    assert_int_equal(bytes[0], bytes[1]);
}

/* ---- dry runs ---- */

static rf_status predicted_step(void *payload)
{
    gpt *g = payload;
    rf_scope *s;
    rf_tensor *loss = NULL;
    rf_status status = rf_scope_open(&s, rf_module_context(g->model), NULL);
    if (status)
        return status;
    status = gpt_loss(g, s, 5, &loss);
    if (!status)
        status = rf_optim_backward(g->optim, s, loss, NULL);
    rf_scope_close(s);
    return status;
}

/* What a step takes is foretold, and asking for it changes nothing. */
static void test_a_step_is_foretold(void **state)
{
    (void)state;
    gpt_run(GPT_BLOCK, RF_DEVICE_FILE, 1, "unasked");
    rf_context *ctx = context(1);
    gpt g;
    gpt_begin(&g, ctx, GPT_BLOCK, RF_DEVICE_FILE);
    for (uint32_t n = 0; n < STEPS; n++) {
        rf_prediction told = RF_PREDICTION_INIT;
        rf_memory_info info;
        if (n % 3 == 0)
            assert_ok(ctx, rf_predict(&told, ctx, &(rf_training_step){predicted_step, &g}, NULL));
        rf_memory_reset_peak(ctx);
        gpt_train(&g, 1, n, n + 1);
        for (int cls = RF_MEM_ALL; cls < RF_MEM_CLASSES && n % 3 == 0; cls++) {
            assert_ok(ctx, rf_memory_get(ctx, RF_DEVICE_CPU, (rf_mem_class)cls, &info));
            assert_int_equal(told.peak[cls], info.peak);
        }
        assert_ok(ctx, rf_memory_get(ctx, RF_DEVICE_FILE, RF_MEM_ALL, &info));
        assert_int_equal(n % 3 ? info.peak : told.file, info.peak);
    }
    gpt_save(&g, "asked");
    same_files("unasked", "asked");
    gpt_destroy(&g);
    rf_context_destroy(ctx);
}

/* In a context without bytes there is no file, and the ledger is that of the real thing. */
static void test_a_dry_context(void **state)
{
    uint64_t bytes[2][3];
    (void)state;
    for (int dry = 0; dry < 2; dry++) {
        rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
        rf_context *ctx;
        gpt g;
        opts.dry = dry;
        opts.spill_folder = dry ? "no/such/folder" : ".";
        assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
        gpt_begin(&g, ctx, GPT_BLOCK, RF_DEVICE_FILE);
        assert_ok(ctx, predicted_step(&g));
        bytes[dry][0] = used(ctx, RF_DEVICE_CPU, RF_MEM_OPTIM);
        bytes[dry][1] = used(ctx, RF_DEVICE_FILE, RF_MEM_OPTIM);
        bytes[dry][2] = used(ctx, RF_DEVICE_CPU, RF_MEM_ALL);
        gpt_destroy(&g);
        assert_int_equal(used(ctx, RF_DEVICE_FILE, RF_MEM_ALL), 0);
        rf_context_destroy(ctx);
    }
    assert_memory_equal(bytes[0], bytes[1], sizeof bytes[0]);
}

/* ---- what is read and written ---- */

typedef struct traffic {
    size_t reads, writes;
    uint64_t read, written;
} traffic;

static void traffic_note(void *payload, const rf_event *e)
{
    traffic *t = payload;
    if (e->kind != RF_EVENT_COPY)
        return;
    assert_int_equal(e->device, RF_DEVICE_FILE);
    assert_int_equal(e->cls, RF_MEM_OPTIM);
    assert_true(e->end >= e->begin);
    t->reads += e->bytes < 0;
    t->writes += e->bytes > 0;
    t->read += e->bytes < 0 ? (uint64_t)-e->bytes : 0;
    t->written += e->bytes > 0 ? (uint64_t)e->bytes : 0;
}

/* Nothing is read before it was written, and from the second backward on, whose order is known,
 * everything is read once and written once. */
static void test_each_is_read_once_and_written_once(void **state)
{
    rf_context *ctx = context(1);
    traffic all[4] = {{0, 0, 0, 0}};
    gpt g;
    (void)state;
    gpt_begin(&g, ctx, GPT_PLAIN, RF_DEVICE_FILE);
    for (uint32_t n = 0; n < 4; n++) {
        rf_trace_set(ctx, traffic_note, &all[n]);
        gpt_train(&g, 1, n, n + 1);
        rf_trace_set(ctx, NULL, NULL);
    }
    assert_int_equal(all[0].reads, 0);
    for (int n = 1; n < 4; n++) {
        assert_int_equal(all[n].writes, all[0].writes);
        assert_int_equal(all[n].written, all[0].written);
        assert_int_equal(all[n].reads, all[n].writes);
        assert_int_equal(all[n].read, all[n].written);
    }
    /* every parameter has its pages */
    assert_true(all[0].written >= used(ctx, RF_DEVICE_FILE, RF_MEM_OPTIM));
    gpt_destroy(&g);
    rf_context_destroy(ctx);
}

/* Reading ahead and writing behind run while the rule does. */
typedef struct spans {
    double begin[64], end[64];
    int away[64];
    size_t num;
} spans;

static void spans_note(void *payload, const rf_event *e)
{
    spans *all = payload;
    if (e->kind != RF_EVENT_COPY || all->num == 64)
        return;
    all->begin[all->num] = e->begin;
    all->end[all->num] = e->end;
    all->away[all->num++] = e->bytes > 0;
}

/* The chunk behind the one that is moved was asked for before that one was sent. */
static void test_the_next_is_read_ahead(void **state)
{
    rf_context *ctx = context(1);
    spans all = {.num = 0};
    bag b;
    (void)state;
    assert_ok(ctx, bag_begin(&b, ctx, RF_DEVICE_CPU, 0));
    assert_ok(ctx, bag_optim(&b, 4, RF_DEVICE_FILE));
    assert_ok(ctx, bag_step(&b, 0));
    assert_ok(ctx, bag_step(&b, 1));
    rf_trace_set(ctx, spans_note, &all);
    assert_ok(ctx, bag_step(&b, 3));
    rf_trace_set(ctx, NULL, NULL);
    size_t ahead = 0, writes = 0;
    for (size_t i = 0; i < all.num; i++) { /* in order of time: a read between any two writes */
        size_t before = 0;
        writes += (size_t)all.away[i];
        for (size_t k = 0; all.away[i] && k < all.num; k++)
            before += !all.away[k] && all.begin[k] < all.begin[i];
        ahead += before > writes;
    }
    assert_int_equal(writes, 3 + 2 + 1 + 1);
    assert_int_equal(ahead, writes - 1);
    bag_end(&b);
    rf_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits_for_every_rule),
        cmocka_unit_test(test_state_files_are_the_same),
        cmocka_unit_test(test_a_state_goes_either_way),
        cmocka_unit_test(test_visitors_may_write),
        cmocka_unit_test(test_a_single_parameter),
        cmocka_unit_test(test_elements_with_gaps),
        cmocka_unit_test(test_used_room_is_zeros),
        cmocka_unit_test(test_memory_is_a_constant),
        cmocka_unit_test(test_small_models_take_little),
        cmocka_unit_test(test_shapes_alone),
        cmocka_unit_test(test_a_step_is_foretold),
        cmocka_unit_test(test_a_dry_context),
        cmocka_unit_test(test_each_is_read_once_and_written_once),
        cmocka_unit_test(test_the_next_is_read_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
