/* reader.c: see file.h. And the one place where numbers of the system become words: strerror
 * follows the locale and is not safe among threads. */
#include "io/file.h"
#include "tensor/context.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct system_error {
    int number;
    const char *text;
} system_error;

static const system_error system_errors[] = {
    {ENOENT, "no such file or folder"},
    {ENOTDIR, "a part of the path is no folder"},
    {EISDIR, "it is a folder"},
    {EACCES, "permission denied"},
    {EPERM, "not permitted"},
    {EROFS, "the file system is read-only"},
    {ENOSPC, "no space left on the disk; free some and try again"},
    {EDQUOT, "no space left in the quota; free some and try again"},
    {EFBIG, "no space left: a limit on the size of files (ulimit -f) is in the way"},
    {EMFILE, "too many open files; close some or raise ulimit -n"},
    {ENFILE, "too many open files in the system"},
    {ENOMEM, "the system has no memory for it"},
    {ENAMETOOLONG, "the name is too long"},
    {ELOOP, "too many symbolic links"},
    {EIO, "the device reports an error"},
    {ESTALE, "the file server no longer knows it"},
};

rf_status rf_fail_file(rf_context *ctx, const char *path, const char *what, int error)
{
    for (size_t i = 0; i < sizeof system_errors / sizeof system_errors[0]; i++)
        if (system_errors[i].number == error)
            return rf_fail(ctx, RF_E_IO, "%s: %s: %s", path, what, system_errors[i].text);
    return rf_fail(ctx, RF_E_IO, "%s: %s: system error %d", path, what, error);
}

rf_status rf_reader_open(rf_reader *r, rf_context *ctx, const char *path)
{
    struct stat info;
    *r = (rf_reader){.ctx = ctx, .path = path, .fd = -1};
    /* O_NONBLOCK, so that opening a FIFO comes back and can be refused. */
    do
        r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    while (r->fd < 0 && errno == EINTR);
    if (r->fd < 0)
        return rf_fail_file(ctx, path, "can't be opened", errno);
    if (fstat(r->fd, &info) != 0) {
        rf_fail_file(ctx, path, "can't be opened", errno);
        rf_reader_close(r);
        return RF_E_IO;
    }
    if (!S_ISREG(info.st_mode)) {
        rf_reader_close(r);
        return rf_fail(ctx, RF_E_IO, "%s: %s; give a regular file", path,
                       S_ISDIR(info.st_mode) ? "it is a folder" : "it is no regular file");
    }
    r->bytes = (uint64_t)info.st_size;
    return RF_OK;
}

rf_status rf_reader_get(const rf_reader *r, uint64_t offset, void *to, size_t len)
{
    const size_t most = (size_t)1 << 30; /* what every system takes at once */
    unsigned char *at = to;
    while (len) {
        off_t from = (off_t)offset;
        if (from < 0 || (uint64_t)from != offset)
            return rf_fail_file(r->ctx, r->path, "can't be read", EFBIG);
        ssize_t got = pread(r->fd, at, len < most ? len : most, from);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return rf_fail_file(r->ctx, r->path, "can't be read", errno);
        if (got == 0)
            return rf_fail(r->ctx, RF_E_IO,
                           "%s: it ends at byte %llu, earlier than when it was opened; leave it "
                           "alone while it is in use",
                           r->path, (unsigned long long)offset);
        at += got;
        len -= (size_t)got;
        offset += (uint64_t)got;
    }
    return RF_OK;
}

void rf_reader_close(rf_reader *r)
{
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}
