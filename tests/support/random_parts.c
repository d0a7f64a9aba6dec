/* random_parts.c: see random_parts.h. */
#include "support/random_parts.h"

#include <stdio.h>

uint32_t random_below(random_build *b, uint32_t n)
{
    b->state = b->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(b->state >> 33) % n;
}

static rf_module *random_made(random_build *b, rf_status status, rf_module *const *m)
{
    if (status && !b->status)
        b->status = status;
    return status ? NULL : *m;
}

rf_module *random_sequence(random_build *b)
{
    rf_module *m = NULL;
    return random_made(b, rf_nn_sequential(&m, b->ctx), &m);
}

void random_append(random_build *b, rf_module *sequence, rf_module *child)
{
    rf_status status = RF_OK;
    if (!b->status && sequence && child)
        status = rf_nn_sequential_add(sequence, child);
    if (b->status || status || !sequence)
        rf_module_destroy(child);
    if (status)
        b->status = status;
}

rf_module *random_with(random_build *b, const rf_module_class *cls, const void *self)
{
    rf_module *m = NULL;
    return random_made(b, rf_module_create(&m, b->ctx, cls, (void *)(uintptr_t)self), &m);
}

void random_child(random_build *b, rf_module *parent, const char *name, rf_module *child)
{
    rf_status status = RF_OK;
    if (!b->status && parent && child)
        status = rf_module_add_child(parent, name, child);
    if (b->status || status || !parent)
        rf_module_destroy(child);
    if (status)
        b->status = status;
}

/* ---- layers ---- */

rf_module *random_linear(random_build *b, int64_t in, int64_t out)
{
    rf_module *m = NULL;
    return random_made(b, rf_nn_linear(&m, b->ctx, in, out, random_below(b, 3) == 0), &m);
}

rf_module *random_norm(random_build *b, int64_t width)
{
    rf_module *m = NULL;
    rf_status status = random_below(b, 2) ? rf_nn_layer_norm(&m, b->ctx, width, 0)
                                          : rf_nn_rms_norm(&m, b->ctx, width, 0);
    return random_made(b, status, &m);
}

rf_module *random_activation(random_build *b)
{
    rf_module *m = NULL;
    return random_made(b, rf_nn_activation(&m, b->ctx, (rf_activation)random_below(b, 6)), &m);
}

rf_module *random_dropout(random_build *b)
{
    rf_module *m = NULL;
    return random_made(b, rf_nn_dropout(&m, b->ctx, 0.1), &m);
}

/* Something that keeps the shape. */
static rf_module *random_small(random_build *b, int64_t width)
{
    switch (random_below(b, 4)) {
    case 0:
        return random_norm(b, width);
    case 1:
        return random_dropout(b);
    default:
        return random_activation(b);
    }
}

rf_module *random_layers(random_build *b, int64_t in, int64_t out)
{
    rf_module *m = random_sequence(b);
    int64_t wide = in + 8 * (int64_t)random_below(b, 4);
    if (random_below(b, 2))
        random_append(b, m, random_norm(b, in));
    random_append(b, m, random_linear(b, in, wide));
    for (uint32_t n = random_below(b, 3); n > 0; n--)
        random_append(b, m, random_small(b, wide));
    random_append(b, m, random_activation(b));
    random_append(b, m, random_linear(b, wide, out));
    return m;
}

/* ---- a residual block ---- */

static rf_status random_residual_forward(rf_module *m, rf_scope *s, const rf_values *in,
                                         rf_values *out)
{
    rf_tensor *y = rf_module_call1(rf_module_find(m, "body"), s, in->v[0]);
    rf_module *norm = rf_module_find(m, "norm");
    out->v[0] = rf_add(s, in->v[0], y);
    if (norm)
        out->v[0] = rf_module_call1(norm, s, out->v[0]);
    return rf_scope_status(s);
}

static const rf_module_class random_residual_class = {
    .size = sizeof(rf_module_class), .name = "Residual", .forward = random_residual_forward};

rf_module *random_residual(random_build *b, int64_t width)
{
    rf_module *m = random_with(b, &random_residual_class, NULL);
    random_child(b, m, "body", random_layers(b, width, width));
    if (random_below(b, 3) == 0)
        random_child(b, m, "norm", random_norm(b, width));
    return m;
}

/* ---- a cell that is called several times ---- */

static const uint32_t random_counts[] = {0, 1, 2, 3, 4, 5};

static rf_status random_loop_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    const uint32_t *times = rf_module_self(m);
    rf_tensor *x = in->v[0];
    for (uint32_t i = 0; i < *times; i++)
        x = rf_module_call1(rf_module_child(m, 0), s, x);
    out->v[0] = x;
    return rf_scope_status(s);
}

static const rf_module_class random_loop_class = {
    .size = sizeof(rf_module_class), .name = "Loop", .forward = random_loop_forward};

rf_module *random_loop(random_build *b, int64_t width)
{
    rf_module *m = random_with(b, &random_loop_class, &random_counts[2 + random_below(b, 4)]);
    random_child(b, m, "cell",
                 random_below(b, 2) ? random_residual(b, width) : random_layers(b, width, width));
    return m;
}

/* Two linear layers with one weight. */
rf_module *random_tied(random_build *b, int64_t width)
{
    rf_module *m = random_sequence(b), *first = random_linear(b, width, width),
              *second = random_linear(b, width, width);
    if (!b->status)
        b->status = rf_module_set_param(second, "weight", rf_module_param(first, "weight"));
    random_append(b, m, first);
    random_append(b, m, random_small(b, width));
    random_append(b, m, random_residual(b, width));
    random_append(b, m, second);
    return m;
}

/* ---- a function of its own, without parts ---- */

static rf_status random_bare_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_tensor *x = in->v[0], *up = rf_module_param(m, "up"), *down = rf_module_param(m, "down");
    const uint32_t *times = rf_module_self(m);
    for (uint32_t i = 0; i < *times; i++) {
        rf_tensor *y = rf_gelu(s, rf_matmul(s, x, up));
        y = rf_dropout(s, rf_tanh(s, y), rf_module_training(m) ? 0.1 : 0);
        x = rf_add(s, x, rf_sin(s, rf_matmul(s, y, down)));
    }
    out->v[0] = x;
    return rf_scope_status(s);
}

static const rf_module_class random_bare_class = {
    .size = sizeof(rf_module_class), .name = "Bare", .forward = random_bare_forward};

static void random_param(random_build *b, rf_module *m, const char *name, const int64_t dims[2])
{
    rf_scope *s = NULL;
    rf_status status = b->status ? b->status : rf_scope_open(&s, b->ctx, NULL);
    rf_tensor *t = status ? NULL : rf_affine(s, rf_normal(s, RF_F32, 2, dims), 0.2, 0);
    if (!status)
        status = t ? rf_module_add_param(m, name, t) : rf_scope_status(s);
    rf_scope_close(s);
    b->status = status;
}

rf_module *random_bare(random_build *b, int64_t width)
{
    rf_module *m = random_with(b, &random_bare_class, &random_counts[2 + random_below(b, 3)]);
    int64_t wide = width * (1 + (int64_t)random_below(b, 3));
    random_param(b, m, "up", (int64_t[]){width, wide});
    random_param(b, m, "down", (int64_t[]){wide, width});
    return m;
}

/* ---- U-Nets ---- */

static rf_status random_level_forward(rf_module *m, rf_scope *s, const rf_values *in,
                                      rf_values *out)
{
    rf_module *inner = rf_module_find(m, "inner"), *pool = rf_module_find(m, "pool");
    const uint32_t *axis = rf_module_self(m);
    rf_tensor *both[2];
    both[0] = rf_module_call1(rf_module_find(m, "encoder"), s, in->v[0]);
    both[1] = both[0];
    if (pool)
        both[1] = rf_module_call1(pool, s, both[1]);
    if (inner)
        both[1] = rf_module_call1(inner, s, both[1]);
    if (pool) { /* back to the size of before: (N, C, H, W) by doubling rows and columns */
        rf_tensor *t = both[1];
        int64_t n = rf_tensor_dim(t, 0), c = rf_tensor_dim(t, 1), h = rf_tensor_dim(t, 2),
                w = rf_tensor_dim(t, 3);
        t = rf_reshape(s, t, 6, (int64_t[]){n, c, h, 1, w, 1});
        t = rf_expand(s, t, 6, (int64_t[]){n, c, h, 2, w, 2});
        both[1] = rf_reshape(s, rf_contiguous(s, t), 4, (int64_t[]){n, c, 2 * h, 2 * w});
    }
    rf_tensor *joined = rf_concat(s, &(rf_values){both, 2}, *axis ? 1 : -1);
    out->v[0] = rf_module_call1(rf_module_find(m, "decoder"), s, joined);
    return rf_scope_status(s);
}

static const rf_module_class random_level_class = {
    .size = sizeof(rf_module_class), .name = "Level", .forward = random_level_forward};

rf_module *random_level(random_build *b, int64_t width, uint32_t depth)
{
    int64_t half = width / 2;
    rf_module *m = random_with(b, &random_level_class, &random_counts[0]);
    random_child(b, m, "encoder", random_layers(b, width, half));
    if (depth)
        random_child(b, m, "inner", random_level(b, half, depth - 1));
    random_child(b, m, "decoder", random_layers(b, 2 * half, width));
    return m;
}

rf_module *random_image_level(random_build *b, int64_t channels, uint32_t depth)
{
    rf_module *m = random_with(b, &random_level_class, &random_counts[1]);
    random_child(b, m, "encoder", random_conv(b, channels, channels + 1));
    random_child(b, m, "pool", random_pool(b));
    if (depth)
        random_child(b, m, "inner", random_image_level(b, channels + 1, depth - 1));
    random_child(b, m, "decoder", random_conv(b, 2 * (channels + 1), channels));
    return m;
}

/* Children down0, down1, ..., middle, up0, up1, ... */
static rf_status random_unet_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    uint32_t depth = (uint32_t)(rf_module_num_children(m) / 2);
    rf_tensor *skip[4], *x = in->v[0];
    for (uint32_t i = 0; i < depth; i++)
        x = skip[i] = rf_module_call1(rf_module_child(m, i), s, x);
    x = rf_module_call1(rf_module_child(m, depth), s, x);
    for (uint32_t i = depth; i-- > 0;) {
        rf_tensor *both[2] = {skip[i], x};
        x = rf_concat(s, &(rf_values){both, 2}, -1);
        x = rf_module_call1(rf_module_child(m, 2 * depth - i), s, x);
    }
    out->v[0] = x;
    return rf_scope_status(s);
}

static const rf_module_class random_unet_class = {
    .size = sizeof(rf_module_class), .name = "Unet", .forward = random_unet_forward};

rf_module *random_unet(random_build *b, int64_t width, uint32_t depth)
{
    rf_module *m = random_with(b, &random_unet_class, NULL);
    int64_t at[5] = {width};
    char name[16];
    for (uint32_t i = 0; i < depth; i++) {
        at[i + 1] = 8 + 4 * (int64_t)random_below(b, 6);
        snprintf(name, sizeof name, "down%u", (unsigned)i);
        random_child(b, m, name, random_layers(b, at[i], at[i + 1]));
    }
    random_child(b, m, "middle", random_layers(b, at[depth], at[depth]));
    for (uint32_t i = depth; i-- > 0;) {
        snprintf(name, sizeof name, "up%u", (unsigned)i);
        random_child(b, m, name, random_layers(b, 2 * at[i + 1], i ? at[i] : width));
    }
    return m;
}

/* ---- a transformer's block ---- */

static rf_tensor *random_heads(rf_scope *s, rf_tensor *x, int64_t heads)
{
    int64_t n = rf_tensor_dim(x, 0), t = rf_tensor_dim(x, 1), c = rf_tensor_dim(x, 2);
    x = rf_reshape(s, x, 4, (int64_t[]){n, t, heads, c / heads});
    return rf_transpose_axes(s, x, 1, 2);
}

static rf_status random_attention_forward(rf_module *m, rf_scope *s, const rf_values *in,
                                          rf_values *out)
{
    rf_tensor *x = in->v[0], *part[3];
    int64_t n = rf_tensor_dim(x, 0), t = rf_tensor_dim(x, 1), c = rf_tensor_dim(x, 2);
    rf_tensor *y = rf_module_call1(rf_module_find(m, "norm"), s, x);
    y = rf_module_call1(rf_module_find(m, "qkv"), s, y);
    rf_values parts = {part, 3};
    rf_status status = y ? rf_split(s, y, -1, &parts) : rf_scope_status(s);
    if (status)
        return status;
    for (int i = 0; i < 3; i++)
        part[i] = random_heads(s, part[i], 2);
    y = rf_causal_attention(s, part[0], part[1], part[2], 0);
    y = rf_reshape(s, rf_contiguous(s, rf_transpose_axes(s, y, 1, 2)), 3, (int64_t[]){n, t, c});
    y = rf_module_call1(rf_module_find(m, "out"), s, y);
    x = rf_add(s, x, y);
    out->v[0] = rf_add(s, x, rf_module_call1(rf_module_find(m, "mlp"), s, x));
    return rf_scope_status(s);
}

static const rf_module_class random_attention_class = {
    .size = sizeof(rf_module_class), .name = "Attention", .forward = random_attention_forward};

rf_module *random_attention(random_build *b, int64_t width)
{
    rf_module *m = random_with(b, &random_attention_class, NULL);
    random_child(b, m, "norm", random_norm(b, width));
    random_child(b, m, "qkv", random_linear(b, width, 3 * width));
    random_child(b, m, "out", random_linear(b, width, width));
    random_child(b, m, "mlp", random_layers(b, width, width));
    return m;
}

/* ---- parts with two inputs ---- */

static rf_status random_merge_forward(rf_module *m, rf_scope *s, const rf_values *in,
                                      rf_values *out)
{
    rf_tensor *a = rf_module_call1(rf_module_find(m, "a"), s, in->v[0]);
    rf_tensor *b = rf_module_call1(rf_module_find(m, "b"), s, in->v[1]);
    out->v[0] = rf_mul(s, rf_tanh(s, a), rf_sigmoid(s, b));
    if (out->num > 1)
        out->v[1] = rf_add(s, in->v[1], out->v[0]);
    return rf_scope_status(s);
}

static const rf_module_class random_merge_class = {
    .size = sizeof(rf_module_class), .name = "Merge", .forward = random_merge_forward};

/* Two streams; the second is read, and changed by every other part. */
static rf_status random_pairs_forward(rf_module *m, rf_scope *s, const rf_values *in,
                                      rf_values *out)
{
    rf_tensor *at[2] = {in->v[0], rf_affine(s, in->v[0], 0.5, 0.1)}, *next[2] = {NULL, NULL};
    rf_status status = rf_scope_status(s);
    for (size_t i = 0; i < rf_module_num_children(m) && !status; i++) {
        rf_values from = {at, 2}, to = {next, 1 + i % 2};
        status = rf_module_call(rf_module_child(m, i), s, &from, &to);
        at[0] = next[0];
        at[1] = i % 2 ? next[1] : at[1];
    }
    out->v[0] = at[0];
    return status;
}

static const rf_module_class random_pairs_class = {
    .size = sizeof(rf_module_class), .name = "Pairs", .forward = random_pairs_forward};

rf_module *random_pairs(random_build *b, int64_t width)
{
    rf_module *m = random_with(b, &random_pairs_class, NULL);
    uint32_t num = 2 + random_below(b, 4);
    char name[16];
    for (uint32_t i = 0; i < num; i++) {
        rf_module *merge = random_with(b, &random_merge_class, NULL);
        random_child(b, merge, "a", random_layers(b, width, width));
        random_child(b, merge, "b", random_linear(b, width, width));
        snprintf(name, sizeof name, "%u", (unsigned)i);
        random_child(b, m, name, merge);
    }
    return m;
}

/* ---- images ---- */

rf_module *random_conv(random_build *b, int64_t in, int64_t out)
{
    rf_module *m = random_sequence(b), *conv = NULL, *norm = NULL;
    rf_nn_conv2d_options opts = RF_NN_CONV2D_OPTIONS_INIT;
    opts.in = in;
    opts.out = out;
    opts.kernel[0] = opts.kernel[1] = 3;
    opts.padding[0] = opts.padding[1] = 1;
    random_append(b, m, random_made(b, rf_nn_conv2d(&conv, b->ctx, &opts), &conv));
    if (random_below(b, 4))
        random_append(b, m, random_made(b, rf_nn_batch_norm2d(&norm, b->ctx, out, NULL), &norm));
    random_append(b, m, random_activation(b));
    return m;
}

rf_module *random_pool(random_build *b)
{
    rf_module *m = NULL;
    rf_pool2d_options opts = RF_POOL2D_OPTIONS_INIT;
    opts.kernel[0] = opts.kernel[1] = 2;
    rf_status status = random_below(b, 2) ? rf_nn_max_pool2d(&m, b->ctx, &opts)
                                          : rf_nn_avg_pool2d(&m, b->ctx, &opts);
    return random_made(b, status, &m);
}

static rf_status random_flat_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)m;
    rf_tensor *x = in->v[0];
    int64_t n = rf_tensor_dim(x, 0);
    out->v[0] = rf_reshape(s, x, 2, (int64_t[]){n, rf_tensor_count(x) / n});
    return rf_scope_status(s);
}

static const rf_module_class random_flat_class = {
    .size = sizeof(rf_module_class), .name = "Flat", .forward = random_flat_forward};

rf_module *random_flat(random_build *b)
{
    return random_with(b, &random_flat_class, NULL);
}
