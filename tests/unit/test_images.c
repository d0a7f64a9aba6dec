/* test_images.c: what ops and layers on images refuse, batch norm's statistics against plain
 * computation, the names and sizes of a ResNet. */
#include "support/world.h"

#include <refrain/nn.h>

#include <math.h>

static rf_tensor *images(world *w, int64_t n, int64_t c, int64_t side)
{
    return rf_reshape(w->s, world_leaf(w, n * c, side * side, 0.3), 4,
                      (int64_t[]){n, c, side, side});
}

static void refused(world *w, const rf_tensor *result, rf_status status)
{
    assert_null(result);
    assert_int_equal(rf_scope_status(w->s), status);
    assert_true(strlen(rf_context_error(w->ctx)->message) > 8);
    rf_scope_clear(w->s);
}

static void test_convolutions_that_are_refused(void **state)
{
    world *w = *state;
    for (int i = 0; i < 9; i++) {
        static const rf_status want[9] = {RF_E_SHAPE, RF_E_SHAPE, RF_E_SHAPE,
                                          RF_E_SHAPE, RF_E_SHAPE, RF_E_ARGUMENT,
                                          RF_E_SHAPE, RF_E_SHAPE, RF_E_ARGUMENT};
        rf_conv2d_options o = RF_CONV2D_OPTIONS_INIT;
        rf_tensor *x = images(w, 2, 4, 5), *k = images(w, 6, 4, 3);
        if (i == 0)
            k = images(w, 6, 3, 3); /* another number of channels */
        if (i == 1)
            k = images(w, 6, 4, 6); /* larger than the image */
        o.stride[1] = i == 2 ? -1 : 0;
        o.padding[0] = i == 3 ? -1 : i == 7 ? INT64_MAX / 2 : 0;
        o.groups = i == 4 ? 3 : 0;
        if (i == 5)
            x = NULL;
        if (i == 6)
            x = world_leaf(w, 3, 3, 0.1);
        if (i == 8)
            o.size = 1;
        refused(w, rf_conv2d(w->s, x, k, NULL, &o), want[i]);
    }
    refused(w,
            rf_conv2d(w->s, images(w, 2, 4, 5), images(w, 6, 4, 3), world_leaf(w, 1, 6, 0), NULL),
            RF_E_SHAPE);
}

static void test_pools_that_are_refused(void **state)
{
    world *w = *state;
    for (int i = 0; i < 5; i++) {
        rf_pool2d_options o = {sizeof o, {2, 2}, {0, 0}, {0, 0}};
        rf_tensor *x = images(w, 1, 2, 4);
        o.kernel[0] = i == 0 ? 0 : i == 1 ? 5 : 2;
        o.padding[1] = i == 2 ? 2 : 0;
        o.stride[0] = i == 3 ? -1 : 0;
        if (i == 4)
            x = world_leaf(w, 3, 3, 0.1);
        refused(w, rf_max_pool2d(w->s, x, &o), RF_E_SHAPE);
        refused(w, rf_avg_pool2d(w->s, i == 4 ? world_leaf(w, 3, 3, 0.1) : images(w, 1, 2, 4), &o),
                RF_E_SHAPE);
    }
    refused(w, rf_max_pool2d(w->s, images(w, 1, 2, 4), NULL), RF_E_ARGUMENT);
}

static void test_batch_norms_that_are_refused(void **state)
{
    world *w = *state;
    rf_batch_norm_options o = RF_BATCH_NORM_OPTIONS_INIT;
    rf_batch_norm_tensors with = {NULL, NULL, NULL, NULL};
    refused(w, rf_batch_norm(w->s, images(w, 2, 3, 2), NULL, NULL), RF_E_ARGUMENT);
    o.training = 1;
    refused(w, rf_batch_norm(w->s, images(w, 1, 3, 1), NULL, &o), RF_E_SHAPE);
    refused(w, rf_batch_norm(w->s, rf_zeros(w->s, RF_F32, 1, (int64_t[]){3}), NULL, &o),
            RF_E_SHAPE);
    with.running_mean = rf_zeros(w->s, RF_F32, 1, (int64_t[]){3});
    refused(w, rf_batch_norm(w->s, images(w, 2, 3, 2), &with, &o), RF_E_ARGUMENT);
    with.running_mean = rf_zeros(w->s, RF_F32, 1, (int64_t[]){3});
    with.running_var = rf_zeros(w->s, RF_F32, 1, (int64_t[]){4});
    refused(w, rf_batch_norm(w->s, images(w, 2, 3, 2), &with, &o), RF_E_SHAPE);
    o.momentum = 1.5;
    refused(w, rf_batch_norm(w->s, images(w, 2, 3, 2), NULL, &o), RF_E_ARGUMENT);
}

/* Two batches; then evaluation uses what they left. */
static void test_running_statistics(void **state)
{
    enum { N = 3, C = 2, SIDE = 2, EACH = N * SIDE * SIDE };
    world *w = *state;
    rf_module *m;
    rf_nn_batch_norm_options opts = {sizeof opts, 0.25, 1e-3};
    float x[N * C * SIDE * SIDE], y[N * C * SIDE * SIDE], got[2][C];
    double mean[C] = {0, 0}, var[C] = {1, 1};
    assert_ok(w->ctx, rf_nn_batch_norm2d(&m, w->ctx, C, &opts));
    for (int step = 0; step < 2; step++) {
        rf_tensor *t = rf_affine(w->s, images(w, N, C, SIDE), 1 + step, step);
        assert_ok(w->ctx, rf_tensor_copy_out(t, x, sizeof x));
        assert_non_null(rf_module_call1(m, w->s, t));
        for (int c = 0; c < C; c++) {
            double sum = 0, square = 0;
            for (int i = 0; i < EACH; i++)
                sum += (double)x[(i / 4 * C + c) * 4 + i % 4] / EACH;
            for (int i = 0; i < EACH; i++)
                square += pow((double)x[(i / 4 * C + c) * 4 + i % 4] - sum, 2) / (EACH - 1);
            mean[c] = 0.75 * mean[c] + 0.25 * sum;
            var[c] = 0.75 * var[c] + 0.25 * square;
        }
    }
    assert_ok(w->ctx,
              rf_tensor_copy_out(rf_module_buffer(m, "running_mean"), got[0], sizeof got[0]));
    assert_ok(w->ctx,
              rf_tensor_copy_out(rf_module_buffer(m, "running_var"), got[1], sizeof got[1]));
    for (int c = 0; c < C; c++) {
        assert_true(fabs(mean[c] - (double)got[0][c]) < 1e-5);
        assert_true(fabs(var[c] - (double)got[1][c]) < 1e-5);
    }
    rf_module_train(m, 0);
    uint32_t version = rf_tensor_version(rf_module_buffer(m, "running_var"));
    rf_tensor *t = images(w, N, C, SIDE);
    assert_ok(w->ctx, rf_tensor_copy_out(t, x, sizeof x));
    assert_ok(w->ctx, rf_tensor_copy_out(rf_module_call1(m, w->s, t), y, sizeof y));
    for (int i = 0; i < N * C * 4; i++)
        assert_true(fabs((double)y[i] -
                         ((double)x[i] - mean[i / 4 % C]) / sqrt(var[i / 4 % C] + 1e-3)) < 1e-5);
    assert_int_equal(rf_tensor_version(rf_module_buffer(m, "running_var")), version);
    rf_module_destroy(m);
}

static rf_status add_count(void *payload, const char *path, rf_tensor *t)
{
    (void)path;
    *(int64_t *)payload += rf_tensor_count(t);
    return RF_OK;
}

/* As published: 11 689 512 parameters, 20 norms; and it takes images of any size. */
static void test_resnet_18(void **state)
{
    static const char *const names[] = {"conv1.weight",
                                        "bn1.bias",
                                        "layer1.0.conv1.weight",
                                        "layer1.1.bn2.weight",
                                        "layer2.0.downsample.0.weight",
                                        "layer2.0.downsample.1.bias",
                                        "layer4.1.conv2.weight",
                                        "fc.weight",
                                        "fc.bias"};
    world *w = *state;
    rf_module *m;
    int64_t count = 0, buffers = 0;
    assert_ok(w->ctx, rf_nn_resnet(&m, w->ctx, NULL));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_non_null(rf_module_param(m, names[i]));
    assert_non_null(rf_module_buffer(m, "layer3.1.bn1.running_var"));
    assert_null(rf_module_param(m, "conv1.bias"));
    assert_null(rf_module_find(m, "layer1.0.downsample"));
    assert_ok(w->ctx, rf_module_each_param(m, 0, add_count, &count));
    assert_ok(w->ctx, rf_module_each_buffer(m, add_count, &buffers));
    assert_int_equal(count, 11689512);
    assert_int_equal(buffers, 2 * 4800);
    for (size_t i = 0; i < 8; i++)
        assert_non_null(rf_nn_resnet_block(m, i));
    assert_ptr_equal(rf_nn_resnet_block(m, 3), rf_module_find(m, "layer2.1"));
    assert_null(rf_nn_resnet_block(m, 8));
    assert_null(rf_nn_resnet_block(rf_module_find(m, "fc"), 0));
    rf_module_train(m, 0);
    rf_scope_set_grad(w->s, 0);
    rf_tensor *y = rf_module_call1(m, w->s, images(w, 2, 3, 40));
    assert_ok(w->ctx, rf_scope_status(w->s));
    assert_int_equal(rf_tensor_rank(y), 2);
    assert_int_equal(rf_tensor_dim(y, 0), 2);
    assert_int_equal(rf_tensor_dim(y, 1), 1000);
    rf_module_destroy(m);
}

static void test_networks_that_are_refused(void **state)
{
    world *w = *state;
    rf_module *m;
    rf_resnet_options r = RF_RESNET_OPTIONS_INIT;
    rf_nn_conv2d_options c = RF_NN_CONV2D_OPTIONS_INIT;
    rf_pool2d_options p = RF_POOL2D_OPTIONS_INIT;
    r.blocks[0] = 0;
    assert_int_equal(rf_nn_resnet(&m, w->ctx, &r), RF_E_ARGUMENT);
    assert_null(m);
    assert_int_equal(rf_nn_conv2d(&m, w->ctx, &c), RF_E_ARGUMENT);
    assert_int_equal(rf_nn_conv2d(&m, w->ctx, NULL), RF_E_ARGUMENT);
    assert_int_equal(rf_nn_max_pool2d(&m, w->ctx, &p), RF_E_ARGUMENT);
    assert_int_equal(rf_nn_avg_pool2d(&m, w->ctx, NULL), RF_E_ARGUMENT);
    r = (rf_resnet_options)RF_RESNET_OPTIONS_INIT;
    r.width = 2;
    r.blocks[1] = 0;
    assert_ok(w->ctx, rf_nn_resnet(&m, w->ctx, &r));
    refused(w, rf_module_call1(m, w->s, world_leaf(w, 3, 4, 0)), RF_E_SHAPE);
    rf_module_destroy(m);
}

static void test_layers(void **state)
{
    world *w = *state;
    rf_module *m;
    rf_nn_conv2d_options c = RF_NN_CONV2D_OPTIONS_INIT;
    rf_pool2d_options p = {sizeof p, {2, 2}, {0, 0}, {0, 0}};
    c.in = 4;
    c.out = 6;
    c.kernel[0] = c.kernel[1] = 3;
    c.groups = 2;
    assert_ok(w->ctx, rf_nn_conv2d(&m, w->ctx, &c));
    assert_int_equal(rf_tensor_dim(rf_module_param(m, "weight"), 1), 2);
    rf_tensor *y = rf_module_call1(m, w->s, images(w, 2, 4, 6));
    assert_int_equal(rf_tensor_dim(y, 3), 4);
    rf_module_destroy(m);
    for (int i = 0; i < 2; i++) {
        assert_ok(w->ctx, i ? rf_nn_max_pool2d(&m, w->ctx, &p) : rf_nn_avg_pool2d(&m, w->ctx, &p));
        assert_int_equal(rf_tensor_dim(rf_module_call1(m, w->s, y), 2), 2);
        rf_module_destroy(m);
    }
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_convolutions_that_are_refused),
        WORLD_TEST(test_pools_that_are_refused),
        WORLD_TEST(test_batch_norms_that_are_refused),
        WORLD_TEST(test_running_statistics),
        WORLD_TEST(test_layers),
        WORLD_TEST(test_resnet_18),
        WORLD_TEST(test_networks_that_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
