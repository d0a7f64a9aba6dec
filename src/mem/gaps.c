/* gaps.c: see gaps.h. */
#include "mem/gaps.h"

#include <string.h>

enum { GAPS_FIRST = 64 };

void rf_gaps_begin(rf_gaps *r, const rf_allocator *alloc)
{
    *r = (rf_gaps){.alloc = *alloc, .random = 0x9E3779B9};
}

void rf_gaps_end(rf_gaps *r)
{
    rf_allocator_put(&r->alloc, r->nodes, r->nodes ? (r->capacity + 1) * sizeof *r->nodes : 0);
    r->nodes = NULL;
}

int rf_gaps_reserve(rf_gaps *r, size_t num)
{
    if (r->nodes && num <= r->capacity)
        return 1;
    size_t more = num < GAPS_FIRST ? GAPS_FIRST : num;
    more = more < 2 * (size_t)r->capacity ? 2 * (size_t)r->capacity : more;
    if (more >= UINT32_MAX)
        return 0;
    rf_gap *nodes = rf_allocator_get(&r->alloc, (more + 1) * sizeof *nodes);
    if (!nodes)
        return 0;
    if (r->nodes)
        memcpy(nodes, r->nodes, (r->capacity + 1) * sizeof *nodes);
    for (uint32_t i = r->capacity + 1; i <= more; i++) {
        nodes[i].child[0][0] = r->unused;
        r->unused = i;
    }
    rf_gaps_end(r);
    r->nodes = nodes;
    r->capacity = (uint32_t)more;
    return 1;
}

/* Whether a is before b in a tree. */
static int gaps_before(const rf_gap *a, const rf_gap *b, int tree)
{
    if (tree == RF_GAPS_BY_BYTES && a->bytes != b->bytes)
        return a->bytes < b->bytes;
    return a->begin < b->begin;
}

static void gaps_link(rf_gaps *r, uint32_t index, int tree)
{
    rf_gap *nodes = r->nodes, *node = &nodes[index];
    uint32_t *at = &r->root[tree];
    while (*at && nodes[*at].rank > node->rank)
        at = &nodes[*at].child[tree][gaps_before(&nodes[*at], node, tree)];
    /* What hangs there is split by the node's key. */
    uint32_t *before = &node->child[tree][0], *after = &node->child[tree][1], next = *at;
    *at = index;
    while (next) {
        int side = gaps_before(&nodes[next], node, tree);
        uint32_t **end = side ? &before : &after;
        **end = next;
        *end = &nodes[next].child[tree][side];
        next = **end;
    }
    *before = *after = 0;
}

static void gaps_unlink(rf_gaps *r, uint32_t index, int tree)
{
    rf_gap *nodes = r->nodes, *node = &nodes[index];
    uint32_t *at = &r->root[tree];
    while (*at != index)
        at = &nodes[*at].child[tree][gaps_before(&nodes[*at], node, tree)];
    uint32_t before = node->child[tree][0], after = node->child[tree][1];
    while (before && after) {
        int side = nodes[before].rank > nodes[after].rank;
        uint32_t *next = side ? &before : &after;
        *at = *next;
        at = &nodes[*next].child[tree][side];
        *next = *at;
    }
    *at = before ? before : after;
}

static void gaps_add(rf_gaps *r, uint64_t begin, uint64_t bytes)
{
    uint32_t index = r->unused;
    r->unused = r->nodes[index].child[0][0];
    r->random ^= r->random << 13;
    r->random ^= r->random >> 17;
    r->random ^= r->random << 5;
    r->nodes[index] = (rf_gap){.begin = begin, .bytes = bytes, .rank = r->random};
    gaps_link(r, index, RF_GAPS_BY_BEGIN);
    gaps_link(r, index, RF_GAPS_BY_BYTES);
}

static void gaps_remove(rf_gaps *r, uint32_t index)
{
    gaps_unlink(r, index, RF_GAPS_BY_BEGIN);
    gaps_unlink(r, index, RF_GAPS_BY_BYTES);
    r->nodes[index].child[0][0] = r->unused;
    r->unused = index;
}

/* The index of the last range that begins at or before `at`; 0: none. */
static uint32_t gaps_find(const rf_gaps *r, uint64_t at)
{
    uint32_t found = 0;
    for (uint32_t i = r->root[RF_GAPS_BY_BEGIN]; i;) {
        int side = r->nodes[i].begin <= at;
        found = side ? i : found;
        i = r->nodes[i].child[RF_GAPS_BY_BEGIN][side];
    }
    return found;
}

const rf_gap *rf_gaps_at(const rf_gaps *r, uint64_t at)
{
    uint32_t i = gaps_find(r, at);
    return i ? &r->nodes[i] : NULL;
}

const rf_gap *rf_gaps_best(const rf_gaps *r, uint64_t bytes)
{
    uint32_t found = 0;
    for (uint32_t i = r->root[RF_GAPS_BY_BYTES]; i;) {
        int side = r->nodes[i].bytes < bytes;
        found = side ? found : i;
        i = r->nodes[i].child[RF_GAPS_BY_BYTES][side];
    }
    return found ? &r->nodes[found] : NULL;
}

int rf_gaps_take(rf_gaps *r, uint64_t begin, uint64_t bytes)
{
    uint32_t i = gaps_find(r, begin);
    if (!i || r->nodes[i].bytes < bytes || begin - r->nodes[i].begin > r->nodes[i].bytes - bytes)
        return 0;
    uint64_t first = r->nodes[i].begin, end = first + r->nodes[i].bytes;
    gaps_remove(r, i);
    if (first < begin)
        gaps_add(r, first, begin - first);
    if (begin + bytes < end)
        gaps_add(r, begin + bytes, end - begin - bytes);
    return 1;
}

void rf_gaps_give(rf_gaps *r, uint64_t begin, uint64_t bytes)
{
    uint32_t before = gaps_find(r, begin), after;
    if (before && r->nodes[before].begin + r->nodes[before].bytes == begin) {
        bytes += begin - r->nodes[before].begin;
        begin = r->nodes[before].begin;
        gaps_remove(r, before);
    }
    after = gaps_find(r, begin + bytes);
    if (after && r->nodes[after].begin == begin + bytes) {
        bytes += r->nodes[after].bytes;
        gaps_remove(r, after);
    }
    gaps_add(r, begin, bytes);
}
