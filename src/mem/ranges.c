/* ranges.c: see ranges.h. */
#include "mem/ranges.h"

#include <string.h>

enum { RANGES_FIRST = 64 };

void rf_ranges_begin(rf_ranges *r, const rf_allocator *alloc)
{
    *r = (rf_ranges){.alloc = *alloc, .random = 0x9E3779B9};
}

void rf_ranges_end(rf_ranges *r)
{
    rf_allocator_put(&r->alloc, r->nodes, r->nodes ? (r->capacity + 1) * sizeof *r->nodes : 0);
    r->nodes = NULL;
}

int rf_ranges_reserve(rf_ranges *r, size_t num)
{
    if (r->nodes && num <= r->capacity)
        return 1;
    size_t more = num < RANGES_FIRST ? RANGES_FIRST : num;
    more = more < 2 * (size_t)r->capacity ? 2 * (size_t)r->capacity : more;
    if (more >= UINT32_MAX)
        return 0;
    rf_range *nodes = rf_allocator_get(&r->alloc, (more + 1) * sizeof *nodes);
    if (!nodes)
        return 0;
    if (r->nodes)
        memcpy(nodes, r->nodes, (r->capacity + 1) * sizeof *nodes);
    for (uint32_t i = r->capacity + 1; i <= more; i++) {
        nodes[i].child[0][0] = r->unused;
        r->unused = i;
    }
    rf_ranges_end(r);
    r->nodes = nodes;
    r->capacity = (uint32_t)more;
    return 1;
}

/* Whether a is before b in a tree. */
static int ranges_before(const rf_range *a, const rf_range *b, int tree)
{
    if (tree == RF_RANGES_BY_BYTES && a->bytes != b->bytes)
        return a->bytes < b->bytes;
    return a->begin < b->begin;
}

static void ranges_link(rf_ranges *r, uint32_t index, int tree)
{
    rf_range *nodes = r->nodes, *node = &nodes[index];
    uint32_t *at = &r->root[tree];
    while (*at && nodes[*at].rank > node->rank)
        at = &nodes[*at].child[tree][ranges_before(&nodes[*at], node, tree)];
    /* What hangs there is split by the node's key. */
    uint32_t *before = &node->child[tree][0], *after = &node->child[tree][1], next = *at;
    *at = index;
    while (next) {
        int side = ranges_before(&nodes[next], node, tree);
        uint32_t **end = side ? &before : &after;
        **end = next;
        *end = &nodes[next].child[tree][side];
        next = **end;
    }
    *before = *after = 0;
}

static void ranges_unlink(rf_ranges *r, uint32_t index, int tree)
{
    rf_range *nodes = r->nodes, *node = &nodes[index];
    uint32_t *at = &r->root[tree];
    while (*at != index)
        at = &nodes[*at].child[tree][ranges_before(&nodes[*at], node, tree)];
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

static void ranges_add(rf_ranges *r, uint64_t begin, uint64_t bytes)
{
    uint32_t index = r->unused;
    r->unused = r->nodes[index].child[0][0];
    r->random ^= r->random << 13;
    r->random ^= r->random >> 17;
    r->random ^= r->random << 5;
    r->nodes[index] = (rf_range){.begin = begin, .bytes = bytes, .rank = r->random};
    ranges_link(r, index, RF_RANGES_BY_BEGIN);
    ranges_link(r, index, RF_RANGES_BY_BYTES);
}

static void ranges_remove(rf_ranges *r, uint32_t index)
{
    ranges_unlink(r, index, RF_RANGES_BY_BEGIN);
    ranges_unlink(r, index, RF_RANGES_BY_BYTES);
    r->nodes[index].child[0][0] = r->unused;
    r->unused = index;
}

/* The index of the last range that begins at or before `at`; 0: none. */
static uint32_t ranges_find(const rf_ranges *r, uint64_t at)
{
    uint32_t found = 0;
    for (uint32_t i = r->root[RF_RANGES_BY_BEGIN]; i;) {
        int side = r->nodes[i].begin <= at;
        found = side ? i : found;
        i = r->nodes[i].child[RF_RANGES_BY_BEGIN][side];
    }
    return found;
}

const rf_range *rf_ranges_at(const rf_ranges *r, uint64_t at)
{
    uint32_t i = ranges_find(r, at);
    return i ? &r->nodes[i] : NULL;
}

const rf_range *rf_ranges_best(const rf_ranges *r, uint64_t bytes)
{
    uint32_t found = 0;
    for (uint32_t i = r->root[RF_RANGES_BY_BYTES]; i;) {
        int side = r->nodes[i].bytes < bytes;
        found = side ? found : i;
        i = r->nodes[i].child[RF_RANGES_BY_BYTES][side];
    }
    return found ? &r->nodes[found] : NULL;
}

int rf_ranges_take(rf_ranges *r, uint64_t begin, uint64_t bytes)
{
    uint32_t i = ranges_find(r, begin);
    if (!i || r->nodes[i].bytes < bytes || begin - r->nodes[i].begin > r->nodes[i].bytes - bytes)
        return 0;
    uint64_t first = r->nodes[i].begin, end = first + r->nodes[i].bytes;
    ranges_remove(r, i);
    if (first < begin)
        ranges_add(r, first, begin - first);
    if (begin + bytes < end)
        ranges_add(r, begin + bytes, end - begin - bytes);
    return 1;
}

void rf_ranges_give(rf_ranges *r, uint64_t begin, uint64_t bytes)
{
    uint32_t before = ranges_find(r, begin), after;
    if (before && r->nodes[before].begin + r->nodes[before].bytes == begin) {
        bytes += begin - r->nodes[before].begin;
        begin = r->nodes[before].begin;
        ranges_remove(r, before);
    }
    after = ranges_find(r, begin + bytes);
    if (after && r->nodes[after].begin == begin + bytes) {
        bytes += r->nodes[after].bytes;
        ranges_remove(r, after);
    }
    ranges_add(r, begin, bytes);
}
