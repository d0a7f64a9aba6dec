/* test_from_pytorch.c: docs/from-pytorch.md, row by row. What its right column says is done here,
 * so that it compiles and does what the left column does; a row of the page that is not here fails,
 * and so does a name in its right column that is not used here. */
#include "support/files.h"
#include "support/world.h"

#include <refrain/refrain.h>

#include <ctype.h>
#include <stdio.h>

enum { N = 4 };

/* ---- what the rows work on ---- */

typedef struct count {
    int calls, entered, left, chosen, kept;
    rf_pass pass;
    uint64_t region;
    rf_fate fate;
} count;

/* y = exp(sin(x)): sin is computed again if a recompute is needed. */
static rf_status sine(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    count *c = payload;
    c->calls++;
    c->pass = rf_pass_current(s);
    assert_int_equal(rf_context_pass(rf_scope_context(s)), c->pass);
    c->region = rf_context_region(rf_scope_context(s));
    out->v[0] = rf_exp(s, rf_sin(s, in->v[0]));
    return rf_scope_status(s);
}

/* The checkpointed sine with opts, forward and backward; how often sin was computed. */
static uint64_t sines(world *w, count *c, const rf_checkpoint_options *opts)
{
    rf_function fn = {sine, c, NULL};
    rf_tensor *x = world_leaf(w, N, N, 0.2);
    rf_op_counts_reset(w->ctx);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, world_region(w, fn, x, opts))));
    return world_executed(w, "sin");
}

static rf_module *row_of_linears(world *w, int num)
{
    rf_module *row, *m;
    assert_ok(w->ctx, rf_nn_sequential(&row, w->ctx));
    for (int i = 0; i < num; i++) {
        assert_ok(w->ctx, rf_nn_linear(&m, w->ctx, N, N, 0));
        assert_ok(w->ctx, rf_nn_sequential_add(row, m));
        assert_ok(w->ctx, rf_nn_activation(&m, w->ctx, RF_ACTIVATION_TANH));
        assert_ok(w->ctx, rf_nn_sequential_add(row, m));
    }
    return row;
}

/* Forward and backward; how often op was computed. */
static uint64_t module_step(world *w, rf_module *m, const char *op)
{
    rf_op_counts_reset(w->ctx);
    rf_tensor *loss = rf_sum(w->s, rf_module_call1(m, w->s, world_leaf(w, N, N, 0.1)));
    assert_ok(w->ctx, rf_backward(w->s, loss));
    return world_executed(w, op);
}

/* ---- torch.utils.checkpoint ---- */

static void use_checkpoint(world *w)
{
    count c = {0};
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    rf_function fn = {sine, &c, NULL};
    rf_scope *s = w->s;
    rf_tensor *x = world_leaf(w, N, N, 0.2), *y = NULL;
    rf_values *in = &(rf_values){&x, 1}, *out = &(rf_values){&y, 1};
    assert_ok(w->ctx, rf_checkpoint_call(s, fn, in, out, &opts));
    assert_ok(w->ctx, rf_backward(s, rf_sum(s, y)));
    assert_int_equal(c.calls, 2);
}

static rf_status drop(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)payload;
    out->v[0] = rf_exp(s, rf_dropout(s, rf_sin(s, in->v[0]), 0.5));
    return rf_scope_status(s);
}

/* Whether a recompute under another state of the generator has the gradients of a plain run. */
static int drop_is_replayed(world *w, const rf_checkpoint_options *opts)
{
    void *bits[2];
    rf_function fn = {drop, NULL, NULL};
    for (int region = 0; region < 2; region++) {
        rf_tensor *x = world_leaf(w, N, N, 0.2);
        rf_context_set_rng(w->ctx, (rf_rng){7, 0});
        rf_tensor *y = region ? world_region(w, fn, x, opts) : world_plain(w, fn, x);
        rf_context_set_rng(w->ctx, (rf_rng){8, 0});
        assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
        bits[region] = world_bytes(w, rf_grad(x));
    }
    int same = memcmp(bits[0], bits[1], N * N * sizeof(float)) == 0;
    free(bits[0]);
    free(bits[1]);
    return same;
}

static void use_preserve(world *w)
{
    assert_true(drop_is_replayed(w, NULL));
    assert_int_equal(sizeof(rf_rng), 16);
}

static void use_no_preserve(world *w)
{
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.fresh_random = 1;
    assert_false(drop_is_replayed(w, &opts));
}

static rf_status region_enter(void *payload, rf_scope *s, rf_pass pass)
{
    count *c = payload;
    (void)s;
    c->entered += pass == RF_PASS_FORWARD ? 1 : 10;
    return RF_OK;
}

static void region_leave(void *payload, rf_scope *s, rf_pass pass, rf_status status)
{
    (void)s;
    (void)status;
    ((count *)payload)->left += pass == RF_PASS_FORWARD ? 1 : 10;
}

static void use_contexts(world *w)
{
    count c = {0};
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.hooks = (rf_region_hooks){region_enter, region_leave, &c, NULL};
    sines(w, &c, &opts);
    assert_int_equal(c.entered, 11);
    assert_int_equal(c.left, 11);
}

/* The recompute goes another way: 1 other elements, 2 another shape, 3 a value less, 4 one more. */
static rf_status waver(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    int what = rf_pass_current(s) == RF_PASS_RECOMPUTE ? *(const int *)payload : 0;
    rf_tensor *x = rf_affine(s, in->v[0], 1, what == 1 ? 0.5 : 0);
    if (what == 2)
        x = rf_reshape(s, x, 1, (int64_t[]){N * N});
    x = rf_sin(s, x);
    if (what == 2)
        x = rf_reshape(s, x, 2, (int64_t[]){N, N});
    if (what != 3)
        x = rf_exp(s, x);
    out->v[0] = what == 4 ? rf_exp(s, x) : x;
    return rf_scope_status(s);
}

static rf_status waver_backward(world *w, int what, rf_verify verify, int debug)
{
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.verify = verify;
    opts.debug = debug;
    opts.no_early_stop = what == 4;
    rf_tensor *x = world_leaf(w, N, N, 0.2);
    rf_tensor *y = world_region(w, (rf_function){waver, &what, NULL}, x, &opts);
    rf_status status = rf_backward(w->s, rf_sum(w->s, y));
    rf_scope_clear(w->s);
    return status;
}

static void use_determinism(world *w)
{
    assert_int_equal(waver_backward(w, 2, RF_VERIFY_DEFAULT, 0), RF_E_REPLAY_META);
    assert_int_equal(waver_backward(w, 2, RF_VERIFY_SHAPES, 0), RF_E_REPLAY_META);
}

static void use_no_determinism(world *w)
{
    assert_int_equal(waver_backward(w, 2, RF_VERIFY_NONE, 0), RF_E_SHAPE); /* wherever it shows */
}

static void use_verify(world *w)
{
    assert_int_equal(waver_backward(w, 1, RF_VERIFY_SHAPES, 0), RF_OK);
    assert_int_equal(waver_backward(w, 1, RF_VERIFY_SAMPLED, 0), RF_E_REPLAY_VALUE);
    assert_int_equal(waver_backward(w, 1, RF_VERIFY_VALUES, 0), RF_E_REPLAY_VALUE);
}

static void use_debug(world *w)
{
    rf_mismatch_op op;
    assert_int_equal(waver_backward(w, 2, RF_VERIFY_DEFAULT, 1), RF_E_REPLAY_META);
    assert_int_equal(rf_mismatch_num(w->ctx, RF_PASS_FORWARD), 3);
    assert_int_equal(rf_mismatch_first(w->ctx), 1);
    assert_ok(w->ctx, rf_mismatch_at(w->ctx, RF_PASS_RECOMPUTE, 1, &op));
    assert_string_equal(op.op, "reshape");
}

/* An op whose result nobody needs again is computed again without early stop only. */
static void use_no_early_stop(world *w)
{
    count c = {0};
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    sines(w, &c, &opts);
    assert_int_equal(world_executed(w, "exp"), 2);
    opts.no_early_stop = 1;
    opts.fates = "keep=exp";
    assert_int_equal(sines(w, &c, &opts), 2);
    opts.no_early_stop = 0;
    assert_int_equal(sines(w, &c, &opts), 1);
}

static void use_set_early_stop(world *w)
{
    count c = {0};
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.fates = "keep=exp";
    rf_scope_set_early_stop(w->s, 0);
    assert_int_equal(sines(w, &c, &opts), 2);
    rf_scope_set_early_stop(w->s, -1);
    assert_int_equal(sines(w, &c, &opts), 1);
}

static rf_status two(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    ((count *)payload)->calls++;
    for (int i = 0; i < 2; i++)
        out->v[i] = rf_exp(s, rf_sin(s, in->v[0]));
    return rf_scope_status(s);
}

static void use_group(world *w)
{
    count c = {0};
    rf_backward_group *group;
    rf_tensor *x = world_leaf(w, N, N, 0.2), *y[2];
    assert_ok(w->ctx, rf_checkpoint_call(w->s, (rf_function){two, &c, NULL}, &(rf_values){&x, 1},
                                         &(rf_values){y, 2}, NULL));
    assert_ok(w->ctx, rf_backward_group_open(&group, w->ctx, "both"));
    for (int i = 0; i < 2; i++)
        assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y[i])));
    rf_backward_group_close(group);
    assert_int_equal(c.calls, 2);
}

static void use_sequential(world *w)
{
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    rf_module *row = row_of_linears(w, 2);
    size_t segments = 2;
    assert_ok(w->ctx, rf_checkpoint_sequential(row, segments, &opts));
    assert_int_equal(module_step(w, row, "tanh"), 3); /* not the last segment's */
    rf_module_destroy(row);
}

static void use_sequential_tail(world *w)
{
    rf_sequential_options opts = RF_SEQUENTIAL_OPTIONS_INIT;
    rf_module *row = row_of_linears(w, 2);
    rf_segment last;
    opts.segments = 2;
    opts.tail = 1;
    assert_ok(w->ctx, rf_checkpoint_sequential_with(row, &opts));
    assert_int_equal(module_step(w, row, "tanh"), 4);
    assert_ok(w->ctx, rf_checkpoint_sequential_report(row, 1, &last));
    assert_true(last.first == 2 && last.count == 2 && last.checkpointed);
    rf_module_destroy(row);
}

static void use_ranges(world *w)
{
    static const rf_range ranges[] = {{.first = 0, .count = 4}, {.first = 2, .count = 2}};
    rf_module *row = row_of_linears(w, 3);
    assert_ok(w->ctx, rf_checkpoint_ranges(row, ranges, 2, NULL));
    assert_int_equal(module_step(w, row, "tanh"), 3 + 2); /* each of two once more */
    rf_module_destroy(row);
}

static void use_errors(world *w)
{
    assert_int_equal(waver_backward(w, 3, RF_VERIFY_SHAPES, 0), RF_E_REPLAY_FEWER);
    assert_int_equal(waver_backward(w, 4, RF_VERIFY_SHAPES, 0), RF_E_REPLAY_MORE);
    assert_int_equal(waver_backward(w, 2, RF_VERIFY_SHAPES, 0), RF_E_REPLAY_META);
    assert_int_equal(waver_backward(w, 1, RF_VERIFY_VALUES, 0), RF_E_REPLAY_VALUE);
}

static void use_pass(world *w)
{
    count c = {0};
    sines(w, &c, NULL);
    assert_int_equal(c.pass, RF_PASS_RECOMPUTE);
    assert_true(c.region > 0);
    assert_int_equal(rf_pass_current(w->s), RF_PASS_PLAIN);
}

/* ---- selective checkpointing ---- */

static void use_fates(world *w)
{
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    rf_module *row = row_of_linears(w, 1);
    opts.fates = "keep=matmul,linear";
    assert_ok(w->ctx, rf_checkpoint(row, &opts));
    assert_int_equal(module_step(w, row, "tanh"), 2);
    assert_int_equal(world_executed(w, "linear"), 1);
    rf_module_destroy(row);
}

static rf_status choose(void *payload, const rf_policy_op *op, rf_fate *fate)
{
    count *c = payload;
    float first[N * N];
    c->chosen++;
    c->kept += !rf_tensor_copy_out(op->out->v[0], first, sizeof first);
    assert_string_not_equal(op->op, "reshape");
    *fate = strcmp(op->op, "sin") ? RF_FATE_RECOMPUTE : c->fate;
    return RF_OK;
}

/* How often sin was computed where the policy gives it that fate. */
static uint64_t sines_with_fate(world *w, count *c, rf_fate fate)
{
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    *c = (count){.fate = fate};
    opts.policy = (rf_policy){choose, c, NULL};
    return sines(w, c, &opts);
}

static void use_policy(world *w)
{
    count c;
    assert_int_equal(sines_with_fate(w, &c, RF_FATE_KEEP), 1);
    assert_int_equal(c.chosen, 2);
}

static void use_keep(world *w)
{
    count c;
    assert_int_equal(sines_with_fate(w, &c, RF_FATE_KEEP), 1);
}

static void use_recompute(world *w)
{
    count c;
    assert_int_equal(sines_with_fate(w, &c, RF_FATE_RECOMPUTE), 2);
}

static void use_offload(world *w)
{
    static const rf_fate fates[] = {RF_FATE_HOST, RF_FATE_FILE};
    for (int i = 0; i < 2; i++) {
        count c;
        assert_int_equal(sines_with_fate(w, &c, fates[i]), 1);
    }
}

static void use_asked_in_forward(world *w)
{
    count c;
    sines_with_fate(w, &c, RF_FATE_RECOMPUTE);
    assert_int_equal(c.calls, 2);
    assert_int_equal(c.chosen, 2); /* sin and exp, once each */
}

static void use_op_output(world *w)
{
    count c;
    sines_with_fate(w, &c, RF_FATE_KEEP);
    assert_int_equal(c.kept, 2); /* what was read */
}

/* payload gets its sine, held. */
static rf_status show_sine(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    rf_tensor *h = rf_sin(s, in->v[0]);
    if (rf_pass_current(s) == RF_PASS_FORWARD)
        *(rf_tensor **)payload = rf_tensor_hold(h);
    out->v[0] = rf_sin(s, h);
    return rf_scope_status(s);
}

static void use_changed(world *w)
{
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    rf_tensor *x = world_leaf(w, N, N, 0.2), *kept = NULL;
    opts.fates = "keep=sin";
    rf_tensor *y = world_region(w, (rf_function){show_sine, &kept, NULL}, x, &opts);
    rf_tensor_touch(kept);
    assert_int_equal(rf_backward(w->s, rf_sum(w->s, y)), RF_E_MUTATED);
    rf_tensor_drop(kept);
    rf_scope_clear(w->s);
}

static rf_status with_views(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    (void)payload;
    rf_tensor *x = rf_reshape(s, in->v[0], 1, (int64_t[]){N * N});
    out->v[0] = rf_reshape(s, rf_add_inplace(s, rf_sin(s, x), x), 2, (int64_t[]){N, N});
    return rf_scope_status(s);
}

static void use_ignored(world *w)
{
    count c = {.fate = RF_FATE_RECOMPUTE};
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    opts.policy = (rf_policy){choose, &c, NULL};
    assert_non_null(
        world_region(w, (rf_function){with_views, NULL, NULL}, world_leaf(w, N, N, 0.2), &opts));
    assert_int_equal(c.chosen, 1); /* sin; not two reshapes and an addition in place */
}

/* ---- saved tensors ---- */

static rf_status pack(void *payload, rf_scope *s, rf_tensor *value, rf_tensor **packed, void **box)
{
    (void)s;
    (void)box;
    ((count *)payload)->entered++;
    *packed = value;
    return RF_OK;
}

static rf_status unpack(void *payload, rf_scope *s, rf_tensor *packed, void *box, rf_tensor **value)
{
    (void)s;
    (void)box;
    ((count *)payload)->left++;
    *value = packed;
    return RF_OK;
}

static void sine_backward(world *w)
{
    rf_tensor *x = world_leaf(w, N, N, 0.2);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, rf_sin(w->s, x))));
}

static void use_saved_hooks(world *w)
{
    count c = {0};
    rf_saved_hooks hooks = {pack, unpack, NULL, &c, NULL, 0};
    assert_ok(w->ctx, rf_scope_push_saved_hooks(w->s, hooks));
    sine_backward(w);
    assert_ok(w->ctx, rf_scope_pop_saved_hooks(w->s));
    sine_backward(w);
    assert_true(c.entered == 1 && c.left == 1);
}

static void use_stacked_hooks(world *w)
{
    count outer = {0}, inner = {0};
    rf_saved_hooks hooks[2] = {{pack, unpack, NULL, &outer, NULL, 0},
                               {pack, unpack, NULL, &inner, NULL, 0}};
    hooks[1].stacked = 1;
    for (int i = 0; i < 2; i++)
        assert_ok(w->ctx, rf_scope_push_saved_hooks(w->s, hooks[i]));
    sine_backward(w);
    for (int i = 0; i < 2; i++)
        assert_ok(w->ctx, rf_scope_pop_saved_hooks(w->s));
    assert_true(outer.entered == 1 && inner.entered == 1);
}

static void use_refuse_hooks(world *w)
{
    count c = {0};
    rf_saved_hooks hooks = {pack, unpack, NULL, &c, NULL, 0};
    rf_scope_refuse_saved_hooks(w->s, "not now");
    assert_int_equal(rf_scope_push_saved_hooks(w->s, hooks), RF_E_STATE);
    rf_scope_refuse_saved_hooks(w->s, NULL);
    assert_ok(w->ctx, rf_scope_push_saved_hooks(w->s, hooks));
    assert_ok(w->ctx, rf_scope_pop_saved_hooks(w->s));
}

static void use_save_on_cpu(world *w)
{
    rf_memory_info host;
    assert_ok(w->ctx, rf_scope_push_saved_tier(w->s, RF_DEVICE_HOST));
    rf_tensor *h = rf_exp(w->s, world_leaf(w, N, N, 0.2)), *y = rf_sin(w->s, h);
    assert_ok(w->ctx, rf_memory_get(w->ctx, RF_DEVICE_HOST, RF_MEM_ALL, &host));
    assert_true(host.used > 0);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
    assert_ok(w->ctx, rf_scope_pop_saved_hooks(w->s));
}

static void use_guard(world *w)
{
    rf_mutation_guard *guard;
    assert_ok(w->ctx, rf_mutation_guard_open(&guard, w->ctx));
    rf_tensor *h = rf_affine(w->s, world_leaf(w, N, N, 0.2), 2, 0), *y = rf_sin(w->s, h);
    h = rf_add_inplace(w->s, h, rf_detach(w->s, y));
    assert_non_null(h);
    assert_int_equal(rf_mutation_guard_clones(guard), 1);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
    rf_mutation_guard_close(guard);
}

/* ---- wrappers and composable APIs ---- */

static void use_wrapper(world *w)
{
    rf_module *m = row_of_linears(w, 1);
    assert_int_equal(module_step(w, m, "tanh"), 1);
    assert_ok(w->ctx, rf_checkpoint(m, NULL));
    assert_int_equal(module_step(w, m, "tanh"), 2);
    assert_non_null(rf_module_param(m, "0.weight")); /* the name that it had */
    rf_module_destroy(m);
}

static void use_unwrap(world *w)
{
    rf_module *m = row_of_linears(w, 1);
    assert_ok(w->ctx, rf_checkpoint(m, NULL));
    assert_ok(w->ctx, rf_checkpoint_clear(m));
    assert_int_equal(module_step(w, m, "tanh"), 1);
    rf_module_destroy(m);
}

static int is_linear(void *payload, const char *path, rf_module *m)
{
    (void)payload;
    (void)path;
    return strcmp(rf_module_class_of(m)->name, "Linear") == 0;
}

static void use_apply(world *w)
{
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    rf_module *model = row_of_linears(w, 3);
    rf_module_predicate which = {is_linear, NULL};
    size_t applied;
    assert_ok(w->ctx, rf_checkpoint_where(model, which, &opts, &applied));
    assert_int_equal(applied, 3);
    rf_module_destroy(model);
}

static void use_offload_wrapper(world *w)
{
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    rf_module *m = row_of_linears(w, 2);
    opts.fates = "host=*";
    assert_ok(w->ctx, rf_checkpoint(m, &opts));
    assert_int_equal(module_step(w, m, "tanh"), 2); /* as often as there are: none again */
    rf_module_destroy(m);
}

static void use_composable(world *w)
{
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    rf_module *m = row_of_linears(w, 1);
    assert_ok(w->ctx, rf_checkpoint(m, &opts));
    assert_int_equal(rf_checkpoint(m, &opts), RF_E_APPLIED);
    rf_module_destroy(m);
}

static void use_state(world *w)
{
    rf_module *m = row_of_linears(w, 1);
    assert_null(rf_api_state(&rf_checkpoint_api, m));
    assert_ok(w->ctx, rf_checkpoint(m, NULL));
    assert_non_null(rf_api_state(&rf_checkpoint_api, m));
    assert_true(rf_checkpoint_applied(m));
    rf_module_destroy(m);
}

static rf_status freeze(void *state, rf_module *const *modules, size_t num, const void *opts)
{
    (void)state;
    (void)opts;
    rf_status status = RF_OK;
    for (size_t i = 0; i < num && !status; i++)
        status = rf_tensor_set_requires_grad(rf_module_param(modules[i], "0.weight"), 0);
    return status;
}

static void unfreeze(void *state, rf_module *const *modules, size_t num)
{
    (void)state;
    for (size_t i = 0; i < num; i++)
        (void)!rf_tensor_set_requires_grad(rf_module_param(modules[i], "0.weight"), 1);
}

static const rf_api freeze_api = {
    .size = sizeof freeze_api, .name = "freeze", .apply = freeze, .remove = unfreeze};

static void use_contract(world *w)
{
    rf_module *m = row_of_linears(w, 1);
    assert_ok(w->ctx, rf_api_apply(&freeze_api, &m, 1, NULL, NULL));
    assert_false(rf_tensor_requires_grad(rf_module_param(m, "0.weight")));
    rf_module_destroy(m);
}

static void use_registry(world *w)
{
    rf_module *m = row_of_linears(w, 1);
    assert_ok(w->ctx, rf_checkpoint(m, NULL));
    assert_ok(w->ctx, rf_api_apply(&freeze_api, &m, 1, NULL, NULL));
    assert_int_equal(rf_module_num_apis(m), 2);
    assert_ptr_equal(rf_module_api(m, 1), &freeze_api);
    rf_module_destroy(m);
}

static void use_undo(world *w)
{
    rf_module *m = row_of_linears(w, 1);
    assert_ok(w->ctx, rf_api_apply(&freeze_api, &m, 1, NULL, NULL));
    assert_ok(w->ctx, rf_api_remove(&freeze_api, m));
    assert_true(rf_tensor_requires_grad(rf_module_param(m, "0.weight")));
    rf_module_destroy(m);
}

/* ---- autograd ---- */

static void use_backward(world *w)
{
    rf_tensor *x = world_leaf(w, N, N, 0.2), *loss = rf_sum(w->s, x);
    assert_ok(w->ctx, rf_backward(w->s, loss));
    assert_non_null(rf_grad(x));
}

static void use_retain(world *w)
{
    rf_backward_options opts = RF_BACKWARD_OPTIONS_INIT;
    rf_tensor *x = world_leaf(w, N, N, 0.2), *y = rf_sin(w->s, x);
    opts.seed = rf_full(w->s, RF_F32, 2, (int64_t[]){N, N}, 2);
    opts.retain = 1;
    for (int i = 0; i < 2; i++)
        assert_ok(w->ctx, rf_backward_with(w->s, y, &opts));
}

static rf_tensor *sine_gradient(world *w, rf_tensor *x, const rf_backward_options *opts)
{
    rf_tensor *g = NULL;
    rf_tensor *y = rf_sum(w->s, rf_sin(w->s, x));
    rf_values *xs = &(rf_values){&x, 1}, *grads = &(rf_values){&g, 1};
    assert_ok(w->ctx, rf_gradients(w->s, y, xs, grads, opts));
    return g;
}

static void use_create_graph(world *w)
{
    rf_backward_options opts = RF_BACKWARD_OPTIONS_INIT;
    opts.create_graph = 1;
    assert_true(rf_tensor_requires_grad(sine_gradient(w, world_leaf(w, N, N, 0.2), &opts)));
}

static void use_gradients(world *w)
{
    rf_tensor *x = world_leaf(w, N, N, 0.2);
    assert_non_null(sine_gradient(w, x, NULL));
    assert_null(rf_grad(x));
}

static void use_unused(world *w)
{
    rf_backward_options opts = RF_BACKWARD_OPTIONS_INIT;
    rf_tensor *x = world_leaf(w, N, N, 0.2), *other = world_leaf(w, N, N, 0.3), *g = x;
    opts.allow_unused = 1;
    assert_ok(w->ctx, rf_gradients(w->s, rf_sum(w->s, x), &(rf_values){&other, 1},
                                   &(rf_values){&g, 1}, &opts));
    assert_null(g);
}

static void use_grad_set(world *w)
{
    rf_tensor *x = world_leaf(w, N, N, 0.2);
    assert_ok(w->ctx, rf_grad_set(x, sine_gradient(w, x, NULL)));
    assert_non_null(rf_grad(x));
}

static void use_grad(world *w)
{
    rf_tensor *t = world_leaf(w, N, N, 0.2);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, t)));
    assert_non_null(rf_grad(t));
    rf_grad_clear(t);
    assert_null(rf_grad(t));
}

static rf_status see_gradient(void *payload, rf_scope *s, rf_tensor **grad)
{
    (void)s;
    ((count *)payload)->calls += *grad != NULL;
    return RF_OK;
}

static void use_hook(world *w)
{
    count c = {0};
    rf_grad_hook hook = {see_gradient, &c, NULL};
    rf_tensor *t = world_leaf(w, N, N, 0.2);
    assert_ok(w->ctx, rf_tensor_add_grad_hook(t, hook));
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, t)));
    assert_int_equal(c.calls, 1);
}

static void use_no_grad(world *w)
{
    rf_scope_set_grad(w->s, 0);
    assert_false(rf_tensor_requires_grad(rf_sin(w->s, world_leaf(w, N, N, 0.2))));
    rf_scope_set_grad(w->s, 1);
}

static void use_detach(world *w)
{
    rf_tensor *t = rf_sin(w->s, world_leaf(w, N, N, 0.2));
    assert_false(rf_tensor_requires_grad(rf_detach(w->s, t)));
}

static void use_autocast(world *w)
{
    rf_tensor *x = world_leaf(w, N, N, 0.2), *y = rf_matmul(w->s, x, x);
    assert_ok(w->ctx, rf_scope_set_precision(w->s, RF_BF16));
    void *bits = world_bytes(w, rf_matmul(w->s, x, x));
    void *wanted = world_bytes(w, y);
    assert_memory_not_equal(bits, wanted, N * N * sizeof(float));
    assert_ok(w->ctx, rf_scope_set_precision(w->s, RF_F32));
    free(bits);
    free(wanted);
}

static void use_gradcheck(world *w)
{
    count c = {0};
    rf_gradcheck_options opts = RF_GRADCHECK_OPTIONS_INIT;
    rf_tensor *x = rf_full(w->s, RF_F64, 1, (int64_t[]){N}, 0.3);
    opts.second_order = 1;
    assert_ok(w->ctx, rf_tensor_set_requires_grad(x, 1));
    assert_ok(w->ctx,
              rf_gradcheck(w->s, (rf_function){sine, &c, NULL}, &(rf_values){&x, 1}, &opts));
    assert_true(c.calls > N);
}

/* ---- the page ---- */

/* Every row of its tables, by the left column without its quotes; use is NULL where there is
 * nothing to do. */
static const struct {
    const char *there;
    void (*use)(world *w);
} rows[] = {
    {"checkpoint(fn, *args)", use_checkpoint},
    {"use_reentrant=False", NULL},
    {"use_reentrant=True", NULL},
    {"preserve_rng_state=True", use_preserve},
    {"preserve_rng_state=False", use_no_preserve},
    {"context_fn=", use_contexts},
    {"determinism_check=\"default\"", use_determinism},
    {"determinism_check=\"none\"", use_no_determinism},
    {"(none)", use_verify},
    {"debug=True", use_debug},
    {"set_checkpoint_debug_enabled", NULL},
    {"early_stop=False", use_no_early_stop},
    {"set_checkpoint_early_stop(b)", use_set_early_stop},
    {"GraphExecGroup()", use_group},
    {"checkpoint_sequential(fns, segments, x)", use_sequential},
    {"the tail in a region, the split told (not there)", use_sequential_tail},
    {"ranges in ranges of a sequence (not there)", use_ranges},
    {"CheckpointError", use_errors},
    {"\"am I in a recompute?\" (not there)", use_pass},
    {"create_selective_checkpoint_contexts([ops])", use_fates},
    {"with a policy function", use_policy},
    {"MUST_SAVE, PREFER_SAVE, True", use_keep},
    {"MUST_RECOMPUTE, PREFER_RECOMPUTE, False", use_recompute},
    {"MUST_CPU_OFFLOAD, PREFER_CPU_OFFLOAD", use_offload},
    {"ctx.is_recompute", use_asked_in_forward},
    {"ctx.op_output", use_op_output},
    {"allow_cache_entry_mutation=True", use_changed},
    {"SAC_IGNORED_OPS", use_ignored},
    {"saved_tensors_hooks(pack, unpack)", use_saved_hooks},
    {"hooks that compose (not there)", use_stacked_hooks},
    {"disable_saved_tensors_hooks(msg)", use_refuse_hooks},
    {"save_on_cpu()", use_save_on_cpu},
    {"pin_memory=", NULL},
    {"allow_mutation_on_saved_tensors()", use_guard},
    {"checkpoint_wrapper(m)", use_wrapper},
    {"unwrapping", use_unwrap},
    {"apply_activation_checkpointing(model, check_fn=)", use_apply},
    {"offload_wrapper(m)", use_offload_wrapper},
    {"composable checkpoint(m)", use_composable},
    {"checkpoint.state(m)", use_state},
    {"contract() on a function", use_contract},
    {"_get_registry(m)", use_registry},
    {"undoing an API (not there)", use_undo},
    {"loss.backward()", use_backward},
    {"backward(gradient=g, retain_graph=True)", use_retain},
    {"create_graph=True", use_create_graph},
    {"torch.autograd.grad(y, xs)", use_gradients},
    {"allow_unused=True", use_unused},
    {"backward(inputs=xs)", use_grad_set},
    {"t.grad, t.grad = None", use_grad},
    {"t.register_hook(f)", use_hook},
    {"torch.no_grad()", use_no_grad},
    {"t.detach()", use_detach},
    {"torch.autocast(\"cpu\", torch.bfloat16)", use_autocast},
    {"gradcheck, gradgradcheck", use_gradcheck},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static void test_each_row_is_done(void **state)
{
    world *w = *state;
    for (size_t i = 0; i < ROWS; i++) {
        rf_scope *s;
        world sub = *w;
        if (!rows[i].use)
            continue;
        assert_ok(w->ctx, rf_scope_open(&s, w->ctx, w->s));
        sub.s = s;
        rows[i].use(&sub);
        if (rf_scope_status(s))
            fail_msg("%s: %s", rows[i].there, rf_context_error(w->ctx)->message);
        rf_scope_close(s);
        assert_int_equal(world_used(w, RF_MEM_ACTIVATION), 0);
    }
}

/* A file as one text, to be freed. */
static char *page_text(const char *path)
{
    size_t len;
    unsigned char *bytes = files_get(path, &len);
    char *text = malloc(len + 1);
    memcpy(text, bytes, len);
    text[len] = 0;
    free(bytes);
    return text;
}

/* The next cell of a line of a table, without quotes and spaces around; NULL: there is none. */
static char *page_cell(char **at)
{
    char *begin = *at + 1, *end = strchr(begin, '|'), *to = begin;
    if (!end)
        return NULL;
    *at = end;
    while (begin < end && *begin == ' ')
        begin++, to++;
    char *cell = to;
    for (; begin < end; begin++)
        if (*begin != '`')
            *to++ = *begin;
    while (to > cell && to[-1] == ' ')
        to--;
    *to = 0;
    return cell;
}

static size_t page_row(const char *there)
{
    size_t i = 0;
    while (i < ROWS && strcmp(rows[i].there, there) != 0)
        i++;
    if (i == ROWS)
        fail_msg("docs/from-pytorch.md: the row '%s' is not done", there);
    return i;
}

/* Every public name in the text is one that the source uses. */
static void page_names(const char *text, const char *source)
{
    char name[64];
    for (const char *at = text; *at;) {
        size_t len = 0;
        while (isalnum((unsigned char)at[len]) || at[len] == '_')
            len++;
        snprintf(name, sizeof name, "%.*s", (int)len, at);
        if ((!strncmp(name, "rf_", 3) || !strncmp(name, "RF_", 3)) && !strstr(source, name))
            fail_msg("docs/from-pytorch.md: %s is not used", name);
        at += len ? len : 1;
    }
}

static int page_has_nothing(const char *here)
{
    return !strncmp(here, "none", 4) || !strncmp(here, "the only way", 12);
}

static void test_the_page_has_these_rows(void **state)
{
    char *page = page_text(RF_SOURCE_DIR "/docs/from-pytorch.md");
    char *source = page_text(RF_SOURCE_DIR "/tests/unit/test_from_pytorch.c");
    size_t found = 0;
    (void)state;
    for (char *line = strtok(page, "\n"); line; line = strtok(NULL, "\n")) {
        if (line[0] != '|' || !strncmp(line, "|---", 4) || !strncmp(line, "| there ", 8))
            continue;
        char *there = page_cell(&line), *here = page_cell(&line);
        assert_non_null(there);
        assert_non_null(here);
        size_t i = page_row(there);
        if (!rows[i].use && !page_has_nothing(here))
            fail_msg("%s: nothing is done for '%s'", there, here);
        page_names(here, source);
        found++;
    }
    assert_int_equal(found, ROWS);
    free(page);
    free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_row_is_done, world_setup, world_teardown),
        cmocka_unit_test(test_the_page_has_these_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
