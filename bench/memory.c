/* memory.c: what a training step holds at once beyond parameters, gradients and moments, and the
 * process's resident peak beside the ledger's.
 *
 *   memory [--tiny] [CONFIG...]
 *
 * Each line is of a process of its own: a resident peak never falls again.
 */
#include "support/training.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static rf_memory_info memory_of(rf_context *ctx, rf_mem_class cls)
{
    rf_memory_info info;
    demand(ctx, rf_memory_get(ctx, RF_DEVICE_CPU, cls, &info));
    return info;
}

static double mebibytes(uint64_t bytes)
{
    return (double)bytes / 1048576;
}

static uint64_t resident_peak(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (uint64_t)use.ru_maxrss * 1024;
}

static void bench(const training_config *c, training_form form, const char *name)
{
    training t;
    training_begin(&t, c, 0, NULL);
    training_step(&t, form);
    training_step(&t, form);
    uint64_t peak = memory_of(t.ctx, RF_MEM_ALL).peak, resident = resident_peak();
    uint64_t held = memory_of(t.ctx, RF_MEM_PARAM).used + memory_of(t.ctx, RF_MEM_OPTIM).used;
    uint64_t parameters = 4 * training_parameters(&t); /* as many bytes as their gradients */
    double allowed = 48 + 1.03 * mebibytes(peak);
    printf("| %-12s | %-25s | %9.1f | %9.1f | %9.1f | %9.1f | %9.1f |\n", c->name, name,
           mebibytes(memory_of(t.ctx, RF_MEM_ACTIVATION).peak),
           ((double)peak - (double)held - (double)parameters) / 1048576, mebibytes(peak),
           mebibytes(resident), allowed);
    fflush(stdout);
    training_end(&t);
}

static void bench_apart(const training_config *c, training_form form, const char *name)
{
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        bench(c, form, name);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0 || status)
        exit(1);
}

static const struct {
    training_form form;
    const char *name;
} forms[] = {{{RF_F32, 0, 0}, "plain"},
             {{RF_F32, 1, 0}, "blocks"},
             {{RF_F32, 1, 1}, "blocks, moved in backward"},
             {{RF_BF16, 1, 0}, "blocks, bf16"}};

static void bench_forms(const training_config *c)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        bench_apart(c, forms[i].form, forms[i].name);
}

int main(int argc, char **argv)
{
    int tiny = argc > 1 && !strcmp(argv[1], "--tiny");
    const char *usual[] = {"small", "gpt2b1"}, *least[] = {"least", "resnet-least"};
    puts("MiB\n\n"
         "| step         | form                      | activ.    | beyond    | ledger    | "
         "resident  "
         "| allowed   |\n"
         "|--------------|---------------------------|----------:|----------:|----------:|---------"
         "-:"
         "|----------:|");
    for (int i = 1; i < argc && !tiny; i++)
        if (training_find(argv[i]))
            bench_forms(training_find(argv[i]));
    for (size_t i = 0; i < 2 && argc <= 1 + tiny; i++)
        bench_forms(training_find(tiny ? least[i] : usual[i]));
    puts("\nactiv., ledger: the peaks of activations and of all, which need not come together; "
         "beyond: the\nlatter less parameters, one gradient of each and moments; allowed: 48 MiB "
         "and 3 % above it.");
    return 0;
}
