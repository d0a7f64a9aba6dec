/* sort.h: sorting in place. The C library's qsort may allocate, which the ledger would not see. */
#ifndef RF_BASE_SORT_H
#define RF_BASE_SORT_H

#include <stddef.h>

/* Negative, zero or positive, as a is before, equal to or after b. */
typedef int (*rf_order)(const void *payload, const void *a, const void *b);
/* Heap sort of num items of size bytes: n log n steps at worst; equal items may change places. */
void rf_sort(void *items, size_t num, size_t size, rf_order order, const void *payload);

#endif
