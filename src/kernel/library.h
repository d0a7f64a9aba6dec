/* library.h: matrix products by a tuned library, where one was found. */
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
#endif

#endif
