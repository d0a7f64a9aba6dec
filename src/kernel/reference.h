/* reference.h: every kernel written plainly, one element at a time, in double precision. It is the
 * truth that the fast tables are tested against, and what runs where nothing else does. */
#ifndef RF_KERNEL_REFERENCE_H
#define RF_KERNEL_REFERENCE_H

#include "kernel/kernel.h"

extern const rf_kernels rf_kernels_reference;

/* One element of any type as a double, and back (rounded to nearest even, or truncated to an
 * integer type). index is in elements from data. */
double rf_element_get(const rf_view *view, int64_t index);
void rf_element_set(const rf_view *view, int64_t index, double value);

#endif
