/* optim.c: a step of AdamW against the memory's own speed, measured in one run, on one thread and
 * on two.
 *
 * A step over all parameters of a GPT is counted as seven passes of four bytes: it reads p, g, m
 * and v, and writes p, m and v.
 *
 * `--tiny` does everything once, small, and does not measure the memory.
 */
#include "support/figures.h"
#include "support/machine.h"

#include <refrain/nn.h>

#include <string.h>

#define BUSY 0.08 /* of a processor, by others: too much to compare */

typedef struct config {
    int64_t layers, width, heads, context, vocab;
} config;

typedef struct subject {
    rf_context *ctx;
    rf_module *model;
    rf_optim *opt;
    double bytes; /* of the parameters */
} subject;

static rf_status subject_grad(void *payload, const char *path, rf_tensor *param)
{
    subject *t = payload;
    rf_scope *s;
    (void)path;
    demand(t->ctx, rf_scope_open(&s, t->ctx, NULL));
    rf_tensor *g = rf_full(s, RF_F32, rf_tensor_rank(param), rf_tensor_dims(param), 0.001);
    demand(t->ctx, g ? rf_grad_set(param, g) : rf_scope_status(s));
    rf_scope_close(s);
    t->bytes += (double)rf_tensor_bytes(param);
    return RF_OK;
}

static void subject_begin(subject *t, const config *c, size_t threads)
{
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_gpt2_options sizes = RF_GPT2_OPTIONS_INIT;
    opts.threads = threads;
    sizes.layers = c->layers;
    sizes.width = c->width;
    sizes.heads = c->heads;
    sizes.context = c->context;
    sizes.vocab = c->vocab;
    t->bytes = 0;
    if (rf_context_create(&t->ctx, &opts))
        exit(1);
    demand(t->ctx, rf_nn_gpt2(&t->model, t->ctx, &sizes));
    demand(t->ctx, rf_optim_adamw(&t->opt, t->model, NULL));
    demand(t->ctx, rf_module_each_param(t->model, 0, subject_grad, t));
}

static void subject_end(subject *t)
{
    rf_optim_destroy(t->opt);
    rf_module_destroy(t->model);
    rf_context_destroy(t->ctx);
}

static double step_rate(subject *t)
{
    double begin = now();
    demand(t->ctx, rf_optim_step(t->opt));
    return 7 * t->bytes / (now() - begin);
}

/* memory: its bytes a second; 0: not measured. */
static void bench_config(const config *c, size_t threads, double memory)
{
    subject t;
    figures step = {.num = 0};
    subject_begin(&t, c, threads);
    (void)step_rate(&t); /* the first one makes pages */
    machine_meter meter = machine_meter_begin(0);
    for (int i = 0; i < 9; i++)
        figures_add(&step, step_rate(&t));
    printf("AdamW, %.1f M parameters, threads %zu, kernels %s\n", t.bytes / 4e6, threads,
           rf_context_isa(t.ctx));
    print_figure("a step", &step, 1e-9, "GB/s");
    double foreign = machine_meter_foreign(&meter);
    if (memory > 0 && foreign > BUSY) {
        printf("  no share of the memory: others used %.0f %% of a processor\n", 100 * foreign);
    } else if (memory > 0) {
        printf("  %-44s %9.3f GB/s\n", "the memory", memory * 1e-9);
        print_figure("a step, of the memory", &step, 100 / memory, "%");
    }
    subject_end(&t);
}

int main(int argc, char **argv)
{
    static const config gpt2 = {12, 768, 12, 1024, 50257}, least = {2, 32, 2, 16, 64};
    int tiny = argc > 1 && !strcmp(argv[1], "--tiny");
    for (size_t threads = 1; threads <= 2; threads++)
        bench_config(tiny ? &least : &gpt2, threads, tiny ? 0 : machine_bandwidth((int)threads));
    return 0;
}
