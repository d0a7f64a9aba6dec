/* writer.c: files that are there whole or not at all.
 *
 * PATH is written as PATH.tmp, synced, and renamed: a crash, a full disk or a kill at any moment
 * leaves the old file or the new one. The folder is synced too, else a power failure could take the
 * rename back after the caller was told that it is done.
 *
 * PATH.tmp is made with O_EXCL and locked while it is written; if it is in use by another writer,
 * PATH.tmp1, PATH.tmp2 ... is taken. One that is there and not locked belonged to a process that
 * was killed: it is written over, so that a run that is killed a thousand times leaves one such
 * file behind, and not a thousand. After locking, the name is looked at again, because its owner
 * may have renamed it in between: then the file in hand is somebody's finished one.
 */
#include "io/file.h"
#include "tensor/context.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WRITER_BUFFER = 32 * 1024, WRITER_NAMES = 100, WRITER_SUFFIX = 8 /* ".tmp99" */ };

struct rf_writer {
    rf_context *ctx;
    int fd;
    int beside; /* temp is a file of ours; not with a device, nor after the rename */
    rf_status status;
    size_t path_bytes; /* of path with its zero           */
    char *path;        /* then the name beside, in temp   */
    char *temp;
    size_t used;
    unsigned char buffer[WRITER_BUFFER];
};

static size_t writer_bytes(size_t path_bytes)
{
    return sizeof(rf_writer) + 2 * path_bytes + WRITER_SUFFIX;
}

static void writer_end(rf_writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    rf_host_free(w->ctx, w, writer_bytes(w->path_bytes));
}

static rf_status writer_fail(rf_writer *w, const char *what, int error)
{
    return w->status = rf_fail_file(w->ctx, w->path, what, error);
}

/* ---- the name beside ---- */

static int writer_is_named(int fd, const char *name)
{
    struct stat mine, named;
    return fstat(fd, &mine) == 0 && lstat(name, &named) == 0 && S_ISREG(mine.st_mode) &&
           mine.st_dev == named.st_dev && mine.st_ino == named.st_ino && mine.st_nlink == 1;
}

/* Open w->temp for ourselves alone. 1: done; 0: somebody has it; -1: can't be, errno says why. */
static int writer_claim(rf_writer *w)
{
    int fresh = 1;
    w->fd = open(w->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (w->fd < 0 && errno == EEXIST) {
        fresh = 0;
        w->fd = open(w->temp, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (w->fd < 0)
            return 0;
    }
    if (w->fd < 0)
        return errno == EINTR ? 0 : -1;
    /* A file system without locks is good enough for a file that we made ourselves just now. */
    int locked = flock(w->fd, LOCK_EX | LOCK_NB) == 0;
    if ((locked || (fresh && errno != EWOULDBLOCK)) && writer_is_named(w->fd, w->temp) &&
        (fresh || ftruncate(w->fd, 0) == 0))
        return 1;
    close(w->fd);
    w->fd = -1;
    return 0;
}

static rf_status writer_open_beside(rf_writer *w, const struct stat *old)
{
    for (int i = 0; i < WRITER_NAMES; i++) {
        int claimed;
        snprintf(w->temp, w->path_bytes + WRITER_SUFFIX, i ? "%s.tmp%d" : "%s.tmp", w->path, i);
        claimed = writer_claim(w);
        if (claimed < 0)
            return writer_fail(w, "can't be written", errno);
        w->beside = claimed;
        if (claimed && old)
            (void)fchmod(w->fd, old->st_mode & 07777); /* a private file stays private */
        if (claimed)
            return RF_OK;
    }
    return w->status = rf_fail(w->ctx, RF_E_IO,
                               "%s: can't be written: the names %s.tmp to .tmp%d are all in use; "
                               "remove them if no other program writes here",
                               w->path, w->path, WRITER_NAMES - 1);
}

/* ---- writing ---- */

static rf_status writer_open_target(rf_writer *w)
{
    struct stat info;
    if (stat(w->path, &info) != 0)
        return writer_open_beside(w, NULL); /* if this fails too, it says why */
    if (S_ISREG(info.st_mode))
        return writer_open_beside(w, &info);
    if (!S_ISCHR(info.st_mode))
        return w->status =
                   rf_fail(w->ctx, RF_E_IO, "%s: %s; give the name of a file", w->path,
                           S_ISDIR(info.st_mode) ? "it is a folder" : "it is no regular file");
    w->fd = open(w->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    return w->fd < 0 ? writer_fail(w, "can't be written", errno) : RF_OK;
}

/* A writer for path that is not open yet. */
static rf_writer *writer_create(rf_context *ctx, const char *path)
{
    size_t path_bytes = strlen(path) + 1;
    rf_writer *w = rf_host_alloc(ctx, writer_bytes(path_bytes));
    if (!w)
        return NULL;
    w->ctx = ctx;
    w->fd = -1;
    w->path_bytes = path_bytes;
    w->path = (char *)(w + 1);
    w->temp = w->path + path_bytes;
    memcpy(w->path, path, path_bytes);
    return w;
}

rf_status rf_writer_open(rf_writer **out, rf_context *ctx, const char *path)
{
    rf_writer *w = writer_create(ctx, path);
    *out = NULL;
    if (!w)
        return rf_context_error(ctx)->code;
    rf_status status = writer_open_target(w);
    if (status) {
        writer_end(w);
        return status;
    }
    *out = w;
    return RF_OK;
}

rf_status rf_writer_open_elements(rf_writer **out, rf_context *ctx, const char *path)
{
    if (!rf_context_dry(ctx))
        return rf_writer_open(out, ctx, path);
    *out = writer_create(ctx, path);
    return *out ? RF_OK : rf_context_error(ctx)->code;
}

static void writer_send(rf_writer *w, const unsigned char *data, size_t len)
{
    const size_t most = (size_t)1 << 30;
    while (len && !w->status && w->fd >= 0) {
        ssize_t put = write(w->fd, data, len < most ? len : most);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            writer_fail(w, "can't be written", put < 0 ? errno : ENOSPC);
            return;
        }
        data += put;
        len -= (size_t)put;
    }
}

static void writer_flush(rf_writer *w)
{
    writer_send(w, w->buffer, w->used);
    w->used = 0;
}

void rf_writer_put(rf_writer *w, const void *data, size_t len)
{
    if (!len || w->status)
        return;
    if (len > WRITER_BUFFER - w->used)
        writer_flush(w);
    if (len > WRITER_BUFFER) {
        writer_send(w, data, len);
        return;
    }
    memcpy(w->buffer + w->used, data, len);
    w->used += len;
}

rf_status rf_writer_status(const rf_writer *w)
{
    return w->status;
}

/* ---- the end ---- */

static int writer_sync(int fd)
{
    int failed;
    do
        failed = fsync(fd);
    while (failed && errno == EINTR);
    return failed && errno != EINVAL && errno != ENOTSUP; /* those: nothing to sync here */
}

static rf_status writer_sync_folder(rf_writer *w)
{
    char *slash = strrchr(w->temp, '/');
    const char *folder = slash ? w->temp : ".";
    if (slash)
        slash[slash == w->temp] = 0; /* "/name" lies in "/" */
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && (errno == EACCES || errno == EPERM))
        return RF_OK; /* a folder that may be written to but not read can't be synced */
    if (fd < 0 || writer_sync(fd))
        writer_fail(w, "is written, but its folder could not be synced", errno);
    if (fd >= 0)
        close(fd);
    return w->status;
}

static rf_status writer_finish(rf_writer *w)
{
    writer_flush(w);
    if (w->status || !w->beside)
        return w->status;
    if (writer_sync(w->fd))
        return writer_fail(w, "can't be written", errno);
    if (rename(w->temp, w->path) != 0)
        return writer_fail(w, "can't be replaced", errno);
    w->beside = 0; /* from now on the name may be another writer's */
    return writer_sync_folder(w);
}

rf_status rf_writer_commit(rf_writer *w)
{
    rf_status status = writer_finish(w);
    rf_writer_cancel(w);
    return status;
}

void rf_writer_cancel(rf_writer *w)
{
    if (!w)
        return;
    if (w->beside)
        unlink(w->temp);
    writer_end(w);
}
