/* convolution.h: which convolution goes where: the tuned library for f32 with enough work, unless
 * columns.h knows better, else products with columns. The choice is a function of the shapes, as in
 * matmul.h.
 */
#ifndef RF_KERNEL_VECTOR_CONVOLUTION_H
#define RF_KERNEL_VECTOR_CONVOLUTION_H

#include "kernel/vector/matmul.h"
#include "kernel/columns.h"

#if defined(VEC_LIBRARY)
static int vec_conv_library(const rf_conv_call *c)
{
    const rf_shape *w = &c->w->shape;
    double each = (double)w->dims[1] * (double)w->dims[2] * (double)w->dims[3];
    return w->dtype == RF_F32 && !rf_conv_rows_fit(c) &&
           (double)rf_shape_count(&c->y->shape) * each >= 1 << 18;
}

static size_t vec_conv2d_workspace(size_t threads, const rf_conv_call *c)
{
    return vec_conv_library(c) ? rf_library_convolution_workspace(threads, c)
                               : rf_convolution_workspace(threads, c);
}

static rf_status vec_conv2d(const rf_exec *e, const rf_conv_call *c)
{
    return vec_conv_library(c) ? rf_library_convolution(e, c) : rf_convolution(e, c);
}
#else
#define vec_conv2d_workspace rf_convolution_workspace
#define vec_conv2d           rf_convolution
#endif

#endif
