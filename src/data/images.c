/* images.c: batches out of IDX files, the format of MNIST: two zero bytes, the type of the elements
 * (8: u8), the number of axes, each axis as a u32, then the elements; all big-endian.
 *
 * What the header says is believed only once the file has exactly as many bytes, so that no size
 * here is larger than a file. Both files stay open; an image is read when a batch has it.
 */
#include <refrain/data.h>

#include "base/check.h"
#include "data/shuffle.h"
#include "io/file.h"
#include "tensor/context.h"

#include <math.h>

enum { IDX_U8 = 8, IDX_HEAD = 4, IDX_AXES = 3, IMAGES_SCAN = 4096 };

struct rf_images {
    rf_context *ctx;
    rf_images_options opts;
    rf_reader images, labels;
    char *paths[2]; /* of the readers; owned */
    uint64_t num;   /* training and held out */
    uint64_t rows, columns;
    int64_t classes;
    uint64_t position;
    unsigned char *raw; /* one image */
    float *pixels;      /* a batch   */
    int32_t *targets;
    size_t raw_bytes, pixels_bytes, targets_bytes;
};

/* ---- the format ---- */

static rf_status idx_axes(const rf_reader *r, int rank, uint64_t dims[IDX_AXES], uint64_t *first)
{
    unsigned char head[IDX_HEAD + 4 * IDX_AXES] = {0};
    size_t bytes = (size_t)(IDX_HEAD + 4 * rank);
    rf_status status = rf_reader_get(r, 0, head, r->bytes < bytes ? (size_t)r->bytes : bytes);
    if (status)
        return status;
    if (r->bytes >= IDX_HEAD && (head[0] || head[1] || head[2] != IDX_U8 || head[3] != rank))
        return rf_fail(r->ctx, RF_E_FORMAT,
                       "%s: no idx%d-ubyte file: it begins with %02x %02x %02x %02x, not with "
                       "00 00 08 %02x; is it compressed, or the other of the two files?",
                       r->path, rank, head[0], head[1], head[2], head[3], (unsigned)rank);
    if (r->bytes < bytes)
        return rf_fail(r->ctx, RF_E_FORMAT, "%s: too short for an IDX file of %d axes", r->path,
                       rank);
    for (int i = 0; i < rank; i++) {
        const unsigned char *b = head + IDX_HEAD + 4 * i;
        dims[i] = (uint64_t)b[0] << 24 | (uint64_t)b[1] << 16 | (uint64_t)b[2] << 8 | b[3];
    }
    *first = bytes;
    return RF_OK;
}

/* The axes of an IDX file, whose elements are all there and nothing else. */
static rf_status idx_open(const rf_reader *r, int rank, uint64_t dims[IDX_AXES])
{
    uint64_t first = 0;
    size_t bytes = 1;
    rf_status status = idx_axes(r, rank, dims, &first);
    if (status)
        return status;
    int fits = 1;
    for (int i = 0; i < rank; i++)
        fits = fits && rf_mul_size(bytes, (size_t)dims[i], &bytes);
    if (fits && r->bytes - first == bytes)
        return RF_OK;
    return rf_fail(r->ctx, RF_E_FORMAT,
                   "%s: it has %llu bytes of elements, which is not what its header says; the file "
                   "is incomplete or no IDX file",
                   r->path, (unsigned long long)(r->bytes - first));
}

static uint64_t idx_image_at(const rf_images *d, uint64_t index)
{
    return IDX_HEAD + 4 * 3 + index * d->rows * d->columns;
}

static uint64_t idx_label_at(uint64_t index)
{
    return IDX_HEAD + 4 + index;
}

/* ---- opening ---- */

static rf_status images_reader(rf_images *d, rf_reader *r, size_t which, const char *path)
{
    if (!path)
        return rf_fail(d->ctx, RF_E_ARGUMENT, "images: two files are wanted");
    d->paths[which] = rf_host_copy_text(d->ctx, path);
    if (!d->paths[which])
        return rf_context_error(d->ctx)->code;
    return rf_reader_open(r, d->ctx, d->paths[which]);
}

static rf_status images_headers(rf_images *d)
{
    uint64_t dims[IDX_AXES] = {0}, labels[IDX_AXES] = {0};
    rf_status status = idx_open(&d->images, 3, dims);
    if (!status)
        status = idx_open(&d->labels, 1, labels);
    if (status)
        return status;
    d->num = dims[0];
    d->rows = dims[1];
    d->columns = dims[2];
    if (labels[0] != d->num)
        return rf_fail(d->ctx, RF_E_FORMAT, "%s: %llu labels, but %s has %llu images",
                       d->labels.path, (unsigned long long)labels[0], d->images.path,
                       (unsigned long long)d->num);
    if (!d->rows || !d->columns)
        return rf_fail(d->ctx, RF_E_FORMAT, "%s: images without pixels", d->images.path);
    if (d->num <= d->opts.held_out)
        return rf_fail(d->ctx, RF_E_ARGUMENT,
                       "%s: %llu images, of which %llu are to be held out: none is left for "
                       "training",
                       d->images.path, (unsigned long long)d->num,
                       (unsigned long long)d->opts.held_out);
    return RF_OK;
}

static rf_status images_scan_labels(rf_images *d)
{
    unsigned char piece[IMAGES_SCAN];
    for (uint64_t at = 0; at < d->num; at += IMAGES_SCAN) {
        size_t n = d->num - at < IMAGES_SCAN ? (size_t)(d->num - at) : IMAGES_SCAN;
        rf_status status = rf_reader_get(&d->labels, idx_label_at(at), piece, n);
        if (status)
            return status;
        for (size_t i = 0; i < n; i++)
            if (piece[i] >= d->classes)
                d->classes = piece[i] + 1;
    }
    return RF_OK;
}

static rf_status images_buffers(rf_images *d)
{
    size_t area = (size_t)(d->rows * d->columns), pixels = 0, targets = 0;
    if (d->opts.batch > INT32_MAX || !rf_mul_size(area, sizeof(float), &pixels) ||
        !rf_mul_size(pixels, (size_t)d->opts.batch, &pixels))
        return rf_fail(d->ctx, RF_E_ARGUMENT, "images: a batch of %llu is too large",
                       (unsigned long long)d->opts.batch);
    targets = (size_t)d->opts.batch * sizeof(int32_t);
    d->raw = rf_host_alloc(d->ctx, area);
    d->raw_bytes = d->raw ? area : 0;
    d->pixels = d->raw ? rf_host_alloc(d->ctx, pixels) : NULL;
    d->pixels_bytes = d->pixels ? pixels : 0;
    d->targets = d->pixels ? rf_host_alloc(d->ctx, targets) : NULL;
    d->targets_bytes = d->targets ? targets : 0;
    return d->targets ? RF_OK : rf_context_error(d->ctx)->code;
}

rf_status rf_images_open(rf_images **out, rf_context *ctx, const char *images, const char *labels,
                         const rf_images_options *opts)
{
    static const rf_images_options defaults = RF_IMAGES_OPTIONS_INIT;
    const rf_images_options *o = opts ? opts : &defaults;
    *out = NULL;
    if (o->size != sizeof *o || !(o->white >= 0) || isinf(o->white))
        return rf_fail(ctx, RF_E_ARGUMENT, "images: the options' size is not set, or white is bad");
    rf_images *d = rf_host_alloc(ctx, sizeof *d);
    if (!d)
        return rf_context_error(ctx)->code;
    *d = (rf_images){.ctx = ctx, .opts = *o, .images.fd = -1, .labels.fd = -1};
    d->opts.batch = o->batch ? o->batch : 1;
    d->opts.white = o->white > 0 ? o->white : 255;
    rf_status status = images_reader(d, &d->images, 0, images);
    if (!status)
        status = images_reader(d, &d->labels, 1, labels);
    if (!status)
        status = images_headers(d);
    if (!status)
        status = images_scan_labels(d);
    if (!status)
        status = images_buffers(d);
    if (status)
        rf_images_close(d);
    else
        *out = d;
    return status;
}

void rf_images_close(rf_images *data)
{
    if (!data)
        return;
    rf_reader_close(&data->images);
    rf_reader_close(&data->labels);
    for (int i = 0; i < 2; i++)
        if (data->paths[i])
            rf_host_free_text(data->ctx, data->paths[i]);
    rf_host_free(data->ctx, data->targets, data->targets_bytes);
    rf_host_free(data->ctx, data->pixels, data->pixels_bytes);
    rf_host_free(data->ctx, data->raw, data->raw_bytes);
    rf_host_free(data->ctx, data, sizeof *data);
}

/* ---- looking ---- */

uint64_t rf_images_num(const rf_images *data)
{
    return data->num - data->opts.held_out;
}

uint64_t rf_images_held_out(const rf_images *data)
{
    return data->opts.held_out;
}

int64_t rf_images_rows(const rf_images *data)
{
    return (int64_t)data->rows;
}

int64_t rf_images_columns(const rf_images *data)
{
    return (int64_t)data->columns;
}

int64_t rf_images_classes(const rf_images *data)
{
    return data->classes;
}

uint64_t rf_images_position(const rf_images *data)
{
    return data->position;
}

void rf_images_set_position(rf_images *data, uint64_t position)
{
    data->position = position;
}

/* ---- batches ---- */

/* Row `row` of the batch is image `index`. */
static rf_status images_row(rf_images *d, size_t row, uint64_t index)
{
    size_t area = (size_t)(d->rows * d->columns);
    unsigned char label = 0;
    rf_status status = rf_reader_get(&d->images, idx_image_at(d, index), d->raw, area);
    if (!status)
        status = rf_reader_get(&d->labels, idx_label_at(index), &label, 1);
    for (size_t i = 0; i < area && !status; i++)
        d->pixels[row * area + i] = (float)(d->raw[i] / d->opts.white);
    d->targets[row] = label;
    return status;
}

static rf_status images_give(rf_images *d, rf_scope *s, size_t rows, rf_tensor *pair[2])
{
    const int64_t dims[4] = {(int64_t)rows, 1, (int64_t)d->rows, (int64_t)d->columns};
    pair[0] = rf_tensor_copy_in(s, RF_F32, 4, dims, d->pixels);
    pair[1] = pair[0] ? rf_tensor_copy_in(s, RF_I32, 1, dims, d->targets) : NULL;
    if (pair[1])
        return RF_OK;
    rf_release(s, pair[0]);
    pair[0] = NULL;
    return rf_scope_status(s);
}

rf_status rf_images_next(rf_images *data, rf_scope *s, rf_tensor **images, rf_tensor **labels)
{
    uint64_t num = rf_images_num(data);
    rf_tensor *pair[2] = {NULL, NULL};
    rf_status status = RF_OK;
    for (uint64_t row = 0; row < data->opts.batch && !status; row++) {
        uint64_t number = data->position * data->opts.batch + row;
        uint64_t key = rf_shuffle_mix(data->opts.seed, number / num);
        status = images_row(data, (size_t)row, rf_shuffle_at(key, num, number % num));
    }
    if (!status)
        status = images_give(data, s, (size_t)data->opts.batch, pair);
    *images = pair[0];
    *labels = pair[1];
    data->position += !status && !rf_context_dry(rf_scope_context(s));
    return status;
}

rf_status rf_images_held_out_batch(rf_images *data, rf_scope *s, uint64_t index, rf_tensor **images,
                                   rf_tensor **labels)
{
    uint64_t batch = data->opts.batch, held_out = data->opts.held_out;
    rf_tensor *pair[2] = {NULL, NULL};
    rf_status status = RF_OK;
    *images = *labels = NULL;
    if (index >= held_out / batch + (held_out % batch != 0))
        return rf_fail(data->ctx, RF_E_NOT_FOUND, "images: no batch %llu in the held-out part",
                       (unsigned long long)index);
    uint64_t first = index * batch, rows = held_out - first < batch ? held_out - first : batch;
    for (uint64_t row = 0; row < rows && !status; row++)
        status = images_row(data, (size_t)row, rf_images_num(data) + first + row);
    if (!status)
        status = images_give(data, s, (size_t)rows, pair);
    *images = pair[0];
    *labels = pair[1];
    return status;
}
