/* images.c: a training step of ResNet-18 on 64 x 64 images, and which op its seconds go to.
 *
 *   images [--tiny] [--steps N] [--threads N]
 *
 * SGD with momentum. The step's median is of steps that nobody watches; the table of ops is the
 * mean of others, in which a trace counts each op's kernel, so what the ops leave of a step is the
 * optimiser, the recording and the allocator. The peer's column is made by bench/peer_torch.py from
 * the same sizes.
 */
#include "support/figures.h"

#include <string.h>

enum { OPS = 64 };

typedef struct images {
    int64_t batch, side, classes;
    rf_resnet_options model;
} images;

typedef struct trainer {
    rf_context *ctx;
    rf_module *model;
    rf_optim *opt;
    const images *c;
    float *pixels;
    int32_t *labels;
} trainer;

static void trainer_begin(trainer *t, const images *c, size_t threads)
{
    rf_context_options options = RF_CONTEXT_OPTIONS_INIT;
    rf_sgd_options sgd = RF_SGD_OPTIONS_INIT;
    size_t n = (size_t)(c->batch * c->model.channels * c->side * c->side);
    options.threads = threads;
    sgd.lr = 0.01;
    sgd.momentum = 0.9;
    t->c = c;
    if (rf_context_create(&t->ctx, &options))
        exit(1);
    demand(t->ctx, rf_nn_resnet(&t->model, t->ctx, &c->model));
    demand(t->ctx, rf_optim_sgd(&t->opt, t->model, &sgd));
    t->pixels = malloc(n * sizeof *t->pixels);
    t->labels = malloc((size_t)c->batch * sizeof *t->labels);
    for (size_t i = 0; i < n; i++)
        t->pixels[i] = (float)((i * 2654435761u) % 2001) / 1000 - 1;
    for (int64_t i = 0; i < c->batch; i++)
        t->labels[i] = (int32_t)(i * 37 % c->classes);
}

static void trainer_end(trainer *t)
{
    rf_optim_destroy(t->opt);
    rf_module_destroy(t->model);
    rf_context_destroy(t->ctx);
    free(t->pixels);
    free(t->labels);
}

/* Seconds of a step, and of the forward in it. */
static double trainer_step(trainer *t, double *forward)
{
    rf_scope *s;
    rf_tensor *pair[2], *loss = NULL;
    rf_values in = {pair, 2}, out = {&loss, 1};
    const int64_t dims[4] = {t->c->batch, t->c->model.channels, t->c->side, t->c->side};
    double begin = now();
    demand(t->ctx, rf_scope_open(&s, t->ctx, NULL));
    pair[0] = rf_tensor_copy_in(s, RF_F32, 4, dims, t->pixels);
    pair[1] = rf_tensor_copy_in(s, RF_I32, 1, dims, t->labels);
    demand(t->ctx, rf_module_call(t->model, s, &in, &out));
    *forward = now() - begin;
    demand(t->ctx, rf_backward(s, loss));
    demand(t->ctx, rf_optim_step(t->opt));
    rf_optim_zero_grad(t->opt);
    rf_scope_close(s);
    return now() - begin;
}

/* ---- what the ops take ---- */

typedef struct op_time {
    char name[48];
    double seconds, flops, calls;
} op_time;

typedef struct op_times {
    op_time ops[OPS];
    int num;
} op_times;

static void count_op(void *payload, const rf_event *event)
{
    op_times *times = payload;
    int i = 0;
    if (event->kind != RF_EVENT_OP)
        return;
    while (i < times->num && strcmp(times->ops[i].name, event->op))
        i++;
    if (i == times->num) {
        if (i == OPS)
            return;
        times->num++;
        snprintf(times->ops[i].name, sizeof times->ops[i].name, "%s", event->op);
    }
    times->ops[i].seconds += event->end - event->begin;
    times->ops[i].flops += event->flops;
    times->ops[i].calls++;
}

static int slower(const void *a, const void *b)
{
    double x = ((const op_time *)a)->seconds, y = ((const op_time *)b)->seconds;
    return x > y ? -1 : x < y;
}

static void bench_ops(trainer *t, int steps)
{
    op_times times = {.num = 0};
    double step = 0, all = 0, forward;
    rf_trace_set(t->ctx, count_op, &times);
    for (int i = 0; i < steps; i++)
        step += trainer_step(t, &forward) / steps;
    rf_trace_set(t->ctx, NULL, NULL);
    qsort(times.ops, (size_t)times.num, sizeof times.ops[0], slower);
    printf("what the ops of a watched step take, of %.1f ms\n", 1e3 * step);
    for (int i = 0; i < times.num; i++) {
        const op_time *op = &times.ops[i];
        all += op->seconds / steps;
        printf("  %-28s %8.2f ms %5.1f %% %5.0f calls %8.1f GFLOP/s\n", op->name,
               1e3 * op->seconds / steps, 100 * op->seconds / steps / step, op->calls / steps,
               op->flops / op->seconds * 1e-9);
    }
    printf("  %-28s %8.2f ms %5.1f %%\n", "the rest", 1e3 * (step - all),
           100 * (step - all) / step);
}

/* ---- the step ---- */

static void bench_images(const images *c, int steps, size_t threads)
{
    trainer t;
    figures step = {.num = 0}, share = {.num = 0};
    rf_memory_info info;
    double forward;
    trainer_begin(&t, c, threads);
    printf("a training step of ResNet-18: %lld images of %lld x %lld, threads %zu, kernels %s\n",
           (long long)c->batch, (long long)c->side, (long long)c->side, rf_context_threads(t.ctx),
           rf_context_isa(t.ctx));
    for (int i = 0; i < 2; i++) /* the first ones warm */
        trainer_step(&t, &forward);
    for (int i = 0; i < steps; i++) {
        double seconds = trainer_step(&t, &forward);
        figures_add(&step, seconds);
        figures_add(&share, forward / seconds);
    }
    demand(t.ctx, rf_memory_get(t.ctx, RF_DEVICE_CPU, RF_MEM_ACTIVATION, &info));
    print_figure("step", &step, 1e3, "ms");
    print_figure("share of the forward", &share, 100, "%");
    printf("  %-44s %9.2f MiB\n", "peak activations", (double)info.peak / 1048576);
    bench_ops(&t, steps < 5 ? steps : 5);
    trainer_end(&t);
}

static size_t option(int argc, char **argv, const char *name, size_t otherwise)
{
    for (int i = 1; i + 1 < argc; i++)
        if (!strcmp(argv[i], name))
            return (size_t)strtoul(argv[i + 1], NULL, 10);
    return otherwise;
}

int main(int argc, char **argv)
{
    static const images full = {32, 64, 1000, RF_RESNET_OPTIONS_INIT};
    static const images least = {2, 32, 10, {sizeof(rf_resnet_options), 3, 10, 8, {1, 1, 0, 0}, 0}};
    int tiny = argc > 1 && !strcmp(argv[1], "--tiny");
    int steps = (int)option(argc, argv, "--steps", tiny ? 2 : 11);
    bench_images(tiny ? &least : &full, steps, option(argc, argv, "--threads", 2));
    return 0;
}
