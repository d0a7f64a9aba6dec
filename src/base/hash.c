/* hash.c: XXH64, written from its specification (Yann Collet, xxHash fast digest algorithm, 0.1.1).
 *
 * Input is taken in stripes of 32 bytes, one 8-byte word to each of four lanes. The lanes are then
 * merged, what is left over is mixed in word by word, and a last mix spreads every bit. It tells
 * damaged files from whole ones; it is no defence against one who wants two files to look alike.
 */
#include "base/hash.h"
#include "base/bytes.h"

#include <string.h>

#define HASH_PRIME_A UINT64_C(0x9E3779B185EBCA87)
#define HASH_PRIME_B UINT64_C(0xC2B2AE3D27D4EB4F)
#define HASH_PRIME_C UINT64_C(0x165667B19E3779F9)
#define HASH_PRIME_D UINT64_C(0x85EBCA77C2B2AE63)
#define HASH_PRIME_E UINT64_C(0x27D4EB2F165667C5)

enum { HASH_STRIPE = 32 };

static uint64_t hash_rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static uint64_t hash_round(uint64_t lane, uint64_t word)
{
    return hash_rotate(lane + word * HASH_PRIME_B, 31) * HASH_PRIME_A;
}

static void hash_stripes(uint64_t lanes[4], const unsigned char *data, size_t num)
{
    uint64_t a = lanes[0], b = lanes[1], c = lanes[2], d = lanes[3];
    for (; num; num--, data += HASH_STRIPE) {
        a = hash_round(a, rf_get_u64(data));
        b = hash_round(b, rf_get_u64(data + 8));
        c = hash_round(c, rf_get_u64(data + 16));
        d = hash_round(d, rf_get_u64(data + 24));
    }
    lanes[0] = a, lanes[1] = b, lanes[2] = c, lanes[3] = d;
}

void rf_hasher_begin(rf_hasher *h, uint64_t seed)
{
    *h = (rf_hasher){.seed = seed};
    h->lanes[0] = seed + HASH_PRIME_A + HASH_PRIME_B;
    h->lanes[1] = seed + HASH_PRIME_B;
    h->lanes[2] = seed;
    h->lanes[3] = seed - HASH_PRIME_A;
}

void rf_hasher_add(rf_hasher *h, const void *data, size_t len)
{
    const unsigned char *at = data;
    size_t held = h->total % HASH_STRIPE;
    if (!len)
        return;
    h->total += len;
    if (held + len < HASH_STRIPE) {
        memcpy(h->rest + held, at, len);
        return;
    }
    if (held) {
        memcpy(h->rest + held, at, HASH_STRIPE - held);
        hash_stripes(h->lanes, h->rest, 1);
        at += HASH_STRIPE - held;
        len -= HASH_STRIPE - held;
    }
    hash_stripes(h->lanes, at, len / HASH_STRIPE);
    memcpy(h->rest, at + len - len % HASH_STRIPE, len % HASH_STRIPE);
}

void rf_hasher_add_u64(rf_hasher *h, uint64_t value)
{
    unsigned char bytes[8];
    rf_put_u64(bytes, value);
    rf_hasher_add(h, bytes, sizeof bytes);
}

static uint64_t hash_merge(const rf_hasher *h)
{
    if (h->total < HASH_STRIPE)
        return h->seed + HASH_PRIME_E;
    uint64_t hash = hash_rotate(h->lanes[0], 1) + hash_rotate(h->lanes[1], 7) +
                    hash_rotate(h->lanes[2], 12) + hash_rotate(h->lanes[3], 18);
    for (int i = 0; i < 4; i++)
        hash = (hash ^ hash_round(0, h->lanes[i])) * HASH_PRIME_A + HASH_PRIME_D;
    return hash;
}

uint64_t rf_hasher_end(const rf_hasher *h)
{
    const unsigned char *at = h->rest, *end = h->rest + h->total % HASH_STRIPE;
    uint64_t hash = hash_merge(h) + h->total;
    for (; end - at >= 8; at += 8)
        hash = hash_rotate(hash ^ hash_round(0, rf_get_u64(at)), 27) * HASH_PRIME_A + HASH_PRIME_D;
    if (end - at >= 4) {
        hash = hash_rotate(hash ^ rf_get_u32(at) * HASH_PRIME_A, 23) * HASH_PRIME_B + HASH_PRIME_C;
        at += 4;
    }
    for (; at < end; at++)
        hash = hash_rotate(hash ^ *at * HASH_PRIME_E, 11) * HASH_PRIME_A;
    hash = (hash ^ hash >> 33) * HASH_PRIME_B;
    hash = (hash ^ hash >> 29) * HASH_PRIME_C;
    return hash ^ hash >> 32;
}
