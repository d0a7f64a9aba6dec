/* slot.c: see slot.h. */
#include "grad/slot.h"

void rf_slot_keep(const rf_save *save, rf_slot *slot)
{
    *slot = (rf_slot){.storage = rf_storage_ref(save->t->storage),
                      .version = save->version,
                      .region = save->t->region,
                      .view = save->t->view};
}

rf_status rf_slot_save(rf_context *ctx, const rf_save *save, rf_slot *slot)
{
    if (ctx->keeper)
        return ctx->keeper->save(ctx->keeper, save, slot);
    rf_slot_keep(save, slot);
    return RF_OK;
}

rf_status rf_slot_unpack(rf_context *ctx, const rf_slot *slot, rf_storage **out, rf_view *view)
{
    if (slot->owner)
        return slot->owner->unpack(slot->owner, slot, out, view);
    if (slot->storage->version != slot->version) {
        char text[128];
        return rf_fail(ctx, RF_E_MUTATED,
                       "%s: a value %s that backward needs was changed in place after it was used",
                       ctx->op ? ctx->op : "", rf_shape_text(&slot->view.shape, text, sizeof text));
    }
    *out = rf_storage_ref(slot->storage);
    *view = slot->view;
    return RF_OK;
}

void rf_slot_release(rf_slot *slot)
{
    rf_slot_owner *owner = slot->owner;
    rf_storage *storage = slot->storage;
    slot->owner = NULL;
    slot->storage = NULL;
    if (owner)
        owner->release(owner, slot);
    rf_storage_unref(storage);
}
