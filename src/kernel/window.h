/* window.h: windows that slide over the last two axes (H, W) of images, for convolution and
 * pooling, and the kernels of these, which are the same in every table.
 */
#ifndef RF_KERNEL_WINDOW_H
#define RF_KERNEL_WINDOW_H

#include "kernel/kernel.h"

/* How many places a window has along an axis of `in` elements; 0: it does not fit. */
static inline int64_t rf_window_places(const rf_window *w, int axis, int64_t in)
{
    int64_t reach = w->dilation[axis] * (w->size[axis] - 1) + 1;
    int64_t room = in + 2 * w->padding[axis] - reach;
    return room < 0 ? 0 : room / w->stride[axis] + 1;
}

/* The places at which element k of the window lies inside an axis of `in` elements, of `out` places
 * in all: [*lo, *hi). At place o it lies on o stride + the returned shift. */
static inline int64_t rf_window_inside(const rf_window *w, int axis, int64_t k,
                                       const int64_t in_out[2], int64_t lo_hi[2])
{
    int64_t stride = w->stride[axis], shift = k * w->dilation[axis] - w->padding[axis];
    int64_t last = in_out[0] - 1 - shift;
    lo_hi[0] = shift < 0 ? (stride - 1 - shift) / stride : 0;
    lo_hi[1] = last < 0 ? 0 : last / stride + 1;
    if (lo_hi[1] > in_out[1])
        lo_hi[1] = in_out[1];
    if (lo_hi[0] > lo_hi[1])
        lo_hi[0] = lo_hi[1];
    return shift;
}

size_t rf_convolution_workspace(size_t threads, const rf_conv_call *c);
rf_status rf_convolution(const rf_exec *e, const rf_conv_call *c);

rf_status rf_pool_max(const rf_exec *e, const rf_window *w, const rf_view *x, const rf_view *y,
                      const rf_view *index);
rf_status rf_pool_pick(const rf_exec *e, const rf_view *x, const rf_view *index, const rf_view *y);
rf_status rf_pool_scatter(const rf_exec *e, const rf_view *g, const rf_view *index,
                          const rf_view *dx);
rf_status rf_pool_mean(const rf_exec *e, const rf_window *w, const rf_view *x, const rf_view *y);
rf_status rf_pool_spread(const rf_exec *e, const rf_window *w, const rf_view *g, const rf_view *dx);

rf_status rf_batch_normalize(const rf_exec *e, double eps, const rf_view *const in[3],
                             const rf_view *const out[3]);
rf_status rf_batch_normalize_grad(const rf_exec *e, double eps, const rf_view *const in[5],
                                  const rf_view *const out[3]);

#endif
