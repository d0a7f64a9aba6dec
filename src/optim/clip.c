/* clip.c: gradients of a whole module, measured and held to a length.
 *
 * The sum runs over parameters in path order, tied ones once, each in the kernel's fixed order; so
 * the norm has the same bits every time, for any number of threads. Gradients are scaled where they
 * lie. A norm that is not finite is told and nothing is scaled: no factor would mend it. */
#include "optim/optim.h"

#include <math.h>

#include "tensor/context_struct.h"

typedef struct clip_walk {
    rf_context *ctx;
    rf_exec exec;
    const rf_kernels *kernels;
    double sum;
    double factor;
} clip_walk;

static rf_status clip_measure(void *payload, const char *path, rf_tensor *param)
{
    clip_walk *walk = payload;
    rf_tensor *grad = rf_grad(param);
    if (!grad)
        return RF_OK;
    rf_view view = rf_optim_view(grad);
    double sum = 0;
    rf_status status = view.data ? walk->kernels->sum_squares(&walk->exec, &view, &sum) : RF_OK;
    if (status)
        return rf_fail(walk->ctx, status, "clipping: the gradient of %s can't be measured", path);
    walk->sum += sum;
    return RF_OK;
}

static rf_status clip_scale(void *payload, const char *path, rf_tensor *param)
{
    clip_walk *walk = payload;
    rf_tensor *grad = rf_grad(param);
    if (!grad)
        return RF_OK;
    rf_view view = rf_optim_view(grad);
    if (!view.data || rf_context_dry(walk->ctx))
        return RF_OK;
    rf_status status = walk->kernels->affine(&walk->exec, walk->factor, 0, &view, &view);
    if (status)
        return rf_fail(walk->ctx, status, "clipping: the gradient of %s can't be scaled", path);
    rf_tensor_touch(grad);
    return RF_OK;
}

rf_status rf_clip_grad_norm(rf_module *m, double max_norm, double *norm)
{
    rf_context *ctx = rf_module_context(m);
    clip_walk walk = {.ctx = ctx,
                      .exec = {.threads = rf_context_threads(ctx)},
                      .kernels = rf_context_kernels(ctx)};
    rf_status status = rf_module_each_param(m, 0, clip_measure, &walk);
    if (status)
        return status;
    double length = sqrt(walk.sum);
    if (norm)
        *norm = length;
    if (!(max_norm > 0) || !isfinite(length) || length <= max_norm)
        return RF_OK;
    walk.factor = max_norm / length;
    return rf_module_each_param(m, 0, clip_scale, &walk);
}
