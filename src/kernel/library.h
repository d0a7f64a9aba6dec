/* library.h: matrix products and convolutions by a tuned library, where one was found. */
#ifndef RF_KERNEL_LIBRARY_H
#define RF_KERNEL_LIBRARY_H

#include "kernel/kernel.h"

/* c (m, n) = (add ? c : 0) + op(a) (m, k) op(b) (k, n), row-major; c without gaps. */
typedef struct rf_sgemm {
    int64_t m, n, k;
    int transposed[2]; /* a, b: op swaps the axes                        */
    int64_t lead[2];   /* from one row of a (of b) as stored to the next */
    const float *a, *b;
    float *c;
    int add;
} rf_sgemm;

#if defined(RF_HAVE_ONEDNN)
/* With exactly e->threads threads; how many the caller's own parallel code gets is left as it was.
 * RF_E_MEMORY, RF_E_LIBRARY. */
rf_status rf_library_sgemm(const rf_exec *e, const rf_sgemm *s);

/* A convolution of f32, none of whose axes is empty, of whatever pass. The workspace holds what the
 * library wants besides the tensors; 0 also where it has no memory to say, and the convolution then
 * is RF_E_MEMORY. RF_E_LIBRARY. */
size_t rf_library_convolution_workspace(size_t threads, const rf_conv_call *c);
rf_status rf_library_convolution(const rf_exec *e, const rf_conv_call *c);

/* For the files that call it: every call stands between these two. Where begin says RF_E_MEMORY the
 * library must not be called, for it might end the process; else what it gives goes to end. */
rf_status rf_library_begin(size_t threads, int *before);
void rf_library_end(int before);
/* A status of the library's as ours. */
rf_status rf_library_status(int status);
#endif

#endif
