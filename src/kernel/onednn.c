/* onednn.c: f32 products by oneDNN's BLAS-like entry, which needs no primitive and so no cache. */
#include "kernel/library.h"

#if defined(RF_HAVE_ONEDNN)
#include <dnnl.h>
#ifdef _OPENMP
#include <omp.h>
#endif

rf_status rf_library_sgemm(const rf_exec *e, const rf_sgemm *s)
{
#ifdef _OPENMP
    int before = omp_get_max_threads(); /* of this thread: no other sees it change */
    omp_set_num_threads((int)e->threads);
#endif
    dnnl_status_t status =
        dnnl_sgemm(s->transposed[0] ? 'T' : 'N', s->transposed[1] ? 'T' : 'N', s->m, s->n, s->k, 1,
                   s->a, s->lead[0], s->b, s->lead[1], 0, s->c, s->n);
#ifdef _OPENMP
    omp_set_num_threads(before);
#endif
    (void)e;
    return status == dnnl_success         ? RF_OK
           : status == dnnl_out_of_memory ? RF_E_MEMORY
                                          : RF_E_LIBRARY;
}
#else
typedef int rf_library_is_absent;
#endif
