/* machine.h: what this machine can do at its best, and whether others use it meanwhile. */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <stddef.h>
#include <sys/types.h>

/* "Intel(R) Xeon(R) Processor" */
void machine_name(char *name, size_t bytes);
/* f32 multiplications and additions a second of a loop that does nothing else. */
double machine_peak(int threads);
/* Bytes a second, three of 4 counted, over arrays far larger than the caches: the best of
 * a = b + s c, a = a + s c, and one that writes past the caches. */
double machine_bandwidth(int threads);

/* Processors' seconds that were used since a moment, but not by this process and not by peer (0 is
 * none) nor their ended children. */
typedef struct machine_meter {
    pid_t peer;
    double begin, busy, own;
} machine_meter;
machine_meter machine_meter_begin(pid_t peer);
/* As a share of one processor, over the time since. */
double machine_meter_foreign(const machine_meter *m);

#endif
