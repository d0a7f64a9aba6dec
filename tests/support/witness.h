/* witness.h: what this process asks of the C library's allocator and of mmap, counted from outside:
 * by definitions of those functions that stand before the C library's, for the program and for
 * every shared library that it uses. Only programs whose name has `witness` or `context_memory`
 * have them (they are in fault/witness.c, which no other program links). */
#ifndef RF_SUPPORT_WITNESS_H
#define RF_SUPPORT_WITNESS_H

#include <stdint.h>

/* 0 where it can't count: under sanitizers, which have an allocator of their own. */
int witness_works(void);

typedef struct witness_figures {
    uint64_t calls; /* that asked for memory                                  */
    int64_t live;   /* bytes asked for and not given back                     */
    int64_t peak;   /* the most of them at once since witness_reset           */
} witness_figures;

witness_figures witness_now(void);
/* Calls begin again at 0, and the peak at what is live. */
void witness_reset(void);

#endif
