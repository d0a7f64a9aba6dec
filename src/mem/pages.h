/* pages.h: an address space that is reserved, and the pages of it that are there.
 *
 * Reserving costs no memory and counts in no limit; a page that is asked for becomes readable and
 * writable, and one that is given back is gone from the process and from its limits (RLIMIT_DATA,
 * a control group's). Invariant: only pages in the bitmap can be touched, so `kept` bounds what is
 * resident of this space.
 */
#ifndef RF_MEM_PAGES_H
#define RF_MEM_PAGES_H

#include <stddef.h>
#include <stdint.h>

typedef struct rf_pages {
    char *base;
    uint64_t bytes;      /* reserved, whole pages                  */
    uint64_t page;       /* bytes of one                           */
    uint64_t kept;       /* bytes that are there                   */
    uint64_t high;       /* nothing at or above was ever there     */
    uint64_t *bits;      /* by page: is it there? Behind the space */
    uint64_t ready;      /* pages that the bitmap can tell of; none after them is there */
    uint64_t gets, puts; /* calls of the system               */
} rf_pages;

/* Reserve `wanted` bytes, or as much as there is, but `least` of them. 0: not to be had. */
int rf_pages_begin(rf_pages *p, uint64_t wanted, uint64_t least);
void rf_pages_end(rf_pages *p);
/* Bytes of the pages that [begin, end) touches and that are not there. */
uint64_t rf_pages_missing(const rf_pages *p, uint64_t begin, uint64_t end);
/* Make them be there. 0: no memory; some may be there all the same. */
int rf_pages_get(rf_pages *p, uint64_t begin, uint64_t end);
/* Give back pages that lie inside [begin, end), the last ones first, until `bytes` or all are. */
void rf_pages_put(rf_pages *p, uint64_t begin, uint64_t end, uint64_t bytes);

#endif
