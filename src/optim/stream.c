/* stream.c: a step over moments that are away: taken chunk by chunk, the next one being read and
 * the last one written meanwhile. See away.h. */
#include "optim/away_struct.h"

#include <string.h>

static rf_status stream_wait(rf_optim *opt, rf_away_buffer *b)
{
    int error = rf_room_wait(&opt->away->room, &b->job);
    if (!error)
        return RF_OK;
    b->full = 0;
    if (b->job.job.write || b->chunk) /* what was read is needed to finish what was begun */
        opt->away->lost = 1;
    return rf_away_fail(opt, b->item, b->job.job.write, error);
}

/* Begin to read a chunk. */
static void stream_fetch(rf_optim *opt, rf_away_buffer *b, size_t index, size_t chunk)
{
    const rf_optim_item *item = &opt->items[index];
    rf_away_span span = rf_away_span_of(opt, item, chunk);
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

static int stream_has(const rf_away_buffer *b, size_t index, size_t chunk)
{
    return b->full && b->item == index && b->chunk == chunk;
}

/* Behind the buffer in hand: what will be asked for next. */
static rf_status stream_read_ahead(rf_optim *opt)
{
    rf_away *away = opt->away;
    const rf_away_buffer *b = &away->buffers[away->turn];
    rf_away_buffer *ahead = &away->buffers[(away->turn + 1) % RF_AWAY_BUFFERS];
    const rf_optim_item *item = &opt->items[b->item];
    int more = b->chunk + 1 < rf_away_num_chunks(opt, item);
    size_t index = more ? b->item : item->after, chunk = more ? b->chunk + 1 : 0;
    rf_status status = stream_wait(opt, ahead);
    ahead->full = 0;
    if (!status && index < opt->num && !stream_has(b, index, chunk))
        stream_fetch(opt, ahead, index, chunk);
    return status;
}

/* The buffer for the next chunk, with nothing in it that is of use to others. */
static rf_status stream_turn(rf_optim *opt, size_t index, size_t chunk)
{
    rf_away *away = opt->away;
    size_t turn = (away->turn + 1) % RF_AWAY_BUFFERS;
    rf_away_buffer *b = &away->buffers[turn];
    if (!stream_has(b, index, chunk)) {
        int error = rf_room_wait(&away->room, &b->job);
        if (error && b->job.job.write) { /* else it was read ahead in vain */
            away->lost = 1;
            return rf_away_fail(opt, b->item, 1, error);
        }
        stream_fetch(opt, b, index, chunk);
    }
    away->turn = turn;
    return RF_OK;
}

/* A chunk's moments, in memory. */
static rf_status stream_take(rf_optim *opt, size_t index, size_t chunk, rf_away_buffer **out)
{
    const rf_optim_item *item = &opt->items[index];
    rf_away_span span = rf_away_span_of(opt, item, chunk);
    rf_status status = stream_turn(opt, index, chunk);
    rf_away_buffer *b = *out = &opt->away->buffers[opt->away->turn];
    if (!status)
        status = stream_read_ahead(opt);
    if (!status)
        status = stream_wait(opt, b);
    for (size_t j = 0; !status && j < rf_optim_num_moments(opt); j++)
        if (chunk >= item->written[j])
            memset(b->data + j * span.stride, 0, span.bytes);
    return status;
}

/* Begin to write what was taken. */
static void stream_give(rf_optim *opt, rf_away_buffer *b)
{
    rf_optim_item *item = &opt->items[b->item];
    rf_away_span span = rf_away_span_of(opt, item, b->chunk);
    size_t num = rf_optim_num_moments(opt);
    rf_room_begin(&opt->away->room, &b->job, 1, b->data, num * span.stride, span.at);
    for (size_t j = 0; j < num; j++)
        rf_away_note_written(item, j, b->chunk);
}

/* ---- a step --------------------------------------------------------------------------------- */

/* Elements of a view without gaps. */
static rf_view stream_part(const rf_view *view, const rf_away_span *span)
{
    rf_view part = {.data = (char *)view->data + span->first * rf_dtype_size(view->shape.dtype)};
    part.shape = (rf_shape){.dtype = view->shape.dtype, .device = view->shape.device, .rank = 1};
    part.shape.dims[0] = (int64_t)span->num;
    part.strides[0] = 1;
    return part;
}

static rf_status stream_move_chunk(rf_optim *opt, const rf_away_buffer *b,
                                   const rf_optim_move *whole)
{
    rf_away_span span = rf_away_span_of(opt, &opt->items[b->item], b->chunk), own = span;
    rf_optim_move move = *whole;
    move.param = stream_part(&whole->param, &span);
    move.grad = stream_part(&whole->grad, &span);
    own.first = 0;
    for (size_t j = 0; j < rf_optim_num_moments(opt); j++) {
        rf_view view = {.data = b->data + j * span.stride, .shape = whole->param.shape};
        move.moments[j] = stream_part(&view, &own);
    }
    return rf_optim_apply(opt, &move);
}

/* What comes after an item is what came after it now. */
static void stream_note_order(rf_optim *opt, size_t index)
{
    if (opt->away->last < opt->num)
        opt->items[opt->away->last].after = index;
    opt->away->last = index;
}

/* Some of an item's chunks were moved and the rest can't be. */
static void stream_stop_halfway(rf_optim *opt, size_t index)
{
    opt->away->lost = 1;
    rf_tensor_touch(opt->items[index].param);
}

rf_status rf_away_move(rf_optim *opt, size_t index, const rf_optim_move *whole)
{
    size_t num = rf_away_num_chunks(opt, &opt->items[index]);
    rf_status status = rf_away_check(opt);
    for (size_t chunk = 0; chunk < num && !status; chunk++) {
        rf_away_buffer *b;
        status = stream_take(opt, index, chunk, &b);
        if (!status)
            status = stream_move_chunk(opt, b, whole);
        if (!status)
            stream_give(opt, b);
        else if (chunk)
            stream_stop_halfway(opt, index);
    }
    if (!status)
        stream_note_order(opt, index);
    return status;
}

rf_status rf_away_finish(rf_optim *opt, rf_status status)
{
    rf_away *away = opt->away;
    for (size_t i = 0; away && i < RF_AWAY_BUFFERS; i++) {
        rf_away_buffer *b = &away->buffers[i];
        if (!b->job.busy || !b->job.job.write)
            continue;
        int error = rf_room_wait(&away->room, &b->job);
        if (!error)
            continue;
        away->lost = 1;
        b->full = 0;
        if (!status)
            status = rf_away_fail(opt, b->item, 1, error);
    }
    return status;
}
