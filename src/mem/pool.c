/* pool.c: see pool.h.
 *
 * How a request finds its block of the plan: a step asks in the plan's order, but may ask for more
 * (a hook's own tensors) or for less. So a request takes the first block of its size among the next
 * few that are not taken; a block that falls too far behind is given up. What is matched wrongly
 * costs a place in the rest and no more: a planned place is used only if it is free.
 */
#include "mem/pool.h"
#include "mem/pages.h"
#include "mem/gaps.h"
#include "base/check.h"

#include <string.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define POOL_POISON(p, bytes)   ASAN_POISON_MEMORY_REGION(p, bytes)
#define POOL_UNPOISON(p, bytes) ASAN_UNPOISON_MEMORY_REGION(p, bytes)
#else
#define POOL_POISON(p, bytes)   ((void)(p), (void)(bytes))
#define POOL_UNPOISON(p, bytes) ((void)(p), (void)(bytes))
#endif

enum {
    POOL_AHEAD = 16, /* blocks of the plan that a request may be              */
    POOL_BEHIND = 8, /* so many may be taken behind one that is not asked for */
    POOL_BLOCKS = 256,
    POOL_SLACK = 64, /* pages */
};

struct rf_pool {
    rf_allocator alloc;
    rf_pages pages;
    rf_gaps arena, rest; /* free ranges below `border` and above it */
    uint64_t border;
    uint64_t busy[2]; /* blocks in use above the border and below it */
    uint64_t limit;   /* as set */
    rf_pool_block *plan;
    size_t num_plan;
    size_t next;    /* the first block of the plan that may still be asked for */
    uint32_t taken; /* of the POOL_AHEAD from there on, by bit                 */
    rf_pool_info info;
};

/* ---- making and ending ---- */

static uint64_t pool_reserve(const rf_pool_options *opts)
{
    if (opts->reserve)
        return opts->reserve;
    if (opts->limit)
        return opts->limit > UINT64_MAX / 8 ? UINT64_MAX / 2
                                            : 4 * opts->limit + ((uint64_t)1 << 30);
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? 2 * (uint64_t)pages * (uint64_t)page : (uint64_t)1 << 34;
}

/* Whether the bookkeeping is made: room to free all that is in use, and so many blocks more. */
static int pool_has_room(rf_pool *pool, uint64_t planned, uint64_t others)
{
    return rf_gaps_reserve(&pool->rest, pool->busy[0] + others + 2) &&
           rf_gaps_reserve(&pool->arena, pool->busy[1] + planned + 2);
}

rf_pool *rf_pool_create(const rf_allocator *alloc, const rf_pool_options *opts)
{
    rf_pool *pool = rf_allocator_get(alloc, sizeof *pool);
    if (!pool)
        return NULL;
    memset(pool, 0, sizeof *pool);
    pool->alloc = *alloc;
    pool->limit = opts->limit;
    rf_gaps_begin(&pool->arena, alloc);
    rf_gaps_begin(&pool->rest, alloc);
    uint64_t reserve = pool_reserve(opts), blocks = opts->blocks ? opts->blocks : POOL_BLOCKS;
    uint64_t arena = opts->arena < INT64_MAX / 2 ? rf_round64(opts->arena) : INT64_MAX / 2;
    if (!rf_pages_begin(&pool->pages, arena + reserve,
                        arena + (opts->limit ? opts->limit : arena)) ||
        !pool_has_room(pool, 0, blocks)) {
        rf_pool_destroy(pool);
        return NULL;
    }
    pool->border = (arena + pool->pages.page - 1) / pool->pages.page * pool->pages.page;
    if (pool->border)
        rf_gaps_give(&pool->arena, 0, pool->border);
    if (pool->border < pool->pages.bytes)
        rf_gaps_give(&pool->rest, pool->border, pool->pages.bytes - pool->border);
    return pool;
}

void rf_pool_destroy(rf_pool *pool)
{
    if (!pool)
        return;
    rf_allocator alloc = pool->alloc;
    if (pool->pages.base)
        POOL_UNPOISON(pool->pages.base, pool->pages.high);
    rf_pages_end(&pool->pages);
    rf_gaps_end(&pool->arena);
    rf_gaps_end(&pool->rest);
    rf_allocator_put(&alloc, pool->plan, pool->num_plan * sizeof *pool->plan);
    rf_allocator_put(&alloc, pool, sizeof *pool);
}

/* ---- the plan ---- */

/* 1: every block lies in the arena, below *top, but for *others, which lie behind it. */
static int pool_plan_fits(const rf_pool *pool, const rf_pool_block *blocks, size_t num,
                          uint64_t *top, uint64_t *others)
{
    for (size_t i = 0; i < num; i++) {
        uint64_t bytes = blocks[i].bytes, offset = blocks[i].offset, end;
        if (offset == RF_POOL_REST && bytes <= INT64_MAX) {
            ++*others;
            continue;
        }
        if (bytes > pool->border || offset % 64 || offset > pool->border)
            return 0;
        end = offset + rf_round64(bytes ? bytes : 1);
        if (end > pool->border)
            return 0;
        *top = end > *top ? end : *top;
    }
    return 1;
}

int rf_pool_plan(rf_pool *pool, const rf_pool_block *blocks, size_t num)
{
    rf_pool_block *plan = NULL;
    uint64_t top = 0, others = POOL_BLOCKS;
    if (num > SIZE_MAX / 2 / sizeof *plan || !pool_plan_fits(pool, blocks, num, &top, &others) ||
        !pool_has_room(pool, num, others) ||
        (num && !(plan = rf_allocator_get(&pool->alloc, num * sizeof *plan))))
        return 0;
    for (size_t i = 0; i < num; i++)
        plan[i] =
            (rf_pool_block){rf_round64(blocks[i].bytes ? blocks[i].bytes : 1), blocks[i].offset};
    rf_allocator_put(&pool->alloc, pool->plan, pool->num_plan * sizeof *plan);
    pool->plan = plan;
    pool->num_plan = num;
    pool->info.arena_top = top;
    pool->next = num; /* until a step begins */
    pool->taken = 0;
    return 1;
}

void rf_pool_step_begin(rf_pool *pool)
{
    pool->next = 0;
    pool->taken = 0;
}

/* The block at `ahead` from the next one is asked for; those taken and those too far behind go. */
static void pool_advance(rf_pool *pool, uint32_t ahead)
{
    pool->taken |= 1u << ahead;
    while (pool->taken & 1 || pool->taken >> (POOL_BEHIND + 1)) {
        pool->taken >>= 1;
        pool->next++;
    }
}

/* 1: the plan knows a block of so many bytes, here. */
static int pool_match(rf_pool *pool, uint64_t bytes, uint64_t *offset)
{
    for (uint32_t i = 0; i < POOL_AHEAD && pool->next + i < pool->num_plan; i++) {
        const rf_pool_block *block = &pool->plan[pool->next + i];
        if (pool->taken >> i & 1 || block->bytes != bytes)
            continue;
        *offset = block->offset;
        pool_advance(pool, i);
        return 1;
    }
    return 0;
}

/* ---- pages ---- */

static uint64_t pool_limit(const rf_pool *pool)
{
    uint64_t peak = pool->info.used_peak;
    return pool->limit ? pool->limit : peak + peak / 32 + POOL_SLACK * pool->pages.page;
}

/* From the last free range to the first. */
static void pool_trim_gaps(rf_pool *pool, const rf_gaps *gaps, uint64_t keep)
{
    uint64_t at = UINT64_MAX;
    const rf_gap *gap;
    while (pool->pages.kept > keep && (gap = rf_gaps_at(gaps, at)) != NULL) {
        rf_pages_put(&pool->pages, gap->begin, gap->begin + gap->bytes, pool->pages.kept - keep);
        if (!gap->begin)
            break;
        at = gap->begin - 1;
    }
}

void rf_pool_trim(rf_pool *pool, uint64_t keep)
{
    if (pool->pages.kept > keep)
        pool_trim_gaps(pool, &pool->rest, keep);
    if (pool->pages.kept > keep)
        pool_trim_gaps(pool, &pool->arena, keep);
}

void rf_pool_set_limit(rf_pool *pool, uint64_t bytes)
{
    pool->limit = bytes;
    rf_pool_trim(pool, pool_limit(pool));
}

/* Pages for a block that is no longer free. Room under the limit is made first. */
static int pool_get_pages(rf_pool *pool, uint64_t at, uint64_t bytes)
{
    uint64_t missing = rf_pages_missing(&pool->pages, at, at + bytes), limit = pool_limit(pool);
    if (!missing)
        return 1;
    rf_pool_trim(pool, limit > missing ? limit - missing : 0);
    if (rf_pages_get(&pool->pages, at, at + bytes))
        return 1;
    rf_pool_trim(pool, 0);
    return rf_pages_get(&pool->pages, at, at + bytes);
}

/* ---- blocks ---- */

static rf_gaps *pool_gaps(rf_pool *pool, uint64_t at)
{
    return at < pool->border ? &pool->arena : &pool->rest;
}

/* Where a block of so many bytes lies from now on; UINT64_MAX: nowhere. */
static uint64_t pool_place(rf_pool *pool, uint64_t bytes)
{
    uint64_t at = 0;
    int known = pool_match(pool, bytes, &at);
    int rest = known && at == RF_POOL_REST;
    if (known && !rest && rf_gaps_take(&pool->arena, at, bytes)) {
        pool->info.planned++;
        return at;
    }
    const rf_gap *best = rf_gaps_best(&pool->rest, bytes);
    if (!best)
        return UINT64_MAX;
    at = best->begin;
    rf_gaps_take(&pool->rest, at, bytes);
    pool->info.planned += (uint64_t)rest;
    pool->info.displaced += (uint64_t)(known && !rest);
    pool->info.unplanned += (uint64_t)!known;
    return at;
}

static void *pool_get_block(rf_pool *pool, size_t bytes)
{
    rf_pool_info *info = &pool->info;
    uint64_t size = rf_round64(bytes ? bytes : 1), at, peak = info->used_peak;
    if (!pool_has_room(pool, 1, 1) || (at = pool_place(pool, size)) == UINT64_MAX)
        return NULL;
    info->used += size;
    info->used_peak = info->used > peak ? info->used : peak;
    if (!pool_get_pages(pool, at, size)) {
        rf_gaps_give(pool_gaps(pool, at), at, size);
        info->used -= size;
        info->used_peak = peak;
        return NULL;
    }
    info->blocks++;
    pool->busy[at < pool->border]++;
    info->kept_peak = pool->pages.kept > info->kept_peak ? pool->pages.kept : info->kept_peak;
    POOL_POISON(pool->pages.base + at, size);
    POOL_UNPOISON(pool->pages.base + at, bytes);
    return pool->pages.base + at;
}

void *rf_pool_get(rf_pool *pool, size_t bytes)
{
    if (bytes > SIZE_MAX / 4)
        return NULL;
    pool->info.asked += bytes; /* from the beginning: making bookkeeping may ask for it */
    void *p = pool_get_block(pool, bytes);
    pool->info.asked -= p ? 0 : bytes;
    return p;
}

void rf_pool_put(rf_pool *pool, void *p, size_t bytes)
{
    if (!p)
        return;
    uint64_t at = (uint64_t)((char *)p - pool->pages.base);
    uint64_t size = rf_round64(bytes ? bytes : 1);
    POOL_POISON(p, size);
    rf_gaps_give(pool_gaps(pool, at), at, size);
    pool->info.used -= size;
    pool->info.blocks--;
    pool->busy[at < pool->border]--;
    pool->info.asked -= bytes;
    if (pool->pages.kept > pool_limit(pool))
        rf_pool_trim(pool, pool_limit(pool));
}

int rf_pool_owns(const rf_pool *pool, const void *p)
{
    const char *at = p, *base = pool->pages.base;
    return (uintptr_t)at - (uintptr_t)base < pool->pages.bytes;
}

void rf_pool_get_info(const rf_pool *pool, rf_pool_info *out)
{
    *out = pool->info;
    out->kept = pool->pages.kept;
    out->page_gets = pool->pages.gets;
    out->page_puts = pool->pages.puts;
}
