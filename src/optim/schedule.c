/* schedule.c: the learning rate as a function of the step.
 *
 * The warm-up has warmup steps below the peak, and the first of them is not zero (a step that moves
 * nothing is a step lost); step `warmup` is at the peak, step `total` and all after it at final. */
#include <math.h>

#include <refrain/optim.h>

double rf_schedule_at(const rf_schedule *schedule, uint64_t step)
{
    const double pi = 3.14159265358979323846;
    if (step < schedule->warmup)
        return schedule->peak * ((double)step + 1) / ((double)schedule->warmup + 1);
    if (schedule->kind == RF_SCHEDULE_CONSTANT)
        return schedule->peak;
    if (step >= schedule->total)
        return schedule->final;
    double part = (double)(step - schedule->warmup) / (double)(schedule->total - schedule->warmup);
    double left = schedule->kind == RF_SCHEDULE_COSINE ? 0.5 * (1 + cos(pi * part)) : 1 - part;
    return schedule->final + (schedule->peak - schedule->final) * left;
}
