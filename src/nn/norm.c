/* norm.c: layer norm and rms norm. self is their eps. */
#include "nn/layer.h"

static rf_status layer_norm_layer_forward(rf_module *m, rf_scope *s, const rf_values *in,
                                          rf_values *out)
{
    const double *eps = rf_module_self(m);
    if (rf_layer_one(m, s, in, out))
        return rf_scope_status(s);
    out->v[0] =
        rf_layer_norm(s, in->v[0], rf_module_param(m, "weight"), rf_module_param(m, "bias"), *eps);
    return rf_scope_status(s);
}

static rf_status rms_norm_layer_forward(rf_module *m, rf_scope *s, const rf_values *in,
                                        rf_values *out)
{
    const double *eps = rf_module_self(m);
    if (rf_layer_one(m, s, in, out))
        return rf_scope_status(s);
    out->v[0] = rf_rms_norm(s, in->v[0], rf_module_param(m, "weight"), *eps);
    return rf_scope_status(s);
}

static const rf_module_class layer_norm_class = {.size = sizeof(rf_module_class),
                                                 .name = "LayerNorm",
                                                 .forward = layer_norm_layer_forward,
                                                 .copy = rf_layer_copy_self,
                                                 .destroy = rf_layer_destroy_self};
static const rf_module_class rms_norm_class = {.size = sizeof(rf_module_class),
                                               .name = "RMSNorm",
                                               .forward = rms_norm_layer_forward,
                                               .copy = rf_layer_copy_self,
                                               .destroy = rf_layer_destroy_self};

static rf_status norm_make(rf_module **out, rf_context *ctx, const rf_module_class *cls, double eps)
{
    double value = eps > 0 ? eps : 1e-5;
    return rf_layer_create(out, ctx, cls, &value, sizeof value);
}

rf_status rf_nn_layer_norm(rf_module **out, rf_context *ctx, int64_t width, double eps)
{
    rf_status status = norm_make(out, ctx, &layer_norm_class, eps);
    if (!status)
        status = rf_layer_param(*out, "weight", 1, &width, (rf_init){RF_INIT_CONSTANT, 1});
    if (!status)
        status = rf_layer_param(*out, "bias", 1, &width, (rf_init){RF_INIT_CONSTANT, 0});
    return rf_layer_made(out, status);
}

rf_status rf_nn_rms_norm(rf_module **out, rf_context *ctx, int64_t width, double eps)
{
    rf_status status = norm_make(out, ctx, &rms_norm_class, eps);
    if (!status)
        status = rf_layer_param(*out, "weight", 1, &width, (rf_init){RF_INIT_CONSTANT, 1});
    return rf_layer_made(out, status);
}
