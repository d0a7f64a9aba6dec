/* guard.h: saved values that may be changed in place: the old ones are copied first.
 *
 * While a guard is open, a value that is saved is entered by storage and version. Before a storage
 * changes, every entry of its version of now that a slot still needs gets a copy: one for each
 * version, however many slots have it.
 */
#ifndef RF_GRAD_GUARD_H
#define RF_GRAD_GUARD_H

#include "grad/slot.h"

/* *out refers to the storage as it is now. */
rf_status rf_guard_enter(rf_guarded **out, rf_storage *s);
/* *out gets a reference to it as it was. RF_E_STATE once the guard is closed. */
rf_status rf_guard_look(const rf_guarded *guarded, rf_storage **out);
void rf_guard_leave(rf_guarded *guarded);

#endif
