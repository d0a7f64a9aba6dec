/* products.h: the rate that the product library reaches on the shapes of a training step. */
#ifndef BENCH_PRODUCTS_H
#define BENCH_PRODUCTS_H

#include "support/training.h"

/* f32 multiplications and additions a second over all products of forward and backward with a
 * weight, each weighed with its work; 0 without a library, and for a ResNet. */
double products_rate(const training_config *c, size_t threads);

#endif
