/* header.c: see header.h. Names and metadata are decoded in place, which never makes them longer;
 * the closing quote makes room for the final zero. */
#include "io/header.h"
#include "base/number.h"
#include "base/sort.h"
#include "io/json.h"
#include "tensor/context.h"

#include <string.h>

enum { HEADER_DTYPE = 1, HEADER_SHAPE = 2, HEADER_OFFSETS = 4, HEADER_ALL = 7 };

static rf_status header_fail(const rf_header *h, const char *what)
{
    return rf_fail(h->ctx, RF_E_FORMAT, "%s: damaged header: %s", h->path, what);
}

static rf_status header_fail_item(const rf_header *h, const char *name, const char *what)
{
    return rf_fail(h->ctx, RF_E_FORMAT, "%s: damaged header: '%.100s' %s", h->path, name, what);
}

static rf_status header_fail_json(const rf_header *h, const rf_json *j, const char *wanted)
{
    return rf_fail(h->ctx, RF_E_FORMAT, "%s: damaged header: %s at byte %zu", h->path,
                   j->why ? j->why : wanted, j->at + 8);
}

/* The text of the KEY or STRING that j just gave, decoded, with a final zero; NULL: it holds one.
 */
static char *header_text(rf_header *h, const rf_json *j)
{
    char *text = h->text + (j->token - h->text);
    size_t len = rf_json_decode(j->token, j->token_len, text, j->token_len);
    text[len] = 0;
    return strlen(text) == len ? text : NULL;
}

/* Numbers of an array, at most `most`. *num is how many. */
static rf_status header_numbers(rf_header *h, rf_json *j, const char *name, uint64_t *out,
                                size_t *num)
{
    rf_json_kind kind = rf_json_next(j);
    size_t most = *num;
    *num = 0;
    if (kind != RF_JSON_ARRAY)
        return header_fail_json(h, j, "no list");
    while ((kind = rf_json_next(j)) == RF_JSON_NUMBER) {
        if (*num == most)
            return header_fail_item(h, name, "has too many numbers in a list");
        if (!rf_number_parse_u64(j->token, j->token_len, &out[*num]) || out[*num] > INT64_MAX)
            return header_fail_item(h, name, "has a number that is no size");
        ++*num;
    }
    return kind == RF_JSON_ARRAY_END ? RF_OK : header_fail_json(h, j, "no number");
}

static rf_status header_dtype(rf_header *h, rf_json *j, rf_stored *item)
{
    if (rf_json_next(j) != RF_JSON_STRING)
        return header_fail_json(h, j, "no string");
    const char *text = header_text(h, j);
    item->type = text ? rf_stored_type_find(text) : NULL;
    return item->type ? RF_OK : header_fail_item(h, item->name, "has an unknown dtype");
}

static rf_status header_shape(rf_header *h, rf_json *j, rf_stored *item)
{
    uint64_t dims[RF_MAX_RANK];
    item->rank = RF_MAX_RANK;
    rf_status status = header_numbers(h, j, item->name, dims, &item->rank);
    for (size_t i = 0; !status && i < item->rank; i++)
        item->dims[i] = (int64_t)dims[i];
    return status;
}

static rf_status header_offsets(rf_header *h, rf_json *j, rf_stored *item)
{
    uint64_t offsets[2];
    size_t num = 2;
    rf_status status = header_numbers(h, j, item->name, offsets, &num);
    if (status)
        return status;
    if (num != 2 || offsets[0] > offsets[1])
        return header_fail_item(h, item->name, "has offsets that are no range");
    item->begin = offsets[0];
    item->end = offsets[1];
    return RF_OK;
}

static rf_status header_field(rf_header *h, rf_json *j, rf_stored *item, int *seen)
{
    const char *key = header_text(h, j);
    int field = !key                               ? 0
                : strcmp(key, "dtype") == 0        ? HEADER_DTYPE
                : strcmp(key, "shape") == 0        ? HEADER_SHAPE
                : strcmp(key, "data_offsets") == 0 ? HEADER_OFFSETS
                                                   : 0;
    if (*seen & field)
        return header_fail_item(h, item->name, "has a field twice");
    *seen |= field;
    switch (field) {
    case HEADER_DTYPE:
        return header_dtype(h, j, item);
    case HEADER_SHAPE:
        return header_shape(h, j, item);
    case HEADER_OFFSETS:
        return header_offsets(h, j, item);
    default: /* a field that a later version has */
        return rf_json_skip(j, rf_json_next(j)) ? RF_OK : header_fail_json(h, j, "");
    }
}

/* Whether the elements of the shape have just the bytes of the range. */
static int header_size_fits(const rf_stored *item)
{
    uint64_t bits = item->type->bits;
    for (size_t i = 0; i < item->rank; i++) {
        uint64_t dim = (uint64_t)item->dims[i];
        if (dim && bits > UINT64_MAX / dim)
            return 0;
        bits *= dim;
    }
    return bits % 8 == 0 && bits / 8 == item->end - item->begin;
}

static rf_status header_item(rf_header *h, rf_json *j, const char *name)
{
    rf_stored item = {.name = name};
    rf_json_kind kind = rf_json_next(j);
    rf_status status = RF_OK;
    int seen = 0;
    if (kind != RF_JSON_OBJECT)
        return header_fail_json(h, j, "a tensor that is no object");
    while (!status && (kind = rf_json_next(j)) == RF_JSON_KEY)
        status = header_field(h, j, &item, &seen);
    if (status)
        return status;
    if (kind != RF_JSON_OBJECT_END)
        return header_fail_json(h, j, "no field");
    if (seen != HEADER_ALL)
        return header_fail_item(h, name, "lacks its dtype, shape or data_offsets");
    if (!header_size_fits(&item))
        return header_fail_item(h, name, "has a shape that does not fit its bytes");
    status = rf_host_grow(h->ctx, &h->items, h->num, &h->capacity, sizeof *h->items);
    if (!status)
        h->items[h->num++] = item;
    return status;
}

static rf_status header_metadata(rf_header *h, rf_json *j)
{
    rf_json_kind kind = rf_json_next(j);
    if (kind != RF_JSON_OBJECT)
        return header_fail_json(h, j, "metadata that is no object");
    while ((kind = rf_json_next(j)) == RF_JSON_KEY) {
        rf_metadata pair = {.key = header_text(h, j)};
        if (rf_json_next(j) != RF_JSON_STRING)
            return header_fail_json(h, j, "metadata that is no string");
        pair.value = header_text(h, j);
        if (!pair.key || !pair.value)
            return header_fail(h, "metadata that holds a zero");
        rf_status status = rf_host_grow(h->ctx, &h->metadata, h->num_metadata,
                                        &h->metadata_capacity, sizeof *h->metadata);
        if (status)
            return status;
        h->metadata[h->num_metadata++] = pair;
    }
    return kind == RF_JSON_OBJECT_END ? RF_OK : header_fail_json(h, j, "no key");
}

static rf_status header_read(rf_header *h)
{
    rf_json j;
    rf_json_kind kind;
    rf_status status = RF_OK;
    int has_metadata = 0;
    rf_json_begin(&j, h->text, h->text_bytes);
    if (h->text_bytes && h->text[0] != '{')
        return header_fail(h, "it is no JSON object");
    if (rf_json_next(&j) != RF_JSON_OBJECT)
        return header_fail_json(h, &j, "it is no JSON object");
    while (!status && (kind = rf_json_next(&j)) == RF_JSON_KEY) {
        const char *name = header_text(h, &j);
        int metadata = name && strcmp(name, "__metadata__") == 0;
        if (!name)
            return header_fail(h, "a name that holds a zero");
        if (metadata && has_metadata)
            return header_fail_item(h, name, "is there twice");
        has_metadata |= metadata;
        status = metadata ? header_metadata(h, &j) : header_item(h, &j, name);
    }
    if (status)
        return status;
    if (kind != RF_JSON_OBJECT_END || rf_json_next(&j) != RF_JSON_END)
        return header_fail_json(h, &j, "no name");
    return RF_OK;
}

/* ---- order ---- */

static int header_by_bytes(const void *payload, const void *a, const void *b)
{
    const rf_stored *x = a, *y = b;
    (void)payload;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int header_by_name(const void *payload, const void *a, const void *b)
{
    const rf_stored *items = payload;
    return strcmp(items[*(const size_t *)a].name, items[*(const size_t *)b].name);
}

static int header_by_key(const void *payload, const void *a, const void *b)
{
    (void)payload;
    return strcmp(((const rf_metadata *)a)->key, ((const rf_metadata *)b)->key);
}

static rf_status header_check_cover(rf_header *h, uint64_t data_bytes)
{
    uint64_t at = 0;
    rf_sort(h->items, h->num, sizeof *h->items, header_by_bytes, NULL);
    for (size_t i = 0; i < h->num; i++) {
        const rf_stored *item = &h->items[i];
        if (item->begin != at)
            return header_fail_item(h, item->name,
                                    item->begin < at ? "shares bytes with another tensor"
                                                     : "comes after bytes that are no tensor's");
        if (item->end > data_bytes)
            return header_fail_item(h, item->name,
                                    "ends after the file does: it was cut short; fetch it again");
        at = item->end;
    }
    return at == data_bytes ? RF_OK : header_fail(h, "there are bytes after the last tensor");
}

static rf_status header_check_names(rf_header *h)
{
    if (!h->num)
        return RF_OK;
    h->by_name = rf_host_alloc(h->ctx, h->num * sizeof *h->by_name);
    if (!h->by_name)
        return rf_context_error(h->ctx)->code;
    for (size_t i = 0; i < h->num; i++)
        h->by_name[i] = i;
    rf_sort(h->by_name, h->num, sizeof *h->by_name, header_by_name, h->items);
    for (size_t i = 1; i < h->num; i++)
        if (strcmp(h->items[h->by_name[i - 1]].name, h->items[h->by_name[i]].name) == 0)
            return header_fail_item(h, h->items[h->by_name[i]].name, "is there twice");
    return RF_OK;
}

static rf_status header_check_metadata(rf_header *h)
{
    rf_sort(h->metadata, h->num_metadata, sizeof *h->metadata, header_by_key, NULL);
    for (size_t i = 1; i < h->num_metadata; i++)
        if (strcmp(h->metadata[i - 1].key, h->metadata[i].key) == 0)
            return header_fail_item(h, h->metadata[i].key, "is there twice in the metadata");
    return RF_OK;
}

rf_status rf_header_parse(rf_header *h, uint64_t data_bytes)
{
    rf_status status = header_read(h);
    if (!status)
        status = header_check_cover(h, data_bytes);
    if (!status)
        status = header_check_names(h);
    if (!status)
        status = header_check_metadata(h);
    return status;
}

void rf_header_end(rf_header *h)
{
    rf_host_free(h->ctx, h->by_name, h->num * sizeof *h->by_name);
    rf_host_free(h->ctx, h->items, h->capacity * sizeof *h->items);
    rf_host_free(h->ctx, h->metadata, h->metadata_capacity * sizeof *h->metadata);
    rf_host_free(h->ctx, h->text, h->text_bytes);
}

/* prefix + name against a text, as strcmp. */
static int header_compare(const char *prefix, size_t prefix_len, const char *name, const char *text)
{
    int order = strncmp(prefix, text, prefix_len);
    return order ? order : strcmp(name, text + prefix_len);
}

size_t rf_header_find(const rf_header *h, const char *prefix, size_t prefix_len, const char *name)
{
    size_t low = 0, high = h->num;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = header_compare(prefix, prefix_len, name, h->items[h->by_name[middle]].name);
        if (order == 0)
            return h->by_name[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return h->num;
}
