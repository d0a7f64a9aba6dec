/* count.c: training steps of the least configuration on one thread and the portable kernels, which
 * call no library and are the same on every processor of a kind: what bench/instructions.sh counts.
 */
#include "support/training.h"

/* A name that the counter is told: what is outside does not count. */
void counted_step(training *t, int blocks);

__attribute__((noinline)) void counted_step(training *t, int blocks)
{
    training_step(t, (training_form){RF_F32, blocks, 0});
}

int main(int argc, char **argv)
{
    training t;
    training_begin(&t, training_find("least"), 1, "portable");
    training_step(&t, (training_form){RF_F32, 0, 0}); /* what only a first step does */
    counted_step(&t, argc > 1 && argv[1][0] == 'b');
    training_end(&t);
    return 0;
}
