/* sequential.h: what checkpointing asks of a sequential container. */
#ifndef RF_NN_SEQUENTIAL_H
#define RF_NN_SEQUENTIAL_H

#include "nn/module.h"

int rf_sequential_is(const rf_module *m);

#endif
