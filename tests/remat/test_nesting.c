/* test_nesting.c: regions in regions (rows B1 to B3), gradients of gradients through them, a
 * backward inside one, and sizes at which a recursion would overflow the stack. */
#include "support/world.h"

typedef struct level {
    int depth; /* regions around the innermost function */
    int no_early_stop;
    int calls;
    struct level *inner;
} level;

static rf_status innermost(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    ((level *)payload)->calls++;
    out->v[0] = rf_exp(s, rf_sin(s, in->v[0]));
    return rf_scope_status(s);
}

/* A region around a region around ... around the innermost function, and nothing else. */
static rf_status nest(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    level *l = payload;
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.no_early_stop = l->no_early_stop;
    rf_function fn = {l->inner->depth ? nest : innermost, l->inner, NULL};
    return rf_checkpoint_call(s, fn, in, out, &opts);
}

static void make_levels(level *levels, int depth, int no_early_stop)
{
    for (int d = 0; d <= depth; d++)
        levels[d] = (level){d, no_early_stop, 0, d ? &levels[d - 1] : NULL};
}

/* AT-20 */
static void test_b1_counts_by_depth(void **state)
{
    world *w = *state;
    level levels[6];
    void *dx = NULL;
    for (int depth = 0; depth <= 5; depth++)
        for (int no_early_stop = 0; no_early_stop < 2; no_early_stop++) {
            make_levels(levels, depth, no_early_stop);
            rf_op_counts_reset(w->ctx);
            rf_tensor *x = world_leaf(w, 4, 4, 0.1);
            rf_function fn = {depth ? nest : innermost, &levels[depth], NULL};
            rf_tensor *y = world_plain(w, fn, x);
            assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
            uint64_t wanted = depth == 0 ? 1 : no_early_stop ? (uint64_t)depth + 1 : 2;
            assert_int_equal(world_executed(w, "sin"), wanted);
            if (!dx)
                dx = world_bytes(w, rf_grad(x));
            world_same(w, rf_grad(x), dx);
        }
    free(dx);
}

/* ---- two children, work around them ---- */

static rf_status child(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)payload;
    out->v[0] = rf_tanh(s, rf_sin(s, rf_exp(s, in->v[0])));
    return rf_scope_status(s);
}

static rf_status maybe_region(int region, rf_function fn, rf_scope *s, rf_tensor **x)
{
    rf_tensor *y = NULL;
    rf_values in = {x, 1}, out = {&y, 1};
    rf_status status =
        region ? rf_checkpoint_call(s, fn, &in, &out, NULL) : fn.call(fn.payload, s, &in, &out);
    *x = y;
    return status;
}

static rf_status parent(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    int region = *(int *)payload;
    rf_function fn = {child, NULL, NULL};
    rf_tensor *a = rf_sin(s, in->v[0]), *b = a;
    rf_status status = maybe_region(region & 1, fn, s, &a);
    b = rf_mul(s, b, a); /* reads both sides of the first child */
    if (!status)
        status = maybe_region(region & 2, fn, s, &b);
    out->v[0] = rf_exp(s, rf_mul(s, a, b));
    return status ? status : rf_scope_status(s);
}

/* AT-21 */
static void test_b1_two_children(void **state)
{
    world *w = *state;
    void *dx = NULL;
    for (int mask = 0; mask < 8; mask++) {
        int inner = mask & 3;
        rf_tensor *x = world_leaf(w, 8, 4, 0.1), *y = x;
        assert_ok(w->ctx, maybe_region(mask & 4, (rf_function){parent, &inner, NULL}, w->s, &y));
        assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
        if (!dx)
            dx = world_bytes(w, rf_grad(x));
        world_same(w, rf_grad(x), dx);
    }
    free(dx);
}

/* ---- gradients of gradients ---- */

typedef struct composed {
    char kind; /* 'f' the function; 'c' a region; 'g' the gradient of the sum, recorded */
    const struct composed *inner;
} composed;

static rf_status run_composed(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    const composed *c = payload;
    if (c->kind == 'f') {
        out->v[0] = rf_sin(s, rf_exp(s, rf_mul(s, in->v[0], in->v[0])));
        return rf_scope_status(s);
    }
    union {
        const composed *in;
        void *out;
    } cast = {.in = c->inner};
    rf_function fn = {run_composed, cast.out, NULL};
    if (c->kind == 'c')
        return rf_checkpoint_call(s, fn, in, out, NULL);
    rf_backward_options opts = RF_BACKWARD_OPTIONS_INIT;
    rf_values grads = {out->v, 1};
    opts.create_graph = 1;
    rf_tensor *y = NULL;
    rf_values inner = {&y, 1};
    rf_status status = fn.call(fn.payload, s, in, &inner);
    return status ? status : rf_gradients(s, rf_sum(s, y), in, &grads, &opts);
}

/* "gcgf": the gradient of a region around the gradient of f. */
static void *compose(world *w, const char *word)
{
    composed chain[12];
    size_t n = strlen(word);
    for (size_t i = 0; i < n; i++)
        chain[i] = (composed){word[i], &chain[i + 1]};
    rf_tensor *x = world_leaf(w, 4, 4, 0.3);
    rf_tensor *y = world_plain(w, (rf_function){run_composed, &chain[0], NULL}, x);
    if (!y)
        fail_msg("%s: %s", word, rf_context_error(w->ctx)->message);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
    return world_bytes(w, rf_grad(x));
}

/* AT-22 */
static void test_b2_third_order(void **state)
{
    world *w = *state;
    static const char *const words[][6] = {
        {"f", "cf", "ccf", NULL},
        {"gf", "gcf", "cgf", "cgcf", "gccf", NULL},
        {"ggf", "gcgf", "cgcgcf", "ggcf", "cggf", NULL},
    };
    for (size_t order = 0; order < 3; order++) {
        void *plain = compose(w, words[order][0]);
        for (size_t i = 1; words[order][i]; i++) {
            void *bits = compose(w, words[order][i]);
            if (memcmp(plain, bits, 64))
                fail_msg("%s differs from %s", words[order][i], words[order][0]);
            free(bits);
        }
        free(plain);
    }
}

/* Two backwards in the middle of the function, then on. */
static rf_status backward_inside(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    int retain = *(int *)payload;
    rf_backward_options opts = RF_BACKWARD_OPTIONS_INIT;
    rf_tensor *first = NULL, *second = NULL;
    rf_values to = {&first, 1};
    rf_tensor *h = rf_exp(s, rf_sin(s, in->v[0]));
    rf_tensor *side = rf_sum(s, rf_mul(s, rf_sin(s, h), h));
    opts.retain = 1;
    rf_status status = rf_gradients(s, side, in, &to, &opts);
    opts.retain = retain;
    to.v = &second;
    if (!status)
        status = rf_gradients(s, side, in, &to, &opts);
    if (status)
        return status;
    h = retain ? h : rf_exp(s, rf_sin(s, in->v[0]));
    out->v[0] = rf_mul(s, rf_sin(s, h), rf_add(s, first, second));
    return rf_scope_status(s);
}

/* AT-23 */
static void test_b3_backward_inside(void **state)
{
    world *w = *state;
    for (int retain = 0; retain < 2; retain++) {
        void *dx = NULL;
        for (int region = 0; region < 2; region++) {
            rf_tensor *x = world_leaf(w, 4, 4, 0.3), *y = x;
            rf_function fn = {backward_inside, &retain, NULL};
            assert_ok(w->ctx, maybe_region(region, fn, w->s, &y));
            assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
            if (!dx)
                dx = world_bytes(w, rf_grad(x));
            world_same(w, rf_grad(x), dx);
        }
        free(dx);
    }
}

/* ---- sizes ---- */

static void test_a_chain_of_100000_nodes(void **state)
{
    world *w = *state;
    rf_tensor *x = world_leaf(w, 1, 1, 0.3), *y = x;
    for (int i = 0; i < 100000; i++) {
        rf_tensor *next = rf_affine(w->s, y, 1, 0);
        if (y != x)
            rf_release(w->s, y);
        y = next;
    }
    assert_int_equal(rf_graph_size(y), 100001);
    assert_ok(w->ctx, rf_backward(w->s, y));
    assert_non_null(rf_grad(x));
}

static rf_status long_chain(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_tensor *x = in->v[0];
    (void)payload;
    for (int i = 0; i < 20000; i++) {
        rf_tensor *next = rf_affine(s, x, 1, 0);
        if (x != in->v[0])
            rf_release(s, x);
        x = next;
    }
    out->v[0] = rf_sin(s, rf_sin(s, x));
    return rf_scope_status(s);
}

/* A recompute of 20,000 pending ops; and one whose results nobody wants. */
static void test_a_long_region(void **state)
{
    world *w = *state;
    rf_tensor *x = world_leaf(w, 1, 1, 0.3);
    rf_tensor *y = world_region(w, (rf_function){long_chain, NULL, NULL}, x, NULL);
    assert_ok(w->ctx, rf_backward(w->s, y));
    assert_int_equal(world_executed(w, "affine"), 40000 + 20000);
}

static void test_2000_regions_one_after_the_other(void **state)
{
    world *w = *state;
    level l = {0};
    rf_tensor *x = world_leaf(w, 2, 2, 0.3), *y = x;
    for (int i = 0; i < 2000; i++) {
        y = world_region(w, (rf_function){innermost, &l, NULL}, y, NULL);
        y = rf_affine(w->s, y, 0.1, 0);
    }
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
    assert_int_equal(l.calls, 4000);
}

static void test_depth_500(void **state)
{
    world *w = *state;
    level *levels = calloc(501, sizeof *levels);
    for (int no_early_stop = 0; no_early_stop < 2; no_early_stop++) {
        int depth = no_early_stop ? 40 : 500; /* without early stop every level runs every other */
        make_levels(levels, depth, no_early_stop);
        rf_tensor *x = world_leaf(w, 2, 2, 0.3);
        rf_tensor *y = world_plain(w, (rf_function){nest, &levels[depth], NULL}, x);
        assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
        assert_non_null(rf_grad(x));
    }
    free(levels);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_b1_counts_by_depth),
        ROW(test_b1_two_children),
        ROW(test_b2_third_order),
        ROW(test_b3_backward_inside),
        ROW(test_a_chain_of_100000_nodes),
        ROW(test_a_long_region),
        ROW(test_2000_regions_one_after_the_other),
        ROW(test_depth_500),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
