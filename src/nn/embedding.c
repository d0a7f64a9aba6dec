/* embedding.c: rows of a table. */
#include "nn/layer.h"

static rf_status embedding_layer_forward(rf_module *m, rf_scope *s, const rf_values *in,
                                         rf_values *out)
{
    if (rf_layer_one(m, s, in, out))
        return rf_scope_status(s);
    out->v[0] = rf_embedding(s, rf_module_param(m, "weight"), in->v[0]);
    return rf_scope_status(s);
}

static const rf_module_class embedding_class = {
    .size = sizeof(rf_module_class), .name = "Embedding", .forward = embedding_layer_forward};

rf_status rf_embedding_make(rf_module **out, rf_context *ctx, const int64_t dims[2],
                            double deviation)
{
    rf_status status = rf_module_create(out, ctx, &embedding_class, NULL);
    if (!status)
        status = rf_layer_param(*out, "weight", 2, dims, (rf_init){RF_INIT_NORMAL, deviation});
    return rf_layer_made(out, status);
}

rf_status rf_nn_embedding(rf_module **out, rf_context *ctx, int64_t count, int64_t width)
{
    return rf_embedding_make(out, ctx, (int64_t[]){count, width}, 1);
}
