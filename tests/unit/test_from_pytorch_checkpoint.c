/* test_from_pytorch_checkpoint.c: the tables of checkpointing in docs/from-pytorch.md, row by row:
 * what the right column says is done, so that it compiles and does what the left column does. A row
 * of the page that is not here fails, and so does a name in it that is not used here. */
#include "support/page_rows.h"

#include <refrain/refrain.h>

enum { N = 4 };

/* The checkpointed sine with opts, forward and backward; how often sin was computed. */
static uint64_t sines(world *w, count *c, const rf_checkpoint_options *opts)
{
    rf_function fn = {page_sine, c, NULL};
    rf_tensor *x = world_leaf(w, N, N, 0.2);
    rf_op_counts_reset(w->ctx);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, world_region(w, fn, x, opts))));
    return world_executed(w, "sin");
}

/* ---- torch.utils.checkpoint ---- */

static void use_checkpoint(world *w)
{
    count c = {0};
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    rf_function fn = {page_sine, &c, NULL};
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
    rf_module *row = page_linears(w, 2);
    size_t segments = 2;
    assert_ok(w->ctx, rf_checkpoint_sequential(row, segments, &opts));
    assert_int_equal(page_step(w, row, "tanh"), 3); /* not the last segment's */
    rf_module_destroy(row);
}

static void use_sequential_tail(world *w)
{
    rf_sequential_options opts = RF_SEQUENTIAL_OPTIONS_INIT;
    rf_module *row = page_linears(w, 2);
    rf_segment last;
    opts.segments = 2;
    opts.tail = 1;
    assert_ok(w->ctx, rf_checkpoint_sequential_with(row, &opts));
    assert_int_equal(page_step(w, row, "tanh"), 4);
    assert_ok(w->ctx, rf_checkpoint_sequential_report(row, 1, &last));
    assert_true(last.first == 2 && last.count == 2 && last.checkpointed);
    rf_module_destroy(row);
}

static void use_ranges(world *w)
{
    static const rf_range ranges[] = {{.first = 0, .count = 4}, {.first = 2, .count = 2}};
    rf_module *row = page_linears(w, 3);
    assert_ok(w->ctx, rf_checkpoint_ranges(row, ranges, 2, NULL));
    assert_int_equal(page_step(w, row, "tanh"), 3 + 2); /* each of two once more */
    rf_module_destroy(row);
}

static void use_errors(world *w)
{
    assert_int_equal(waver_backward(w, 3, RF_VERIFY_SHAPES, 0), RF_E_REPLAY_FEWER);
    assert_int_equal(waver_backward(w, 4, RF_VERIFY_SHAPES, 0), RF_E_REPLAY_MORE);
    assert_int_equal(waver_backward(w, 2, RF_VERIFY_SHAPES, 0), RF_E_REPLAY_META);
    assert_int_equal(waver_backward(w, 1, RF_VERIFY_VALUES, 0), RF_E_REPLAY_VALUE);
}

static rf_status asking(void *payload, rf_scope *s, const rf_values *in, rf_values *out)
{
    count *c = payload;
    const rf_context *ctx = rf_scope_context(s);
    c->calls++;
    c->pass = rf_pass_current(s);
    assert_int_equal(rf_context_pass(ctx), c->pass);
    assert_true(rf_context_region(ctx) > c->region); /* another run */
    c->region = rf_context_region(ctx);
    out->v[0] = rf_exp(s, rf_sin(s, in->v[0]));
    return rf_scope_status(s);
}

static void use_pass(world *w)
{
    count c = {0};
    rf_tensor *x = world_leaf(w, N, N, 0.2);
    rf_tensor *y = world_region(w, (rf_function){asking, &c, NULL}, x, NULL);
    assert_int_equal(c.pass, RF_PASS_FORWARD);
    assert_ok(w->ctx, rf_backward(w->s, rf_sum(w->s, y)));
    assert_int_equal(c.pass, RF_PASS_RECOMPUTE);
    assert_int_equal(rf_pass_current(w->s), RF_PASS_PLAIN);
}

/* ---- selective checkpointing ---- */

static void use_fates(world *w)
{
    rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
    rf_module *row = page_linears(w, 1);
    opts.fates = "keep=matmul,linear";
    assert_ok(w->ctx, rf_checkpoint(row, &opts));
    assert_int_equal(page_step(w, row, "tanh"), 2);
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

/* ---- the rows ---- */

static const page_row rows[] = {
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
};

static const page_part part = {.tree = RF_SOURCE_DIR,
                               .source = "tests/unit/test_from_pytorch_checkpoint.c",
                               .rows = rows,
                               .num = sizeof rows / sizeof rows[0],
                               .checkpointing = 1};

static void test_each_row_is_done(void **state)
{
    page_do(*state, &part);
}

static void test_the_page_has_these_rows(void **state)
{
    (void)state;
    page_check(&part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_row_is_done, world_setup, world_teardown),
        cmocka_unit_test(test_the_page_has_these_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
