/* adamw.c: Adam with decoupled weight decay (Kingma & Ba 2015; Loshchilov & Hutter 2019):
 *
 *     p -= lr decay p
 *     m  = beta1 m + (1 - beta1) g
 *     v  = beta2 v + (1 - beta2) g^2
 *     p -= lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)
 *
 * t counts the moves of this parameter, from 1. */
#include "optim/optim.h"

#include <math.h>

typedef struct adamw_settings {
    double beta1;
    double beta2;
    double eps;
} adamw_settings;

static rf_status adamw_move(const void *payload, const rf_optim_move *move)
{
    const adamw_settings *settings = payload;
    const double t = (double)move->count;
    const double c[7] = {move->lr,
                         settings->beta1,
                         settings->beta2,
                         settings->eps,
                         move->item->weight_decay,
                         1 - pow(settings->beta1, t),
                         1 - pow(settings->beta2, t)};
    const rf_view *const views[4] = {&move->param, &move->grad, &move->moments[0],
                                     &move->moments[1]};
    return move->kernels->adamw(&move->exec, c, views);
}

static const rf_optim_rule adamw_rule = {"adamw", {"m", "v"}, adamw_move};

/* A share of the past: in [0, 1). */
static int adamw_beta_ok(double beta)
{
    return rf_optim_figure_ok(beta) && beta < 1;
}

rf_status rf_optim_adamw(rf_optim **out, rf_module *m, const rf_adamw_options *opts)
{
    const rf_adamw_options defaults = RF_ADAMW_OPTIONS_INIT;
    rf_context *ctx = rf_module_context(m);
    if (!opts)
        opts = &defaults;
    *out = NULL;
    if (opts->size != sizeof *opts)
        return rf_fail(ctx, RF_E_ARGUMENT, "adamw: options of another size");
    const adamw_settings settings = {opts->beta1 == 0 ? 0.9 : opts->beta1,
                                     opts->beta2 == 0 ? 0.999 : opts->beta2,
                                     opts->eps == 0 ? 1e-8 : opts->eps};
    if (!adamw_beta_ok(settings.beta1) || !adamw_beta_ok(settings.beta2) ||
        !rf_optim_figure_ok(settings.eps))
        return rf_fail(ctx, RF_E_ARGUMENT,
                       "adamw: beta1 and beta2 lie in [0, 1), eps is not negative");
    const rf_optim_common common = {.lr = opts->lr == 0 ? 1e-3 : opts->lr,
                                    .weight_decay = opts->weight_decay,
                                    .groups = opts->groups,
                                    .num_groups = opts->num_groups,
                                    .settings = &settings,
                                    .settings_bytes = sizeof settings,
                                    .moments = opts->moments};
    return rf_optim_create(out, m, &adamw_rule, &common);
}
