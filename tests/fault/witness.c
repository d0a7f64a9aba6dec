/* witness.c: see support/witness.h. Bytes are counted as they were asked for, so every address is
 * remembered with its size, in a table of its own. */
#define _GNU_SOURCE
#include "support/witness.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WITNESS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WITNESS 0
#endif
#endif
#ifndef WITNESS
#define WITNESS 1
#endif

#if WITNESS
#pragma GCC visibility push(default) /* for the shared libraries */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

/* ---- the table: open addressing, a power of two of entries ---- */

enum { WITNESS_ENTRIES = 1 << 20 };
static struct witness_entry {
    void *p;
    size_t bytes;
} witness_table[WITNESS_ENTRIES];
static size_t witness_used;
static witness_figures witness_sum;
static atomic_flag witness_lock = ATOMIC_FLAG_INIT;

static void witness_enter(void)
{
    while (atomic_flag_test_and_set_explicit(&witness_lock, memory_order_acquire))
        ;
}

static void witness_leave(void)
{
    atomic_flag_clear_explicit(&witness_lock, memory_order_release);
}

static size_t witness_slot(const void *p)
{
    return (size_t)(((uint64_t)(uintptr_t)p * 0x9E3779B97F4A7C15u) >> 40) & (WITNESS_ENTRIES - 1);
}

static void witness_die(const char *why)
{
    ssize_t n = write(2, why, strlen(why));
    (void)n;
    abort();
}

static void *witness_took(void *p, size_t bytes)
{
    if (!p)
        return p;
    witness_enter();
    size_t i = witness_slot(p);
    if (++witness_used > WITNESS_ENTRIES / 2)
        witness_die("witness: too many blocks\n");
    while (witness_table[i].p)
        i = (i + 1) & (WITNESS_ENTRIES - 1);
    witness_table[i].p = p;
    witness_table[i].bytes = bytes;
    witness_sum.calls++;
    witness_sum.live += (int64_t)bytes;
    if (witness_sum.live > witness_sum.peak)
        witness_sum.peak = witness_sum.live;
    witness_leave();
    return p;
}

/* Close the gap at slot i, so that no entry is cut off from where its search begins. */
static void witness_close(size_t i)
{
    size_t mask = WITNESS_ENTRIES - 1, at = i;
    for (;;) {
        witness_table[i].p = NULL;
        for (;;) {
            at = (at + 1) & mask;
            if (!witness_table[at].p)
                return;
            size_t home = witness_slot(witness_table[at].p);
            if (((at - home) & mask) >= ((at - i) & mask))
                break;
        }
        witness_table[i] = witness_table[at];
        i = at;
    }
}

/* What was never counted (taken before the table, or inside the C library) is let pass. */
static size_t witness_gave(const void *p)
{
    size_t bytes = 0;
    if (!p)
        return 0;
    witness_enter();
    size_t i = witness_slot(p);
    while (witness_table[i].p && witness_table[i].p != p)
        i = (i + 1) & (WITNESS_ENTRIES - 1);
    if (witness_table[i].p) {
        bytes = witness_table[i].bytes;
        witness_sum.live -= (int64_t)bytes;
        witness_used--;
        witness_close(i);
    }
    witness_leave();
    return bytes;
}

/* ---- the functions: the C library's own are found under their internal names, which need no
 * search and so no memory ---- */

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

void *malloc(size_t bytes)
{
    return witness_took(__libc_malloc(bytes), bytes);
}

void *calloc(size_t num, size_t bytes)
{
    return witness_took(__libc_calloc(num, bytes), num * bytes);
}

void *realloc(void *old, size_t bytes)
{
    size_t before = witness_gave(old);
    void *p = __libc_realloc(old, bytes);
    if (!p && old && bytes)
        witness_took(old, before);
    return witness_took(p, bytes);
}

void *memalign(size_t alignment, size_t bytes)
{
    return witness_took(__libc_memalign(alignment, bytes), bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    return memalign(alignment, bytes);
}

void *valloc(size_t bytes)
{
    return memalign((size_t)sysconf(_SC_PAGESIZE), bytes);
}

int posix_memalign(void **out, size_t alignment, size_t bytes)
{
    *out = memalign(alignment, bytes);
    return *out ? 0 : ENOMEM;
}

void free(void *p)
{
    witness_gave(p);
    __libc_free(p);
}

/* ---- reserved addresses: only what may be touched of them counts ---- */

enum { WITNESS_RESERVED = 16 };
static struct witness_reserved {
    char *p;
    size_t bytes, counted;
} witness_reserved[WITNESS_RESERVED];

/* `more` bytes of the reserved addresses that p is in may be touched, or may no more. */
static void witness_touchable(const void *p, int64_t more)
{
    witness_enter();
    for (int i = 0; i < WITNESS_RESERVED; i++) {
        struct witness_reserved *r = &witness_reserved[i];
        if ((uintptr_t)p - (uintptr_t)r->p >= r->bytes)
            continue;
        r->counted += (size_t)more;
        witness_sum.calls += more > 0;
        witness_sum.live += more;
        if (witness_sum.live > witness_sum.peak)
            witness_sum.peak = witness_sum.live;
    }
    witness_leave();
}

static void witness_reserve(void *p, size_t bytes)
{
    int i = 0;
    witness_enter();
    while (i < WITNESS_RESERVED && witness_reserved[i].bytes)
        i++;
    if (i == WITNESS_RESERVED)
        witness_die("witness: too many reserved addresses\n");
    witness_reserved[i] = (struct witness_reserved){p, bytes, 0};
    witness_leave();
}

static void witness_unreserve(const void *p)
{
    witness_enter();
    for (int i = 0; i < WITNESS_RESERVED; i++)
        if (witness_reserved[i].p == p && witness_reserved[i].bytes) {
            witness_sum.live -= (int64_t)witness_reserved[i].counted;
            witness_reserved[i].bytes = 0;
        }
    witness_leave();
}

/* Maps are counted by whole calls; a part that is unmapped stays counted until its beginning is. */
void *mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset)
{
    static void *(*next)(void *, size_t, int, int, int, off_t);
    if (!next)
        *(void **)(void *)&next = dlsym(RTLD_NEXT, "mmap");
    void *p = next(at, bytes, protection, flags, file, offset);
    if (p != MAP_FAILED && protection == PROT_NONE && flags & MAP_FIXED)
        witness_touchable(p, -(int64_t)bytes);
    else if (p != MAP_FAILED && protection == PROT_NONE)
        witness_reserve(p, bytes);
    else if (p != MAP_FAILED && !(flags & MAP_FIXED))
        witness_took(p, bytes);
    return p;
}

int mprotect(void *p, size_t bytes, int protection)
{
    static int (*next)(void *, size_t, int);
    if (!next)
        *(void **)(void *)&next = dlsym(RTLD_NEXT, "mprotect");
    int status = next(p, bytes, protection);
    if (!status && protection & PROT_WRITE)
        witness_touchable(p, (int64_t)bytes);
    return status;
}

int munmap(void *p, size_t bytes)
{
    static int (*next)(void *, size_t);
    if (!next)
        *(void **)(void *)&next = dlsym(RTLD_NEXT, "munmap");
    witness_gave(p);
    witness_unreserve(p);
    return next(p, bytes);
}

#pragma GCC visibility pop

int witness_works(void)
{
    return 1;
}

witness_figures witness_now(void)
{
    witness_enter();
    witness_figures f = witness_sum;
    witness_leave();
    return f;
}

void witness_reset(void)
{
    witness_enter();
    witness_sum.calls = 0;
    witness_sum.peak = witness_sum.live;
    witness_leave();
}

#else
int witness_works(void)
{
    return 0;
}

witness_figures witness_now(void)
{
    return (witness_figures){0, 0, 0};
}

void witness_reset(void)
{
}
#endif
