/* chain.c: the chain planner beside the textbook recurrence written plainly: one double per cell
 * and level, a choice beside it, sizes rounded up to levels, nothing shared.
 *
 *   200 different stages with 4 options each, and equal stages (1,000 of them, all but the last):
 *   time of the planner's whole curve (every level's plan verified) and of the plain recurrence,
 *   bytes of both tables, and at half of the plain peak how much slower than plain their plans are
 *
 * `--tiny` does everything once, small.
 */
#include "support/figures.h"

#include "plan/chain.h"

#include <math.h>
#include <string.h>

enum { OPTIONS = 4, LEVELS = 500 };

static const rf_allocator libc = {rf_alloc_libc, NULL};

static void must(rf_status status)
{
    if (!status)
        return;
    fprintf(stderr, "bench: %s\n", rf_status_name(status));
    exit(1);
}

/* ---- chains ---- */

static uint64_t draw(uint64_t *state, uint64_t low, uint64_t high)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return low + (*state >> 33) % (high - low + 1);
}

static void chain_draw(rf_chain_stage *s, rf_chain_option *options, uint64_t *state)
{
    uint64_t output = draw(state, 5000000, 20000000), time = draw(state, 100, 1000);
    *s = (rf_chain_stage){.output = output,
                          .gradient = output,
                          .forward = (double)time,
                          .forward_workspace = output / 10,
                          .num_options = OPTIONS};
    for (size_t k = 0; k < OPTIONS; k++) /* ever smaller records, ever longer backwards */
        options[k] =
            (rf_chain_option){.saved = output + output * draw(state, 24 - 8 * k, 48 - 14 * k) / 10,
                              .forward = (double)time,
                              .backward = (double)time * (2 + 0.15 * (double)k),
                              .forward_workspace = output / 10,
                              .backward_workspace = output / 5};
}

static rf_chain chain_make(size_t n, int equal)
{
    rf_chain_stage *stages = calloc(n, sizeof *stages);
    rf_chain_option *options = calloc(n * OPTIONS, sizeof *options);
    uint64_t state = 7;
    if (!stages || !options)
        exit(1);
    for (size_t i = 0; i < n; i++) {
        if (i && equal && i < n - 1) {
            stages[i] = stages[0];
            memcpy(options + i * OPTIONS, options, OPTIONS * sizeof *options);
        } else {
            chain_draw(&stages[i], options + i * OPTIONS, &state);
        }
        stages[i].first_option = i * OPTIONS;
    }
    uint64_t input = equal ? stages[0].output : 10000000;
    return (rf_chain){.input = input,
                      .input_gradient = input,
                      .stages = stages,
                      .num_stages = n,
                      .options = options,
                      .num_options = n * OPTIONS};
}

static void chain_free(rf_chain *c)
{
    union {
        const void *from;
        void *to;
    } stages = {c->stages}, options = {c->options};
    free(stages.to);
    free(options.to);
}

/* ---- the recurrence, plainly ---- */

typedef struct plain {
    const rf_chain *c;
    size_t n, levels;
    double unit;
    double *time;
    uint16_t *choice;
} plain;

static size_t plain_at(const plain *p, size_t s, size_t t)
{
    return (s * p->n + t) * (p->levels + 1);
}

static size_t plain_levels(const plain *p, uint64_t bytes)
{
    return (size_t)ceil((double)bytes / p->unit);
}

static uint64_t plain_gradient(const rf_chain *c, size_t value)
{
    return value ? c->stages[value - 1].gradient : c->input_gradient;
}

static uint64_t plain_most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void plain_keep(plain *p, size_t s, size_t t, size_t k)
{
    const rf_chain_option *o = &p->c->options[s * OPTIONS + k];
    uint64_t forward = plain_gradient(p->c, t + 1) + o->saved + o->forward_workspace;
    uint64_t backward =
        o->saved + plain_gradient(p->c, s + 1) + plain_gradient(p->c, s) + o->backward_workspace;
    size_t need = plain_levels(p, plain_most(forward, backward)), held = plain_levels(p, o->saved);
    size_t at = plain_at(p, s, t), rest = s < t ? plain_at(p, s + 1, t) : 0;
    for (size_t m = need > held ? need : held; m <= p->levels; m++) {
        double time = o->forward + o->backward + (s < t ? p->time[rest + m - held] : 0);
        if (time < p->time[at + m]) {
            p->time[at + m] = time;
            p->choice[at + m] = (uint16_t)k;
        }
    }
}

static void plain_split(plain *p, size_t s, size_t t)
{
    double walk = 0;
    uint64_t most = 0, before = 0;
    for (size_t i = s; i < t; i++) {
        const rf_chain_stage *stage = &p->c->stages[i];
        walk += stage->forward;
        most = plain_most(most, before + stage->output + stage->forward_workspace);
        before = stage->output;
        size_t need = plain_levels(p, plain_gradient(p->c, t + 1) + most);
        size_t held = plain_levels(p, stage->output);
        size_t at = plain_at(p, s, t), rest = plain_at(p, i + 1, t), own = plain_at(p, s, i);
        for (size_t m = need > held ? need : held; m <= p->levels; m++) {
            double time = walk + p->time[rest + m - held] + p->time[own + m];
            if (time < p->time[at + m]) {
                p->time[at + m] = time;
                p->choice[at + m] = (uint16_t)(OPTIONS + i);
            }
        }
    }
}

/* The least time with `bytes` beside the input, in so many levels. */
static double plain_solve(const rf_chain *c, uint64_t bytes, size_t *table_bytes)
{
    plain p = {.c = c, .n = c->num_stages, .levels = LEVELS, .unit = (double)bytes / LEVELS};
    size_t num = p.n * p.n * (p.levels + 1);
    p.time = malloc(num * sizeof *p.time);
    p.choice = malloc(num * sizeof *p.choice);
    if (!p.time || !p.choice)
        exit(1);
    *table_bytes = p.n * (p.n + 1) / 2 * (p.levels + 1) * (sizeof *p.time + sizeof *p.choice);
    for (size_t length = 1; length <= p.n; length++)
        for (size_t s = 0; s + length <= p.n; s++) {
            for (size_t m = 0; m <= p.levels; m++)
                p.time[plain_at(&p, s, s + length - 1) + m] = INFINITY;
            for (size_t k = 0; k < OPTIONS; k++)
                plain_keep(&p, s, s + length - 1, k);
            plain_split(&p, s, s + length - 1);
        }
    double time = p.time[plain_at(&p, 0, p.n - 1) + p.levels];
    free(p.time);
    free(p.choice);
    return time;
}

/* ---- both ---- */

static double slower(double time, const rf_chain_front *front)
{
    return 100 * (time / front->plain.time - 1);
}

static void bench_plain(const rf_chain *c, const rf_chain_front *front)
{
    size_t bytes;
    double t = now();
    double time = plain_solve(c, front->plain.peak / 2 - c->input, &bytes);
    printf("  %-44s %9.3f s, %.1f MiB, +%.2f %%\n", "the plain recurrence, half the plain peak",
           now() - t, (double)bytes / 1048576, slower(time, front));
}

static void bench_front(const rf_chain *c, rf_chain_front *front, size_t threads, int runs)
{
    figures whole = {.num = 0}, refined = {.num = 0};
    rf_chain_front_options opts = {sizeof opts, threads, LEVELS, 0, 0};
    for (int i = 0; i < runs; i++) {
        rf_chain_front_end(front);
        double t = now();
        must(rf_chain_front_begin(front, &libc, c, &opts));
        figures_add(&whole, now() - t);
        t = now();
        must(rf_chain_front_refine(front, front->plain.peak / 2));
        figures_add(&refined, now() - t);
    }
    printf("  %zu threads, %d levels, %.1f MiB, %zu points, +%.2f %% at half the plain peak\n",
           threads, LEVELS, (double)front->table_bytes / 1048576, front->num,
           slower(rf_chain_front_find(front, front->plain.peak / 2)->time, front));
    print_figure("the whole curve", &whole, 1, "s");
    print_figure("more of it around one budget", &refined, 1, "s");
}

static void bench_chain(size_t n, int equal, size_t plain_n, int runs)
{
    rf_chain c = chain_make(n, equal);
    rf_chain_front front = {.num = 0};
    front.alloc = libc;
    printf("%zu %s stages\n", n, equal ? "equal" : "different");
    for (size_t threads = 1; threads <= 2; threads++)
        bench_front(&c, &front, threads, runs);
    if (n <= plain_n)
        bench_plain(&c, &front);
    rf_chain_front_end(&front);
    chain_free(&c);
}

int main(int argc, char **argv)
{
    int tiny = argc > 1 && !strcmp(argv[1], "--tiny");
    bench_chain(tiny ? 20 : 200, 0, 200, tiny ? 1 : 5);
    bench_chain(tiny ? 50 : 1000, 1, tiny ? 50 : 200, tiny ? 1 : 5);
    return 0;
}
