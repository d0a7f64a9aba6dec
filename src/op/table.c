/* table.c: the list of ops of a context: Refrain's own, then the user's. */
#include "op/table.h"
#include "tensor/context_struct.h"

#include <string.h>

static const rf_op_class *const own_ops[] = {
#define RF_OP(name) &rf_op_##name,
#include "op/ops.def"
#undef RF_OP
};
enum { NUM_OWN_OPS = sizeof own_ops / sizeof own_ops[0] };

size_t rf_op_count(const rf_context *ctx)
{
    return NUM_OWN_OPS + ctx->num_ops;
}

const rf_op_class *rf_op_at(const rf_context *ctx, size_t index)
{
    if (index < NUM_OWN_OPS)
        return own_ops[index];
    index -= NUM_OWN_OPS;
    return index < ctx->num_ops ? ctx->ops[index] : NULL;
}

rf_status rf_op_register(rf_context *ctx, const rf_op_class *op)
{
    if (op->size != sizeof *op || !op->name || !op->infer ||
        (!op->forward && !(op->traits & RF_OP_VIEW)) || !op->num_out)
        return rf_fail(ctx, RF_E_ARGUMENT,
                       "an op needs its size, name, infer, forward and num_out");
    if (op->num_out + op->num_aux > RF_MAX_OUTPUTS)
        return rf_fail(ctx, RF_E_ARGUMENT, "%s: more than %d outputs", op->name, RF_MAX_OUTPUTS);
    for (size_t i = 0; i < rf_op_count(ctx); i++)
        if (!strcmp(rf_op_at(ctx, i)->name, op->name))
            return rf_fail(ctx, RF_E_ARGUMENT, "there is an op named %s already", op->name);
    rf_status status = rf_host_grow(ctx, &ctx->ops, ctx->num_ops, &ctx->cap_ops, sizeof *ctx->ops);
    if (!status)
        ctx->ops[ctx->num_ops++] = op;
    return status;
}
