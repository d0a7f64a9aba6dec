/* select.c: which table of kernels a context gets. */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* syscall */
#endif
#include "kernel/reference.h"

#include <string.h>

#if defined(RF_HAVE_AVX512_BF16)
#include <cpuid.h>
#endif
#if defined(RF_HAVE_AMX) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

extern const rf_kernels rf_vector_portable;
#if defined(RF_HAVE_AVX2)
extern const rf_kernels rf_vector_avx2;
#endif
#if defined(RF_HAVE_AVX512)
extern const rf_kernels rf_vector_avx512;
#endif
#if defined(RF_HAVE_AVX512_BF16)
extern const rf_kernels rf_vector_avx512_bf16;
#endif
#if defined(RF_HAVE_AMX)
extern const rf_kernels rf_vector_amx;
#endif

static const rf_kernels *select_avx2(void)
{
#if defined(RF_HAVE_AVX2)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &rf_vector_avx2;
#endif
    return NULL;
}

static const rf_kernels *select_avx512(void)
{
#if defined(RF_HAVE_AVX512)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return &rf_vector_avx512;
#endif
    return NULL;
}

/* Products of pairs of bf16 in vectors. */
static const rf_kernels *select_avx512_bf16(void)
{
#if defined(RF_HAVE_AVX512_BF16)
    unsigned a, b, c, d;
    if (select_avx512() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && a & 1u << 5)
        return &rf_vector_avx512_bf16;
#endif
    return NULL;
}

/* The same in tiles, whose registers the system hands to a process that asks. A process that is
 * refused, as by a system that knows nothing of them, does without. */
static const rf_kernels *select_amx(void)
{
#if defined(RF_HAVE_AMX) && defined(__linux__)
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* of arch_prctl(2) */
    const unsigned tiles_and_bf16 = 1u << 24 | 1u << 22;
    unsigned a, b, c, d;
    if (select_avx512_bf16() && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
        (d & tiles_and_bf16) == tiles_and_bf16 &&
        !syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA))
        return &rf_vector_amx;
#endif
    return NULL;
}

/* Table number i, best first, NULL where this processor cannot run it; *more is 0 past the end. */
static const rf_kernels *select_table(int i, int *more)
{
    *more = 1;
    switch (i) {
    case 0:
        return select_amx();
    case 1:
        return select_avx512_bf16();
    case 2:
        return select_avx512();
    case 3:
        return select_avx2();
    case 4:
        return &rf_vector_portable;
    case 5:
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
