/* sequential.h: what checkpointing asks of a sequential container. */
#ifndef RF_NN_SEQUENTIAL_H
#define RF_NN_SEQUENTIAL_H

#include "nn/module.h"

int rf_sequential_is(const rf_module *m);
/* Call children first to end - 1 one after the other. */
rf_tensor *rf_sequential_range(rf_module *m, rf_scope *s, rf_tensor *x, const size_t range[2]);

#endif
