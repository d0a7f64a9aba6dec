/* shuffle.c: a Feistel network as a permutation.
 *
 * Numbers below 4^k are halved into k bits each; every round adds (by xor) to one half a function
 * of the other and of the key, which can be undone whatever the function is, so that the whole is a
 * permutation. With the smallest k for which num <= 4^k, what lands at num or above is sent through
 * again until it does not ("cycle walking"): less than 4 rounds of that on average, and the rest
 * permute among themselves.
 */
#include "data/shuffle.h"

enum { SHUFFLE_ROUNDS = 6 };

/* The finalizer of splitmix64 (Steele, Lea, Flood 2014), twice, so that key and value both spread.
 */
static uint64_t shuffle_spread(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

uint64_t rf_shuffle_mix(uint64_t key, uint64_t value)
{
    const uint64_t golden = UINT64_C(0x9E3779B97F4A7C15);
    return shuffle_spread(shuffle_spread(key + golden) + value + golden);
}

static uint64_t shuffle_once(uint64_t key, int half_bits, uint64_t x)
{
    const uint64_t mask = (UINT64_C(1) << half_bits) - 1;
    uint64_t left = x >> half_bits, right = x & mask;
    for (uint64_t round = 0; round < SHUFFLE_ROUNDS; round++) {
        uint64_t next = left ^ (rf_shuffle_mix(key + round, right) & mask);
        left = right;
        right = next;
    }
    return left << half_bits | right;
}

uint64_t rf_shuffle_at(uint64_t key, uint64_t num, uint64_t index)
{
    int half_bits = 1;
    while (half_bits < 32 && num > UINT64_C(1) << 2 * half_bits)
        half_bits++;
    do
        index = shuffle_once(key, half_bits, index);
    while (index >= num);
    return index;
}
