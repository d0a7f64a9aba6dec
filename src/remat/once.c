/* once.c: see once.h. */
#include "remat/once.h"
#include "remat/frame.h"

/* One result of an island. */
typedef struct once_result {
    uint64_t id; /* of the kept storage; 0: there is none */
    uint8_t requires_grad;
    rf_view view;
} once_result;

struct rf_island {
    rf_island *next; /* in order */
    uint32_t first, steps;
    size_t records;
    uint64_t random; /* blocks of random numbers that it took */
    size_t num;
    once_result *results;
};

void rf_island_end(rf_context *ctx, rf_island *island)
{
    while (island) {
        rf_island *next = island->next;
        rf_host_free(ctx, island->results, island->num * sizeof *island->results);
        rf_host_free(ctx, island, sizeof *island);
        island = next;
    }
}

static rf_island *once_find(rf_region_run *run)
{
    rf_island *island = run->frame->islands;
    while (island && island->first != run->steps)
        island = island->next;
    return island;
}

static rf_status once_give(rf_region_run *run, const rf_island *island, rf_scope *s, rf_values *out)
{
    rf_kept_list *keep = &run->frame->keep;
    rf_context *ctx = s->ctx;
    for (size_t i = 0; i < out->num && i < island->num; i++) {
        const once_result *result = &island->results[i];
        rf_storage *storage;
        if (!result->id)
            continue;
        rf_status status = rf_keep_look(keep, rf_keep_find(keep, result->id), &storage);
        if (status)
            return status;
        out->v[i] = rf_handle_create(ctx, s, storage, &result->view);
        if (!out->v[i])
            return ctx->record.error.code;
        out->v[i]->requires_grad = result->requires_grad;
    }
    run->steps += island->steps;
    run->replay->reached += island->records;
    ctx->rng.offset += island->random;
    return RF_OK;
}

rf_status rf_once_begin(rf_once *once, rf_scope *s, rf_values *out)
{
    rf_context *ctx = s->ctx;
    rf_region_run *run = (rf_region_run *)ctx->keeper;
    char name[128];
    *once = (rf_once){
        .steps = run->steps, .records = run->frame->num_records, .random = ctx->rng.offset};
    if (run->replay) {
        const rf_island *island = once_find(run);
        once->given = 1;
        return island ? once_give(run, island, s, out)
                      : rf_fail(ctx, RF_E_REPLAY_META,
                                "%s: a module that runs once did not run here in the forward",
                                rf_frame_name(run->frame, name));
    }
    if (run->outer)
        return rf_fail(ctx, RF_E_UNSUPPORTED,
                       "a module that runs once: not in a region inside of a region");
    rf_keep_refuse_begin(s);
    return RF_OK;
}

static rf_status once_results(rf_region_run *run, rf_island *island, const rf_values *out)
{
    const rf_kept_list *keep = &run->frame->keep;
    rf_context *ctx = run->frame->ctx;
    island->results = rf_host_alloc(ctx, out->num * sizeof *island->results);
    if (!island->results)
        return ctx->record.error.code;
    island->num = out->num;
    for (size_t i = 0; i < out->num; i++) {
        const rf_tensor *t = out->v[i];
        if (!t)
            continue;
        if (!t->storage || rf_keep_find(keep, t->storage->id) == keep->num)
            return rf_fail(ctx, RF_E_UNSUPPORTED,
                           "result %zu of a module that runs once is none of its own", i);
        island->results[i] = (once_result){t->storage->id, t->requires_grad, t->view};
    }
    return RF_OK;
}

rf_status rf_once_end(const rf_once *once, rf_scope *s, const rf_values *out, rf_status status)
{
    rf_context *ctx = s->ctx;
    rf_region_run *run = (rf_region_run *)ctx->keeper;
    rf_keep_refuse_end(s, out);
    rf_island *island = status ? NULL : rf_host_alloc(ctx, sizeof *island);
    if (!island)
        return status ? status : ctx->record.error.code;
    *island = (rf_island){.first = once->steps,
                          .steps = run->steps - once->steps,
                          .records = run->frame->num_records - once->records,
                          .random = ctx->rng.offset - once->random};
    rf_island **at = &run->frame->islands;
    while (*at)
        at = &(*at)->next;
    *at = island;
    return once_results(run, island, out);
}
