/* knapsack.c: see knapsack.h.
 *
 * Items are tried densest first, each taken before it is left. What the rest can add is bounded by
 * filling the room with it and a fraction of the item that no longer fits; a branch that can't pass
 * the best is left. A sum of bytes is made of the items in this one order, so no solution passes
 * the cap by rounding that another order would not have.
 */
#include "support/knapsack.h"
#include "base/sort.h"
#include "tensor/context.h"

#include <math.h>

enum { KNAPSACK_EFFORT = 10 * 1000 * 1000 };

typedef struct knapsack_item {
    double bytes, value;
    size_t index;
} knapsack_item;

typedef struct knapsack_state {
    knapsack_item *items; /* densest first */
    size_t num;
    uint8_t *in, *best; /* by place in items */
    double best_value;
} knapsack_state;

static int knapsack_order(const void *payload, const void *a, const void *b)
{
    const knapsack_item *p = a, *q = b;
    (void)payload;
    double s = p->value * q->bytes, t = q->value * p->bytes; /* densities, without dividing by 0 */
    if (s != t)
        return s > t ? -1 : 1;
    return p->index < q->index ? -1 : 1;
}

/* More than items from `at` on can add in `room` bytes, or as much. */
static double knapsack_bound(const knapsack_state *k, size_t at, double room)
{
    double value = 0;
    for (; at < k->num && k->items[at].bytes <= room; at++) {
        value += k->items[at].value;
        room -= k->items[at].bytes;
    }
    if (at < k->num)
        value += k->items[at].value * (room / k->items[at].bytes);
    return value;
}

static void knapsack_keep(knapsack_state *k, double value)
{
    k->best_value = value;
    for (size_t i = 0; i < k->num; i++)
        k->best[i] = k->in[i];
}

/* Back from `at` to the last item that is in, which is left out from now on. 0: there is none. */
static int knapsack_back(knapsack_state *k, size_t *at)
{
    while (*at && !k->in[*at - 1])
        --*at;
    if (!*at)
        return 0;
    k->in[*at - 1] = 0;
    return 1;
}

/* Depth first, without recursion: in[0 .. at) is decided. 0: the effort ran out. */
static int knapsack_search(knapsack_state *k, double cap, uint64_t effort)
{
    size_t at = 0;
    do {
        double used = 0, value = 0;
        for (size_t i = 0; i < at; i++) {
            used += k->in[i] ? k->items[i].bytes : 0;
            value += k->in[i] ? k->items[i].value : 0;
        }
        while (at < k->num && value + knapsack_bound(k, at, cap - used) > k->best_value) {
            k->in[at] = used + k->items[at].bytes <= cap;
            used += k->in[at] ? k->items[at].bytes : 0;
            value += k->in[at] ? k->items[at].value : 0;
            at++;
            if (!effort--)
                return 0;
        }
        if (at == k->num && value > k->best_value)
            knapsack_keep(k, value);
    } while (knapsack_back(k, &at));
    return 1;
}

static rf_status knapsack_check(rf_context *ctx, const rf_knapsack *problem)
{
    for (size_t i = 0; i < problem->num; i++)
        if (!(problem->bytes[i] >= 0) || !(problem->value[i] >= 0) || isinf(problem->bytes[i]) ||
            isinf(problem->value[i]))
            return rf_fail(ctx, RF_E_ARGUMENT,
                           "item %zu of a knapsack: bytes and value must be 0 or more", i);
    return RF_OK;
}

rf_status rf_knapsack_solve(rf_context *ctx, const rf_knapsack *problem, uint8_t *taken,
                            double *value, int *exact)
{
    knapsack_state k = {.num = problem->num, .best_value = 0};
    rf_status status = knapsack_check(ctx, problem);
    *value = 0;
    *exact = 1;
    if (status || !k.num)
        return status;
    k.items = rf_host_alloc(ctx, k.num * sizeof *k.items);
    k.in = k.items ? rf_host_alloc(ctx, 2 * k.num) : NULL;
    if (k.in) {
        k.best = k.in + k.num;
        for (size_t i = 0; i < k.num; i++)
            k.items[i] = (knapsack_item){problem->bytes[i], problem->value[i], i};
        rf_sort(k.items, k.num, sizeof *k.items, knapsack_order, NULL);
        *exact =
            knapsack_search(&k, problem->cap, problem->effort ? problem->effort : KNAPSACK_EFFORT);
        for (size_t i = 0; i < k.num; i++)
            taken[k.items[i].index] = k.best[i];
        *value = k.best_value;
    }
    rf_host_free(ctx, k.items, k.num * sizeof *k.items);
    rf_host_free(ctx, k.in, 2 * k.num);
    return k.in ? RF_OK : rf_context_error(ctx)->code;
}
