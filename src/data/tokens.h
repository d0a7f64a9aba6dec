/* tokens.h: files end to end, as one stream of tokens of 1, 2 or 4 bytes.
 *
 * Files are read where and when a sample needs them. At most TOKENS_OPEN of them are open at once,
 * however many there are; one that was closed in between must be the same when it is opened again.
 */
#ifndef RF_DATA_TOKENS_H
#define RF_DATA_TOKENS_H

#include "io/file.h"

enum { RF_TOKENS_OPEN = 32 };

typedef struct rf_token_file {
    char *path;     /* absolute */
    uint64_t bytes; /* these and the next: to know it again */
    uint64_t device, inode;
    int64_t seconds, nanoseconds;
    uint64_t first; /* its first token's place in the stream */
} rf_token_file;

typedef struct rf_open_file {
    rf_reader reader;
    size_t file; /* its index plus one; 0: none */
} rf_open_file;

typedef struct rf_tokens {
    rf_context *ctx;
    size_t width; /* bytes of a token */
    rf_token_file *files;
    size_t num, capacity;
    uint64_t total; /* tokens */
    rf_open_file open[RF_TOKENS_OPEN];
} rf_tokens;

void rf_tokens_begin(rf_tokens *t, rf_context *ctx, size_t width);
void rf_tokens_end(rf_tokens *t);
/* Append a file, or the regular files of a folder in order of their names. */
rf_status rf_tokens_add(rf_tokens *t, const char *path);
/* Bytes of num tokens from a place in the stream; all lie below total. */
rf_status rf_tokens_get(rf_tokens *t, uint64_t first, size_t num, void *to);
/* The file that a token lies in; *byte is where. */
const char *rf_tokens_where(const rf_tokens *t, uint64_t token, uint64_t *byte);

#endif
