/* ops.c: a training step of one of the configurations of support/training.h, and which op its
 * seconds go to.
 *
 *   ops [--tiny] [--steps N] [--threads N] [CONFIG]
 *
 * The step's median is of steps that nobody watches; the table of ops is the mean of others, in
 * which a trace counts each op's kernel, so what the ops leave of a step is the optimiser, the
 * recording and the allocator.
 */
#include "support/training.h"

#include <string.h>

enum { OPS = 64 };

static const training_form plain = {RF_F32, 0, 0};

/* ---- what the ops take ---- */

typedef struct op_time {
    char name[48];
    double seconds, flops, calls;
} op_time;

typedef struct op_times {
    op_time ops[OPS];
    int num;
} op_times;

static void count_op(void *payload, const rf_event *event)
{
    op_times *times = payload;
    int i = 0;
    if (event->kind != RF_EVENT_OP)
        return;
    while (i < times->num && strcmp(times->ops[i].name, event->op))
        i++;
    if (i == times->num) {
        if (i == OPS)
            return;
        times->num++;
        snprintf(times->ops[i].name, sizeof times->ops[i].name, "%s", event->op);
    }
    times->ops[i].seconds += event->end - event->begin;
    times->ops[i].flops += event->flops;
    times->ops[i].calls++;
}

static int slower(const void *a, const void *b)
{
    double x = ((const op_time *)a)->seconds, y = ((const op_time *)b)->seconds;
    return x > y ? -1 : x < y;
}

static void bench_ops(training *t, int steps)
{
    op_times times = {.num = 0};
    double step = 0, all = 0;
    rf_trace_set(t->ctx, count_op, &times);
    for (int i = 0; i < steps; i++)
        step += training_step(t, plain).all / steps;
    rf_trace_set(t->ctx, NULL, NULL);
    qsort(times.ops, (size_t)times.num, sizeof times.ops[0], slower);
    printf("what the ops of a watched step take, of %.1f ms\n", 1e3 * step);
    for (int i = 0; i < times.num; i++) {
        const op_time *op = &times.ops[i];
        all += op->seconds / steps;
        printf("  %-28s %8.2f ms %5.1f %% %5.0f calls %8.1f GFLOP/s\n", op->name,
               1e3 * op->seconds / steps, 100 * op->seconds / steps / step, op->calls / steps,
               op->flops / op->seconds * 1e-9);
    }
    printf("  %-28s %8.2f ms %5.1f %%\n", "the rest", 1e3 * (step - all),
           100 * (step - all) / step);
}

/* ---- the step ---- */

static void bench_step(const training_config *c, int steps, size_t threads)
{
    training t;
    figures step = {.num = 0}, share = {.num = 0};
    rf_memory_info info;
    training_begin(&t, c, threads, NULL);
    printf("a training step of %s: threads %zu, kernels %s\n", c->name, rf_context_threads(t.ctx),
           rf_context_isa(t.ctx));
    for (int i = 0; i < 2; i++) /* the first ones warm */
        training_step(&t, plain);
    for (int i = 0; i < steps; i++) {
        training_times times = training_step(&t, plain);
        figures_add(&step, times.all);
        figures_add(&share, times.forward / times.all);
    }
    demand(t.ctx, rf_memory_get(t.ctx, RF_DEVICE_CPU, RF_MEM_ACTIVATION, &info));
    print_figure("step", &step, 1e3, "ms");
    print_figure("share of the forward", &share, 100, "%");
    printf("  %-44s %9.2f MiB\n", "peak activations", (double)info.peak / 1048576);
    bench_ops(&t, steps < 5 ? steps : 5);
    training_end(&t);
}

static int usage(void)
{
    fprintf(stderr, "usage: ops [--tiny] [--steps N] [--threads N] [CONFIG]\n"
                    "CONFIG: tiny small gpt2b1 gpt2b4 resnet18\n");
    return 2;
}

int main(int argc, char **argv)
{
    const training_config *c = &training_configs[0];
    int steps = 11, threads = 2;
    if (argc > 1 && !strcmp(argv[1], "--tiny")) {
        for (int i = 0; i < TRAINING_LEAST; i++)
            bench_step(&training_least[i], 2, 2);
        return 0;
    }
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--steps") && i + 1 < argc)
            steps = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--threads") && i + 1 < argc)
            threads = atoi(argv[++i]);
        else if (!(c = training_find(argv[i])))
            return usage();
    }
    if (steps < 1 || threads < 1)
        return usage();
    bench_step(c, steps, (size_t)threads);
    return 0;
}
