/* safetensors.c: reading model files. The header is checked as a whole when the file is opened, so
 * that afterwards only the device can fail. */
#include <refrain/io.h>

#include "base/bytes.h"
#include "io/convert.h"
#include "io/elements.h"
#include "io/file.h"
#include "io/safetensors.h"
#include "tensor/context.h"

#include <string.h>

struct rf_safetensors {
    rf_reader reader;
    rf_header header;
    uint64_t data; /* where the tensors' bytes begin */
    size_t path_bytes;
    char *path; /* behind the struct */
};

/* ---- opening ---- */

static rf_status safetensors_fail(const rf_safetensors *f, const char *what, uint64_t number)
{
    return rf_fail(f->header.ctx, RF_E_FORMAT, "%s: no safetensors file: %s (%llu)", f->path, what,
                   (unsigned long long)number);
}

static rf_status safetensors_load(rf_safetensors *f, const char *path)
{
    unsigned char front[8];
    rf_context *ctx = f->header.ctx;
    rf_status status = rf_reader_open(&f->reader, ctx, path);
    if (status)
        return status;
    f->reader.path = f->path;
    if (f->reader.bytes < sizeof front)
        return safetensors_fail(f, "it is too short for a header", f->reader.bytes);
    status = rf_reader_get(&f->reader, 0, front, sizeof front);
    if (status)
        return status;
    uint64_t len = rf_get_u64(front), rest = f->reader.bytes - sizeof front;
    if (len > rest)
        return safetensors_fail(f, "its header would be longer than the file", len);
    if (len > RF_HEADER_MOST)
        return safetensors_fail(f, "its header would be longer than 100 MB", len);
    if (len < 2)
        return safetensors_fail(f, "its header is too short", len);
    f->data = sizeof front + len;
    f->header.text = rf_host_alloc(ctx, (size_t)len);
    f->header.text_bytes = (size_t)len;
    if (!f->header.text)
        return rf_context_error(ctx)->code;
    status = rf_reader_get(&f->reader, sizeof front, f->header.text, (size_t)len);
    return status ? status : rf_header_parse(&f->header, rest - len);
}

rf_status rf_safetensors_open(rf_safetensors **out, rf_context *ctx, const char *path)
{
    size_t path_bytes = strlen(path) + 1;
    rf_safetensors *f = rf_host_alloc(ctx, sizeof *f + path_bytes);
    *out = NULL;
    if (!f)
        return rf_context_error(ctx)->code;
    f->reader.fd = -1;
    f->path_bytes = path_bytes;
    f->path = memcpy(f + 1, path, path_bytes);
    f->header.ctx = ctx;
    f->header.path = f->path;
    rf_status status = safetensors_load(f, path);
    if (status)
        rf_safetensors_close(f);
    else
        *out = f;
    return status;
}

void rf_safetensors_close(rf_safetensors *file)
{
    if (!file)
        return;
    rf_context *ctx = file->header.ctx;
    rf_reader_close(&file->reader);
    rf_header_end(&file->header);
    rf_host_free(ctx, file, sizeof *file + file->path_bytes);
}

/* ---- looking ---- */

const rf_header *rf_safetensors_header(const rf_safetensors *file)
{
    return &file->header;
}

size_t rf_safetensors_num(const rf_safetensors *file)
{
    return file->header.num;
}

static rf_status safetensors_fail_index(const rf_safetensors *file, size_t index)
{
    return rf_fail(file->header.ctx, RF_E_ARGUMENT, "%s: there is no entry %zu, there are %zu",
                   file->path, index, file->header.num);
}

rf_status rf_safetensors_get(const rf_safetensors *file, size_t index, rf_safetensors_entry *out)
{
    if (index >= file->header.num)
        return safetensors_fail_index(file, index);
    const rf_stored *item = &file->header.items[index];
    *out = (rf_safetensors_entry){.name = item->name,
                                  .dtype_name = item->type->name,
                                  .dtype = item->type->dtype,
                                  .rank = item->rank,
                                  .bytes = item->end - item->begin};
    memcpy(out->dims, item->dims, sizeof out->dims);
    return RF_OK;
}

size_t rf_safetensors_find(const rf_safetensors *file, const char *name)
{
    return rf_header_find(&file->header, "", 0, name);
}

const char *rf_safetensors_metadata(const rf_safetensors *file, const char *key)
{
    for (size_t i = 0; i < file->header.num_metadata; i++)
        if (strcmp(file->header.metadata[i].key, key) == 0)
            return file->header.metadata[i].value;
    return NULL;
}

/* ---- reading ---- */

static int safetensors_converts(const rf_stored_type *type, rf_dtype dtype)
{
    return type->dtype == dtype || (type->is_float && rf_stored_type_of(dtype)->is_float);
}

rf_status rf_safetensors_check(const rf_safetensors *file, size_t index, const rf_tensor *t)
{
    const rf_stored *item = &file->header.items[index];
    size_t rank = rf_tensor_rank(t);
    const int64_t *dims = rf_tensor_dims(t);
    if (rank != item->rank || (rank && memcmp(dims, item->dims, rank * sizeof *dims) != 0)) {
        char theirs[120], ours[120];
        return rf_fail(file->header.ctx, RF_E_SHAPE,
                       "%s: '%.100s' has shape %s, but %s is wanted: another size of model?",
                       file->path, item->name,
                       rf_dims_text(item->rank, item->dims, theirs, sizeof theirs),
                       rf_dims_text(rank, dims, ours, sizeof ours));
    }
    if (!safetensors_converts(item->type, rf_tensor_dtype(t)))
        return rf_fail(file->header.ctx, RF_E_DTYPE, "%s: '%.100s' is %s and can't become %s",
                       file->path, item->name, item->type->name, rf_dtype_name(rf_tensor_dtype(t)));
    return RF_OK;
}

/* What is read next of an entry, and as what. */
typedef struct safetensors_stream {
    const rf_reader *reader;
    uint64_t offset;
    const rf_stored_type *type;
    rf_dtype dtype;
} safetensors_stream;

static rf_status safetensors_give(void *payload, void *data, size_t len)
{
    safetensors_stream *s = payload;
    unsigned char piece[8192], *to = data;
    size_t width = s->type->bits / 8, size = rf_dtype_size(s->dtype);
    if (s->type->dtype == s->dtype) {
        rf_status status = rf_reader_get(s->reader, s->offset, data, len);
        s->offset += len;
        return status;
    }
    for (size_t left = len / size, num; left; left -= num, to += num * size) {
        num = left < sizeof piece / width ? left : sizeof piece / width;
        rf_status status = rf_reader_get(s->reader, s->offset, piece, num * width);
        if (status)
            return status;
        rf_elements_convert(s->type, piece, s->dtype, to, num);
        s->offset += num * width;
    }
    return RF_OK;
}

rf_status rf_safetensors_read(const rf_safetensors *file, size_t index, rf_tensor *t)
{
    if (index >= file->header.num)
        return safetensors_fail_index(file, index);
    const rf_stored *item = &file->header.items[index];
    safetensors_stream stream = {&file->reader, file->data + item->begin, item->type,
                                 rf_tensor_dtype(t)};
    rf_status status = rf_safetensors_check(file, index, t);
    return status ? status : rf_elements_in(t, safetensors_give, &stream);
}
