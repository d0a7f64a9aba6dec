/* learner.h: a GPT-2 of any size that learns in a context of its own, stepping inside of backward:
 * for tests of plans. */
#ifndef TEST_LEARNER_H
#define TEST_LEARNER_H

#include "support/world.h"

#include <refrain/refrain.h>

/* Of each batch; the model's context must not be shorter. */
enum { LEARNER_ROWS = 4, LEARNER_CONTEXT = 64 };

typedef struct learner {
    rf_context *ctx;
    rf_module *model;
    rf_optim *optim;
    int32_t batch; /* number of the next one */
} learner;

/* adamw may be NULL. */
learner learner_new(const rf_context_options *context, const rf_gpt2_options *sizes,
                    const rf_adamw_options *adamw);
void learner_end(learner *l);
/* One step on its batch: of type rf_training_step's run, with the learner as payload. */
rf_status learner_step(void *payload);
/* Three steps, each on the next batch: the peak of the processor's memory, and, unless hash is
 * NULL, what the parameters are then. */
uint64_t learner_run(learner *l, uint64_t *hash);
/* The peak of a device since the last run began. */
uint64_t learner_peak(const learner *l, rf_device device);

#endif
