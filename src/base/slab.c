/* slab.c: see slab.h. */
#include "base/slab.h"
#include "base/check.h"

#include <string.h>

enum { SLAB_CHUNK = 32 * 1024, SLAB_LARGEST = RF_SLAB_CLASSES * 64 };

#if defined(RF_DEBUG)
enum { slab_direct = 1 };
#else
enum { slab_direct = 0 };
#endif

/* Begin a new chunk; its first 64 bytes link it. */
static int slab_extend(rf_slab *slab)
{
    void *chunk = slab->chunk_get(slab->payload, SLAB_CHUNK);
    if (!chunk)
        return 0;
    *(void **)chunk = slab->chunks;
    slab->chunks = chunk;
    slab->at = (char *)chunk + 64;
    slab->left = SLAB_CHUNK - 64;
    return 1;
}

void *rf_slab_get(rf_slab *slab, size_t bytes)
{
    size_t size = rf_round64(bytes ? bytes : 1);
    void *p;
    if (slab_direct || size > SLAB_LARGEST) {
        p = slab->chunk_get(slab->payload, size);
    } else if ((p = slab->free[size / 64 - 1]) != NULL) {
        slab->free[size / 64 - 1] = *(void **)p;
    } else {
        if (slab->left < size && !slab_extend(slab))
            return NULL;
        p = slab->at;
        slab->at += size;
        slab->left -= size;
    }
    return p ? memset(p, 0, size) : NULL;
}

void rf_slab_put(rf_slab *slab, void *p, size_t bytes)
{
    size_t size = rf_round64(bytes ? bytes : 1);
    if (!p)
        return;
    if (slab_direct || size > SLAB_LARGEST) {
        slab->chunk_put(slab->payload, p, size);
        return;
    }
    *(void **)p = slab->free[size / 64 - 1];
    slab->free[size / 64 - 1] = p;
}

void rf_slab_end(rf_slab *slab)
{
    while (slab->chunks) {
        void *chunk = slab->chunks;
        slab->chunks = *(void **)chunk;
        slab->chunk_put(slab->payload, chunk, SLAB_CHUNK);
    }
}
