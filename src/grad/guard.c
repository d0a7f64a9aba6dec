/* guard.c: see guard.h. */
#include "grad/guard.h"

#include <string.h>

struct rf_guarded {
    rf_mutation_guard *guard; /* referenced */
    rf_guarded *next;
    uint32_t refs; /* slots */
    uint32_t version;
    rf_storage *storage; /* referenced: the one that was saved, or its copy */
    int copied;
};

struct rf_mutation_guard {
    rf_context *ctx;
    uint32_t refs; /* the user's, and those of its values */
    int closed;
    size_t clones;
    rf_guarded *first;
};

static void guard_unref(rf_mutation_guard *guard)
{
    if (--guard->refs == 0)
        rf_host_free(guard->ctx, guard, sizeof *guard);
}

/* The value of s as it is now, if some slot needs it; NULL: none does. */
static rf_guarded *guard_find(const rf_mutation_guard *guard, const rf_storage *s)
{
    rf_guarded *g = guard->first;
    while (g && (g->copied || g->storage != s || g->version != s->version))
        g = g->next;
    return g;
}

rf_status rf_guard_enter(rf_guarded **out, rf_storage *s)
{
    rf_mutation_guard *guard = s->ctx->guard;
    *out = guard_find(guard, s);
    if (*out) {
        (*out)->refs++;
        return RF_OK;
    }
    rf_guarded *g = rf_host_alloc(s->ctx, sizeof *g);
    if (!g)
        return s->ctx->record.error.code;
    *g = (rf_guarded){.guard = guard,
                      .next = guard->first,
                      .refs = 1,
                      .version = s->version,
                      .storage = rf_storage_ref(s)};
    guard->first = g;
    guard->refs++;
    *out = g;
    return RF_OK;
}

rf_status rf_guard_look(const rf_guarded *guarded, rf_storage **out)
{
    if (guarded->guard->closed)
        return rf_fail(guarded->guard->ctx, RF_E_STATE,
                       "a value was saved under a mutation guard that is closed by now");
    *out = rf_storage_ref(guarded->storage);
    return RF_OK;
}

void rf_guard_leave(rf_guarded *guarded)
{
    rf_mutation_guard *guard = guarded->guard;
    if (--guarded->refs)
        return;
    for (rf_guarded **at = &guard->first; *at; at = &(*at)->next)
        if (*at == guarded) {
            *at = guarded->next;
            break;
        }
    rf_storage_unref(guarded->storage);
    rf_host_free(guard->ctx, guarded, sizeof *guarded);
    guard_unref(guard);
}

static rf_status guard_before_write(rf_storage *s)
{
    rf_context *ctx = s->ctx;
    rf_guarded *g = guard_find(ctx->guard, s);
    rf_storage *copy;
    if (!g)
        return RF_OK;
    rf_status status =
        rf_storage_create(&copy, ctx, s->device, (rf_mem_class)RF_MEM_ACTIVATION, s->bytes);
    if (status)
        return status;
    if (s->data && copy->data)
        memcpy(copy->data, s->data, s->bytes);
    rf_storage_unref(g->storage);
    g->storage = copy;
    g->copied = 1;
    ctx->guard->clones++;
    return RF_OK;
}

rf_status rf_mutation_guard_open(rf_mutation_guard **out, rf_context *ctx)
{
    *out = NULL;
    if (ctx->guard)
        return rf_fail(ctx, RF_E_STATE, "a mutation guard is open already; they do not nest");
    rf_mutation_guard *guard = rf_host_alloc(ctx, sizeof *guard);
    if (!guard)
        return ctx->record.error.code;
    *guard = (rf_mutation_guard){.ctx = ctx, .refs = 1};
    *out = ctx->guard = guard;
    ctx->before_write = guard_before_write;
    return RF_OK;
}

size_t rf_mutation_guard_clones(const rf_mutation_guard *guard)
{
    return guard->clones;
}

void rf_mutation_guard_close(rf_mutation_guard *guard)
{
    if (!guard)
        return;
    guard->ctx->guard = NULL;
    guard->ctx->before_write = NULL;
    guard->closed = 1;
    guard_unref(guard);
}
