/* test_pool_steps.c: training with a pool: the same bits, the ledger as without one, the blocks of
 * a step where its dry run laid them, no more kept than the bytes, and no page fault once the first
 * steps are over. */
#include "support/gpt.h"
#include "support/world.h"
#include "plan/layout.h"
#include "tensor/dry.h"
#include "tensor/pooled.h"

#include <sys/resource.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { sanitized = 1 };
#else
enum { sanitized = 0 };
#endif

enum { STEPS = 5, VOCAB = 300, LAYERS = GPT_LAYERS, BATCH = 2, LENGTH = 32, WIDTH = 64 };

static const char *const fates[] = {NULL, "keep=linear", "host=*", "file=*"};
enum { PLAIN, BLOCKS, SEQUENTIAL, FIRST_FATES, FORMS = FIRST_FATES + 4 };

typedef struct trainer {
    gpt g;
    rf_context *ctx;
    uint32_t batch;
    int together; /* step inside of backward */
} trainer;

static trainer trainer_new(int form, int together)
{
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_gpt2_options sizes = {sizeof sizes, VOCAB, LENGTH, LAYERS, 2, WIDTH, 0.1, 0, 0, 0};
    rf_adamw_options adamw = RF_ADAMW_OPTIONS_INIT;
    trainer t = {.together = together};
    opts.seed = 5;
    assert_int_equal(rf_context_create(&t.ctx, &opts), RF_OK);
    assert_ok(t.ctx, rf_nn_gpt2(&t.g.model, t.ctx, &sizes));
    assert_ok(t.ctx, rf_optim_adamw(&t.g.optim, t.g.model, &adamw));
    if (form == BLOCKS)
        assert_ok(t.ctx, gpt_apply(&t.g, GPT_BLOCK));
    else if (form == SEQUENTIAL)
        assert_ok(t.ctx, gpt_apply(&t.g, GPT_SEQUENTIAL + 1));
    for (size_t i = 0; i < LAYERS && form >= FIRST_FATES; i++) {
        rf_checkpoint_options how = RF_CHECKPOINT_OPTIONS_INIT;
        how.fates = fates[form - FIRST_FATES];
        assert_ok(t.ctx, rf_checkpoint(rf_nn_gpt2_block(t.g.model, i), &how));
    }
    return t;
}

static void trainer_end(trainer *t)
{
    gpt_destroy(&t->g);
    rf_context_destroy(t->ctx);
}

static rf_status trainer_update(trainer *t, rf_scope *s, rf_tensor *loss)
{
    if (t->together)
        return rf_optim_backward(t->g.optim, s, loss, NULL);
    rf_status status = rf_backward(s, loss);
    if (!status)
        status = rf_clip_grad_norm(t->g.model, 1.0, NULL);
    if (!status)
        status = rf_optim_step(t->g.optim);
    rf_optim_zero_grad(t->g.optim);
    return status;
}

static rf_status trainer_step(trainer *t)
{
    int32_t ids[BATCH * LENGTH + 1];
    int64_t dims[2] = {BATCH, LENGTH};
    rf_tensor *in[2], *loss = NULL;
    rf_values from = {in, 2}, to = {&loss, 1};
    rf_scope *s;
    rf_context_pool_step(t->ctx);
    rf_status status = rf_scope_open(&s, t->ctx, NULL);
    for (uint32_t i = 0; i < BATCH * LENGTH + 1; i++)
        ids[i] = (int32_t)((i * 7 + t->batch * 3) % VOCAB);
    in[0] = status ? NULL : rf_tensor_copy_in(s, RF_I32, 2, dims, ids);
    in[1] = status ? NULL : rf_tensor_copy_in(s, RF_I32, 2, dims, ids + 1);
    if (!status)
        status = rf_module_call(t->g.model, s, &from, &to);
    if (!status)
        status = trainer_update(t, s, loss);
    rf_scope_close(s);
    t->batch++;
    return status;
}

/* ---- logs and pools ---- */

/* The blocks of the next step, by a dry run or by running it. */
static rf_block_log log_step(trainer *t, int dry, int before)
{
    rf_block_log log;
    if (dry)
        assert_ok(t->ctx, rf_dry_begin(t->ctx));
    for (int i = 0; i < before; i++)
        assert_ok(t->ctx, trainer_step(t));
    rf_blocks_watch(t->ctx, &log);
    assert_ok(t->ctx, trainer_step(t));
    assert_ok(t->ctx, rf_blocks_stop(t->ctx, &log));
    if (dry)
        rf_dry_end(t->ctx);
    t->batch -= dry ? 1 + (uint32_t)before : 0;
    return log;
}

/* A pool with the blocks of the step after `before` ones that are not for it. */
static rf_placement pool_plan(trainer *t, uint64_t bytes, int before)
{
    rf_block_log log = log_step(t, 1, before);
    rf_layout layout;
    assert_ok(t->ctx, rf_layout_create(&layout, t->ctx, &log));
    assert_ok(t->ctx, rf_context_set_pool(t->ctx, bytes, layout.blocks, layout.num));
    rf_placement placement = layout.placement;
    rf_layout_free(t->ctx, &layout);
    rf_blocks_free(t->ctx, &log);
    return placement;
}

static rf_pool_info pool_info(const trainer *t)
{
    rf_pool_info info;
    rf_pool_get_info(t->ctx->pool, &info);
    return info;
}

static uint64_t ledger_used(const trainer *t)
{
    return t->ctx->ledger.row[RF_DEVICE_CPU][RF_MEM_ALL].used;
}

static uint64_t ledger_peak(const trainer *t)
{
    return t->ctx->ledger.row[RF_DEVICE_CPU][RF_MEM_ALL].peak;
}

/* ---- tests ---- */

typedef struct result {
    uint64_t hash, live, peak; /* bytes of the ledger after the steps, and their peak */
    rf_rng rng;
} result;

/* All steps with or without a pool; the first and those after it have plans of their own. */
static result train(int form, int together, int pooled)
{
    trainer t = trainer_new(form, together);
    result r = {0};
    for (int i = 0; i < STEPS; i++) {
        if (pooled && i < 2)
            pool_plan(&t, 0, 0);
        if (i == 1)
            rf_memory_reset_peak(t.ctx);
        assert_ok(t.ctx, trainer_step(&t));
    }
    assert_ok(t.ctx, rf_module_hash(t.g.model, &r.hash));
    r.rng = rf_context_rng(t.ctx);
    r.live = ledger_used(&t) - t.ctx->ledger.row[RF_DEVICE_CPU][RF_MEM_OTHER].used;
    r.peak = t.ctx->ledger.row[RF_DEVICE_CPU][RF_MEM_ACTIVATION].peak;
    trainer_end(&t);
    return r;
}

static void test_the_same_bits_and_the_same_ledger(void **state)
{
    (void)state;
    for (int form = 0; form < FORMS; form++)
        for (int together = 0; together < 2; together++) {
            result plain = train(form, together, 0), pooled = train(form, together, 1);
            if (plain.hash != pooled.hash || memcmp(&plain.rng, &pooled.rng, sizeof plain.rng))
                fail_msg("form %d, together %d: other bits with a pool", form, together);
            assert_int_equal(plain.live, pooled.live);
            assert_int_equal(plain.peak, pooled.peak);
        }
}

/* A dry run asks for the blocks that the real step then asks for, at the same moments. */
static void test_a_dry_run_asks_for_the_same_blocks(void **state)
{
    (void)state;
    for (int form = 0; form < FORMS; form++)
        for (int first = 0; first < 2; first++) {
            trainer t = trainer_new(form, form == BLOCKS);
            if (!first)
                assert_ok(t.ctx, trainer_step(&t));
            rf_block_log dry = log_step(&t, 1, 0), real = log_step(&t, 0, 0);
            if (dry.num != real.num)
                fail_msg("form %d, first %d: %zu blocks and not %zu", form, first, dry.num,
                         real.num);
            for (size_t i = 0; i < real.num && !first; i++)
                assert_int_not_equal(real.lives[i].end, RF_BLOCK_STAYS);
            for (size_t i = 0; i < dry.num; i++)
                if (memcmp(&dry.lives[i], &real.lives[i], sizeof *dry.lives))
                    fail_msg(
                        "form %d, first %d: block %zu of %zu: %llu bytes %llu to %llu, and not "
                        "%llu bytes %llu to %llu",
                        form, first, i, dry.num, (unsigned long long)dry.lives[i].bytes,
                        (unsigned long long)dry.lives[i].begin,
                        (unsigned long long)dry.lives[i].end,
                        (unsigned long long)real.lives[i].bytes,
                        (unsigned long long)real.lives[i].begin,
                        (unsigned long long)real.lives[i].end);
            rf_blocks_free(t.ctx, &dry);
            rf_blocks_free(t.ctx, &real);
            trainer_end(&t);
        }
}

/* Every block lies where its plan says, in an arena near the load. */
static void test_blocks_lie_where_they_are_planned(void **state)
{
    (void)state;
    for (int form = 0; form < FORMS; form++) {
        trainer t = trainer_new(form, 0);
        assert_ok(t.ctx, trainer_step(&t)); /* the parameters' gradients and moments are there */
        rf_placement placement = pool_plan(&t, 0, 0);
        assert_true(placement.top * 50 <= placement.load * 51);
        for (int i = 0; i < STEPS; i++)
            assert_ok(t.ctx, trainer_step(&t));
        rf_pool_info info = pool_info(&t);
        assert_int_equal(info.arena_top, placement.top);
        if (info.displaced || info.unplanned)
            fail_msg("form %d: %llu of %llu blocks elsewhere", form,
                     (unsigned long long)(info.displaced + info.unplanned),
                     (unsigned long long)(info.displaced + info.unplanned + info.planned));
        trainer_end(&t);
    }
}

static long faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

/* In all the bytes that the ledger ever counts: no more is kept, and after the first steps nothing
 * comes or goes. */
static void test_no_faults_and_no_more_kept_than_the_bytes(void **state)
{
    (void)state;
    for (int form = 0; form < FIRST_FATES + 2; form++) {
        trainer probe = trainer_new(form, 0), t = trainer_new(form, 0);
        for (int i = 0; i < 2; i++)
            assert_ok(probe.ctx, trainer_step(&probe));
        uint64_t bytes = ledger_peak(&probe) + 256 * 1024; /* bookkeeping of planning */
        trainer_end(&probe);
        uint64_t made = ledger_used(&t);
        pool_plan(&t, bytes, 0);
        assert_ok(t.ctx, trainer_step(&t));
        pool_plan(&t, bytes, 0);
        for (int i = 0; i < 2; i++)
            assert_ok(t.ctx, trainer_step(&t));
        rf_pool_info before = pool_info(&t);
        long faults_before = faults();
        for (int i = 0; i < STEPS; i++)
            assert_ok(t.ctx, trainer_step(&t));
        long more = faults() - faults_before;
        rf_pool_info after = pool_info(&t);
        uint64_t others = ledger_used(&t) - after.asked; /* bookkeeping, of the pool's bytes too */
        assert_true(made < bytes);
        assert_in_range(others, 1, bytes);
        assert_in_range(after.kept, 1, bytes + bytes / 64 + 1 - others);
        if (after.page_gets != before.page_gets || after.page_puts != before.page_puts)
            fail_msg("form %d: pages came %llu times and went %llu times", form,
                     (unsigned long long)(after.page_gets - before.page_gets),
                     (unsigned long long)(after.page_puts - before.page_puts));
        if (!sanitized && more > 16)
            fail_msg("form %d: %ld page faults", form, more);
        trainer_end(&t);
    }
}

static void test_pools_that_are_refused(void **state)
{
    static const rf_pool_block outside[] = {{64, (uint64_t)1 << 30}};
    counting count = {0};
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_context *ctx;
    (void)state;
    opts.alloc = counting_alloc;
    opts.alloc_payload = &count;
    assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
    assert_int_equal(rf_context_set_pool(ctx, 1 << 20, NULL, 0), RF_E_STATE);
    rf_context_pool_step(ctx);
    rf_context_destroy(ctx);
    opts = (rf_context_options)RF_CONTEXT_OPTIONS_INIT;
    opts.dry = 1;
    assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
    assert_int_equal(rf_context_set_pool(ctx, 1 << 20, NULL, 0), RF_E_STATE);
    rf_context_destroy(ctx);
    opts.dry = 0;
    assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
    assert_int_equal(rf_context_set_pool(ctx, 1 << 20, outside, 1), RF_E_ARGUMENT);
    rf_memory_info before, after;
    assert_ok(ctx, rf_memory_get(ctx, RF_DEVICE_CPU, RF_MEM_ALL, &before));
    assert_ok(ctx, rf_context_set_pool(ctx, 1 << 20, (rf_pool_block[]){{64, 0}}, 1));
    assert_ok(ctx, rf_memory_get(ctx, RF_DEVICE_CPU, RF_MEM_ALL, &after));
    assert_int_equal(before.used, after.used);
    rf_context_destroy(ctx);
}

/* What is not the pool's counts: its free pages make room for bookkeeping as it grows. */
static void test_bookkeeping_has_its_room(void **state)
{
    int64_t dims[1] = {1 << 18};
    rf_context *ctx;
    rf_scope *s;
    rf_pool_info before, after;
    (void)state;
    assert_int_equal(rf_context_create(&ctx, NULL), RF_OK);
    assert_ok(ctx, rf_scope_open(&s, ctx, NULL));
    assert_ok(ctx, rf_context_set_pool(ctx, 4 << 20, NULL, 0));
    rf_tensor *t[3];
    for (int i = 0; i < 3; i++)
        t[i] = rf_zeros(s, RF_F32, 1, dims);
    for (int i = 0; i < 3; i++)
        rf_release(s, t[i]);
    rf_pool_get_info(ctx->pool, &before);
    assert_int_equal(before.kept, 3 << 20); /* free, and kept */
    void *book = rf_host_alloc(ctx, 2 << 20);
    assert_non_null(book);
    rf_pool_get_info(ctx->pool, &after);
    assert_in_range(after.kept, 1 << 20, (2 << 20) + (4 << 20) / 64);
    rf_host_free(ctx, book, 2 << 20);
    rf_scope_close(s);
    rf_context_destroy(ctx);
}

/* A storage that is older than the pool goes back to where it came from. */
static void test_storages_from_before(void **state)
{
    int64_t dims[1] = {100000};
    rf_context *ctx;
    rf_scope *s;
    (void)state;
    assert_int_equal(rf_context_create(&ctx, NULL), RF_OK);
    assert_ok(ctx, rf_scope_open(&s, ctx, NULL));
    rf_tensor *old = rf_zeros(s, RF_F32, 1, dims), *again;
    rf_release(s, rf_zeros(s, RF_F32, 1, dims)); /* it waits, and goes */
    assert_ok(ctx, rf_context_set_pool(ctx, 1 << 20, NULL, 0));
    assert_int_equal(ctx->recycle.bytes, 0);
    rf_tensor *young = rf_zeros(s, RF_F32, 1, dims);
    rf_release(s, old);
    assert_int_equal(ctx->recycle.bytes, 0);
    again = rf_zeros(s, RF_F32, 1, dims);
    rf_pool_info info;
    rf_pool_get_info(ctx->pool, &info);
    assert_int_equal(info.asked, 800000);
    rf_release(s, young);
    rf_release(s, again);
    rf_scope_close(s);
    rf_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_bits_and_the_same_ledger),
        cmocka_unit_test(test_a_dry_run_asks_for_the_same_blocks),
        cmocka_unit_test(test_blocks_lie_where_they_are_planned),
        cmocka_unit_test(test_no_faults_and_no_more_kept_than_the_bytes),
        cmocka_unit_test(test_pools_that_are_refused),
        cmocka_unit_test(test_bookkeeping_has_its_room),
        cmocka_unit_test(test_storages_from_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
