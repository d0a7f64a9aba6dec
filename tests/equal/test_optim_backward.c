/* test_optim_backward.c: the step inside the backward gives the bits of backward, step and clear,
 * whatever is checkpointed and tied, and never holds all gradients. */
#include "support/gpt.h"
#include "support/world.h"

#include <refrain/nn.h>

enum { STEPS = 3, RULES = 5 };

/* ---- equality ---- */

static rf_status rule_make(rf_optim **out, rf_module *m, int rule)
{
    rf_sgd_options sgd = RF_SGD_OPTIONS_INIT;
    rf_adamw_options adamw = RF_ADAMW_OPTIONS_INIT;
    const rf_param_group groups[2] = {{"h.0.*", 0.5, 0.01}, {"*ln_f*", 0, 0}};
    adamw.weight_decay = 0.1;
    adamw.groups = groups;
    adamw.num_groups = rule == 4 ? 2 : 0;
    if (rule >= 3)
        return rf_optim_adamw(out, m, &adamw);
    sgd.lr = 0.05;
    sgd.momentum = rule ? 0.9 : 0;
    sgd.dampening = rule == 1 ? 0.1 : 0;
    sgd.nesterov = rule == 2;
    sgd.weight_decay = 0.01;
    return rf_optim_sgd(out, m, &sgd);
}

/* A hash of all bits of a state, in order. */
static rf_status state_add(void *payload, const char *path, rf_tensor *t)
{
    uint64_t *h = payload;
    const unsigned char *p = rf_tensor_data(t);
    (void)path;
    for (size_t i = 0; i < rf_tensor_bytes(t); i++)
        *h = (*h ^ p[i]) * UINT64_C(0x100000001B3);
    return RF_OK;
}

static uint64_t state_hash(gpt *g)
{
    uint64_t h = UINT64_C(0xCBF29CE484222325) ^ rf_optim_steps(g->optim);
    assert_int_equal(rf_module_each_param(g->model, 0, state_add, &h), RF_OK);
    assert_int_equal(rf_optim_each_state(g->optim, state_add, &h), RF_OK);
    return h;
}

static rf_tensor *batch_loss(gpt *g, rf_scope *s, uint32_t n)
{
    int32_t ids[GPT_BATCH * GPT_CONTEXT + 1];
    int64_t dims[2] = {GPT_BATCH, g->context};
    rf_tensor *in[2], *out = NULL;
    rf_values from = {in, 2}, to = {&out, 1};
    for (uint32_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        ids[i] = (int32_t)((i * i * 7 + n * 13 + i) % 16);
    in[0] = rf_tensor_copy_in(s, RF_I32, 2, dims, ids);
    in[1] = rf_tensor_copy_in(s, RF_I32, 2, dims, ids + 1);
    return rf_module_call(g->model, s, &from, &to) ? NULL : out;
}

static rf_status step_apart(gpt *g, rf_scope *s, rf_tensor *loss)
{
    rf_status status = rf_backward(s, loss);
    if (!status)
        status = rf_optim_step(g->optim);
    rf_optim_zero_grad(g->optim);
    return status;
}

/* Batches number n to n + accumulate - 1 in one step; NULL on failure of the forward. */
static rf_status step_take(gpt *g, uint32_t n, uint32_t accumulate, int together)
{
    rf_context *ctx = rf_module_context(g->model);
    rf_status status = RF_OK;
    for (uint32_t i = 0; i < accumulate && !status; i++) {
        rf_scope *s;
        status = rf_scope_open(&s, ctx, NULL);
        if (status)
            return status;
        rf_tensor *loss = batch_loss(g, s, n + i);
        if (!loss)
            status = rf_context_error(ctx)->code;
        else if (i + 1 < accumulate)
            status = rf_backward(s, loss);
        else
            status = together ? rf_optim_backward(g->optim, s, loss, NULL) : step_apart(g, s, loss);
        rf_scope_close(s);
    }
    return status;
}

static uint64_t train(int form, int rule, uint32_t accumulate, int together)
{
    rf_context *ctx;
    gpt g;
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.seed = 3;
    opts.threads = 1;
    assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
    assert_ok(ctx, gpt_create(&g, ctx, 0.1));
    rf_optim_destroy(g.optim);
    assert_ok(ctx, rule_make(&g.optim, g.model, rule));
    assert_ok(ctx, gpt_apply(&g, form));
    for (uint32_t i = 0; i < STEPS; i++)
        assert_ok(ctx, step_take(&g, i * accumulate, accumulate, together));
    uint64_t h = state_hash(&g);
    gpt_destroy(&g);
    rf_context_destroy(ctx);
    return h;
}

static void test_bits_for_every_rule(void **state)
{
    (void)state;
    for (int rule = 0; rule < RULES; rule++)
        for (uint32_t accumulate = 1; accumulate < 3; accumulate++) {
            uint64_t wanted = train(GPT_PLAIN, rule, accumulate, 0);
            assert_int_equal(train(GPT_PLAIN, rule, accumulate, 1), wanted);
            assert_int_equal(train(GPT_BLOCK, rule, accumulate, 1), wanted);
        }
}

/* The embedding is tied to the last layer: its first use is the last that backward comes to. */
static void test_bits_for_every_form(void **state)
{
    (void)state;
    uint64_t wanted = train(GPT_PLAIN, 3, 1, 0);
    for (int form = GPT_PLAIN; form <= GPT_SEQUENTIAL + GPT_LAYERS - 1; form++)
        assert_int_equal(train(form, 3, 1, 1), wanted);
}

/* ---- who still reads a parameter ---- */

typedef struct trio {
    rf_module *m;
    rf_optim *optim;
    rf_tensor *w, *v, *b;
    int hooked;
} trio;

static rf_status trio_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)m;
    out->v[0] = in->v[0];
    return rf_scope_status(s);
}

static const rf_module_class trio_class = {
    .size = sizeof(rf_module_class), .name = "Trio", .forward = trio_forward};

enum { N = 6 };

static rf_tensor *trio_param(world *w, trio *t, const char *name, double salt, int square)
{
    rf_tensor *x = rf_detach(w->s, world_leaf(w, square ? N : 1, N, salt));
    assert_ok(w->ctx, rf_module_add_param(t->m, name, x));
    return x;
}

static void trio_begin(world *w, trio *t)
{
    rf_sgd_options sgd = RF_SGD_OPTIONS_INIT;
    *t = (trio){0};
    sgd.momentum = 0.9;
    assert_ok(w->ctx, rf_module_create(&t->m, w->ctx, &trio_class, NULL));
    t->w = trio_param(w, t, "w", 0.1, 1);
    t->v = trio_param(w, t, "v", 0.2, 1);
    t->b = trio_param(w, t, "b", 0.3, 0);
    assert_ok(w->ctx, rf_optim_sgd(&t->optim, t->m, &sgd));
}

/* Let go of all graphs. */
static void fresh_scope(world *w)
{
    rf_scope_close(w->s);
    assert_ok(w->ctx, rf_scope_open(&w->s, w->ctx, NULL));
}

static void trio_end(world *w, trio *t)
{
    rf_optim_destroy(t->optim);
    rf_module_destroy(t->m);
    fresh_scope(w);
}

static rf_tensor *trio_input(world *w)
{
    return rf_detach(w->s, world_leaf(w, N, N, 0.05));
}

/* One bias, used at both ends of two regions. */
static rf_status biased_region(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    const trio *t = payload;
    rf_tensor *h = rf_tanh(s, rf_matmul(s, rf_tanh(s, rf_add(s, in->v[0], t->b)), t->w));
    out->v[0] = rf_add(s, h, t->b);
    return rf_scope_status(s);
}

static rf_tensor *loss_biased(world *w, trio *t)
{
    rf_function fn = {biased_region, t, NULL};
    rf_tensor *x = rf_matmul(w->s, trio_input(w), t->v);
    x = world_region(w, fn, x, NULL);
    return rf_sum(w->s, rf_sin(w->s, world_region(w, fn, x, NULL)));
}

static rf_status inner_region(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    const trio *t = payload;
    out->v[0] = rf_add(s, rf_tanh(s, rf_tanh(s, in->v[0])), t->b);
    return rf_scope_status(s);
}

/* The outer function reads b before the inner region does: that is what its recompute reads. */
static rf_status outer_region(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    trio *t = payload;
    rf_tensor *x = rf_tanh(s, rf_mul(s, rf_tanh(s, in->v[0]), t->b));
    rf_values from = {&x, 1};
    return rf_checkpoint_call(s, (rf_function){inner_region, t, NULL}, &from, out, NULL);
}

static rf_tensor *loss_nested(world *w, trio *t)
{
    rf_function fn = {outer_region, t, NULL};
    rf_tensor *x = rf_matmul(w->s, rf_matmul(w->s, trio_input(w), t->v), t->w);
    return rf_sum(w->s, world_region(w, fn, x, NULL));
}

/* Saved without an edge, by a node that runs after the last one with an edge. */
static rf_tensor *loss_detached(world *w, trio *t)
{
    rf_tensor *x = rf_matmul(w->s, rf_add(w->s, trio_input(w), t->b), rf_detach(w->s, t->w));
    return rf_sum(w->s, rf_sin(w->s, rf_matmul(w->s, rf_matmul(w->s, x, t->v), t->w)));
}

/* Through a view, twice, and once more beside. */
static rf_tensor *loss_tied(world *w, trio *t)
{
    rf_tensor *x = rf_matmul(w->s, trio_input(w), t->w);
    x = rf_matmul(w->s, rf_tanh(w->s, x), rf_transpose_axes(w->s, t->w, 0, 1));
    x = rf_add(w->s, rf_matmul(w->s, x, rf_mul(w->s, t->w, t->v)), t->b);
    return rf_sum(w->s, x);
}

/* A branch that the loss does not depend on has saved w too. */
static rf_tensor *loss_branch(world *w, trio *t)
{
    rf_tensor *x = rf_matmul(w->s, rf_add(w->s, trio_input(w), t->b), t->w);
    (void)rf_matmul(w->s, x, t->w);
    return rf_sum(w->s, rf_mul(w->s, x, rf_tanh(w->s, t->v)));
}

/* Only b has a gradient. */
static rf_tensor *loss_partial(world *w, trio *t)
{
    return rf_sum(w->s, rf_tanh(w->s, t->b));
}

/* What a region reads that no edge of the graph tells of. */
typedef enum unseen_read {
    UNSEEN_DETACHED,
    UNSEEN_NO_GRAD,
    UNSEEN_COPIED,
    UNSEEN_READS
} unseen_read;

typedef struct unseen {
    trio *t;
    unseen_read how;
    int nested;
    int regions; /* one after the other */
} unseen;

static rf_tensor *unseen_bias(const unseen *u, rf_scope *s)
{
    float values[N];
    rf_tensor *b = u->t->b;
    if (u->how == UNSEEN_DETACHED)
        return rf_detach(s, b);
    if (u->how == UNSEEN_COPIED)
        return rf_tensor_copy_out(b, values, sizeof values)
                   ? NULL
                   : rf_tensor_copy_in(s, RF_F32, 2, (int64_t[]){1, N}, values);
    rf_scope_set_grad(s, 0);
    b = rf_affine(s, b, 1, 0);
    rf_scope_set_grad(s, 1);
    return b;
}

/* b is added, so that nothing saves it; the recompute reads it for the second tanh. */
static rf_status unseen_region(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    const unseen *u = payload;
    rf_tensor *x = rf_tanh(s, in->v[0]);
    x = rf_tanh(s, rf_add(s, x, unseen_bias(u, s)));
    out->v[0] = rf_mul(s, x, x);
    return rf_scope_status(s);
}

static rf_status unseen_around(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_tensor *x = rf_tanh(s, in->v[0]);
    rf_values from = {&x, 1};
    rf_status status =
        rf_checkpoint_call(s, (rf_function){unseen_region, payload, NULL}, &from, out, NULL);
    out->v[0] = rf_sin(s, out->v[0]);
    return status ? status : rf_scope_status(s);
}

/* Backward comes to what gives b its gradient first, and to the region after that. */
static rf_tensor *loss_unseen(world *w, trio *t, unseen *u)
{
    u->t = t;
    rf_function fn = {u->nested ? unseen_around : unseen_region, u, NULL};
    rf_tensor *x = rf_matmul(w->s, rf_matmul(w->s, trio_input(w), t->v), t->w);
    for (int i = 0; i < u->regions; i++)
        x = world_region(w, fn, x, NULL);
    return rf_sum(w->s, rf_sin(w->s, rf_add(w->s, x, t->b)));
}

static void unseen_run(world *w, unseen u, int together, float *bits)
{
    trio t;
    trio_begin(w, &t);
    for (int i = 0; i < 2; i++) {
        rf_tensor *l = loss_unseen(w, &t, &u);
        assert_ok(w->ctx, rf_scope_status(w->s));
        if (together) {
            assert_ok(w->ctx, rf_optim_backward(t.optim, w->s, l, NULL));
        } else {
            assert_ok(w->ctx, rf_backward(w->s, l));
            assert_ok(w->ctx, rf_optim_step(t.optim));
            rf_optim_zero_grad(t.optim);
        }
    }
    assert_ok(w->ctx, rf_tensor_copy_out(t.w, bits, N * N * sizeof *bits));
    assert_ok(w->ctx, rf_tensor_copy_out(t.v, bits + N * N, N * N * sizeof *bits));
    assert_ok(w->ctx, rf_tensor_copy_out(t.b, bits + 2 * N * N, N * sizeof *bits));
    trio_end(w, &t);
}

static void test_a_parameter_that_is_read_unseen(void **state)
{
    world *w = *state;
    float apart[2 * N * N + N], together[2 * N * N + N];
    for (int how = 0; how < UNSEEN_READS; how++)
        for (int nested = 0; nested < 2; nested++) {
            unseen u = {.how = (unseen_read)how, .nested = nested};
            for (u.regions = 1; u.regions <= 2; u.regions++) {
                unseen_run(w, u, 0, apart);
                unseen_run(w, u, 1, together);
                assert_memory_equal(apart, together, sizeof apart);
            }
        }
}

static rf_status hook_double(void *payload, rf_scope *s, rf_tensor **grad)
{
    ++*(int *)payload;
    *grad = rf_affine(s, *grad, 2, 0);
    return *grad ? RF_OK : rf_scope_status(s);
}

typedef rf_tensor *(*trio_loss)(world *w, trio *t);

/* Two steps; the bytes of the parameters and their momenta are appended to text. */
static size_t trio_run(world *w, trio_loss first, trio_loss loss, int together, float *bits)
{
    trio t;
    size_t n = 0;
    trio_begin(w, &t);
    assert_ok(w->ctx, rf_tensor_add_grad_hook(t.b, (rf_grad_hook){hook_double, &t.hooked, NULL}));
    for (int i = 0; i < 2; i++) {
        if (first) /* leaves gradients behind */
            assert_ok(w->ctx, rf_backward(w->s, first(w, &t)));
        rf_tensor *l = loss(w, &t);
        assert_ok(w->ctx, rf_scope_status(w->s));
        if (together) {
            assert_ok(w->ctx, rf_optim_backward(t.optim, w->s, l, NULL));
        } else {
            assert_ok(w->ctx, rf_backward(w->s, l));
            assert_ok(w->ctx, rf_optim_step(t.optim));
            rf_optim_zero_grad(t.optim);
        }
        assert_null(rf_grad(t.w));
        assert_null(rf_grad(t.b));
    }
    assert_int_equal(t.hooked, first ? 4 : 2);
    assert_int_equal(rf_optim_steps(t.optim), 2);
    rf_tensor *all[3] = {t.w, t.v, t.b};
    for (int i = 0; i < 3; i++) {
        assert_ok(w->ctx, rf_tensor_copy_out(all[i], bits + n, rf_tensor_bytes(all[i])));
        n += rf_tensor_bytes(all[i]) / sizeof *bits;
    }
    trio_end(w, &t);
    return n;
}

static void test_a_parameter_that_is_still_read(void **state)
{
    world *w = *state;
    static const trio_loss losses[] = {loss_biased, loss_nested, loss_detached,
                                       loss_tied,   loss_branch, loss_partial};
    enum { NUM = sizeof losses / sizeof losses[0] };
    float apart[3 * N * N], together[3 * N * N];
    for (size_t i = 0; i < NUM; i++)
        for (size_t first = 0; first <= NUM; first++) {
            trio_loss before = first < NUM ? losses[first] : NULL;
            if (losses[i] == loss_partial && !before)
                before = loss_tied; /* something for w and v */
            size_t n = trio_run(w, before, losses[i], 0, apart);
            trio_run(w, before, losses[i], 1, together);
            assert_memory_equal(apart, together, n * sizeof *apart);
        }
}

/* ---- modules whose last node needs no recompute ---- */

static rf_status bias_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    out->v[0] = rf_add(s, in->v[0], rf_module_param(m, "b"));
    return rf_scope_status(s);
}

static rf_status tail_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_tensor *x = rf_tanh(s, rf_tanh(s, rf_matmul(s, in->v[0], rf_module_param(m, "w"))));
    out->v[0] = rf_module_call1(rf_module_child(m, 0), s, x);
    return rf_scope_status(s);
}

static const rf_module_class bias_class = {
    .size = sizeof(rf_module_class), .name = "Bias", .forward = bias_forward};
static const rf_module_class tail_class = {
    .size = sizeof(rf_module_class), .name = "Tail", .forward = tail_forward};

static void tail_run(world *w, int form, int together, float *bits)
{
    trio t = {0};
    rf_module *bias;
    assert_ok(w->ctx, rf_module_create(&t.m, w->ctx, &tail_class, NULL));
    t.w = trio_param(w, &t, "w", 0.1, 1);
    assert_ok(w->ctx, rf_module_create(&bias, w->ctx, &bias_class, NULL));
    t.b = rf_detach(w->s, world_leaf(w, 1, N, 0.3));
    assert_ok(w->ctx, rf_module_add_param(bias, "b", t.b));
    assert_ok(w->ctx, rf_module_add_child(t.m, "bias", bias));
    assert_ok(w->ctx, rf_optim_sgd(&t.optim, t.m, NULL));
    if (form & 1)
        assert_ok(w->ctx, rf_checkpoint(t.m, NULL));
    if (form & 2)
        assert_ok(w->ctx, rf_checkpoint(bias, NULL));
    rf_tensor *loss = rf_sum(w->s, rf_module_call1(t.m, w->s, trio_input(w)));
    if (together) {
        assert_ok(w->ctx, rf_optim_backward(t.optim, w->s, loss, NULL));
    } else {
        assert_ok(w->ctx, rf_backward(w->s, loss));
        assert_ok(w->ctx, rf_optim_step(t.optim));
    }
    assert_ok(w->ctx, rf_tensor_copy_out(t.w, bits, N * N * sizeof *bits));
    assert_ok(w->ctx, rf_tensor_copy_out(t.b, bits + N * N, N * sizeof *bits));
    trio_end(w, &t);
}

/* The bias's gradient is whole before the region has run again. */
static void test_a_bias_that_a_recompute_still_reads(void **state)
{
    world *w = *state;
    float wanted[N * N + N], bits[N * N + N];
    tail_run(w, 0, 0, wanted);
    for (int form = 0; form < 4; form++) {
        tail_run(w, form, 1, bits);
        assert_memory_equal(bits, wanted, sizeof bits);
    }
}

/* A module that has w, and does not use it. */
static rf_status idle_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)m;
    out->v[0] = rf_tanh(s, rf_tanh(s, in->v[0]));
    return rf_scope_status(s);
}

static const rf_module_class idle_class = {
    .size = sizeof(rf_module_class), .name = "Idle", .forward = idle_forward};

static void idle_run(world *w, int regions, int together, float *bits)
{
    trio t = {0};
    assert_ok(w->ctx, rf_module_create(&t.m, w->ctx, &idle_class, NULL));
    t.w = trio_param(w, &t, "w", 0.1, 1);
    t.v = trio_param(w, &t, "v", 0.2, 1);
    assert_ok(w->ctx, rf_optim_sgd(&t.optim, t.m, NULL));
    if (regions)
        assert_ok(w->ctx, rf_checkpoint(t.m, NULL));
    rf_tensor *x = rf_module_call1(t.m, w->s, rf_matmul(w->s, trio_input(w), t.v));
    rf_tensor *loss = rf_sum(w->s, rf_matmul(w->s, x, t.w));
    if (together) {
        assert_ok(w->ctx, rf_optim_backward(t.optim, w->s, loss, NULL));
    } else {
        assert_ok(w->ctx, rf_backward(w->s, loss));
        assert_ok(w->ctx, rf_optim_step(t.optim));
    }
    assert_ok(w->ctx, rf_tensor_copy_out(t.w, bits, N * N * sizeof *bits));
    assert_ok(w->ctx, rf_tensor_copy_out(t.v, bits + N * N, N * N * sizeof *bits));
    trio_end(w, &t);
}

/* What a region's module has may not change while it waits, used or not. */
static void test_a_parameter_of_a_module_that_does_not_use_it(void **state)
{
    world *w = *state;
    float wanted[2 * N * N], bits[2 * N * N];
    idle_run(w, 0, 0, wanted);
    for (int regions = 0; regions < 2; regions++) {
        idle_run(w, regions, 1, bits);
        assert_memory_equal(bits, wanted, sizeof bits);
    }
}

/* ---- what is refused ---- */

static rf_status hook_backward(void *payload, rf_scope *s, rf_tensor **grad)
{
    trio *t = payload;
    (void)grad;
    t->hooked++;
    return rf_optim_backward(t->optim, s, rf_sum(s, rf_sin(s, t->v)), NULL);
}

static rf_status hook_more(void *payload, rf_scope *s, rf_tensor **grad)
{
    trio *t = payload;
    (void)grad;
    rf_scope_set_grad(s, 1);
    return rf_backward(s, rf_sum(s, rf_sin(s, t->w)));
}

static rf_status region_backward(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    trio *t = payload;
    out->v[0] = rf_sin(s, in->v[0]);
    t->hooked++;
    return rf_optim_backward(t->optim, s, rf_sum(s, rf_sin(s, t->v)), NULL);
}

static void test_what_is_refused(void **state)
{
    world *w = *state;
    trio t;
    rf_optim_backward_options opts = RF_OPTIM_BACKWARD_OPTIONS_INIT;
    trio_begin(w, &t);
    opts.max_norm = 1;
    assert_int_equal(rf_optim_backward(t.optim, w->s, loss_tied(w, &t), &opts), RF_E_UNSUPPORTED);
    assert_non_null(strstr(rf_context_error(w->ctx)->message, "max_norm"));
    opts.max_norm = 0;
    opts.size++;
    assert_int_equal(rf_optim_backward(t.optim, w->s, loss_tied(w, &t), &opts), RF_E_ARGUMENT);
    assert_int_equal(rf_optim_backward(t.optim, w->s, trio_input(w), NULL), RF_E_STATE);
    rf_tensor *x = rf_sin(w->s, t.b);
    assert_null(world_region(w, (rf_function){region_backward, &t, NULL}, x, NULL));
    assert_int_equal(rf_context_error(w->ctx)->code, RF_E_STATE);
    assert_int_equal(rf_optim_steps(t.optim), 0);
    fresh_scope(w);
    x = rf_sin(w->s, t.b);
    assert_ok(w->ctx, rf_tensor_add_grad_hook(x, (rf_grad_hook){hook_backward, &t, NULL}));
    assert_int_equal(rf_optim_backward(t.optim, w->s, rf_sum(w->s, x), NULL), RF_E_STATE);
    assert_int_equal(t.hooked, 2);
    fresh_scope(w);
    rf_optim_zero_grad(t.optim);
    /* w is whole, applied; then a hook gives it a gradient of its own */
    x = rf_sin(w->s, t.b);
    assert_ok(w->ctx, rf_tensor_add_grad_hook(x, (rf_grad_hook){hook_more, &t, NULL}));
    x = rf_sum(w->s, rf_mul(w->s, x, t.w));
    assert_int_equal(rf_optim_backward(t.optim, w->s, x, NULL), RF_E_STATE);
    assert_non_null(strstr(rf_context_error(w->ctx)->message, "w got another gradient"));
    trio_end(w, &t);
}

static void test_a_seed(void **state)
{
    world *w = *state;
    float bits[2][N];
    for (int i = 0; i < 2; i++) {
        trio t;
        trio_begin(w, &t);
        rf_tensor *y = rf_sin(w->s, t.b), *seed = rf_detach(w->s, world_leaf(w, 1, N, 0.4));
        if (i) {
            rf_optim_backward_options opts = RF_OPTIM_BACKWARD_OPTIONS_INIT;
            opts.seed = seed;
            assert_ok(w->ctx, rf_optim_backward(t.optim, w->s, y, &opts));
        } else {
            rf_backward_options opts = RF_BACKWARD_OPTIONS_INIT;
            opts.seed = seed;
            assert_ok(w->ctx, rf_backward_with(w->s, y, &opts));
            assert_ok(w->ctx, rf_optim_step(t.optim));
        }
        assert_ok(w->ctx, rf_tensor_copy_out(t.b, bits[i], sizeof bits[i]));
        trio_end(w, &t);
    }
    assert_memory_equal(bits[0], bits[1], sizeof bits[0]);
}

/* ---- bytes ---- */

enum { LAYERS = 6, WIDTH = 16, ROWS = 4 };

static uint64_t gradient_peak(int regions, int together, uint64_t *activations)
{
    world w;
    rf_module *m, *layer;
    rf_optim *optim;
    rf_memory_info info;
    assert_int_equal(rf_context_create(&w.ctx, NULL), RF_OK);
    assert_ok(w.ctx, rf_scope_open(&w.s, w.ctx, NULL));
    assert_ok(w.ctx, rf_nn_sequential(&m, w.ctx));
    for (int i = 0; i < LAYERS; i++) {
        assert_ok(w.ctx, rf_nn_linear(&layer, w.ctx, WIDTH, WIDTH, 0));
        assert_ok(w.ctx, rf_nn_sequential_add(m, layer));
        assert_ok(w.ctx, rf_nn_activation(&layer, w.ctx, RF_ACTIVATION_TANH));
        assert_ok(w.ctx, rf_nn_sequential_add(m, layer));
    }
    if (regions)
        assert_ok(w.ctx, rf_checkpoint_sequential(m, (size_t)regions, NULL));
    assert_ok(w.ctx, rf_optim_sgd(&optim, m, NULL));
    rf_tensor *x = rf_detach(w.s, world_leaf(&w, ROWS, WIDTH, 0.1));
    /* What regions read before, that are done, is no reason to wait. */
    assert_ok(w.ctx, rf_backward(w.s, rf_sum(w.s, rf_module_call1(m, w.s, x))));
    rf_optim_zero_grad(optim);
    rf_tensor *loss = rf_sum(w.s, rf_module_call1(m, w.s, x));
    rf_memory_reset_peak(w.ctx);
    if (together)
        assert_ok(w.ctx, rf_optim_backward(optim, w.s, loss, NULL));
    else
        assert_ok(w.ctx, rf_backward(w.s, loss));
    assert_ok(w.ctx, rf_memory_get(w.ctx, RF_DEVICE_CPU, RF_MEM_ACTIVATION, &info));
    *activations = info.peak;
    assert_ok(w.ctx, rf_memory_get(w.ctx, RF_DEVICE_CPU, RF_MEM_GRAD, &info));
    rf_optim_destroy(optim);
    rf_module_destroy(m);
    rf_scope_close(w.s);
    rf_context_destroy(w.ctx);
    return info.peak;
}

static void test_peak_of_gradients(void **state)
{
    const uint64_t weight = WIDTH * WIDTH * sizeof(float), layer = weight + WIDTH * sizeof(float);
    uint64_t apart, together;
    (void)state;
    assert_int_equal(gradient_peak(0, 0, &apart), LAYERS * layer);
    assert_int_equal(gradient_peak(0, 1, &together), weight); /* one, as bias follows weight */
    assert_int_equal(together, apart);
    /* regions of two layers: the upper one is held until the region is done, with the lower weight
     */
    assert_int_equal(gradient_peak(3, 0, &apart), LAYERS * layer);
    assert_int_equal(gradient_peak(3, 1, &together), layer + weight);
    assert_int_equal(together, apart);
}

/* ---- failures ---- */

typedef struct snapshot {
    unsigned char *bits;
    size_t num;
} snapshot;

static rf_status snapshot_add(void *payload, const char *path, rf_tensor *t)
{
    snapshot *shot = payload;
    size_t bytes = rf_tensor_bytes(t);
    (void)path;
    shot->bits = realloc(shot->bits, shot->num + bytes);
    memcpy(shot->bits + shot->num, rf_tensor_data(t), bytes);
    shot->num += bytes;
    return RF_OK;
}

typedef struct compare {
    const snapshot *before, *after;
    const int64_t *counts;
    size_t at, index, moved;
} compare;

/* Every parameter is what it was or what a step makes of it, as its counter says. */
static rf_status compare_one(void *payload, const char *path, rf_tensor *t)
{
    compare *c = payload;
    const snapshot *now = c->counts[c->index] == 2 ? c->after : c->before;
    (void)path;
    assert_memory_equal(rf_tensor_data(t), now->bits + c->at, rf_tensor_bytes(t));
    c->moved += now == c->after;
    c->at += rf_tensor_bytes(t);
    c->index++;
    return RF_OK;
}

static rf_status find_counts(void *payload, const char *path, rf_tensor *t)
{
    if (!strcmp(path, "step"))
        *(const int64_t **)payload = rf_tensor_data(t);
    return RF_OK;
}

/* A tiny GPT with one step taken, all blocks checkpointed. */
static void fault_begin(gpt *g, rf_context **ctx, counting *c, rf_device moments)
{
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_adamw_options adamw = RF_ADAMW_OPTIONS_INIT;
    adamw.moments = moments;
    opts.alloc = counting_alloc;
    opts.alloc_payload = c;
    opts.threads = 1;
    opts.isa = "portable";
    assert_int_equal(rf_context_create(ctx, &opts), RF_OK);
    assert_ok(*ctx, gpt_create_tiny(g, *ctx));
    rf_optim_destroy(g->optim);
    assert_ok(*ctx, rf_optim_adamw(&g->optim, g->model, &adamw));
    assert_ok(*ctx, gpt_apply(g, GPT_BLOCK));
    assert_ok(*ctx, step_take(g, 0, 1, 1));
}

static void every_failing_allocation(rf_device moments)
{
    snapshot before = {NULL, 0}, after = {NULL, 0};
    size_t mixed = 0;
    for (uint64_t k = 0;; k += k < 400 ? 1 : 7) {
        counting c = {0};
        rf_context *ctx;
        gpt g;
        fault_begin(&g, &ctx, &c, moments);
        if (!k)
            assert_ok(ctx, rf_module_each_param(g.model, 0, snapshot_add, &before));
        c.fail_at = k ? c.made + k : 0;
        rf_status status = step_take(&g, 1, 1, 1);
        int reached = !k || c.made >= c.fail_at;
        c.fail_at = 0;
        if (!k)
            assert_ok(ctx, rf_module_each_param(g.model, 0, snapshot_add, &after));
        compare cmp = {.before = &before, .after = &after};
        assert_int_equal(rf_optim_each_state(g.optim, find_counts, (void *)&cmp.counts), RF_OK);
        assert_int_equal(rf_module_each_param(g.model, 0, compare_one, &cmp), RF_OK);
        assert_int_equal(rf_optim_steps(g.optim), status ? 1 : 2);
        if (!status)
            assert_int_equal(cmp.moved, cmp.index);
        mixed += cmp.moved && cmp.moved < cmp.index;
        rf_optim_zero_grad(g.optim);
        assert_ok(ctx, step_take(&g, 2, 1, 1));
        gpt_destroy(&g);
        rf_context_destroy(ctx);
        assert_int_equal(c.live, 0);
        if (!reached)
            break;
    }
    assert_true(mixed > 0);
    free(before.bits);
    free(after.bits);
}

static void test_every_failing_allocation(void **state)
{
    (void)state;
    every_failing_allocation(RF_DEVICE_CPU);
    every_failing_allocation(RF_DEVICE_FILE);
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits_for_every_rule),
        cmocka_unit_test(test_bits_for_every_form),
        ROW(test_a_parameter_that_is_still_read),
        ROW(test_a_parameter_that_is_read_unseen),
        ROW(test_a_bias_that_a_recompute_still_reads),
        ROW(test_a_parameter_of_a_module_that_does_not_use_it),
        ROW(test_what_is_refused),
        ROW(test_a_seed),
        cmocka_unit_test(test_peak_of_gradients),
        cmocka_unit_test(test_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
