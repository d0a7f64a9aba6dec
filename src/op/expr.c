/* expr.c: calling ops as expressions, and the elementwise forward. See expr.h. */
#include "op/expr.h"

rf_tensor *rf_expr_optional(rf_scope *s, const rf_op_class *op, rf_tensor *const *in, size_t num,
                            uint32_t optional, const void *attrs, size_t attrs_size)
{
    rf_tensor *handles[RF_MAX_INPUTS];
    rf_tensor *result = NULL;
    if (s->status)
        return NULL;
    for (size_t i = 0; i < num && i < RF_MAX_INPUTS; i++) {
        handles[i] = in[i];
        if (!in[i] && !(optional & (1u << i))) {
            rf_fail(s->ctx, RF_E_ARGUMENT, "%s: input %zu is missing", op->name, i);
            rf_scope_fail(s, RF_E_ARGUMENT, NULL);
            return NULL;
        }
    }
    rf_values from = {handles, num}, to = {&result, 1};
    return rf_op_run(s, op, &from, attrs, attrs_size, &to) ? NULL : result;
}

rf_tensor *rf_expr(rf_scope *s, const rf_op_class *op, rf_tensor *const *in, size_t num,
                   const void *attrs, size_t attrs_size)
{
    return rf_expr_optional(s, op, in, num, 0, attrs, attrs_size);
}

int rf_expr_axis(rf_scope *s, const rf_tensor *x, int axis, const char *op)
{
    int rank;
    if (s->status)
        return -1;
    if (!x) {
        rf_fail(s->ctx, RF_E_ARGUMENT, "%s: input 0 is missing", op);
        rf_scope_fail(s, RF_E_ARGUMENT, NULL);
        return -1;
    }
    rank = x->view.shape.rank;
    if (axis >= -rank && axis < rank)
        return axis < 0 ? axis + rank : axis;
    rf_fail(s->ctx, RF_E_SHAPE, "%s: no axis %d in a tensor of rank %d", op, axis, rank);
    rf_scope_fail(s, RF_E_SHAPE, NULL);
    return -1;
}

rf_status rf_forward_unary(rf_op_call *call, rf_unary kind)
{
    rf_exec e = rf_call_exec(call);
    return rf_call_kernels(call)->unary(&e, kind, &call->in[0], &call->out[0]);
}

/* x as it looks in the output's shape: x itself, or what is made of it in *wide. */
static const rf_view *forward_wide(const rf_view *x, const rf_shape *shape, rf_view *wide)
{
    if (rf_shape_equal(&x->shape, shape))
        return x;
    *wide = *x;
    rf_view_broadcast(wide, shape);
    return wide;
}

rf_status rf_forward_binary(rf_op_call *call, rf_binary kind)
{
    rf_exec e = rf_call_exec(call);
    rf_view wide[2];
    const rf_view *out = &call->out[0];
    const rf_view *x = forward_wide(&call->in[0], &out->shape, &wide[0]);
    const rf_view *y = forward_wide(&call->in[1], &out->shape, &wide[1]);
    return rf_call_kernels(call)->binary(&e, kind, x, y, out);
}

rf_op_reads rf_reads_none(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    (void)wanted;
    return (rf_op_reads){0, 0};
}

rf_op_reads rf_reads_input(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    return (rf_op_reads){wanted ? 1 : 0, 0};
}

rf_op_reads rf_reads_output(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    return (rf_op_reads){0, wanted ? 1 : 0};
}

rf_tensor *rf_grad_to(rf_op_grad *grad, rf_tensor *g, size_t i)
{
    return rf_sum_to(grad->scope, g, grad->in_shape[i].rank, grad->in_shape[i].dims);
}
