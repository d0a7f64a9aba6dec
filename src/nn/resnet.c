/* resnet.c: residual networks of basic blocks (He et al. 2015), with the names of the published
 * models. What is between two layers is given back as soon as it was used, so that its bytes go
 * unless backward wants them.
 */
#include "nn/layer.h"

#include <stdio.h>

/* ---- parts ---- */

/* A square convolution without bias. shape: in, out, kernel, stride. */
static rf_status resnet_conv(rf_module *m, const char *name, const int64_t shape[4])
{
    rf_nn_conv2d_options o = RF_NN_CONV2D_OPTIONS_INIT;
    rf_module *child;
    o.in = shape[0];
    o.out = shape[1];
    o.no_bias = 1;
    for (int a = 0; a < 2; a++) {
        o.kernel[a] = shape[2];
        o.stride[a] = shape[3];
        o.padding[a] = shape[2] / 2;
    }
    rf_status status = rf_conv_make_normal(&child, m->ctx, &o);
    return rf_layer_child(m, name, child, status);
}

static rf_status resnet_norm(rf_module *m, const char *name, int64_t channels)
{
    rf_module *child;
    rf_status status = rf_nn_batch_norm2d(&child, m->ctx, channels, NULL);
    return rf_layer_child(m, name, child, status);
}

/* norm(conv(x)), and relu of it unless the sum with the shortcut comes first. x stays. */
static rf_tensor *resnet_apply(rf_scope *s, rf_module *conv, rf_module *norm, rf_tensor *x,
                               int relu)
{
    rf_tensor *c = rf_module_call1(conv, s, x);
    rf_tensor *n = rf_module_call1(norm, s, c);
    if (c != x)
        rf_layer_done(s, c, n);
    if (!relu)
        return n;
    rf_tensor *y = rf_relu(s, n);
    if (n != x)
        rf_layer_done(s, n, y);
    return y;
}

/* ---- the block ---- */

/* children: conv1, bn1, conv2, bn2, and downsample where the shape changes. */
static rf_status resnet_block_forward(rf_module *m, rf_scope *s, const rf_values *in,
                                      rf_values *out)
{
    rf_module **c = m->children;
    if (rf_layer_one(m, s, in, out))
        return rf_scope_status(s);
    rf_tensor *x = in->v[0];                          /* (N, C, H, W) */
    rf_tensor *a = resnet_apply(s, c[0], c[1], x, 1); /* (N, C', H', W') */
    rf_tensor *b = resnet_apply(s, c[2], c[3], a, 0);
    if (a != x)
        rf_layer_done(s, a, b);
    rf_tensor *shortcut = m->num_children > 4 ? rf_module_call1(c[4], s, x) : x;
    rf_tensor *sum = rf_add(s, b, shortcut);
    if (b != x)
        rf_layer_done(s, b, sum);
    if (shortcut != x && shortcut != b)
        rf_layer_done(s, shortcut, sum);
    out->v[0] = rf_relu(s, sum);
    rf_layer_done(s, sum, out->v[0]);
    return rf_scope_status(s);
}

static const rf_module_class resnet_block_class = {
    .size = sizeof(rf_module_class), .name = "BasicBlock", .forward = resnet_block_forward};

/* "0" the convolution, "1" the norm. */
static rf_status resnet_downsample(rf_module *m, const int64_t shape[4])
{
    rf_module *child;
    rf_status status = rf_nn_sequential(&child, m->ctx);
    if (!status)
        status = resnet_conv(child, "0", (int64_t[]){shape[0], shape[1], 1, shape[3]});
    if (!status)
        status = resnet_norm(child, "1", shape[1]);
    return rf_layer_child(m, "downsample", child, status);
}

/* shape: in, out, kernel, stride of the first convolution. */
static rf_status resnet_block_make(rf_module **out, rf_context *ctx, const int64_t shape[4])
{
    rf_status status = rf_module_create(out, ctx, &resnet_block_class, NULL);
    if (!status)
        status = resnet_conv(*out, "conv1", shape);
    if (!status)
        status = resnet_norm(*out, "bn1", shape[1]);
    if (!status)
        status = resnet_conv(*out, "conv2", (int64_t[]){shape[1], shape[1], shape[2], 1});
    if (!status)
        status = resnet_norm(*out, "bn2", shape[1]);
    if (!status && (shape[3] != 1 || shape[0] != shape[1]))
        status = resnet_downsample(*out, shape);
    return rf_layer_made(out, status);
}

/* ---- the model ---- */

static rf_status resnet_check(rf_scope *s, const rf_values *in, const rf_values *out)
{
    if (!out->num)
        return rf_scope_fail(s, RF_E_ARGUMENT, "resnet: no result is asked for");
    if (!in->num || !in->v[0] || rf_tensor_rank(in->v[0]) != 4)
        return rf_scope_fail(s, RF_E_SHAPE,
                             "resnet wants images (N, C, H, W), and targets (N) or none");
    return rf_scope_status(s);
}

/* (N, C, H, W) -> (N, C) */
static rf_tensor *resnet_pool(rf_scope *s, rf_tensor *x)
{
    if (!x)
        return NULL;
    const int64_t dims[3] = {rf_tensor_dim(x, 0), rf_tensor_dim(x, 1), -1};
    rf_tensor *planes = rf_reshape(s, x, 3, dims);
    rf_tensor *y = rf_mean_axis(s, planes, 2, 0);
    if (planes != x)
        rf_layer_done(s, planes, y);
    rf_layer_done(s, x, y);
    return y;
}

/* children: conv1, bn1, maxpool if the images are large, layer1 to layerN, fc */
static rf_status resnet_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_status status = resnet_check(s, in, out);
    if (status)
        return status;
    rf_tensor *x = resnet_apply(s, m->children[0], m->children[1], in->v[0], 1);
    for (size_t i = 2; i + 1 < m->num_children; i++) {
        rf_tensor *y = rf_module_call1(m->children[i], s, x);
        rf_layer_done(s, x, y);
        x = y;
    }
    x = resnet_pool(s, x);
    rf_tensor *logits = rf_module_call1(m->children[m->num_children - 1], s, x);
    rf_layer_done(s, x, logits);
    out->v[0] = in->num > 1 && in->v[1] ? rf_cross_entropy(s, logits, in->v[1], NULL) : logits;
    return rf_scope_status(s);
}

static const rf_module_class resnet_class = {.size = sizeof(rf_module_class),
                                             .name = "ResNet",
                                             .forward = resnet_forward,
                                             .copy = rf_layer_copy_self,
                                             .destroy = rf_layer_destroy_self};

static rf_status resnet_stem(rf_module *m, const rf_resnet_options *o)
{
    const int64_t large[4] = {o->channels, o->width, 7, 2},
                  small[4] = {o->channels, o->width, 3, 1};
    rf_pool2d_options pool = {sizeof pool, {3, 3}, {2, 2}, {1, 1}};
    rf_module *child;
    rf_status status = resnet_conv(m, "conv1", o->small_images ? small : large);
    if (!status)
        status = resnet_norm(m, "bn1", o->width);
    if (status || o->small_images)
        return status;
    status = rf_nn_max_pool2d(&child, m->ctx, &pool);
    return rf_layer_child(m, "maxpool", child, status);
}

static int64_t resnet_width(const rf_resnet_options *o, int stage)
{
    return o->width << stage;
}

static int resnet_stages(const rf_resnet_options *o)
{
    int n = 0;
    while (n < RF_RESNET_STAGES && o->blocks[n] > 0)
        n++;
    return n;
}

static rf_status resnet_stage(rf_module *m, const rf_resnet_options *o, int stage)
{
    char name[24];
    rf_module *blocks, *block;
    int64_t in = stage ? resnet_width(o, stage - 1) : o->width, width = resnet_width(o, stage);
    snprintf(name, sizeof name, "layer%d", stage + 1);
    rf_status status = rf_nn_sequential(&blocks, m->ctx);
    status = rf_layer_child(m, name, blocks, status);
    for (int64_t i = 0; i < o->blocks[stage] && !status; i++, in = width) {
        status = resnet_block_make(&block, m->ctx, (int64_t[]){in, width, 3, stage && !i ? 2 : 1});
        if (!status)
            status = rf_nn_sequential_add(blocks, block);
        if (status)
            rf_module_destroy(block);
    }
    return status;
}

rf_status rf_nn_resnet(rf_module **out, rf_context *ctx, const rf_resnet_options *opts)
{
    static const rf_resnet_options defaults = RF_RESNET_OPTIONS_INIT;
    const rf_resnet_options *o = opts ? opts : &defaults;
    rf_module *child;
    *out = NULL;
    if (o->size != sizeof *o || o->channels < 1 || o->classes < 1 || o->width < 1 ||
        o->width > INT32_MAX >> RF_RESNET_STAGES || o->blocks[0] < 1)
        return rf_fail(ctx, RF_E_ARGUMENT,
                       "resnet: channels, classes, width and the first stage's blocks must be "
                       "positive, and width below 2^27");
    rf_status status = rf_layer_create(out, ctx, &resnet_class, o, sizeof *o);
    if (!status)
        status = resnet_stem(*out, o);
    for (int i = 0; i < resnet_stages(o) && !status; i++)
        status = resnet_stage(*out, o, i);
    if (!status) {
        status = rf_nn_linear(&child, ctx, resnet_width(o, resnet_stages(o) - 1), o->classes, 0);
        status = rf_layer_child(*out, "fc", child, status);
    }
    return rf_layer_made(out, status);
}

rf_module *rf_nn_resnet_block(rf_module *m, size_t index)
{
    if (m->cls != &resnet_class)
        return NULL;
    const rf_resnet_options *o = m->self;
    for (size_t i = o->small_images ? 2 : 3; i + 1 < m->num_children; i++) {
        size_t num = rf_module_num_children(m->children[i]);
        if (index < num)
            return rf_module_child(m->children[i], index);
        index -= num;
    }
    return NULL;
}
