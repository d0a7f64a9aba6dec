/* select.c: which table of kernels a context gets. */
#include "kernel/reference.h"

#include <string.h>

const rf_kernels *rf_kernels_find(const char *isa)
{
    if (!isa || !strcmp(isa, rf_kernels_reference.name))
        return &rf_kernels_reference;
    return NULL;
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
