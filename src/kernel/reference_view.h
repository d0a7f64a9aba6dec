/* reference_view.h: what the reference kernels read and write tensors by: elements by number, in
 * row-major order, whatever the type and the strides. */
#ifndef RF_KERNEL_REFERENCE_VIEW_H
#define RF_KERNEL_REFERENCE_VIEW_H

#include "kernel/reference.h"

/* Position of element number i (row-major) of a view, in elements from its data. */
static inline int64_t ref_at(const rf_view *v, int64_t i)
{
    int64_t at = 0;
    for (int axis = v->shape.rank - 1; axis >= 0; axis--) {
        at += i % v->shape.dims[axis] * v->strides[axis];
        i /= v->shape.dims[axis];
    }
    return at;
}

static inline double ref_get(const rf_view *v, int64_t i)
{
    return rf_element_get(v, ref_at(v, i));
}

static inline void ref_set(const rf_view *v, int64_t i, double value)
{
    rf_element_set(v, ref_at(v, i), value);
}

static inline int64_t ref_last(const rf_view *v)
{
    return v->shape.rank ? v->shape.dims[v->shape.rank - 1] : 1;
}

/* 64-bit integers do not fit a double: they are computed with as they are, and wrap around. */
static inline int64_t ref_integer(const rf_view *v, int64_t i)
{
    return v->shape.dtype == RF_I64 ? ((const int64_t *)v->data)[ref_at(v, i)]
                                    : (int64_t)ref_get(v, i);
}

static inline void ref_set_integer(const rf_view *v, int64_t i, uint64_t value)
{
    int64_t at = ref_at(v, i);
    if (v->shape.dtype == RF_I64)
        ((int64_t *)v->data)[at] = (int64_t)value;
    else if (v->shape.dtype == RF_I32)
        ((int32_t *)v->data)[at] = (int32_t)(uint32_t)value;
    else
        ((uint8_t *)v->data)[at] = (uint8_t)value;
}

static inline int ref_is_integer(const rf_view *v)
{
    return v->shape.dtype >= RF_I32;
}

#endif
