/* slot.h: one value that a backward will read, and who keeps it.
 *
 * Outside regions a slot keeps the bytes themselves. Inside one, the region that runs (the
 * activation) decides, and a value that it will compute again is kept as an owner and a number.
 */
#ifndef RF_GRAD_SLOT_H
#define RF_GRAD_SLOT_H

#include "op/op.h"
#include "tensor/tiered.h"

typedef struct rf_slot rf_slot;
typedef struct rf_packed rf_packed;   /* saved_hooks.h */
typedef struct rf_guarded rf_guarded; /* guard.h       */
typedef struct rf_slot_owner rf_slot_owner;

/* Who can give a value back: the first member of a region's frame (remat/frame.h). */
struct rf_slot_owner {
    /* *out gets a reference; the value may still be pending. */
    rf_status (*unpack)(rf_slot_owner *owner, const rf_slot *slot, rf_storage **out, rf_view *view);
    void (*release)(rf_slot_owner *owner, rf_slot *slot);
};

struct rf_slot {
    rf_storage *storage;  /* the bytes, if they are kept                       */
    rf_tiered *tiered;    /* or where they are instead                         */
    rf_guarded *guarded;  /* who has a copy if they change; NULL: nobody       */
    rf_packed *packed;    /* hooks that packed it, the last one first          */
    rf_slot_owner *owner; /* who to ask, and tell; NULL: nobody                */
    uint32_t version;     /* of the bytes when they were saved                 */
    uint32_t index;       /* the owner's number for it                         */
    uint64_t region;      /* of the tensor that was saved                      */
    rf_view view;
};

/* What is being saved: t as it was at `version`, for op, under hooks. */
typedef struct rf_save {
    rf_tensor *t;
    uint32_t version;
    const rf_op_class *op;
    rf_saved_entry *hooks;
} rf_save;

/* One op at work in a region. begin may give its results, which are not computed then. */
typedef struct rf_step {
    rf_scope *scope;
    rf_call *c;
    rf_tensor *const *in;
    rf_tensor **out; /* auxiliaries included */
    int given;
} rf_step;

/* The region that runs now decides about slots, and is told of every op; the first member of
 * remat's struct. */
struct rf_keeper {
    rf_saved_entry *hooks; /* that stood when the region began: they are outside of it */
    int again;             /* a recompute */
    rf_status (*save)(rf_keeper *keeper, const rf_save *save, rf_slot *slot);
    rf_status (*begin)(rf_keeper *keeper, rf_step *step);
    rf_status (*done)(rf_keeper *keeper, rf_step *step);
};

/* Through the hooks inside of keeper's region, then as keeper says; NULL: no region. */
rf_status rf_slot_save(rf_keeper *keeper, const rf_save *save, rf_slot *slot);
/* Keep the bytes themselves, whatever region runs. */
rf_status rf_slot_keep(const rf_save *save, rf_slot *slot);
rf_status rf_slot_unpack(rf_context *ctx, const rf_slot *slot, rf_storage **out, rf_view *view);
/* Write the path of the parameter that was saved, if it is one of the tree whose module runs. */
int rf_slot_param(rf_context *ctx, const rf_slot *slot, char *path, size_t bytes);
void rf_slot_release(rf_slot *slot);

#endif
