/* place_exact.c: the least arena for a few blocks, by branch and bound.
 *
 * In some best placement every item lies on the arena's floor or on one that it meets (else it
 * could sink), so each is where the highest of those that it meets and that lie below ends. Hence
 * it is enough to try items in order of place, each on top of what it meets. A branch is left once
 * at some moment what lies there and what is still to come pass the best. More than some effort:
 * given up.
 */
#include "plan/place_parts.h"

typedef struct packing_state {
    const rf_place_item *items;
    uint32_t num, num_moments;
    uint64_t sky[RF_PLACE_EXACT + 1][RF_PLACE_EXACT]; /* by depth and moment: what is there ends */
    uint64_t to_come[RF_PLACE_EXACT];                 /* by moment */
    uint8_t start[RF_PLACE_EXACT], end[RF_PLACE_EXACT]; /* moments of these items alone */
    uint8_t placed[RF_PLACE_EXACT];
    uint64_t at[RF_PLACE_EXACT], best_at[RF_PLACE_EXACT];
    uint64_t best, goal;
    uint64_t *effort;
} packing_state;

/* Number the moments at which these items start. */
static void packing_number(packing_state *x)
{
    x->num_moments = 0;
    for (uint32_t i = 0; i < x->num; i++) { /* they are in order of start, but for equal ones */
        if (!i || x->items[i].start != x->items[i - 1].start)
            x->num_moments++;
        x->start[i] = (uint8_t)(x->num_moments - 1);
    }
    for (uint32_t i = 0; i < x->num; i++)
        for (uint32_t j = 0; j < x->num; j++)
            if (x->items[j].start <= x->items[i].end && x->start[j] >= x->end[i])
                x->end[i] = x->start[j];
    for (uint32_t i = 0; i < x->num; i++)
        for (uint32_t t = x->start[i]; t <= x->end[i]; t++)
            x->to_come[t] += x->items[i].bytes;
}

static uint64_t packing_floor(const packing_state *x, const uint64_t *sky, uint32_t item)
{
    uint64_t floor = 0;
    for (uint32_t t = x->start[item]; t <= x->end[item]; t++)
        floor = sky[t] > floor ? sky[t] : floor;
    return floor;
}

/* Put item at `at` into the next sky. 0: what is there and what is to come pass the best. */
static int packing_put(packing_state *x, uint32_t depth, uint32_t item, uint64_t at)
{
    uint64_t *sky = x->sky[depth], *next = x->sky[depth + 1], bytes = x->items[item].bytes;
    for (uint32_t t = x->start[item]; t <= x->end[item]; t++)
        x->to_come[t] -= bytes;
    int hope = 1;
    for (uint32_t t = 0; t < x->num_moments; t++) {
        next[t] = t >= x->start[item] && t <= x->end[item] ? at + bytes : sky[t];
        hope &= next[t] + x->to_come[t] < x->best;
    }
    return hope;
}

static void packing_undo(packing_state *x, uint32_t item)
{
    for (uint32_t t = x->start[item]; t <= x->end[item]; t++)
        x->to_come[t] += x->items[item].bytes;
    x->placed[item] = 0;
}

static void packing_keep(packing_state *x)
{
    x->best = 0;
    for (uint32_t i = 0; i < x->num; i++) {
        x->best_at[i] = x->at[i];
        if (x->at[i] + x->items[i].bytes > x->best)
            x->best = x->at[i] + x->items[i].bytes;
    }
}

/* `last` lies at `floor` and is the item that was put latest: the next one is not below it, and of
 * two at one place the lower number comes first. */
static void packing_search(packing_state *x, uint32_t depth, uint64_t floor, uint32_t last)
{
    if (depth == x->num) {
        packing_keep(x);
        return;
    }
    for (uint32_t i = 0; i < x->num && x->best > x->goal && *x->effort; i++) {
        uint64_t at = x->placed[i] ? 0 : packing_floor(x, x->sky[depth], i);
        if (x->placed[i] || at < floor || (at == floor && depth && i < last))
            continue;
        (*x->effort)--;
        x->placed[i] = 1;
        x->at[i] = at;
        if (packing_put(x, depth, i, at))
            packing_search(x, depth + 1, at, i);
        packing_undo(x, i);
    }
}

int rf_place_exact(const rf_place_group *group, uint64_t *effort, uint64_t *top)
{
    packing_state x = {.items = group->items, .num = group->num, .goal = group->goal};
    uint64_t before = *top;
    x.effort = effort;
    x.best = *top;
    packing_number(&x);
    packing_search(&x, 0, 0, 0);
    if (x.best < before)
        for (uint32_t i = 0; i < x.num; i++)
            group->items[i].at = x.best_at[i];
    *top = x.best;
    return *effort > 0 && (x.best > x.goal || x.best == group->load);
}
