/* shuffle.h: an order of samples that is computed, not stored: 16 bytes of state for any number. */
#ifndef RF_DATA_SHUFFLE_H
#define RF_DATA_SHUFFLE_H

#include <stdint.h>

/* A number of 64 bits that looks random, as a function of two others. Part of the file format, in a
 * way: a change would resume runs with other batches. */
uint64_t rf_shuffle_mix(uint64_t key, uint64_t value);
/* Where index goes (below num) in the permutation of 0 .. num-1 that key chooses. */
uint64_t rf_shuffle_at(uint64_t key, uint64_t num, uint64_t index);

#endif
