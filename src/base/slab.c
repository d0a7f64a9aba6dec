/* slab.c: see slab.h. */
#include "base/slab.h"
#include "base/check.h"

#include <stdint.h>
#include <string.h>

enum { SLAB_CHUNK = 32 * 1024, SLAB_LARGEST = RF_SLAB_CLASSES * 64 };

#if defined(RF_DEBUG)
enum { slab_direct = 1 };
#else
enum { slab_direct = 0 };
#endif

enum { SLAB_PIECES = SLAB_CHUNK / 64, SLAB_HEAD = 2, SLAB_WORDS = SLAB_PIECES / 64 };

/* The first SLAB_HEAD pieces of 64 bytes of a chunk. */
typedef struct slab_chunk {
    struct slab_chunk *next;
    uint64_t unused[SLAB_WORDS]; /* while trimming: pieces that no object has */
} slab_chunk;

/* Free bytes, at their beginning. */
typedef struct slab_run {
    struct slab_run *next;
    size_t bytes;
} slab_run;

/* Begin a new run, in a new chunk if need be. What is left of the one before goes to the free
 * lists, so that every byte is either an object's or known to be free. */
static int slab_extend(rf_slab *slab)
{
    slab_run *run = slab->runs;
    slab_chunk *chunk = run ? NULL : slab->chunk_get(slab->payload, SLAB_CHUNK);
    if (!run && !chunk)
        return 0;
    if (slab->left)
        rf_slab_put(slab, slab->at, slab->left);
    slab->at = run ? (char *)run : (char *)chunk + SLAB_HEAD * 64;
    slab->left = run ? run->bytes : SLAB_CHUNK - SLAB_HEAD * 64;
    if (run) {
        slab->runs = run->next;
    } else {
        chunk->next = slab->chunks;
        slab->chunks = chunk;
    }
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
        while (slab->left < size)
            if (!slab_extend(slab))
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

/* ---- trimming ---- */

/* The chunk that p lies in; `near` is where one is likely to be found. */
static slab_chunk *slab_chunk_of(const rf_slab *slab, const void *p, slab_chunk *near)
{
    if (near && (uintptr_t)p - (uintptr_t)near < SLAB_CHUNK)
        return near;
    slab_chunk *chunk = slab->chunks;
    while (chunk && (uintptr_t)p - (uintptr_t)chunk >= SLAB_CHUNK)
        chunk = chunk->next;
    return chunk;
}

static slab_chunk *slab_mark(const rf_slab *slab, const void *p, size_t bytes, slab_chunk *near)
{
    slab_chunk *chunk = slab_chunk_of(slab, p, near);
    size_t piece = (size_t)((const char *)p - (const char *)chunk) / 64;
    for (size_t end = piece + bytes / 64; piece < end; piece++)
        chunk->unused[piece / 64] |= UINT64_C(1) << piece % 64;
    return chunk;
}

/* Everything that is free, out of the lists and into the chunks' bits. */
static void slab_mark_all(rf_slab *slab)
{
    slab_chunk *near = slab->chunks;
    for (slab_chunk *chunk = slab->chunks; chunk; chunk = chunk->next)
        memset(chunk->unused, 0, sizeof chunk->unused);
    if (slab->left)
        near = slab_mark(slab, slab->at, slab->left, near);
    for (slab_run *run = slab->runs; run; run = run->next)
        near = slab_mark(slab, run, run->bytes, near);
    for (size_t k = 0; k < RF_SLAB_CLASSES; k++) {
        for (void *p = slab->free[k]; p; p = *(void **)p)
            near = slab_mark(slab, p, (k + 1) * 64, near);
        slab->free[k] = NULL;
    }
    slab->at = NULL;
    slab->left = 0;
    slab->runs = NULL;
}

static int slab_is_unused(const slab_chunk *chunk, size_t piece)
{
    return (int)(chunk->unused[piece / 64] >> piece % 64 & 1);
}

/* The unused pieces of a chunk as runs; 1 if that is all of it. */
static int slab_make_runs(rf_slab *slab, slab_chunk *chunk)
{
    slab_run *first = slab->runs;
    for (size_t piece = SLAB_HEAD; piece < SLAB_PIECES;) {
        size_t end = piece;
        while (end < SLAB_PIECES && slab_is_unused(chunk, end))
            end++;
        if (end - piece == SLAB_PIECES - SLAB_HEAD)
            return 1;
        if (end > piece) {
            slab_run *run = (slab_run *)(void *)((char *)chunk + piece * 64);
            *run = (slab_run){first, (end - piece) * 64};
            first = run;
        }
        piece = end + 1;
    }
    slab->runs = first;
    return 0;
}

void rf_slab_trim(rf_slab *slab)
{
    slab_mark_all(slab);
    for (slab_chunk **link = &slab->chunks; *link;) {
        slab_chunk *chunk = *link;
        if (slab_make_runs(slab, chunk)) {
            *link = chunk->next;
            slab->chunk_put(slab->payload, chunk, SLAB_CHUNK);
        } else {
            link = &chunk->next;
        }
    }
}

void rf_slab_end(rf_slab *slab)
{
    while (slab->chunks) {
        slab_chunk *chunk = slab->chunks;
        slab->chunks = chunk->next;
        slab->chunk_put(slab->payload, chunk, SLAB_CHUNK);
    }
}
