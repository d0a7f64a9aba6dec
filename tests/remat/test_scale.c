/* test_scale.c: many regions, many modules, deep nesting; on a small stack, and what a region
 * keeps. */
#include "support/modules.h"

#include <pthread.h>
#include <stdio.h>

#include "tensor/context_struct.h"

enum { COLUMNS = 4, BLOCK = 32, REGION_BYTES = 896 };

/* y = w child(sin(x)), or w sin(x) where there is no child. */
static rf_status link_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_tensor *x = rf_sin(s, in->v[0]);
    if (rf_module_num_children(m))
        x = rf_module_call1(rf_module_child(m, 0), s, x);
    out->v[0] = rf_mul(s, x, rf_module_param(m, "w"));
    return rf_scope_status(s);
}

static const rf_module_class link_class = {
    .size = sizeof(rf_module_class), .name = "Link", .forward = link_forward};

static rf_module *link_new(rf_context *ctx, double salt)
{
    rf_module *m;
    if (rf_module_create(&m, ctx, &link_class, NULL) || part_param(m, "w", COLUMNS, salt))
        abort();
    return m;
}

/* Small under sanitizers and emulation. */
static int scaled(int full, int fast)
{
    return getenv("RF_TEST_FAST") ? fast : full;
}

/* ---- many calls of one module ---- */

typedef struct grads {
    float x[COLUMNS], w[COLUMNS], y[COLUMNS];
} grads;

/* Kernels of a forward and a backward. */
static uint64_t sines(rf_context *ctx)
{
    return rf_op_counts_of(ctx, "sin").executed;
}

static void chain_run(world *w, rf_module *m, int num, grads *g)
{
    rf_scope *s;
    float host[COLUMNS] = {0.3f, -0.2f, 0.9f, 1.4f};
    assert_ok(w->ctx, rf_scope_open(&s, w->ctx, NULL));
    rf_tensor *x = rf_tensor_copy_in(s, RF_F32, 1, (int64_t[]){COLUMNS}, host), *y = x;
    assert_ok(w->ctx, rf_tensor_set_requires_grad(x, 1));
    for (int i = 0; i < num; i++)
        y = rf_module_call1(m, s, y);
    assert_ok(w->ctx, rf_scope_status(s));
    assert_ok(w->ctx, rf_tensor_copy_out(y, g->y, sizeof g->y));
    assert_ok(w->ctx, rf_backward(s, rf_sum(s, y)));
    assert_ok(w->ctx, rf_tensor_copy_out(rf_grad(x), g->x, sizeof g->x));
    assert_ok(w->ctx, rf_tensor_copy_out(rf_grad(rf_module_param(m, "w")), g->w, sizeof g->w));
    rf_grad_clear(rf_module_param(m, "w"));
    rf_scope_close(s);
}

static void test_2000_regions_of_one_module(void **state)
{
    world *w = *state;
    grads plain, region;
    rf_module *m = link_new(w->ctx, 0.9);
    chain_run(w, m, 2000, &plain);
    assert_int_equal(sines(w->ctx), 2000);
    assert_ok(w->ctx, rf_checkpoint(m, NULL));
    chain_run(w, m, 2000, &region);
    assert_int_equal(sines(w->ctx), 2000 + 2 * 2000); /* they did run again */
    assert_memory_equal(&plain, &region, sizeof plain);
    uint64_t before = world_used(w, RF_MEM_OTHER);
    chain_run(w, m, 2000, &region);
    assert_memory_equal(&plain, &region, sizeof plain);
    assert_int_equal(world_used(w, RF_MEM_OTHER), before);
    rf_module_destroy(m);
}

/* ---- many modules ---- */

enum { TREE = 10000, FAN = 100 };

static rf_status tree_count(void *payload, const char *path, rf_module *m)
{
    size_t *n = payload;
    n[0]++;
    n[1] += (size_t)rf_checkpoint_applied(m);
    (void)path;
    return RF_OK;
}

static int tree_all(void *payload, const char *path, rf_module *m)
{
    (void)payload;
    (void)path;
    (void)m;
    return 1;
}

static rf_status tree_apply(void *payload, const char *path, rf_module *m)
{
    (void)payload;
    return *path ? rf_checkpoint(m, NULL) : RF_OK;
}

static rf_status tree_clear(void *payload, const char *path, rf_module *m)
{
    (void)payload;
    return *path ? rf_checkpoint_clear(m) : RF_OK;
}

/* `fan` children of the root, and as many of each as make TREE modules in all. */
static rf_module *tree_new(rf_context *ctx, int fan)
{
    char name[16];
    rf_module *root = part_new(ctx, NULL);
    for (int i = 0; i < fan; i++) {
        snprintf(name, sizeof name, "%d", i);
        rf_module *child = part_add(root, name);
        assert_non_null(child);
        for (int k = 1; k < TREE / fan; k++) {
            snprintf(name, sizeof name, "%d", k);
            assert_non_null(part_add(child, name));
        }
    }
    return root;
}

static void test_10000_modules_in_a_tree(void **state)
{
    world *w = *state;
    static const int fans[] = {FAN, TREE};
    for (size_t i = 0; i < sizeof fans / sizeof fans[0]; i++) {
        rf_module *root = tree_new(w->ctx, fans[i]);
        size_t counts[2] = {0, 0}, applied;
        assert_ok(w->ctx, rf_module_each(root, tree_apply, NULL));
        assert_ok(w->ctx, rf_module_each(root, tree_count, counts));
        assert_int_equal(counts[0], TREE + 1);
        assert_int_equal(counts[1], TREE);
        assert_ok(w->ctx, rf_module_each(root, tree_clear, NULL));
        assert_ok(w->ctx,
                  rf_checkpoint_where(root, (rf_module_predicate){tree_all, NULL}, NULL, &applied));
        assert_int_equal(applied, TREE);
        counts[0] = counts[1] = 0;
        assert_ok(w->ctx, rf_module_each(root, tree_count, counts));
        assert_int_equal(counts[1], TREE);
        rf_module_destroy(root);
    }
}

/* ---- deep nesting ---- */

enum { STACK = 2 << 20 };

typedef struct deep {
    int depth;
    int regions;
    grads g;
    uint64_t sines;
    rf_status status;
} deep;

/* A module in a module in a module ...: each multiplies by its own w on the way out. */
static rf_status deep_make(rf_module **out, rf_context *ctx, const deep *d)
{
    rf_module *m = NULL;
    for (int i = 0; i < d->depth; i++) {
        rf_module *outer = link_new(ctx, 0.8 + 0.001 * i);
        rf_status status = m ? rf_module_add_child(outer, "in", m) : RF_OK;
        m = outer;
        if (status)
            return status;
    }
    *out = m;
    return d->regions ? rf_module_each(m, tree_apply, NULL) : RF_OK;
}

static rf_status deep_step(deep *d, rf_module *m, rf_scope *s)
{
    float host[COLUMNS] = {0.3f, -0.2f, 0.9f, 1.4f};
    rf_tensor *x = rf_tensor_copy_in(s, RF_F32, 1, (int64_t[]){COLUMNS}, host);
    rf_status status = rf_tensor_set_requires_grad(x, 1);
    rf_tensor *y = rf_module_call1(m, s, x);
    if (!status)
        status = rf_scope_status(s);
    if (!status)
        status = rf_tensor_copy_out(y, d->g.y, sizeof d->g.y);
    if (!status)
        status = rf_backward(s, rf_sum(s, y));
    if (!status)
        status = rf_tensor_copy_out(rf_grad(x), d->g.x, sizeof d->g.x);
    for (; m && rf_module_num_children(m); m = rf_module_child(m, 0)) /* the innermost */
        ;
    if (!status)
        status = rf_tensor_copy_out(rf_grad(rf_module_param(m, "w")), d->g.w, sizeof d->g.w);
    return status;
}

static void *deep_run(void *payload)
{
    deep *d = payload;
    rf_context *ctx;
    rf_scope *s;
    rf_module *m = NULL;
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.threads = 1;
    d->status = rf_context_create(&ctx, &opts);
    if (d->status)
        return NULL;
    d->status = rf_scope_open(&s, ctx, NULL);
    if (!d->status)
        d->status = deep_make(&m, ctx, d);
    if (!d->status && d->regions)
        d->status = rf_checkpoint(m, NULL);
    if (!d->status)
        d->status = deep_step(d, m, s);
    if (d->status)
        fprintf(stderr, "# %s\n", rf_context_error(ctx)->message);
    d->sines = sines(ctx);
    rf_module_destroy(m);
    rf_scope_close(s);
    rf_context_destroy(ctx);
    return NULL;
}

static void deep_on_small_stack(deep *d)
{
    pthread_attr_t attr;
    pthread_t thread;
    assert_int_equal(pthread_attr_init(&attr), 0);
    assert_int_equal(pthread_attr_setstacksize(&attr, STACK), 0);
    assert_int_equal(pthread_create(&thread, &attr, deep_run, d), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attr);
    assert_int_equal(d->status, RF_OK);
}

static void test_nested_500_deep_on_a_small_stack(void **state)
{
    deep plain = {.depth = 500}, region = {.depth = 500, .regions = 1};
    (void)state;
    deep_on_small_stack(&plain);
    deep_on_small_stack(&region);
    assert_memory_equal(&plain.g, &region.g, sizeof plain.g);
    assert_int_equal(plain.sines, 500);
    assert_true(region.sines >= 2 * 500 - 1); /* at the very least, each but the last once more */
}

/* ---- what a region keeps ---- */

static rf_status region_sigmoid(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)payload;
    out->v[0] = rf_sigmoid(s, in->v[0]);
    return rf_scope_status(s);
}

/* Bytes of bookkeeping. The ledger sees them by chunks (but for a debug build, which has none). */
static uint64_t bookkeeping(world *w)
{
    return world_used(w, RF_MEM_OTHER) - w->ctx->slab.left;
}

typedef struct kept_case {
    rf_function fn;
    int regions, fresh_random;
    int64_t columns;
} kept_case;

/* What one more call leaves behind after num of them: the least of some, as where a chunk is full
 * its end is lost. *held: the bytes of tensors after all of them, which are more than lie in a
 * storage itself. */
static uint64_t kept_after(int num, const kept_case *c, uint64_t *held)
{
    world w;
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    uint64_t least = UINT64_MAX;
    opts.fresh_random = c->fresh_random;
    assert_int_equal(rf_context_create(&w.ctx, NULL), RF_OK);
    assert_ok(w.ctx, rf_scope_open(&w.s, w.ctx, NULL));
    rf_tensor *x = rf_full(w.s, RF_F32, 1, &c->columns, 0.25);
    assert_ok(w.ctx, rf_tensor_set_requires_grad(x, 1));
    for (int i = 0; i < num; i++) {
        uint64_t before = bookkeeping(&w);
        x = c->regions ? world_region(&w, c->fn, x, &opts) : world_plain(&w, c->fn, x);
        uint64_t kept = bookkeeping(&w) - before;
        if (i >= num - 8 && kept < least)
            least = kept;
    }
    if (held)
        *held = world_used(&w, RF_MEM_ACTIVATION);
    assert_ok(w.ctx, rf_scope_status(w.s));
    rf_scope_close(w.s);
    rf_context_destroy(w.ctx);
    return least;
}

/* A region around one op whose result is its only slot: a frame, and room for its inputs and
 * records. */
static void test_bytes_that_a_region_keeps(void **state)
{
    kept_case region = {{region_sigmoid, NULL, NULL}, 1, 0, BLOCK}, plain = region;
    plain.regions = 0;
    (void)state;
    for (int num = 10; num <= scaled(10000, 100); num *= 10)
        assert_int_equal(kept_after(num, &region, NULL) - kept_after(num, &plain, NULL),
                         REGION_BYTES);
}

/* As many ops, and as many saved values, as in the next. */
static rf_status region_tanhs(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_scope *inner;
    int random = payload != NULL;
    rf_status status = rf_scope_open(&inner, rf_scope_context(s), s);
    if (status)
        return status;
    rf_tensor *x = rf_tanh(inner, in->v[0]);
    x = random ? rf_dropout(inner, x, 0.5) : rf_affine(inner, x, 0.5, 0);
    out->v[0] = rf_keep(inner, rf_tanh(inner, x));
    status = rf_scope_status(inner);
    rf_scope_close(inner);
    return status;
}

/* X11: a region that draws random numbers keeps not a byte more than one that draws none, however
 * many it draws, and no mask; nor is it more than one that would not replay them. The rest of X11,
 * that they are the same again, is AT-09. */
static void test_x11_bytes_of_a_regions_generator(void **state)
{
    static const int64_t columns[] = {BLOCK, 64 * 1024};
    uint64_t kept[2], held[3];
    (void)state;
    assert_int_equal(sizeof(rf_rng), 16);
    for (size_t i = 0; i < 2; i++) {
        kept_case random = {{region_tanhs, (void *)state, NULL}, 1, 0, columns[i]};
        kept_case fresh = random, none = random;
        fresh.fresh_random = 1;
        none.fn.payload = NULL;
        kept[i] = kept_after(20, &random, &held[0]);
        assert_int_equal(kept[i], kept_after(20, &none, &held[1]));
        assert_int_equal(kept[i], kept_after(20, &fresh, &held[2]));
        assert_int_equal(held[0], held[1]);
        assert_int_equal(held[0], held[2]);
        assert_int_equal(held[0], 21 * (uint64_t)columns[i] * sizeof(float)); /* the results */
    }
    assert_int_equal(kept[0], kept[1]);
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_2000_regions_of_one_module),
        ROW(test_10000_modules_in_a_tree),
        cmocka_unit_test(test_nested_500_deep_on_a_small_stack),
        cmocka_unit_test(test_bytes_that_a_region_keeps),
        cmocka_unit_test(test_x11_bytes_of_a_regions_generator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
