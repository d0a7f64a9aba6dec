/* gpt2.c: GPT-2 (Radford et al. 2019): pre-norm blocks, learned positions, tanh-GELU, head tied to
 * the token embedding. Names and layouts are those of the published models: the weights of c_attn,
 * c_proj and c_fc are stored (in, out).
 */
#include "nn/layer.h"

/* ---- products with weights stored (in, out) ---- */

static rf_status product_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    if (rf_layer_one(m, s, in, out))
        return rf_scope_status(s);
    out->v[0] = rf_linear_with(s, in->v[0], rf_module_param(m, "weight"),
                               rf_module_param(m, "bias"), RF_TRANSPOSE_NONE);
    return rf_scope_status(s);
}

static const rf_module_class product_class = {
    .size = sizeof(rf_module_class), .name = "Conv1D", .forward = product_forward};

static rf_status product_make(rf_module **out, rf_context *ctx, const int64_t dims[2],
                              double deviation)
{
    rf_status status = rf_module_create(out, ctx, &product_class, NULL);
    if (!status)
        status = rf_layer_param(*out, "weight", 2, dims, (rf_init){RF_INIT_NORMAL, deviation});
    if (!status)
        status = rf_layer_param(*out, "bias", 1, &dims[1], (rf_init){RF_INIT_CONSTANT, 0});
    return rf_layer_made(out, status);
}

static rf_status product_add(rf_module *m, const char *name, const int64_t dims[2],
                             double deviation)
{
    rf_module *child;
    rf_status status = product_make(&child, m->ctx, dims, deviation);
    return rf_layer_child(m, name, child, status);
}

/* ---- attention ---- */

static rf_tensor *maybe_drop(rf_module *m, rf_scope *s, rf_tensor *x, double rate)
{
    return rf_module_training(m) ? rf_dropout(s, x, rate) : x;
}

/* qkv (B, T, 3 C) -> (B, T, C): every step but the attention itself is a view. What is used up is
 * released, so that its bytes go unless backward wants them. */
static rf_tensor *attention_mix(rf_scope *s, rf_tensor *qkv, int64_t heads)
{
    rf_scope *inner;
    rf_tensor *parts[3] = {NULL, NULL, NULL}, *y = NULL;
    rf_values split = {parts, 3};
    if (!qkv)
        return NULL;
    int64_t b = rf_tensor_dim(qkv, 0), t = rf_tensor_dim(qkv, 1), c = rf_tensor_dim(qkv, 2) / 3;
    rf_status status = rf_scope_open(&inner, rf_scope_context(s), s);
    if (status) {
        rf_scope_fail(s, status, NULL);
        return NULL;
    }
    if (!rf_split(inner, qkv, 2, &split)) { /* (B, T, C), thrice */
        for (size_t i = 0; i < 3; i++) {    /* (B, H, T, D) */
            parts[i] = rf_reshape(inner, parts[i], 4, (int64_t[]){b, t, heads, c / heads});
            parts[i] = rf_transpose_axes(inner, parts[i], 1, 2);
        }
        y = rf_causal_attention(inner, parts[0], parts[1], parts[2], 0);
        y = rf_reshape(inner, rf_transpose_axes(inner, y, 1, 2), 3, (int64_t[]){b, t, c});
    }
    y = rf_keep(inner, y);
    status = rf_scope_status(inner);
    rf_scope_close(inner);
    rf_release(s, qkv);
    if (status)
        rf_scope_fail(s, status, NULL);
    return y;
}

static rf_status attention_layer_forward(rf_module *m, rf_scope *s, const rf_values *in,
                                         rf_values *out)
{
    const rf_gpt2_options *o = rf_module_self(m);
    if (rf_layer_one(m, s, in, out))
        return rf_scope_status(s);
    rf_tensor *x = rf_module_call1(m->children[0], s, in->v[0]); /* (B, T, 3 C) */
    x = attention_mix(s, x, o->heads);                           /* (B, T, C)   */
    out->v[0] = maybe_drop(m, s, rf_module_call1(m->children[1], s, x), o->dropout);
    return rf_scope_status(s);
}

static const rf_module_class attention_class = {.size = sizeof(rf_module_class),
                                                .name = "Attention",
                                                .forward = attention_layer_forward,
                                                .copy = rf_layer_copy_self,
                                                .destroy = rf_layer_destroy_self};

/* The deviation of a projection into the residual stream: as many of them as 2 layers add up. */
static double residual_deviation(const rf_gpt2_options *o)
{
    return 0.02 / sqrt(2.0 * (double)o->layers);
}

static rf_status attention_make(rf_module **out, rf_context *ctx, const rf_gpt2_options *o)
{
    int64_t c = o->width;
    rf_status status = rf_layer_create(out, ctx, &attention_class, o, sizeof *o);
    if (!status)
        status = product_add(*out, "c_attn", (int64_t[]){c, 3 * c}, 0.02);
    if (!status)
        status = product_add(*out, "c_proj", (int64_t[]){c, c}, residual_deviation(o));
    return rf_layer_made(out, status);
}

/* ---- mlp and block ---- */

static rf_status mlp_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    const rf_gpt2_options *o = rf_module_self(m);
    if (rf_layer_one(m, s, in, out))
        return rf_scope_status(s);
    rf_tensor *h = rf_module_call1(m->children[0], s, in->v[0]); /* (B, T, 4 C) */
    rf_tensor *y = rf_gelu_tanh(s, h);
    rf_layer_done(s, h, y);
    y = rf_module_call1(m->children[1], s, y); /* (B, T, C) */
    out->v[0] = maybe_drop(m, s, y, o->dropout);
    return rf_scope_status(s);
}

static const rf_module_class mlp_class = {.size = sizeof(rf_module_class),
                                          .name = "MLP",
                                          .forward = mlp_forward,
                                          .copy = rf_layer_copy_self,
                                          .destroy = rf_layer_destroy_self};

static rf_status mlp_make(rf_module **out, rf_context *ctx, const rf_gpt2_options *o)
{
    int64_t c = o->width;
    rf_status status = rf_layer_create(out, ctx, &mlp_class, o, sizeof *o);
    if (!status)
        status = product_add(*out, "c_fc", (int64_t[]){c, 4 * c}, 0.02);
    if (!status)
        status = product_add(*out, "c_proj", (int64_t[]){4 * c, c}, residual_deviation(o));
    return rf_layer_made(out, status);
}

/* x + work(norm(x)), giving back what is between as soon as it was used. */
static rf_tensor *block_branch(rf_scope *s, rf_module *norm, rf_module *work, rf_tensor *x)
{
    rf_tensor *n = rf_module_call1(norm, s, x);
    rf_tensor *y = rf_module_call1(work, s, n);
    if (n != x)
        rf_layer_done(s, n, y);
    rf_tensor *sum = rf_add(s, x, y);
    if (y != x)
        rf_layer_done(s, y, sum);
    return sum;
}

/* children: ln_1, attn, ln_2, mlp */
static rf_status block_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_module **c = m->children;
    if (rf_layer_one(m, s, in, out))
        return rf_scope_status(s);
    rf_tensor *x = block_branch(s, c[0], c[1], in->v[0]); /* (B, T, C) */
    rf_tensor *y = block_branch(s, c[2], c[3], x);
    rf_layer_done(s, x, y);
    out->v[0] = y;
    return rf_scope_status(s);
}

static const rf_module_class block_class = {
    .size = sizeof(rf_module_class), .name = "Block", .forward = block_forward};

static rf_status block_make(rf_module **out, rf_context *ctx, const rf_gpt2_options *o)
{
    rf_module *child;
    rf_status status = rf_module_create(out, ctx, &block_class, NULL);
    if (!status) {
        status = rf_nn_layer_norm(&child, ctx, o->width, o->eps);
        status = rf_layer_child(*out, "ln_1", child, status);
    }
    if (!status) {
        status = attention_make(&child, ctx, o);
        status = rf_layer_child(*out, "attn", child, status);
    }
    if (!status) {
        status = rf_nn_layer_norm(&child, ctx, o->width, o->eps);
        status = rf_layer_child(*out, "ln_2", child, status);
    }
    if (!status) {
        status = mlp_make(&child, ctx, o);
        status = rf_layer_child(*out, "mlp", child, status);
    }
    return rf_layer_made(out, status);
}

/* ---- the model ---- */

/* Positions 0 to T - 1, as ids. (T) */
static rf_tensor *gpt2_positions(rf_scope *s, int64_t t)
{
    size_t bytes = (size_t)t * sizeof(int32_t);
    rf_context *ctx = rf_scope_context(s);
    int32_t *host = rf_host_alloc(ctx, bytes);
    if (!host) {
        rf_scope_fail(s, rf_context_error(ctx)->code, NULL);
        return NULL;
    }
    for (int64_t i = 0; i < t; i++)
        host[i] = (int32_t)i;
    rf_tensor *ids = rf_tensor_copy_in(s, RF_I32, 1, &t, host);
    rf_host_free(ctx, host, bytes);
    return ids;
}

static rf_status gpt2_check(rf_module *m, rf_scope *s, const rf_values *in, const rf_values *out)
{
    const rf_gpt2_options *o = rf_module_self(m);
    if (!out->num)
        return rf_scope_fail(s, RF_E_ARGUMENT, "gpt2: no result is asked for");
    if (!in->num || !in->v[0] || rf_tensor_rank(in->v[0]) != 2)
        return rf_scope_fail(s, RF_E_SHAPE, "gpt2 wants ids (B, T), and targets (B, T) or none");
    if (rf_tensor_dim(in->v[0], 1) <= o->context)
        return RF_OK;
    rf_fail(m->ctx, RF_E_SHAPE, "gpt2: %lld positions, but the model has %lld",
            (long long)rf_tensor_dim(in->v[0], 1), (long long)o->context);
    return rf_scope_fail(s, RF_E_SHAPE, NULL);
}

/* x (B, T, C) -> logits (B, T, V), or the loss. */
static rf_tensor *gpt2_head(rf_module *m, rf_scope *s, rf_tensor *x, rf_tensor *targets)
{
    const rf_gpt2_options *o = rf_module_self(m);
    rf_linear_cross_entropy_options loss = RF_LINEAR_CROSS_ENTROPY_OPTIONS_INIT;
    rf_tensor *weight = rf_module_param(m->children[0], "weight");
    loss.logits = o->logits;
    loss.part = o->part;
    return targets ? rf_linear_cross_entropy(s, x, weight, targets, &loss)
                   : rf_linear(s, x, weight, NULL);
}

/* children: wte, wpe, h, ln_f */
static rf_status gpt2_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    const rf_gpt2_options *o = rf_module_self(m);
    rf_module **c = m->children;
    rf_status status = gpt2_check(m, s, in, out);
    if (status)
        return status;
    rf_tensor *x = rf_module_call1(c[0], s, in->v[0]); /* (B, T, C) */
    rf_tensor *p = rf_module_call1(c[1], s, gpt2_positions(s, rf_tensor_dim(in->v[0], 1)));
    rf_tensor *sum = rf_add(s, x, p);
    rf_layer_done(s, x, sum);
    x = maybe_drop(m, s, sum, o->dropout);
    rf_layer_done(s, sum, x);
    rf_tensor *h = rf_module_call1(c[2], s, x);
    rf_layer_done(s, x, h);
    x = rf_module_call1(c[3], s, h);
    rf_layer_done(s, h, x);
    out->v[0] = gpt2_head(m, s, x, in->num > 1 ? in->v[1] : NULL);
    rf_layer_done(s, x, out->v[0]);
    return rf_scope_status(s);
}

static void gpt2_set_dial(rf_module *m, uint64_t bytes)
{
    rf_gpt2_options *o = rf_module_self(m);
    o->part = 0;
    o->logits = bytes == RF_DIAL_AUTO ? RF_LOGITS_AUTO
                : bytes >= INT64_MAX  ? RF_LOGITS_KEEP
                : bytes               ? RF_LOGITS_PART
                                      : RF_LOGITS_RECOMPUTE;
    if (o->logits == RF_LOGITS_PART)
        o->part = (int64_t)bytes;
}

static uint64_t gpt2_get_dial(const rf_module *m)
{
    const rf_gpt2_options *o = rf_module_self(m);
    switch (o->logits) {
    case RF_LOGITS_AUTO:
        return RF_DIAL_AUTO;
    case RF_LOGITS_KEEP:
        return RF_DIAL_ALL;
    default:
        return (uint64_t)o->part;
    }
}

static const rf_dial gpt2_dial = {"logits", gpt2_set_dial, gpt2_get_dial};

static const rf_module_class gpt2_class = {.size = sizeof(rf_module_class),
                                           .name = "GPT2",
                                           .forward = gpt2_forward,
                                           .copy = rf_layer_copy_self,
                                           .destroy = rf_layer_destroy_self,
                                           .dial = &gpt2_dial};

static rf_status gpt2_embeddings(rf_module *m, const rf_gpt2_options *o)
{
    static const char *const names[2] = {"wte", "wpe"};
    const int64_t counts[2] = {o->vocab, o->context};
    static const double deviations[2] = {0.02, 0.01};
    rf_status status = RF_OK;
    for (size_t i = 0; i < 2 && !status; i++) {
        rf_module *child;
        status = rf_embedding_make(&child, m->ctx, (int64_t[]){counts[i], o->width}, deviations[i]);
        status = rf_layer_child(m, names[i], child, status);
    }
    return status;
}

static rf_status gpt2_blocks(rf_module *m, const rf_gpt2_options *o)
{
    rf_module *h, *block;
    rf_status status = rf_nn_sequential(&h, m->ctx);
    status = rf_layer_child(m, "h", h, status);
    for (int64_t i = 0; i < o->layers && !status; i++) {
        status = block_make(&block, m->ctx, o);
        if (!status)
            status = rf_nn_sequential_add(h, block);
        if (status)
            rf_module_destroy(block);
    }
    return status;
}

rf_status rf_nn_gpt2(rf_module **out, rf_context *ctx, const rf_gpt2_options *opts)
{
    static const rf_gpt2_options defaults = RF_GPT2_OPTIONS_INIT;
    const rf_gpt2_options *o = opts ? opts : &defaults;
    rf_module *child;
    *out = NULL;
    if (o->size != sizeof *o || o->vocab < 1 || o->context < 1 || o->layers < 1 || o->heads < 1 ||
        o->width < 1 || o->width > INT32_MAX || o->width % o->heads)
        return rf_fail(ctx, RF_E_ARGUMENT,
                       "gpt2: sizes must be positive, widths below 2^31, and heads (%lld) must "
                       "divide width (%lld)",
                       (long long)o->heads, (long long)o->width);
    if (!(o->dropout >= 0 && o->dropout < 1))
        return rf_fail(ctx, RF_E_ARGUMENT, "gpt2: dropout must be in [0, 1)");
    if ((unsigned)o->logits > RF_LOGITS_PART || o->part < 0)
        return rf_fail(ctx, RF_E_ARGUMENT, "gpt2: logits is no rf_logits, or part is negative");
    rf_status status = rf_layer_create(out, ctx, &gpt2_class, o, sizeof *o);
    if (!status)
        status = gpt2_embeddings(*out, o);
    if (!status)
        status = gpt2_blocks(*out, o);
    if (!status) {
        status = rf_nn_layer_norm(&child, ctx, o->width, o->eps);
        status = rf_layer_child(*out, "ln_f", child, status);
    }
    return rf_layer_made(out, status);
}

rf_status rf_nn_gpt2_options_of(const rf_module *m, rf_gpt2_options *out)
{
    if (m->cls != &gpt2_class)
        return rf_fail(m->ctx, RF_E_ARGUMENT, "%s is no gpt2", m->cls->name);
    *out = *(const rf_gpt2_options *)m->self;
    return RF_OK;
}

rf_status rf_nn_gpt2_set_logits(rf_module *m, rf_logits logits)
{
    static const uint64_t bytes[] = {RF_DIAL_AUTO, RF_DIAL_ALL, 0};
    if (m->cls != &gpt2_class || (unsigned)logits > RF_LOGITS_RECOMPUTE)
        return rf_fail(m->ctx, RF_E_ARGUMENT, "%s: no gpt2, or no rf_logits", m->cls->name);
    return rf_module_set_dial(m, gpt2_dial.name, bytes[logits]);
}

rf_module *rf_nn_gpt2_block(rf_module *m, size_t index)
{
    return m->cls == &gpt2_class ? rf_module_child(m->children[2], index) : NULL;
}
