/* pages.c: see pages.h. */
#define _GNU_SOURCE
#include "mem/pages.h"

#include <sys/mman.h>
#include <unistd.h>

static int pages_test(const rf_pages *p, uint64_t page)
{
    return page < p->ready && p->bits[page / 64] >> page % 64 & 1;
}

/* The first page in [page, end) whose bit is `value`; end: none. */
static uint64_t pages_next(const rf_pages *p, uint64_t page, uint64_t end, int value)
{
    while (page < end && pages_test(p, page) != value) {
        uint64_t word = page < p->ready ? p->bits[page / 64] : 0, none = value ? 0 : UINT64_MAX;
        page += page % 64 == 0 && word == none ? 64 : 1;
    }
    return page < end ? page : end;
}

static void pages_mark(rf_pages *p, uint64_t page, uint64_t end, int value)
{
    uint64_t bytes = (end - page) * p->page;
    for (; page < end; page++) {
        if (value)
            p->bits[page / 64] |= (uint64_t)1 << page % 64;
        else
            p->bits[page / 64] &= ~((uint64_t)1 << page % 64);
    }
    p->kept = value ? p->kept + bytes : p->kept - bytes;
    if (value && end * p->page > p->high)
        p->high = end * p->page;
}

static char *pages_map(uint64_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

/* Bytes of the bitmap of a space, whole pages. */
static uint64_t pages_bitmap(const rf_pages *p)
{
    uint64_t words = (p->bytes / p->page + 63) / 64;
    return (words * 8 + p->page - 1) / p->page * p->page;
}

int rf_pages_begin(rf_pages *p, uint64_t wanted, uint64_t least)
{
    long page = sysconf(_SC_PAGESIZE);
    *p = (rf_pages){.page = page > 0 ? (uint64_t)page : 4096};
    uint64_t most = (uint64_t)(SIZE_MAX / 4);
    for (wanted = wanted < most ? wanted : most;; wanted /= 2) {
        p->bytes = (wanted / p->page + 1) * p->page;
        if (wanted < least || !wanted)
            return 0;
        p->base = pages_map(p->bytes + pages_bitmap(p));
        if (p->base)
            break;
    }
    p->bits = (uint64_t *)(void *)(p->base + p->bytes);
    return 1;
}

/* Make the bitmap tell of pages below `end`. It grows by 16 pages, with the space that is used. */
static int pages_prepare(rf_pages *p, uint64_t end)
{
    uint64_t step = 8 * 16 * p->page, most = 8 * pages_bitmap(p);
    uint64_t ready = (end / step + 1) * step;
    if (end <= p->ready)
        return 1;
    ready = ready < most ? ready : most;
    if (mprotect(p->bits, ready / 8, PROT_READ | PROT_WRITE))
        return 0;
    p->ready = ready;
    return 1;
}

void rf_pages_end(rf_pages *p)
{
    if (p->base)
        munmap(p->base, p->bytes + pages_bitmap(p));
    p->base = NULL;
}

uint64_t rf_pages_missing(const rf_pages *p, uint64_t begin, uint64_t end)
{
    uint64_t page = begin / p->page, last = (end + p->page - 1) / p->page, missing = 0;
    while ((page = pages_next(p, page, last, 0)) < last) {
        uint64_t to = pages_next(p, page, last, 1);
        missing += to - page;
        page = to;
    }
    return missing * p->page;
}

int rf_pages_get(rf_pages *p, uint64_t begin, uint64_t end)
{
    uint64_t page = begin / p->page, last = (end + p->page - 1) / p->page;
    if (!pages_prepare(p, last))
        return 0;
    while ((page = pages_next(p, page, last, 0)) < last) {
        uint64_t to = pages_next(p, page, last, 1);
        if (mprotect(p->base + page * p->page, (to - page) * p->page, PROT_READ | PROT_WRITE))
            return 0;
        p->gets++;
        pages_mark(p, page, to, 1);
        page = to;
    }
    return 1;
}

/* A new mapping over the old one gives the pages back and takes the right to touch them. Where the
 * system has no room for one more mapping, the pages at least go. */
static void pages_drop(rf_pages *p, uint64_t page, uint64_t end)
{
    void *at = p->base + page * p->page;
    uint64_t bytes = (end - page) * p->page;
    if (mmap(at, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
             0) == MAP_FAILED)
        madvise(at, bytes, MADV_DONTNEED);
    p->puts++;
    pages_mark(p, page, end, 0);
}

/* The end of the last run of pages that are there, in [first, to); first: none. */
static uint64_t pages_last(const rf_pages *p, uint64_t first, uint64_t to)
{
    while (to > first && !pages_test(p, to - 1))
        to -= to % 64 == 0 && to - first >= 64 && !p->bits[to / 64 - 1] ? 64 : 1;
    return to;
}

void rf_pages_put(rf_pages *p, uint64_t begin, uint64_t end, uint64_t bytes)
{
    uint64_t first = (begin + p->page - 1) / p->page, want = (bytes + p->page - 1) / p->page;
    uint64_t to = (end < p->high ? end : p->high) / p->page;
    while (want && to > first && (to = pages_last(p, first, to)) > first) {
        uint64_t from = to;
        while (from > first && to - from < want && pages_test(p, from - 1))
            from--;
        pages_drop(p, from, to);
        want -= to - from;
        to = from;
    }
}
