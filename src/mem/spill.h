/* spill.h: a file that holds bytes for a while, written and read by a thread of its own.
 *
 * The file has no name (it is unlinked when it is made), so whatever happens to the process,
 * nothing of it stays. It is read and written directly where the file system allows, past the page
 * cache: what was spilled to save memory must not fill it again. Pieces are multiples of
 * RF_SPILL_PAGE. Bytes that begin at a page and are whole pages go as they lie; others by way of a
 * bounce buffer.
 *
 * Invariant: jobs are done in the order of their submission, one at a time; between submit and wait
 * a job and its bytes belong to the thread.
 */
#ifndef RF_MEM_SPILL_H
#define RF_MEM_SPILL_H

#include "base/alloc.h"

enum { RF_SPILL_PAGE = 4096, RF_SPILL_BOUNCE = 1 << 20, RF_SPILL_STACK = 256 << 10 };

typedef struct rf_spill rf_spill;

typedef struct rf_spill_job {
    struct rf_spill_job *next;
    int write;
    void *data; /* NULL in a write: only make sure that the disk has room */
    size_t bytes;
    uint64_t at;       /* in the file, a multiple of RF_SPILL_PAGE       */
    int done;          /* read it after rf_spill_wait                    */
    int error;         /* an errno, 0 if all went well                   */
    double begin, end; /* when the thread worked on it: by base/clock.h */
} rf_spill_job;

/* Where bytes lie in the file. */
typedef struct rf_spill_piece {
    uint64_t at, bytes;
} rf_spill_piece;

/* Bytes of memory that an open file takes: the caller enters them in a ledger. */
size_t rf_spill_footprint(void);
/* An open file in folder, and its thread. On failure *out is NULL; returns an errno. */
int rf_spill_open(rf_spill **out, const rf_allocator *alloc, const char *folder);
/* Ends the thread when its jobs are done, and the file. */
void rf_spill_close(rf_spill *spill);

void rf_spill_submit(rf_spill *spill, rf_spill_job *job);
/* Until the job is done. */
void rf_spill_wait(rf_spill *spill, rf_spill_job *job);

/* A piece for so many bytes: the first free one that is large enough, else at the end. */
rf_spill_piece rf_spill_reserve(rf_spill *spill, size_t bytes);
void rf_spill_release(rf_spill *spill, rf_spill_piece piece);

#endif
