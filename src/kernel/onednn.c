/* onednn.c: f32 products by oneDNN's BLAS-like entry, which needs no primitive and so no cache.
 *
 * Where it finds no memory for its code and buffers the library ends the process. So room is asked
 * of the system first, which is given back at once and never touched.
 */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#endif
#include "kernel/library.h"

#if defined(RF_HAVE_ONEDNN)
#include <dnnl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#ifdef _OPENMP
#include <omp.h>
#endif

/* Address space: a new thread's first allocation reserves up to 128 MiB of it. Memory: the code and
 * the packing buffers. */
enum { LIBRARY_SPACE = 192 << 20, LIBRARY_MEMORY = 8 << 20 };

static int library_could_map(size_t bytes, int protection)
{
    void *p = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p != MAP_FAILED && !munmap(p, bytes);
}

static int library_is_limited(int resource)
{
    struct rlimit limit;
    return !getrlimit(resource, &limit) && limit.rlim_cur != RLIM_INFINITY;
}

/* Only a process with a limit has to ask. */
static int library_has_room(void)
{
    int space = library_is_limited(RLIMIT_AS);
    if (space && !library_could_map(LIBRARY_SPACE, PROT_NONE))
        return 0;
    return (!space && !library_is_limited(RLIMIT_DATA)) ||
           library_could_map(LIBRARY_MEMORY, PROT_READ | PROT_WRITE);
}

/* The number of threads is that of the calling thread: no other sees it change. */
rf_status rf_library_begin(size_t threads, int *before)
{
    *before = 0;
    if (!library_has_room())
        return RF_E_MEMORY;
#ifdef _OPENMP
    *before = omp_get_max_threads();
    omp_set_num_threads((int)threads);
#endif
    (void)threads;
    return RF_OK;
}

void rf_library_end(int before)
{
#ifdef _OPENMP
    omp_set_num_threads(before);
#endif
    (void)before;
}

rf_status rf_library_status(int status)
{
    return status == dnnl_success         ? RF_OK
           : status == dnnl_out_of_memory ? RF_E_MEMORY
                                          : RF_E_LIBRARY;
}

rf_status rf_library_sgemm(const rf_exec *e, const rf_sgemm *s)
{
    int before;
    rf_status status = rf_library_begin(e->threads, &before);
    if (status)
        return status;
    status = rf_library_status(
        dnnl_sgemm(s->transposed[0] ? 'T' : 'N', s->transposed[1] ? 'T' : 'N', s->m, s->n, s->k, 1,
                   s->a, s->lead[0], s->b, s->lead[1], s->add ? 1 : 0, s->c, s->n));
    rf_library_end(before);
    return status;
}
#else
typedef int rf_library_is_absent;
#endif
