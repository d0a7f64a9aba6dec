/* page_rows.h: docs/from-pytorch.md for the programs that do what its rows say: a part of its
 * tables each, by the headings that they are under. */
#ifndef TEST_PAGE_ROWS_H
#define TEST_PAGE_ROWS_H

#include "support/world.h"

/* A row, by its left column without quotes, and what its right column says, done; NULL where there
 * is nothing to do. */
typedef struct page_row {
    const char *there;
    void (*use)(world *w);
} page_row;

/* A program's part of the page. */
typedef struct page_part {
    const char *tree;   /* RF_SOURCE_DIR                                       */
    const char *source; /* file of the program in it                           */
    const page_row *rows;
    size_t num;
    int checkpointing; /* the two tables of checkpointing; 0: all the others  */
} page_part;

/* Do each row, in a scope of its own. */
void page_do(world *w, const page_part *part);
/* Fail unless the rows are those of the page, and every public name in a right column is used in
 * the source. */
void page_check(const page_part *part);

/* ---- what rows work on ---- */

typedef struct count {
    int calls, entered, left, chosen, kept;
    rf_pass pass;
    uint64_t region;
    rf_fate fate;
} count;

/* A function whose payload is a count: y = exp(sin(x)); sin is computed again if a recompute is
 * needed. */
rf_status page_sine(void *payload, rf_scope *s, const rf_values *in, rf_values *out);
/* A container of num linear layers (4, 4), a tanh after each. */
rf_module *page_linears(world *w, int num);
/* Its forward and backward; how often op was computed. */
uint64_t page_step(world *w, rf_module *m, const char *op);

#endif
