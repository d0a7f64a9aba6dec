/* budget.c [--tiny] [LAYERS WIDTH BATCH CONTEXT]: a GPT-2 under budgets: what a plan foretells, and
 * what then comes. Steps without and with each plan take turns, so that a busy minute meets both;
 * figures are medians, with the lowest and the highest. Budgets are shares of the activation peak:
 * the plain step's peak less what is held before it. */
#include "support/figures.h"

#include <string.h>

enum { BUDGETS = 4 };

typedef struct trainer {
    rf_context *ctx;
    rf_module *model;
    rf_optim *optim;
    int64_t vocab, batch, context;
    int32_t *ids;
} trainer;

static rf_status trainer_step(void *payload)
{
    trainer *t = payload;
    int64_t dims[2] = {t->batch, t->context};
    rf_scope *s;
    rf_tensor *in[2], *loss = NULL;
    rf_values from = {in, 2}, to = {&loss, 1};
    rf_status status = rf_scope_open(&s, t->ctx, NULL);
    if (status)
        return status;
    in[0] = rf_tensor_copy_in(s, RF_I32, 2, dims, t->ids);
    in[1] = rf_tensor_copy_in(s, RF_I32, 2, dims, t->ids + 1);
    status = rf_module_call(t->model, s, &from, &to);
    if (!status)
        status = rf_optim_backward(t->optim, s, loss, NULL);
    rf_scope_close(s);
    return status;
}

static trainer trainer_new(const int64_t sizes[4], int tiny)
{
    trainer t = {.vocab = tiny ? 512 : 50257, .batch = sizes[2], .context = sizes[3]};
    rf_gpt2_options opts = RF_GPT2_OPTIONS_INIT;
    rf_adamw_options adamw = RF_ADAMW_OPTIONS_INIT;
    adamw.lr = 1e-4;
    opts.vocab = t.vocab;
    opts.context = sizes[3];
    opts.layers = sizes[0];
    opts.width = sizes[1];
    opts.heads = sizes[1] / 64;
    if (rf_context_create(&t.ctx, NULL))
        exit(1);
    demand(t.ctx, rf_nn_gpt2(&t.model, t.ctx, &opts));
    demand(t.ctx, rf_optim_adamw(&t.optim, t.model, &adamw));
    size_t num = (size_t)(t.batch * t.context + 1);
    t.ids = malloc(num * sizeof *t.ids);
    if (!t.ids)
        exit(1);
    for (size_t i = 0; i < num; i++)
        t.ids[i] = (int32_t)((i * 7919 + 13) % (size_t)t.vocab);
    return t;
}

static rf_memory_info trainer_memory(const trainer *t)
{
    rf_memory_info info;
    demand(t->ctx, rf_memory_get(t->ctx, RF_DEVICE_CPU, RF_MEM_ALL, &info));
    return info;
}

static double trainer_time(trainer *t)
{
    double begin = now();
    demand(t->ctx, trainer_step(t));
    return now() - begin;
}

/* A line: pairs of steps, one without and one with the plan. */
static void bench_plan(trainer *t, const rf_plan *plan, double share, int pairs)
{
    figures plain = {.num = 0}, planned = {.num = 0}, ratio = {.num = 0};
    rf_plan_info info = rf_plan_info_of(plan);
    uint64_t peak = 0;
    for (int i = 0; i < pairs; i++) {
        double a = trainer_time(t);
        demand(t->ctx, rf_plan_apply(plan, t->model));
        rf_memory_reset_peak(t->ctx);
        double b = trainer_time(t);
        peak = trainer_memory(t).peak;
        demand(t->ctx, rf_plan_clear(plan, t->model));
        figures_add(&plain, a);
        figures_add(&planned, b);
        figures_add(&ratio, 100 * (b / a - 1));
    }
    double middle = median(&ratio);
    printf("  %5.1f %%  %9.1f %9.1f  %9.3f %9.3f  %6.2f %%  %6.2f %% (%.2f to %.2f)\n", 100 * share,
           (double)info.peak / 1048576, (double)peak / 1048576, median(&plain), median(&planned),
           100 * (info.seconds / info.plain_seconds - 1), middle, ratio.v[0],
           ratio.v[ratio.num - 1]);
    if (peak != info.peak)
        printf("         the measured peak is another than the foretold one\n");
}

static void bench_budgets(trainer *t, int tiny)
{
    static const double shares[BUDGETS] = {0.8, 0.5, 0.35, 0.25};
    const rf_training_step step = {trainer_step, t};
    rf_plan_options opts = RF_PLAN_OPTIONS_INIT;
    rf_plan *curve, *plan;
    uint64_t resident = trainer_memory(t).used;
    double begin = now();
    demand(t->ctx, rf_plan_create(&curve, t->model, &step, &opts));
    rf_plan_info info = rf_plan_info_of(curve);
    double activation = (double)(info.plain_peak - resident);
    printf("  plain peak %.1f MiB, of which activations %.1f; costs and curve took %.2f s\n",
           (double)info.plain_peak / 1048576, activation / 1048576, now() - begin);
    printf("  budget    foretold  measured      plain   planned  foretold   slower\n"
           "                 MiB       MiB          s         s\n");
    for (int i = 0; i < BUDGETS; i++) {
        opts.budget = resident + (uint64_t)(shares[i] * activation);
        if (rf_plan_create(&plan, t->model, &step, &opts)) {
            printf("  %5.1f %%  %s\n", 100 * shares[i], rf_context_error(t->ctx)->message);
            continue;
        }
        bench_plan(t, plan, shares[i], tiny ? 1 : 7);
        rf_plan_destroy(plan);
    }
    rf_plan_destroy(curve);
}

int main(int argc, char **argv)
{
    int64_t sizes[4] = {12, 768, 4, 256};
    int tiny = argc > 1 && !strcmp(argv[1], "--tiny");
    if (tiny)
        memcpy(sizes, (const int64_t[4]){3, 64, 2, 16}, sizeof sizes);
    for (int i = 1; i < argc && i <= 4 && !tiny; i++)
        sizes[i - 1] = atoll(argv[i]);
    if (sizes[0] < 1 || sizes[1] < 64 || sizes[1] % 64 || sizes[2] < 1 || sizes[3] < 2) {
        fprintf(stderr, "usage: budget [--tiny] [LAYERS WIDTH BATCH CONTEXT]\n");
        return 2;
    }
    trainer t = trainer_new(sizes, tiny);
    printf("GPT-2, %lld layers of %lld, batch %lld of %lld\n", (long long)sizes[0],
           (long long)sizes[1], (long long)sizes[2], (long long)sizes[3]);
    bench_budgets(&t, tiny);
    rf_optim_destroy(t.optim);
    rf_module_destroy(t.model);
    rf_context_destroy(t.ctx);
    free(t.ids);
    return 0;
}
