/* saved_hooks.h: packing and unpacking of saved values. */
#ifndef RF_GRAD_SAVED_HOOKS_H
#define RF_GRAD_SAVED_HOOKS_H

#include "grad/slot.h"

/* Save through save->hooks, as far as they are inside of keeper's region. */
rf_status rf_saved_pack(rf_keeper *keeper, const rf_save *save, rf_slot *slot);
/* *out, which was packed, becomes what it was; *out is given up in any case. */
rf_status rf_saved_unpack(rf_context *ctx, const rf_slot *slot, rf_storage **out, rf_view *view);
void rf_saved_drop(rf_packed *packed);

#endif
