/* graph_cut.h: cutting an interval. A value that is stored but not read for a while is given up,
 * and computed again right before its next reader; what it is computed from may be gone there as
 * well, and is then computed again too, or kept until then. Greedy search and annealing share this.
 */
#ifndef RF_PLAN_GRAPH_CUT_H
#define RF_PLAN_GRAPH_CUT_H

#include "plan/graph_track.h"

/* The longest chain of one cut: longer ones are made in steps. */
enum { RF_GRAPH_CUT_MOST = 64 };

/* Numbers for moves: splitmix64, so that equal seeds give equal plans everywhere. */
static inline uint64_t rf_graph_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* One of 0 .. num - 1. */
static inline size_t rf_graph_pick(uint64_t *state, size_t num)
{
    return (size_t)((rf_graph_random(state) >> 32) * (uint64_t)num >> 32);
}

/* In [0, 1). */
static inline double rf_graph_chance(uint64_t *state)
{
    return (double)(rf_graph_random(state) >> 11) * 0x1p-53;
}

/* What must run before `place` to have id there, in order, into list[RF_GRAPH_CUT_MOST]; returns
 * how many. Each input that is not stored there is kept until then with this chance, else computed.
 */
size_t rf_graph_cut_chain(const rf_graph_track *t, uint32_t id, size_t place, double keep,
                          uint64_t *random, uint32_t *list);

#endif
