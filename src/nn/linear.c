/* linear.c: y = x W^T + b. */
#include "nn/layer.h"

static rf_status linear_layer_forward(rf_module *m, rf_scope *s, const rf_values *in,
                                      rf_values *out)
{
    if (rf_layer_one(m, s, in, out))
        return rf_scope_status(s);
    out->v[0] = rf_linear(s, in->v[0], rf_module_param(m, "weight"), rf_module_param(m, "bias"));
    return rf_scope_status(s);
}

static const rf_module_class linear_class = {
    .size = sizeof(rf_module_class), .name = "Linear", .forward = linear_layer_forward};

rf_status rf_nn_linear(rf_module **out, rf_context *ctx, int64_t in_features, int64_t out_features,
                       int no_bias)
{
    double bound = in_features > 0 ? 1 / sqrt((double)in_features) : 0;
    rf_status status = rf_module_create(out, ctx, &linear_class, NULL);
    if (!status)
        status = rf_layer_param(*out, "weight", 2, (int64_t[]){out_features, in_features},
                                (rf_init){RF_INIT_UNIFORM, bound});
    if (!status && !no_bias)
        status = rf_layer_param(*out, "bias", 1, &out_features, (rf_init){RF_INIT_UNIFORM, bound});
    return rf_layer_made(out, status);
}
