/* check.h: arithmetic on sizes that says when it would overflow. */
#ifndef RF_BASE_CHECK_H
#define RF_BASE_CHECK_H

#include <stddef.h>
#include <stdint.h>

/* *out = a * b; 0 if it does not fit. */
static inline int rf_mul_size(size_t a, size_t b, size_t *out)
{
    if (b && a > SIZE_MAX / b)
        return 0;
    *out = a * b;
    return 1;
}

/* *out = a + b; 0 if it does not fit. */
static inline int rf_add_size(size_t a, size_t b, size_t *out)
{
    if (a > SIZE_MAX - b)
        return 0;
    *out = a + b;
    return 1;
}

/* n rounded up to a multiple of 64, the alignment of every storage. */
static inline size_t rf_round64(size_t n)
{
    return (n + 63) & ~(size_t)63;
}

#endif
