/* test_batch_norm_once.c: running statistics follow a batch once, however often it is computed. A
 * small ResNet, trained plain and checkpointed in every way, ends with the same parameters and
 * running statistics, bit for bit. */
#include "support/world.h"

#include <refrain/nn.h>
#include <refrain/optim.h>

enum { STEPS = 100, IMAGES = 6, SIDE = 8, CLASSES = 3 };

typedef enum way { PLAIN, BLOCKS, NESTED, WHOLE, NO_EARLY_STOP, WAYS } way;

static int fast(void)
{
    const char *setting = getenv("RF_TEST_FAST");
    return setting && *setting == '1';
}

static rf_module *network(rf_context *ctx)
{
    rf_module *m;
    rf_resnet_options opts = RF_RESNET_OPTIONS_INIT;
    opts.channels = 1;
    opts.classes = CLASSES;
    opts.width = 4;
    opts.blocks[0] = 1;
    opts.blocks[1] = 2;
    opts.blocks[2] = 0;
    opts.small_images = 1;
    assert_ok(ctx, rf_nn_resnet(&m, ctx, &opts));
    return m;
}

static void checkpoint(rf_context *ctx, rf_module *m, const char *path,
                       const rf_checkpoint_options *opts)
{
    assert_non_null(rf_module_find(m, path));
    assert_ok(ctx, rf_checkpoint(rf_module_find(m, path), opts));
}

static void arrange(rf_context *ctx, rf_module *m, way how)
{
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.no_early_stop = how == NO_EARLY_STOP;
    if (how == WHOLE)
        checkpoint(ctx, m, "", NULL);
    for (size_t i = 0; how != PLAIN && how != WHOLE && i < 3; i++)
        assert_ok(ctx, rf_checkpoint(rf_nn_resnet_block(m, i), &opts));
    if (how != NESTED)
        return;
    checkpoint(ctx, m, "layer1", NULL);
    checkpoint(ctx, m, "layer2", NULL);
    checkpoint(ctx, m, "layer1.0.bn1", NULL);
    checkpoint(ctx, m, "layer2.0.downsample", NULL);
    checkpoint(ctx, m, "layer2.0.downsample.1", NULL);
}

/* Images and targets of a step. */
static void batch(rf_scope *s, int step, rf_tensor *pair[2])
{
    float x[IMAGES * SIDE * SIDE];
    int32_t t[IMAGES];
    uint32_t state = (uint32_t)step * 2654435761u + 1;
    for (size_t i = 0; i < sizeof x / sizeof *x; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(state >> 8) * 0x1p-24f;
    }
    for (int i = 0; i < IMAGES; i++)
        t[i] = (step + i) % CLASSES;
    pair[0] = rf_tensor_copy_in(s, RF_F32, 4, (int64_t[]){IMAGES, 1, SIDE, SIDE}, x);
    pair[1] = rf_tensor_copy_in(s, RF_I32, 1, (int64_t[]){IMAGES}, t);
}

static void train_step(rf_context *ctx, rf_module *m, rf_optim *opt, int step)
{
    rf_scope *s;
    rf_tensor *pair[2], *loss = NULL;
    assert_ok(ctx, rf_scope_open(&s, ctx, NULL));
    batch(s, step, pair);
    rf_values in = {pair, 2}, out = {&loss, 1};
    assert_ok(ctx, rf_module_call(m, s, &in, &out));
    assert_ok(ctx, rf_backward(s, loss));
    assert_ok(ctx, rf_optim_step(opt));
    rf_optim_zero_grad(opt);
    rf_scope_close(s);
}

typedef struct bits {
    unsigned char *bytes;
    size_t len;
    int tensors;
} bits;

static rf_status take(void *payload, const char *path, rf_tensor *t)
{
    bits *b = payload;
    size_t n = rf_tensor_bytes(t);
    (void)path;
    b->bytes = realloc(b->bytes, b->len + n);
    assert_non_null(b->bytes);
    rf_status status = rf_tensor_copy_out(t, b->bytes + b->len, n);
    b->len += n;
    b->tensors++;
    return status;
}

/* Parameters, then buffers, after the training. */
static bits trained(way how, uint64_t *updates)
{
    bits b = {0};
    rf_context *ctx;
    rf_optim *opt;
    rf_sgd_options sgd = RF_SGD_OPTIONS_INIT;
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.threads = 2;
    assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
    rf_module *m = network(ctx);
    arrange(ctx, m, how);
    sgd.lr = 0.05;
    sgd.momentum = 0.9;
    assert_ok(ctx, rf_optim_sgd(&opt, m, &sgd));
    for (int i = 0; i < (fast() ? 10 : STEPS); i++)
        train_step(ctx, m, opt, i);
    assert_ok(ctx, rf_module_each_param(m, 0, take, &b));
    assert_int_equal(b.tensors, 3 + 6 + 9 + 6 + 2);
    assert_ok(ctx, rf_module_each_buffer(m, take, &b));
    assert_int_equal(b.tensors, 26 + 16);
    *updates = rf_op_counts_of(ctx, "batch_norm_update").executed;
    rf_optim_destroy(opt);
    rf_module_destroy(m);
    rf_context_destroy(ctx);
    return b;
}

static void test_training_has_the_same_bits(void **state)
{
    uint64_t updates, again;
    bits plain = trained(PLAIN, &updates);
    (void)state;
    assert_int_equal(updates, (fast() ? 10 : STEPS) * 8 * 2); /* 8 norms, mean and var */
    for (way how = BLOCKS; how < WAYS; how++) {
        bits b = trained(how, &again);
        assert_int_equal(again, updates);
        assert_int_equal(b.len, plain.len);
        assert_memory_equal(b.bytes, plain.bytes, b.len);
        free(b.bytes);
    }
    free(plain.bytes);
}

/* ---- one update in a region ---- */

static const rf_op_class *op_named(rf_context *ctx, const char *name)
{
    for (size_t i = 0; i < rf_op_count(ctx); i++)
        if (!strcmp(rf_op_at(ctx, i)->name, name))
            return rf_op_at(ctx, i);
    return NULL;
}

typedef struct follow {
    const rf_op_class *op;
    rf_tensor *running;
    int fail_again; /* the recompute ends with an error */
} follow;

/* exp(exp(x)), and running becomes half of itself and half of four ones. */
static rf_status follow_call(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    const follow *f = payload;
    const double momentum_scale[2] = {0.5, 1};
    rf_tensor *ones = rf_full(s, RF_F32, 1, (int64_t[]){4}, 1), *same = NULL;
    rf_tensor *pair[2] = {f->running, ones};
    rf_values update = {pair, 2}, updated = {&same, 1};
    rf_status status =
        rf_op_run(s, f->op, &update, momentum_scale, sizeof momentum_scale, &updated);
    assert_true(status || same == f->running);
    if (f->fail_again && rf_pass_current(s) == RF_PASS_RECOMPUTE)
        return rf_scope_fail(s, RF_E_ARGUMENT, "as was asked for");
    out->v[0] = rf_exp(s, rf_exp(s, in->v[0]));
    return rf_scope_status(s);
}

/* The first element of running after a forward and a backward. */
static double followed(world *w, follow *f, rf_status want)
{
    float value[4];
    f->running = rf_zeros(w->s, RF_F32, 1, (int64_t[]){4});
    uint32_t version = rf_tensor_version(f->running);
    rf_tensor *y =
        world_region(w, (rf_function){follow_call, f, NULL}, world_leaf(w, 2, 3, 0.1), NULL);
    assert_int_equal(rf_tensor_version(f->running), version + 1);
    assert_int_equal(rf_backward(w->s, rf_sum(w->s, y)), want);
    if (f->op->traits & RF_OP_ONCE)
        assert_int_equal(rf_tensor_version(f->running), version + 1);
    assert_ok(w->ctx, rf_tensor_copy_out(f->running, value, sizeof value));
    return (double)value[0];
}

static void test_without_the_trait_it_would_happen_twice(void **state)
{
    world *w = *state;
    rf_op_class twice = *op_named(w->ctx, "batch_norm_update");
    follow f = {.op = op_named(w->ctx, "batch_norm_update")};
    assert_true(followed(w, &f, RF_OK) == 0.5);
    twice.traits &= ~(uint32_t)RF_OP_ONCE;
    f.op = &twice;
    assert_true(followed(w, &f, RF_OK) == 0.75);
}

/* What a recompute leaves behind, however it ended, is a context in which effects happen. */
static void test_after_a_recompute_that_failed(void **state)
{
    world *w = *state;
    follow f = {.op = op_named(w->ctx, "batch_norm_update"), .fail_again = 1};
    assert_true(followed(w, &f, RF_E_ARGUMENT) == 0.5);
    rf_scope_clear(w->s);
    f.fail_again = 0;
    assert_true(followed(w, &f, RF_OK) == 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training_has_the_same_bits),
        cmocka_unit_test_setup_teardown(test_without_the_trait_it_would_happen_twice, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(test_after_a_recompute_that_failed, world_setup,
                                        world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
