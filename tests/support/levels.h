/* levels.h: what it costs to reverse a chain of equal steps with a few slots in memory and slower
 * levels behind it (files), whose transfers wait: the recurrences of revolve, Disk-Revolve and
 * H-Revolve. Planners are compared with them; for chains of different steps there is another
 * solver.
 */
#ifndef TEST_LEVELS_H
#define TEST_LEVELS_H

#include <refrain/base.h>

/* One level of storage. Level 0 is memory, which costs nothing. */
typedef struct rf_level {
    size_t slots; /* states that it holds, the initial one included at level 0; 0: any number, not
                     at level 0 */
    double write, read;
} rf_level;

typedef struct rf_levels {
    const rf_level *levels; /* fastest first */
    size_t num;
    double forward, backward; /* seconds of one step; backward runs the step once more, on record */
} rf_levels;

/* Steps that are run without record when `steps` steps are reversed with `slots` slots (one holds
 * the initial state): Griewank and Walther's closed form. slots > 0, steps below 2^31. */
uint64_t rf_levels_revolve(uint64_t steps, uint64_t slots);
/* cost[n] of reversing n steps, for n = 0 .. steps: the least of all schedules that store in these
 * levels. Time goes with the square of steps times the slots behind memory. Errors: RF_E_ARGUMENT
 * (no level, no slot in memory), RF_E_MEMORY, RF_E_BUDGET. */
rf_status rf_levels_costs(rf_context *ctx, const rf_levels *problem, size_t steps, double *cost);

#endif
