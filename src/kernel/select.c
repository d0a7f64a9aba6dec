/* select.c: which table of kernels a context gets. */
#include "kernel/reference.h"

#include <string.h>

extern const rf_kernels rf_vector_portable;
#if defined(RF_HAVE_AVX2)
extern const rf_kernels rf_vector_avx2;
#endif
#if defined(RF_HAVE_AVX512)
extern const rf_kernels rf_vector_avx512;
#endif

/* Table number i, best first, NULL where this processor cannot run it; *more is 0 past the end. */
static const rf_kernels *select_table(int i, int *more)
{
    *more = 1;
    switch (i) {
    case 0:
#if defined(RF_HAVE_AVX512)
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
            return &rf_vector_avx512;
#endif
        return NULL;
    case 1:
#if defined(RF_HAVE_AVX2)
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
            return &rf_vector_avx2;
#endif
        return NULL;
    case 2:
        return &rf_vector_portable;
    case 3:
        return &rf_kernels_reference;
    default:
        *more = 0;
        return NULL;
    }
}

const rf_kernels *rf_kernels_find(const char *isa)
{
    int more;
    for (int i = 0;; i++) {
        const rf_kernels *table = select_table(i, &more);
        if (table && (!isa || !strcmp(isa, table->name)))
            return table;
        if (!more)
            return NULL;
    }
}

int64_t rf_shape_count(const rf_shape *shape)
{
    int64_t n = 1;
    for (unsigned i = 0; i < shape->rank; i++)
        n *= shape->dims[i];
    return n;
}

int rf_view_contiguous(const rf_view *view)
{
    int64_t stride = 1;
    for (int i = view->shape.rank - 1; i >= 0; i--) {
        if (view->shape.dims[i] != 1 && view->strides[i] != stride)
            return view->shape.dims[i] == 0;
        stride *= view->shape.dims[i];
    }
    return 1;
}
