/* test_plan_quality.c: the search beside all schemes there are, on models that are no chain and
 * have few sites: within 5 % of the best at every budget, and within 1 % in 95 of 100 cases. And it
 * is never worse than what people do by hand at the bytes that this takes.
 */
#include "plan/profile.h"
#include "plan/search.h"
#include "support/random_model.h"
#include "support/world.h"
#include "tensor/dry.h"

#include <stdio.h>
#include <stdlib.h>

enum { QUALITY_OPTIONS = 3, QUALITY_BUDGETS = 8, QUALITY_MOST = 3000, QUALITY_TRIES = 600 };

/* A model in a dry run, with its sites and a few options of each. */
typedef struct quality {
    random_model model;
    rf_costs *costs;
    rf_training_step step;
    rf_sites sites;
    rf_options options;
    rf_scheme_space space;
} quality;

static double quality_cost(void *payload, const rf_op_call *call)
{
    return rf_costs_of(payload, call);
}

/* Leave plain, one in the middle and the one that keeps least. */
static void quality_thin(rf_context *ctx, rf_option_list *list)
{
    while (list->num > QUALITY_OPTIONS) {
        size_t at = list->num > 4 && list->num % 2 ? list->num - 2 : 1;
        rf_plan_free_text(ctx, list->v[at].fates);
        memmove(&list->v[at], &list->v[at + 1], (list->num - at - 1) * sizeof list->v[0]);
        list->num--;
    }
}

static void quality_begin(quality *q, uint64_t seed)
{
    rf_context *ctx;
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.threads = 1;
    assert_int_equal(rf_context_create(&ctx, &opts), RF_OK);
    assert_ok(ctx, random_model_begin(&q->model, ctx, seed));
    assert_ok(ctx, rf_costs_create(&q->costs, ctx));
    q->step = (rf_training_step){random_model_step, &q->model};
    assert_ok(ctx, rf_dry_begin(ctx));
    ctx->cost = quality_cost;
    ctx->cost_payload = q->costs;
    assert_ok(ctx, rf_sites_find(&q->sites, q->model.root, &q->step));
    assert_ok(ctx, rf_options_find(&q->options, &q->sites, 0));
    for (size_t i = 0; i < q->options.num; i++)
        quality_thin(ctx, &q->options.lists[i]);
    q->space = (rf_scheme_space){ctx, &q->sites, &q->options};
}

static void quality_end(quality *q)
{
    rf_context *ctx = q->model.ctx;
    rf_options_end(&q->options);
    rf_sites_end(&q->sites);
    ctx->cost = NULL;
    rf_dry_end(ctx);
    rf_costs_destroy(q->costs);
    random_model_end(&q->model);
    rf_context_destroy(ctx);
}

static uint64_t quality_schemes(const quality *q)
{
    uint64_t num = 1;
    for (size_t i = 0; i < q->sites.num && num <= QUALITY_MOST; i++)
        num *= rf_options_of(&q->options, i)->num;
    return num;
}

/* ---- all schemes ---- */

static int quality_next(const quality *q, rf_scheme *scheme)
{
    for (size_t i = 0; i < q->sites.num; i++) {
        if (++scheme->option[i] < rf_options_of(&q->options, i)->num)
            return 1;
        scheme->option[i] = 0;
    }
    return 0;
}

static void quality_all(const quality *q, rf_search *out)
{
    rf_context *ctx = q->space.ctx;
    rf_scheme scheme;
    assert_ok(ctx, rf_search_begin(out, &q->space, &q->step, 0)); /* no time: plain alone */
    assert_ok(ctx, rf_scheme_begin(&scheme, &q->space));
    do {
        assert_ok(ctx, rf_search_try(out, &scheme, NULL));
    } while (quality_next(q, &scheme));
    rf_scheme_end(&scheme, &q->space);
}

/* ---- comparing ---- */

typedef struct quality_score {
    uint64_t cases, close, worse; /* within 1 %; not even within 5 % */
    double worst;
} quality_score;

static void quality_at(const quality *q, const rf_search *all, uint64_t budget,
                       quality_score *score)
{
    rf_context *ctx = q->space.ctx;
    rf_search search;
    assert_ok(ctx, rf_search_begin(&search, &q->space, &q->step, 60));
    assert_ok(ctx, rf_search_refine(&search, 0, QUALITY_TRIES));
    assert_ok(ctx, rf_search_refine(&search, budget, QUALITY_TRIES));
    const rf_trial *best = rf_search_find(all, budget), *found = rf_search_find(&search, budget);
    double ratio = !best ? 1 : found ? found->seconds / best->seconds : 2;
    score->cases++;
    score->close += ratio <= 1.01;
    score->worse += ratio > 1.05;
    score->worst = ratio > score->worst ? ratio : score->worst;
    rf_search_end(&search);
}

static void quality_model(uint64_t seed, quality_score *score)
{
    quality q;
    rf_search all;
    quality_begin(&q, seed);
    uint64_t num = quality_schemes(&q);
    if (num > 2 && num <= QUALITY_MOST) {
        quality_all(&q, &all);
        uint64_t low = all.front[0].peak, high = all.plain.peak;
        for (uint64_t i = 0; i < QUALITY_BUDGETS; i++)
            quality_at(&q, &all, low + (high - low) * i / QUALITY_BUDGETS, score);
        rf_search_end(&all);
    }
    quality_end(&q);
}

static void test_beside_all_schemes(void **state)
{
    quality_score score = {.worst = 1};
    const char *text = getenv("RF_BUDGET_MODELS");
    uint64_t num = text ? strtoull(text, NULL, 10) : getenv("RF_TEST_FAST") ? 11 : 33;
    (void)state;
    for (uint64_t seed = 0; seed < num; seed++)
        quality_model(seed, &score);
    printf("# %llu cases, %llu within 1 %%, %llu not within 5 %%, worst %.3f\n",
           (unsigned long long)score.cases, (unsigned long long)score.close,
           (unsigned long long)score.worse, score.worst);
    assert_true(score.cases > 0);
    assert_int_equal(score.worse, 0);
    assert_true(100 * score.close >= 95 * score.cases);
}

/* ---- by hand ---- */

/* All schemes of one kind: sites of one depth keep nothing. At the bytes that it takes, the search
 * is as fast. */
static void quality_by_hand(const quality *q, const rf_search *search, size_t depth)
{
    rf_context *ctx = q->space.ctx;
    rf_search alone;
    rf_trial trial;
    rf_scheme scheme;
    assert_ok(ctx, rf_search_begin(&alone, &q->space, &q->step, 0));
    assert_ok(ctx, rf_scheme_begin(&scheme, &q->space));
    for (size_t i = 0; i < q->sites.num; i++) {
        size_t d = 0;
        for (size_t k = q->sites.v[i].outer; k != SIZE_MAX; k = q->sites.v[k].outer)
            d++;
        if (d == depth)
            scheme.option[i] = (uint8_t)(rf_options_of(&q->options, i)->num - 1);
    }
    assert_ok(ctx, rf_search_try(&alone, &scheme, &trial));
    const rf_trial *found = rf_search_find(search, trial.peak);
    assert_true(trial.peak == UINT64_MAX || (found && found->seconds <= trial.seconds));
    rf_scheme_end(&scheme, &q->space);
    rf_search_end(&alone);
}

static void test_never_worse_than_by_hand(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < RANDOM_KINDS; seed++) {
        quality q;
        rf_search search;
        quality_begin(&q, seed);
        assert_ok(q.space.ctx, rf_search_begin(&search, &q.space, &q.step, 60));
        for (size_t depth = 0; depth < 4; depth++)
            quality_by_hand(&q, &search, depth);
        rf_search_end(&search);
        quality_end(&q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_beside_all_schemes),
        cmocka_unit_test(test_never_worse_than_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
