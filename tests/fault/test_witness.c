/* test_witness.c: the ledger against an outside witness that counts malloc and mmap: over small
 * GPTs of several sizes, batches and numbers of steps, plain and checkpointed, the two peaks differ
 * by less than a constant. */
#include "support/world.h"
#include "support/witness.h"
#include "tensor/pooled.h"

#include <stdio.h>

typedef struct subject {
    int64_t layers, width, context, batch;
    uint32_t steps;
    int checkpointed;
} subject;

static const subject subjects[] = {
    {1, 16, 8, 1, 2, 0},   {1, 16, 8, 1, 40, 0},  {2, 32, 32, 2, 2, 0},   {2, 32, 32, 2, 2, 1},
    {2, 32, 32, 16, 2, 0}, {2, 32, 32, 16, 2, 1}, {6, 32, 32, 2, 2, 0},   {6, 32, 32, 2, 10, 1},
    {3, 128, 64, 4, 2, 0}, {3, 128, 64, 4, 2, 1}, {1, 128, 64, 16, 1, 0}, {8, 64, 32, 4, 2, 1},
    {48, 32, 16, 1, 3, 0}, {96, 16, 16, 1, 2, 1},
};
enum { SUBJECTS = sizeof subjects / sizeof *subjects, VOCABULARY = 128 };

static void witnessed_step(rf_context *ctx, rf_module *model, rf_optim *optim, const subject *sub)
{
    static int32_t ids[16 * 64 + 1];
    int64_t dims[2] = {sub->batch, sub->context};
    rf_scope *s;
    rf_tensor *in[2], *loss = NULL;
    rf_values from = {in, 2}, to = {&loss, 1};
    for (uint32_t i = 0; i < sizeof ids / sizeof *ids; i++)
        ids[i] = (int32_t)((i * i * 7 + i) % VOCABULARY);
    assert_ok(ctx, rf_scope_open(&s, ctx, NULL));
    in[0] = rf_tensor_copy_in(s, RF_I32, 2, dims, ids);
    in[1] = rf_tensor_copy_in(s, RF_I32, 2, dims, ids + 1);
    assert_ok(ctx, rf_module_call(model, s, &from, &to));
    assert_ok(ctx, rf_backward(s, loss));
    assert_ok(ctx, rf_clip_grad_norm(model, 1.0, NULL));
    assert_ok(ctx, rf_optim_step(optim));
    rf_optim_zero_grad(optim);
    rf_scope_close(s);
}

static rf_module *witnessed_model(rf_context *ctx, const subject *sub)
{
    rf_module *model;
    rf_gpt2_options sizes = RF_GPT2_OPTIONS_INIT;
    sizes.vocab = VOCABULARY;
    sizes.layers = sub->layers;
    sizes.width = sub->width;
    sizes.heads = 2;
    sizes.context = sub->context;
    sizes.dropout = 0.1;
    assert_ok(ctx, rf_nn_gpt2(&model, ctx, &sizes));
    return model;
}

/* Witness's peak minus ledger's, of one training from the making of its context to its end. *peak:
 * the ledger's; if it is not 0 before, storages lie in a pool of so many bytes. */
static int64_t witnessed(const subject *sub, const char *isa, size_t threads, uint64_t *peak)
{
    rf_context *ctx;
    rf_optim *optim;
    rf_memory_info info;
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_adamw_options adamw = RF_ADAMW_OPTIONS_INIT;
    opts.isa = isa;
    opts.threads = threads;
    witness_reset();
    int64_t before = witness_now().live;
    assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
    if (*peak)
        assert_ok(ctx, rf_context_set_pool(ctx, *peak, NULL, 0));
    rf_module *model = witnessed_model(ctx, sub);
    assert_ok(ctx, rf_optim_adamw(&optim, model, &adamw));
    for (size_t i = 0; sub->checkpointed && i < (size_t)sub->layers; i++)
        assert_ok(ctx, rf_checkpoint(rf_nn_gpt2_block(model, i), NULL));
    for (uint32_t i = 0; i < sub->steps; i++)
        witnessed_step(ctx, model, optim, sub);
    witness_figures f = witness_now();
    assert_ok(ctx, rf_memory_get(ctx, RF_DEVICE_CPU, RF_MEM_ALL, &info));
    rf_optim_destroy(optim);
    rf_module_destroy(model);
    rf_context_destroy(ctx);
    *peak = info.peak;
    int64_t difference = f.peak - before - (int64_t)info.peak;
    if (getenv("RF_TEST_VERBOSE"))
        printf(
            "# %s %zu: %lld layers of %lld, %lld x %lld, %u steps%s: ledger %llu, witness %+lld, "
            "%llu calls\n",
            isa ? isa : "best", threads, (long long)sub->layers, (long long)sub->width,
            (long long)sub->batch, (long long)sub->context, sub->steps,
            sub->checkpointed ? ", checkpointed" : "", (unsigned long long)info.peak,
            (long long)difference, (unsigned long long)f.calls);
    return difference;
}

static void all_subjects(const char *isa, size_t threads, int64_t constant)
{
    if (!witness_works()) {
        print_message("the sanitizers have an allocator of their own\n");
        skip();
    }
    /* What the libraries underneath make once in a process, at their first use. */
    uint64_t warm = 0;
    witnessed(&subjects[8], isa, threads, &warm);
    for (int i = 0; i < SUBJECTS; i++) {
        uint64_t peak = 0;
        int64_t difference = witnessed(&subjects[i], isa, threads, &peak);
        if (difference < 0 || difference > constant)
            fail_msg("subject %d: the witness's peak is the ledger's and %lld bytes; the constant "
                     "is %lld",
                     i, (long long)difference, (long long)constant);
    }
}

/* ---- under budgets ---- */

typedef struct budgeted_run {
    rf_context *ctx;
    rf_module *model;
    rf_optim *optim;
    const subject *sub;
} budgeted_run;

static rf_status budgeted_step(void *payload)
{
    budgeted_run *run = payload;
    witnessed_step(run->ctx, run->model, run->optim, run->sub);
    return RF_OK;
}

static budgeted_run budgeted_begin(const subject *sub, const char *isa)
{
    budgeted_run run = {.sub = sub};
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.isa = isa;
    opts.threads = 1;
    assert_int_equal(rf_context_create(&run.ctx, &opts), RF_OK);
    run.model = witnessed_model(run.ctx, sub);
    assert_ok(run.ctx, rf_optim_adamw(&run.optim, run.model, NULL));
    return run;
}

static void budgeted_end(budgeted_run *run)
{
    rf_optim_destroy(run->optim);
    rf_module_destroy(run->model);
    rf_context_destroy(run->ctx);
}

/* A plan for so many thousandths of what is between the smallest and the plain peak (owned), in a
 * context of its own: looking for it takes memory beside the ledger. */
static rf_plan *budgeted_plan(budgeted_run *run, uint64_t thousandths)
{
    rf_costs *costs;
    rf_plan *plan = NULL;
    rf_plan_options opts = RF_PLAN_OPTIONS_INIT;
    const rf_training_step step = {budgeted_step, run};
    assert_ok(run->ctx, rf_costs_create(&costs, run->ctx));
    opts.costs = costs;
    opts.seconds = 0.2; /* which plan does not matter */
    opts.budget = 1;
    assert_int_equal(rf_plan_create(&plan, run->model, &step, &opts), RF_E_BUDGET);
    uint64_t smallest = rf_context_error(run->ctx)->limit_needed;
    opts.budget = 0;
    assert_ok(run->ctx, rf_plan_create(&plan, run->model, &step, &opts));
    uint64_t plain = rf_plan_info_of(plan).plain_peak;
    rf_plan_destroy(plan);
    assert_true(smallest < plain);
    opts.budget = smallest + (plain - smallest) * thousandths / 1000;
    assert_ok(run->ctx, rf_plan_create(&plan, run->model, &step, &opts));
    rf_costs_destroy(costs);
    return plan;
}

/* Steps with the plan in a fresh context: what is foretold there is what the ledger measures; how
 * much more the witness has seen. */
static int64_t budgeted(const subject *sub, const char *isa, const rf_plan *plan)
{
    rf_plan *mine;
    rf_memory_info info;
    int64_t before = witness_now().live;
    budgeted_run run = budgeted_begin(sub, isa);
    const rf_training_step step = {budgeted_step, &run};
    assert_ok(run.ctx, rf_plan_copy(&mine, plan, run.ctx));
    assert_ok(run.ctx, rf_plan_check(mine, run.model, &step, 0));
    assert_ok(run.ctx, rf_plan_apply(mine, run.model));
    uint64_t foretold = rf_plan_info_of(mine).peak;
    rf_plan_destroy(mine);
    witness_reset();
    rf_memory_reset_peak(run.ctx);
    for (uint32_t i = 0; i < sub->steps; i++)
        witnessed_step(run.ctx, run.model, run.optim, sub);
    int64_t seen = witness_now().peak - before;
    assert_ok(run.ctx, rf_memory_get(run.ctx, RF_DEVICE_CPU, RF_MEM_ALL, &info));
    assert_int_equal(info.peak, foretold);
    budgeted_end(&run);
    return seen - (int64_t)info.peak;
}

static void all_budgets(const char *isa, int64_t constant)
{
    static const subject some[] = {
        {4, 32, 32, 4, 3, 0}, {6, 64, 32, 8, 2, 0}, {3, 128, 64, 4, 3, 0}, {12, 32, 64, 2, 2, 0}};
    if (!witness_works())
        skip();
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++)
        for (uint64_t thousandths = 0; thousandths <= 900; thousandths += 450) {
            budgeted_run run = budgeted_begin(&some[i], isa);
            rf_plan *plan = budgeted_plan(&run, thousandths);
            int64_t difference = budgeted(&some[i], isa, plan);
            if (getenv("RF_TEST_VERBOSE"))
                printf("# subject %zu at %llu: %zu parts, witness %+lld\n", i,
                       (unsigned long long)thousandths, rf_plan_num_parts(plan),
                       (long long)difference);
            rf_plan_destroy(plan);
            budgeted_end(&run);
            if (difference < 0 || difference > constant)
                fail_msg("subject %zu: the witness's peak is the ledger's and %lld bytes; the "
                         "constant is %lld",
                         i, (long long)difference, (long long)constant);
        }
}

static void test_budgets_portable(void **state)
{
    (void)state;
    all_budgets("portable", 16 << 10);
}

/* What is more is the room that the library underneath packs matrices in. */
static void test_budgets_best(void **state)
{
    (void)state;
    all_budgets(NULL, 1 << 20);
}

/* A pool of the bytes that the ledger counts at most: pages round up, which has a 64th. */
static void test_with_a_pool(void **state)
{
    (void)state;
    if (!witness_works())
        skip();
    for (int i = 0; i < SUBJECTS; i++) {
        uint64_t peak = 0;
        witnessed(&subjects[i], NULL, 1, &peak);
        int64_t most = (1 << 20) + (int64_t)peak / 64;
        int64_t difference = witnessed(&subjects[i], NULL, 1, &peak);
        if (difference > most)
            fail_msg(
                "subject %d: with a pool the witness's peak is the ledger's and %lld bytes; %lld "
                "are expected at most",
                i, (long long)difference, (long long)most);
    }
}

/* The library alone. What it doesn't enter is the context itself, and what rounding up to the
 * alignment adds. */
static void test_portable(void **state)
{
    (void)state;
    all_subjects("portable", 1, 16 << 10);
}

/* The library underneath takes room to pack matrices in, block by block. */
static void test_best(void **state)
{
    (void)state;
    all_subjects(NULL, 1, 1 << 20);
}

static void test_best_on_two_threads(void **state)
{
    (void)state;
    all_subjects(NULL, 2, 1 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_portable),
        cmocka_unit_test(test_best),
        cmocka_unit_test(test_best_on_two_threads),
        cmocka_unit_test(test_budgets_portable),
        cmocka_unit_test(test_budgets_best),
        cmocka_unit_test(test_with_a_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
