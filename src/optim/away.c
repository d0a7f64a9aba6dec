/* away.c: see away.h. Where moments are, and all of one moved at once; stream.c has the step. */
#include "optim/away_struct.h"

#include <string.h>

/* ---- where things are ----------------------------------------------------------------------- */

static size_t away_pages(size_t bytes)
{
    return (bytes + RF_SPILL_PAGE - 1) / RF_SPILL_PAGE * RF_SPILL_PAGE;
}

/* Bytes of one moment in a chunk, unless it is the last. */
static size_t away_chunk_bytes(const rf_optim *opt)
{
    return RF_AWAY_BUFFER_BYTES / rf_optim_num_moments(opt) / RF_SPILL_PAGE * RF_SPILL_PAGE;
}

size_t rf_away_num_chunks(const rf_optim *opt, const rf_optim_item *item)
{
    size_t chunk = away_chunk_bytes(opt);
    return (rf_tensor_bytes(item->param) + chunk - 1) / chunk;
}

rf_away_span rf_away_span_of(const rf_optim *opt, const rf_optim_item *item, size_t chunk)
{
    size_t size = rf_dtype_size(rf_tensor_dtype(item->param)), each = away_chunk_bytes(opt);
    size_t begin = chunk * each, left = rf_tensor_bytes(item->param) - begin;
    size_t bytes = left < each ? left : each;
    return (rf_away_span){.first = begin / size,
                          .num = bytes / size,
                          .bytes = bytes,
                          .stride = away_pages(bytes),
                          .at = item->at + (uint64_t)begin * rf_optim_num_moments(opt)};
}

/* ---- opening and closing -------------------------------------------------------------------- */

typedef struct away_sizes {
    uint64_t bytes;  /* of all moments             */
    uint64_t length; /* what they take in the file */
    size_t buffer;   /* of one                     */
    size_t first;    /* item that is away; as many as there are: none */
} away_sizes;

static int away_can(const rf_optim *opt, const rf_optim_item *item, rf_device device)
{
    rf_view view = rf_optim_view(item->param);
    return item->lr_scale > 0 && rf_optim_num_moments(opt) > 0 && rf_view_contiguous(&view) &&
           rf_tensor_bytes(item->param) > 0 && rf_tensor_device(item->param) == device;
}

static void away_place(const rf_optim *opt, rf_optim_item *item, away_sizes *sizes)
{
    size_t num = rf_optim_num_moments(opt), chunks = rf_away_num_chunks(opt, item);
    size_t first = num * rf_away_span_of(opt, item, 0).stride;
    item->is_away = 1;
    item->at = sizes->length;
    rf_away_span last = rf_away_span_of(opt, item, chunks - 1);
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
                                         RF_AWAY_BUFFERS * bytes + RF_SPILL_PAGE);
    if (status || !away->storage->data)
        return status;
    uintptr_t start = (uintptr_t)away->storage->data;
    char *data = (char *)away->storage->data + (away_pages(start) - start);
    for (size_t i = 0; i < RF_AWAY_BUFFERS; i++) {
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
    if (!status && device != RF_DEVICE_META)
        status = rf_room_open(&away->room, sizes.bytes, sizes.length);
    return status; /* the optimiser ends what there is */
}

void rf_away_drop_all(rf_away *away)
{
    for (size_t i = 0; i < RF_AWAY_BUFFERS; i++) {
        rf_away_buffer *b = &away->buffers[i];
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
    rf_away_drop_all(away);
    rf_room_close(&away->room);
    rf_storage_unref(away->storage);
    rf_host_free(opt->ctx, away, sizeof *away);
    opt->away = NULL;
}

/* ---- errors --------------------------------------------------------------------------------- */

rf_status rf_away_fail(const rf_optim *opt, size_t index, int write, int error)
{
    const char *folder = opt->ctx->spill_folder;
    return rf_fail(opt->ctx, RF_E_IO, "spill: cannot %s the moments of %s, in a file in %s: %s%s",
                   write ? "write" : "read", opt->items[index].path, folder ? folder : ".",
                   strerror(error), opt->away->lost ? "; load a saved state" : "");
}

rf_status rf_away_check(const rf_optim *opt)
{
    if (!opt->away->lost)
        return RF_OK;
    return rf_fail(opt->ctx, RF_E_IO,
                   "spill: moments were lost as their file failed; load a saved state");
}

void rf_away_note_written(rf_optim_item *item, size_t j, size_t chunk)
{
    if (item->written[j] <= chunk)
        item->written[j] = chunk + 1;
}

/* ---- whole moments -------------------------------------------------------------------------- */

static rf_status away_transfer(rf_optim *opt, size_t index, size_t j, rf_tensor *t, int write)
{
    rf_optim_item *item = &opt->items[index];
    rf_room_job job = {.storage = t->storage->id};
    char *data = t->storage->data; /* NULL where there are no bytes */
    size_t num = write ? rf_away_num_chunks(opt, item) : item->written[j];
    for (size_t chunk = 0; data && chunk < num; chunk++) {
        rf_away_span span = rf_away_span_of(opt, item, chunk);
        rf_room_begin(&opt->away->room, &job, write, data + span.first * (span.bytes / span.num),
                      span.bytes, span.at + j * span.stride);
        int error = rf_room_wait(&opt->away->room, &job);
        if (error) {
            opt->away->lost |= write;
            return rf_away_fail(opt, index, write, error);
        }
        if (write)
            rf_away_note_written(item, j, chunk);
    }
    return RF_OK;
}

rf_status rf_away_read(rf_optim *opt, size_t index, size_t j, rf_tensor *t)
{
    rf_status status = rf_away_finish(opt, rf_away_check(opt));
    return status ? status : away_transfer(opt, index, j, t, 0);
}

rf_status rf_away_write(rf_optim *opt, size_t index, size_t j, rf_tensor *t)
{
    rf_away_drop_all(opt->away); /* what was read ahead is no longer so */
    return away_transfer(opt, index, j, t, 1);
}

void rf_away_restored(rf_optim *opt)
{
    if (opt->away)
        opt->away->lost = 0;
}
