/* test_predict.c: what rf_predict foretells is what the step then takes, to the byte and by class,
 * whatever is checkpointed, kept, sent away or stepped inside of backward; and asking changes
 * nothing. */
#include "support/gpt.h"
#include "support/world.h"

#include <refrain/nn.h>
#include <refrain/predict.h>

/* ---- a step, and ways to run it ---- */

typedef struct trainer {
    gpt g;
    int together;  /* step inside of backward        */
    int keep_grad; /* gradients add up over steps    */
    int bf16;
    int read; /* the loss, inside of the step        */
    uint32_t batch;
} trainer;

static rf_status trainer_update(trainer *t, rf_scope *s, rf_tensor *loss)
{
    if (t->together)
        return rf_optim_backward(t->g.optim, s, loss, NULL);
    rf_status status = rf_backward(s, loss);
    if (!status)
        status = rf_clip_grad_norm(t->g.model, 1.0, NULL);
    if (!status)
        status = rf_optim_step(t->g.optim);
    if (!t->keep_grad)
        rf_optim_zero_grad(t->g.optim);
    return status;
}

static rf_status trainer_step(void *payload)
{
    trainer *t = payload;
    int32_t ids[GPT_BATCH * GPT_CONTEXT + 1];
    int64_t dims[2] = {GPT_BATCH, t->g.context};
    rf_scope *s;
    double value;
    rf_tensor *in[2], *loss = NULL;
    rf_values from = {in, 2}, to = {&loss, 1};
    rf_status status = rf_scope_open(&s, rf_module_context(t->g.model), NULL);
    if (status)
        return status;
    for (uint32_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        ids[i] = (int32_t)((i * 7 + t->batch) % GPT_VOCAB);
    if (t->bf16)
        assert_int_equal(rf_scope_set_precision(s, RF_BF16), RF_OK);
    in[0] = rf_tensor_copy_in(s, RF_I32, 2, dims, ids);
    in[1] = rf_tensor_copy_in(s, RF_I32, 2, dims, ids + 1);
    status = rf_module_call(t->g.model, s, &from, &to);
    if (!status && t->read)
        status = rf_tensor_item(loss, &value);
    if (!status)
        status = trainer_update(t, s, loss);
    rf_scope_close(s);
    return status;
}

static const char *const fates[] = {NULL,
                                    "keep=linear",
                                    "keep=gelu_tanh;recompute=*",
                                    "host=*",
                                    "file=linear;keep=causal_attention",
                                    "file=*"};
enum { FORMS = GPT_SEQUENTIAL + 3, FATES = sizeof fates / sizeof fates[0] };

/* Every block with fates; after FATES, the forms of support/gpt.h. */
static rf_status trainer_apply(trainer *t, int form)
{
    rf_status status = RF_OK;
    if (form >= FATES)
        return gpt_apply(&t->g, form - FATES);
    for (size_t i = 0; i < GPT_LAYERS && !status; i++) {
        rf_checkpoint_options opts = RF_CHECKPOINT_OPTIONS_INIT;
        opts.fates = fates[form];
        status = rf_checkpoint(rf_nn_gpt2_block(t->g.model, i), &opts);
    }
    return status;
}

static rf_context *context_new(int dry)
{
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_context *ctx;
    opts.seed = 3;
    opts.dry = dry;
    assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
    return ctx;
}

static trainer trainer_new(rf_context *ctx, int form, int way)
{
    trainer t = {.together = way == 1, .keep_grad = way == 2, .bf16 = way == 3};
    assert_int_equal(gpt_create(&t.g, ctx, 0.1), RF_OK);
    assert_int_equal(trainer_apply(&t, form), RF_OK);
    assert_int_equal(rf_nn_gpt2_set_logits(t.g.model, (rf_logits)(1 + form % 2)), RF_OK);
    return t;
}

static void trainer_end(trainer *t)
{
    rf_context *ctx = rf_module_context(t->g.model);
    gpt_destroy(&t->g);
    rf_context_destroy(ctx);
}

/* ---- measuring ---- */

static rf_memory_info info_of(rf_context *ctx, rf_device device, rf_mem_class cls)
{
    rf_memory_info info;
    assert_int_equal(rf_memory_get(ctx, device, cls, &info), RF_OK);
    return info;
}

static rf_prediction measure(trainer *t, size_t steps)
{
    rf_context *ctx = rf_module_context(t->g.model);
    rf_prediction m = RF_PREDICTION_INIT;
    rf_memory_reset_peak(ctx);
    for (size_t i = 0; i < steps; i++)
        assert_int_equal(trainer_step(t), RF_OK);
    for (int c = 0; c < RF_MEM_CLASSES; c++)
        m.peak[c] = info_of(ctx, RF_DEVICE_CPU, (rf_mem_class)c).peak;
    m.host = info_of(ctx, RF_DEVICE_HOST, RF_MEM_ALL).peak;
    m.file = info_of(ctx, RF_DEVICE_FILE, RF_MEM_ALL).peak;
    return m;
}

static void assert_same_peaks(const rf_prediction *a, const rf_prediction *b)
{
    for (int c = 0; c < RF_MEM_CLASSES; c++)
        assert_int_equal(a->peak[c], b->peak[c]);
    assert_int_equal(a->host, b->host);
    assert_int_equal(a->file, b->file);
}

static rf_status state_add(void *payload, const char *path, rf_tensor *t)
{
    uint64_t *h = payload;
    const rf_tensor *grad = rf_grad(t);
    const unsigned char *p = rf_tensor_data(t);
    (void)path;
    for (size_t i = 0; i < rf_tensor_bytes(t); i++)
        *h = (*h ^ p[i]) * UINT64_C(0x100000001B3);
    *h = (*h ^ (uintptr_t)grad) * UINT64_C(0x100000001B3);
    return RF_OK;
}

/* All that asking must leave alone. */
static uint64_t state_hash(trainer *t)
{
    rf_context *ctx = rf_module_context(t->g.model);
    rf_rng rng = rf_context_rng(ctx);
    uint64_t h = UINT64_C(0xCBF29CE484222325) ^ rf_optim_steps(t->g.optim) ^ rng.seed ^
                 rng.offset << 7 ^ rf_op_counts_of(ctx, "linear").executed << 32;
    assert_int_equal(rf_module_each_param(t->g.model, 0, state_add, &h), RF_OK);
    assert_int_equal(rf_optim_each_state(t->g.optim, state_add, &h), RF_OK);
    return h;
}

/* ---- tests ---- */

/* In a context that trains: before the first step, and after some. */
static void predicts_itself(int form, int way)
{
    trainer t = trainer_new(context_new(0), form, way);
    rf_context *ctx = rf_module_context(t.g.model);
    const rf_training_step step = {trainer_step, &t};
    for (int round = 0; round < 2; round++) {
        rf_prediction p = RF_PREDICTION_INIT;
        uint64_t used = 0, before = state_hash(&t);
        for (int c = RF_MEM_PARAM; c < RF_MEM_OTHER; c++)
            used += info_of(ctx, RF_DEVICE_CPU, (rf_mem_class)c).used;
        assert_int_equal(rf_predict(&p, ctx, &step, NULL), RF_OK);
        assert_int_equal(state_hash(&t), before);
        for (int c = RF_MEM_PARAM; c < RF_MEM_OTHER; c++)
            used -= info_of(ctx, RF_DEVICE_CPU, (rf_mem_class)c).used;
        assert_int_equal(used, 0);
        rf_prediction m = measure(&t, 2);
        assert_same_peaks(&p, &m);
    }
    trainer_end(&t);
}

static void test_peak_is_measured_peak(void **state)
{
    (void)state;
    for (int form = 0; form < FATES + FORMS; form++)
        for (int way = 0; way < 4; way++)
            predicts_itself(form, way);
}

/* In a context that never had a byte: the model is made there too. */
static void test_dry_context_is_real_context(void **state)
{
    (void)state;
    for (int form = 0; form < FATES + FORMS; form++)
        for (int way = 0; way < 4; way++) {
            trainer dry = trainer_new(context_new(1), form, way);
            trainer real = trainer_new(context_new(0), form, way);
            rf_prediction p = measure(&dry, 3), m = measure(&real, 3);
            assert_same_peaks(&p, &m);
            for (int c = 0; c < RF_MEM_CLASSES; c++)
                assert_int_equal(
                    info_of(rf_module_context(dry.g.model), RF_DEVICE_CPU, (rf_mem_class)c).used,
                    info_of(rf_module_context(real.g.model), RF_DEVICE_CPU, (rf_mem_class)c).used);
            trainer_end(&dry);
            trainer_end(&real);
        }
}

/* Training with predictions in between is training without. */
static void test_bits_are_the_same(void **state)
{
    (void)state;
    trainer asked = trainer_new(context_new(0), 1, 0), plain = trainer_new(context_new(0), 1, 0);
    const rf_training_step step = {trainer_step, &asked};
    for (int i = 0; i < 3; i++) {
        rf_prediction p = RF_PREDICTION_INIT;
        assert_int_equal(rf_predict(&p, rf_module_context(asked.g.model), &step, NULL), RF_OK);
        assert_true(p.kernels > 0);
        assert_int_equal(trainer_step(&asked), RF_OK);
        assert_int_equal(trainer_step(&plain), RF_OK);
    }
    assert_int_equal(state_hash(&asked), state_hash(&plain));
    trainer_end(&asked);
    trainer_end(&plain);
}

static void test_limit_does_not_hold(void **state)
{
    (void)state;
    trainer t = trainer_new(context_new(0), FATES, 0);
    rf_context *ctx = rf_module_context(t.g.model);
    const rf_training_step step = {trainer_step, &t};
    rf_prediction p = RF_PREDICTION_INIT;
    uint64_t used = info_of(ctx, RF_DEVICE_CPU, RF_MEM_ALL).used;
    assert_int_equal(rf_memory_set_limit(ctx, RF_DEVICE_CPU, RF_MEM_ALL, used + (1 << 16)), RF_OK);
    assert_int_equal(rf_predict(&p, ctx, &step, NULL), RF_OK);
    assert_int_equal(info_of(ctx, RF_DEVICE_CPU, RF_MEM_ALL).limit, used + (1 << 16));
    assert_int_equal(trainer_step(&t), RF_E_BUDGET);
    /* what was told is enough, and one byte less is not */
    assert_int_equal(rf_memory_set_limit(ctx, RF_DEVICE_CPU, RF_MEM_ALL, p.peak[RF_MEM_ALL] - 1),
                     RF_OK);
    assert_int_equal(trainer_step(&t), RF_E_BUDGET);
    rf_optim_zero_grad(t.g.optim);
    assert_int_equal(rf_memory_set_limit(ctx, RF_DEVICE_CPU, RF_MEM_ALL, p.peak[RF_MEM_ALL]),
                     RF_OK);
    assert_int_equal(trainer_step(&t), RF_OK);
    trainer_end(&t);
}

static void test_reading_a_value_is_refused(void **state)
{
    (void)state;
    trainer t = trainer_new(context_new(0), 0, 0);
    rf_context *ctx = rf_module_context(t.g.model);
    const rf_training_step step = {trainer_step, &t};
    rf_prediction p = RF_PREDICTION_INIT;
    t.read = 1;
    uint64_t before = state_hash(&t);
    assert_int_equal(rf_predict(&p, ctx, &step, NULL), RF_E_DEVICE);
    assert_non_null(strstr(rf_context_error(ctx)->message, "cross_entropy"));
    assert_int_equal(state_hash(&t), before);
    assert_int_equal(trainer_step(&t), RF_OK);
    trainer_end(&t);
}

static rf_status step_that_predicts(void *payload)
{
    rf_prediction p = RF_PREDICTION_INIT;
    trainer *t = payload;
    const rf_training_step step = {trainer_step, t};
    return rf_predict(&p, rf_module_context(t->g.model), &step, NULL);
}

static void test_misuse(void **state)
{
    (void)state;
    trainer t = trainer_new(context_new(0), 0, 0);
    rf_context *ctx = rf_module_context(t.g.model);
    rf_prediction p = RF_PREDICTION_INIT;
    const rf_training_step nested = {step_that_predicts, &t}, none = {NULL, NULL};
    assert_int_equal(rf_predict(&p, ctx, &nested, NULL), RF_E_STATE);
    assert_int_equal(rf_predict(&p, ctx, &none, NULL), RF_E_ARGUMENT);
    p.size = 1;
    assert_int_equal(rf_predict(&p, ctx, &nested, NULL), RF_E_ARGUMENT);
    assert_false(rf_context_dry(ctx));
    trainer_end(&t);
}

/* The watch tells what bounds the peak. */
static void test_explain_sums_to_peak(void **state)
{
    (void)state;
    trainer t = trainer_new(context_new(0), 2, 0);
    rf_context *ctx = rf_module_context(t.g.model);
    const rf_training_step step = {trainer_step, &t};
    rf_explain *e;
    rf_prediction p = RF_PREDICTION_INIT;
    rf_predict_options opts = RF_PREDICT_OPTIONS_INIT;
    opts.explain = &e;
    assert_int_equal(rf_predict(&p, ctx, &step, &opts), RF_OK);
    uint64_t sum = 0;
    for (size_t i = 0; i < rf_explain_num_live(e); i++)
        sum += rf_explain_live_at(e, i).bytes;
    assert_int_equal(sum, p.peak[RF_MEM_ALL]);
    assert_int_equal(rf_explain_total(e).peak, p.peak[RF_MEM_ALL]);
    assert_true(rf_explain_num_regions(e) > 0);
    rf_explain_destroy(e);
    trainer_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peak_is_measured_peak),
        cmocka_unit_test(test_dry_context_is_real_context),
        cmocka_unit_test(test_bits_are_the_same),
        cmocka_unit_test(test_limit_does_not_hold),
        cmocka_unit_test(test_reading_a_value_is_refused),
        cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_explain_sums_to_peak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
