/* 07_budget.c: fit a model of your own into a budget. */
#include <refrain/refrain.h>
#include <stdio.h>

enum { LAYERS = 12, WIDTH = 64, BATCH = 1024 };

typedef struct trainer {
    rf_context *ctx;
    rf_module *model;
    rf_optim *opt;
} trainer;

/* A step as it is anyway: it need not know of any plan. */
static rf_status step(void *payload)
{
    trainer *t = payload;
    rf_scope *s;
    rf_status status = rf_scope_open(&s, t->ctx, NULL);
    if (status)
        return status;
    rf_tensor *x = rf_normal(s, RF_F32, 2, (int64_t[]){BATCH, WIDTH});
    rf_tensor *y = rf_module_call1(t->model, s, x);
    status = rf_backward(s, rf_mean(s, rf_mul(s, y, y)));
    if (!status)
        status = rf_optim_step(t->opt);
    rf_optim_zero_grad(t->opt);
    rf_scope_close(s);
    return status;
}

static rf_status build(trainer *t)
{
    rf_module *part;
    rf_status status = rf_nn_sequential(&t->model, t->ctx);
    for (int i = 0; i < 2 * LAYERS && !status; i++) {
        status = i % 2 ? rf_nn_activation(&part, t->ctx, RF_ACTIVATION_TANH)
                       : rf_nn_linear(&part, t->ctx, WIDTH, WIDTH, 0);
        if (!status)
            status = rf_nn_sequential_add(t->model, part);
    }
    return status ? status : rf_optim_adamw(&t->opt, t->model, NULL);
}

/* From here on it is about the budget. */
static rf_status show(void *payload, const void *bytes, size_t num)
{
    return fwrite(bytes, 1, num, payload) == num ? RF_OK : RF_E_IO;
}

static rf_status fit(trainer *t, uint64_t budget)
{
    rf_plan *plan;
    rf_plan_options opts = RF_PLAN_OPTIONS_INIT;
    opts.budget = budget;
    rf_status status = rf_plan_create(&plan, t->model, &(rf_training_step){step, t}, &opts);
    if (status == RF_E_BUDGET)
        printf("%llu bytes are too few: the smallest budget is %llu\n", (unsigned long long)budget,
               (unsigned long long)rf_context_error(t->ctx)->limit_needed);
    if (status)
        return status;
    status = rf_plan_text(plan, (rf_write){show, stdout});
    if (!status)
        status = rf_plan_apply(plan, t->model);
    rf_plan_destroy(plan);
    return status ? status : rf_memory_set_limit(t->ctx, RF_DEVICE_CPU, RF_MEM_ALL, budget);
}

int main(void)
{
    trainer t = {NULL, NULL, NULL};
    rf_prediction plain = RF_PREDICTION_INIT;
    if (rf_context_create(&t.ctx, NULL) || build(&t) ||
        rf_predict(&plain, t.ctx, &(rf_training_step){step, &t}, NULL))
        return 1;
    int refused = fit(&t, 1 << 20) == RF_E_BUDGET;
    rf_status status = fit(&t, plain.peak[RF_MEM_ALL] * 2 / 3);
    for (int i = 0; i < 3 && !status; i++)
        status = step(&t);
    printf("three steps: %s\n", status ? rf_context_error(t.ctx)->message : "fine");
    rf_optim_destroy(t.opt);
    rf_module_destroy(t.model);
    rf_context_destroy(t.ctx);
    return status || !refused;
}
