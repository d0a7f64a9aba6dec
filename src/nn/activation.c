/* activation.c: activations and dropout as modules. self is the kind, or the rate. */
#include "nn/layer.h"

static rf_status activation_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    static rf_tensor *(*const ops[])(rf_scope *, rf_tensor *) = {
        [RF_ACTIVATION_RELU] = rf_relu,           [RF_ACTIVATION_GELU] = rf_gelu,
        [RF_ACTIVATION_GELU_TANH] = rf_gelu_tanh, [RF_ACTIVATION_SILU] = rf_silu,
        [RF_ACTIVATION_TANH] = rf_tanh,           [RF_ACTIVATION_SIGMOID] = rf_sigmoid};
    const rf_activation *kind = rf_module_self(m);
    if (rf_layer_one(m, s, in, out))
        return rf_scope_status(s);
    out->v[0] = ops[*kind](s, in->v[0]);
    return rf_scope_status(s);
}

static const rf_module_class activation_class = {.size = sizeof(rf_module_class),
                                                 .name = "Activation",
                                                 .forward = activation_forward,
                                                 .copy = rf_layer_copy_self,
                                                 .destroy = rf_layer_destroy_self};

rf_status rf_nn_activation(rf_module **out, rf_context *ctx, rf_activation kind)
{
    *out = NULL;
    if ((unsigned)kind > RF_ACTIVATION_SIGMOID)
        return rf_fail(ctx, RF_E_ARGUMENT, "no activation number %d", (int)kind);
    return rf_layer_create(out, ctx, &activation_class, &kind, sizeof kind);
}

static rf_status dropout_layer_forward(rf_module *m, rf_scope *s, const rf_values *in,
                                       rf_values *out)
{
    const double *rate = rf_module_self(m);
    if (rf_layer_one(m, s, in, out))
        return rf_scope_status(s);
    out->v[0] = rf_module_training(m) ? rf_dropout(s, in->v[0], *rate) : in->v[0];
    return rf_scope_status(s);
}

static const rf_module_class dropout_class = {.size = sizeof(rf_module_class),
                                              .name = "Dropout",
                                              .forward = dropout_layer_forward,
                                              .copy = rf_layer_copy_self,
                                              .destroy = rf_layer_destroy_self};

rf_status rf_nn_dropout(rf_module **out, rf_context *ctx, double rate)
{
    *out = NULL;
    if (!(rate >= 0 && rate < 1))
        return rf_fail(ctx, RF_E_ARGUMENT, "a dropout rate must be in [0, 1)");
    return rf_layer_create(out, ctx, &dropout_class, &rate, sizeof rate);
}
