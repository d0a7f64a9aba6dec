/* slab.h: small objects of a context, by size.
 *
 * Bookkeeping (handles, graph nodes, modules) is made and dropped by the thousand in a step; free
 * lists of equal sizes make each of those a few instructions. Chunks come from the allocator
 * through `chunk_get`, so that the ledger sees them, and go back when the slab ends, or before that
 * where a trim finds nothing in use in them. With RF_DEBUG
 * every object is an allocation of its own, so that sanitizers and fault injection see each.
 */
#ifndef RF_BASE_SLAB_H
#define RF_BASE_SLAB_H

#include <stddef.h>

#define RF_SLAB_CLASSES 32 /* 64, 128, ... 2048 bytes; larger ones go straight to the allocator */

struct slab_chunk;
struct slab_run;

typedef struct rf_slab {
    void *(*chunk_get)(void *payload, size_t bytes);
    void (*chunk_put)(void *payload, void *p, size_t bytes);
    void *payload;
    void *free[RF_SLAB_CLASSES];
    struct slab_chunk *chunks;
    char *at; /* where new objects are cut from */
    size_t left;
    struct slab_run *runs; /* where they will be cut from then */
} rf_slab;

void *rf_slab_get(rf_slab *slab, size_t bytes); /* aligned to 64, zeroed; NULL: no memory */
void rf_slab_put(rf_slab *slab, void *p, size_t bytes);
/* Give back the chunks in which nothing is in use, and make one run of neighbours that are free in
 * the others: what is asked for from now on takes the room that it would have taken, had nothing
 * else been asked for before. */
void rf_slab_trim(rf_slab *slab);
void rf_slab_end(rf_slab *slab);

#endif
