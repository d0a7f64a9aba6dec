/* test_gpt2_checkpoint.c: the equality matrix: a GPT trained plainly and in every form of
 * checkpointing has the same losses and the same parameters, bit for bit: with dropout and without,
 * with 1 and 2 threads (each against itself), on every table of kernels, with buffers at other
 * offsets, and with caches cold and warm. */
#include "support/world.h"
#include "support/gpt.h"

enum { STEPS = 3, FORMS = GPT_SEQUENTIAL + GPT_LAYERS };

typedef struct result {
    float losses[STEPS];
    uint64_t hash;
    rf_rng rng;
    uint64_t peak; /* of activation bytes; not compared */
} result;

typedef struct setting {
    double dropout;
    size_t threads;
    const char *isa;
    size_t shift; /* bytes allocated first, so that buffers lie elsewhere */
    rf_logits logits;
} setting;

static result train(const setting *set, int form)
{
    result r;
    gpt g;
    rf_context *ctx;
    rf_tensor *shift;
    rf_memory_info info;
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_tensor_options shape = RF_TENSOR_OPTIONS_INIT;
    int64_t dims[1] = {(int64_t)set->shift};
    memset(&r, 0, sizeof r);
    opts.seed = 20;
    opts.threads = set->threads;
    opts.isa = set->isa;
    assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
    shape.dtype = RF_U8;
    shape.rank = 1;
    shape.dims = dims;
    assert_ok(ctx, rf_tensor_create(&shift, ctx, &shape));
    assert_ok(ctx, gpt_create(&g, ctx, set->dropout));
    assert_ok(ctx, gpt_apply(&g, form));
    assert_ok(ctx, rf_nn_gpt2_set_logits(g.model, set->logits));
    for (uint32_t i = 0; i < STEPS; i++)
        assert_ok(ctx, gpt_step(&g, i, &r.losses[i]));
    assert_ok(ctx, rf_module_hash(g.model, &r.hash));
    r.rng = rf_context_rng(ctx);
    assert_ok(ctx, rf_memory_get(ctx, RF_DEVICE_CPU, RF_MEM_ACTIVATION, &info));
    r.peak = info.peak;
    rf_tensor_drop(shift);
    gpt_destroy(&g);
    rf_context_destroy(ctx);
    return r;
}

static void same(const result *a, const result *b, const char *what, int form)
{
    if (memcmp(a->losses, b->losses, sizeof a->losses) || a->hash != b->hash ||
        memcmp(&a->rng, &b->rng, sizeof a->rng))
        fail_msg("%s: form %d differs from plain: %.9g and %.9g", what, form,
                 (double)a->losses[STEPS - 1], (double)b->losses[STEPS - 1]);
}

static void all_forms(const setting *set, const char *what)
{
    result plain = train(set, GPT_PLAIN);
    assert_true(plain.losses[STEPS - 1] < plain.losses[0] + 1);
    for (int form = GPT_BLOCK; form < FORMS; form++) {
        result r = train(set, form);
        same(&plain, &r, what, form);
        if (form == GPT_BLOCK || form == GPT_NESTED)
            assert_true(r.peak < plain.peak);
    }
}

static void test_every_form(void **state)
{
    (void)state;
    all_forms(&(setting){0, 1, NULL, 64, 0}, "plain");
    all_forms(&(setting){0.1, 1, NULL, 64, 0}, "dropout");
}

/* The loss from logits that are kept, and from tiles that are made again. */
static void test_forms_of_the_loss(void **state)
{
    (void)state;
    setting set = {0.1, 2, NULL, 64, RF_LOGITS_KEEP};
    result kept = train(&set, GPT_PLAIN);
    set.logits = RF_LOGITS_RECOMPUTE;
    for (int form = GPT_PLAIN; form < FORMS; form++) {
        result r = train(&set, form);
        same(&kept, &r, "logits made again", form);
    }
}

static void test_two_threads(void **state)
{
    (void)state;
    all_forms(&(setting){0.1, 2, NULL, 64, 0}, "two threads");
}

static void test_every_table_of_kernels(void **state)
{
    static const char *const names[] = {"reference", "portable",    "avx2",
                                        "avx512",    "avx512_bf16", "amx"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        rf_context *ctx;
        rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
        opts.isa = names[i];
        if (rf_context_create(&ctx, &opts))
            continue; /* not on this processor */
        rf_context_destroy(ctx);
        setting set = {0.1, 1, names[i], 64, 0};
        result plain = train(&set, GPT_PLAIN), block = train(&set, GPT_BLOCK);
        same(&plain, &block, names[i], GPT_BLOCK);
    }
}

static void test_other_offsets(void **state)
{
    (void)state;
    setting set = {0.1, 2, NULL, 64, 0};
    result plain = train(&set, GPT_PLAIN);
    for (size_t shift = 128; shift <= 64 * 9; shift += 64) {
        set.shift = shift;
        result moved = train(&set, shift % 128 ? GPT_BLOCK : GPT_PLAIN);
        same(&plain, &moved, "offset", (int)shift);
    }
}

/* The second training in a process finds warm caches in the libraries underneath. */
static void test_cold_and_warm(void **state)
{
    (void)state;
    setting set = {0, 2, NULL, 64, 0};
    result cold = train(&set, GPT_BLOCK), warm = train(&set, GPT_BLOCK);
    same(&cold, &warm, "warm", GPT_BLOCK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cold_and_warm), cmocka_unit_test(test_every_form),
        cmocka_unit_test(test_two_threads),   cmocka_unit_test(test_every_table_of_kernels),
        cmocka_unit_test(test_other_offsets), cmocka_unit_test(test_forms_of_the_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
