/* params.h: how the parameters of a tree stand, to tell later whether, and which, one changed. */
#ifndef RF_NN_PARAMS_H
#define RF_NN_PARAMS_H

#include "nn/module.h"

/* All parameters below and in m; or, of a sequential container, in children range[0] to
 * range[1] - 1, as many as there are. */
size_t rf_params_num(const rf_module *m, const size_t *range);
/* One number for which tensors they are, their versions, and whether they want gradients: another
 * one once any of that changed. marks (NULL: not asked for) gets as much of each, in 32 bits. */
uint64_t rf_params_stamp(const rf_module *m, const size_t *range, uint32_t *marks);
/* A region that runs for the first time may read any of them (rf_storage_note_read). */
void rf_params_note_read(const rf_module *m, const size_t *range);
/* Write the path, from its root, of the first whose mark is not its own any more. 0: none, or their
 * number changed. */
int rf_params_changed(const rf_module *m, const size_t *range, const uint32_t *marks, size_t num,
                      char *path, size_t bytes);
/* Write the path of the parameter anywhere in the tree around m whose bytes s are. 0: none. Of a
 * tensor that is there twice, the first. */
int rf_params_find(const void *m, const struct rf_storage *s, char *path, size_t bytes);

#endif
