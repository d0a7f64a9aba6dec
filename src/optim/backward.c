/* backward.c: the step inside the backward. The engine hands over each leaf whose gradient is whole
 * (grad/leaf.c says when); if it is one of the optimiser's parameters it is moved and its gradient
 * given back there and then.
 *
 * Invariant: a parameter is moved at most once in a call, by the same arithmetic as in a step; so
 * the order in which they come makes no difference to the bits.
 */
#include "base/sort.h"
#include "grad/engine.h"
#include "optim/away.h"

/* Where in the optimiser's list a parameter is; sorted by parameter. */
typedef struct optim_place {
    const rf_tensor *param;
    size_t index;
    int moved;
} optim_place;

typedef struct optim_taker {
    rf_leaf_taker base;
    rf_optim *opt;
    optim_place *places;
} optim_taker;

static int place_order(const void *payload, const void *a, const void *b)
{
    (void)payload;
    uintptr_t x = (uintptr_t)((const optim_place *)a)->param;
    uintptr_t y = (uintptr_t)((const optim_place *)b)->param;
    return x < y ? -1 : x > y ? 1 : 0;
}

static optim_place *place_find(const optim_taker *taker, const rf_tensor *param)
{
    size_t low = 0, high = taker->opt->num;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((uintptr_t)taker->places[middle].param < (uintptr_t)param)
            low = middle + 1;
        else
            high = middle;
    }
    return low < taker->opt->num && taker->places[low].param == param ? &taker->places[low] : NULL;
}

static rf_status place_move(optim_taker *taker, optim_place *place)
{
    rf_optim *opt = taker->opt;
    const rf_optim_item *item = &opt->items[place->index];
    if (place->moved)
        return rf_fail(opt->ctx, RF_E_STATE,
                       "%s got another gradient after it was applied; call rf_backward and "
                       "rf_optim_step instead",
                       item->path);
    rf_status status = rf_optim_step_one(opt, place->index);
    if (status)
        return status;
    place->moved = 1;
    rf_grad_clear(item->param);
    return RF_OK;
}

static rf_status optim_take(rf_leaf_taker *base, rf_tensor *leaf)
{
    optim_taker *taker = (optim_taker *)base;
    optim_place *place = place_find(taker, leaf);
    return place ? place_move(taker, place) : RF_OK;
}

/* Gradients that the backward did not reach are those of earlier ones. */
static rf_status optim_take_rest(optim_taker *taker)
{
    rf_status status = RF_OK;
    for (size_t i = 0; i < taker->opt->num && !status; i++)
        if (rf_grad(taker->places[i].param))
            status = place_move(taker, &taker->places[i]);
    return status;
}

static rf_status optim_backward_check(rf_context *ctx, const rf_optim_backward_options *opts)
{
    if (opts && opts->size != sizeof *opts)
        return rf_fail(ctx, RF_E_ARGUMENT, "optim_backward: options of another size");
    if (opts && opts->max_norm > 0)
        return rf_fail(ctx, RF_E_UNSUPPORTED,
                       "optim_backward: max_norm: clipping needs all gradients before the first "
                       "is applied; call rf_backward, rf_clip_grad_norm and rf_optim_step");
    if (ctx->run || ctx->keeper || ctx->group)
        return rf_fail(ctx, RF_E_STATE,
                       "optim_backward: not inside %s, which may still read the parameters",
                       ctx->run      ? "another backward"
                       : ctx->keeper ? "a region"
                                     : "a group of backward calls");
    return RF_OK;
}

rf_status rf_optim_backward(rf_optim *opt, rf_scope *s, rf_tensor *loss,
                            const rf_optim_backward_options *opts)
{
    optim_taker taker = {.base = {optim_take}, .opt = opt};
    rf_context *ctx = opt->ctx;
    size_t bytes = opt->num * sizeof *taker.places;
    rf_status status = optim_backward_check(ctx, opts);
    if (status)
        return status;
    taker.places = rf_host_alloc(ctx, bytes);
    if (!taker.places)
        return rf_context_error(ctx)->code;
    for (size_t i = 0; i < opt->num; i++)
        taker.places[i] = (optim_place){.param = opt->items[i].param, .index = i};
    rf_sort(taker.places, opt->num, sizeof *taker.places, place_order, NULL);
    status = rf_backward_taken(s, loss, opts ? opts->seed : NULL, &taker.base);
    if (!status)
        status = optim_take_rest(&taker);
    rf_host_free(ctx, taker.places, bytes);
    status = rf_away_finish(opt, status);
    if (!status && !rf_context_dry(ctx))
        opt->steps++;
    return status;
}
