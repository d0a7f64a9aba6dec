/* core.c: what the core costs: time per op on one element, unrecorded, recorded, its backward.
 * Medians of runs in turn; the spread is printed beside them, and a wide one says that the machine
 * was busy. `--tiny` does it twice. bench/steps.c has whole training steps.
 */
#include "support/figures.h"

#include <stdio.h>
#include <string.h>

static rf_tensor *one_element(rf_context *ctx, rf_scope *s, int wants)
{
    float value = 1;
    rf_tensor *x = rf_tensor_copy_in(s, RF_F32, 1, (int64_t[]){1}, &value);
    demand(ctx, rf_tensor_set_requires_grad(x, wants));
    return x;
}

/* Seconds per op of a chain, and per op of its backward. */
static void chain(rf_context *ctx, int recorded, int num, double *forward, double *backward)
{
    rf_scope *s;
    demand(ctx, rf_scope_open(&s, ctx, NULL));
    rf_tensor *x = one_element(ctx, s, recorded), *y = x;
    double t = now();
    for (int i = 0; i < num; i++)
        y = rf_add(s, y, x);
    *forward = (now() - t) / num;
    demand(ctx, rf_scope_status(s));
    t = now();
    if (recorded)
        demand(ctx, rf_backward(s, y));
    *backward = (now() - t) / num;
    rf_scope_close(s);
}

static void bench_ops(rf_context *ctx, int runs)
{
    figures plain = {.num = 0}, recorded = {.num = 0}, back = {.num = 0};
    for (int i = 0; i < runs; i++) {
        double f, b;
        chain(ctx, 0, 2000, &f, &b);
        figures_add(&plain, f);
        chain(ctx, 1, 2000, &f, &b);
        figures_add(&recorded, f);
        figures_add(&back, b);
    }
    puts("an add of one element");
    print_figure("unrecorded", &plain, 1e6, "us");
    print_figure("recorded", &recorded, 1e6, "us");
    print_figure("its backward", &back, 1e6, "us");
}

int main(int argc, char **argv)
{
    int tiny = argc > 1 && !strcmp(argv[1], "--tiny");
    rf_context *ctx;
    if (rf_context_create(&ctx, NULL))
        return 1;
    printf("threads %zu, kernels %s\n", rf_context_threads(ctx), rf_context_isa(ctx));
    bench_ops(ctx, tiny ? 2 : 9);
    rf_context_destroy(ctx);
    return 0;
}
