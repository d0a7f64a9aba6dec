/* range_chain.h: sequential containers of small layers, for tests of regions of their children. */
#ifndef TEST_RANGE_CHAIN_H
#define TEST_RANGE_CHAIN_H

#include "support/world.h"

enum { CHAIN_ROWS = 4, CHAIN_WIDTH = 8 };

/* l linear, t tanh, d dropout, g gelu, b two linear layers in a container of their own. */
rf_module *chain_layer(rf_context *ctx, char kind);
/* A container of such. */
rf_module *chain_new(rf_context *ctx, const char *kinds);
/* The sum of what a chain makes of a leaf. */
rf_tensor *chain_loss(world *w, rf_module *m);
/* Close the world's scope, with all that is in it, and open another. */
void chain_scope_anew(world *w);

#endif
