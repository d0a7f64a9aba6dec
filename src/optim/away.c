/* away.c: see away.h. */
#include "optim/away.h"
#include "tensor/handle.h"
#include "tensor/room.h"

#include <string.h>

/* A buffer takes all moments of one chunk. Three: one is moved, one read, one written. */
enum { AWAY_BUFFERS = 3, AWAY_BUFFER_BYTES = 4 << 20 };

typedef struct away_buffer {
    char *data; /* whole pages; NULL on a device without bytes */
    rf_room_job job;
    size_t item, chunk;
    int full; /* it has that chunk, or will when its job is done */
} away_buffer;

struct rf_away {
    rf_room room;
    rf_storage *storage; /* of the buffers */
    away_buffer buffers[AWAY_BUFFERS];
    size_t turn; /* the buffer in hand; the next one is for reading ahead */
    size_t last; /* the item that was moved last; as many as there are: none yet */
    int lost;
};

/* ---- where things are ----------------------------------------------------------------------- */

/* A chunk of an item. */
typedef struct away_span {
    size_t first, num; /* elements                                    */
    size_t bytes;      /* of one moment                               */
    size_t stride;     /* from moment to moment, in buffer and in file */
    uint64_t at;       /* in the room                                 */
} away_span;

static size_t away_pages(size_t bytes)
{
    return (bytes + RF_SPILL_PAGE - 1) / RF_SPILL_PAGE * RF_SPILL_PAGE;
}

/* Bytes of one moment in a chunk, unless it is the last. */
static size_t away_chunk_bytes(const rf_optim *opt)
{
    return AWAY_BUFFER_BYTES / rf_optim_num_moments(opt) / RF_SPILL_PAGE * RF_SPILL_PAGE;
}

static size_t away_num_chunks(const rf_optim *opt, const rf_optim_item *item)
{
    size_t chunk = away_chunk_bytes(opt);
    return (rf_tensor_bytes(item->param) + chunk - 1) / chunk;
}

static away_span away_span_of(const rf_optim *opt, const rf_optim_item *item, size_t chunk)
{
    size_t size = rf_dtype_size(rf_tensor_dtype(item->param)), each = away_chunk_bytes(opt);
    size_t begin = chunk * each, left = rf_tensor_bytes(item->param) - begin;
    size_t bytes = left < each ? left : each;
    return (away_span){.first = begin / size,
                       .num = bytes / size,
                       .bytes = bytes,
                       .stride = away_pages(bytes),
                       .at = item->at + (uint64_t)begin * rf_optim_num_moments(opt)};
}

/* ---- opening and closing -------------------------------------------------------------------- */

typedef struct away_sizes {
    uint64_t bytes;  /* of all moments     */
    uint64_t length; /* what they take in the file */
    size_t buffer;
    size_t first; /* item that is away; as many as there are: none */
} away_sizes;

static int away_can(const rf_optim *opt, const rf_optim_item *item, rf_device device)
{
    rf_view view = rf_optim_view(item->param);
    return item->lr_scale > 0 && rf_optim_num_moments(opt) > 0 && rf_view_contiguous(&view) &&
           rf_tensor_bytes(item->param) > 0 && rf_tensor_device(item->param) == device;
}

static void away_place(const rf_optim *opt, rf_optim_item *item, away_sizes *sizes)
{
    size_t num = rf_optim_num_moments(opt), chunks = away_num_chunks(opt, item);
    size_t first = num * away_span_of(opt, item, 0).stride;
    item->is_away = 1;
    item->at = sizes->length;
    away_span last = away_span_of(opt, item, chunks - 1);
    sizes->length = last.at + num * last.stride;
    sizes->bytes += (uint64_t)num * rf_tensor_bytes(item->param);
    if (first > sizes->buffer)
        sizes->buffer = first;
}

/* All items one after the other; in which order they are moved is not known yet. */
static away_sizes away_place_all(rf_optim *opt)
{
    away_sizes sizes = {.first = opt->num};
    for (size_t i = 0; i < opt->num; i++) {
        size_t leader = sizes.first < opt->num ? sizes.first : i;
        opt->items[i].after = opt->num;
        if (!away_can(opt, &opt->items[i], rf_tensor_device(opt->items[leader].param)))
            continue;
        sizes.first = leader;
        away_place(opt, &opt->items[i], &sizes);
    }
    return sizes;
}

static rf_status away_make_buffers(rf_away *away, rf_context *ctx, rf_device device, size_t bytes)
{
    rf_status status = rf_storage_create(&away->storage, ctx, (unsigned)device, RF_MEM_OPTIM,
                                         AWAY_BUFFERS * bytes + RF_SPILL_PAGE);
    if (status || !away->storage->data)
        return status;
    uintptr_t start = (uintptr_t)away->storage->data;
    char *data = (char *)away->storage->data + (away_pages(start) - start);
    for (size_t i = 0; i < AWAY_BUFFERS; i++) {
        away->buffers[i].data = data + i * bytes;
        away->buffers[i].job.storage = away->storage->id;
    }
    return RF_OK;
}

rf_status rf_away_open(rf_optim *opt)
{
    rf_context *ctx = opt->ctx;
    away_sizes sizes = away_place_all(opt);
    if (sizes.first == opt->num)
        return RF_OK;
    rf_device device = rf_tensor_device(opt->items[sizes.first].param);
    rf_away *away = opt->away = rf_host_alloc(ctx, sizeof *away);
    if (!away)
        return rf_context_error(ctx)->code;
    away->room = (rf_room){.ctx = ctx, .cls = RF_MEM_OPTIM};
    away->last = opt->num;
    rf_status status = away_make_buffers(away, ctx, device, sizes.buffer);
    if (!status && ctx->devices[device]->has_bytes)
        status = rf_room_open(&away->room, sizes.bytes, sizes.length);
    return status; /* the optimiser ends what there is */
}

/* No job is under way, and no buffer is said to have anything. */
static void away_drop_all(rf_away *away)
{
    for (size_t i = 0; i < AWAY_BUFFERS; i++) {
        away_buffer *b = &away->buffers[i];
        if (rf_room_wait(&away->room, &b->job) && b->job.job.write)
            away->lost = 1;
        b->full = 0;
    }
}

void rf_away_close(rf_optim *opt)
{
    rf_away *away = opt->away;
    if (!away)
        return;
    away_drop_all(away);
    rf_room_close(&away->room);
    rf_storage_unref(away->storage);
    rf_host_free(opt->ctx, away, sizeof *away);
    opt->away = NULL;
}

/* ---- errors --------------------------------------------------------------------------------- */

static rf_status away_fail(const rf_optim *opt, size_t index, int write, int error)
{
    const char *folder = opt->ctx->spill_folder;
    return rf_fail(opt->ctx, RF_E_IO, "spill: cannot %s the moments of %s, in a file in %s: %s%s",
                   write ? "write" : "read", opt->items[index].path, folder ? folder : ".",
                   strerror(error), opt->away->lost ? "; load a saved state" : "");
}

static rf_status away_check(const rf_optim *opt)
{
    if (!opt->away->lost)
        return RF_OK;
    return rf_fail(opt->ctx, RF_E_IO,
                   "spill: moments were lost as their file failed; load a saved state");
}

static rf_status away_wait(rf_optim *opt, away_buffer *b)
{
    int error = rf_room_wait(&opt->away->room, &b->job);
    if (!error)
        return RF_OK;
    b->full = 0;
    if (b->job.job.write || b->chunk) /* what was read is needed to finish what was begun */
        opt->away->lost = 1;
    return away_fail(opt, b->item, b->job.job.write, error);
}

/* ---- the stream ----------------------------------------------------------------------------- */

/* Begin to read a chunk. */
static void away_fetch(rf_optim *opt, away_buffer *b, size_t index, size_t chunk)
{
    const rf_optim_item *item = &opt->items[index];
    away_span span = away_span_of(opt, item, chunk);
    size_t num = rf_optim_num_moments(opt);
    b->item = index;
    b->chunk = chunk;
    b->full = 1;
    for (size_t j = 0; j < num; j++)
        if (chunk < item->written[j]) {
            rf_room_begin(&opt->away->room, &b->job, 0, b->data, num * span.stride, span.at);
            return;
        }
}

static int away_has(const away_buffer *b, size_t index, size_t chunk)
{
    return b->full && b->item == index && b->chunk == chunk;
}

/* Behind the buffer in hand: what will be asked for next. */
static rf_status away_read_ahead(rf_optim *opt)
{
    rf_away *away = opt->away;
    const away_buffer *b = &away->buffers[away->turn];
    away_buffer *ahead = &away->buffers[(away->turn + 1) % AWAY_BUFFERS];
    const rf_optim_item *item = &opt->items[b->item];
    int more = b->chunk + 1 < away_num_chunks(opt, item);
    size_t index = more ? b->item : item->after, chunk = more ? b->chunk + 1 : 0;
    rf_status status = away_wait(opt, ahead);
    ahead->full = 0;
    if (!status && index < opt->num && !away_has(b, index, chunk))
        away_fetch(opt, ahead, index, chunk);
    return status;
}

/* The buffer for the next chunk, with nothing in it that is of use to others. */
static rf_status away_turn(rf_optim *opt, size_t index, size_t chunk)
{
    rf_away *away = opt->away;
    size_t turn = (away->turn + 1) % AWAY_BUFFERS;
    away_buffer *b = &away->buffers[turn];
    if (!away_has(b, index, chunk)) {
        int error = rf_room_wait(&away->room, &b->job);
        if (error && b->job.job.write) { /* else it was read ahead in vain */
            away->lost = 1;
            return away_fail(opt, b->item, 1, error);
        }
        away_fetch(opt, b, index, chunk);
    }
    away->turn = turn;
    return RF_OK;
}

/* A chunk's moments, in memory. */
static rf_status away_take(rf_optim *opt, size_t index, size_t chunk, away_buffer **out)
{
    const rf_optim_item *item = &opt->items[index];
    away_span span = away_span_of(opt, item, chunk);
    rf_status status = away_turn(opt, index, chunk);
    away_buffer *b = *out = &opt->away->buffers[opt->away->turn];
    if (!status)
        status = away_read_ahead(opt);
    if (!status)
        status = away_wait(opt, b);
    for (size_t j = 0; !status && j < rf_optim_num_moments(opt); j++)
        if (chunk >= item->written[j])
            memset(b->data + j * span.stride, 0, span.bytes);
    return status;
}

static void away_note_written(rf_optim_item *item, size_t j, size_t chunk)
{
    if (item->written[j] <= chunk)
        item->written[j] = chunk + 1;
}

/* Begin to write what was taken. */
static void away_give(rf_optim *opt, away_buffer *b)
{
    rf_optim_item *item = &opt->items[b->item];
    away_span span = away_span_of(opt, item, b->chunk);
    size_t num = rf_optim_num_moments(opt);
    rf_room_begin(&opt->away->room, &b->job, 1, b->data, num * span.stride, span.at);
    for (size_t j = 0; j < num; j++)
        away_note_written(item, j, b->chunk);
}

/* ---- a step --------------------------------------------------------------------------------- */

/* Elements of a view without gaps. */
static rf_view away_part(const rf_view *view, const away_span *span)
{
    rf_view part = {.data = (char *)view->data + span->first * rf_dtype_size(view->shape.dtype)};
    part.shape = (rf_shape){.dtype = view->shape.dtype, .device = view->shape.device, .rank = 1};
    part.shape.dims[0] = (int64_t)span->num;
    part.strides[0] = 1;
    return part;
}

static rf_status away_move_chunk(rf_optim *opt, const away_buffer *b, const rf_optim_move *whole)
{
    away_span span = away_span_of(opt, &opt->items[b->item], b->chunk), own = span;
    rf_optim_move move = *whole;
    move.param = away_part(&whole->param, &span);
    move.grad = away_part(&whole->grad, &span);
    own.first = 0;
    for (size_t j = 0; j < rf_optim_num_moments(opt); j++) {
        rf_view view = {.data = b->data + j * span.stride, .shape = whole->param.shape};
        move.moments[j] = away_part(&view, &own);
    }
    return rf_optim_apply(opt, &move);
}

/* What comes after an item is what came after it now. */
static void away_note_order(rf_optim *opt, size_t index)
{
    if (opt->away->last < opt->num)
        opt->items[opt->away->last].after = index;
    opt->away->last = index;
}

/* Some of an item's chunks were moved and the rest can't be. */
static void away_stop_halfway(rf_optim *opt, size_t index)
{
    opt->away->lost = 1;
    rf_tensor_touch(opt->items[index].param);
}

rf_status rf_away_move(rf_optim *opt, size_t index, const rf_optim_move *whole)
{
    size_t num = away_num_chunks(opt, &opt->items[index]);
    rf_status status = away_check(opt);
    for (size_t chunk = 0; chunk < num && !status; chunk++) {
        away_buffer *b;
        status = away_take(opt, index, chunk, &b);
        if (!status)
            status = away_move_chunk(opt, b, whole);
        if (!status)
            away_give(opt, b);
        else if (chunk)
            away_stop_halfway(opt, index);
    }
    if (!status)
        away_note_order(opt, index);
    return status;
}

rf_status rf_away_finish(rf_optim *opt, rf_status status)
{
    rf_away *away = opt->away;
    for (size_t i = 0; away && i < AWAY_BUFFERS; i++) {
        away_buffer *b = &away->buffers[i];
        if (!b->job.busy || !b->job.job.write)
            continue;
        int error = rf_room_wait(&away->room, &b->job);
        if (!error)
            continue;
        away->lost = 1;
        b->full = 0;
        if (!status)
            status = away_fail(opt, b->item, 1, error);
    }
    return status;
}

/* ---- whole moments -------------------------------------------------------------------------- */

static rf_status away_transfer(rf_optim *opt, size_t index, size_t j, rf_tensor *t, int write)
{
    rf_optim_item *item = &opt->items[index];
    rf_room_job job = {.storage = t->storage->id};
    char *data = rf_tensor_data(t);
    size_t num = write ? away_num_chunks(opt, item) : item->written[j];
    for (size_t chunk = 0; data && chunk < num; chunk++) {
        away_span span = away_span_of(opt, item, chunk);
        rf_room_begin(&opt->away->room, &job, write, data + span.first * (span.bytes / span.num),
                      span.bytes, span.at + j * span.stride);
        int error = rf_room_wait(&opt->away->room, &job);
        if (error) {
            opt->away->lost |= write;
            return away_fail(opt, index, write, error);
        }
        if (write)
            away_note_written(item, j, chunk);
    }
    return RF_OK;
}

rf_status rf_away_read(rf_optim *opt, size_t index, size_t j, rf_tensor *t)
{
    rf_status status = rf_away_finish(opt, away_check(opt));
    return status ? status : away_transfer(opt, index, j, t, 0);
}

rf_status rf_away_write(rf_optim *opt, size_t index, size_t j, rf_tensor *t)
{
    away_drop_all(opt->away); /* what was read ahead is no longer so */
    return away_transfer(opt, index, j, t, 1);
}

void rf_away_restored(rf_optim *opt)
{
    if (opt->away)
        opt->away->lost = 0;
}
