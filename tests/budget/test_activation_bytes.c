/* test_activation_bytes.c: known answers for what the layers of a transformer leave behind after a
 * forward (Korthikanti et al. 2022): s b h (34 + 5 a s / h) bytes with activations of 16 bits and
 * dropout masks of one byte; without the s x s matrices of attention 34 s b h; 2 s b h where only a
 * layer's input stays. Ours are of 32 bits, count dropout's random numbers instead of storing
 * masks, and never have the s x s matrices; so a layer holds twice the bytes of 34 - 2, to the
 * byte, and a few numbers for each row that the paper leaves out.
 *
 * All runs dry: the largest of these models has 530 thousand million parameters.
 */
#include "support/world.h"

#include <refrain/refrain.h>

typedef struct known {
    int64_t s, b, h, a;
    uint64_t layer, selective; /* the paper's */
} known;

/* GPT-2 124M, twice; GPT-3; MT-NLG 530B */
static const known answers[] = {
    {1024, 8, 768, 12, 717225984, 213909504},
    {1024, 1, 768, 12, 89653248, 26738688},
    {2048, 1, 12288, 96, 2868903936, 855638016},
    {2048, 1, 20480, 128, 4110417920, 1426063360},
};
enum { ANSWERS = sizeof answers / sizeof answers[0], ANSWER_LAYERS = 12 };

typedef struct trial {
    rf_context *ctx;
    rf_module *model;
    const known *sizes;
    uint64_t held; /* activations after the last forward */
} trial;

static uint64_t trial_used(const trial *t, rf_mem_class cls)
{
    rf_memory_info info;
    assert_ok(t->ctx, rf_memory_get(t->ctx, RF_DEVICE_CPU, cls, &info));
    return info.used;
}

static trial trial_new(const known *sizes, int64_t layers)
{
    trial t = {.sizes = sizes};
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_gpt2_options gpt2 = RF_GPT2_OPTIONS_INIT;
    opts.dry = 1;
    opts.threads = 1;
    gpt2.vocab = 50257;
    gpt2.context = sizes->s;
    gpt2.width = sizes->h;
    gpt2.heads = sizes->a;
    gpt2.layers = layers;
    gpt2.dropout = 0.1;
    assert_int_equal(rf_context_create(&t.ctx, &opts), RF_OK);
    assert_ok(t.ctx, rf_nn_gpt2(&t.model, t.ctx, &gpt2));
    return t;
}

static void trial_end(trial *t)
{
    rf_module_destroy(t->model);
    rf_context_destroy(t->ctx);
}

static rf_status trial_step(void *payload)
{
    trial *t = payload;
    const int64_t dims[2] = {t->sizes->b, t->sizes->s};
    rf_scope *s;
    rf_tensor *in[2], *loss = NULL;
    rf_values from = {in, 2}, to = {&loss, 1};
    if (rf_scope_open(&s, t->ctx, NULL))
        return RF_E_MEMORY;
    in[0] = rf_zeros(s, RF_I32, 2, dims);
    in[1] = rf_zeros(s, RF_I32, 2, dims);
    rf_status status = rf_module_call(t->model, s, &from, &to);
    t->held = trial_used(t, RF_MEM_ACTIVATION);
    if (!status)
        status = rf_backward(s, loss);
    rf_scope_close(s);
    return status;
}

/* What one layer more leaves behind. */
static uint64_t layer_bytes(const known *sizes, int regions)
{
    uint64_t held[2];
    for (int i = 0; i < 2; i++) {
        trial t = trial_new(sizes, 2 + i);
        for (size_t k = 0; regions && k < 2 + (size_t)i; k++)
            assert_ok(t.ctx, rf_checkpoint(rf_nn_gpt2_block(t.model, k), NULL));
        assert_ok(t.ctx, trial_step(&t));
        held[i] = t.held;
        trial_end(&t);
    }
    return held[1] - held[0];
}

static void test_v8_a_layer(void **state)
{
    (void)state;
    for (size_t i = 0; i < ANSWERS; i++) {
        const known *k = &answers[i];
        uint64_t rows = (uint64_t)(k->s * k->b), sbh = rows * (uint64_t)k->h;
        /* log-sum-exps of heads; mean and deviation of two norms */
        uint64_t numbers = 4 * rows * (uint64_t)k->a + 2 * 2 * 4 * rows;
        uint64_t plain = layer_bytes(k, 0);
        assert_int_equal(k->layer, 34 * sbh + 5 * rows * (uint64_t)(k->a * k->s));
        assert_int_equal(plain, 2 * (k->selective - 2 * sbh) + numbers);
        assert_true(plain < k->layer); /* in 16 bits and with everything stored */
        assert_int_equal(layer_bytes(k, 1), 2 * (2 * sbh));
    }
}

/* The whole of GPT-2 with as many bytes of activations, at its peak and not only after the forward,
 * as the paper's selective recompute leaves behind in 16 bits: a plan holds them. */
static void test_v8_as_a_budget(void **state)
{
    rf_costs *costs;
    rf_plan *plan;
    rf_plan_options opts = RF_PLAN_OPTIONS_INIT;
    trial t = trial_new(&answers[0], ANSWER_LAYERS);
    const rf_training_step step = {trial_step, &t};
    const uint64_t activations = ANSWER_LAYERS * answers[0].selective;
    (void)state;
    assert_int_equal(activations, 2566914048);
    assert_ok(t.ctx, trial_step(&t)); /* gradients are there from now on */
    assert_true(t.held > activations);
    assert_ok(t.ctx, rf_costs_create(&costs, t.ctx));
    opts.budget = trial_used(&t, RF_MEM_ALL) + activations;
    opts.costs = costs;
    assert_ok(t.ctx, rf_plan_create(&plan, t.model, &step, &opts));
    assert_ok(t.ctx, rf_plan_apply(plan, t.model));
    rf_memory_reset_peak(t.ctx);
    assert_ok(t.ctx, trial_step(&t));
    rf_memory_info info;
    assert_ok(t.ctx, rf_memory_get(t.ctx, RF_DEVICE_CPU, RF_MEM_ALL, &info));
    assert_true(info.peak <= opts.budget);
    assert_true(t.held <= activations);
    rf_plan_destroy(plan);
    rf_costs_destroy(costs);
    trial_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v8_a_layer),
        cmocka_unit_test(test_v8_as_a_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
