/* budget.c [--tiny] [LAYERS WIDTH BATCH CONTEXT [PAIRS]]: a GPT-2 under budgets: what a plan
 * foretells, and what then comes. Steps without and with each plan take turns, so that a busy
 * minute meets both; figures are medians, with the lowest and the highest. Budgets leave a share of
 * the activations that the plain step's peak holds, by the ledger's class: gradients that lie there
 * too (that of the embedding, for one) are no plan's to take away. The last line is every block
 * recomputed. */
#include "support/figures.h"
#include "tensor/context_struct.h"

#include <string.h>

enum { BUDGETS = 4 };

typedef struct trainer {
    rf_context *ctx;
    rf_module *model;
    rf_optim *optim;
    int64_t vocab, width, batch, context;
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
    trainer t = {
        .vocab = tiny ? 512 : 50257, .width = sizes[1], .batch = sizes[2], .context = sizes[3]};
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

/* A line: pairs of steps, one without and one with the plan. foretold: per cent. */
static void bench_plan(trainer *t, const rf_plan *plan, const char *name, double foretold,
                       int pairs)
{
    figures plain = {.num = 0}, planned = {.num = 0}, ratio = {.num = 0};
    rf_plan_info info = rf_plan_info_of(plan);
    uint64_t peak = 0;
    for (int i = 0; i < pairs; i++) {
        double a = trainer_time(t);
        rf_slab_trim(&t->ctx->slab); /* of the plain step's bookkeeping, as when it was foretold */
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
    printf("  %-9s %9.1f %9.1f  %9.3f %9.3f  %6.2f %%  %6.2f %% (%.2f to %.2f)\n", name,
           (double)info.peak / 1048576, (double)peak / 1048576, median(&plain), median(&planned),
           foretold, middle, ratio.v[0], ratio.v[ratio.num - 1]);
    if (peak != info.peak)
        printf("         the measured peak is another than the foretold one\n");
}

/* What people do by hand. */
static void bench_blocks(trainer *t, const rf_training_step *step, int64_t layers,
                         double plain_seconds, int pairs)
{
    rf_plan *plan;
    char path[32];
    demand(t->ctx, rf_plan_begin(&plan, t->ctx));
    for (int64_t i = 0; i < layers; i++) {
        snprintf(path, sizeof path, "h.%lld", (long long)i);
        demand(t->ctx, rf_plan_add_part(plan, &(rf_plan_part){.path = path, .fates = ""}));
    }
    demand(t->ctx, rf_plan_check(plan, t->model, step, 0));
    double foretold = 100 * (rf_plan_info_of(plan).seconds / plain_seconds - 1);
    bench_plan(t, plan, "by block", foretold, pairs);
    rf_plan_destroy(plan);
}

/* Of what is held at the plain step's peak, activations: what a plan can do something about. Until
 * it is whole, the gradient of the embedding is one of them to the ledger. */
static uint64_t bench_activations(trainer *t, const rf_training_step *step)
{
    rf_explain *watch;
    rf_prediction told = RF_PREDICTION_INIT;
    rf_predict_options opts = RF_PREDICT_OPTIONS_INIT;
    uint64_t sum = 0;
    opts.explain = &watch;
    demand(t->ctx, rf_predict(&told, t->ctx, step, &opts));
    for (size_t i = 0; i < rf_explain_num_live(watch); i++) {
        rf_explain_live live = rf_explain_live_at(watch, i);
        sum += live.cls == RF_MEM_ACTIVATION ? live.bytes : 0;
    }
    rf_explain_destroy(watch);
    return sum - (uint64_t)(t->vocab * t->width) * sizeof(float);
}

/* What ops of the step and of its parts cost here, as a plan measures it. */
static rf_costs *bench_costs(trainer *t, const rf_training_step *step)
{
    rf_costs *costs;
    rf_costs_options opts = RF_COSTS_OPTIONS_INIT;
    opts.seconds = 5;
    demand(t->ctx, rf_costs_create(&costs, t->ctx));
    demand(t->ctx, rf_costs_note_plan(costs, t->model, step));
    rf_costs_measure_rates(costs, t->ctx);
    demand(t->ctx, rf_costs_measure(costs, &opts));
    rf_costs_use(costs, t->ctx);
    return costs;
}

static void bench_budget(trainer *t, const rf_training_step *step, const rf_plan_options *opts,
                         double share, int pairs)
{
    rf_plan *plan;
    char name[16];
    snprintf(name, sizeof name, "%.0f %%", 100 * share);
    if (rf_plan_create(&plan, t->model, step, opts)) {
        printf("  %-9s  %s\n", name, rf_context_error(t->ctx)->message);
        return;
    }
    rf_plan_info info = rf_plan_info_of(plan);
    bench_plan(t, plan, name, 100 * (info.seconds / info.plain_seconds - 1), pairs);
    rf_plan_destroy(plan);
}

static void bench_head(const rf_plan_info *info, uint64_t resident, uint64_t activations)
{
    const double mib = 1048576;
    printf("  plain peak %.1f MiB: %.1f held before the step, %.1f activations, %.1f all else\n",
           (double)info->plain_peak / mib, (double)resident / mib, (double)activations / mib,
           (double)(info->plain_peak - resident - activations) / mib);
    printf("  activations  foretold  measured      plain   planned  foretold   slower\n"
           "                    MiB       MiB          s         s\n");
}

static void bench_budgets(trainer *t, int64_t layers, int pairs)
{
    static const double shares[BUDGETS] = {0.8, 0.5, 0.35, 0.25};
    const rf_training_step step = {trainer_step, t};
    rf_plan_options opts = RF_PLAN_OPTIONS_INIT;
    rf_plan *curve;
    uint64_t resident = trainer_memory(t).used, activations = bench_activations(t, &step);
    double begin = now();
    opts.costs = bench_costs(t, &step);
    demand(t->ctx, rf_plan_create(&curve, t->model, &step, &opts));
    printf("  costs and curve took %.2f s\n", now() - begin);
    rf_plan_info info = rf_plan_info_of(curve);
    bench_head(&info, resident, activations);
    for (int i = 0; i < BUDGETS; i++) {
        opts.budget = info.plain_peak - (uint64_t)((1 - shares[i]) * (double)activations);
        bench_budget(t, &step, &opts, shares[i], pairs);
    }
    bench_blocks(t, &step, layers, info.plain_seconds, pairs);
    rf_plan_destroy(curve);
    rf_costs_use(NULL, t->ctx);
    rf_costs_destroy(opts.costs);
}

int main(int argc, char **argv)
{
    int64_t sizes[4] = {12, 768, 4, 256};
    int pairs = argc > 5 ? atoi(argv[5]) : 0;
    int tiny = argc > 1 && !strcmp(argv[1], "--tiny");
    if (tiny)
        memcpy(sizes, (const int64_t[4]){2, 64, 2, 16}, sizeof sizes);
    for (int i = 1; i < argc && i <= 4 && !tiny; i++)
        sizes[i - 1] = atoll(argv[i]);
    if (sizes[0] < 1 || sizes[1] < 64 || sizes[1] % 64 || sizes[2] < 1 || sizes[3] < 2) {
        fprintf(stderr, "usage: budget [--tiny] [LAYERS WIDTH BATCH CONTEXT [PAIRS]]\n");
        return 2;
    }
    trainer t = trainer_new(sizes, tiny);
    printf("GPT-2, %lld layers of %lld, batch %lld of %lld\n", (long long)sizes[0],
           (long long)sizes[1], (long long)sizes[2], (long long)sizes[3]);
    for (int again = 0; again < (tiny ? 1 : 2); again++) {
        puts(again ? " logits made again, plain too" : " logits kept, while the budget allows");
        demand(t.ctx, rf_nn_gpt2_set_logits(t.model, again ? RF_LOGITS_RECOMPUTE : RF_LOGITS_AUTO));
        bench_budgets(&t, sizes[0], tiny ? 1 : pairs > 0 ? pairs : 7);
    }
    rf_optim_destroy(t.optim);
    rf_module_destroy(t.model);
    rf_context_destroy(t.ctx);
    free(t.ids);
    return 0;
}
