/* plain_safetensors.h: a second reader of safetensors files, for tests of the writer. It shares
 * nothing with the library: the C library's scanning on the bytes of the file. It takes the compact
 * JSON that the writer makes, and no other. */
#ifndef RF_SUPPORT_PLAIN_SAFETENSORS_H
#define RF_SUPPORT_PLAIN_SAFETENSORS_H

#include <stddef.h>

typedef struct plain_tensor {
    char dtype[8];
    size_t rank;
    long long dims[8];
    const unsigned char *data; /* in the file's bytes */
    size_t bytes;
    size_t header_at; /* where its name stands in the header */
    size_t data_at;   /* offset in the file                   */
} plain_tensor;

/* 0 if the file (whole, in memory) has no such tensor or lies about it. */
int plain_safetensors_find(const unsigned char *file, size_t len, const char *name,
                           plain_tensor *out);

#endif
