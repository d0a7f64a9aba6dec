/* hash.h: XXH64 of bytes that come in pieces. The result is that of all of them in one piece. */
#ifndef RF_BASE_HASH_H
#define RF_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct rf_hasher {
    uint64_t lanes[4];
    uint64_t seed;
    uint64_t total;         /* bytes so far                          */
    unsigned char rest[32]; /* of these, what makes no whole stripe  */
} rf_hasher;

void rf_hasher_begin(rf_hasher *h, uint64_t seed);
void rf_hasher_add(rf_hasher *h, const void *data, size_t len);
void rf_hasher_add_u64(rf_hasher *h, uint64_t value); /* as its little-endian bytes */
/* The hash of all bytes so far; more may be added afterwards. */
uint64_t rf_hasher_end(const rf_hasher *h);

#endif
