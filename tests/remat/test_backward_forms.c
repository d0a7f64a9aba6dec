/* test_backward_forms.c: every form of backward over every kind of region (A13): what comes out has
 * the bits of the same form over the plain graph. */
#include "support/world.h"

enum { N = 6, BITS = 1 << 14 };

/* ---- the function, plain or in a region ---- */

/* y = exp(sin(dropout(tanh(a w)))), w another input. */
static rf_status body(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_scope *inner;
    (void)payload;
    rf_status status = rf_scope_open(&inner, rf_scope_context(s), s);
    if (status)
        return status;
    rf_tensor *h = rf_tanh(inner, rf_matmul(inner, in->v[0], in->v[1]));
    out->v[0] = rf_keep(inner, rf_exp(inner, rf_sin(inner, rf_dropout(inner, h, 0.3))));
    status = rf_scope_status(inner);
    rf_scope_close(inner);
    return status;
}

static rf_status body_in_region(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    return rf_checkpoint_call(s, (rf_function){body, payload, NULL}, in, out, NULL);
}

typedef struct kind {
    const char *name;
    int region, nested, no_early_stop;
    rf_verify verify;
    const char *fates;
} kind;

static const kind kinds[] = {
    {.name = "plain"},
    {.name = "region", .region = 1},
    {.name = "nested", .region = 1, .nested = 1},
    {.name = "without early stop", .region = 1, .no_early_stop = 1},
    {.name = "verified", .region = 1, .verify = RF_VERIFY_VALUES},
    {.name = "selective", .region = 1, .fates = "keep=matmul,dropout"},
    {.name = "all kept", .region = 1, .fates = "keep=*"},
    {.name = "on the host", .region = 1, .fates = "host=tanh"},
    {.name = "in a file", .region = 1, .fates = "file=*"},
};

/* A graph: x and w leaves, a = sin(x) between, y the region's result, other a leaf beside. */
typedef struct graph {
    rf_tensor *x, *w, *a, *y, *other;
} graph;

static graph graph_make(world *w, const kind *k)
{
    graph g = {.x = world_leaf(w, N, N, 0.2),
               .w = world_leaf(w, N, N, 0.1),
               .other = world_leaf(w, N, N, 0.5)};
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    rf_function fn = {k->nested ? body_in_region : body, NULL, NULL};
    opts.no_early_stop = k->no_early_stop;
    opts.verify = k->verify;
    opts.fates = k->fates;
    g.a = rf_sin(w->s, g.x);
    rf_tensor *v[2] = {g.a, g.w};
    rf_values in = {v, 2}, out = {&g.y, 1};
    rf_context_set_rng(w->ctx, (rf_rng){7, 3});
    assert_ok(w->ctx, k->region ? rf_checkpoint_call(w->s, fn, &in, &out, &opts)
                                : fn.call(NULL, w->s, &in, &out));
    rf_context_set_rng(w->ctx, (rf_rng){1, 2}); /* a recompute must not care */
    return g;
}

/* ---- what came out ---- */

typedef struct bits {
    unsigned char v[BITS];
    size_t num;
} bits;

static void add(world *w, bits *b, const rf_tensor *t)
{
    assert_non_null(t);
    size_t bytes = rf_tensor_bytes(t);
    assert_true(b->num + bytes <= BITS);
    assert_ok(w->ctx, rf_tensor_copy_out(t, b->v + b->num, bytes));
    b->num += bytes;
}

static void add_grads(world *w, const graph *g, bits *b)
{
    add(w, b, rf_grad(g->x));
    add(w, b, rf_grad(g->w));
    assert_null(rf_grad(g->other));
}

/* ---- forms ---- */

static void form_backward(world *w, graph *g, bits *b)
{
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, g->y)));
    add_grads(w, g, b);
}

static void form_seed(world *w, graph *g, bits *b)
{
    rf_backward_options opts = RF_BACKWARD_OPTIONS_INIT;
    opts.seed = rf_detach(w->s, g->other);
    assert_ok(w->ctx, rf_backward_with(w->s, g->y, &opts));
    add_grads(w, g, b);
}

static void form_retained(world *w, graph *g, bits *b)
{
    rf_backward_options opts = RF_BACKWARD_OPTIONS_INIT;
    rf_tensor *loss = rf_sum(w->s, g->y);
    opts.retain = 1;
    for (int i = 0; i < 3; i++) {
        opts.retain = i < 2;
        assert_ok(w->ctx, rf_backward_with(w->s, loss, &opts));
        add_grads(w, g, b); /* they add up */
    }
    assert_int_equal(rf_backward(w->s, loss), RF_E_CONSUMED);
    rf_scope_clear(w->s);
}

/* Of two results of one graph, one after the other. */
static void form_two_results(world *w, graph *g, bits *b)
{
    rf_backward_options opts = RF_BACKWARD_OPTIONS_INIT;
    rf_tensor *first = rf_sum(w->s, g->y), *second = rf_sum(w->s, rf_exp(w->s, g->y));
    opts.retain = 1;
    assert_ok(w->ctx, rf_backward_with(w->s, first, &opts));
    add_grads(w, g, b);
    assert_ok(w->ctx, rf_backward(w->s, second));
    add_grads(w, g, b);
}

static void form_chosen(world *w, graph *g, bits *b)
{
    rf_tensor *all[] = {g->x, g->w, g->a}; /* leaves, and one between */
    for (unsigned mask = 1; mask < 8; mask++) {
        rf_backward_options opts = RF_BACKWARD_OPTIONS_INIT;
        rf_tensor *v[3], *d[3] = {NULL, NULL, NULL};
        rf_values in = {v, 0}, out = {d, 0};
        for (size_t i = 0; i < 3; i++)
            if (mask & (1u << i))
                v[in.num++] = all[i];
        out.num = in.num;
        opts.retain = 1;
        assert_ok(w->ctx, rf_gradients(w->s, rf_sum(w->s, g->y), &in, &out, &opts));
        for (size_t i = 0; i < out.num; i++)
            add(w, b, d[i]);
    }
    assert_null(rf_grad(g->x));
    assert_null(rf_grad(g->w));
}

static void form_unused(world *w, graph *g, bits *b)
{
    rf_backward_options opts = RF_BACKWARD_OPTIONS_INIT;
    rf_tensor *v[2] = {g->other, g->w}, *d[2];
    opts.retain = 1;
    rf_tensor *loss = rf_sum(w->s, g->y);
    assert_int_not_equal(rf_gradients(w->s, loss, &(rf_values){v, 2}, &(rf_values){d, 2}, &opts),
                         RF_OK);
    rf_scope_clear(w->s);
    opts.allow_unused = 1;
    assert_ok(w->ctx, rf_gradients(w->s, loss, &(rf_values){v, 2}, &(rf_values){d, 2}, &opts));
    assert_null(d[0]);
    add(w, b, d[1]);
}

/* Gradients of gradients, by both calls. */
static void form_recorded(world *w, graph *g, bits *b)
{
    rf_backward_options opts = RF_BACKWARD_OPTIONS_INIT;
    rf_tensor *v[2] = {g->x, g->w}, *d[2];
    opts.create_graph = 1;
    assert_ok(w->ctx, rf_gradients(w->s, rf_sum(w->s, g->y), &(rf_values){v, 2}, &(rf_values){d, 2},
                                   &opts));
    add(w, b, d[0]);
    add(w, b, d[1]);
    rf_tensor *norm = rf_sum(w->s, rf_mul(w->s, d[0], d[1]));
    assert_ok(w->ctx, rf_backward(w->s, norm));
    add_grads(w, g, b);
}

static void form_recorded_thrice(world *w, graph *g, bits *b)
{
    rf_backward_options opts = RF_BACKWARD_OPTIONS_INIT;
    rf_tensor *y = g->y, *d = NULL;
    opts.create_graph = 1;
    for (int order = 1; order <= 3; order++) {
        assert_ok(w->ctx, rf_gradients(w->s, rf_sum(w->s, y), &(rf_values){&g->x, 1},
                                       &(rf_values){&d, 1}, &opts));
        add(w, b, d);
        y = d;
    }
}

static void form_recorded_backward(world *w, graph *g, bits *b)
{
    rf_backward_options opts = RF_BACKWARD_OPTIONS_INIT;
    opts.create_graph = 1;
    assert_ok(w->ctx, rf_backward_with(w->s, rf_sum(w->s, g->y), &opts));
    add_grads(w, g, b);
    rf_tensor *loss = rf_sum(w->s, rf_mul(w->s, rf_grad(g->x), rf_grad(g->w)));
    assert_ok(w->ctx, rf_backward(w->s, loss));
    add_grads(w, g, b);
}

static const struct {
    const char *name;
    void (*run)(world *w, graph *g, bits *b);
} forms[] = {
    {"rf_backward", form_backward},
    {"with a seed", form_seed},
    {"retained", form_retained},
    {"of two results", form_two_results},
    {"rf_gradients of chosen inputs", form_chosen},
    {"an input that is not reached", form_unused},
    {"gradients of gradients", form_recorded},
    {"to the third order", form_recorded_thrice},
    {"rf_backward, recorded", form_recorded_backward},
};

/* A13: all forms, all kinds. */
/* AT-13 */
static void test_a13_every_form_over_every_kind(void **state)
{
    world *w = *state;
    static bits plain, mine; /* too large for a stack */
    for (size_t f = 0; f < sizeof forms / sizeof forms[0]; f++)
        for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
            bits *b = k ? &mine : &plain;
            world sub = *w;
            b->num = 0;
            assert_ok(w->ctx, rf_scope_open(&sub.s, w->ctx, w->s));
            graph g = graph_make(&sub, &kinds[k]);
            forms[f].run(&sub, &g, b);
            rf_scope_close(sub.s);
            if (b->num != plain.num || memcmp(b->v, plain.v, b->num) != 0)
                fail_msg("%s, %s: other bits than plain", forms[f].name, kinds[k].name);
            assert_true(b->num > 0);
            assert_int_equal(world_used(w, RF_MEM_ACTIVATION), 0); /* nothing stays */
            assert_int_equal(world_used(w, RF_MEM_GRAD), 0);
        }
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(test_a13_every_form_over_every_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
