/* test_plan_dial.c: a plan turns the dial of a GPT-2, its logits, by as many bytes as the budget
 * asks for: what was foretold is measured, no bit is another; a dial that somebody has turned
 * stays; a file of a plan has it; and a class of one's own may have one too. */
#include "support/learner.h"

/* 20 MiB of logits in tiles of nearly 7, beside which little else is held. */
enum { DIAL_VOCAB = 20480 };
#define DIAL_LOGITS ((uint64_t)LEARNER_ROWS * LEARNER_CONTEXT * DIAL_VOCAB * 4)

static learner dialled_new(int dry)
{
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_gpt2_options sizes = RF_GPT2_OPTIONS_INIT;
    opts.seed = 4;
    opts.threads = 2;
    opts.dry = dry;
    sizes.layers = 3;
    sizes.width = 8;
    sizes.heads = 2;
    sizes.context = LEARNER_CONTEXT;
    sizes.vocab = DIAL_VOCAB;
    return learner_new(&opts, &sizes, NULL);
}

static rf_status dialled_plan(learner *d, uint64_t budget, rf_plan **plan)
{
    rf_plan_options opts = RF_PLAN_OPTIONS_INIT;
    const rf_training_step step = {learner_step, d};
    assert_ok(d->ctx, rf_costs_create(&opts.costs, d->ctx));
    opts.budget = budget;
    opts.seconds = getenv("RF_TEST_FAST") ? 0.2 : 60; /* where tries end it */
    rf_status status = rf_plan_create(plan, d->model, &step, &opts);
    rf_costs_destroy(opts.costs);
    return status;
}

/* The smallest budget, as a refusal of a fresh one tells it. */
static uint64_t smallest(rf_logits logits)
{
    learner d = dialled_new(1);
    rf_plan *none;
    assert_ok(d.ctx, rf_nn_gpt2_set_logits(d.model, logits));
    assert_int_equal(dialled_plan(&d, 1000, &none), RF_E_BUDGET);
    uint64_t needed = rf_context_error(d.ctx)->limit_needed;
    learner_end(&d);
    return needed;
}

/* What the plan sets the dial to; RF_DIAL_AUTO: it does not. */
static uint64_t turned(const rf_plan *plan)
{
    for (size_t i = 0; i < rf_plan_num_parts(plan); i++) {
        rf_plan_part part = rf_plan_part_at(plan, i);
        if (!part.dial)
            continue;
        assert_string_equal(part.dial, "logits");
        assert_string_equal(part.path, "");
        return part.bytes;
    }
    return RF_DIAL_AUTO;
}

static uint64_t dial_of(const learner *d)
{
    return rf_module_dial(d->model)->get(d->model);
}

/* ---- plans ---- */

static void test_less_is_enough(void **state)
{
    (void)state;
    uint64_t kept = smallest(RF_LOGITS_KEEP), again = smallest(RF_LOGITS_RECOMPUTE);
    assert_true(again + DIAL_LOGITS / 2 < kept);
    assert_true(smallest(RF_LOGITS_AUTO) < again + again / 100); /* but for bookkeeping */
}

static void test_foretold_held_and_no_other_bits(void **state)
{
    (void)state;
    learner plain = dialled_new(0);
    uint64_t hash, peak = learner_run(&plain, &hash), low = smallest(RF_LOGITS_AUTO), some = 0;
    learner_end(&plain);
    const uint64_t step = getenv("RF_TEST_FAST") ? 3 : 1;
    for (uint64_t i = 0; i <= 6; i += step) {
        learner d = dialled_new(0);
        rf_plan *plan;
        uint64_t budget = low + (peak - low) * i / 6, own;
        assert_ok(d.ctx, dialled_plan(&d, budget, &plan));
        assert_int_equal(dial_of(&d), RF_DIAL_AUTO);
        assert_ok(d.ctx, rf_plan_apply(plan, d.model));
        assert_int_equal(dial_of(&d), turned(plan));
        some += dial_of(&d) > 0 && dial_of(&d) < DIAL_LOGITS;
        assert_int_equal(learner_run(&d, &own), rf_plan_info_of(plan).peak);
        assert_true(rf_plan_info_of(plan).peak <= budget);
        assert_int_equal(own, hash);
        assert_ok(d.ctx, rf_plan_clear(plan, d.model));
        assert_int_equal(dial_of(&d), RF_DIAL_AUTO);
        rf_plan_destroy(plan);
        learner_end(&d);
    }
    assert_true(some >= 2 || (some && step > 1)); /* one of three tiles, and two */
}

static void test_what_is_turned_stays(void **state)
{
    (void)state;
    learner d = dialled_new(1);
    rf_plan *plan;
    assert_ok(d.ctx, rf_module_set_dial(d.model, "logits", DIAL_LOGITS / 2));
    assert_int_equal(dialled_plan(&d, 1000, &plan), RF_E_BUDGET);
    assert_ok(d.ctx, dialled_plan(&d, rf_context_error(d.ctx)->limit_needed, &plan));
    assert_int_equal(turned(plan), RF_DIAL_AUTO);
    assert_int_equal(dial_of(&d), DIAL_LOGITS / 2);
    rf_plan_destroy(plan);
    learner_end(&d);
}

/* A plan by hand: a region, and a dial of this name. */
static rf_plan *by_hand(rf_context *ctx, const char *name)
{
    rf_plan *plan;
    assert_ok(ctx, rf_plan_begin(&plan, ctx));
    assert_ok(ctx, rf_plan_add_part(plan, &(rf_plan_part){.path = "h.1", .fates = "keep=linear"}));
    assert_ok(ctx, rf_plan_add_part(plan, &(rf_plan_part){.path = "", .dial = name, .bytes = 96}));
    return plan;
}

static void test_all_or_nothing(void **state)
{
    (void)state;
    learner d = dialled_new(1);
    rf_plan *plan = by_hand(d.ctx, "logits"), *other = by_hand(d.ctx, "probabilities");
    rf_module *block = rf_nn_gpt2_block(d.model, 1);
    assert_int_equal(rf_plan_apply(other, d.model), RF_E_NOT_FOUND);
    assert_non_null(strstr(rf_context_error(d.ctx)->message, "probabilities"));
    assert_int_equal(rf_checkpoint_applied(block), 0);
    assert_ok(d.ctx, rf_module_set_dial(d.model, "logits", RF_DIAL_ALL));
    assert_int_equal(rf_plan_apply(plan, d.model), RF_E_APPLIED);
    assert_int_equal(rf_checkpoint_applied(block), 0);
    assert_int_equal(dial_of(&d), RF_DIAL_ALL);
    assert_ok(d.ctx, rf_module_set_dial(d.model, "logits", RF_DIAL_AUTO));
    assert_ok(d.ctx, rf_plan_apply(plan, d.model));
    assert_int_equal(rf_checkpoint_applied(block), 1);
    assert_int_equal(dial_of(&d), 96);
    assert_ok(d.ctx, rf_plan_clear(plan, d.model));
    assert_int_equal(dial_of(&d), RF_DIAL_AUTO);
    rf_plan_destroy(plan);
    rf_plan_destroy(other);
    learner_end(&d);
}

static void test_a_file_has_it(void **state)
{
    (void)state;
    learner d = dialled_new(1);
    rf_plan *plan = by_hand(d.ctx, "logits"), *again;
    assert_ok(d.ctx, rf_plan_save(plan, "dial.json"));
    assert_ok(d.ctx, rf_plan_load(&again, d.ctx, "dial.json"));
    assert_int_equal(rf_plan_num_parts(again), 2);
    assert_null(rf_plan_part_at(again, 0).dial);
    assert_int_equal(turned(again), 96);
    rf_plan_destroy(again);
    rf_plan_destroy(plan);
    learner_end(&d);
}

/* ---- modules ---- */

static void test_gpt2_has_a_dial(void **state)
{
    static const uint64_t settings[] = {0, 1, 4096, INT64_MAX - 1, RF_DIAL_ALL, RF_DIAL_AUTO};
    static const rf_logits logits[] = {RF_LOGITS_RECOMPUTE, RF_LOGITS_PART, RF_LOGITS_PART,
                                       RF_LOGITS_PART,      RF_LOGITS_KEEP, RF_LOGITS_AUTO};
    (void)state;
    learner d = dialled_new(1);
    rf_module *copy;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        rf_gpt2_options o;
        assert_ok(d.ctx, rf_module_set_dial(d.model, "logits", settings[i]));
        assert_int_equal(dial_of(&d), settings[i]);
        assert_ok(d.ctx, rf_nn_gpt2_options_of(d.model, &o));
        assert_int_equal(o.logits, logits[i]);
        assert_ok(d.ctx, rf_module_copy(&copy, d.model));
        assert_int_equal(rf_module_dial(copy)->get(copy), settings[i]);
        rf_module_destroy(copy);
    }
    assert_int_equal(rf_module_set_dial(d.model, "logit", 0), RF_E_NOT_FOUND);
    assert_null(rf_module_dial(rf_module_find(d.model, "h")));
    assert_int_equal(rf_module_set_dial(rf_module_find(d.model, "h"), "logits", 0), RF_E_NOT_FOUND);
    learner_end(&d);
}

/* A region remembers what stood; what is set already is no change. */
static void test_turned_before_backward(void **state)
{
    (void)state;
    for (int changes = 0; changes < 2; changes++) {
        learner d = dialled_new(0);
        rf_scope *s;
        int32_t ids[8] = {3, 1, 4, 1, 5, 9, 2, 6};
        rf_tensor *in[2], *loss = NULL;
        assert_ok(d.ctx, rf_checkpoint(d.model, NULL));
        assert_ok(d.ctx, rf_scope_open(&s, d.ctx, NULL));
        in[0] = in[1] = rf_tensor_copy_in(s, RF_I32, 2, (int64_t[]){2, 4}, ids);
        assert_ok(d.ctx, rf_module_call(d.model, s, &(rf_values){in, 2}, &(rf_values){&loss, 1}));
        assert_ok(d.ctx, rf_module_set_dial(d.model, "logits", changes ? 0 : RF_DIAL_AUTO));
        assert_int_equal(rf_backward(s, loss), changes ? RF_E_MUTATED : RF_OK);
        rf_scope_close(s);
        learner_end(&d);
    }
}

/* ---- a class of one's own ---- */

typedef struct scorer {
    uint64_t bytes;
} scorer;

static rf_status scorer_forward(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out)
{
    const scorer *own = rf_module_self(m);
    rf_linear_cross_entropy_options opts = RF_LINEAR_CROSS_ENTROPY_OPTIONS_INIT;
    opts.tile = 1 << 16;
    opts.logits = own->bytes == RF_DIAL_AUTO  ? RF_LOGITS_AUTO
                  : own->bytes == RF_DIAL_ALL ? RF_LOGITS_KEEP
                                              : RF_LOGITS_PART;
    opts.part = opts.logits == RF_LOGITS_PART ? (int64_t)own->bytes : 0;
    out->v[0] = rf_linear_cross_entropy(s, in->v[0], rf_module_param(m, "weight"), in->v[1], &opts);
    return rf_scope_status(s);
}

static void scorer_set(rf_module *m, uint64_t bytes)
{
    ((scorer *)rf_module_self(m))->bytes = bytes;
}

static uint64_t scorer_get(const rf_module *m)
{
    return ((const scorer *)rf_module_self(m))->bytes;
}

static const rf_dial scorer_dial = {"scores", scorer_set, scorer_get};
static const rf_module_class scorer_class = {.size = sizeof(rf_module_class),
                                             .name = "Scorer",
                                             .forward = scorer_forward,
                                             .dial = &scorer_dial};

enum { SCORER_ROWS = 256, SCORER_CLASSES = 1024, SCORER_WIDTH = 16 };

static rf_status scorer_step(void *payload)
{
    rf_module *m = payload;
    rf_scope *s;
    rf_tensor *in[2], *loss = NULL;
    rf_status status = rf_scope_open(&s, rf_module_context(m), NULL);
    if (status)
        return status;
    in[0] = rf_zeros(s, RF_F32, 2, (int64_t[]){SCORER_ROWS, SCORER_WIDTH});
    in[1] = rf_zeros(s, RF_I32, 1, (int64_t[]){SCORER_ROWS});
    status = rf_module_call(m, s, &(rf_values){in, 2}, &(rf_values){&loss, 1});
    if (!status)
        status = rf_backward(s, loss);
    rf_grad_clear(rf_module_param(m, "weight"));
    rf_scope_close(s);
    return status;
}

static void test_a_dial_of_ones_own(void **state)
{
    world *w = *state;
    scorer own = {RF_DIAL_AUTO};
    rf_module *m;
    rf_plan *plan;
    rf_plan_options opts = RF_PLAN_OPTIONS_INIT;
    rf_tensor *weight = rf_zeros(w->s, RF_F32, 2, (int64_t[]){SCORER_CLASSES, SCORER_WIDTH});
    assert_ok(w->ctx, rf_module_create(&m, w->ctx, &scorer_class, &own));
    assert_ok(w->ctx, rf_module_add_param(m, "weight", weight));
    const rf_training_step step = {scorer_step, m};
    assert_ok(w->ctx, rf_costs_create(&opts.costs, w->ctx));
    assert_ok(w->ctx, rf_plan_create(&plan, m, &step, &opts));
    opts.budget = rf_plan_info_of(plan).plain_peak - (SCORER_ROWS * SCORER_CLASSES * 4) / 2;
    rf_plan_destroy(plan);
    assert_ok(w->ctx, rf_plan_create(&plan, m, &step, &opts));
    assert_int_equal(rf_plan_num_parts(plan), 1);
    assert_string_equal(rf_plan_part_at(plan, 0).dial, "scores");
    assert_true(rf_plan_part_at(plan, 0).bytes > 0);
    assert_int_equal(own.bytes, RF_DIAL_AUTO);
    rf_plan_destroy(plan);
    rf_costs_destroy(opts.costs);
    rf_module_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_less_is_enough),
        cmocka_unit_test(test_foretold_held_and_no_other_bits),
        cmocka_unit_test(test_what_is_turned_stays),
        cmocka_unit_test(test_all_or_nothing),
        cmocka_unit_test(test_a_file_has_it),
        cmocka_unit_test(test_gpt2_has_a_dial),
        cmocka_unit_test(test_turned_before_backward),
        cmocka_unit_test_setup_teardown(test_a_dial_of_ones_own, world_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
