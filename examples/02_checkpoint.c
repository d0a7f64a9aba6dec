/* 02_checkpoint.c: the same model twice, plain and with every block checkpointed: less memory, the
 * same bits. */
#include <refrain/refrain.h>
#include <stdio.h>

enum { BLOCKS = 8, WIDTH = 64, ROWS = 256 };

/* A block: x + W2 gelu(W1 x). */
static rf_status block_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_tensor *x = in->v[0];                                                   /* (ROWS, WIDTH) */
    rf_tensor *h = rf_gelu(s, rf_module_call1(rf_module_find(m, "up"), s, x)); /* (ROWS, 4 WIDTH) */
    out->v[0] = rf_add(s, x, rf_module_call1(rf_module_find(m, "down"), s, h));
    return rf_scope_status(s);
}

static const rf_module_class block_class = {
    .size = sizeof(rf_module_class), .name = "Block", .forward = block_forward};

static rf_status add_block(rf_module *model, rf_context *ctx)
{
    rf_module *m, *layer;
    rf_status status = rf_module_create(&m, ctx, &block_class, NULL);
    if (status)
        return status;
    status = rf_nn_linear(&layer, ctx, WIDTH, 4 * WIDTH, 0);
    if (!status)
        status = rf_module_add_child(m, "up", layer);
    if (!status)
        status = rf_nn_linear(&layer, ctx, 4 * WIDTH, WIDTH, 0);
    if (!status)
        status = rf_module_add_child(m, "down", layer);
    return status ? status : rf_nn_sequential_add(model, m);
}

/* One step; the peak of activation bytes, and a hash of all gradients' effect: the parameters. */
static rf_status run(int checkpointed, uint64_t *peak, uint64_t *hash)
{
    rf_context *ctx;
    rf_module *model = NULL;
    rf_optim *opt = NULL;
    rf_scope *s = NULL;
    rf_memory_info info = {0, 0, 0, 0};
    rf_sgd_options sgd = RF_SGD_OPTIONS_INIT;
    rf_status status = rf_context_create(&ctx, NULL);
    if (status)
        return status;
    status = rf_nn_sequential(&model, ctx);
    for (size_t i = 0; i < BLOCKS && !status; i++)
        status = add_block(model, ctx);
    for (size_t i = 0; i < BLOCKS && !status && checkpointed; i++)
        status = rf_checkpoint(rf_module_child(model, i), NULL); /* this is all */
    if (!status)
        status = rf_optim_sgd(&opt, model, &sgd);
    if (!status)
        status = rf_scope_open(&s, ctx, NULL);
    if (!status) {
        rf_memory_reset_peak(ctx);
        rf_tensor *y = rf_module_call1(model, s, rf_normal(s, RF_F32, 2, (int64_t[]){ROWS, WIDTH}));
        status = rf_backward(s, rf_mean(s, rf_mul(s, y, y)));
    }
    if (!status)
        status = rf_optim_step(opt);
    if (!status)
        status = rf_memory_get(ctx, RF_DEVICE_CPU, RF_MEM_ACTIVATION, &info);
    if (!status)
        status = rf_module_hash(model, hash);
    *peak = info.peak;
    if (status)
        fprintf(stderr, "%s: %s\n", rf_status_name(status), rf_context_error(ctx)->message);
    rf_scope_close(s);
    rf_optim_destroy(opt);
    rf_module_destroy(model);
    rf_context_destroy(ctx);
    return status;
}

int main(void)
{
    uint64_t peak[2], hash[2];
    for (int i = 0; i < 2; i++) {
        if (run(i, &peak[i], &hash[i]))
            return 1;
        printf("%-12s peak %8llu bytes of activations, parameters %016llx\n",
               i ? "checkpointed" : "plain", (unsigned long long)peak[i],
               (unsigned long long)hash[i]);
    }
    return hash[0] != hash[1] || peak[1] * 2 > peak[0];
}
