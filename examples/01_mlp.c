/* 01_mlp.c: a model, an optimiser, a loop. Learns whether a point lies inside of a ring. */
#include <refrain/refrain.h>
#include <stdio.h>

enum { BATCH = 64 };

/* Points of the square, and 1 for those in the ring. */
static void sample(rf_scope *s, unsigned *seed, rf_tensor **x, rf_tensor **y)
{
    float points[BATCH][2];
    int32_t labels[BATCH];
    for (int i = 0; i < BATCH; i++) {
        for (int k = 0; k < 2; k++) {
            *seed = *seed * 1664525u + 1013904223u;
            points[i][k] = (float)(*seed >> 8) / 8388608.0f - 1;
        }
        float r = points[i][0] * points[i][0] + points[i][1] * points[i][1];
        labels[i] = r > 0.2f && r < 0.7f;
    }
    *x = rf_tensor_copy_in(s, RF_F32, 2, (int64_t[]){BATCH, 2}, points);
    *y = rf_tensor_copy_in(s, RF_I32, 1, (int64_t[]){BATCH}, labels);
}

static rf_status build(rf_context *ctx, rf_module **model)
{
    static const int64_t widths[] = {2, 32, 32, 2};
    rf_module *layer;
    rf_status status = rf_nn_sequential(model, ctx);
    for (int i = 0; i < 3 && !status; i++) {
        status = rf_nn_linear(&layer, ctx, widths[i], widths[i + 1], 0);
        if (!status)
            status = rf_nn_sequential_add(*model, layer);
        if (!status && i < 2)
            status = rf_nn_activation(&layer, ctx, RF_ACTIVATION_TANH);
        if (!status && i < 2)
            status = rf_nn_sequential_add(*model, layer);
    }
    return status;
}

static rf_status step(rf_context *ctx, rf_module *model, rf_optim *opt, unsigned *seed,
                      double *value)
{
    rf_scope *s;
    rf_tensor *x, *y;
    rf_status status = rf_scope_open(&s, ctx, NULL);
    if (status)
        return status;
    sample(s, seed, &x, &y);
    rf_tensor *loss = rf_cross_entropy(s, rf_module_call1(model, s, x), y, NULL);
    status = rf_backward(s, loss); /* the first failure of the lines above, if there was one */
    if (!status)
        status = rf_optim_step(opt);
    if (!status)
        status = rf_tensor_item(loss, value);
    rf_optim_zero_grad(opt);
    rf_scope_close(s);
    return status;
}

int main(void)
{
    rf_context *ctx;
    rf_module *model = NULL;
    rf_optim *opt = NULL;
    rf_adamw_options adamw = RF_ADAMW_OPTIONS_INIT;
    unsigned seed = 1;
    double loss = 0;
    adamw.lr = 2e-2;
    if (rf_context_create(&ctx, NULL))
        return 1;
    rf_status status = build(ctx, &model);
    if (!status)
        status = rf_optim_adamw(&opt, model, &adamw);
    for (int i = 0; i < 1000 && !status; i++) {
        status = step(ctx, model, opt, &seed, &loss);
        if (!status && i % 200 == 199)
            printf("step %4d  loss %.4f\n", i + 1, loss);
    }
    if (status)
        fprintf(stderr, "%s: %s\n", rf_status_name(status), rf_context_error(ctx)->message);
    rf_optim_destroy(opt);
    rf_module_destroy(model);
    rf_context_destroy(ctx);
    return status || loss > 0.4;
}
