/* graph.c: plans for profiled training graphs: how much longer a step takes, in % of the plain
 * step, when its budget is a share of the plain step's peak; after 0.1 s of planning and after 10
 * s, and how long the first plan took. Beside each the most that it should be. `--tiny`: 0.1 s
 * only.
 *
 *   graph [--tiny] [--seed N] [--seconds S]
 */
#include "../tests/support/graph_file.h"
#include "support/figures.h"
#include "plan/graph_plan.h"

#include <string.h>

static const rf_allocator memory = {rf_alloc_libc, NULL};

typedef struct bench_goal {
    const char *name;
    double share[3], overhead[3];
} bench_goal;

static const bench_goal goals[] = {
    {"resnet50", {0.80, 0.50, 0.25}, {0.28, 1.7, 6.3}},
    {"mobilenet", {0.80, 0.50, 0.25}, {0.6, 1.75, 5.5}},
    {"unet", {0.80, 0.50, 0.41}, {1.99, 7.0, 12.6}},
};

static double clock_ms(void *payload)
{
    (void)payload;
    return 1000 * now();
}

typedef struct outcome {
    double overhead; /* %; negative: no plan */
    double seconds;
} outcome;

/* A planner that knows nothing yet, for one budget. */
static outcome plan_for(const rf_graph *g, double share, double seconds, uint64_t seed)
{
    rf_graph_planner p;
    rf_graph_answer a;
    rf_graph_options opts = {.size = sizeof opts, .seed = seed, .clock = clock_ms};
    const char *why;
    double begin = now();
    opts.milliseconds = 1000 * seconds;
    if (rf_graph_planner_begin(&p, &memory, g, &why) ||
        rf_graph_planner_answer(&p, (uint64_t)(share * (double)p.plain_peak), &opts, &a))
        exit(1);
    outcome out = {a.feasible ? 100 * (a.cost / a.plain_cost - 1) : -1, now() - begin};
    rf_graph_answer_end(&memory, &a);
    rf_graph_planner_end(&p);
    return out;
}

static void bench(const bench_goal *goal, double seconds, uint64_t seed)
{
    char path[512], here[] = __FILE__;
    graph_file f;
    *strrchr(here, '/') = 0;
    snprintf(path, sizeof path, "%s/../tests/data/graphs/%s.json", here, goal->name);
    if (graph_file_read(path, &f)) {
        fprintf(stderr, "bench: cannot read %s\n", path);
        exit(1);
    }
    for (int i = 0; i < 3; i++) {
        outcome first = plan_for(&f.g, goal->share[i], 1e-6, seed);
        outcome soon = plan_for(&f.g, goal->share[i], 0.1, seed);
        printf("  %-10s %2.0f %%   first %6.3f %% in %5.1f ms   0.1 s %6.3f %%", goal->name,
               100 * goal->share[i], first.overhead, 1000 * first.seconds, soon.overhead);
        if (seconds > 0)
            printf("   %g s %6.3f %%", seconds,
                   plan_for(&f.g, goal->share[i], seconds, seed).overhead);
        printf("   (goal %g)\n", goal->overhead[i]);
        fflush(stdout);
    }
    graph_file_free(&f);
}

int main(int argc, char **argv)
{
    double seconds = 10;
    uint64_t seed = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--tiny") == 0)
            seconds = 0;
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            seconds = strtod(argv[++i], NULL);
    }
    puts("overhead of graph plans");
    for (size_t i = 0; i < sizeof goals / sizeof *goals; i++)
        bench(&goals[i], seconds, seed);
    return 0;
}
