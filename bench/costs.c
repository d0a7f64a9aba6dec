/* costs.c: the predicted time of a training step, the sum of what its ops cost one by one and of
 * the bytes that its optimiser moves, over the time that it takes.
 *
 * One step is listened to (forward, backward, AdamW); its costs are measured, or the model's; then
 * steps are timed. What the sum leaves out, by its nature: what one op leaves in the caches for the
 * next, and pages that are new to the process. `--tiny` does everything once, small.
 */
#include "support/figures.h"

#include "plan/profile.h"

#include <string.h>

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

static void trainer_begin(trainer *t, const config *c)
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

/* Seconds of a step. */
static double trainer_step(trainer *t)
{
    rf_scope *s;
    rf_tensor *pair[2], *loss = NULL;
    rf_values in = {pair, 2}, out = {&loss, 1};
    int64_t dims[2] = {t->c->batch, t->c->context};
    demand(t->ctx, rf_scope_open(&s, t->ctx, NULL));
    pair[0] = rf_tensor_copy_in(s, RF_I32, 2, dims, t->ids);
    pair[1] = rf_tensor_copy_in(s, RF_I32, 2, dims, t->ids + 1);
    double begin = now();
    demand(t->ctx, rf_module_call(t->model, s, &in, &out));
    demand(t->ctx, rf_backward(s, loss));
    demand(t->ctx, rf_optim_step(t->opt));
    double seconds = now() - begin;
    rf_optim_zero_grad(t->opt);
    rf_scope_close(s);
    return seconds;
}

/* What the costs say of a step, and how much of it lay in the kernels. */
typedef struct listener {
    rf_costs *costs;
    double kernels;
} listener;

static void listen(void *payload, const rf_event *event)
{
    listener *l = payload;
    if (event->kind != RF_EVENT_OP)
        return;
    rf_costs_note(l->costs, event->call);
    l->kernels += event->end - event->begin;
}

/* What an optimiser moves: parameter and two moments are read and written, the gradient is read. */
static rf_status add_bytes(void *payload, const char *path, rf_tensor *param)
{
    double *bytes = payload;
    (void)path;
    *bytes += 7 * (double)rf_tensor_bytes(param);
    return RF_OK;
}

static void bench_costs(const config *c, int runs)
{
    trainer t;
    listener l = {NULL, 0};
    double bytes = 0;
    figures step = {.num = 0}, kernels = {.num = 0}, ratio = {.num = 0};
    trainer_begin(&t, c);
    demand(t.ctx, rf_costs_create(&l.costs, t.ctx));
    rf_trace_set(t.ctx, listen, &l);
    trainer_step(&t);
    demand(t.ctx, rf_module_each_param(t.model, 0, add_bytes, &bytes));
    double byte_rate = rf_cost_rates_default(t.ctx).byte_rate;
    double model = rf_costs_total(l.costs) + bytes / byte_rate, begin = now();
    rf_cost_rates rates = rf_cost_rates_measure(t.ctx);
    double rates_seconds = now() - begin;
    rf_costs_set_rates(l.costs, &rates);
    double rated = rf_costs_total(l.costs) + bytes / rates.byte_rate;
    begin = now();
    demand(t.ctx,
           rf_costs_measure(l.costs, &(rf_costs_options){sizeof(rf_costs_options), .seconds = 10}));
    double seconds = now() - begin, total = rf_costs_total(l.costs) + bytes / rates.byte_rate;
    for (int i = 0; i < runs; i++) {
        l.kernels = 0;
        double one = trainer_step(&t);
        figures_add(&step, one);
        figures_add(&kernels, l.kernels);
        figures_add(&ratio, total / one);
    }
    printf("%s (layers %lld, width %lld, %lld x %lld tokens, vocabulary %lld)\n", c->name,
           (long long)c->layers, (long long)c->width, (long long)c->batch, (long long)c->context,
           (long long)c->vocab);
    printf("  %zu costs measured, %zu not, in %.2f s; rates in %.3f s: %.1f GFLOP/s, %.1f GB/s\n",
           rf_costs_num(l.costs, RF_COST_MEASURED),
           rf_costs_size(l.costs) - rf_costs_num(l.costs, RF_COST_MEASURED), seconds, rates_seconds,
           rates.flop_rate * 1e-9, rates.byte_rate * 1e-9);
    print_figure("a step", &step, 1e3, "ms");
    print_figure("of it in ops' kernels", &kernels, 1e3, "ms");
    print_figure("predicted by measured costs / measured", &ratio, 1, "");
    printf("  %-44s %9.3f, %.3f by measured rates\n", "predicted by the model / measured",
           model / median(&step), rated / median(&step));
    rf_costs_destroy(l.costs);
    trainer_end(&t);
}

int main(int argc, char **argv)
{
    static const config configs[] = {{"small", 6, 384, 6, 256, 8, 512},
                                     {"GPT-2 124M", 12, 768, 12, 256, 1, 50257}};
    static const config least = {"least", 2, 32, 2, 16, 2, 64};
    int tiny = argc > 1 && !strcmp(argv[1], "--tiny");
    if (tiny)
        bench_costs(&least, 2);
    for (size_t i = 0; i < sizeof configs / sizeof configs[0] && !tiny; i++)
        bench_costs(&configs[i], 7);
    return 0;
}
