/* expr.h: what the files of ops share: calling as an expression, shape rules, samples. */
#ifndef RF_OP_EXPR_H
#define RF_OP_EXPR_H

#include "op/op.h"

#include <refrain/ops.h>

/* Run op on num inputs that must all be there; its first result, or NULL. */
rf_tensor *rf_expr(rf_scope *s, const rf_op_class *op, rf_tensor *const *in, size_t num,
                   const void *attrs, size_t attrs_size);
/* The same where bit i of optional allows input i to be NULL. */
rf_tensor *rf_expr_optional(rf_scope *s, const rf_op_class *op, rf_tensor *const *in, size_t num,
                            uint32_t optional, const void *attrs, size_t attrs_size);
static inline rf_tensor *rf_expr1(rf_scope *s, const rf_op_class *op, rf_tensor *x)
{
    return rf_expr(s, op, &x, 1, NULL, 0);
}
static inline rf_tensor *rf_expr2(rf_scope *s, const rf_op_class *op, rf_tensor *a, rf_tensor *b)
{
    return rf_expr(s, op, (rf_tensor *[]){a, b}, 2, NULL, 0);
}

/* axis counted from the end if negative; -1 and a failure in s if it is none of x's. */
int rf_expr_axis(rf_scope *s, const rf_tensor *x, int axis, const char *op);

/* ---- shape rules (infer) ---- */
rf_status rf_infer_first(rf_op_call *call);     /* like input 0; floats only           */
rf_status rf_infer_first_any(rf_op_call *call); /* like input 0, any type              */
rf_status rf_infer_broadcast(rf_op_call *call); /* of inputs 0 and 1, one type         */
rf_status rf_infer_same(rf_op_call *call);      /* inputs 0 and 1 alike, floats        */
rf_status rf_infer_need_float(rf_op_call *call, size_t input);
rf_status rf_infer_need_contiguous(rf_op_call *call, size_t input);
/* Strides that make x look like shape (0 where it repeats); x must broadcast to it. */
void rf_view_broadcast(rf_view *x, const rf_shape *shape);
/* Swap the last two axes. */
void rf_view_swap_last(rf_view *view);
/* view as (product of all axes but the last, last); it must be contiguous. */
void rf_view_rows(rf_view *view);

/* ---- which values backward reads ---- */
rf_op_reads rf_reads_none(const rf_op_call *call, uint32_t wanted);
rf_op_reads rf_reads_input(const rf_op_call *call, uint32_t wanted);  /* input 0  */
rf_op_reads rf_reads_output(const rf_op_call *call, uint32_t wanted); /* output 0 */

/* ---- gradients ---- */
/* g summed down to the shape of input i. */
rf_tensor *rf_grad_to(rf_op_grad *grad, rf_tensor *g, size_t i);

/* ---- samples ---- */
/* Float input number i of the given shape, values in [low, high]. */
void rf_sample_float(rf_op_sample *out, size_t i, double low, double high, size_t rank,
                     const int64_t *dims);
void rf_sample_integer(rf_op_sample *out, size_t i, int64_t below, size_t rank,
                       const int64_t *dims);
/* One float input: a vector, a matrix, a rank 3. */
int rf_sample_unary(size_t index, rf_op_sample *out);          /* [-2, 2]   */
int rf_sample_unary_positive(size_t index, rf_op_sample *out); /* [0.5, 2]  */
int rf_sample_binary(size_t index, rf_op_sample *out);         /* broadcasts too */
int rf_sample_binary_same(size_t index, rf_op_sample *out);

/* Forward functions of the elementwise kinds. */
rf_status rf_forward_unary(rf_op_call *call, rf_unary kind);
rf_status rf_forward_binary(rf_op_call *call, rf_binary kind);

#endif
