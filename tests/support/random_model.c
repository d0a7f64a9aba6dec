/* random_model.c: see random_model.h. */
#include "support/random_model.h"
#include "support/random_parts.h"

#include <stdio.h>
#include <string.h>

enum { RANDOM_MOST = 1 << 15 };

const char *random_kind_name(random_kind kind)
{
    static const char *const names[RANDOM_KINDS] = {
        "chain",  "transformer", "residual", "unet",       "flat unet", "images",
        "shared", "function",    "pairs",    "image unet", "mixed"};
    return names[kind];
}

/* ---- bodies: (dims) -> (target) ---- */

static rf_module *body_chain(random_build *b, int64_t width, int64_t to)
{
    rf_module *m = random_sequence(b);
    uint32_t num = 3 + random_below(b, 5);
    for (uint32_t i = 0; i < num; i++) {
        int64_t next = i + 1 < num ? 8 + 8 * (int64_t)random_below(b, 4) : to;
        random_append(b, m, random_layers(b, width, next));
        width = next;
        if (random_below(b, 3) == 0)
            random_append(b, m, random_activation(b));
    }
    return m;
}

static rf_module *body_part(random_build *b, random_kind kind, int64_t width)
{
    switch (kind) {
    case RANDOM_TRANSFORMER:
        return random_attention(b, width);
    case RANDOM_RESIDUAL:
        return random_residual(b, width);
    case RANDOM_UNET:
        return random_level(b, width, 1 + random_below(b, 2));
    case RANDOM_FLAT_UNET:
        return random_unet(b, width, 2 + random_below(b, 2));
    case RANDOM_SHARED:
        return random_below(b, 2) ? random_loop(b, width) : random_tied(b, width);
    case RANDOM_FUNCTION:
        return random_bare(b, width);
    case RANDOM_PAIRS:
        return random_pairs(b, width);
    default:
        return random_layers(b, width, width);
    }
}

static rf_module *body_parts(random_build *b, random_kind kind, int64_t width, uint32_t num)
{
    rf_module *m = random_sequence(b);
    for (uint32_t i = 0; i < num; i++) {
        random_kind part = kind;
        if (kind == RANDOM_MIXED) {
            static const random_kind some[] = {RANDOM_CHAIN, RANDOM_TRANSFORMER, RANDOM_RESIDUAL,
                                               RANDOM_UNET,  RANDOM_SHARED,      RANDOM_FUNCTION,
                                               RANDOM_PAIRS, RANDOM_FLAT_UNET};
            part = some[random_below(b, 8)];
        }
        random_append(b, m, body_part(b, part, width));
    }
    return m;
}

static rf_module *body_images(random_build *b, int64_t channels, int64_t side, int64_t to)
{
    rf_module *m = random_sequence(b);
    for (uint32_t i = 0, num = 2 + random_below(b, 3); i < num; i++) {
        int64_t next = 3 + (int64_t)random_below(b, 4);
        random_append(b, m, random_conv(b, channels, next));
        channels = next;
        if (side > 3 && random_below(b, 2)) {
            random_append(b, m, random_pool(b));
            side /= 2;
        }
    }
    random_append(b, m, random_flat(b));
    random_append(b, m, random_linear(b, channels * side * side, to));
    return m;
}

/* ---- the root ---- */

static rf_tensor *random_loss(rf_scope *s, rf_tensor *y, rf_tensor *target)
{
    rf_tensor *d = rf_sub(s, y, target);
    return rf_mean(s, rf_mul(s, d, d));
}

static rf_status random_root_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_tensor *y = rf_module_call1(rf_module_find(m, "body"), s, in->v[0]);
    out->v[0] = random_loss(s, y, in->v[1]);
    return rf_scope_status(s);
}

static const rf_module_class random_root_class = {
    .size = sizeof(rf_module_class), .name = "Root", .forward = random_root_forward};

static void random_dims(random_model *model, size_t rank, const int64_t *dims)
{
    model->rank = model->target_rank = rank;
    memcpy(model->dims, dims, rank * sizeof *dims);
    memcpy(model->target, dims, rank * sizeof *dims);
}

static rf_module *random_body(random_model *model, random_build *b)
{
    int64_t rows = 128 + 32 * (int64_t)random_below(b, 5),
            width = 16 + 8 * (int64_t)random_below(b, 3);
    int64_t side = 16, images = 8 + (int64_t)random_below(b, 5);
    if (model->kind == RANDOM_IMAGES) {
        random_dims(model, 4, (int64_t[]){images, 2, side, side});
        model->target_rank = 2;
        model->target[1] = 5;
        return body_images(b, 2, side, 5);
    }
    if (model->kind == RANDOM_IMAGE_UNET) {
        random_dims(model, 4, (int64_t[]){images, 3, side, side});
        return random_image_level(b, 3, random_below(b, 2));
    }
    random_dims(model, 3, (int64_t[]){4, rows / 4, width});
    switch (model->kind) {
    case RANDOM_CHAIN:
        return body_chain(b, width, width);
    case RANDOM_UNET:
    case RANDOM_FLAT_UNET:
    case RANDOM_PAIRS:
    case RANDOM_FUNCTION:
        return body_part(b, model->kind, width);
    default:
        return body_parts(b, model->kind, width, 2 + random_below(b, 3));
    }
}

static void random_optimiser(random_model *model, random_build *b)
{
    rf_sgd_options sgd = RF_SGD_OPTIONS_INIT;
    sgd.momentum = random_below(b, 2) ? 0.9 : 0;
    int adamw = random_below(b, 2) == 0;
    if (!b->status)
        b->status = adamw ? rf_optim_adamw(&model->optim, model->root, NULL)
                          : rf_optim_sgd(&model->optim, model->root, &sgd);
    model->together = random_below(b, 2) != 0;
    model->accumulate = random_below(b, 4) == 0;
    model->half = random_below(b, 5) == 0;
}

rf_status random_model_begin(random_model *out, rf_context *ctx, uint64_t seed)
{
    random_build b = {ctx, seed * 0x9E3779B97F4A7C15u + 1, RF_OK};
    *out = (random_model){.ctx = ctx, .kind = (random_kind)(seed % RANDOM_KINDS)};
    out->root = random_body(out, &b);
    if (random_below(&b, 2) && !b.status) {
        rf_module *body = out->root;
        out->with_loss = 1;
        out->root = random_with(&b, &random_root_class, NULL);
        random_child(&b, out->root, "body", body);
    }
    random_optimiser(out, &b);
    if (b.status)
        random_model_end(out);
    return b.status;
}

void random_model_end(random_model *model)
{
    rf_optim_destroy(model->optim);
    rf_module_destroy(model->root);
    model->optim = NULL;
    model->root = NULL;
}

/* ---- a step ---- */

static rf_tensor *random_data(rf_scope *s, size_t rank, const int64_t *dims, uint32_t salt)
{
    float values[RANDOM_MOST];
    uint64_t state = salt + 1u;
    size_t count = 1;
    for (size_t i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    if (count > RANDOM_MOST) {
        rf_scope_fail(s, RF_E_ARGUMENT, "a batch of a random model is too large");
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        values[i] = (float)((double)(state >> 11) * 0x1p-52 - 1);
    }
    return rf_tensor_copy_in(s, RF_F32, rank, dims, values);
}

static void random_mix(uint64_t *hash, const void *bytes, size_t num)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < num; i++)
        *hash = (*hash ^ p[i]) * 0x100000001B3u;
}

static rf_status random_see(void *payload, const char *path, rf_tensor *t)
{
    (void)path;
    void *data = t ? rf_tensor_data(t) : NULL;
    if (data)
        random_mix(payload, data, rf_tensor_bytes(t));
    return RF_OK;
}

static rf_status random_see_grad(void *payload, const char *path, rf_tensor *param)
{
    return random_see(payload, path, rf_grad(param));
}

static rf_tensor *random_forward(random_model *model, rf_scope *s, uint32_t salt)
{
    rf_tensor *in[2], *y = NULL;
    rf_values from = {in, model->with_loss ? 2 : 1}, to = {&y, 1};
    in[0] = random_data(s, model->rank, model->dims, 2 * salt);
    in[1] = random_data(s, model->target_rank, model->target, 2 * salt + 1);
    if (rf_scope_status(s) || rf_module_call(model->root, s, &from, &to))
        return NULL;
    return model->with_loss ? y : random_loss(s, y, in[1]);
}

/* One batch; the optimiser too if it runs together with the backward. */
static rf_status random_batch(random_model *model, uint32_t salt, int last)
{
    rf_scope *s;
    rf_status status = rf_scope_open(&s, model->ctx, NULL);
    if (status)
        return status;
    if (model->half)
        status = rf_scope_set_precision(s, RF_BF16);
    rf_tensor *loss = status ? NULL : random_forward(model, s, salt);
    if (!status)
        status = loss ? RF_OK : rf_context_error(model->ctx)->code;
    if (!status && !rf_context_dry(model->ctx))
        status = random_see(&model->seen, "", loss);
    if (!status)
        status = last && model->together ? rf_optim_backward(model->optim, s, loss, NULL)
                                         : rf_backward(s, loss);
    rf_scope_close(s);
    return status;
}

rf_status random_model_step(void *payload)
{
    random_model *model = payload;
    rf_status status = RF_OK;
    if (model->accumulate)
        status = random_batch(model, 2 * model->batch + 1, 0);
    if (!status)
        status = random_batch(model, 2 * model->batch, 1);
    if (status || model->together)
        return status;
    if (!rf_context_dry(model->ctx))
        status = rf_module_each_param(model->root, 0, random_see_grad, &model->seen);
    if (!status)
        status = rf_optim_step(model->optim);
    rf_optim_zero_grad(model->optim);
    return status;
}

rf_status random_model_hash(random_model *model, uint64_t *out)
{
    rf_rng rng = rf_context_rng(model->ctx);
    *out = model->seen;
    rf_status status = rf_module_each_param(model->root, 0, random_see, out);
    if (!status)
        status = rf_module_each_buffer(model->root, random_see, out);
    if (!status)
        status = rf_optim_each_state(model->optim, random_see, out);
    random_mix(out, &rng, sizeof rng);
    return status;
}
