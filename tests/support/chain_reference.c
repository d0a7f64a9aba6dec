/* chain_reference.c: the textbook recurrence and an exhaustive search, both written to be plainly
 * right, from the model in plan/chain.h, and to share nothing with what they judge. */
#include "support/chain.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static uint64_t reference_value(const rf_chain *c, size_t value)
{
    return value ? c->stages[value - 1].output : c->input;
}

static uint64_t reference_gradient(const rf_chain *c, size_t value)
{
    return value ? c->stages[value - 1].gradient : c->input_gradient;
}

/* By the backwards of stages from `from` to before `end`. */
static uint64_t reference_left(const rf_chain *c, size_t from, size_t end)
{
    uint64_t sum = 0;
    for (size_t i = from; i < end; i++)
        sum += c->stages[i].left;
    return sum;
}

static void *reference_memory(size_t num, size_t size)
{
    void *p = calloc(num, size);
    assert_non_null(p);
    return p;
}

/* ---- the recurrence ---- */

typedef struct textbook {
    const rf_chain *c;
    size_t n, width;
    size_t end;   /* what stages before it leave stays */
    double *time; /* [s][t][m] */
} textbook;

static double *textbook_row(const textbook *x, size_t s, size_t t)
{
    return x->time + (s * x->n + t) * x->width;
}

static double textbook_keep(const textbook *x, size_t s, size_t t, uint64_t m)
{
    const rf_chain *c = x->c;
    const rf_chain_stage *stage = &c->stages[s];
    double best = INFINITY;
    for (size_t k = 0; k < stage->num_options; k++) {
        const rf_chain_option *o = &c->options[stage->first_option + k];
        uint64_t forward = reference_gradient(c, t + 1) + reference_left(c, t + 1, x->end) +
                           o->saved + o->forward_workspace;
        uint64_t backward = o->saved + reference_gradient(c, s + 1) + reference_gradient(c, s) +
                            reference_left(c, s, x->end) + o->backward_workspace;
        if (m < forward || m < backward)
            continue;
        double rest = s < t ? textbook_row(x, s + 1, t)[m - o->saved] : 0;
        best = fmin(best, o->forward + rest + o->backward);
    }
    return best;
}

static double textbook_split(const textbook *x, size_t s, size_t t, uint64_t m)
{
    const rf_chain *c = x->c;
    double best = INFINITY, walk = 0;
    for (size_t i = s; i < t; i++) {
        const rf_chain_stage *stage = &c->stages[i];
        uint64_t before = i > s ? reference_value(c, i) : 0;
        uint64_t there = reference_gradient(c, t + 1) + reference_left(c, t + 1, x->end);
        if (m < there + before + stage->output + stage->forward_workspace)
            break;
        walk += stage->forward;
        best = fmin(best,
                    walk + textbook_row(x, i + 1, t)[m - stage->output] + textbook_row(x, s, i)[m]);
    }
    return best;
}

/* All lists of the stages before x->end. */
static void textbook_fill(const textbook *x)
{
    for (size_t length = 1; length <= x->end; length++)
        for (size_t s = 0; s + length <= x->end; s++)
            for (uint64_t m = 0; m < x->width; m++) {
                size_t t = s + length - 1;
                textbook_row(x, s, t)[m] =
                    fmin(textbook_keep(x, s, t, m), textbook_split(x, s, t, m));
            }
}

/* Where stages settle: the lists of all stages from s on, which are in no region, and with them
 * those of regions by themselves, in which what is left stays. */
static void textbook_fill_outer(textbook *outer, const textbook *inner, size_t s)
{
    const rf_chain *c = outer->c;
    size_t last = outer->n - 1;
    for (uint64_t m = 0; m < outer->width; m++) {
        outer->end = s + 1; /* a stage in no region: what it leaves is there for a moment */
        double best = textbook_keep(outer, s, last, m), walk = 0;
        for (size_t i = s; i < last; i++) {
            uint64_t before = i > s ? reference_value(c, i) : 0, output = c->stages[i].output;
            if (m <
                reference_gradient(c, outer->n) + before + output + c->stages[i].forward_workspace)
                break;
            walk += c->stages[i].forward;
            best = fmin(best, walk + textbook_row(outer, i + 1, last)[m - output] +
                                  textbook_row(&inner[i + 1], s, i)[m]);
        }
        textbook_row(outer, s, last)[m] = best;
    }
}

static void textbook_settle(textbook *x)
{
    textbook *inner = reference_memory(x->n, sizeof *inner);
    for (size_t end = 1; end < x->n; end++) {
        inner[end] = *x;
        inner[end].end = end;
        inner[end].time = reference_memory(x->n * x->n * x->width, sizeof *x->time);
        textbook_fill(&inner[end]);
    }
    for (size_t s = x->n; s-- > 0;)
        textbook_fill_outer(x, inner, s);
    for (size_t end = 1; end < x->n; end++)
        free(inner[end].time);
    free(inner);
}

double *chain_textbook(const rf_chain *c, uint64_t most)
{
    textbook x = {c, c->num_stages, (size_t)most + 1, c->num_stages, NULL};
    x.time = reference_memory(x.n * x.n * x.width, sizeof *x.time);
    if (c->settles)
        textbook_settle(&x);
    else
        textbook_fill(&x);
    double *out = reference_memory(x.width, sizeof *out);
    memcpy(out, textbook_row(&x, 0, x.n - 1), x.width * sizeof *out);
    free(x.time);
    return out;
}

/* ---- all schedules ---- */

/* What lies in memory: of each stage nothing (0), its output (1) or its record by option k (k + 2),
 * as digits of a number to the base of most options + 2; and how many backwards are to come. All
 * states are an array; the shortest way is found by Bellman and Ford's rounds, which end for times
 * that are not negative. Gradient and counts follow from the state. */
typedef struct exhaustive {
    const rf_chain *c;
    size_t n, base, num; /* num: base^n */
    uint64_t budget;
    double *time; /* [left][memory] */
    int changed;
} exhaustive;

static size_t exhaustive_weight(const exhaustive *x, size_t stage)
{
    size_t weight = 1;
    while (stage-- > 0)
        weight *= x->base;
    return weight;
}

static size_t exhaustive_digit(const exhaustive *x, size_t memory, size_t stage)
{
    return memory / exhaustive_weight(x, stage) % x->base;
}

static uint64_t exhaustive_live(const exhaustive *x, size_t left, size_t memory)
{
    uint64_t live = x->c->input + reference_gradient(x->c, left) + reference_left(x->c, left, x->n);
    for (size_t i = 0; i < x->n; i++, memory /= x->base) {
        size_t digit = memory % x->base;
        const rf_chain_stage *s = &x->c->stages[i];
        live += digit > 1    ? x->c->options[s->first_option + digit - 2].saved
                : digit == 1 ? s->output
                             : 0;
    }
    return live;
}

static void exhaustive_reach(exhaustive *x, size_t left, size_t memory, double time)
{
    double *to = &x->time[left * x->num + memory];
    if (time < *to) {
        *to = time;
        x->changed = 1;
    }
}

/* Stage i runs forward from a state, to a digit, its input staying or, where it can, going. */
static void exhaustive_forward(exhaustive *x, size_t left, size_t memory, size_t i, size_t digit)
{
    const rf_chain_stage *s = &x->c->stages[i];
    const rf_chain_option *o =
        digit > 1 ? &x->c->options[s->first_option + digit - 2] : &x->c->options[0];
    uint64_t more = digit > 1 ? o->saved + o->forward_workspace : s->output + s->forward_workspace;
    double time = x->time[left * x->num + memory] + (digit > 1 ? o->forward : s->forward);
    size_t had = exhaustive_digit(x, memory, i);
    if (had >= digit || exhaustive_live(x, left, memory) + more > x->budget)
        return;
    size_t after = memory + (digit - had) * exhaustive_weight(x, i);
    exhaustive_reach(x, left, after, time);
    if (i && exhaustive_digit(x, memory, i - 1) == 1)
        exhaustive_reach(x, left, after - exhaustive_weight(x, i - 1), time);
}

static void exhaustive_backward(exhaustive *x, size_t left, size_t memory)
{
    size_t i = left - 1, digit = exhaustive_digit(x, memory, i);
    if (digit < 2)
        return;
    const rf_chain_option *o = &x->c->options[x->c->stages[i].first_option + digit - 2];
    uint64_t more = reference_gradient(x->c, i) + x->c->stages[i].left + o->backward_workspace;
    if (exhaustive_live(x, left, memory) + more > x->budget)
        return;
    size_t after = memory - digit * exhaustive_weight(x, i);
    if (i && exhaustive_digit(x, memory, i - 1) == 1)
        after -= exhaustive_weight(x, i - 1);
    exhaustive_reach(x, i, after, x->time[left * x->num + memory] + o->backward);
}

static void exhaustive_from(exhaustive *x, size_t left, size_t memory)
{
    for (size_t i = 0; i < left; i++) {
        if (i && !exhaustive_digit(x, memory, i - 1))
            continue;
        for (size_t digit = 1; digit < x->c->stages[i].num_options + 2; digit++)
            if (exhaustive_digit(x, memory, i) < 2)
                exhaustive_forward(x, left, memory, i, digit);
    }
    if (left == 1 || exhaustive_digit(x, memory, left - 2))
        exhaustive_backward(x, left, memory);
}

double chain_exhaustive(const rf_chain *c, uint64_t budget)
{
    exhaustive x = {.c = c, .n = c->num_stages, .base = 2, .num = 1, .budget = budget};
    for (size_t i = 0; i < x.n; i++)
        if (c->stages[i].num_options + 2 > x.base)
            x.base = c->stages[i].num_options + 2;
    for (size_t i = 0; i < x.n; i++)
        x.num *= x.base;
    x.time = reference_memory((x.n + 1) * x.num, sizeof *x.time);
    for (size_t i = 0; i < (x.n + 1) * x.num; i++)
        x.time[i] = INFINITY;
    x.time[x.n * x.num] = 0;
    for (size_t left = x.n; left > 0; left--)
        for (x.changed = 1; x.changed;) {
            x.changed = 0;
            for (size_t memory = 0; memory < x.num; memory++)
                if (isfinite(x.time[left * x.num + memory]))
                    exhaustive_from(&x, left, memory);
        }
    double best = x.time[0];
    free(x.time);
    return best;
}
