/* regions.c: what regions cost, and that it does not depend on how many there are.
 *
 *   microseconds that a region adds around a trivial function, forward and backward together, with
 *   10, 100, 1,000 and 10,000 of them: of a function, and of a module, whose parameters it watches
 *   bytes of bookkeeping that one of them keeps between its forward and its backward
 *   the same for regions nested in each other
 *   what it costs to make a module of a big model a region, or ranges of a container, and to take
 *   that away again, as a planner does for each of its candidates
 *
 * Medians of interleaved runs, and their spread. `--tiny` does everything once, small.
 */
#include "support/figures.h"

#include <refrain/nn.h>

#include <stdio.h>
#include <string.h>

/* ---- what runs ---- */

/* Keeps its result, so that its region must run again for it. */
static rf_status trivial_function(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)payload;
    out->v[0] = rf_sigmoid(s, in->v[0]);
    return rf_scope_status(s);
}

static rf_status trivial_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_tensor *x = rf_sigmoid(s, in->v[0]);
    out->v[0] = rf_module_num_children(m) ? rf_module_call1(rf_module_child(m, 0), s, x) : x;
    return rf_scope_status(s);
}

static const rf_module_class trivial_class = {
    .size = sizeof(rf_module_class), .name = "Trivial", .forward = trivial_forward};

typedef enum region_form { FORM_FUNCTION, FORM_MODULE } region_form;

typedef struct cost {
    double seconds; /* of one call */
    double bytes;   /* kept by it  */
} cost;

static uint64_t bookkeeping(rf_context *ctx)
{
    rf_memory_info info;
    demand(ctx, rf_memory_get(ctx, RF_DEVICE_CPU, RF_MEM_OTHER, &info));
    return info.used;
}

static rf_tensor *call(rf_scope *s, rf_module *m, int region, rf_tensor *x)
{
    rf_tensor *y = NULL;
    rf_values in = {&x, 1}, out = {&y, 1};
    rf_function fn = {trivial_function, NULL, NULL};
    if (m)
        return rf_module_call1(m, s, x);
    demand(rf_scope_context(s), region ? rf_checkpoint_call(s, fn, &in, &out, NULL)
                                       : trivial_function(NULL, s, &in, &out));
    return y;
}

static rf_context *context_new(void)
{
    rf_context *ctx;
    if (rf_context_create(&ctx, NULL))
        exit(1);
    return ctx;
}

/* num calls one after the other, and their backward. The bytes are right in a new context only: an
 * old one has blocks to spare, which is what the time should be without. */
static cost chain(rf_context *ctx, region_form form, int region, int num)
{
    rf_scope *s;
    rf_module *m = NULL;
    float value = 1;
    demand(ctx, rf_scope_open(&s, ctx, NULL));
    if (form == FORM_MODULE)
        demand(ctx, rf_module_create(&m, ctx, &trivial_class, NULL));
    if (m && region)
        demand(ctx, rf_checkpoint(m, NULL));
    rf_tensor *x = rf_tensor_copy_in(s, RF_F32, 1, (int64_t[]){1}, &value);
    demand(ctx, rf_tensor_set_requires_grad(x, 1));
    uint64_t before = bookkeeping(ctx);
    double t = now();
    for (int i = 0; i < num; i++)
        x = call(s, m, region, x);
    double bytes = (double)(bookkeeping(ctx) - before) / num;
    demand(ctx, rf_backward(s, x));
    cost c = {(now() - t) / num, bytes};
    rf_scope_close(s);
    rf_module_destroy(m);
    return c;
}

/* Seconds of a module in a module ..., num deep, forward and backward. */
static double nest(rf_context *ctx, int region, int num)
{
    rf_scope *s;
    rf_module *m = NULL;
    float value = 1;
    demand(ctx, rf_scope_open(&s, ctx, NULL));
    for (int i = 0; i < num; i++) {
        rf_module *outer;
        demand(ctx, rf_module_create(&outer, ctx, &trivial_class, NULL));
        if (m)
            demand(ctx, rf_module_add_child(outer, "in", m));
        if (region)
            demand(ctx, rf_checkpoint(outer, NULL));
        m = outer;
    }
    rf_tensor *x = rf_tensor_copy_in(s, RF_F32, 1, (int64_t[]){1}, &value);
    demand(ctx, rf_tensor_set_requires_grad(x, 1));
    double t = now();
    demand(ctx, rf_backward(s, call(s, m, region, x)));
    t = (now() - t) / num;
    rf_scope_close(s);
    rf_module_destroy(m);
    return t;
}

/* ---- figures ---- */

static double bench_bytes(region_form form, int num)
{
    double bytes[2];
    for (int region = 0; region < 2; region++) {
        rf_context *ctx = context_new();
        bytes[region] = chain(ctx, form, region, num).bytes;
        rf_context_destroy(ctx);
    }
    return bytes[1] - bytes[0];
}

static void bench_chain(const char *title, region_form form, int runs, int most)
{
    printf("%s\n", title);
    for (int num = 10; num <= most; num *= 10) {
        figures us = {.num = 0};
        char name[64];
        rf_context *ctx = context_new();
        (void)chain(ctx, form, 1, num); /* its blocks are there for the others */
        for (int i = 0; i < runs; i++) {
            double plain = chain(ctx, form, 0, num).seconds;
            figures_add(&us, chain(ctx, form, 1, num).seconds - plain);
        }
        rf_context_destroy(ctx);
        snprintf(name, sizeof name, "each of %d", num);
        print_figure(name, &us, 1e6, "us");
    }
    printf("  %-44s %9.0f bytes\n", "and keeps", bench_bytes(form, most));
}

static void bench_nest(int runs, int most)
{
    puts("regions of modules nested in each other, added to each");
    for (int num = 10; num <= most; num *= 10) {
        figures us = {.num = 0};
        char name[64];
        rf_context *ctx = context_new();
        for (int i = 0; i < runs; i++) {
            double plain = nest(ctx, 0, num);
            figures_add(&us, nest(ctx, 1, num) - plain);
        }
        rf_context_destroy(ctx);
        snprintf(name, sizeof name, "%d deep", num);
        print_figure(name, &us, 1e6, "us");
    }
}

/* ---- applying ---- */

enum { BLOCKS = 48, PARTS = 12 };

/* A container of blocks, each of so many linear layers. */
static rf_module *blocks_new(rf_context *ctx)
{
    rf_module *m, *block, *part;
    demand(ctx, rf_nn_sequential(&m, ctx));
    for (int i = 0; i < BLOCKS; i++) {
        demand(ctx, rf_nn_sequential(&block, ctx));
        demand(ctx, rf_nn_sequential_add(m, block));
        for (int k = 0; k < PARTS; k++) {
            demand(ctx, rf_nn_linear(&part, ctx, 1, 1, 0));
            demand(ctx, rf_nn_sequential_add(block, part));
        }
    }
    return m;
}

static void apply_block(rf_module *m)
{
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.fates = "keep=#0:linear,#1:linear,#2:linear,#3:linear";
    demand(rf_module_context(m), rf_checkpoint(rf_module_child(m, BLOCKS / 2), &opts));
    demand(rf_module_context(m), rf_checkpoint_clear(rf_module_child(m, BLOCKS / 2)));
}

/* Halves of halves. */
static void apply_ranges(rf_module *m)
{
    rf_range list[BLOCKS];
    size_t num = 0;
    for (size_t count = BLOCKS; count >= 12; count /= 2)
        list[num++] = (rf_range){0, count, NULL};
    for (size_t first = 12; first < BLOCKS; first += 12)
        list[num++] = (rf_range){first, 12, NULL};
    demand(rf_module_context(m), rf_checkpoint_ranges(m, list, num, NULL));
    demand(rf_module_context(m), rf_checkpoint_ranges_clear(m));
}

static void bench_apply(const char *name, void (*apply)(rf_module *), int runs, int times)
{
    figures us = {.num = 0};
    rf_context *ctx = context_new();
    rf_module *m = blocks_new(ctx);
    apply(m);
    uint64_t before = bookkeeping(ctx);
    for (int i = 0; i < runs; i++) {
        double t = now();
        for (int k = 0; k < times; k++)
            apply(m);
        figures_add(&us, (now() - t) / times);
    }
    print_figure(name, &us, 1e6, "us");
    if (bookkeeping(ctx) != before)
        fprintf(stderr, "bench: %s leaves bytes behind\n", name), exit(1);
    rf_module_destroy(m);
    rf_context_destroy(ctx);
}

int main(int argc, char **argv)
{
    int tiny = argc > 1 && !strcmp(argv[1], "--tiny");
    int runs = tiny ? 1 : 9, most = tiny ? 100 : 10000;
    bench_chain("a region around a sigmoid of one element, forward and backward", FORM_FUNCTION,
                runs, most);
    bench_chain("the same, the region of a module", FORM_MODULE, runs, most);
    bench_nest(runs, tiny ? 10 : 100);
    puts("applied and taken away, in a model of 48 blocks of 12 layers");
    bench_apply("rf_checkpoint on a block, fates by number", apply_block, runs, tiny ? 10 : 1000);
    bench_apply("rf_checkpoint_ranges on the container", apply_ranges, runs, tiny ? 10 : 1000);
    return 0;
}
