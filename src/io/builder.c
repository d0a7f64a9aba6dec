/* builder.c: see builder.h. */
#include "io/builder.h"
#include "base/check.h"
#include "base/utf8.h"
#include "tensor/context.h"

#include <stdio.h>
#include <string.h>

void rf_builder_begin(rf_builder *b, rf_context *ctx)
{
    *b = (rf_builder){.ctx = ctx};
}

void rf_builder_end(rf_builder *b)
{
    rf_host_free(b->ctx, b->text, b->capacity);
    *b = (rf_builder){.ctx = b->ctx};
}

static int builder_make_room(rf_builder *b, size_t len)
{
    size_t needed, wanted;
    if (b->status)
        return 0;
    if (!rf_add_size(b->len, len, &needed) || !rf_mul_size(needed, 2, &wanted)) {
        b->status = rf_fail(b->ctx, RF_E_MEMORY, "a text grew too long");
        return 0;
    }
    if (needed <= b->capacity)
        return 1;
    wanted = wanted < 256 ? 256 : wanted;
    char *text = rf_host_alloc(b->ctx, wanted);
    if (!text) {
        b->status = rf_context_error(b->ctx)->code;
        return 0;
    }
    if (b->len)
        memcpy(text, b->text, b->len);
    rf_host_free(b->ctx, b->text, b->capacity);
    b->text = text;
    b->capacity = wanted;
    return 1;
}

void rf_builder_add(rf_builder *b, const char *text, size_t len)
{
    if (!len || !builder_make_room(b, len))
        return;
    memcpy(b->text + b->len, text, len);
    b->len += len;
}

void rf_builder_add_text(rf_builder *b, const char *text)
{
    rf_builder_add(b, text, strlen(text));
}

void rf_builder_add_number(rf_builder *b, uint64_t value)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    rf_builder_add(b, digits, (size_t)len);
}

void rf_builder_add_string(rf_builder *b, const char *text)
{
    size_t len = strlen(text), step;
    rf_builder_add(b, "\"", 1);
    for (size_t at = 0; at < len && !b->status; at += step) {
        unsigned char c = (unsigned char)text[at];
        char escape[8];
        step = rf_utf8_length(text + at, len - at);
        if (!step) {
            b->status = rf_fail(b->ctx, RF_E_ARGUMENT, "'%s' is not UTF-8, which JSON needs", text);
            return;
        }
        if (c < 0x20)
            rf_builder_add(b, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", c));
        else if (c == '"' || c == '\\')
            rf_builder_add(b, c == '"' ? "\\\"" : "\\\\", 2);
        else
            rf_builder_add(b, text + at, step);
    }
    rf_builder_add(b, "\"", 1);
}
