/* world.c: see world.h. */
#include "support/world.h"

int world_setup(void **state)
{
    world *w = calloc(1, sizeof *w);
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.seed = 1234;
    if (rf_context_create(&w->ctx, &opts) || rf_scope_open(&w->s, w->ctx, NULL))
        return -1;
    *state = w;
    return 0;
}

int world_teardown(void **state)
{
    world *w = *state;
    rf_memory_info info;
    uint64_t left = 0;
    rf_scope_close(w->s);
    for (int cls = RF_MEM_PARAM; cls < RF_MEM_CLASSES; cls++)
        if (cls != RF_MEM_OTHER && !rf_memory_get(w->ctx, RF_DEVICE_CPU, (rf_mem_class)cls, &info))
            left += info.used;
    rf_context_destroy(w->ctx);
    free(w);
    return left ? -1 : 0;
}

rf_tensor *world_leaf(world *w, int64_t rows, int64_t columns, double salt)
{
    int64_t dims[2] = {rows, columns};
    float *host = malloc((size_t)(rows * columns) * sizeof *host);
    for (int64_t i = 0; i < rows * columns; i++)
        host[i] = (float)((double)((i * 37 + 11) % 101) / 101 - 0.5 + salt);
    rf_tensor *t = rf_tensor_copy_in(w->s, RF_F32, 2, dims, host);
    free(host);
    assert_non_null(t);
    assert_ok(w->ctx, rf_tensor_set_requires_grad(t, 1));
    return t;
}

uint64_t world_used(world *w, rf_mem_class cls)
{
    rf_memory_info info;
    assert_ok(w->ctx, rf_memory_get(w->ctx, RF_DEVICE_CPU, cls, &info));
    return info.used;
}

uint64_t world_executed(world *w, const char *op)
{
    return rf_op_counts_of(w->ctx, op).executed;
}

void *world_bytes(world *w, const rf_tensor *t)
{
    assert_non_null(t);
    void *bytes = malloc(rf_tensor_bytes(t) + 1);
    assert_ok(w->ctx, rf_tensor_copy_out(t, bytes, rf_tensor_bytes(t)));
    return bytes;
}

void world_same(world *w, const rf_tensor *a, const void *bytes)
{
    void *mine = world_bytes(w, a);
    assert_memory_equal(mine, bytes, rf_tensor_bytes(a));
    free(mine);
}

rf_tensor *world_region(world *w, rf_function fn, rf_tensor *x, const rf_checkpoint_options *opts)
{
    rf_tensor *y = NULL;
    rf_values in = {&x, 1}, out = {&y, 1};
    return rf_checkpoint_call(w->s, fn, &in, &out, opts) ? NULL : y;
}

rf_tensor *world_plain(world *w, rf_function fn, rf_tensor *x)
{
    rf_tensor *y = NULL;
    rf_values in = {&x, 1}, out = {&y, 1};
    return fn.call(fn.payload, w->s, &in, &out) ? NULL : y;
}
