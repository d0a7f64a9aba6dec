/* op_copy.c: clone, cast, detach.
 * clone and cast hand the gradient through (cast back to the input's type); detach stops it.
 */
#include "op/expr.h"
#include "op/table.h"

static rf_status copy_forward(rf_op_call *call)
{
    return rf_forward_unary(call, RF_UNARY_COPY);
}

static rf_status clone_backward(rf_op_grad *grad)
{
    grad->grad_in[0] = grad->grad_out[0];
    return RF_OK;
}

const rf_op_class rf_op_clone = {
    .size = sizeof(rf_op_class),
    .name = "clone",
    .doc = "a copy of x",
    .num_out = 1,
    .infer = rf_infer_first_any,
    .forward = copy_forward,
    .reads = rf_reads_none,
    .backward = clone_backward,
    .sample = rf_sample_unary,
};

rf_tensor *rf_clone(rf_scope *s, rf_tensor *x)
{
    return rf_expr1(s, &rf_op_clone, x);
}

rf_tensor *rf_contiguous(rf_scope *s, rf_tensor *x)
{
    return x && rf_view_contiguous(&x->view) ? x : rf_clone(s, x);
}

static rf_status cast_infer(rf_op_call *call)
{
    int64_t dtype = *(const int64_t *)call->attrs;
    call->out[0].shape = call->in[0].shape;
    call->out[0].shape.dtype = (uint8_t)dtype;
    return dtype >= 0 && dtype < RF_DTYPES ? RF_OK
                                           : rf_op_fail(call, RF_E_DTYPE, "no such element type");
}

static rf_status cast_backward(rf_op_grad *grad)
{
    grad->grad_in[0] = rf_cast(grad->scope, grad->grad_out[0], (rf_dtype)grad->in_shape[0].dtype);
    return grad->scope->status;
}

static int cast_sample(size_t index, rf_op_sample *out)
{
    *(int64_t *)(void *)out->attrs = RF_F64;
    return rf_sample_unary(index, out);
}

const rf_op_class rf_op_cast = {
    .size = sizeof(rf_op_class),
    .name = "cast",
    .doc = "x in another element type",
    .num_out = 1,
    .infer = cast_infer,
    .forward = copy_forward,
    .reads = rf_reads_none,
    .backward = cast_backward,
    .sample = cast_sample,
};

rf_tensor *rf_cast(rf_scope *s, rf_tensor *x, rf_dtype dtype)
{
    int64_t attrs = dtype;
    if (x && x->view.shape.dtype == (uint8_t)dtype)
        return x;
    return rf_expr(s, &rf_op_cast, &x, 1, &attrs, sizeof attrs);
}

static rf_status detach_infer(rf_op_call *call)
{
    call->out[0] = call->in[0];
    return RF_OK;
}

const rf_op_class rf_op_detach = {
    .size = sizeof(rf_op_class),
    .name = "detach",
    .doc = "x without its history",
    .traits = RF_OP_VIEW | RF_OP_NO_GRAD,
    .num_out = 1,
    .infer = detach_infer,
    .sample = rf_sample_unary,
};

rf_tensor *rf_detach(rf_scope *s, rf_tensor *x)
{
    return rf_expr1(s, &rf_op_detach, x);
}
