/* sgd.c: gradient descent with momentum (Sutskever et al. 2013, in the form without the factor of
 * the learning rate inside the momentum):
 *
 *     g += decay p
 *     v  = momentum v + (1 - dampening) g        the first time: v = g
 *     p -= lr v                                  nesterov: p -= lr (g + momentum v)
 *
 * Without momentum there is no v, and p -= lr g. */
#include "optim/optim.h"

typedef struct sgd_settings {
    double momentum;
    double dampening;
    double nesterov;
} sgd_settings;

static rf_status sgd_move(const void *payload, const rf_optim_move *move)
{
    const sgd_settings *settings = payload;
    const double c[5] = {move->lr, settings->momentum, settings->dampening,
                         move->item->weight_decay, settings->nesterov};
    const rf_view *const views[3] = {&move->param, &move->grad,
                                     move->moments[0].data ? &move->moments[0] : NULL};
    return move->kernels->sgd(&move->exec, c, move->count == 1, views);
}

static const rf_optim_rule sgd_plain = {"sgd", {NULL, NULL}, sgd_move};
static const rf_optim_rule sgd_momentum = {"sgd", {"momentum", NULL}, sgd_move};

rf_status rf_optim_sgd(rf_optim **out, rf_module *m, const rf_sgd_options *opts)
{
    const rf_sgd_options defaults = RF_SGD_OPTIONS_INIT;
    rf_context *ctx = rf_module_context(m);
    if (!opts)
        opts = &defaults;
    *out = NULL;
    if (opts->size != sizeof *opts)
        return rf_fail(ctx, RF_E_ARGUMENT, "sgd: options of another size");
    if (!rf_optim_figure_ok(opts->momentum) || !rf_optim_figure_ok(opts->dampening))
        return rf_fail(ctx, RF_E_ARGUMENT,
                       "sgd: momentum and dampening are finite and not negative");
    if (opts->nesterov && (opts->momentum == 0 || opts->dampening != 0))
        return rf_fail(ctx, RF_E_ARGUMENT, "sgd: nesterov needs a momentum and no dampening");
    const sgd_settings settings = {opts->momentum, opts->dampening, opts->nesterov != 0};
    const rf_optim_common common = {.lr = opts->lr == 0 ? 1e-2 : opts->lr,
                                    .weight_decay = opts->weight_decay,
                                    .groups = opts->groups,
                                    .num_groups = opts->num_groups,
                                    .settings = &settings,
                                    .settings_bytes = sizeof settings,
                                    .moments = opts->moments};
    return rf_optim_create(out, m, opts->momentum > 0 ? &sgd_momentum : &sgd_plain, &common);
}
