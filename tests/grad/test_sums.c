/* test_sums.c: gradients that are written where something is already. That of a table joins the sum
 * that is there (the head's, where they are tied) without a second table, and that of a loss takes
 * the place of the logits. The bits are the same whoever else holds that sum or the logits, in a
 * region, inside a recompute and at any number of threads. */
#include "support/world.h"

enum { V = 300, C = 40, N = 6 };

static rf_tensor *some_ids(rf_scope *s)
{
    static const int32_t ids[N] = {7, 0, 299, 7, 7, 41}; /* one thrice */
    return rf_tensor_copy_in(s, RF_I32, 1, (int64_t[]){N}, ids);
}

static rf_tensor *some_targets(rf_scope *s)
{
    uint8_t targets[V];
    for (int i = 0; i < V; i++)
        targets[i] = (uint8_t)(i * 7 % C);
    return rf_tensor_copy_in(s, RF_U8, 1, (int64_t[]){V}, targets);
}

/* A table (V, C) of values of many magnitudes, so that another order of sums shows. */
static rf_tensor *some_table(world *w)
{
    float *host = malloc(V * C * sizeof *host);
    for (int i = 0; i < V * C; i++)
        host[i] = (float)((double)(i * 71 % 997) / 997 - 0.4) * (i % 3 ? 1.0f : 37.0f);
    rf_tensor *t = rf_tensor_copy_in(w->s, RF_F32, 2, (int64_t[]){V, C}, host);
    free(host);
    assert_ok(w->ctx, rf_tensor_set_requires_grad(t, 1));
    return t;
}

/* Rows of the table at ids, and all of them again as the head: (N, V). */
static rf_status tied(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)payload;
    rf_tensor *x = rf_embedding(s, in->v[0], some_ids(s));
    out->v[0] = rf_linear(s, rf_tanh(s, x), in->v[0], NULL);
    return rf_scope_status(s);
}

/* What the rule gives where there is no sum to add to. */
static void table_alone(rf_tensor *table, rf_scope *s, float *sum)
{
    rf_tensor *x = rf_embedding(s, table, some_ids(s)), *dx;
    rf_tensor *y = rf_linear(s, rf_tanh(s, x), rf_detach(s, table), NULL);
    rf_values in = {&x, 1}, out = {&dx, 1};
    assert_int_equal(rf_gradients(s, rf_sum(s, rf_mul(s, y, y)), &in, &out, NULL), RF_OK);
    float *rows = malloc(N * C * sizeof *rows);
    int32_t ids[N];
    assert_int_equal(rf_tensor_copy_out(dx, rows, N * C * sizeof *rows), RF_OK);
    assert_int_equal(rf_tensor_copy_out(some_ids(s), ids, sizeof ids), RF_OK);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < C; k++)
            sum[ids[i] * C + k] += rows[i * C + k];
    free(rows);
}

/* The head's gradient, and then one row after the other: by hand. */
static float *tied_by_hand(world *w, rf_tensor *table)
{
    rf_tensor *y;
    float *sum = malloc(V * C * sizeof *sum);
    rf_tensor *x = rf_embedding(w->s, rf_detach(w->s, table), some_ids(w->s));
    y = rf_linear(w->s, rf_tanh(w->s, x), table, NULL);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, rf_mul(w->s, y, y))));
    assert_ok(w->ctx, rf_tensor_copy_out(rf_grad(table), sum, V * C * sizeof *sum));
    rf_grad_clear(table);
    table_alone(table, w->s, sum);
    return sum;
}

static void test_a_table_joins_the_sum(void **state)
{
    world *w = *state;
    rf_tensor *table = some_table(w), *y = NULL;
    float *wanted = tied_by_hand(w, table);
    for (int region = 0; region < 2; region++) {
        rf_function fn = {tied, NULL, NULL};
        y = region ? world_region(w, fn, table, NULL) : world_plain(w, fn, table);
        rf_tensor *loss = rf_sum(w->s, rf_mul(w->s, y, y));
        rf_memory_info info;
        assert_ok(w->ctx, rf_memory_get(w->ctx, RF_DEVICE_CPU, RF_MEM_ACTIVATION, &info));
        uint64_t before = info.used;
        rf_memory_reset_peak(w->ctx);
        rf_op_counts_reset(w->ctx);
        assert_ok(w->ctx, rf_backward(w->s, loss));
        world_same(w, rf_grad(table), wanted);
        assert_int_equal(world_executed(w, "embedding_add_inplace"), 1);
        assert_int_equal(world_executed(w, "embedding_grad"), 0);
        assert_ok(w->ctx, rf_memory_get(w->ctx, RF_DEVICE_CPU, RF_MEM_ACTIVATION, &info));
        assert_true(info.peak < before + 2 * V * C * sizeof(float)); /* one table, no second */
        rf_grad_clear(table);
    }
    free(wanted);
}

static rf_tensor *squares_of(rf_scope *s, rf_tensor *a, rf_tensor *b)
{
    rf_tensor *both = rf_add(s, a, b); /* one gradient goes to both */
    return rf_sum(s, rf_mul(s, both, both));
}

/* The sum is another's as well when the rows of `other` come: it is copied, not changed. */
static void test_a_sum_of_others_is_left_alone(void **state)
{
    world *w = *state;
    rf_tensor *table = some_table(w), *other = some_table(w), *rows = NULL;
    float *wanted = malloc(V * C * sizeof *wanted);
    assert_ok(w->ctx, rf_backward(w->s, squares_of(w->s, table, other)));
    assert_ok(w->ctx, rf_tensor_copy_out(rf_grad(table), wanted, V * C * sizeof *wanted));
    rf_grad_clear(table);
    rf_grad_clear(other);
    rows = rf_add(w->s, rf_sum(w->s, rf_embedding(w->s, table, some_ids(w->s))),
                  rf_sum(w->s, rf_embedding(w->s, other, some_ids(w->s))));
    assert_ok(w->ctx, rf_backward(w->s, rf_add(w->s, rows, squares_of(w->s, table, other))));
    assert_int_equal(world_executed(w, "embedding_add_inplace"), 2);
    for (int i = 0; i < V * C; i++) {
        int row = i / C;
        int more = row == 7 ? 3 : row == 0 || row == 299 || row == 41 ? 1 : 0;
        for (int k = 0; k < more; k++)
            wanted[i] += 1;
    }
    world_same(w, rf_grad(table), wanted);
    world_same(w, rf_grad(other), wanted);
    free(wanted);
}

/* A backward of its own inside of the region, and so inside of the recompute, where ops are noted
 * and not computed at once. */
static rf_status inner_backward(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_tensor *table = rf_detach(s, in->v[0]), *y = NULL, *g = NULL;
    rf_values from = {&table, 1}, to = {&y, 1}, grads = {&g, 1};
    if (rf_tensor_set_requires_grad(table, 1) || tied(payload, s, &from, &to))
        return rf_scope_status(s);
    rf_status status = rf_gradients(s, rf_sum(s, rf_mul(s, y, y)), &from, &grads, NULL);
    out->v[0] = rf_sin(s, rf_mul(s, rf_tanh(s, rf_affine(s, g, 1e-4, 0)), in->v[0]));
    return status;
}

static void test_inside_of_a_recompute(void **state)
{
    world *w = *state;
    rf_tensor *table = some_table(w);
    rf_function fn = {inner_backward, NULL, NULL};
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, world_plain(w, fn, table))));
    void *wanted = world_bytes(w, rf_grad(table));
    rf_grad_clear(table);
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    for (int early = 0; early < 2; early++) {
        opts.no_early_stop = !early;
        assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, world_region(w, fn, table, &opts))));
        world_same(w, rf_grad(table), wanted);
        rf_grad_clear(table);
    }
    free(wanted);
}

/* Gradients of earlier batches are joined by one addition at the end. */
static void test_batches_are_added_once(void **state)
{
    world *w = *state;
    rf_tensor *table = some_table(w), *y;
    float *one = tied_by_hand(w, table);
    for (int batch = 0; batch < 2; batch++) {
        y = world_plain(w, (rf_function){tied, NULL, NULL}, table);
        assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, rf_mul(w->s, y, y))));
    }
    for (int i = 0; i < V * C; i++)
        one[i] += one[i];
    world_same(w, rf_grad(table), one);
    free(one);
}

static void test_threads_make_no_difference(void **state)
{
    void *wanted = NULL;
    (void)state;
    for (size_t threads = 1; threads < 5; threads++) {
        world w;
        rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
        opts.threads = threads;
        assert_int_equal(rf_context_create(&w.ctx, &opts), RF_OK);
        assert_ok(w.ctx, rf_scope_open(&w.s, w.ctx, NULL));
        rf_tensor *table = some_table(&w), *x = NULL;
        int32_t ids[4096];
        for (int i = 0; i < 4096; i++)
            ids[i] = i * i % 97;
        x = rf_embedding(w.s, table, rf_tensor_copy_in(w.s, RF_I32, 1, (int64_t[]){4096}, ids));
        rf_tensor *squares = rf_mul(w.s, table, table); /* later, so that backward is there first */
        assert_ok(w.ctx,
                  rf_backward(w.s, rf_add(w.s, rf_sum(w.s, rf_sin(w.s, x)), rf_sum(w.s, squares))));
        assert_int_equal(world_executed(&w, "embedding_add_inplace"), 1);
        if (wanted)
            world_same(&w, rf_grad(table), wanted);
        else
            wanted = world_bytes(&w, rf_grad(table));
        rf_scope_close(w.s);
        rf_context_destroy(w.ctx);
    }
    free(wanted);
}

/* ---- in the place of logits ---- */

/* How logits of a loss are used besides. */
enum { LOGITS_GONE, LOGITS_SEEN, LOGITS_HELD, LOGITS_READ, LOGITS_RETAINED, LOGITS_REGION, USES };

typedef struct entropy_use {
    int use;
    rf_tensor *logits; /* the caller's handle, if it has one */
} entropy_use;

static rf_status entropy_use_call(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    entropy_use *u = payload;
    rf_tensor *logits = rf_affine(s, in->v[0], 0.1, 0);
    rf_tensor *also = NULL; /* recorded before the loss, so that backward comes to it later */
    if (u->use == LOGITS_READ)
        also = rf_affine(s, rf_sum(s, rf_mul(s, logits, logits)), 0, 0);
    rf_tensor *loss = rf_cross_entropy(s, logits, some_targets(s), NULL);
    out->v[0] = also ? rf_add(s, loss, also) : loss;
    if (u->use == LOGITS_HELD)
        u->logits = rf_tensor_hold(logits);
    else if (u->use == LOGITS_SEEN)
        u->logits = logits;
    else
        rf_release(s, logits);
    return rf_scope_status(s);
}

static void logits_used_so(world *w, int use, void **wanted)
{
    entropy_use u = {use, NULL};
    rf_function fn = {entropy_use_call, &u, NULL};
    rf_backward_options opts = RF_BACKWARD_OPTIONS_INIT;
    rf_memory_info info;
    rf_tensor *table = some_table(w);
    rf_tensor *loss =
        use == LOGITS_REGION ? world_region(w, fn, table, NULL) : world_plain(w, fn, table);
    void *logits = u.use == LOGITS_HELD ? world_bytes(w, u.logits) : NULL;
    assert_ok(w->ctx, rf_memory_get(w->ctx, RF_DEVICE_CPU, RF_MEM_ACTIVATION, &info));
    uint64_t before = info.used, bytes = V * C * sizeof(float);
    rf_memory_reset_peak(w->ctx);
    rf_op_counts_reset(w->ctx);
    opts.retain = use == LOGITS_RETAINED;
    assert_ok(w->ctx, rf_backward_with(w->s, loss, &opts));
    if (use == LOGITS_RETAINED) {
        rf_grad_clear(table);
        assert_ok(w->ctx, rf_backward(w->s, loss)); /* they are still there */
    }
    if (!*wanted)
        *wanted = world_bytes(w, rf_grad(table));
    world_same(w, rf_grad(table), *wanted);
    int owned = use == LOGITS_GONE || use == LOGITS_SEEN || use == LOGITS_REGION;
    assert_int_equal(world_executed(w, "clone"), !owned);
    assert_ok(w->ctx, rf_memory_get(w->ctx, RF_DEVICE_CPU, RF_MEM_ACTIVATION, &info));
    if (owned) /* the gradient of the table, besides the logits, and of a region's again */
        assert_true(info.peak < before + (use == LOGITS_REGION ? 3 : 2) * bytes);
    if (use == LOGITS_SEEN)
        assert_int_equal(rf_tensor_copy_out(u.logits, &before, sizeof before), RF_E_STALE);
    if (use == LOGITS_HELD) {
        world_same(w, u.logits, logits);
        rf_tensor_drop(u.logits);
    }
    free(logits);
}

static void test_a_gradient_takes_the_place_of_logits(void **state)
{
    void *wanted = NULL;
    for (int use = 0; use < USES; use++)
        logits_used_so(*state, use, &wanted);
    free(wanted);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_a_table_joins_the_sum),      ROW(test_a_sum_of_others_is_left_alone),
        ROW(test_inside_of_a_recompute),      ROW(test_batches_are_added_once),
        ROW(test_threads_make_no_difference), ROW(test_a_gradient_takes_the_place_of_logits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
