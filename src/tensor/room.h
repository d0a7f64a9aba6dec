/* room.h: room in the file tier that stays, for bytes that somebody reads and writes piece by piece
 * with jobs of his own; what goes there once and comes back once is tiered.h's.
 *
 * Invariants: the room's bytes are in the ledger (RF_DEVICE_FILE) from open to close, whatever of
 * it was written; the disk has its blocks from the start where the file system can promise that, so
 * that a disk that is too small is told before anything depends on it. In a dry run a room is only
 * in the ledger: there is no file, and nothing is read or written.
 */
#ifndef RF_TENSOR_ROOM_H
#define RF_TENSOR_ROOM_H

#include "tensor/tiered.h"

typedef struct rf_room {
    rf_context *ctx;
    rf_spill *spill; /* NULL: nothing is read or written */
    rf_spill_piece piece;
    uint64_t bytes; /* in the ledger */
    uint8_t cls;
} rf_room;

/* One job at a time on its way between memory and a room. */
typedef struct rf_room_job {
    rf_spill_job job;
    uint64_t storage; /* where the bytes lie in memory, for events */
    int busy;
} rf_room_job;

/* length: in the file, with what rounding to pages needs; bytes: for the ledger. Fails without a
 * trace. room begins with ctx and cls set, and is closed by whoever opened it. */
rf_status rf_room_open(rf_room *room, uint64_t bytes, uint64_t length);
/* Its jobs are over. What was not opened is fine. */
void rf_room_close(rf_room *room);

/* Begin to write bytes at data to the place `at` of the room, or to read them from there. Until
 * rf_room_wait they belong to the file's thread, which does jobs in the order of their beginning.
 */
void rf_room_begin(const rf_room *room, rf_room_job *job, int write, void *data, size_t bytes,
                   uint64_t at);
/* Until it is done; an errno. Without a job: 0. */
int rf_room_wait(const rf_room *room, rf_room_job *job);

#endif
