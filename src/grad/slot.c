/* slot.c: see slot.h. A value that is saved goes through the hooks inside of the region that runs,
 * from the innermost outward, and what they leave goes to the region; giving it back goes the other
 * way. */
#include "grad/guard.h"
#include "grad/saved_hooks.h"

rf_status rf_slot_keep(const rf_save *save, rf_slot *slot)
{
    rf_storage *storage = save->t->storage;
    *slot = (rf_slot){.version = save->version, .region = save->t->region, .view = save->t->view};
    if (storage->ctx->guard && storage->version == save->version)
        return rf_guard_enter(&slot->guarded, storage);
    slot->storage = rf_storage_ref(storage);
    return RF_OK;
}

rf_status rf_slot_save(rf_keeper *keeper, const rf_save *save, rf_slot *slot)
{
    const rf_saved_entry *outside = keeper ? keeper->hooks : NULL;
    if (save->hooks && save->hooks != outside)
        return rf_saved_pack(keeper, save, slot);
    return keeper ? keeper->save(keeper, save, slot) : rf_slot_keep(save, slot);
}

int rf_slot_param(rf_context *ctx, const rf_slot *slot, char *path, size_t bytes)
{
    return slot->storage && ctx->module && ctx->param_finder &&
           ctx->param_finder(ctx->module, slot->storage, path, bytes);
}

static rf_status slot_changed(rf_context *ctx, const rf_slot *slot)
{
    char path[RF_ERROR_PATH], text[128];
    const char *op = ctx->op ? ctx->op : "";
    rf_shape_text(&slot->view.shape, text, sizeof text);
    if (!rf_slot_param(ctx, slot, path, sizeof path))
        return rf_fail(ctx, RF_E_MUTATED,
                       "%s: a value %s that backward needs was changed in place after it was used",
                       op, text);
    rf_fail(ctx, RF_E_MUTATED, "%s: parameter %s, which backward needs, was changed in place since",
            op, path);
    rf_error_set_path(ctx, path);
    return RF_E_MUTATED;
}

/* What was saved, before any hook unpacks it. */
static rf_status slot_base(rf_context *ctx, const rf_slot *slot, rf_storage **out, rf_view *view)
{
    *view = slot->view;
    if (slot->owner)
        return slot->owner->unpack(slot->owner, slot, out, view);
    if (slot->tiered)
        return rf_tiered_get(slot->tiered, out);
    if (slot->guarded)
        return rf_guard_look(slot->guarded, out);
    *out = slot->storage;
    if (!slot->storage) /* a hook kept all of it in its box */
        return RF_OK;
    if (slot->storage->version != slot->version)
        return slot_changed(ctx, slot);
    rf_storage_ref(slot->storage);
    return RF_OK;
}

rf_status rf_slot_unpack(rf_context *ctx, const rf_slot *slot, rf_storage **out, rf_view *view)
{
    rf_status status = slot_base(ctx, slot, out, view);
    return status || !slot->packed ? status : rf_saved_unpack(ctx, slot, out, view);
}

void rf_slot_release(rf_slot *slot)
{
    rf_slot_owner *owner = slot->owner;
    rf_storage *storage = slot->storage;
    rf_tiered *tiered = slot->tiered;
    rf_guarded *guarded = slot->guarded;
    rf_packed *packed = slot->packed;
    slot->owner = NULL;
    slot->storage = NULL;
    slot->tiered = NULL;
    slot->guarded = NULL;
    slot->packed = NULL;
    if (packed)
        rf_saved_drop(packed);
    if (guarded)
        rf_guard_leave(guarded);
    rf_tiered_end(tiered);
    if (owner)
        owner->release(owner, slot);
    rf_storage_unref(storage);
}
