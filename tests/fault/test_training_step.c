/* test_training_step.c: the k-th allocation failing in a training step of a small GPT, for every k:
 * a typed error, no leak, the ledger at its baseline, and the next step right. Plain and
 * checkpointed. */
#include "support/world.h"
#include "support/gpt.h"

static uint64_t used(rf_context *ctx, rf_mem_class cls)
{
    rf_memory_info info;
    assert_ok(ctx, rf_memory_get(ctx, RF_DEVICE_CPU, cls, &info));
    return info.used;
}

static rf_context *counted_context(counting *c)
{
    rf_context *ctx;
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.alloc = counting_alloc;
    opts.alloc_payload = c;
    opts.threads = 1;
    opts.seed = 3;
    assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
    return ctx;
}

/* A step that fails in its forward or backward changes no parameter, so the step after it must give
 * the loss that it would have given; and after that the parameters of the run without failure. The
 * generator is put back, as a trainer that tries again would. */
static void every_failure(int form)
{
    counting clean = {0};
    rf_context *ctx = counted_context(&clean);
    gpt g;
    float wanted, loss;
    uint64_t hash, wanted_hash;
    assert_ok(ctx, gpt_create_tiny(&g, ctx));
    assert_ok(ctx, gpt_apply(&g, form));
    rf_rng rng = rf_context_rng(ctx);
    clean.made = 0;
    assert_ok(ctx, gpt_step(&g, 0, &wanted));
    uint64_t allocations = clean.made;
    assert_ok(ctx, rf_module_hash(g.model, &wanted_hash));
    gpt_destroy(&g);
    rf_context_destroy(ctx);
    uint64_t stride = getenv("RF_TEST_FAST") ? 7 : 1;
    for (uint64_t k = 1; k <= allocations; k += stride) {
        counting c = {0};
        ctx = counted_context(&c);
        assert_ok(ctx, gpt_create_tiny(&g, ctx));
        assert_ok(ctx, gpt_apply(&g, form));
        uint64_t params = used(ctx, RF_MEM_PARAM), optim = used(ctx, RF_MEM_OPTIM);
        c.made = 0;
        c.fail_at = k;
        rf_status status = gpt_step(&g, 0, &loss);
        c.fail_at = 0;
        if (status != RF_E_MEMORY)
            fail_msg("allocation %llu of %llu failed, but the status is %s", (unsigned long long)k,
                     (unsigned long long)allocations, rf_status_name(status));
        assert_int_equal(used(ctx, RF_MEM_PARAM), params);
        assert_int_equal(used(ctx, RF_MEM_OPTIM), optim);
        assert_int_equal(used(ctx, RF_MEM_ACTIVATION), 0);
        assert_int_equal(used(ctx, RF_MEM_WORKSPACE), 0);
        assert_int_equal(used(ctx, RF_MEM_GRAD), 0);
        rf_context_set_rng(ctx, rng);
        assert_ok(ctx, gpt_step(&g, 0, &loss));
        assert_memory_equal(&loss, &wanted, sizeof loss);
        assert_ok(ctx, rf_module_hash(g.model, &hash));
        assert_int_equal(hash, wanted_hash);
        gpt_destroy(&g);
        rf_context_destroy(ctx);
        assert_int_equal(c.live, 0);
    }
}

static void test_plain(void **state)
{
    (void)state;
    every_failure(GPT_PLAIN);
}

static void test_every_block(void **state)
{
    (void)state;
    every_failure(GPT_BLOCK);
}

static void test_nested(void **state)
{
    (void)state;
    every_failure(GPT_NESTED);
}

/* Making the model and the optimiser, too. */
static void test_creation(void **state)
{
    (void)state;
    for (uint64_t k = 1;; k++) {
        counting c = {0};
        gpt g;
        rf_context *ctx = counted_context(&c);
        c.made = 0;
        c.fail_at = k;
        rf_status status = gpt_create_tiny(&g, ctx);
        if (!status)
            status = gpt_apply(&g, GPT_NESTED);
        int reached = c.made >= k;
        assert_int_equal(status, reached ? RF_E_MEMORY : RF_OK);
        gpt_destroy(&g);
        rf_context_destroy(ctx);
        assert_int_equal(c.live, 0);
        if (!reached)
            return;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_every_block),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_creation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
