/* test_memory.c: the ledger, its limits and marks, borrowed buffers, and a context that lives in
 * one caller's buffer. */
#include "support/world.h"

static void test_every_class_is_exact(void **state)
{
    world *w = *state;
    int64_t dims[2] = {10, 10};
    for (int cls = RF_MEM_PARAM; cls <= RF_MEM_COMM; cls++) {
        rf_tensor_options opts = RF_TENSOR_OPTIONS_INIT;
        rf_tensor *t;
        opts.rank = 2;
        opts.dims = dims;
        opts.mem_class = (rf_mem_class)cls;
        uint64_t all = world_used(w, RF_MEM_ALL) - world_used(w, RF_MEM_OTHER);
        assert_ok(w->ctx, rf_tensor_create(&t, w->ctx, &opts));
        assert_int_equal(world_used(w, (rf_mem_class)cls), 400);
        assert_int_equal(world_used(w, RF_MEM_ALL) - world_used(w, RF_MEM_OTHER), all + 400);
        rf_tensor_drop(t);
        assert_int_equal(world_used(w, (rf_mem_class)cls), 0);
    }
}

static void test_a_limit_refuses_and_the_context_goes_on(void **state)
{
    world *w = *state;
    int64_t big[1] = {1000}, small[1] = {100};
    const rf_error *error = rf_context_error(w->ctx);
    rf_tensor *a = rf_zeros(w->s, RF_F32, 1, big); /* 4000 bytes */
    assert_non_null(a);
    assert_ok(w->ctx, rf_memory_set_limit(w->ctx, RF_DEVICE_CPU, RF_MEM_ACTIVATION, 5000));
    assert_null(rf_zeros(w->s, RF_F32, 1, big));
    assert_int_equal(rf_scope_status(w->s), RF_E_BUDGET);
    assert_int_equal(error->code, RF_E_BUDGET);
    assert_int_equal(error->bytes_wanted, 4000);
    assert_int_equal(error->bytes_free, 1000);
    assert_int_equal(error->limit, 5000);
    assert_string_equal(error->op, "fill");
    assert_int_equal(world_used(w, RF_MEM_ACTIVATION), 4000);
    assert_null(rf_zeros(w->s, RF_F32, 1, small)); /* the scope remembers */
    rf_scope_clear(w->s);
    assert_non_null(rf_zeros(w->s, RF_F32, 1, small)); /* and the context goes on */
    assert_ok(w->ctx, rf_memory_set_limit(w->ctx, RF_DEVICE_CPU, RF_MEM_ACTIVATION, 0));
    assert_non_null(rf_zeros(w->s, RF_F32, 1, big));
}

static uint64_t memory_sum(world *w)
{
    uint64_t sum = 0;
    for (int cls = RF_MEM_PARAM; cls < RF_MEM_BORROWED; cls++)
        sum += world_used(w, (rf_mem_class)cls);
    return sum;
}

/* Up to 64 bytes lie in the storage itself; how many is not to be seen but in the figures. */
static void test_few_bytes_are_counted_once(void **state)
{
    world *w = *state;
    float host[17];
    for (int64_t n = 0; n <= 17; n++)
        host[n % 17] = (float)n;
    for (int64_t n = 0; n <= 17; n++) {
        uint64_t used = world_used(w, RF_MEM_ACTIVATION), other = world_used(w, RF_MEM_OTHER);
        rf_tensor *t = rf_tensor_copy_in(w->s, RF_F32, 1, &n, host);
        assert_non_null(t);
        assert_int_equal((uintptr_t)rf_tensor_data(t) % 64, 0);
        assert_int_equal(world_used(w, RF_MEM_ACTIVATION), used + 4 * (uint64_t)n);
        assert_int_equal(world_used(w, RF_MEM_ALL), memory_sum(w));
        if (n)
            assert_memory_equal(rf_tensor_data(t), host, 4 * (size_t)n);
        if (n && n <= 16) /* no new ones: a part of what was bookkeeping's */
            assert_true((other - world_used(w, RF_MEM_OTHER)) % 64 == 4 * (uint64_t)n % 64);
        rf_release(w->s, t);
        assert_int_equal(world_used(w, RF_MEM_ACTIVATION), used);
        assert_int_equal(world_used(w, RF_MEM_ALL), memory_sum(w));
    }
}

static void test_a_limit_refuses_few_bytes(void **state)
{
    world *w = *state;
    const rf_error *error = rf_context_error(w->ctx);
    assert_ok(w->ctx, rf_memory_set_limit(w->ctx, RF_DEVICE_CPU, RF_MEM_ACTIVATION, 20));
    rf_tensor *a = rf_zeros(w->s, RF_F32, 1, (int64_t[]){4});
    assert_null(rf_affine(w->s, a, 2, 0));
    assert_int_equal(error->code, RF_E_BUDGET);
    assert_int_equal(error->bytes_wanted, 16);
    assert_int_equal(error->bytes_free, 4);
    assert_string_equal(error->op, "affine");
    assert_int_equal(world_used(w, RF_MEM_ACTIVATION), 16);
    assert_int_equal(world_used(w, RF_MEM_ALL), memory_sum(w));
    rf_scope_clear(w->s);
    assert_non_null(rf_zeros(w->s, RF_F32, 1, (int64_t[]){1}));
    assert_ok(w->ctx, rf_memory_set_limit(w->ctx, RF_DEVICE_CPU, RF_MEM_ACTIVATION, 0));
}

static void test_the_total_limit_counts_every_class(void **state)
{
    world *w = *state;
    int64_t dims[1] = {1000};
    uint64_t now = world_used(w, RF_MEM_ALL);
    assert_ok(w->ctx, rf_memory_set_limit(w->ctx, RF_DEVICE_CPU, RF_MEM_ALL, now + 4500));
    rf_tensor_options opts = RF_TENSOR_OPTIONS_INIT;
    rf_tensor *p, *q;
    opts.rank = 1;
    opts.dims = dims;
    opts.mem_class = RF_MEM_PARAM;
    rf_status first = rf_tensor_create(&p, w->ctx, &opts);
    opts.mem_class = RF_MEM_OPTIM;
    assert_int_equal(rf_tensor_create(&q, w->ctx, &opts), RF_E_BUDGET);
    assert_null(q);
    assert_ok(w->ctx, rf_memory_set_limit(w->ctx, RF_DEVICE_CPU, RF_MEM_ALL, 0));
    if (!first)
        rf_tensor_drop(p);
}

static void test_marks_nest_in_any_order(void **state)
{
    world *w = *state;
    int64_t dims[1] = {256}; /* 1024 bytes */
    rf_memory_mark *outer, *inner;
    rf_memory_change change;
    rf_tensor *a = rf_zeros(w->s, RF_F32, 1, dims);
    assert_ok(w->ctx, rf_memory_mark_create(&outer, w->ctx));
    rf_tensor *b = rf_zeros(w->s, RF_F32, 1, dims), *c = rf_zeros(w->s, RF_F32, 1, dims);
    rf_release(w->s, c);
    assert_ok(w->ctx, rf_memory_mark_create(&inner, w->ctx));
    rf_release(w->s, a);
    rf_release(w->s, b);
    assert_ok(w->ctx, rf_memory_delta(inner, RF_DEVICE_CPU, RF_MEM_ACTIVATION, &change));
    assert_int_equal(change.live, -2048);
    assert_int_equal(change.peak, 0);
    assert_ok(w->ctx, rf_memory_delta(outer, RF_DEVICE_CPU, RF_MEM_ACTIVATION, &change));
    assert_int_equal(change.live, -1024);
    assert_int_equal(change.peak, 2048);
    rf_memory_mark_destroy(outer);
    rf_zeros(w->s, RF_F32, 1, dims);
    assert_ok(w->ctx, rf_memory_delta(inner, RF_DEVICE_CPU, RF_MEM_ACTIVATION, &change));
    assert_int_equal(change.live, -1024);
    rf_memory_mark_destroy(inner);
}

static void count_release(void *payload)
{
    ++*(int *)payload;
}

static void test_borrowed_buffers(void **state)
{
    world *w = *state;
    static float data[64];
    int released = 0;
    int64_t dims[1] = {64}, wrong[1] = {63};
    rf_buffer buffer = {data, sizeof data, count_release, &released};
    uint64_t all = world_used(w, RF_MEM_ALL);
    data[5] = 3;
    rf_tensor *t = rf_tensor_borrow(w->s, RF_F32, 1, dims, buffer);
    assert_int_equal(world_used(w, RF_MEM_BORROWED), sizeof data);
    assert_int_equal(world_used(w, RF_MEM_ALL) >= all, 1);
    assert_ptr_equal(rf_tensor_data(t), data);
    rf_tensor *view = rf_slice(w->s, t, 0, 5, 6);
    rf_release(w->s, t);
    assert_int_equal(released, 0);
    double value;
    assert_ok(w->ctx, rf_tensor_item(view, &value));
    assert_true(value == 3);
    rf_release(w->s, view);
    assert_int_equal(released, 1);
    assert_int_equal(world_used(w, RF_MEM_BORROWED), 0);
    assert_null(rf_tensor_borrow(w->s, RF_F32, 1, wrong, buffer));
    assert_int_equal(released, 2);
    rf_scope_clear(w->s);
}

static rf_status small_step(rf_context *ctx)
{
    rf_scope *s;
    float host[256] = {0.5f};
    int64_t dims[2] = {16, 16};
    rf_status status = rf_scope_open(&s, ctx, NULL);
    if (status)
        return status;
    rf_tensor *x = rf_tensor_copy_in(s, RF_F32, 2, dims, host);
    status = rf_scope_status(s);
    if (!status)
        status = rf_tensor_set_requires_grad(x, 1);
    if (!status)
        status = rf_backward(s, rf_sum(s, rf_gelu(s, rf_matmul(s, x, rf_sin(s, x)))));
    rf_scope_close(s);
    return status;
}

/* With portable kernels nothing is allocated outside: smaller and smaller buffers either do the
 * step or say RF_E_MEMORY. */
static void test_a_context_in_one_buffer(void **state)
{
    (void)state;
    int worked = 0, refused = 0;
    for (size_t bytes = 1 << 20; bytes > 1000; bytes = bytes * 3 / 4) {
        char *block = malloc(bytes);
        rf_context *ctx;
        rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
        opts.memory = block;
        opts.memory_bytes = bytes;
        opts.threads = 1;
        opts.isa = "reference";
        rf_status status = rf_context_create(&ctx, &opts);
        if (status) {
            assert_int_equal(status, RF_E_ARGUMENT);
            free(block);
            continue;
        }
        for (int i = 0; i < 3; i++) {
            status = small_step(ctx);
            assert_true(status == RF_OK || status == RF_E_MEMORY);
        }
        worked += status == RF_OK;
        refused += status == RF_E_MEMORY;
        rf_context_destroy(ctx);
        free(block);
    }
    assert_true(worked > 3);
    assert_true(refused > 0);
}

static void test_meta_counts_without_bytes(void **state)
{
    world *w = *state;
    int64_t dims[2] = {1 << 20, 1 << 20}; /* 4 TiB */
    rf_tensor_options opts = RF_TENSOR_OPTIONS_INIT;
    rf_tensor *x;
    rf_memory_info info;
    double value;
    opts.rank = 2;
    opts.dims = dims;
    opts.device = RF_DEVICE_META;
    opts.requires_grad = 1;
    assert_ok(w->ctx, rf_tensor_create(&x, w->ctx, &opts));
    rf_tensor *loss = rf_sum(w->s, rf_gelu(w->s, rf_matmul(w->s, x, x)));
    assert_non_null(loss);
    assert_int_equal(rf_tensor_item(loss, &value), RF_E_DEVICE);
    assert_ok(w->ctx, rf_memory_get(w->ctx, RF_DEVICE_META, RF_MEM_ACTIVATION, &info));
    assert_true(info.used >= 3ull << 42);
    rf_tensor_drop(x);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_every_class_is_exact),
        ROW(test_few_bytes_are_counted_once),
        ROW(test_a_limit_refuses_few_bytes),
        ROW(test_a_limit_refuses_and_the_context_goes_on),
        ROW(test_the_total_limit_counts_every_class),
        ROW(test_marks_nest_in_any_order),
        ROW(test_borrowed_buffers),
        cmocka_unit_test(test_a_context_in_one_buffer),
        ROW(test_meta_counts_without_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
