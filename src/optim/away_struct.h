/* away_struct.h: what away.c and stream.c share. */
#ifndef RF_OPTIM_AWAY_STRUCT_H
#define RF_OPTIM_AWAY_STRUCT_H

#include "optim/away.h"
#include "tensor/handle.h"
#include "tensor/room.h"

/* A buffer takes all moments of one chunk. Three: one is moved, one read, one written. */
enum { RF_AWAY_BUFFERS = 3, RF_AWAY_BUFFER_BYTES = 4 << 20 };

typedef struct rf_away_buffer {
    char *data; /* whole pages; NULL without bytes */
    rf_room_job job;
    size_t item, chunk;
    int full; /* it has that chunk, or will when its job is done */
} rf_away_buffer;

struct rf_away {
    rf_room room;
    rf_storage *storage; /* of the buffers */
    rf_away_buffer buffers[RF_AWAY_BUFFERS];
    size_t turn; /* the buffer in hand; the next one is for reading ahead */
    size_t last; /* the item that was moved last; as many as there are: none yet */
    int lost;
};

/* A chunk of an item. */
typedef struct rf_away_span {
    size_t first, num; /* elements                                     */
    size_t bytes;      /* of one moment                                */
    size_t stride;     /* from moment to moment, in buffer and in file */
    uint64_t at;       /* in the room                                  */
} rf_away_span;

size_t rf_away_num_chunks(const rf_optim *opt, const rf_optim_item *item);
rf_away_span rf_away_span_of(const rf_optim *opt, const rf_optim_item *item, size_t chunk);
/* Moment number j of a chunk is in the file, or about to be. */
void rf_away_note_written(rf_optim_item *item, size_t j, size_t chunk);

/* No job is under way from now on, and no buffer is said to have anything. */
void rf_away_drop_all(rf_away *away);
/* Nothing is lost. */
rf_status rf_away_check(const rf_optim *opt);
/* An errno, of reading or writing moments of an item. */
rf_status rf_away_fail(const rf_optim *opt, size_t index, int write, int error);

#endif
