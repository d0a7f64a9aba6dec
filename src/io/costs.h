/* costs.h: measured costs (plan/profile.h) kept in a file between runs, so that a kernel is
 * measured once for each machine.
 *
 *   {"format": "refrain-costs", "version": 1, "machines": [
 *     {"cpu": "...", "threads": 2, "isa": "avx512", "library": "0.1.0", "costs": {
 *       "linear f32(8,16) f32(4,16) - > f32(8,4)": 1520, ...}}, ...]}
 *
 * A machine is a processor's name, how many threads run, the instruction set and the library's
 * version; a cost is nanoseconds, by the text of its key. Members that are not known are passed
 * over. Saving keeps what the file says of other machines (but for this processor's under another
 * version of the library) and what another program has added for this one in the meantime.
 */
#ifndef RF_IO_COSTS_H
#define RF_IO_COSTS_H

#include "plan/profile.h"

enum {
    RF_COSTS_FILE_MOST = 16 << 20, /* bytes of a file; more is no such file */
    RF_COSTS_PATH = 4096,
    RF_COSTS_CPU = 128
};

typedef struct rf_costs_machine {
    char cpu[RF_COSTS_CPU]; /* "model name" of /proc/cpuinfo, or what the system calls its kind */
    size_t threads;
    const char *isa;
    const char *library;
} rf_costs_machine;
void rf_costs_machine_here(rf_costs_machine *m, const rf_context *ctx);

/* Where costs are kept if nobody says otherwise: $XDG_CACHE_HOME/refrain/costs.json, or
 * ~/.cache/refrain/costs.json. Returns buffer (RF_COSTS_PATH bytes); NULL if there is no such
 * place.
 */
const char *rf_costs_default_path(char *buffer);

#endif
