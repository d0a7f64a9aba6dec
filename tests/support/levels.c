/* levels.c: see levels.h.
 *
 * A table for each level k, by length n and slots m of this level that are free:
 *
 *   there[n][m]  the state that the n steps begin with lies in level k already
 *              = min( below[n],  min over 0 < j < n of  j forward + cost[n-j][m-1] + read +
 * there[j][m] ) cost[n][m]   it lies nowhere yet = min( below[n],  write + there[n][m] )
 *
 * below: the cost at the levels before, with all of their slots. j steps are run, the state there
 * is stored at best, the rest is reversed, and the state at the beginning is read again. While
 * there holds the beginning, the j steps have the same slots left as before (H-Revolve, Herrmann &
 * Pallez 2020; with one level of any number of slots, Disk-Revolve, Aupy et al. 2016).
 */
#include "support/levels.h"
#include "base/check.h"
#include "tensor/context.h"

#include <string.h>

uint64_t rf_levels_revolve(uint64_t steps, uint64_t slots)
{
    uint64_t c = slots < steps ? slots : steps, r = 0, beta = 1; /* beta = (c + r) over c */
    while (beta < steps) {
        r++;
        beta = beta * (c + r) / r;
    }
    return r * steps - (r ? beta * r / (c + 1) : 0); /* less (c + r) over (c + 1) */
}

/* The tables of the level that is filled: row n has width entries, one for each number of free
 * slots; a level of any number of slots has one entry, which stands for all. */
typedef struct levels_table {
    const rf_levels *problem;
    const rf_level *level;
    size_t steps, width;
    double *there, *cost;
} levels_table;

static double *levels_at(const levels_table *t, double *table, size_t n, size_t m)
{
    return &table[n * t->width + (t->level->slots ? m : 0)];
}

static void levels_cell(levels_table *t, const double *below, size_t n, size_t m)
{
    double best = below[n], *there = levels_at(t, t->there, n, m);
    int usable = !t->level->slots || m;
    for (size_t j = 1; usable && j < n; j++) {
        double split = (double)j * t->problem->forward + t->level->read +
                       *levels_at(t, t->cost, n - j, m ? m - 1 : 0) + *levels_at(t, t->there, j, m);
        best = split < best ? split : best;
    }
    *there = best;
    best += t->level->write;
    *levels_at(t, t->cost, n, m) = usable && best < below[n] ? best : below[n];
}

/* cost comes with the levels before, and goes with this one. */
static rf_status levels_raise(rf_context *ctx, levels_table *t, double *cost)
{
    size_t entries, bytes;
    t->width = t->level->slots + 1;
    if (!rf_mul_size(t->width, t->steps + 1, &entries) ||
        !rf_mul_size(entries, 2 * sizeof(double), &bytes))
        return rf_fail(ctx, RF_E_ARGUMENT, "a level with too many slots");
    t->there = rf_host_alloc(ctx, bytes);
    if (!t->there)
        return rf_context_error(ctx)->code;
    t->cost = t->there + entries;
    for (size_t n = 1; n <= t->steps; n++)
        for (size_t m = 0; m < t->width; m++)
            levels_cell(t, cost, n, m);
    for (size_t n = 1; n <= t->steps; n++)
        cost[n] = *levels_at(t, t->cost, n, t->level->slots);
    rf_host_free(ctx, t->there, bytes);
    return RF_OK;
}

rf_status rf_levels_costs(rf_context *ctx, const rf_levels *problem, size_t steps, double *cost)
{
    rf_status status = RF_OK;
    if (!problem->num || !problem->levels[0].slots || steps > INT32_MAX)
        return rf_fail(ctx, RF_E_ARGUMENT, "levels: no slot in memory, or too many steps");
    cost[0] = 0;
    for (size_t n = 1; n <= steps; n++)
        cost[n] = (double)n * problem->backward +
                  problem->forward * (double)rf_levels_revolve(n, problem->levels[0].slots);
    for (size_t k = 1; k < problem->num && !status; k++) {
        levels_table t = {.problem = problem, .level = &problem->levels[k], .steps = steps};
        status = levels_raise(ctx, &t, cost);
    }
    return status;
}
