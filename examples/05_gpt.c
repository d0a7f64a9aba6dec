/* 05_gpt.c: a small GPT on a text file (by default this one), every block checkpointed; saved and
 * read back. The command `refrain train` does the same with more comfort. */
#include <refrain/refrain.h>
#include <stdio.h>

static rf_status train(rf_context *ctx, rf_module *model, rf_dataset *data, rf_optim *opt)
{
    rf_status status = RF_OK;
    for (int i = 0; i < 40 && !status; i++) {
        rf_scope *s;
        rf_tensor *pair[2], *loss = NULL;
        double value = 0;
        status = rf_scope_open(&s, ctx, NULL);
        if (status)
            break;
        status = rf_dataset_next(data, s, &pair[0], &pair[1]); /* ids and targets (B, T) */
        rf_values in = {pair, 2}, out = {&loss, 1};
        if (!status)
            status = rf_module_call(model, s, &in, &out);
        if (!status)
            status = rf_backward(s, loss);
        if (!status)
            status = rf_clip_grad_norm(model, 1.0, NULL);
        if (!status)
            status = rf_optim_step(opt);
        if (!status)
            status = rf_tensor_item(loss, &value);
        if (!status && i % 10 == 9)
            printf("step %2d  loss %.3f\n", i + 1, value);
        rf_optim_zero_grad(opt);
        rf_scope_close(s);
    }
    return status;
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : __FILE__;
    rf_context *ctx;
    rf_module *model = NULL;
    rf_dataset *data = NULL;
    rf_optim *opt = NULL;
    rf_gpt2_options gpt = RF_GPT2_OPTIONS_INIT;
    rf_dataset_options text = RF_DATASET_OPTIONS_INIT;
    rf_adamw_options adamw = RF_ADAMW_OPTIONS_INIT;
    uint64_t saved = 0, loaded = 1;
    gpt.layers = 2;
    gpt.width = 64;
    text.context = 32;
    text.batch = 4;
    adamw.lr = 3e-3;
    if (rf_context_create(&ctx, NULL))
        return 1;
    rf_status status = rf_nn_gpt2(&model, ctx, &gpt);
    for (int64_t i = 0; i < gpt.layers && !status; i++)
        status = rf_checkpoint(rf_nn_gpt2_block(model, (size_t)i), NULL);
    if (!status)
        status = rf_dataset_open(&data, ctx, &path, 1, &text);
    if (!status)
        status = rf_optim_adamw(&opt, model, &adamw);
    if (!status)
        status = train(ctx, model, data, opt);
    if (!status)
        status = rf_module_save(model, "05_gpt.safetensors", NULL);
    if (!status)
        status = rf_module_hash(model, &saved);
    if (!status)
        status = rf_module_load(model, "05_gpt.safetensors", NULL);
    if (!status)
        status = rf_module_hash(model, &loaded);
    if (status)
        fprintf(stderr, "%s: %s\n", rf_status_name(status), rf_context_error(ctx)->message);
    else
        printf("parameters %016llx, saved and read back\n", (unsigned long long)loaded);
    rf_optim_destroy(opt);
    rf_dataset_close(data);
    rf_module_destroy(model);
    rf_context_destroy(ctx);
    return status != RF_OK || saved != loaded;
}
