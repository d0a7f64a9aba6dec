/* figures.c: see figures.h. Bytes come from the ledger, which is exact; only the resident peak is
 * the system's word. */
#include "cli/figures.h"

#include <sys/resource.h>
#include <time.h>

#include <refrain/checkpoint.h>

double figures_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

uint64_t figures_resident_peak(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) ? 0 : (uint64_t)usage.ru_maxrss * 1024;
}

double figures_rate(const figures *f)
{
    return f->seconds > 0 ? (double)f->tokens / f->seconds : 0;
}

static uint64_t figures_peak(rf_context *ctx, rf_mem_class cls)
{
    rf_memory_info info;
    return rf_memory_get(ctx, RF_DEVICE_CPU, cls, &info) ? 0 : info.peak;
}

void figures_begin(figures *f, rf_context *ctx, uint64_t step)
{
    *f = (figures){.step = step};
    rf_memory_reset_peak(ctx);
    f->recompute_seconds = -rf_context_recompute_seconds(ctx);
    f->seconds = -figures_clock();
}

void figures_end(figures *f, rf_context *ctx)
{
    f->seconds += figures_clock();
    f->recompute_seconds += rf_context_recompute_seconds(ctx);
    f->peak_bytes = figures_peak(ctx, RF_MEM_ALL);
    f->activation_peak_bytes = figures_peak(ctx, RF_MEM_ACTIVATION);
    f->resident_peak_bytes = figures_resident_peak();
}
