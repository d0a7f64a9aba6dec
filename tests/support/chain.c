/* chain.c: see chain.h. */
#include "support/chain.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

const rf_allocator chain_alloc = {rf_alloc_libc, NULL};

void chain_begin(chain_case *c, uint64_t input)
{
    c->chain = (rf_chain){
        .input = input, .input_gradient = input, .stages = c->stages, .options = c->options};
}

rf_chain_stage *chain_stage(chain_case *c, uint64_t output, double forward, uint64_t workspace)
{
    rf_chain_stage *s = &c->stages[c->chain.num_stages++];
    assert_in_range(c->chain.num_stages, 1, CHAIN_MOST_STAGES);
    *s = (rf_chain_stage){.output = output,
                          .gradient = output,
                          .forward = forward,
                          .forward_workspace = workspace,
                          .first_option = c->chain.num_options};
    return s;
}

void chain_option(chain_case *c, rf_chain_option option)
{
    c->options[c->chain.num_options++] = option;
    assert_in_range(c->chain.num_options, 1, CHAIN_MOST_OPTIONS);
    c->stages[c->chain.num_stages - 1].num_options++;
}

uint64_t chain_random(uint64_t *state, uint64_t below)
{
    uint64_t x = *state += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return (x ^ (x >> 31)) % below;
}

static rf_chain_option chain_draw_option(const rf_chain_stage *s, uint64_t *state, uint64_t below,
                                         uint64_t scale)
{
    return (rf_chain_option){.saved = s->output + chain_random(state, below) * scale,
                             .forward = s->forward + (double)chain_random(state, 2),
                             .backward = 1 + (double)chain_random(state, 8),
                             .forward_workspace = chain_random(state, below) / 2 * scale,
                             .backward_workspace = chain_random(state, below) / 2 * scale};
}

void chain_draw(chain_case *c, uint64_t *state, size_t n, size_t most_options, uint64_t below,
                uint64_t scale)
{
    chain_begin(c, chain_random(state, below) * scale);
    c->chain.input_gradient = chain_random(state, 2) * c->chain.input;
    uint64_t leaves = chain_random(state, 2);
    for (size_t i = 0; i < n; i++) {
        uint64_t output = chain_random(state, below) * scale;
        double forward = 1 + (double)chain_random(state, 6);
        rf_chain_stage *s = chain_stage(c, output, forward, chain_random(state, below) / 2 * scale);
        if (chain_random(state, 2))
            s->gradient = chain_random(state, below) * scale;
        s->left = leaves * chain_random(state, below) / 4 * scale;
        for (size_t k = 1 + chain_random(state, most_options); k > 0; k--)
            chain_option(c, chain_draw_option(s, state, below, scale));
    }
}

double chain_answer(rf_chain_front *front, uint64_t budget)
{
    rf_chain_steps steps = {0};
    rf_chain_cost cost;
    assert_int_equal(rf_chain_front_refine(front, budget), RF_OK);
    const rf_chain_point *point = rf_chain_front_find(front, budget);
    if (!point)
        return -1;
    assert_int_equal(rf_chain_front_steps(front, point, &steps), RF_OK);
    assert_int_equal(rf_chain_simulate(&cost, &front->alloc, front->chain, &steps), RF_OK);
    assert_true(cost.peak == point->peak && cost.peak <= budget);
    assert_true(fabs(cost.time - point->time) <= 1e-12 * cost.time);
    rf_chain_steps_end(&steps, &front->alloc);
    return point->time;
}
