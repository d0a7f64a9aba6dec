/* state.h: what saving and loading state files share.
 *
 * Sections, in this order: OPTS the caller's text; RNG seed and offset; DATA position and
 * fingerprint, if there is a dataset; STEP steps and learning rate, if there is an optimiser; PARM
 * each parameter; BUFR each buffer; OPTM each tensor of the optimiser; END.
 *
 * A tensor's payload: length of its name, type, rank, zero (u32 each); dims (u64 each); the name
 * with zeros up to a multiple of 8; the elements.
 */
#ifndef RF_IO_STATE_H
#define RF_IO_STATE_H

#include <refrain/io.h>

enum {
    RF_STATE_HAS_DATA = 1, /* flags of the front */
    RF_STATE_HAS_OPTIM = 2,
    RF_STATE_RECORD = 16,           /* the first four numbers of a tensor */
    RF_STATE_OPTIONS_MOST = 1 << 24 /* bytes of the caller's text         */
};

rf_status rf_state_check_arguments(const rf_state *state);

static inline size_t rf_state_padded(size_t bytes)
{
    return (bytes + 7) & ~(size_t)7;
}

#endif
