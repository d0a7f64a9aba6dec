/* test_plan_chains.c: the search on chains whose optimum is known: equal blocks of a linear and its
 * tanh, of which a plain step holds one value each. What is foretold at a budget is compared with
 * the textbook's recurrence, written plainly, on the block as it is seen from outside: so many
 * forwards more than the plain step; and, where they are few, with all sets of regions there are.
 */
#include "plan/profile.h"
#include "plan/search.h"
#include "support/chain.h"
#include "support/world.h"
#include "tensor/dry.h"

#include <refrain/nn.h>
#include <refrain/optim.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHAIN_BATCH = 1024, CHAIN_WIDTH = 64, CHAIN_BUDGETS = 16 };
enum { CHAIN_UNIT = 1024, CHAIN_TRIES = 300 };
/* Bookkeeping, which comes and goes while a step runs, and of which the textbook knows nothing. */
enum { CHAIN_MARGIN = 16 * 1024 };

/* How the model and its step are made. */
typedef struct chain_kind {
    const char *name;
    int blocks_are_children; /* or linears and activations are, side by side */
    int together;            /* the optimiser steps inside of backward       */
    int blocks;
} chain_kind;

typedef struct chain_world {
    const chain_kind *kind;
    rf_context *ctx;
    rf_module *root;
    rf_optim *optim;
    rf_costs *costs;
    rf_training_step step;
    rf_sites sites;
    rf_options options;
    rf_scheme_space space;
} chain_world;

/* Its loss holds nothing of the chain's result, whose gradient is a tensor of its own. */
static rf_tensor *chain_loss(const chain_world *w, rf_scope *s)
{
    const int64_t dims[2] = {CHAIN_BATCH, CHAIN_WIDTH};
    rf_tensor *x = rf_zeros(s, RF_F32, 2, dims), *weights = rf_zeros(s, RF_F32, 2, dims);
    rf_tensor *y = rf_module_call1(w->root, s, x), *product = rf_mul(s, y, weights);
    rf_release(s, y);
    rf_tensor *loss = rf_sum(s, product);
    rf_release(s, product);
    return loss;
}

static rf_status chain_step(void *payload)
{
    chain_world *w = payload;
    rf_scope *s;
    rf_status status = rf_scope_open(&s, w->ctx, NULL);
    if (status)
        return status;
    rf_tensor *loss = chain_loss(w, s);
    if (w->kind->together)
        status = rf_optim_backward(w->optim, s, loss, NULL);
    else {
        status = rf_backward(s, loss);
        if (!status)
            status = rf_optim_step(w->optim);
        rf_optim_zero_grad(w->optim);
    }
    rf_scope_close(s);
    return status;
}

static void chain_build(chain_world *w)
{
    rf_module *to = NULL, *part;
    assert_ok(w->ctx, rf_nn_sequential(&w->root, w->ctx));
    for (int i = 0; i < 2 * w->kind->blocks; i++) {
        if (w->kind->blocks_are_children && i % 2 == 0) {
            assert_ok(w->ctx, rf_nn_sequential(&to, w->ctx));
            assert_ok(w->ctx, rf_nn_sequential_add(w->root, to));
        }
        if (i % 2)
            assert_ok(w->ctx, rf_nn_activation(&part, w->ctx, RF_ACTIVATION_TANH));
        else
            assert_ok(w->ctx, rf_nn_linear(&part, w->ctx, CHAIN_WIDTH, CHAIN_WIDTH, 0));
        assert_ok(w->ctx, rf_nn_sequential_add(to ? to : w->root, part));
    }
    assert_ok(w->ctx, rf_optim_adamw(&w->optim, w->root, NULL));
}

static double chain_cost(void *payload, const rf_op_call *call)
{
    return rf_costs_of(payload, call);
}

static void world_begin(chain_world *w, const chain_kind *kind)
{
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    opts.threads = 1;
    *w = (chain_world){.kind = kind};
    assert_int_equal(rf_context_create(&w->ctx, &opts), RF_OK);
    chain_build(w);
    assert_ok(w->ctx, rf_costs_create(&w->costs, w->ctx));
    w->step = (rf_training_step){chain_step, w};
    assert_ok(w->ctx, rf_dry_begin(w->ctx));
    w->ctx->cost = chain_cost;
    w->ctx->cost_payload = w->costs;
    assert_ok(w->ctx, rf_sites_find(&w->sites, w->root, &w->step));
    assert_ok(w->ctx, rf_options_find(&w->options, &w->sites, 0));
    w->space = (rf_scheme_space){w->ctx, &w->sites, &w->options};
}

static void world_end(chain_world *w)
{
    rf_options_end(&w->options);
    rf_sites_end(&w->sites);
    w->ctx->cost = NULL;
    rf_dry_end(w->ctx);
    rf_costs_destroy(w->costs);
    rf_optim_destroy(w->optim);
    rf_module_destroy(w->root);
    rf_context_destroy(w->ctx);
}

/* ---- the textbook's chain ---- */

/* In units of bytes; a forward takes 1, a backward nothing. The linear's result is a block's work
 * space forward; backward, two gradients are enough. */
static void textbook_begin(chain_case *c, const chain_kind *kind)
{
    uint64_t value = CHAIN_BATCH * CHAIN_WIDTH * sizeof(float) / CHAIN_UNIT;
    uint64_t params = (CHAIN_WIDTH * CHAIN_WIDTH * sizeof(float) + CHAIN_UNIT) / CHAIN_UNIT;
    chain_begin(c, value);
    c->chain.input_gradient = 0;
    c->chain.settles = kind->together;
    for (int i = 0; i < kind->blocks; i++) {
        chain_stage(c, value, 1, value)->left = params;
        chain_option(c,
                     (rf_chain_option){.saved = value, .forward = 1, .forward_workspace = value});
    }
}

/* The seconds of one block's forward: what one block that runs again takes more. */
static double chain_forward_seconds(const chain_world *w, rf_search *search)
{
    rf_scheme scheme;
    rf_trial trial;
    assert_ok(w->ctx, rf_scheme_begin(&scheme, &w->space));
    rf_scheme_range one = {0, 0, w->kind->blocks_are_children ? 1 : 2};
    assert_ok(w->ctx, rf_scheme_add_range(&scheme, &w->space, one));
    assert_ok(w->ctx, rf_search_try(search, &scheme, &trial));
    rf_scheme_end(&scheme, &w->space);
    return trial.seconds - search->plain.seconds;
}

/* ---- comparing ---- */

static void chain_compare(const chain_world *w, rf_search *search, const double *again,
                          uint64_t most)
{
    double block = chain_forward_seconds(w, search), plain = search->plain.seconds;
    for (uint64_t i = 0; i < CHAIN_BUDGETS; i++) {
        uint64_t m = most - most * i / CHAIN_BUDGETS;
        uint64_t budget = search->plain.peak - (most - m) * CHAIN_UNIT + CHAIN_MARGIN;
        if (isinf(again[m]))
            continue;
        assert_ok(w->ctx, rf_search_refine(search, budget, CHAIN_TRIES));
        const rf_trial *found = rf_search_find(search, budget);
        double best = plain + (again[m] - w->kind->blocks) * block;
        printf("# %s: %3.0f %% of the bytes: %.1f %%, textbook %.1f %%\n", w->kind->name,
               100.0 * (double)m / (double)most, found ? 100 * (found->seconds / plain - 1) : -1,
               100 * (best / plain - 1));
        if (!found) {
            for (size_t k = 0; k < search->num; k++)
                printf("%.1f ", search->front[k].peak / 1024. - search->plain.peak / 1024. + most);
            puts("");
        }
        assert_non_null(found);
        assert_true(found->seconds <= 1.001 * best);
    }
}

static void chain_check(const chain_kind *kind, chain_case *textbook)
{
    chain_world w;
    rf_search search;
    rf_chain_front front;
    textbook_begin(textbook, kind);
    assert_int_equal(rf_chain_front_begin(&front, &chain_alloc, &textbook->chain, NULL), RF_OK);
    uint64_t most = front.plain.peak - textbook->chain.input;
    rf_chain_front_end(&front);
    double *again = chain_textbook(&textbook->chain, most);
    world_begin(&w, kind);
    assert_ok(w.ctx, rf_search_begin(&search, &w.space, &w.step, 60));
    chain_compare(&w, &search, again, most);
    rf_search_end(&search);
    world_end(&w);
    free(again);
}

static void test_beside_the_textbook(void **state)
{
    static const chain_kind kinds[] = {{"flat", 0, 0, 12},
                                       {"flat, together", 0, 1, 12},
                                       {"blocks", 1, 0, 12},
                                       {"blocks, together", 1, 1, 12}};
    chain_case *textbook = malloc(sizeof *textbook);
    (void)state;
    assert_non_null(textbook);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        chain_check(&kinds[i], textbook);
    free(textbook);
}

/* ---- all sets of regions ---- */

/* Runs of links that come next: each is a region or is not, if it does not cross those before. */
static void regions_from(const chain_world *w, rf_search *all, rf_scheme *scheme,
                         rf_scheme_range next)
{
    uint32_t links = (uint32_t)w->sites.chains[0].num_links;
    if (next.first + next.count > links) {
        next.first = 0;
        next.count++;
    }
    if (next.count > links) {
        assert_ok(w->ctx, rf_search_try(all, scheme, NULL));
        return;
    }
    rf_scheme_range after = {0, next.first + 1, next.count};
    regions_from(w, all, scheme, after);
    size_t before = scheme->num_ranges;
    if (rf_scheme_add_range(scheme, &w->space, next))
        return;
    regions_from(w, all, scheme, after);
    for (size_t i = 0; i < scheme->num_ranges; i++)
        if (scheme->ranges[i].first == next.first && scheme->ranges[i].count == next.count)
            rf_scheme_remove_range(scheme, i);
    assert_int_equal(scheme->num_ranges, before);
}

static void regions_check(const chain_kind *kind)
{
    chain_world w;
    rf_search all, search;
    rf_scheme scheme;
    world_begin(&w, kind);
    assert_ok(w.ctx, rf_search_begin(&all, &w.space, &w.step, 0)); /* no time: plain alone */
    assert_ok(w.ctx, rf_scheme_begin(&scheme, &w.space));
    regions_from(&w, &all, &scheme, (rf_scheme_range){0, 0, 2});
    assert_ok(w.ctx, rf_search_begin(&search, &w.space, &w.step, 60));
    for (size_t i = 0; i < all.num; i++) {
        assert_ok(w.ctx, rf_search_refine(&search, all.front[i].peak, CHAIN_TRIES));
        const rf_trial *found = rf_search_find(&search, all.front[i].peak);
        printf("# %s: %llu bytes: %.1f %%, best %.1f %%\n", kind->name,
               (unsigned long long)all.front[i].peak,
               found ? 100 * (found->seconds / all.plain.seconds - 1) : -1,
               100 * (all.front[i].seconds / all.plain.seconds - 1));
        assert_true(found && found->seconds <= 1.001 * all.front[i].seconds);
    }
    rf_scheme_end(&scheme, &w.space);
    rf_search_end(&search);
    rf_search_end(&all);
    world_end(&w);
}

static void test_beside_all_regions(void **state)
{
    static const chain_kind kinds[] = {{"3, flat", 0, 0, 3},
                                       {"3, flat, together", 0, 1, 3},
                                       {"6, blocks", 1, 0, 6},
                                       {"6, blocks, together", 1, 1, 6}};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        regions_check(&kinds[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_beside_the_textbook),
        cmocka_unit_test(test_beside_all_regions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
