/* saved_hooks.c: see saved_hooks.h.
 *
 * A pair of hooks stands in a scope and in those opened in it. Of several, the innermost applies
 * alone, or, if it is stacked, hands what it packed to the next one outward. The last of them keeps
 * the bytes, unless it is stacked too and a region runs: then what was packed is a value of the
 * region, dropped and packed again in the recompute.
 *
 * Invariant: a slot's list of hooks is in the order of unpacking, and each entry in it is
 * referenced, so a payload outlives the last value that it packed.
 */
#include "grad/saved_hooks.h"

#include <refrain/ops.h>

/* A pair, or a tier that values go to. */
typedef struct saved_entry {
    rf_saved_entry base;
    rf_context *ctx;
    rf_saved_hooks hooks;
    int away; /* to a tier: no hooks */
    rf_tier tier;
} saved_entry;

struct rf_packed {
    rf_packed *next; /* to be unpacked after this one */
    saved_entry *entry;
    void *box;
    rf_shape shape; /* of what comes out */
};

/* ---- packing ---- */

/* One hook. *packed (held) is what is left, NULL if it is all in the box. */
static rf_status saved_pack_one(saved_entry *entry, rf_tensor *value, rf_slot *slot,
                                rf_tensor **packed)
{
    rf_context *ctx = entry->ctx;
    uint32_t version = value->storage->version;
    rf_scope s;
    *packed = NULL;
    rf_packed *p = rf_host_alloc(ctx, sizeof *p);
    if (!p)
        return ctx->record.error.code;
    rf_scope_begin(&s, ctx, NULL);
    s.grad = 0;
    rf_status status = entry->hooks.pack(entry->hooks.payload, &s, value, packed, &p->box);
    int boxed = !status; /* else the hook has seen to it */
    status = status ? status : s.status;
    if (!status && value->storage->version != version)
        status = rf_fail(ctx, RF_E_MUTATED, "a pack hook changed the value that it was given");
    *packed = status ? NULL : rf_tensor_hold(*packed);
    rf_scope_end(&s);
    if (status) {
        if (boxed && entry->hooks.drop)
            entry->hooks.drop(entry->hooks.payload, p->box);
        rf_host_free(ctx, p, sizeof *p);
        return status;
    }
    entry->base.refs++;
    *p = (rf_packed){slot->packed, entry, p->box, value->view.shape};
    slot->packed = p;
    return RF_OK;
}

/* Where the bytes of t go: to a tier, its rows in order. */
static rf_status saved_send(saved_entry *entry, rf_tensor *t, rf_slot *slot)
{
    rf_scope s;
    rf_scope_begin(&s, entry->ctx, NULL);
    s.grad = 0;
    rf_tensor *whole = t;
    if (t->view.offset || rf_tensor_bytes(t) != t->storage->bytes || !rf_view_contiguous(&t->view))
        whole = rf_clone(&s, t);
    rf_status status = whole ? rf_storage_force(whole->storage) : s.status;
    if (!status) {
        slot->view = whole->view;
        slot->region = t->region;
        status = rf_tiered_put(&slot->tiered, whole->storage, entry->tier);
    }
    rf_scope_end(&s);
    return status;
}

/* Through every hook that applies. *stays: the last of them keeps the bytes; else keeper decides.
 */
static rf_status saved_chain(rf_keeper *keeper, const rf_save *save, rf_slot *slot,
                             rf_tensor **value, int *stays)
{
    const rf_saved_entry *outside = keeper ? keeper->hooks : NULL;
    rf_status status = RF_OK;
    rf_saved_entry *at = save->hooks;
    *stays = 0;
    for (; at && at != outside && *value && !*stays && !status; at = at->outer) {
        saved_entry *entry = (saved_entry *)at;
        rf_tensor *packed = NULL;
        if (keeper && keeper->again && !entry->hooks.stacked) {
            *stays = 1; /* the forward's slot has it: nobody will unpack this one */
            break;
        }
        if (entry->away) {
            status = saved_send(entry, *value, slot);
            *stays = 1;
            break;
        }
        status = saved_pack_one(entry, *value, slot, &packed);
        if (status)
            break;
        if (packed == *value || *value != save->t)
            rf_tensor_drop(*value);
        *value = packed;
        *stays = !entry->hooks.stacked;
    }
    return status;
}

/* A parameter is there anyway: a tier would only double it. */
static int saved_skips(const rf_save *save)
{
    return ((const saved_entry *)save->hooks)->away && save->t->storage->cls == RF_MEM_PARAM;
}

rf_status rf_saved_pack(rf_keeper *keeper, const rf_save *save, rf_slot *slot)
{
    rf_tensor *value = save->t;
    rf_slot base = {0};
    int stays = 0;
    *slot = base;
    rf_status status = RF_OK;
    if (!saved_skips(save))
        status = saved_chain(keeper, save, slot, &value, &stays);
    if (!status && value && !slot->tiered) {
        rf_save left = {value, value == save->t ? save->version : value->storage->version, save->op,
                        NULL};
        status = keeper && !stays ? keeper->save(keeper, &left, &base) : rf_slot_keep(&left, &base);
        base.packed = slot->packed;
        *slot = base;
    }
    if (value && value != save->t)
        rf_tensor_drop(value);
    if (status)
        rf_slot_release(slot);
    return status;
}

/* ---- unpacking ---- */

static rf_status saved_unpack_one(const rf_packed *p, rf_scope *s, rf_tensor **t)
{
    const rf_saved_hooks *hooks = &p->entry->hooks;
    rf_tensor *value = NULL;
    rf_status status = hooks->unpack(hooks->payload, s, *t, p->box, &value);
    status = status ? status : s->status;
    if (!status && (!value || !value->storage || !rf_shape_equal(&value->view.shape, &p->shape))) {
        char text[128];
        status = rf_fail(s->ctx, RF_E_SHAPE, "an unpack hook gave no value %s",
                         rf_shape_text(&p->shape, text, sizeof text));
    }
    *t = value;
    return status;
}

rf_status rf_saved_unpack(rf_context *ctx, const rf_slot *slot, rf_storage **out, rf_view *view)
{
    rf_scope s;
    rf_tensor *t = NULL;
    rf_status status = RF_OK;
    rf_scope_begin(&s, ctx, NULL);
    s.grad = 0;
    if (*out && !(t = rf_handle_create(ctx, &s, *out, view)))
        status = ctx->record.error.code;
    *out = NULL;
    for (const rf_packed *p = slot->packed; p && !status; p = p->next)
        status = saved_unpack_one(p, &s, &t);
    if (!status) {
        *out = rf_storage_ref(t->storage);
        *view = t->view;
    }
    rf_scope_end(&s);
    return status;
}

void rf_saved_drop(rf_packed *packed)
{
    while (packed) {
        rf_packed *next = packed->next;
        saved_entry *entry = packed->entry;
        rf_context *ctx = entry->ctx;
        if (entry->hooks.drop)
            entry->hooks.drop(entry->hooks.payload, packed->box);
        rf_saved_entry_unref(&entry->base);
        rf_host_free(ctx, packed, sizeof *packed);
        packed = next;
    }
}

/* ---- in scopes ---- */

static void saved_end(rf_saved_entry *base)
{
    saved_entry *entry = (saved_entry *)base;
    if (entry->hooks.destroy)
        entry->hooks.destroy(entry->hooks.payload);
    rf_host_free(entry->ctx, entry, sizeof *entry);
}

static rf_status saved_push(rf_scope *s, const saved_entry *like)
{
    if (s->no_hooks)
        return rf_fail(s->ctx, RF_E_STATE, "hooks on saved values are refused here: %s",
                       s->no_hooks);
    saved_entry *entry = rf_host_alloc(s->ctx, sizeof *entry);
    if (!entry)
        return s->ctx->record.error.code;
    *entry = *like;
    entry->ctx = s->ctx;
    entry->base =
        (rf_saved_entry){s->hooks, 1, saved_end}; /* the scope's reference moves outward */
    s->hooks = &entry->base;
    return RF_OK;
}

rf_status rf_scope_push_saved_hooks(rf_scope *s, rf_saved_hooks hooks)
{
    if (!hooks.pack || !hooks.unpack)
        return rf_fail(s->ctx, RF_E_ARGUMENT, "hooks on saved values come in pairs");
    return saved_push(s, &(saved_entry){.hooks = hooks});
}

rf_status rf_scope_push_saved_tier(rf_scope *s, rf_device tier)
{
    if (tier != RF_DEVICE_HOST && tier != RF_DEVICE_FILE)
        return rf_fail(s->ctx, RF_E_DEVICE, "device number %d is no tier: HOST or FILE", (int)tier);
    return saved_push(
        s, &(saved_entry){.away = 1, .tier = tier == RF_DEVICE_HOST ? RF_TIER_HOST : RF_TIER_FILE});
}

rf_status rf_scope_pop_saved_hooks(rf_scope *s)
{
    rf_saved_entry *top = s->hooks;
    if (!top || (s->parent && top == s->parent->hooks))
        return rf_fail(s->ctx, RF_E_STATE, "this scope has no hooks on saved values of its own");
    s->hooks = top->outer;
    if (s->hooks)
        s->hooks->refs++;
    rf_saved_entry_unref(top);
    return RF_OK;
}

void rf_scope_refuse_saved_hooks(rf_scope *s, const char *why)
{
    s->no_hooks = why;
}
