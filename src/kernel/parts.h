/* parts.h: dividing the work of a kernel among threads.
 *
 * Invariant: the number of parts and what each of them does follow from shapes and the thread count
 * alone, so that the bits do not depend on who was ready first.
 */
#ifndef RF_KERNEL_PARTS_H
#define RF_KERNEL_PARTS_H

#include "kernel/kernel.h"

enum { RF_PART_WORK = 16384 }; /* elements that are worth a thread */

typedef void (*rf_part_fn)(const void *job, int64_t part);

/* body(job, 0 .. parts - 1), on up to `threads` threads. */
static inline void rf_parts_run(size_t threads, int64_t parts, rf_part_fn body, const void *job)
{
#ifdef _OPENMP
    if (threads > 1 && parts > 1) {
#pragma omp parallel for num_threads((int)threads) schedule(static)
        for (int64_t part = 0; part < parts; part++)
            body(job, part);
        return;
    }
#endif
    for (int64_t part = 0; part < parts; part++)
        body(job, part);
    (void)threads;
}

/* Part number `part` of `count` things in `parts` parts of nearly the same size: [*lo, *hi). */
static inline void rf_parts_share(int64_t count, int64_t parts, int64_t part, int64_t *lo,
                                  int64_t *hi)
{
    int64_t each = count / parts, more = count % parts;
    *lo = part * each + (part < more ? part : more);
    *hi = *lo + each + (part < more);
}

/* How many parts for `count` things of `width` elements: one per thread where there is enough. */
static inline int64_t rf_parts_for(const rf_exec *e, int64_t count, int64_t width)
{
    int64_t parts = count * width / RF_PART_WORK;
    parts = parts < (int64_t)e->threads ? parts : (int64_t)e->threads;
    parts = parts < count ? parts : count;
    return parts < 1 ? 1 : parts;
}

#endif
