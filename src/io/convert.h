/* convert.h: floating-point elements of files in one of our own types. */
#ifndef RF_IO_CONVERT_H
#define RF_IO_CONVERT_H

#include "io/header.h"

/* num elements at src, little-endian and of a float type, to little-endian dtype (f32, f64, bf16)
 * at dst, rounded once, to nearest, ties to even. */
void rf_elements_convert(const rf_stored_type *type, const void *src, rf_dtype dtype, void *dst,
                         size_t num);

#endif
