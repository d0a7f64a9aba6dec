/* test_ranges.c: ranges of the children of a sequential container as regions, nested to any depth:
 * bits, how often each child runs, and bytes. What is refused is in test_ranges_apply.c. */
#include "support/range_chain.h"

#include <refrain/nn.h>
#include <refrain/predict.h>

enum { CHAIN = 12, RANGES = 2 * CHAIN };

static uint32_t draw(uint32_t *seed, uint32_t below)
{
    uint32_t x = *seed += 0x9E3779B9u;
    x = (x ^ x >> 16) * 0x7FEB352Du;
    x = (x ^ x >> 15) * 0x846CA68Bu;
    return (uint32_t)(((uint64_t)(x ^ x >> 16) * below) >> 32);
}

/* ---- lists ---- */

typedef struct nested_list {
    rf_range v[RANGES];
    size_t num;
} nested_list;

static void list_add(nested_list *list, size_t first, size_t count)
{
    list->v[list->num++] = (rf_range){first, count, NULL};
}

/* Random ranges in preorder in children first to end - 1, none of them all of that. */
static void list_draw(nested_list *list, uint32_t *seed, size_t first, size_t end)
{
    size_t all = end - first;
    for (size_t at = first; at < end;) {
        size_t count = 1 + draw(seed, (uint32_t)(end - at));
        if (count == all && count > 1)
            count--;
        if (count < all && draw(seed, 4)) {
            list_add(list, at, count);
            list_draw(list, seed, at, at + count);
        }
        at += count;
    }
}

/* How many ranges are around a child. */
static int list_depth(const nested_list *list, size_t child)
{
    int depth = 0;
    for (size_t i = 0; i < list->num; i++)
        depth += child >= list->v[i].first && child < list->v[i].first + list->v[i].count;
    return depth;
}

/* The innermost range around the one of this number, or around a child; RANGES: none. */
static size_t list_around(const nested_list *list, size_t before, size_t child)
{
    while (before-- > 0)
        if (child >= list->v[before].first && child < list->v[before].first + list->v[before].count)
            return before;
    return RANGES;
}

/* ---- bits ---- */

/* All that a step leaves: its value, the gradients, and where the generator stands. */
typedef struct step_bits {
    void *v[2 + 4 * CHAIN];
    size_t bytes[2 + 4 * CHAIN];
    size_t num;
    rf_rng rng;
} step_bits;

static void bits_add(world *w, step_bits *bits, const rf_tensor *t)
{
    bits->bytes[bits->num] = rf_tensor_bytes(t);
    bits->v[bits->num++] = world_bytes(w, t);
}

typedef struct bits_walk {
    world *w;
    step_bits *bits;
} bits_walk;

static rf_status bits_module(void *payload, const char *path, rf_module *m)
{
    bits_walk *walk = payload;
    static const char *const names[] = {"weight", "bias"};
    (void)path;
    for (size_t i = 0; i < 2; i++) {
        rf_tensor *t = rf_module_param(m, names[i]);
        if (t && rf_grad(t)) {
            bits_add(walk->w, walk->bits, rf_grad(t));
            rf_grad_clear(t);
        }
    }
    return RF_OK;
}

static step_bits step(world *w, rf_module *m)
{
    step_bits bits = {.num = 0};
    bits_walk walk = {w, &bits};
    rf_context_set_rng(w->ctx, (rf_rng){7, 0});
    rf_tensor *x = world_leaf(w, CHAIN_ROWS, CHAIN_WIDTH, 0.1);
    rf_tensor *y = rf_module_call1(m, w->s, x);
    bits_add(w, &bits, y);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
    bits_add(w, &bits, rf_grad(x));
    assert_ok(w->ctx, rf_module_each(m, bits_module, &walk));
    bits.rng = rf_context_rng(w->ctx);
    chain_scope_anew(w);
    return bits;
}

static void bits_end(step_bits *bits)
{
    for (size_t i = 0; i < bits->num; i++)
        free(bits->v[i]);
}

static void bits_same(step_bits *a, step_bits *b)
{
    assert_int_equal(a->num, b->num);
    for (size_t i = 0; i < a->num; i++) {
        assert_int_equal(a->bytes[i], b->bytes[i]);
        assert_memory_equal(a->v[i], b->v[i], a->bytes[i]);
    }
    assert_memory_equal(&a->rng, &b->rng, sizeof a->rng);
}

/* Blocks of a chain as regions of their own, some with fates. */
static void chain_blocks(world *w, rf_module *m, uint32_t *seed)
{
    static const char *const fates[] = {NULL, "keep=linear", "host=*", "recompute=*"};
    for (size_t i = 0; i < rf_module_num_children(m); i++) {
        rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
        opts.fates = fates[draw(seed, 4)];
        if (!draw(seed, 3))
            assert_ok(w->ctx, rf_checkpoint(rf_module_child(m, i), &opts));
    }
}

/* A chain of random kinds, and ranges of it; how long it is. */
static size_t case_draw(nested_list *list, uint32_t *seed, char kinds[CHAIN + 1])
{
    size_t n = 1 + draw(seed, CHAIN);
    for (size_t k = 0; k < n; k++)
        kinds[k] = "ltdgb"[draw(seed, 5)];
    while (!list->num) {
        if (!draw(seed, 3))
            list_add(list, 0, n);
        list_draw(list, seed, 0, n);
    }
    return n;
}

static void test_bits_of_random_lists(void **state)
{
    world *w = *state;
    int cases = getenv("RF_TEST_FAST") ? 100 : 400, deepest = 0;
    for (int i = 0; i < cases; i++) {
        uint32_t seed = (uint32_t)i;
        char kinds[CHAIN + 1] = "";
        nested_list list = {.num = 0};
        size_t n = case_draw(&list, &seed, kinds);
        for (size_t k = 0; k < n; k++)
            deepest = list_depth(&list, k) > deepest ? list_depth(&list, k) : deepest;
        rf_checkpoint_options hashed = RF_CHECKPOINT_OPTIONS_INIT, kept = hashed;
        hashed.verify = RF_VERIFY_VALUES;
        kept.fates = "keep=linear;host=tanh";
        for (size_t k = 0; k < list.num; k++)
            list.v[k].region = draw(&seed, 2) ? &hashed : draw(&seed, 2) ? &kept : NULL;
        rf_module *m = chain_new(w->ctx, kinds), *copy;
        step_bits plain = step(w, m);
        assert_ok(w->ctx, rf_checkpoint_ranges(m, list.v, list.num, NULL));
        chain_blocks(w, m, &seed);
        assert_ok(w->ctx, rf_module_copy(&copy, m));
        step_bits region = step(w, m);
        bits_same(&plain, &region);
        bits_end(&region);
        rf_module_destroy(m);
        region = step(w, copy);
        bits_same(&plain, &region);
        bits_end(&region);
        bits_end(&plain);
        rf_module_destroy(copy);
    }
    assert_true(deepest > 3);
}

/* ---- how often ---- */

typedef struct counted {
    int calls;
    char op;
} counted;

/* Ops of which backward reads the result. */
static rf_status counted_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    counted *c = rf_module_self(m);
    c->calls++;
    out->v[0] = c->op == 's'   ? rf_sigmoid(s, in->v[0])
                : c->op == 't' ? rf_tanh(s, in->v[0])
                               : rf_exp(s, in->v[0]);
    return rf_scope_status(s);
}

static const rf_module_class counted_class = {
    .size = sizeof(rf_module_class), .name = "Counted", .forward = counted_forward};

static rf_module *counted_chain(rf_context *ctx, counted *c, size_t n)
{
    rf_module *m, *child;
    assert_ok(ctx, rf_nn_sequential(&m, ctx));
    for (size_t i = 0; i < n; i++) {
        assert_ok(ctx, rf_module_create(&child, ctx, &counted_class, &c[i]));
        assert_ok(ctx, rf_nn_sequential_add(m, child));
    }
    return m;
}

/* How often the op of a child is computed. Once in the forward; and again in each region around it
 * whose backward, directly, reads a result at or after it: one of its plain children's, or what a
 * region inside of it begins with. */
static int derived_runs(const nested_list *list, size_t child, size_t n)
{
    int runs = 1;
    for (size_t r = 0; r < list->num; r++) {
        size_t first = list->v[r].first, end = first + list->v[r].count;
        int asked = 0;
        for (size_t k = child; k < n && k < end; k++)
            asked |= list_around(list, list->num, k) == r;
        for (size_t i = r + 1; i < list->num; i++)
            asked |= list_around(list, i, list->v[i].first) == r && list->v[i].first > child;
        runs += child >= first && child < end && asked;
    }
    return runs;
}

static void test_how_often_children_run(void **state)
{
    world *w = *state;
    static const char *const ops[] = {"sigmoid", "tanh", "exp"};
    for (uint32_t i = 0; i < 300; i++) {
        uint32_t seed = i + 1000;
        size_t n = 2 + draw(&seed, CHAIN - 1);
        nested_list list = {.num = 0};
        counted c[CHAIN] = {{0, 0}};
        uint64_t executed[3] = {0, 0, 0};
        list_add(&list, 0, n);
        list_draw(&list, &seed, 0, n);
        for (size_t k = 0; k < n; k++) {
            size_t op = draw(&seed, 3);
            c[k].op = ops[op][0];
            executed[op] += (uint64_t)derived_runs(&list, k, n);
            assert_true(derived_runs(&list, k, n) <= list_depth(&list, k) + 1);
        }
        rf_module *m = counted_chain(w->ctx, c, n);
        assert_ok(w->ctx, rf_checkpoint_ranges(m, list.v, list.num, NULL));
        rf_op_counts_reset(w->ctx);
        rf_tensor *loss = chain_loss(w, m);
        for (size_t k = 0; k < n; k++)
            assert_int_equal(c[k].calls, 1);
        assert_ok(w->ctx, rf_backward(w->s, loss));
        for (size_t k = 0; k < n; k++)
            assert_int_equal(c[k].calls, list_depth(&list, k) + 1);
        for (size_t op = 0; op < 3; op++)
            assert_int_equal(world_executed(w, ops[op]), executed[op]);
        rf_module_destroy(m);
        chain_scope_anew(w);
    }
}

/* ---- bytes ---- */

enum { VALUE = 64 * 64 * 4 };

/* Bytes of activations beside the input, the result (held) and the loss: after the forward, and at
 * most in backward. */
typedef struct held {
    uint64_t between, peak;
} held;

static void held_check(world *w, const rf_range *ranges, size_t num, held wanted)
{
    counted c[8];
    rf_memory_info info;
    for (int i = 0; i < 8; i++)
        c[i] = (counted){0, 's'};
    rf_module *m = counted_chain(w->ctx, c, 8);
    if (num)
        assert_ok(w->ctx, rf_checkpoint_ranges(m, ranges, num, NULL));
    rf_tensor *x = world_leaf(w, 64, 64, 0.1), *y = rf_tensor_hold(rf_module_call1(m, w->s, x));
    rf_tensor *loss = rf_sum(w->s, y);
    uint64_t base = 2 * VALUE + sizeof(float);
    assert_int_equal(world_used(w, RF_MEM_ACTIVATION) - base, wanted.between);
    rf_memory_reset_peak(w->ctx);
    assert_ok(w->ctx, rf_backward(w->s, loss));
    assert_ok(w->ctx, rf_memory_get(w->ctx, RF_DEVICE_CPU, RF_MEM_ACTIVATION, &info));
    assert_int_equal(info.peak - base, wanted.peak);
    rf_tensor_drop(y);
    rf_module_destroy(m);
    chain_scope_anew(w);
}

/* y1 ... y8 are results of eight sigmoids, whose backward reads the result and makes a gradient
 * from one; that of y8 is a view of the loss's, a float that stays. When a region of k children
 * runs again there are its k values and the inputs of regions inside that the ranges around it
 * hold; of the last one y8 is there besides.
 *   plain    y1 ... y7 | y1 ... y7, two gradients
 *   [0,8)    nothing   | y1 ... y8, a gradient
 *   halves   y4        | y4, y5 ... y8, a gradient
 *   nested   nothing   | the same
 *   deep     nothing   | y4, y6, y7, y8, a gradient */
static void test_bytes_between_and_at_the_peak(void **state)
{
    world *w = *state;
    static const rf_range outer[] = {{0, 8, NULL}};
    static const rf_range halves[] = {{0, 4, NULL}, {4, 4, NULL}};
    static const rf_range nested[] = {{0, 8, NULL}, {0, 4, NULL}, {4, 4, NULL}};
    static const rf_range deep[] = {{0, 8, NULL}, {0, 4, NULL}, {0, 2, NULL}, {2, 2, NULL},
                                    {4, 4, NULL}, {4, 2, NULL}, {6, 2, NULL}};
    enum { FLOAT = 4 };
    held_check(w, NULL, 0, (held){7 * VALUE, 9 * VALUE + FLOAT});
    held_check(w, outer, 1, (held){0, 9 * VALUE + FLOAT});
    held_check(w, halves, 2, (held){VALUE, 6 * VALUE + FLOAT});
    held_check(w, nested, 3, (held){0, 6 * VALUE + FLOAT});
    held_check(w, deep, 7, (held){0, 5 * VALUE + FLOAT});
}

typedef struct foretold {
    rf_module *m;
    world *w;
} foretold;

static rf_status clear_grads(void *payload, const char *path, rf_module *m)
{
    static const char *const names[] = {"weight", "bias"};
    (void)payload;
    (void)path;
    for (size_t i = 0; i < 2; i++)
        if (rf_module_param(m, names[i]))
            rf_grad_clear(rf_module_param(m, names[i]));
    return RF_OK;
}

static rf_status foretold_step(void *payload)
{
    foretold *f = payload;
    rf_status status = rf_backward(f->w->s, chain_loss(f->w, f->m));
    chain_scope_anew(f->w);
    return status ? status : rf_module_each(f->m, clear_grads, NULL);
}

/* What a dry run tells of random lists is what they take, to the byte. */
static void test_peaks_are_foretold(void **state)
{
    world *w = *state;
    for (uint32_t i = 0; i < 60; i++) {
        uint32_t seed = i + 77;
        char kinds[CHAIN + 1] = "";
        nested_list list = {.num = 0};
        rf_prediction p = RF_PREDICTION_INIT;
        rf_memory_info info;
        (void)case_draw(&list, &seed, kinds);
        foretold f = {chain_new(w->ctx, kinds), w};
        assert_ok(w->ctx, rf_checkpoint_ranges(f.m, list.v, list.num, NULL));
        chain_blocks(w, f.m, &seed);
        assert_ok(w->ctx, rf_predict(&p, w->ctx, &(rf_training_step){foretold_step, &f}, NULL));
        rf_memory_reset_peak(w->ctx);
        assert_ok(w->ctx, foretold_step(&f));
        for (int cls = RF_MEM_PARAM; cls < RF_MEM_OTHER; cls++) {
            assert_ok(w->ctx, rf_memory_get(w->ctx, RF_DEVICE_CPU, (rf_mem_class)cls, &info));
            assert_int_equal(info.peak, p.peak[cls]);
        }
        rf_module_destroy(f.m);
    }
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_bits_of_random_lists),
        ROW(test_how_often_children_run),
        ROW(test_bytes_between_and_at_the_peak),
        ROW(test_peaks_are_foretold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
