/* 03_memory.c: knowing where bytes go: classes, marks, and a limit that is kept. */
#include <refrain/refrain.h>
#include <stdio.h>

static void print_classes(rf_context *ctx)
{
    for (int cls = RF_MEM_PARAM; cls < RF_MEM_CLASSES; cls++) {
        rf_memory_info info;
        if (!rf_memory_get(ctx, RF_DEVICE_CPU, (rf_mem_class)cls, &info) && info.peak)
            printf("  %-12s now %8llu  peak %8llu\n", rf_mem_class_name((rf_mem_class)cls),
                   (unsigned long long)info.used, (unsigned long long)info.peak);
    }
}

static rf_status forward_and_backward(rf_context *ctx, rf_module *model)
{
    rf_scope *s;
    rf_status status = rf_scope_open(&s, ctx, NULL);
    if (status)
        return status;
    rf_tensor *x = rf_normal(s, RF_F32, 2, (int64_t[]){128, 256});
    status = rf_backward(s, rf_sum(s, rf_tanh(s, rf_module_call1(model, s, x))));
    rf_scope_close(s);
    return status;
}

int main(void)
{
    rf_context *ctx;
    rf_module *model;
    rf_memory_mark *mark;
    rf_memory_change change;
    if (rf_context_create(&ctx, NULL) || rf_nn_linear(&model, ctx, 256, 256, 0) ||
        rf_memory_mark_create(&mark, ctx))
        return 1;
    if (forward_and_backward(ctx, model) ||
        rf_memory_delta(mark, RF_DEVICE_CPU, RF_MEM_ACTIVATION, &change))
        return 1;
    printf("a step left %lld bytes of activations, and held %lld at its peak\n",
           (long long)change.live, (long long)change.peak);
    print_classes(ctx);

    /* One byte less than the step needs: refused, and nothing is broken. */
    uint64_t limit = (uint64_t)change.peak - 1;
    if (rf_memory_set_limit(ctx, RF_DEVICE_CPU, RF_MEM_ACTIVATION, limit))
        return 1;
    rf_status status = forward_and_backward(ctx, model);
    const rf_error *error = rf_context_error(ctx);
    printf("with %llu bytes: %s (%s)\n", (unsigned long long)limit, rf_status_name(status),
           error->message);
    if (rf_memory_set_limit(ctx, RF_DEVICE_CPU, RF_MEM_ACTIVATION, limit + 1))
        return 1;
    rf_status again = forward_and_backward(ctx, model);
    printf("with %llu bytes: %s\n", (unsigned long long)limit + 1, rf_status_name(again));
    rf_memory_mark_destroy(mark);
    rf_module_destroy(model);
    rf_context_destroy(ctx);
    return !(status == RF_E_BUDGET && again == RF_OK && change.live == 0);
}
