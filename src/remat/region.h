/* region.h: run a function as a checkpointed region. For modules see nn/checkpoint.c. */
#ifndef RF_REMAT_REGION_H
#define RF_REMAT_REGION_H

#include "grad/slot.h"

#include <refrain/checkpoint.h>

typedef struct rf_region_call {
    rf_function fn;        /* destroy runs when the last value of the region is given back */
    rf_region_hooks hooks; /* likewise; hooks.destroy may be NULL */
    rf_policy policy;      /* likewise; choose may be NULL        */
    const rf_checkpoint_options
        *opts; /* hooks and policies in it are not looked at; NULL: defaults */
    const rf_values *in;
    rf_values *out;
} rf_region_call;

/* The function runs now, recorded in s. If s does not record it is run plainly, without hooks. fn,
 * hooks and policy are taken over in every case. */
rf_status rf_region_run_call(rf_scope *s, const rf_region_call *call);

#endif
