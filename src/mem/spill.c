/* spill.c: see spill.h. */
#define _GNU_SOURCE
#include "mem/spill.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SPILL_PIECES = 1024 };

struct rf_spill {
    rf_allocator alloc;
    int file;
    void *bounce; /* RF_SPILL_BOUNCE bytes, aligned to a page, in block */
    void *block;

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake, finished;
    rf_spill_job *first, *last; /* that wait */
    int closing;

    /* Of the caller's thread alone: free pieces below `length`, in order of place. */
    uint64_t length;
    size_t num_free;
    rf_spill_piece free[SPILL_PIECES];
};

size_t rf_spill_footprint(void)
{
    return sizeof(rf_spill) + RF_SPILL_BOUNCE + RF_SPILL_PAGE;
}

/* ---- the thread ---- */

static size_t spill_round(size_t bytes)
{
    return (bytes + RF_SPILL_PAGE - 1) / RF_SPILL_PAGE * RF_SPILL_PAGE;
}

/* All of num bytes at `at`, from or to p, whole pages both. 0 or an errno. */
static int spill_transfer(const rf_spill *spill, int write, char *p, size_t num, uint64_t at)
{
    while (num) {
        ssize_t n =
            write ? pwrite(spill->file, p, num, (off_t)at) : pread(spill->file, p, num, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        p += n;
        at += (uint64_t)n;
        num -= (size_t)n;
    }
    return 0;
}

/* Blocks for the bytes of job, so that no later write finds the disk full. A file system that can't
 * say gives them when they are written. */
static int spill_assure(const rf_spill *spill, const rf_spill_job *job)
{
    off_t bytes = (off_t)spill_round(job->bytes);
    if (!bytes || fallocate(spill->file, 0, (off_t)job->at, bytes) == 0)
        return 0;
    return errno == EOPNOTSUPP || errno == ENOSYS ? 0 : errno;
}

static int spill_whole_pages(const rf_spill_job *job)
{
    return (uintptr_t)job->data % RF_SPILL_PAGE == 0 && job->bytes % RF_SPILL_PAGE == 0;
}

static void spill_bounce(const rf_spill *spill, rf_spill_job *job)
{
    for (size_t from = 0; from < job->bytes && !job->error; from += RF_SPILL_BOUNCE) {
        size_t left = job->bytes - from, part = left < RF_SPILL_BOUNCE ? left : RF_SPILL_BOUNCE;
        char *data = (char *)job->data + from;
        if (job->write) {
            memcpy(spill->bounce, data, part);
            memset((char *)spill->bounce + part, 0, spill_round(part) - part);
        }
        job->error =
            spill_transfer(spill, job->write, spill->bounce, spill_round(part), job->at + from);
        if (!job->write && !job->error)
            memcpy(data, spill->bounce, part);
    }
}

static void spill_work(const rf_spill *spill, rf_spill_job *job)
{
    job->begin = rf_seconds();
    if (job->write && !job->data)
        job->error = spill_assure(spill, job);
    else if (spill_whole_pages(job))
        job->error = spill_transfer(spill, job->write, job->data, job->bytes, job->at);
    else
        spill_bounce(spill, job);
    job->end = rf_seconds();
}

static void *spill_thread(void *payload)
{
    rf_spill *spill = payload;
    pthread_mutex_lock(&spill->lock);
    for (;;) {
        rf_spill_job *job = spill->first;
        if (!job && spill->closing)
            break;
        if (!job) {
            pthread_cond_wait(&spill->wake, &spill->lock);
            continue;
        }
        spill->first = job->next;
        if (!spill->first)
            spill->last = NULL;
        pthread_mutex_unlock(&spill->lock);
        spill_work(spill, job);
        pthread_mutex_lock(&spill->lock);
        job->done = 1;
        pthread_cond_broadcast(&spill->finished);
    }
    pthread_mutex_unlock(&spill->lock);
    return NULL;
}

void rf_spill_submit(rf_spill *spill, rf_spill_job *job)
{
    job->next = NULL;
    job->done = job->error = 0;
    pthread_mutex_lock(&spill->lock);
    if (spill->last)
        spill->last->next = job;
    else
        spill->first = job;
    spill->last = job;
    pthread_cond_signal(&spill->wake);
    pthread_mutex_unlock(&spill->lock);
}

void rf_spill_wait(rf_spill *spill, rf_spill_job *job)
{
    pthread_mutex_lock(&spill->lock);
    while (!job->done)
        pthread_cond_wait(&spill->finished, &spill->lock);
    pthread_mutex_unlock(&spill->lock);
}

/* ---- opening and closing ---- */

/* Without a name from the start where the file system can; else unlinked at once. */
static int spill_make(const char *folder)
{
    char path[4096];
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd;
    if (snprintf(path, sizeof path, "%s/refrain-spill-XXXXXX", folder) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

/* Past the page cache, if a page written so comes back. */
static void spill_go_direct(const rf_spill *spill)
{
    int flags = fcntl(spill->file, F_GETFL);
    memset(spill->bounce, 0, RF_SPILL_PAGE);
    if (fcntl(spill->file, F_SETFL, flags | O_DIRECT) != 0 ||
        spill_transfer(spill, 1, spill->bounce, RF_SPILL_PAGE, 0) != 0 ||
        spill_transfer(spill, 0, spill->bounce, RF_SPILL_PAGE, 0) != 0)
        fcntl(spill->file, F_SETFL, flags);
}

static int spill_start(rf_spill *spill)
{
    pthread_mutex_init(&spill->lock, NULL);
    pthread_cond_init(&spill->wake, NULL);
    pthread_cond_init(&spill->finished, NULL);
    sigset_t all, before; /* signals are for the program's own threads */
    pthread_attr_t attr;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_attr_init(&attr);
    if (!error) {
        /* it only reads and writes; the system's limits count a stack whole */
        (void)pthread_attr_setstacksize(&attr, RF_SPILL_STACK);
        error = pthread_create(&spill->thread, &attr, spill_thread, spill);
        pthread_attr_destroy(&attr);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        pthread_cond_destroy(&spill->finished);
        pthread_cond_destroy(&spill->wake);
        pthread_mutex_destroy(&spill->lock);
    }
    return error;
}

static void spill_free(rf_spill *spill)
{
    rf_allocator alloc = spill->alloc;
    if (spill->file >= 0)
        close(spill->file);
    rf_allocator_put(&alloc, spill->block, RF_SPILL_BOUNCE + RF_SPILL_PAGE);
    rf_allocator_put(&alloc, spill, sizeof *spill);
}

int rf_spill_open(rf_spill **out, const rf_allocator *alloc, const char *folder)
{
    *out = NULL;
    rf_spill *spill = rf_allocator_get(alloc, sizeof *spill);
    if (!spill)
        return ENOMEM;
    memset(spill, 0, sizeof *spill);
    spill->alloc = *alloc;
    spill->block = rf_allocator_get(alloc, RF_SPILL_BOUNCE + RF_SPILL_PAGE);
    spill->file = spill->block ? spill_make(folder) : -1;
    int error = !spill->block ? ENOMEM : spill->file < 0 ? errno : 0;
    if (!error) {
        uintptr_t start = (uintptr_t)spill->block;
        spill->bounce =
            (char *)spill->block + (RF_SPILL_PAGE - start % RF_SPILL_PAGE) % RF_SPILL_PAGE;
        spill_go_direct(spill);
        error = spill_start(spill);
    }
    if (error)
        spill_free(spill);
    else
        *out = spill;
    return error;
}

void rf_spill_close(rf_spill *spill)
{
    if (!spill)
        return;
    pthread_mutex_lock(&spill->lock);
    spill->closing = 1;
    pthread_cond_signal(&spill->wake);
    pthread_mutex_unlock(&spill->lock);
    pthread_join(spill->thread, NULL);
    pthread_cond_destroy(&spill->finished);
    pthread_cond_destroy(&spill->wake);
    pthread_mutex_destroy(&spill->lock);
    spill_free(spill);
}

/* ---- pieces ---- */

static void spill_forget(rf_spill *spill, size_t i)
{
    memmove(&spill->free[i], &spill->free[i + 1], (--spill->num_free - i) * sizeof spill->free[0]);
}

rf_spill_piece rf_spill_reserve(rf_spill *spill, size_t bytes)
{
    rf_spill_piece out = {0, spill_round(bytes)};
    for (size_t i = 0; i < spill->num_free; i++) {
        rf_spill_piece *piece = &spill->free[i];
        if (piece->bytes < out.bytes)
            continue;
        out.at = piece->at;
        piece->at += out.bytes;
        piece->bytes -= out.bytes;
        if (!piece->bytes)
            spill_forget(spill, i);
        return out;
    }
    out.at = spill->length;
    spill->length += out.bytes;
    return out;
}

static int spill_touch(const rf_spill_piece *a, const rf_spill_piece *b)
{
    return a->at + a->bytes == b->at;
}

/* The end of the file is cut off when it is free, so that the disk gets its bytes back. */
static void spill_shorten(rf_spill *spill)
{
    const rf_spill_piece *last = spill->num_free ? &spill->free[spill->num_free - 1] : NULL;
    if (!last || last->at + last->bytes != spill->length)
        return;
    spill->length = last->at;
    spill->num_free--;
    if (ftruncate(spill->file, (off_t)spill->length)) {
        /* the disk keeps them until the file is closed */
    }
}

void rf_spill_release(rf_spill *spill, rf_spill_piece piece)
{
    size_t i = 0;
    while (i < spill->num_free && spill->free[i].at < piece.at)
        i++;
    rf_spill_piece *before = i ? &spill->free[i - 1] : NULL;
    rf_spill_piece *after = i < spill->num_free ? &spill->free[i] : NULL;
    if (before && spill_touch(before, &piece)) {
        before->bytes += piece.bytes;
        if (after && spill_touch(before, after)) {
            before->bytes += after->bytes;
            spill_forget(spill, i);
        }
    } else if (after && spill_touch(&piece, after)) {
        after->at = piece.at;
        after->bytes += piece.bytes;
    } else if (spill->num_free < SPILL_PIECES) {
        memmove(&spill->free[i + 1], &spill->free[i],
                (spill->num_free++ - i) * sizeof spill->free[0]);
        spill->free[i] = piece;
    } /* else this piece is lost until the file is closed */
    spill_shorten(spill);
}
