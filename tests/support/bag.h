/* bag.h: a module of parameters of several sizes and types that computes nothing, an optimiser of
 * it, and steps with gradients that are a function of the step. */
#ifndef TEST_BAG_H
#define TEST_BAG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "support/sample.h"

enum { BAG_RULES = 5, BAG_PARAMS = 5 };

typedef struct bag {
    rf_context *ctx;
    rf_module *m;
    rf_optim *optim;
    rf_tensor *params[BAG_PARAMS]; /* large, wide (f64), few, one, still: borrowed */
    int64_t bytes;                 /* of all moments that a rule with one moment has */
} bag;

/* Parameters whose moments take several chunks, unless small. */
rf_status bag_begin(bag *b, rf_context *ctx, rf_device device, int small);
/* A rule by number; the last two are AdamW and have two moments, the first has none. */
rf_status bag_optim(bag *b, int rule, rf_device moments);
void bag_end(bag *b); /* not the context */

/* Give gradients, and take a step; every third parameter has none at every third step. */
rf_status bag_grads(bag *b, int step);
rf_status bag_step(bag *b, int step);

/* All bits of parameters and state, as copy_out has them, to be freed; *len gets their number. NULL
 * if the state can't be read. */
unsigned char *bag_bits(bag *b, size_t *len);

#endif
