/* choose.c: see choose.h. The likeliest come first, so the result is a function of the logits and u
 * alone, and small errors of a sum over many unlikely tokens come last. */
#include "cli/choose.h"

#include <math.h>
#include <stdlib.h>

static int choose_order(const void *a, const void *b)
{
    const choose_item *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return x->token < y->token ? -1 : x->token > y->token;
}

static double choose_weight(const choose_item *items, size_t i, double temperature)
{
    return exp(((double)items[i].logit - (double)items[0].logit) / temperature);
}

uint32_t choose_token(choose_item *items, size_t num, double temperature, uint64_t top_k, double u)
{
    qsort(items, num, sizeof *items, choose_order);
    if (top_k && top_k < num)
        num = (size_t)top_k;
    if (!(temperature > 0))
        return items[0].token;
    double sum = 0;
    for (size_t i = 0; i < num; i++)
        sum += choose_weight(items, i, temperature);
    double left = u * sum;
    for (size_t i = 0; i < num; i++) {
        left -= choose_weight(items, i, temperature);
        if (left < 0)
            return items[i].token;
    }
    return items[num - 1].token;
}
