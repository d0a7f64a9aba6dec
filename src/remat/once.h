/* once.h: parts of a region that run in its forward alone.
 *
 * Such a part is an island: how many steps and values it had, where the generator stood after it,
 * and its results, which are kept. A recompute steps over it.
 */
#ifndef RF_REMAT_ONCE_H
#define RF_REMAT_ONCE_H

#include "remat/keep.h"

typedef struct rf_once {
    int given; /* out is filled: do not run */
    uint32_t steps;
    size_t records;
    uint64_t random;
} rf_once;

/* Before it would run, in a region. */
rf_status rf_once_begin(rf_once *once, rf_scope *s, rf_values *out);
/* After it ran, with its status, which is returned unless something else fails. */
rf_status rf_once_end(const rf_once *once, rf_scope *s, const rf_values *out, rf_status status);

#endif
