/* profile_optim.c: what moving a parameter costs. Optimisers call their kernels themselves, outside
 * of rf_op_compute, so no event tells of them; here they are rows like those of ops, which only
 * this layer knows, so that they are noted, measured and kept in files as all else. */
#include "plan/profile.h"
#include "tensor/dry.h"

#include <string.h>

/* in: p g m v */
static rf_status move_adamw_forward(rf_op_call *call)
{
    static const double c[7] = {1e-6, 0.9, 0.999, 1e-8, 0.01, 1, 1};
    const rf_view *const views[4] = {&call->in[0], &call->in[1], &call->in[2], &call->in[3]};
    rf_exec e = rf_call_exec(call);
    return rf_call_kernels(call)->adamw(&e, c, views);
}

/* in: p g, and v with momentum */
static rf_status move_sgd_forward(rf_op_call *call)
{
    static const double c[5] = {1e-6, 0.9, 0, 0, 0};
    static const double without[5] = {1e-6, 0, 0, 0, 0};
    int momentum = call->num_in > 2;
    const rf_view *const views[3] = {&call->in[0], &call->in[1], momentum ? &call->in[2] : NULL};
    rf_exec e = rf_call_exec(call);
    return rf_call_kernels(call)->sgd(&e, momentum ? c : without, 0, views);
}

/* in: g; its norm, and the scaling that follows if that is too large */
static rf_status move_clip_forward(rf_op_call *call)
{
    double sum;
    rf_exec e = rf_call_exec(call);
    rf_status status = rf_call_kernels(call)->sum_squares(&e, &call->in[0], &sum);
    if (status)
        return status;
    return rf_call_kernels(call)->affine(&e, 0.999, 0, &call->in[0], &call->in[0]);
}

/* Everything is read once, and what is not the gradient is written. */
static rf_op_cost move_cost(const rf_op_call *call)
{
    double n = (double)rf_shape_count(&call->in[0].shape), in = (double)call->num_in;
    double written = in > 1 ? in - 1 : in;
    return (rf_op_cost){4 * in * n, (in + written) * n *
                                        (double)rf_dtype_size((rf_dtype)call->in[0].shape.dtype)};
}

static rf_status move_infer(rf_op_call *call)
{
    call->out[0].shape = call->in[0].shape;
    return RF_OK;
}

static const rf_op_class move_rows[] = {
    {.size = sizeof(rf_op_class),
     .name = "adamw",
     .doc = "one parameter moved",
     .traits = RF_OP_INPLACE | RF_OP_NO_GRAD,
     .num_out = 1,
     .infer = move_infer,
     .forward = move_adamw_forward,
     .cost = move_cost},
    {.size = sizeof(rf_op_class),
     .name = "sgd",
     .doc = "one parameter moved",
     .traits = RF_OP_INPLACE | RF_OP_NO_GRAD,
     .num_out = 1,
     .infer = move_infer,
     .forward = move_sgd_forward,
     .cost = move_cost},
    {.size = sizeof(rf_op_class),
     .name = "clip",
     .doc = "one gradient summed up and scaled",
     .traits = RF_OP_INPLACE | RF_OP_NO_GRAD,
     .num_out = 1,
     .infer = move_infer,
     .forward = move_clip_forward,
     .cost = move_cost},
};

/* The call that moves a parameter; 0: no such rule. */
static int move_call(rf_op_call *call, rf_view views[5], const char *rule, const rf_shape *param,
                     size_t moments)
{
    static const unsigned char attrs[RF_MAX_ATTRS] = {0};
    const rf_op_class *op = NULL;
    for (size_t i = 0; i < sizeof move_rows / sizeof move_rows[0]; i++)
        if (!strcmp(move_rows[i].name, rule))
            op = &move_rows[i];
    if (!op)
        return 0;
    size_t num = op->forward == move_clip_forward ? 1 : op->forward == move_sgd_forward ? 2 : 4;
    num += op->forward == move_sgd_forward && moments;
    for (size_t i = 0; i < 5; i++) {
        views[i] = (rf_view){.shape = *param};
        rf_view_set_contiguous(&views[i]);
    }
    call->op = op;
    call->attrs = attrs;
    call->num_in = num;
    call->num_out = 1;
    call->in = views;
    call->out = &views[4];
    return 1;
}

uint64_t rf_costs_note_move(rf_costs *costs, const char *rule, const rf_shape *param,
                            size_t moments)
{
    rf_view views[5];
    rf_op_call call = {.ctx = costs->ctx};
    return move_call(&call, views, rule, param, moments) ? rf_costs_note(costs, &call) : 0;
}

void rf_cost_spend_move(rf_context *ctx, const char *rule, const rf_shape *param, size_t moments)
{
    rf_view views[5];
    rf_op_call call = {.ctx = ctx};
    if (move_call(&call, views, rule, param, moments))
        rf_dry_spend(ctx, &call);
}
