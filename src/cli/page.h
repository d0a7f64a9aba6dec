/* page.h: a text that grows, for pages of HTML. The first failure stays and makes the rest do
 * nothing, so that who builds a page asks once, at its end. */
#ifndef RF_CLI_PAGE_H
#define RF_CLI_PAGE_H

#include <stddef.h>

typedef struct page {
    char *text; /* ends with a zero; NULL while empty */
    size_t len, capacity;
    int failed; /* no memory */
} page;

void page_add(page *p, const char *text);
/* Short pieces, printf-style: numbers, and names that are ours. */
void page_addf(page *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Anybody's text, so that it stays text: markup is escaped, and what is neither printable nor
 * UTF-8 becomes '?'. */
void page_add_text(page *p, const char *text);
/* A whole number in groups of three digits, which narrow spaces part; the same as a cell of a
 * table.
 */
void page_add_count(page *p, unsigned long long count);
void page_add_cell(page *p, unsigned long long count);
void page_end(page *p);

#endif
