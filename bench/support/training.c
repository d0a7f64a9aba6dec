/* training.c: see training.h. Data are formulas, so that every run and every peer sees the same. */
#include "support/training.h"

#include <string.h>

const training_config training_configs[TRAINING_CONFIGS] = {
    {"tiny", 4, 128, 4, 64, 8, 256, {0}},
    {"small", 6, 384, 6, 256, 8, 512, {0}},
    {"gpt2b1", 12, 768, 12, 256, 1, 50257, {0}},
    {"gpt2b4", 12, 768, 12, 256, 4, 50257, {0}},
    {"resnet18", 0, 64, 0, 64, 32, 1000, {2, 2, 2, 2}}};

const training_config training_least[TRAINING_LEAST] = {
    {"least", 2, 32, 2, 16, 2, 64, {0}}, {"resnet-least", 0, 8, 0, 32, 2, 10, {1, 1, 1, 1}}};

const training_config *training_find(const char *name)
{
    for (size_t i = 0; i < TRAINING_CONFIGS; i++)
        if (!strcmp(training_configs[i].name, name))
            return &training_configs[i];
    for (size_t i = 0; i < TRAINING_LEAST; i++)
        if (!strcmp(training_least[i].name, name))
            return &training_least[i];
    return NULL;
}

/* ---- the model ---- */

static rf_status training_gpt2(training *t)
{
    rf_gpt2_options sizes = RF_GPT2_OPTIONS_INIT;
    sizes.layers = t->c->layers;
    sizes.width = t->c->width;
    sizes.heads = t->c->heads;
    sizes.context = t->c->context;
    sizes.vocab = t->c->vocab;
    return rf_nn_gpt2(&t->model, t->ctx, &sizes);
}

static rf_status training_resnet(training *t)
{
    rf_resnet_options sizes = RF_RESNET_OPTIONS_INIT;
    sizes.width = t->c->width;
    sizes.classes = t->c->vocab;
    memcpy(sizes.blocks, t->c->blocks, sizeof sizes.blocks);
    return rf_nn_resnet(&t->model, t->ctx, &sizes);
}

static rf_module *training_block(const training *t, size_t index)
{
    if (!t->c->layers)
        return rf_nn_resnet_block(t->model, index);
    return index < (size_t)t->c->layers ? rf_nn_gpt2_block(t->model, index) : NULL;
}

/* Every block a region, or none. */
static void training_apply(const training *t, int blocks)
{
    rf_module *m;
    for (size_t i = 0; (m = training_block(t, i)) != NULL; i++)
        if (!rf_checkpoint_applied(m) != !blocks)
            demand(t->ctx, blocks ? rf_checkpoint(m, NULL) : rf_checkpoint_clear(m));
}

/* ---- its data ---- */

static void *training_room(size_t bytes)
{
    void *room = malloc(bytes);
    if (!room)
        exit(1);
    return room;
}

/* (B, T) ids and the ids that follow them */
static void training_ids(training *t)
{
    size_t num = (size_t)(t->c->batch * t->c->context);
    int32_t *ids = training_room(num * sizeof *ids), *next = training_room(num * sizeof *next);
    for (size_t i = 0; i < num; i++) {
        ids[i] = (int32_t)((i * i + 7 * i) % (size_t)t->c->vocab);
        next[i] = (int32_t)(((i + 1) * (i + 1) + 7 * (i + 1)) % (size_t)t->c->vocab);
    }
    t->input = ids;
    t->targets = next;
}

/* (N, 3, S, S) images and (N) classes */
static void training_images(training *t)
{
    size_t images = (size_t)t->c->batch, num = images * 3 * (size_t)(t->c->context * t->c->context);
    float *pixels = training_room(num * sizeof *pixels);
    int32_t *classes = training_room(images * sizeof *classes);
    for (size_t i = 0; i < num; i++)
        pixels[i] = (float)(i * 7919 % 1000) / 1000;
    for (size_t i = 0; i < images; i++)
        classes[i] = (int32_t)(i % (size_t)t->c->vocab);
    t->input = pixels;
    t->targets = classes;
}

static void training_copy_in(const training *t, rf_scope *s, rf_tensor **pair)
{
    const training_config *c = t->c;
    const int64_t ids[2] = {c->batch, c->context};
    const int64_t images[4] = {c->batch, 3, c->context, c->context};
    pair[0] = c->layers ? rf_tensor_copy_in(s, RF_I32, 2, ids, t->input)
                        : rf_tensor_copy_in(s, RF_F32, 4, images, t->input);
    pair[1] = rf_tensor_copy_in(s, RF_I32, c->layers ? 2 : 1, ids, t->targets);
}

/* ---- the step ---- */

void training_begin(training *t, const training_config *c, size_t threads, const char *isa)
{
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_adamw_options adamw = RF_ADAMW_OPTIONS_INIT;
    opts.threads = threads;
    opts.isa = isa;
    *t = (training){.c = c};
    if (rf_context_create(&t->ctx, &opts))
        exit(1);
    demand(t->ctx, c->layers ? training_gpt2(t) : training_resnet(t));
    demand(t->ctx, rf_optim_adamw(&t->optim, t->model, &adamw));
    if (c->layers)
        training_ids(t);
    else
        training_images(t);
}

void training_end(training *t)
{
    rf_optim_destroy(t->optim);
    rf_module_destroy(t->model);
    rf_context_destroy(t->ctx);
    free(t->input);
    free(t->targets);
}

static void training_backward(const training *t, rf_scope *s, rf_tensor *loss, int joined)
{
    demand(t->ctx, joined ? rf_optim_backward(t->optim, s, loss, NULL) : rf_backward(s, loss));
}

training_times training_step(training *t, training_form form)
{
    rf_scope *s;
    rf_tensor *pair[2], *loss = NULL;
    rf_values in = {pair, 2}, out = {&loss, 1};
    training_apply(t, form.blocks);
    double begin = now();
    demand(t->ctx, rf_scope_open(&s, t->ctx, NULL));
    demand(t->ctx, rf_scope_set_precision(s, form.products));
    training_copy_in(t, s, pair);
    demand(t->ctx, rf_module_call(t->model, s, &in, &out));
    double forward = now();
    training_backward(t, s, loss, form.joined);
    double backward = now();
    if (!form.joined)
        demand(t->ctx, rf_optim_step(t->optim));
    rf_optim_zero_grad(t->optim);
    rf_scope_close(s);
    double end = now();
    return (training_times){forward - begin, backward - forward, end - backward, end - begin};
}

static int training_compare(const void *a, const void *b)
{
    double x = ((const training_times *)a)->all, y = ((const training_times *)b)->all;
    return x < y ? -1 : x > y;
}

training_times training_middle(training_times *times, int num)
{
    qsort(times, (size_t)num, sizeof *times, training_compare);
    return times[num / 2];
}

/* ---- its work ---- */

size_t training_parameters(const training *t)
{
    rf_memory_info info;
    demand(t->ctx, rf_memory_get(t->ctx, RF_DEVICE_CPU, RF_MEM_OPTIM, &info));
    return info.used / 8; /* two moments of 4 bytes each */
}

/* 6 a weight and token; half of q k and p v, in three products each. */
static double training_gpt2_flops(const training_config *c)
{
    double tokens = (double)(c->batch * c->context), w = (double)c->width;
    double weights = 12 * w * w * (double)c->layers + w * (double)c->vocab;
    return tokens * (6 * weights + 6 * (double)c->layers * w * (double)c->context);
}

/* 6 a weight and position; nothing wants the gradient of the images. */
static double training_resnet_flops(const training_config *c)
{
    double side = (double)c->context / 2, width = (double)c->width, in = width;
    double flops = 4 * 7 * 7 * 3 * width * side * side;
    side /= 2;
    for (int i = 0; i < RF_RESNET_STAGES; i++, width *= 2) {
        side /= i ? 2 : 1;
        for (int64_t k = 0; k < c->blocks[i]; k++, in = width)
            flops +=
                6 * side * side * (9 * in * width + 9 * width * width + (in < width) * in * width);
    }
    return (double)c->batch * (flops + 6 * in * (double)c->vocab);
}

double training_flops(const training_config *c)
{
    return c->layers ? training_gpt2_flops(c) : training_resnet_flops(c);
}
