/* image.c: convolution, batch norm and pooling as modules. self are their options. */
#include "nn/layer.h"

/* ---- convolution ---- */

static rf_status conv2d_layer_forward(rf_module *m, rf_scope *s, const rf_values *in,
                                      rf_values *out)
{
    const rf_nn_conv2d_options *o = rf_module_self(m);
    rf_conv2d_options op = RF_CONV2D_OPTIONS_INIT;
    if (rf_layer_one(m, s, in, out))
        return rf_scope_status(s);
    for (int a = 0; a < 2; a++) {
        op.stride[a] = o->stride[a];
        op.padding[a] = o->padding[a];
        op.dilation[a] = o->dilation[a];
    }
    op.groups = o->groups;
    out->v[0] =
        rf_conv2d(s, in->v[0], rf_module_param(m, "weight"), rf_module_param(m, "bias"), &op);
    return rf_scope_status(s);
}

static const rf_module_class conv2d_class = {.size = sizeof(rf_module_class),
                                             .name = "Conv2d",
                                             .forward = conv2d_layer_forward,
                                             .copy = rf_layer_copy_self,
                                             .destroy = rf_layer_destroy_self};

static rf_status conv2d_check(rf_context *ctx, const rf_nn_conv2d_options *o)
{
    int good = o && o->size == sizeof *o && o->in > 0 && o->out > 0 && o->groups >= 0 &&
               o->in <= INT32_MAX && o->out <= INT32_MAX;
    for (int a = 0; a < 2 && good; a++)
        good = o->kernel[a] > 0 && o->kernel[a] <= INT16_MAX && o->stride[a] >= 0 &&
               o->padding[a] >= 0 && o->dilation[a] >= 0;
    int64_t groups = good && o->groups ? o->groups : 1;
    if (good && o->in % groups == 0 && o->out % groups == 0)
        return RF_OK;
    return rf_fail(ctx, RF_E_ARGUMENT,
                   "conv2d: in, out and kernel must be positive, stride, padding and dilation not "
                   "negative, and groups divide in and out");
}

/* The weight as it is drawn; bias, unless left out, is uniform in +-1/sqrt(fan in). */
static rf_status conv2d_make(rf_module **out, rf_context *ctx, const rf_nn_conv2d_options *o,
                             rf_init_kind kind)
{
    *out = NULL;
    rf_status status = conv2d_check(ctx, o);
    if (status)
        return status;
    int64_t each = o->in / (o->groups ? o->groups : 1), area = o->kernel[0] * o->kernel[1];
    double bound = 1 / sqrt((double)each * (double)area);
    double deviation = sqrt(2 / ((double)o->out * (double)area));
    status = rf_layer_create(out, ctx, &conv2d_class, o, sizeof *o);
    if (!status)
        status =
            rf_layer_param(*out, "weight", 4, (int64_t[]){o->out, each, o->kernel[0], o->kernel[1]},
                           (rf_init){kind, kind == RF_INIT_UNIFORM ? bound : deviation});
    if (!status && !o->no_bias)
        status = rf_layer_param(*out, "bias", 1, &o->out, (rf_init){RF_INIT_UNIFORM, bound});
    return rf_layer_made(out, status);
}

rf_status rf_nn_conv2d(rf_module **out, rf_context *ctx, const rf_nn_conv2d_options *opts)
{
    return conv2d_make(out, ctx, opts, RF_INIT_UNIFORM);
}

rf_status rf_conv_make_normal(rf_module **out, rf_context *ctx, const rf_nn_conv2d_options *opts)
{
    return conv2d_make(out, ctx, opts, RF_INIT_NORMAL);
}

/* ---- batch norm ---- */

static rf_status batch_norm_layer_forward(rf_module *m, rf_scope *s, const rf_values *in,
                                          rf_values *out)
{
    const rf_nn_batch_norm_options *o = rf_module_self(m);
    rf_batch_norm_options op = RF_BATCH_NORM_OPTIONS_INIT;
    rf_batch_norm_tensors with = {rf_module_param(m, "weight"), rf_module_param(m, "bias"),
                                  rf_module_buffer(m, "running_mean"),
                                  rf_module_buffer(m, "running_var")};
    if (rf_layer_one(m, s, in, out))
        return rf_scope_status(s);
    op.training = rf_module_training(m);
    op.momentum = o->momentum;
    op.eps = o->eps;
    out->v[0] = rf_batch_norm(s, in->v[0], &with, &op);
    return rf_scope_status(s);
}

static const rf_module_class batch_norm_class = {.size = sizeof(rf_module_class),
                                                 .name = "BatchNorm2d",
                                                 .forward = batch_norm_layer_forward,
                                                 .copy = rf_layer_copy_self,
                                                 .destroy = rf_layer_destroy_self};

rf_status rf_nn_batch_norm2d(rf_module **out, rf_context *ctx, int64_t channels,
                             const rf_nn_batch_norm_options *opts)
{
    static const rf_nn_batch_norm_options defaults = RF_NN_BATCH_NORM_OPTIONS_INIT;
    static const double values[4] = {1, 0, 0, 1};
    static const char *const names[4] = {"weight", "bias", "running_mean", "running_var"};
    const rf_nn_batch_norm_options *o = opts ? opts : &defaults;
    *out = NULL;
    if (o->size != sizeof *o || !(o->momentum >= 0 && o->momentum <= 1) || !(o->eps >= 0))
        return rf_fail(ctx, RF_E_ARGUMENT,
                       "batch_norm: momentum must be in [0, 1] and eps not negative");
    rf_status status = rf_layer_create(out, ctx, &batch_norm_class, o, sizeof *o);
    for (int i = 0; i < 4 && !status; i++) {
        rf_init init = {RF_INIT_CONSTANT, values[i]};
        status = i < 2 ? rf_layer_param(*out, names[i], 1, &channels, init)
                       : rf_layer_buffer(*out, names[i], 1, &channels, init);
    }
    return rf_layer_made(out, status);
}

/* ---- pooling ---- */

static rf_status max_pool2d_layer_forward(rf_module *m, rf_scope *s, const rf_values *in,
                                          rf_values *out)
{
    if (rf_layer_one(m, s, in, out))
        return rf_scope_status(s);
    out->v[0] = rf_max_pool2d(s, in->v[0], rf_module_self(m));
    return rf_scope_status(s);
}

static rf_status avg_pool2d_layer_forward(rf_module *m, rf_scope *s, const rf_values *in,
                                          rf_values *out)
{
    if (rf_layer_one(m, s, in, out))
        return rf_scope_status(s);
    out->v[0] = rf_avg_pool2d(s, in->v[0], rf_module_self(m));
    return rf_scope_status(s);
}

static const rf_module_class max_pool2d_class = {.size = sizeof(rf_module_class),
                                                 .name = "MaxPool2d",
                                                 .forward = max_pool2d_layer_forward,
                                                 .copy = rf_layer_copy_self,
                                                 .destroy = rf_layer_destroy_self};
static const rf_module_class avg_pool2d_class = {.size = sizeof(rf_module_class),
                                                 .name = "AvgPool2d",
                                                 .forward = avg_pool2d_layer_forward,
                                                 .copy = rf_layer_copy_self,
                                                 .destroy = rf_layer_destroy_self};

static rf_status pool2d_make(rf_module **out, rf_context *ctx, const rf_module_class *cls,
                             const rf_pool2d_options *o)
{
    *out = NULL;
    if (!o || o->size != sizeof *o || o->kernel[0] < 1 || o->kernel[1] < 1)
        return rf_fail(ctx, RF_E_ARGUMENT, "%s: the kernel must be positive", cls->name);
    return rf_layer_create(out, ctx, cls, o, sizeof *o);
}

rf_status rf_nn_max_pool2d(rf_module **out, rf_context *ctx, const rf_pool2d_options *opts)
{
    return pool2d_make(out, ctx, &max_pool2d_class, opts);
}

rf_status rf_nn_avg_pool2d(rf_module **out, rf_context *ctx, const rf_pool2d_options *opts)
{
    return pool2d_make(out, ctx, &avg_pool2d_class, opts);
}
