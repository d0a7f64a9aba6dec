/* elements.h: a tensor's elements as little-endian bytes in row-major order, which is how all our
 * files hold them, through the public API alone. */
#ifndef RF_IO_ELEMENTS_H
#define RF_IO_ELEMENTS_H

#include <refrain/tensor.h>

/* Takes the next len bytes, or provides them. */
typedef rf_status (*rf_take_bytes)(void *payload, const void *data, size_t len);
typedef rf_status (*rf_give_bytes)(void *payload, void *data, size_t len);

/* Hand all elements to take, in as many pieces as it likes. */
rf_status rf_elements_out(rf_tensor *t, rf_take_bytes take, void *payload);
/* Overwrite all elements with what give provides. On failure some may be overwritten. */
rf_status rf_elements_in(rf_tensor *t, rf_give_bytes give, void *payload);

#endif
