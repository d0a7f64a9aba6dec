/* world.h: a context and a scope for a test, and small shorthands over them. */
#ifndef TEST_WORLD_H
#define TEST_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "support/sample.h"

typedef struct world {
    rf_context *ctx;
    rf_scope *s;
} world;

/* cmocka setup and teardown: *state is a world. Teardown checks that the ledger is empty. */
int world_setup(void **state);
int world_teardown(void **state);

/* A leaf of n (rows x columns) values made of a formula, in the scope; wants a gradient. */
rf_tensor *world_leaf(world *w, int64_t rows, int64_t columns, double salt);
/* Bytes of a class held now. */
uint64_t world_used(world *w, rf_mem_class cls);
uint64_t world_executed(world *w, const char *op);
/* Copy of a tensor's elements, to be freed. */
void *world_bytes(world *w, const rf_tensor *t);
/* Assert that two tensors have the same bits. */
void world_same(world *w, const rf_tensor *a, const void *bytes);
/* Run fn as a region, or plainly; one input, one output. */
rf_tensor *world_region(world *w, rf_function fn, rf_tensor *x, const rf_checkpoint_options *opts);
rf_tensor *world_plain(world *w, rf_function fn, rf_tensor *x);

#endif
