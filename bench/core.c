/* core.c: what the core costs, measured side by side in one run.
 *
 *   time per op on one element: unrecorded, recorded, its backward
 *   a training step of a GPT, plain and with every block checkpointed, in turn: time, the share of
 *   the forward, peak activations, page faults, and the rate of its products over the rate that the
 *   product library reaches on the same shapes
 *
 * Medians of interleaved runs; the spread is printed beside them, and a wide one says that the
 * machine was busy. `--tiny` does everything once, small.
 */
#include "support/figures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* ---- tiny ops ---- */

static rf_tensor *one_element(rf_context *ctx, rf_scope *s, int wants)
{
    float value = 1;
    rf_tensor *x = rf_tensor_copy_in(s, RF_F32, 1, (int64_t[]){1}, &value);
    demand(ctx, rf_tensor_set_requires_grad(x, wants));
    return x;
}

/* Seconds per op of a chain, and per op of its backward. */
static void chain(rf_context *ctx, int recorded, int num, double *forward, double *backward)
{
    rf_scope *s;
    demand(ctx, rf_scope_open(&s, ctx, NULL));
    rf_tensor *x = one_element(ctx, s, recorded), *y = x;
    double t = now();
    for (int i = 0; i < num; i++)
        y = rf_add(s, y, x);
    *forward = (now() - t) / num;
    demand(ctx, rf_scope_status(s));
    t = now();
    if (recorded)
        demand(ctx, rf_backward(s, y));
    *backward = (now() - t) / num;
    rf_scope_close(s);
}

static void bench_ops(rf_context *ctx, int runs)
{
    figures plain = {.num = 0}, recorded = {.num = 0}, back = {.num = 0};
    for (int i = 0; i < runs; i++) {
        double f, b;
        chain(ctx, 0, 2000, &f, &b);
        figures_add(&plain, f);
        chain(ctx, 1, 2000, &f, &b);
        figures_add(&recorded, f);
        figures_add(&back, b);
    }
    puts("an add of one element");
    print_figure("unrecorded", &plain, 1e6, "us");
    print_figure("recorded", &recorded, 1e6, "us");
    print_figure("its backward", &back, 1e6, "us");
}

/* ---- a training step ---- */

typedef struct config {
    const char *name;
    int64_t layers, width, heads, context, batch, vocab;
} config;

typedef struct trainer {
    rf_context *ctx;
    rf_module *model;
    rf_optim *opt;
    const config *c;
    int32_t *ids;
} trainer;

static void trainer_begin(trainer *t, const config *c, int checkpointed)
{
    rf_gpt2_options sizes = RF_GPT2_OPTIONS_INIT;
    size_t n = (size_t)(c->batch * c->context) + 1;
    sizes.layers = c->layers;
    sizes.width = c->width;
    sizes.heads = c->heads;
    sizes.context = c->context;
    sizes.vocab = c->vocab;
    t->c = c;
    if (rf_context_create(&t->ctx, NULL))
        exit(1);
    demand(t->ctx, rf_nn_gpt2(&t->model, t->ctx, &sizes));
    demand(t->ctx, rf_optim_adamw(&t->opt, t->model, NULL));
    for (int64_t i = 0; i < c->layers && checkpointed; i++)
        demand(t->ctx, rf_checkpoint(rf_nn_gpt2_block(t->model, (size_t)i), NULL));
    t->ids = malloc(n * sizeof *t->ids);
    for (size_t i = 0; i < n; i++)
        t->ids[i] = (int32_t)((i * i + 7 * i) % (size_t)c->vocab);
}

static void trainer_end(trainer *t)
{
    rf_optim_destroy(t->opt);
    rf_module_destroy(t->model);
    rf_context_destroy(t->ctx);
    free(t->ids);
}

static long page_faults(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return use.ru_minflt;
}

/* Seconds of a step, and of the forward in it. */
static double trainer_step(trainer *t, double *forward)
{
    rf_scope *s;
    rf_tensor *pair[2], *loss = NULL;
    rf_values in = {pair, 2}, out = {&loss, 1};
    int64_t dims[2] = {t->c->batch, t->c->context};
    double begin = now();
    demand(t->ctx, rf_scope_open(&s, t->ctx, NULL));
    pair[0] = rf_tensor_copy_in(s, RF_I32, 2, dims, t->ids);
    pair[1] = rf_tensor_copy_in(s, RF_I32, 2, dims, t->ids + 1);
    demand(t->ctx, rf_module_call(t->model, s, &in, &out));
    *forward = now() - begin;
    demand(t->ctx, rf_backward(s, loss));
    demand(t->ctx, rf_optim_step(t->opt));
    rf_optim_zero_grad(t->opt);
    rf_scope_close(s);
    return now() - begin;
}

/* ---- rates ---- */

typedef struct product {
    int64_t m, k, n;
} product;

/* Multiplications and additions a second of one product. */
static double product_rate(rf_context *ctx, product p, int runs)
{
    figures times = {.num = 0};
    rf_scope *s;
    demand(ctx, rf_scope_open(&s, ctx, NULL));
    rf_tensor *a = rf_uniform(s, RF_F32, 2, (int64_t[]){p.m, p.k});
    rf_tensor *b = rf_uniform(s, RF_F32, 2, (int64_t[]){p.k, p.n});
    for (int i = 0; i <= runs; i++) {
        double t = now();
        rf_release(s, rf_matmul(s, a, b));
        if (i) /* the first warms */
            figures_add(&times, now() - t);
    }
    demand(ctx, rf_scope_status(s));
    rf_scope_close(s);
    return 2.0 * (double)p.m * (double)p.k * (double)p.n / median(&times);
}

/* The rate over the products of a step, each weighed with its work. */
static double shapes_rate(const config *c, int runs)
{
    int64_t rows = c->batch * c->context, w = c->width;
    product shapes[4] = {{rows, w, 3 * w}, {rows, w, w}, {rows, w, 4 * w}, {rows, 4 * w, w}};
    double work = 0, seconds = 0;
    rf_context *ctx;
    if (rf_context_create(&ctx, NULL))
        exit(1);
    for (int i = 0; i < 4; i++) {
        double flops = (double)shapes[i].m * (double)shapes[i].k * (double)shapes[i].n;
        work += flops;
        seconds += flops / product_rate(ctx, shapes[i], runs);
    }
    rf_context_destroy(ctx);
    return work / seconds;
}

/* Of forward and backward: 6 a weight and token, and causal attention counted once. */
static double step_flops(const config *c)
{
    double tokens = (double)(c->batch * c->context), w = (double)c->width;
    double weights = 12 * w * w * (double)c->layers + w * (double)c->vocab;
    double attention = 6 * (double)c->layers * w * (double)c->context; /* half of q k and p v */
    return tokens * (6 * weights + attention);
}

static uint64_t peak_activations(rf_context *ctx)
{
    rf_memory_info info;
    demand(ctx, rf_memory_get(ctx, RF_DEVICE_CPU, RF_MEM_ACTIVATION, &info));
    return info.peak;
}

static void bench_step(const config *c, int runs)
{
    trainer t[2];
    figures step[2] = {{.num = 0}, {.num = 0}}, share = {.num = 0}, ratio = {.num = 0};
    figures faults = {.num = 0};
    double forward;
    for (int k = 0; k < 2; k++) {
        trainer_begin(&t[k], c, k);
        trainer_step(&t[k], &forward);
    }
    for (int i = 0; i < runs; i++) {
        double seconds[2];
        for (int k = 0; k < 2; k++) {
            long before = page_faults();
            seconds[k] = trainer_step(&t[k], &forward);
            figures_add(&step[k], seconds[k]);
            if (!k) {
                figures_add(&share, forward / seconds[k]);
                figures_add(&faults, (double)(page_faults() - before));
            }
        }
        figures_add(&ratio, seconds[1] / seconds[0]);
    }
    printf("a training step: %s (layers %lld, width %lld, %lld x %lld tokens, vocabulary %lld)\n",
           c->name, (long long)c->layers, (long long)c->width, (long long)c->batch,
           (long long)c->context, (long long)c->vocab);
    print_figure("plain", &step[0], 1e3, "ms");
    print_figure("every block checkpointed", &step[1], 1e3, "ms");
    print_figure("checkpointed / plain", &ratio, 1, "");
    print_figure("share of the forward, plain", &share, 100, "%");
    print_figure("page faults of a step, plain", &faults, 1, "");
    double rate = step_flops(c) / median(&step[0]), products = shapes_rate(c, runs);
    printf("  %-44s %9.1f GFLOP/s, %.0f %% of the products' own %.1f\n", "whole step, plain",
           rate * 1e-9, 100 * rate / products, products * 1e-9);
    printf("  %-44s %9.2f MiB plain, %.2f checkpointed\n", "peak activations",
           (double)peak_activations(t[0].ctx) / 1048576,
           (double)peak_activations(t[1].ctx) / 1048576);
    trainer_end(&t[0]);
    trainer_end(&t[1]);
}

int main(int argc, char **argv)
{
    static const config configs[] = {{"tiny", 4, 128, 4, 64, 8, 256},
                                     {"small", 6, 384, 6, 256, 8, 512}};
    static const config least = {"least", 2, 32, 2, 16, 2, 64};
    int tiny = argc > 1 && !strcmp(argv[1], "--tiny");
    int runs = tiny ? 2 : 9;
    rf_context *ctx;
    if (rf_context_create(&ctx, NULL))
        return 1;
    printf("threads %zu, kernels %s\n", rf_context_threads(ctx), rf_context_isa(ctx));
    bench_ops(ctx, runs);
    rf_context_destroy(ctx);
    if (tiny)
        bench_step(&least, runs);
    for (size_t i = 0; i < sizeof configs / sizeof configs[0] && !tiny; i++)
        bench_step(&configs[i], runs);
    return 0;
}
