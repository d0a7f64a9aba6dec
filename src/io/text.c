/* text.c: small files as text, and single values of the JSON objects in them.
 *
 * A text that a caller owns carries its size in front, because freeing needs it and the text may
 * hold zeros.
 */
#include <refrain/io.h>

#include "base/number.h"
#include "io/file.h"
#include "io/json.h"
#include "io/text.h"
#include "tensor/context.h"

#include <string.h>

enum { TEXT_FRONT = 64 }; /* keeps the text aligned as its block is */

/* ---- texts that callers own ---- */

rf_status rf_text_create(char **out, rf_context *ctx, size_t len)
{
    size_t bytes = len + TEXT_FRONT + 1;
    char *block = bytes > len ? rf_host_alloc(ctx, bytes) : NULL;
    *out = NULL;
    if (bytes < len)
        return rf_fail(ctx, RF_E_MEMORY, "a text of %zu bytes is too long", len);
    if (!block)
        return rf_context_error(ctx)->code;
    memcpy(block, &bytes, sizeof bytes);
    *out = block + TEXT_FRONT;
    return RF_OK;
}

void rf_text_free(rf_context *ctx, char *text)
{
    size_t bytes;
    if (!text)
        return;
    memcpy(&bytes, text - TEXT_FRONT, sizeof bytes);
    rf_host_free(ctx, text - TEXT_FRONT, bytes);
}

/* ---- files ---- */

static rf_status text_read_open(char **out, size_t *len, rf_reader *r, size_t limit)
{
    if (r->bytes > limit)
        return rf_fail(r->ctx, RF_E_FORMAT, "%s: %llu bytes are more than the %zu allowed here",
                       r->path, (unsigned long long)r->bytes, limit);
    rf_status status = rf_text_create(out, r->ctx, (size_t)r->bytes);
    if (status)
        return status;
    status = rf_reader_get(r, 0, *out, (size_t)r->bytes);
    if (status) {
        rf_text_free(r->ctx, *out);
        *out = NULL;
        return status;
    }
    *len = (size_t)r->bytes;
    return RF_OK;
}

rf_status rf_text_read(char **out, size_t *len, rf_context *ctx, const char *path, size_t limit)
{
    rf_reader r;
    size_t unused;
    *out = NULL;
    rf_status status = rf_reader_open(&r, ctx, path);
    if (!status)
        status = text_read_open(out, len ? len : &unused, &r, limit);
    rf_reader_close(&r);
    return status;
}

rf_status rf_text_write(rf_context *ctx, const char *path, const char *text, size_t len)
{
    rf_writer *w;
    rf_status status = rf_writer_open(&w, ctx, path);
    if (status)
        return status;
    rf_writer_put(w, text, len);
    return rf_writer_commit(w);
}

/* ---- values ---- */

/* Find the value of a key in the outermost object; j is left with its token. The whole text is
 * read, so that one that is broken further on is told from a good one; a key that is there twice
 * has no value that all readers agree about. */
static rf_status text_find(rf_context *ctx, rf_json *found, rf_json_kind *kind, const char *text,
                           const char *key)
{
    size_t key_len = strlen(key), num = 0;
    rf_json j;
    rf_json_kind next;
    rf_json_begin(&j, text, strlen(text));
    if (rf_json_next(&j) != RF_JSON_OBJECT)
        return rf_fail(ctx, RF_E_FORMAT, "no JSON object: %s at byte %zu",
                       j.why ? j.why : "another value", j.at);
    while ((next = rf_json_next(&j)) == RF_JSON_KEY) {
        char plain[128];
        size_t len = rf_json_decode(j.token, j.token_len, plain, sizeof plain);
        int same = len == key_len && len <= sizeof plain && memcmp(plain, key, len) == 0;
        next = rf_json_next(&j);
        if (same) {
            *found = j;
            *kind = next;
            num++;
        }
        if (rf_json_skip(&j, next) == RF_JSON_ERROR)
            break;
    }
    if (next == RF_JSON_OBJECT_END)
        next = rf_json_next(&j);
    if (j.why)
        return rf_fail(ctx, RF_E_FORMAT, "broken JSON: %s at byte %zu", j.why, j.at);
    if (num != 1)
        return rf_fail(ctx, num ? RF_E_FORMAT : RF_E_NOT_FOUND,
                       num ? "the key '%s' is there more than once" : "there is no key '%s'", key);
    return RF_OK;
}

rf_status rf_json_number(rf_context *ctx, const char *text, const char *key, double *out)
{
    rf_json j;
    rf_json_kind kind;
    double value;
    rf_status status = text_find(ctx, &j, &kind, text, key);
    if (status)
        return status;
    if (kind != RF_JSON_NUMBER || !rf_number_parse(j.token, j.token_len, &value) ||
        value - value != 0)
        return rf_fail(ctx, RF_E_FORMAT, "the value of '%s' is no number%s", key,
                       kind == RF_JSON_NUMBER ? " that can be held" : "");
    *out = value;
    return RF_OK;
}

rf_status rf_json_string(rf_context *ctx, const char *text, const char *key, char *buffer,
                         size_t bytes)
{
    rf_json j;
    rf_json_kind kind;
    rf_status status = text_find(ctx, &j, &kind, text, key);
    if (status)
        return status;
    if (kind != RF_JSON_STRING)
        return rf_fail(ctx, RF_E_FORMAT, "the value of '%s' is no string", key);
    size_t len = rf_json_decode(j.token, j.token_len, NULL, 0);
    if (len >= bytes)
        return rf_fail(ctx, RF_E_ARGUMENT, "the value of '%s' has %zu bytes; there is room for %zu",
                       key, len, bytes ? bytes - 1 : 0);
    rf_json_decode(j.token, j.token_len, buffer, bytes);
    buffer[len] = 0;
    if (strlen(buffer) != len)
        return rf_fail(ctx, RF_E_FORMAT, "the value of '%s' holds a zero", key);
    return RF_OK;
}
