/* gpt.c: see gpt.h. */
#include "support/gpt.h"

static rf_status gpt_make(gpt *g, rf_context *ctx, const rf_gpt2_options *sizes)
{
    rf_adamw_options adamw = RF_ADAMW_OPTIONS_INIT;
    *g = (gpt){NULL, NULL, sizes->context};
    rf_status status = rf_nn_gpt2(&g->model, ctx, sizes);
    if (!status)
        status = rf_optim_adamw(&g->optim, g->model, &adamw);
    return status;
}

rf_status gpt_create(gpt *g, rf_context *ctx, double dropout)
{
    rf_gpt2_options sizes = {sizeof sizes, GPT_VOCAB, GPT_CONTEXT, GPT_LAYERS,     2,
                             32,           dropout,   0,           RF_LOGITS_AUTO, 0};
    return gpt_make(g, ctx, &sizes);
}

rf_status gpt_create_tiny(gpt *g, rf_context *ctx)
{
    rf_gpt2_options sizes = {sizeof sizes, 16, 4, 2, 2, 8, 0.1, 0, RF_LOGITS_AUTO, 0};
    return gpt_make(g, ctx, &sizes);
}

rf_status gpt_apply(gpt *g, int form)
{
    rf_status status = RF_OK;
    if (form >= GPT_SEQUENTIAL)
        return rf_checkpoint_sequential(rf_module_find(g->model, "h"),
                                        (size_t)(form - GPT_SEQUENTIAL + 1), NULL);
    if (form == GPT_WHOLE)
        return rf_checkpoint(g->model, NULL);
    if (form == GPT_NESTED)
        status = rf_checkpoint(rf_module_find(g->model, "h"), NULL);
    for (size_t i = 0; i < GPT_LAYERS && form != GPT_PLAIN && !status; i++) {
        rf_module *block = rf_nn_gpt2_block(g->model, i);
        if (!block)
            break;
        if (form != GPT_EVERY_TWO || i % 2 == 0)
            status = rf_checkpoint(block, NULL);
        if (form == GPT_NESTED && !status)
            status = rf_checkpoint(rf_module_find(block, "attn"), NULL);
        if (form == GPT_NESTED && !status)
            status = rf_checkpoint(rf_module_find(block, "mlp"), NULL);
    }
    return status;
}

void gpt_destroy(gpt *g)
{
    rf_optim_destroy(g->optim);
    rf_module_destroy(g->model);
}

rf_status gpt_step(gpt *g, uint32_t n, float *loss)
{
    int32_t ids[GPT_BATCH * GPT_CONTEXT + 1];
    int64_t dims[2] = {GPT_BATCH, g->context};
    rf_context *ctx = rf_module_context(g->model);
    rf_scope *s;
    rf_tensor *in[2], *out = NULL;
    rf_values from = {in, 2}, to = {&out, 1};
    rf_status status = rf_scope_open(&s, ctx, NULL);
    if (status)
        return status;
    for (uint32_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        ids[i] = (int32_t)((i * i * 7 + n * 13 + i) % (g->context == GPT_CONTEXT ? GPT_VOCAB : 16));
    in[0] = rf_tensor_copy_in(s, RF_I32, 2, dims, ids);
    in[1] = rf_tensor_copy_in(s, RF_I32, 2, dims, ids + 1);
    status = rf_module_call(g->model, s, &from, &to);
    if (!status)
        status = rf_backward(s, out);
    if (!status)
        status = rf_clip_grad_norm(g->model, 1.0, NULL);
    if (!status)
        status = rf_optim_step(g->optim);
    if (!status)
        status = rf_tensor_copy_out(out, loss, sizeof *loss);
    rf_optim_zero_grad(g->optim);
    rf_scope_close(s);
    return status;
}
