/* chain_simulate.c: what a list of steps costs, by walking it with sets of what lies in memory.
 *
 * This is the judge of every plan, and so it knows nothing of how plans are found: it includes no
 * file of the solvers and is written from the contract in chain.h alone.
 */
#include "plan/chain.h"

#include <string.h>

typedef struct chain_walk {
    const rf_chain *chain;
    uint8_t *stored;  /* value i lies there by itself; value 0 always does      */
    uint32_t *record; /* the option with which stage i's record lies there, + 1 */
    uint8_t *outer;   /* stage i begins a region that is in none, or is in none */
    size_t left;      /* stages whose backward is to come                       */
    uint64_t leaving; /* bytes that go when the outermost region is done        */
    uint64_t live;
    rf_chain_cost cost;
} chain_walk;

static uint64_t walk_gradient(const chain_walk *w, size_t value)
{
    return value ? w->chain->stages[value - 1].gradient : w->chain->input_gradient;
}

static int walk_has(const chain_walk *w, size_t value)
{
    return w->stored[value] || (value && w->record[value - 1]);
}

/* A value that lies there by itself goes. The input stays: it is the caller's. */
static void walk_drop(chain_walk *w, size_t value)
{
    if (!value || !w->stored[value])
        return;
    w->stored[value] = 0;
    w->live -= w->chain->stages[value - 1].output;
}

/* For a moment there are `more` bytes. */
static void walk_touch(chain_walk *w, uint64_t more, size_t step)
{
    if (w->live + more <= w->cost.peak)
        return;
    w->cost.peak = w->live + more;
    w->cost.at = step;
}

static rf_status walk_plain(chain_walk *w, size_t i, size_t step)
{
    const rf_chain_stage *stage = &w->chain->stages[i];
    if (walk_has(w, i + 1))
        return RF_E_FORMAT;
    walk_touch(w, stage->output + stage->forward_workspace, step);
    w->stored[i + 1] = 1;
    w->live += stage->output;
    w->cost.time += stage->forward;
    return RF_OK;
}

static rf_status walk_keep(chain_walk *w, size_t i, uint32_t number, size_t step)
{
    const rf_chain_stage *stage = &w->chain->stages[i];
    if (number >= stage->num_options || w->record[i])
        return RF_E_FORMAT;
    const rf_chain_option *option = &w->chain->options[stage->first_option + number];
    walk_touch(w, option->saved + option->forward_workspace, step);
    w->record[i] = number + 1;
    w->live += option->saved;
    walk_drop(w, i + 1); /* the record has it */
    w->cost.time += option->forward;
    return RF_OK;
}

static rf_status walk_backward(chain_walk *w, size_t i, size_t step)
{
    const rf_chain_stage *stage = &w->chain->stages[i];
    if (i + 1 != w->left || !w->record[i])
        return RF_E_FORMAT;
    const rf_chain_option *option = &w->chain->options[stage->first_option + w->record[i] - 1];
    walk_touch(w, walk_gradient(w, i) + stage->left + option->backward_workspace, step);
    w->live += walk_gradient(w, i) + stage->left;
    w->live -= option->saved + stage->gradient;
    w->record[i] = 0;
    walk_drop(w, i);
    w->left = i;
    w->leaving += w->chain->settles ? stage->left : 0;
    if (w->outer[i]) {
        w->live -= w->leaving;
        w->leaving = 0;
    }
    w->cost.time += option->backward;
    return RF_OK;
}

static rf_status chain_walk_step(chain_walk *w, const rf_chain_step *s, size_t step)
{
    rf_status status = RF_E_FORMAT;
    int drops = s->kind == RF_CHAIN_FORWARD_DROP || s->kind == RF_CHAIN_FORWARD_KEEP_DROP;
    if (s->stage >= w->left || !walk_has(w, s->stage))
        return status;
    if (s->kind == RF_CHAIN_BACKWARD)
        return walk_backward(w, s->stage, step);
    if (s->kind == RF_CHAIN_FORWARD_DROP || s->kind == RF_CHAIN_FORWARD_STORE)
        status = walk_plain(w, s->stage, step);
    if (s->kind == RF_CHAIN_FORWARD_KEEP || s->kind == RF_CHAIN_FORWARD_KEEP_DROP)
        status = walk_keep(w, s->stage, s->option, step);
    if (w->left == w->chain->num_stages && !drops)
        w->outer[s->stage] = 1; /* in the first pass whose input stays begins something */
    if (drops)
        walk_drop(w, s->stage);
    return status;
}

static rf_status walk_all(chain_walk *w, const rf_chain_steps *steps)
{
    w->left = w->chain->num_stages;
    w->stored[0] = 1;
    w->live = w->chain->input + walk_gradient(w, w->left);
    walk_touch(w, 0, 0);
    for (size_t i = 0; i < steps->num; i++)
        if (chain_walk_step(w, &steps->v[i], i)) {
            w->cost.at = i;
            return RF_E_FORMAT;
        }
    if (!w->left)
        return RF_OK;
    w->cost.at = steps->num;
    return RF_E_FORMAT;
}

rf_status rf_chain_simulate(rf_chain_cost *out, const rf_allocator *alloc, const rf_chain *chain,
                            const rf_chain_steps *steps)
{
    size_t n = chain->num_stages, bytes = n * sizeof(uint32_t) + 2 * n + 1;
    uint32_t *record = rf_allocator_get(alloc, bytes);
    if (!record)
        return RF_E_MEMORY;
    memset(record, 0, bytes);
    chain_walk w = {.chain = chain, .record = record, .stored = (uint8_t *)(record + n)};
    w.outer = w.stored + n + 1;
    rf_status status = walk_all(&w, steps);
    *out = w.cost;
    rf_allocator_put(alloc, record, bytes);
    return status;
}
