/* json.h: reading and writing JSON (RFC 8259).
 *
 * The reader gives one token at a time of a text in memory. It is strict (what the grammar does not
 * allow is an error, invalid UTF-8 and lone surrogates too), allocates nothing and never recurses:
 * nesting is one bit a level, at most RF_JSON_DEPTH levels. It does not look for duplicate keys:
 * what reads an object does.
 */
#ifndef RF_IO_JSON_H
#define RF_IO_JSON_H

#include <refrain/base.h>

enum { RF_JSON_DEPTH = 64 };

typedef enum rf_json_kind {
    RF_JSON_ERROR, /* why and at tell what and where; every later call gives it again */
    RF_JSON_END,   /* one value was read, and nothing but space came after it         */
    RF_JSON_OBJECT,
    RF_JSON_OBJECT_END,
    RF_JSON_ARRAY,
    RF_JSON_ARRAY_END,
    RF_JSON_KEY, /* its value comes next */
    RF_JSON_STRING,
    RF_JSON_NUMBER,
    RF_JSON_TRUE,
    RF_JSON_FALSE,
    RF_JSON_NULL
} rf_json_kind;

typedef struct rf_json {
    const char *text;
    size_t len;
    size_t at;         /* what was read so far                                   */
    const char *token; /* of KEY, STRING (between its quotes, escaped), NUMBER   */
    size_t token_len;
    const char *why; /* of ERROR */
    size_t depth;
    uint64_t objects; /* bit i: level i is an object, not an array */
    int want;         /* what the grammar allows next              */
} rf_json;

void rf_json_begin(rf_json *j, const char *text, size_t len);
rf_json_kind rf_json_next(rf_json *j);
/* The rest of the value that begins with a token of this kind, which next just gave, so that
 * afterwards next gives what follows it. Returns kind, or RF_JSON_ERROR. */
rf_json_kind rf_json_skip(rf_json *j, rf_json_kind kind);
/* Write a KEY's or STRING's token without its escapes, at most `bytes` of it; returns how many
 * bytes it has. to may be token itself: it never grows. No zero is added. */
size_t rf_json_decode(const char *token, size_t len, char *to, size_t bytes);

#endif
