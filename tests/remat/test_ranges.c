/* test_ranges.c: ranges of the children of a sequential container as regions, nested to any depth:
 * bits, how often each child runs, bytes, what is refused, and a small stack. */
#include "support/modules.h"

#include <refrain/nn.h>
#include <refrain/predict.h>

#include <pthread.h>
#include <stdio.h>

enum { ROWS = 4, WIDTH = 8, CHAIN = 12, RANGES = 2 * CHAIN };

static uint32_t draw(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)*seed * below) >> 32);
}

static void scope_anew(world *w)
{
    rf_scope_close(w->s);
    assert_ok(w->ctx, rf_scope_open(&w->s, w->ctx, NULL));
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
        if (count < all && draw(seed, 3)) {
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

/* ---- chains ---- */

/* l linear, t tanh, d dropout, g gelu, b two linear layers in a container of their own. */
static rf_module *layer_new(rf_context *ctx, char kind)
{
    rf_module *m = NULL, *part;
    if (kind == 'd')
        assert_ok(ctx, rf_nn_dropout(&m, ctx, 0.5));
    else if (kind == 't' || kind == 'g')
        assert_ok(ctx,
                  rf_nn_activation(&m, ctx, kind == 't' ? RF_ACTIVATION_TANH : RF_ACTIVATION_GELU));
    else if (kind == 'l')
        assert_ok(ctx, rf_nn_linear(&m, ctx, WIDTH, WIDTH, 0));
    else
        assert_ok(ctx, rf_nn_sequential(&m, ctx));
    for (int i = 0; i < 2 && kind == 'b'; i++) {
        part = layer_new(ctx, 'l');
        assert_ok(ctx, rf_nn_sequential_add(m, part));
    }
    return m;
}

static rf_module *chain_new(rf_context *ctx, const char *kinds)
{
    rf_module *m;
    assert_ok(ctx, rf_nn_sequential(&m, ctx));
    for (; *kinds; kinds++)
        assert_ok(ctx, rf_nn_sequential_add(m, layer_new(ctx, *kinds)));
    return m;
}

static rf_tensor *loss_of(world *w, rf_module *m)
{
    rf_tensor *x = world_leaf(w, ROWS, WIDTH, 0.1);
    rf_tensor *loss = rf_sum(w->s, rf_module_call1(m, w->s, x));
    assert_ok(w->ctx, rf_scope_status(w->s));
    return loss;
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
    rf_tensor *x = world_leaf(w, ROWS, WIDTH, 0.1);
    rf_tensor *y = rf_module_call1(m, w->s, x);
    bits_add(w, &bits, y);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
    bits_add(w, &bits, rf_grad(x));
    assert_ok(w->ctx, rf_module_each(m, bits_module, &walk));
    bits.rng = rf_context_rng(w->ctx);
    scope_anew(w);
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
        rf_tensor *loss = loss_of(w, m);
        for (size_t k = 0; k < n; k++)
            assert_int_equal(c[k].calls, 1);
        assert_ok(w->ctx, rf_backward(w->s, loss));
        for (size_t k = 0; k < n; k++)
            assert_int_equal(c[k].calls, list_depth(&list, k) + 1);
        for (size_t op = 0; op < 3; op++)
            assert_int_equal(world_executed(w, ops[op]), executed[op]);
        rf_module_destroy(m);
        scope_anew(w);
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
    scope_anew(w);
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
    rf_status status = rf_backward(f->w->s, loss_of(f->w, f->m));
    scope_anew(f->w);
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

/* ---- what is refused ---- */

static void payload_end(void *payload)
{
    ++*(int *)payload;
}

static void test_lists_that_make_no_sense(void **state)
{
    world *w = *state;
    static const struct {
        rf_range v[3];
        size_t num;
        const char *what;
    } bad[] = {
        {{{0, 0, NULL}}, 0, "no range at all"},
        {{{1, 0, NULL}}, 1, "range 0 is empty"},
        {{{0, 5, NULL}}, 1, "range 0 is 5 children from number 0 on, of 4"},
        {{{4, 1, NULL}}, 1, "range 0 is 1 children from number 4 on, of 4"},
        {{{2, SIZE_MAX, NULL}}, 1, "of 4"},
        {{{SIZE_MAX, 2, NULL}}, 1, "of 4"},
        {{{0, 2, NULL}, {1, 2, NULL}}, 2, "ranges 0 and 1 overlap"},
        {{{0, 4, NULL}, {0, 2, NULL}, {1, 2, NULL}}, 3, "ranges 1 and 2 overlap"},
        {{{2, 1, NULL}, {0, 1, NULL}}, 2, "range 1 stands after range 0"},
        {{{0, 1, NULL}, {0, 2, NULL}}, 2, "range 1 stands after range 0"},
        {{{0, 2, NULL}, {0, 2, NULL}}, 2, "range 1 stands twice"},
    };
    int ended = 0;
    rf_range one = {0, 1, NULL};
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.hooks.payload = &ended;
    opts.hooks.destroy = payload_end;
    rf_module *m = chain_new(w->ctx, "lbll"), *none = chain_new(w->ctx, "");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(rf_checkpoint_ranges(m, bad[i].v, bad[i].num, &opts), RF_E_ARGUMENT);
        if (!strstr(rf_context_error(w->ctx)->message, bad[i].what))
            fail_msg("%s: %s", bad[i].what, rf_context_error(w->ctx)->message);
        assert_int_equal(ended, (int)i + 1);
    }
    ended = 0;
    assert_int_equal(rf_checkpoint_ranges(none, &one, 1, NULL), RF_E_ARGUMENT);
    assert_int_equal(rf_checkpoint_ranges(rf_module_child(m, 0), &one, 1, &opts), RF_E_ARGUMENT);
    assert_non_null(strstr(rf_context_error(w->ctx)->message, "Linear is no sequential container"));
    opts.fates = "keep=linearr";
    assert_int_equal(rf_checkpoint_ranges(m, &one, 1, &opts), RF_E_ARGUMENT);
    assert_int_equal(ended, 2);
    assert_int_equal(rf_module_num_apis(m), 0);
    rf_module_destroy(none);
    rf_module_destroy(m);
}

static void test_what_excludes_ranges(void **state)
{
    world *w = *state;
    rf_range one = {0, 1, NULL}, out;
    rf_module *m = chain_new(w->ctx, "lll");
    assert_int_equal(rf_checkpoint_ranges_clear(m), RF_E_NOT_FOUND);
    assert_int_equal(rf_checkpoint_ranges_report(m, 0, &out), RF_E_NOT_FOUND);
    assert_int_equal(rf_checkpoint_ranges_num(m), 0);
    assert_ok(w->ctx, rf_checkpoint_ranges(m, &one, 1, NULL));
    assert_int_equal(rf_checkpoint_ranges(m, &one, 1, NULL), RF_E_APPLIED);
    assert_int_equal(rf_checkpoint(m, NULL), RF_E_CONFLICT);
    assert_int_equal(rf_checkpoint_sequential(m, 2, NULL), RF_E_CONFLICT);
    assert_int_equal(rf_checkpoint_sequential_num(m), 0);
    assert_int_equal(rf_checkpoint_sequential_clear(m), RF_E_NOT_FOUND);
    assert_int_equal(rf_checkpoint_ranges_report(m, 1, &out), RF_E_ARGUMENT);
    assert_ok(w->ctx, rf_checkpoint_ranges_clear(m));
    assert_ok(w->ctx, rf_checkpoint_sequential(m, 2, NULL));
    assert_int_equal(rf_checkpoint_ranges(m, &one, 1, NULL), RF_E_CONFLICT);
    assert_int_equal(rf_checkpoint_ranges_num(m), 0);
    rf_module_destroy(m);
}

/* ---- options ---- */

typedef struct entered {
    int forward, again, ended;
} entered;

static rf_status entered_enter(void *payload, rf_scope *s, rf_pass pass)
{
    entered *e = payload;
    (void)s;
    e->forward += pass == RF_PASS_FORWARD;
    e->again += pass == RF_PASS_RECOMPUTE;
    return RF_OK;
}

static void entered_end(void *payload)
{
    ((entered *)payload)->ended++;
}

static rf_checkpoint_options entered_options(entered *e, const char *label)
{
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.hooks = (rf_region_hooks){entered_enter, NULL, e, entered_end};
    opts.label = label;
    return opts;
}

/* Two ranges share options by name, one by the call; the payloads end once, with the last user. */
static void test_options_of_one_range_and_of_several(void **state)
{
    world *w = *state;
    entered e[3] = {{0, 0, 0}};
    rf_checkpoint_options all = entered_options(&e[0], "all"), own = entered_options(&e[1], "own");
    const rf_range list[] = {{0, 4, NULL}, {0, 2, &own}, {2, 1, &own}};
    rf_range out;
    rf_module *m = chain_new(w->ctx, "ltlt"), *copy;
    assert_ok(w->ctx, rf_checkpoint_ranges(m, list, 3, &all));
    assert_int_equal(rf_checkpoint_ranges_num(m), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_ok(w->ctx, rf_checkpoint_ranges_report(m, i, &out));
        assert_int_equal(out.first, list[i].first);
        assert_int_equal(out.count, list[i].count);
        assert_string_equal(out.region->label, i ? "own" : "all");
    }
    assert_ok(w->ctx, rf_module_copy(&copy, m));
    rf_tensor *loss = loss_of(w, m);
    assert_int_equal(e[0].forward, 1);
    assert_int_equal(e[1].forward, 2);
    assert_ok(w->ctx, rf_checkpoint_ranges_clear(m));
    rf_module_destroy(copy);
    assert_int_equal(e[0].ended + e[1].ended, 0); /* the graph has them still */
    assert_ok(w->ctx, rf_backward(w->s, loss));
    assert_int_equal(e[0].again, 1);
    assert_int_equal(e[1].forward, 4); /* in the outer one's recompute they are new */
    assert_int_equal(e[1].again, 1);   /* the linear layer alone has nothing to compute */
    scope_anew(w);
    assert_int_equal(e[0].ended, 1);
    assert_int_equal(e[1].ended, 1);
    rf_checkpoint_options unused = entered_options(&e[2], NULL),
                          twin = entered_options(&e[1], NULL);
    const rf_range others[] = {{0, 1, &twin}};
    assert_ok(w->ctx, rf_checkpoint_ranges(m, others, 1, &unused));
    assert_int_equal(e[2].ended, 1);
    rf_module_destroy(m);
    assert_int_equal(e[1].ended, 2);
}

/* ---- what changes meanwhile ---- */

static void test_a_container_that_changed(void **state)
{
    world *w = *state;
    const rf_range list[] = {{0, 3, NULL}, {1, 2, NULL}};
    for (int grow = 0; grow < 2; grow++) {
        rf_module *m = chain_new(w->ctx, "lll"), *child = NULL;
        assert_ok(w->ctx, rf_checkpoint_ranges(m, list, 2, NULL));
        rf_tensor *loss = loss_of(w, m);
        if (grow) {
            child = layer_new(w->ctx, 'l');
            assert_ok(w->ctx, rf_nn_sequential_add(m, child));
        } else
            rf_module_destroy(rf_module_child(m, 2));
        assert_int_equal(rf_backward(w->s, loss), RF_E_MUTATED);
        rf_scope_clear(w->s);
        assert_null(rf_module_call1(m, w->s, world_leaf(w, ROWS, WIDTH, 0.1)));
        assert_int_equal(rf_scope_status(w->s), RF_E_STATE);
        assert_non_null(
            strstr(rf_context_error(w->ctx)->message,
                   grow ? "had 3 children when its ranges were given and has 4" : "and has 2"));
        scope_anew(w);
        assert_ok(w->ctx, rf_checkpoint_ranges_clear(m));
        assert_ok(w->ctx, rf_backward(w->s, loss_of(w, m)));
        rf_module_destroy(m);
        scope_anew(w);
    }
}

/* A parameter of a range is watched while it waits; one beside it is not. */
static void test_parameters_changed_in_place(void **state)
{
    world *w = *state;
    const rf_range list[] = {{1, 3, NULL}, {1, 2, NULL}};
    static const char *const paths[] = {"0.bias", "1.bias", "3.bias", "4.bias"};
    for (size_t i = 0; i < 4; i++) {
        rf_module *m = chain_new(w->ctx, "lllll");
        assert_ok(w->ctx, rf_checkpoint_ranges(m, list, 2, NULL));
        rf_tensor *loss = loss_of(w, m), *bias = rf_module_param(m, paths[i]);
        void *bytes = world_bytes(w, bias);
        assert_ok(w->ctx, rf_tensor_copy_from(bias, bytes, rf_tensor_bytes(bias)));
        free(bytes);
        assert_int_equal(rf_backward(w->s, loss), i == 1 || i == 2 ? RF_E_MUTATED : RF_OK);
        rf_module_destroy(m);
        scope_anew(w);
    }
}

/* ---- failing allocations ---- */

static int faulty_step(rf_context *ctx, rf_module *m)
{
    world w = {.ctx = ctx};
    if (rf_scope_open(&w.s, ctx, NULL))
        return 0;
    float host[ROWS * WIDTH] = {0.5f};
    rf_tensor *x = rf_tensor_copy_in(w.s, RF_F32, 2, (int64_t[]){ROWS, WIDTH}, host);
    rf_status status = x ? rf_tensor_set_requires_grad(x, 1) : RF_E_MEMORY;
    if (!status)
        status = rf_backward(w.s, rf_sum(w.s, rf_module_call1(m, w.s, x)));
    rf_scope_close(w.s);
    assert_true(status == RF_OK || status == RF_E_MEMORY);
    return !status;
}

/* Either the ranges stand or nothing does, and payloads end once; a step fails or is whole. */
static void test_every_failing_allocation(void **state)
{
    (void)state;
    for (uint64_t k = 1, reached = 1; reached; k++) {
        counting c = {0};
        rf_context *ctx;
        rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
        entered e[2] = {{0, 0, 0}};
        rf_checkpoint_options all = entered_options(&e[0], "a"), own = entered_options(&e[1], "b");
        const rf_range list[] = {{0, 3, NULL}, {0, 2, &own}, {1, 1, &own}, {3, 1, NULL}};
        opts.alloc = counting_alloc;
        opts.alloc_payload = &c;
        assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
        rf_module *m = chain_new(ctx, "ltbg"), *copy = NULL;
        own.fates = "keep=1;host=#0:*";
        c.fail_at = c.made + k;
        rf_status status = rf_checkpoint_ranges(m, list, 4, &all);
        assert_int_equal(rf_checkpoint_ranges_num(m), status ? 0 : 4);
        assert_int_equal(e[0].ended, status != RF_OK);
        assert_int_equal(e[1].ended, status != RF_OK);
        int whole = !status && !rf_module_copy(&copy, m) && faulty_step(ctx, copy);
        reached = c.made >= c.fail_at;
        assert_true(whole || reached);
        c.fail_at = 0;
        if (!status)
            assert_true(faulty_step(ctx, m));
        rf_module_destroy(copy);
        rf_module_destroy(m);
        assert_int_equal(e[0].ended, 1);
        assert_int_equal(e[1].ended, 1);
        rf_context_destroy(ctx);
        assert_int_equal(c.live, 0);
    }
}

/* ---- deep ---- */

enum { DEEP = 500, STACK = 2 << 20 };

typedef struct deep {
    int ranges;
    float y[WIDTH], dx[WIDTH];
    rf_status status;
} deep;

/* A child alone and the rest in a range, DEEP times. */
static rf_status deep_ranges(rf_module *m, size_t num)
{
    rf_range *list = malloc(num * sizeof *list);
    for (size_t i = 0; i < num; i++)
        list[i] = (rf_range){i, num + 1 - i, NULL};
    rf_status status = rf_checkpoint_ranges(m, list, num, NULL);
    free(list);
    return status;
}

static rf_status deep_step(deep *d, rf_module *m, rf_scope *s)
{
    float host[WIDTH] = {0.3f, -0.2f, 0.9f, 1.4f};
    rf_tensor *x = rf_tensor_copy_in(s, RF_F32, 1, (int64_t[]){WIDTH}, host);
    rf_status status = rf_tensor_set_requires_grad(x, 1);
    rf_tensor *y = rf_module_call1(m, s, x);
    if (!status)
        status = rf_scope_status(s);
    if (!status)
        status = rf_tensor_copy_out(y, d->y, sizeof d->y);
    if (!status)
        status = rf_backward(s, rf_sum(s, y));
    return status ? status : rf_tensor_copy_out(rf_grad(x), d->dx, sizeof d->dx);
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
    m = chain_new(ctx, "");
    d->status = rf_scope_open(&s, ctx, NULL);
    for (int i = 0; i <= DEEP && !d->status; i++)
        d->status = rf_nn_sequential_add(m, layer_new(ctx, 't'));
    if (!d->status && d->ranges)
        d->status = deep_ranges(m, DEEP);
    if (!d->status)
        d->status = deep_step(d, m, s);
    if (d->status)
        fprintf(stderr, "# %s\n", rf_context_error(ctx)->message);
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
    deep plain = {.ranges = 0}, nested = {.ranges = 1};
    (void)state;
    deep_on_small_stack(&plain);
    deep_on_small_stack(&nested);
    assert_memory_equal(plain.y, nested.y, sizeof plain.y);
    assert_memory_equal(plain.dx, nested.dx, sizeof plain.dx);
}

/* A file may ask for more than any stack has. */
static void test_deeper_than_the_limit(void **state)
{
    world *w = *state;
    rf_module *m = chain_new(w->ctx, "");
    for (int i = 0; i <= RF_RANGE_DEPTH; i++)
        assert_ok(w->ctx, rf_nn_sequential_add(m, layer_new(w->ctx, 't')));
    assert_ok(w->ctx, deep_ranges(m, RF_RANGE_DEPTH));
    assert_ok(w->ctx, rf_checkpoint_ranges_clear(m));
    assert_ok(w->ctx, rf_nn_sequential_add(m, layer_new(w->ctx, 't')));
    assert_int_equal(deep_ranges(m, RF_RANGE_DEPTH + 1), RF_E_ARGUMENT);
    assert_non_null(strstr(rf_context_error(w->ctx)->message, "range 512 is in more than 511"));
    rf_module_destroy(m);
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_bits_of_random_lists),
        ROW(test_how_often_children_run),
        ROW(test_bytes_between_and_at_the_peak),
        ROW(test_peaks_are_foretold),
        ROW(test_lists_that_make_no_sense),
        ROW(test_what_excludes_ranges),
        ROW(test_options_of_one_range_and_of_several),
        ROW(test_a_container_that_changed),
        ROW(test_parameters_changed_in_place),
        cmocka_unit_test(test_every_failing_allocation),
        cmocka_unit_test(test_nested_500_deep_on_a_small_stack),
        ROW(test_deeper_than_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
