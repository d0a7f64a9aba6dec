/* closer.c: who is told when a backward ends, and groups of backward calls that end together.
 *
 * What regions recompute belongs to a number: that of the backward that runs, or of its group. A
 * backward inside of another is never of a group.
 */
#include "grad/engine.h"

struct rf_backward_group {
    rf_context *ctx;
    uint64_t id;
    rf_run_closer *closers;
    char *name;
};

static rf_backward_group *closer_group(const rf_context *ctx)
{
    return ctx->run->outer ? NULL : ctx->group;
}

uint64_t rf_run_number(const rf_context *ctx)
{
    const rf_backward_group *group = closer_group(ctx);
    return group ? group->id : ctx->run->id;
}

const char *rf_run_group(const rf_context *ctx)
{
    const rf_backward_group *group = closer_group(ctx);
    return group ? group->name : NULL;
}

void rf_run_add_closer(rf_context *ctx, rf_run_closer *closer)
{
    rf_backward_group *group = closer_group(ctx);
    rf_run_closer **list = group ? &group->closers : &ctx->run->closers;
    closer->next = *list;
    *list = closer;
}

static int closer_unlink(rf_run_closer **at, const rf_run_closer *closer)
{
    while (*at && *at != closer)
        at = &(*at)->next;
    if (!*at)
        return 0;
    *at = closer->next;
    return 1;
}

void rf_run_forget_closer(rf_context *ctx, rf_run_closer *closer)
{
    int found = ctx->group && closer_unlink(&ctx->group->closers, closer);
    for (rf_run *run = ctx->run; run && !found; run = run->outer)
        found = closer_unlink(&run->closers, closer);
}

void rf_run_close(rf_run_closer **closers)
{
    while (*closers) {
        rf_run_closer *closer = *closers;
        *closers = closer->next;
        closer->close(closer);
    }
}

rf_status rf_backward_group_open(rf_backward_group **out, rf_context *ctx, const char *name)
{
    *out = NULL;
    if (ctx->group)
        return rf_fail(ctx, RF_E_STATE, "backward group %s: group %s is open; groups do not nest",
                       name, ctx->group->name);
    rf_backward_group *group = rf_host_alloc(ctx, sizeof *group);
    if (!group)
        return ctx->record.error.code;
    group->ctx = ctx;
    group->id = ++ctx->run_clock;
    group->name = rf_host_copy_text(ctx, name);
    if (!group->name) {
        rf_host_free(ctx, group, sizeof *group);
        return ctx->record.error.code;
    }
    *out = ctx->group = group;
    return RF_OK;
}

void rf_backward_group_close(rf_backward_group *group)
{
    if (!group)
        return;
    rf_context *ctx = group->ctx;
    rf_run_close(&group->closers);
    ctx->group = NULL;
    rf_host_free_text(ctx, group->name);
    rf_host_free(ctx, group, sizeof *group);
}
