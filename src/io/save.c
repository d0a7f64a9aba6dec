/* save.c: a module as a safetensors file.
 *
 * The header names parameters, then buffers, in order of their paths; their bytes lie with the
 * largest elements first, because readers that map the file want each tensor aligned to its
 * elements. Nothing is collected: the tree is walked once for the sizes, once for the header, and
 * once for each size of element.
 */
#include <refrain/io.h>

#include "io/builder.h"
#include "io/elements.h"
#include "io/file.h"
#include "io/header.h"
#include "base/bytes.h"
#include "tensor/context.h"

#include <string.h>

enum { SAVE_SIZES = 4 }; /* elements of 8, 4, 2 and 1 bytes */

typedef struct save_run {
    rf_context *ctx;
    const char *path;
    uint64_t offsets[SAVE_SIZES]; /* where the next tensor of that size goes */
    rf_builder header;
    rf_writer *writer;
    size_t size; /* that is being written now */
} save_run;

static size_t save_size_index(const rf_tensor *t)
{
    size_t index = 0;
    for (size_t size = rf_dtype_size(rf_tensor_dtype(t)); size < 8; size *= 2)
        index++;
    return index;
}

static rf_status save_walk(rf_module *m, rf_tensor_visitor visit, void *payload)
{
    rf_status status = rf_module_each_param(m, 0, visit, payload);
    return status ? status : rf_module_each_buffer(m, visit, payload);
}

static rf_status save_measure(void *payload, const char *path, rf_tensor *t)
{
    save_run *run = payload;
    (void)path;
    run->offsets[save_size_index(t)] += rf_tensor_bytes(t);
    return RF_OK;
}

static void save_sizes_to_offsets(save_run *run)
{
    uint64_t at = 0;
    for (size_t i = 0; i < SAVE_SIZES; i++) {
        uint64_t bytes = run->offsets[i];
        run->offsets[i] = at;
        at += bytes;
    }
}

/* ---- the header ---- */

static rf_status save_metadata(rf_builder *b, const char *const *metadata)
{
    static const char *const usual[] = {"format", "pt", NULL}; /* what readers ask for */
    const char *const *pair = metadata ? metadata : usual;
    rf_builder_add_text(b, "{\"__metadata__\":{");
    for (const char *const *first = pair; *pair; pair += 2) {
        for (const char *const *other = first; other < pair; other += 2)
            if (strcmp(*other, *pair) == 0)
                return rf_fail(b->ctx, RF_E_ARGUMENT, "the metadata have '%s' twice", *pair);
        if (!pair[1])
            return rf_fail(b->ctx, RF_E_ARGUMENT, "the metadata have no value for '%s'", *pair);
        rf_builder_add_text(b, pair == first ? "" : ",");
        rf_builder_add_string(b, pair[0]);
        rf_builder_add_text(b, ":");
        rf_builder_add_string(b, pair[1]);
    }
    rf_builder_add_text(b, "}");
    return b->status;
}

static rf_status save_describe(void *payload, const char *path, rf_tensor *t)
{
    save_run *run = payload;
    rf_builder *b = &run->header;
    uint64_t *offset = &run->offsets[save_size_index(t)];
    if (strcmp(path, "__metadata__") == 0)
        return rf_fail(run->ctx, RF_E_ARGUMENT, "the format keeps the name '%s' for itself", path);
    rf_builder_add_text(b, ",");
    rf_builder_add_string(b, path);
    rf_builder_add_text(b, ":{\"dtype\":\"");
    rf_builder_add_text(b, rf_stored_type_of(rf_tensor_dtype(t))->name);
    rf_builder_add_text(b, "\",\"shape\":[");
    for (size_t i = 0; i < rf_tensor_rank(t); i++) {
        rf_builder_add_text(b, i ? "," : "");
        rf_builder_add_number(b, (uint64_t)rf_tensor_dims(t)[i]);
    }
    rf_builder_add_text(b, "],\"data_offsets\":[");
    rf_builder_add_number(b, *offset);
    *offset += rf_tensor_bytes(t);
    rf_builder_add_text(b, ",");
    rf_builder_add_number(b, *offset);
    rf_builder_add_text(b, "]}");
    return b->status;
}

static rf_status save_header(save_run *run, rf_module *m, const char *const *metadata)
{
    rf_builder *b = &run->header;
    rf_status status = save_walk(m, save_measure, run);
    save_sizes_to_offsets(run);
    if (!status)
        status = save_metadata(b, metadata);
    if (!status)
        status = save_walk(m, save_describe, run);
    rf_builder_add_text(b, "}");
    while (!b->status && b->len % 8)
        rf_builder_add_text(b, " "); /* the data begin at a multiple of 8 */
    if (!status && !b->status && b->len > RF_HEADER_MOST)
        return rf_fail(run->ctx, RF_E_UNSUPPORTED,
                       "%s: a header of %zu bytes is more than the "
                       "format allows",
                       run->path, b->len);
    return status ? status : b->status;
}

/* ---- the data ---- */

static rf_status save_take(void *payload, const void *data, size_t len)
{
    save_run *run = payload;
    rf_writer_put(run->writer, data, len);
    return rf_writer_status(run->writer);
}

static rf_status save_data(void *payload, const char *path, rf_tensor *t)
{
    save_run *run = payload;
    (void)path;
    int skip = save_size_index(t) != run->size || rf_context_dry(run->ctx);
    return skip ? RF_OK : rf_elements_out(t, save_take, run);
}

static rf_status save_file(save_run *run, rf_module *m)
{
    unsigned char front[8];
    rf_status status = rf_writer_open_elements(&run->writer, run->ctx, run->path);
    if (status)
        return status;
    rf_put_u64(front, run->header.len);
    rf_writer_put(run->writer, front, sizeof front);
    rf_writer_put(run->writer, run->header.text, run->header.len);
    for (run->size = 0; !status && run->size < SAVE_SIZES; run->size++)
        status = save_walk(m, save_data, run);
    if (!status)
        return rf_writer_commit(run->writer);
    rf_writer_cancel(run->writer);
    return status;
}

rf_status rf_module_save(rf_module *m, const char *path, const char *const *metadata)
{
    save_run run = {.ctx = rf_module_context(m), .path = path};
    rf_builder_begin(&run.header, run.ctx);
    rf_status status = save_header(&run, m, metadata);
    if (!status)
        status = save_file(&run, m);
    rf_builder_end(&run.header);
    return status;
}
