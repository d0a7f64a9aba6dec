/* file.h: reading and writing files, for io and data.
 *
 * Files are read at offsets, never mapped: a mapped page counts as resident memory, and a file that
 * somebody cuts short while it is mapped ends the process. Writing is atomic for regular files: the
 * new file grows beside the old one and takes its name when all of it is on the disk.
 */
#ifndef RF_IO_FILE_H
#define RF_IO_FILE_H

#include <refrain/base.h>

/* Record what went wrong with a file: "PATH: can't be opened: no such file", with what to do about
 * it where that is known. error is an errno. Returns RF_E_IO. */
rf_status rf_fail_file(rf_context *ctx, const char *path, const char *what, int error);

/* ---- reading ---- */

typedef struct rf_reader {
    rf_context *ctx;
    const char *path; /* the caller's */
    int fd;
    uint64_t bytes; /* of the file when it was opened */
} rf_reader;

/* Regular files only: a FIFO would wait for ever, a folder has no bytes. The path must live as long
 * as the reader. */
rf_status rf_reader_open(rf_reader *r, rf_context *ctx, const char *path);
/* Exactly len bytes from an offset; RF_E_IO if the file has become too short for that. */
rf_status rf_reader_get(const rf_reader *r, uint64_t offset, void *to, size_t len);
void rf_reader_close(rf_reader *r);

/* ---- writing ---- */

typedef struct rf_writer rf_writer;

/* Begin the file that is to replace path (owned by the caller until commit or cancel). A device
 * such as /dev/full is written to as it is; any other that is no regular file is refused. */
rf_status rf_writer_open(rf_writer **out, rf_context *ctx, const char *path);
/* The same for a file of tensors' elements, which a dry context has not: what is put there goes
 * nowhere, and costs the ledger what it always does. */
rf_status rf_writer_open_elements(rf_writer **out, rf_context *ctx, const char *path);
/* Append bytes. The first failure is kept, what follows it does nothing, and commit returns it. */
void rf_writer_put(rf_writer *w, const void *data, size_t len);
rf_status rf_writer_status(const rf_writer *w);
/* Sync the new file, give it its name, sync the folder. On failure the old file is untouched
 * (unless the message says that only the folder could not be synced). Ends w either way. */
rf_status rf_writer_commit(rf_writer *w);
/* Forget the new file. NULL is fine. */
void rf_writer_cancel(rf_writer *w);

#endif
