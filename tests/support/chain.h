/* chain.h: chains for tests of the planner, with the storage that they lie in. */
#ifndef RF_SUPPORT_CHAIN_H
#define RF_SUPPORT_CHAIN_H

#include "plan/chain.h"

enum { CHAIN_MOST_STAGES = 1024, CHAIN_MOST_OPTIONS = 4096 };

typedef struct chain_case {
    rf_chain chain;
    rf_chain_stage stages[CHAIN_MOST_STAGES];
    rf_chain_option options[CHAIN_MOST_OPTIONS];
} chain_case;

extern const rf_allocator chain_alloc; /* the C library's */

/* An empty chain; its input's gradient is as large as its input. */
void chain_begin(chain_case *c, uint64_t input);
/* One more stage, whose gradient is as large as its output, without options. */
rf_chain_stage *chain_stage(chain_case *c, uint64_t output, double forward, uint64_t workspace);
/* One more option of the last stage. */
void chain_option(chain_case *c, rf_chain_option option);

/* A generator of numbers, and from it a number from 0 to below - 1. */
uint64_t chain_random(uint64_t *state, uint64_t below);

/* A chain of n stages with 1 to most_options options each. All sizes are below `below` times
 * `scale`; gradients and work spaces are sizes of their own, so that any of them may be the
 * largest; in half of the chains stages leave something; times are whole numbers. */
void chain_draw(chain_case *c, uint64_t *state, size_t n, size_t most_options, uint64_t below,
                uint64_t scale);

/* The time of the best known plan within a budget, from a front refined for it; negative: none.
 * Fails the test unless the plan's steps simulate to what its point says, within the budget. */
double chain_answer(rf_chain_front *front, uint64_t budget);

/* The textbook recurrence, plainly, byte by byte: time[m] is the least with m bytes beside the
 * input, for m from 0 to most; infinite where there is none. time belongs to the caller (free). */
double *chain_textbook(const rf_chain *c, uint64_t most);

/* The least time of any schedule within a budget, by going through all states that memory can be
 * in; infinite where there is none. For a few stages. */
double chain_exhaustive(const rf_chain *c, uint64_t budget);

#endif
