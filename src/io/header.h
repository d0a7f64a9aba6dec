/* header.h: the head of a safetensors file: JSON that names tensors and says where they lie.
 *
 * Format: 8 bytes little-endian length N; N bytes of JSON; then the tensors' bytes. The JSON is one
 * object: name -> {"dtype", "shape", "data_offsets": [begin, end]}, offsets from behind the JSON;
 * and perhaps "__metadata__" -> strings by strings. The file is not trusted: after parsing, names
 * are unique, every size fits its shape, and the tensors cover all bytes once, without holes.
 */
#ifndef RF_IO_HEADER_H
#define RF_IO_HEADER_H

#include <refrain/tensor.h>

#define RF_HEADER_MOST 100000000u /* bytes; the format's own limit */

/* An element type of the format. */
typedef struct rf_stored_type {
    const char *name;
    uint32_t bits;
    rf_dtype dtype; /* RF_DTYPES: none of ours */
    int is_float;   /* one that rf_elements_convert reads */
} rf_stored_type;

/* By name, "F32"; NULL. By our own type; never NULL. */
const rf_stored_type *rf_stored_type_find(const char *name);
const rf_stored_type *rf_stored_type_of(rf_dtype dtype);

typedef struct rf_stored {
    const char *name; /* in the header's text */
    const rf_stored_type *type;
    size_t rank;
    int64_t dims[RF_MAX_RANK];
    uint64_t begin, end; /* bytes, from behind the header */
} rf_stored;

typedef struct rf_metadata {
    const char *key, *value; /* in the header's text */
} rf_metadata;

typedef struct rf_header {
    rf_context *ctx;
    const char *path; /* for errors; the caller's */
    char *text;
    size_t text_bytes;
    rf_stored *items; /* in order of their bytes */
    size_t num, capacity;
    size_t *by_name; /* indices of items in order of their names */
    rf_metadata *metadata;
    size_t num_metadata, metadata_capacity;
} rf_header;

/* Parse h->text, which is changed by it and stays h's; the file has data_bytes behind it. h begins
 * with ctx, path, text and text_bytes set and all else zero, and is to be ended also on failure. */
rf_status rf_header_parse(rf_header *h, uint64_t data_bytes);
void rf_header_end(rf_header *h);

/* Index of the item named prefix[0 .. prefix_len-1] followed by name; h->num: none. */
size_t rf_header_find(const rf_header *h, const char *prefix, size_t prefix_len, const char *name);

/* "(2, 3)" into buffer, cut if it must be. Returns buffer. */
const char *rf_dims_text(size_t rank, const int64_t *dims, char *buffer, size_t bytes);

#endif
