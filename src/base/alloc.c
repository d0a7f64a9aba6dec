/* alloc.c: the C library's allocator in the shape of ours. */
#include "base/alloc.h"
#include "base/check.h"

#include <stdlib.h>

void *rf_alloc_libc(void *payload, void *old, size_t old_size, size_t size)
{
    (void)payload;
    (void)old_size;
    if (!size) {
        free(old);
        return NULL;
    }
    if (size > SIZE_MAX - 63)
        return NULL;
    return aligned_alloc(64, rf_round64(size));
}
