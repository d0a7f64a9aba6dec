/* heap.c: a heap inside one block that the caller gave.
 *
 * Invariant: free pieces form one list in order of address, and no two of them touch. A piece is a
 * multiple of 64 bytes and begins at one; sizes come back with the pointer (sized free), so pieces
 * in use carry no header and the whole block serves the caller's bytes.
 */
#include "base/alloc.h"
#include "base/check.h"

#include <stdint.h>

typedef struct heap_piece {
    struct heap_piece *next;
    size_t bytes;
} heap_piece;

struct rf_heap {
    heap_piece *first;
};

rf_heap *rf_heap_begin(void *block, size_t bytes)
{
    size_t skip = (size_t)(-(uintptr_t)block & 63);
    if (bytes < skip + 128)
        return NULL;
    rf_heap *heap = (rf_heap *)(void *)((char *)block + skip);
    heap_piece *piece = (heap_piece *)(void *)((char *)heap + 64);
    piece->next = NULL;
    piece->bytes = (bytes - skip - 64) & ~(size_t)63;
    heap->first = piece;
    return heap;
}

static void *heap_take(rf_heap *heap, size_t bytes)
{
    for (heap_piece **at = &heap->first; *at; at = &(*at)->next) {
        heap_piece *piece = *at;
        if (piece->bytes < bytes)
            continue;
        if (piece->bytes == bytes) {
            *at = piece->next;
            return piece;
        }
        /* Take the end, so that the list stays as it is. */
        piece->bytes -= bytes;
        return (char *)piece + piece->bytes;
    }
    return NULL;
}

static void heap_merge_next(heap_piece *piece)
{
    heap_piece *next = piece->next;
    if (next && (char *)piece + piece->bytes == (char *)next) {
        piece->bytes += next->bytes;
        piece->next = next->next;
    }
}

static void heap_give(rf_heap *heap, void *p, size_t bytes)
{
    heap_piece *piece = p, *before = NULL, *at = heap->first;
    while (at && at < piece) {
        before = at;
        at = at->next;
    }
    piece->bytes = bytes;
    piece->next = at;
    if (before)
        before->next = piece;
    else
        heap->first = piece;
    heap_merge_next(piece);
    if (before)
        heap_merge_next(before);
}

void *rf_alloc_heap(void *heap, void *old, size_t old_size, size_t size)
{
    if (size > SIZE_MAX - 63)
        return NULL;
    if (size)
        return heap_take(heap, rf_round64(size));
    heap_give(heap, old, rf_round64(old_size));
    return NULL;
}
