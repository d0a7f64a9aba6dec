/* json.c: see json.h. A machine with one state, `want`, and a bit for each open level. */
#include "io/json.h"
#include "base/utf8.h"

#include <string.h>

enum {
    JSON_WANT_VALUE,        /* at the start, after a key, after a comma in an array */
    JSON_WANT_VALUE_OR_END, /* after '['                                            */
    JSON_WANT_KEY,          /* after a comma in an object                           */
    JSON_WANT_KEY_OR_END,   /* after '{'                                            */
    JSON_WANT_COMMA_OR_END, /* after a value inside something                       */
    JSON_WANT_NOTHING,      /* after the outermost value                            */
    JSON_BROKEN
};

void rf_json_begin(rf_json *j, const char *text, size_t len)
{
    *j = (rf_json){.text = text, .len = len, .want = JSON_WANT_VALUE};
}

static rf_json_kind json_error(rf_json *j, const char *why)
{
    j->want = JSON_BROKEN;
    j->why = why;
    return RF_JSON_ERROR;
}

static int json_peek(const rf_json *j)
{
    return j->at < j->len ? (unsigned char)j->text[j->at] : -1;
}

static void json_space(rf_json *j)
{
    for (int c = json_peek(j); c == ' ' || c == '\n' || c == '\r' || c == '\t'; c = json_peek(j))
        j->at++;
}

static int json_in_object(const rf_json *j)
{
    return j->depth && (j->objects >> (j->depth - 1) & 1);
}

/* ---- strings ---- */

/* The number of four hexadecimal digits at p, or -1. */
static int32_t json_hex(const char *p, size_t len)
{
    int32_t value = 0;
    if (len < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* The escape at p ('\\' itself included): its character, and how long it is; 0 if it is none. */
static size_t json_escape(const char *p, size_t len, uint32_t *code)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (len < 2)
        return 0;
    if (p[1] != 'u') {
        const char *name = p[1] ? strchr(names, p[1]) : NULL;
        *code = name ? (unsigned char)values[name - names] : 0;
        return name ? 2 : 0;
    }
    int32_t high = json_hex(p + 2, len - 2);
    if (high < 0 || (high >= 0xDC00 && high < 0xE000))
        return 0;
    *code = (uint32_t)high;
    if (high < 0xD800 || high >= 0xE000)
        return 6;
    int32_t low = len >= 12 && p[6] == '\\' && p[7] == 'u' ? json_hex(p + 8, len - 8) : -1;
    if (low < 0xDC00 || low >= 0xE000)
        return 0;
    *code = 0x10000 + (((uint32_t)high - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
    return 12;
}

/* From behind the opening quote to behind the closing one. */
static int json_string(rf_json *j)
{
    size_t start = j->at, step;
    uint32_t code;
    for (int c; (c = json_peek(j)) != '"'; j->at += step) {
        if (c < 0)
            return json_error(j, "a string that does not end"), 0;
        if (c < 0x20)
            return json_error(j, "a control character in a string"), 0;
        if (c == '\\')
            step = json_escape(j->text + j->at, j->len - j->at, &code);
        else
            step = rf_utf8_length(j->text + j->at, j->len - j->at);
        if (!step)
            return json_error(j, c == '\\' ? "a bad escape in a string" : "invalid UTF-8"), 0;
    }
    j->token = j->text + start;
    j->token_len = j->at - start;
    j->at++;
    return 1;
}

size_t rf_json_decode(const char *token, size_t len, char *to, size_t bytes)
{
    size_t num = 0;
    for (size_t at = 0, step, width; at < len; at += step, num += width) {
        uint32_t code = 0;
        char plain[4] = {token[at]};
        step = width = 1;
        if (token[at] == '\\' && (step = json_escape(token + at, len - at, &code)) != 0)
            width = rf_utf8_write(plain, code);
        step = step ? step : 1;
        if (num + width <= bytes)
            memcpy(to + num, plain, width);
    }
    return num;
}

/* ---- values ---- */

static int json_digits(rf_json *j)
{
    size_t start = j->at;
    while (json_peek(j) >= '0' && json_peek(j) <= '9')
        j->at++;
    return j->at > start;
}

static int json_number(rf_json *j)
{
    size_t start = j->at;
    j->at += json_peek(j) == '-';
    size_t whole = j->at;
    if (!json_digits(j) || (j->text[whole] == '0' && j->at > whole + 1))
        return 0;
    if (json_peek(j) == '.') {
        j->at++;
        if (!json_digits(j))
            return 0;
    }
    if (json_peek(j) == 'e' || json_peek(j) == 'E') {
        j->at++;
        j->at += json_peek(j) == '-' || json_peek(j) == '+';
        if (!json_digits(j))
            return 0;
    }
    j->token = j->text + start;
    j->token_len = j->at - start;
    return 1;
}

/* A value is complete: what may come next? */
static rf_json_kind json_done(rf_json *j, rf_json_kind kind)
{
    j->want = j->depth ? JSON_WANT_COMMA_OR_END : JSON_WANT_NOTHING;
    return kind;
}

static rf_json_kind json_word(rf_json *j, const char *word, rf_json_kind kind)
{
    size_t len = strlen(word);
    if (j->len - j->at < len || memcmp(j->text + j->at, word, len) != 0)
        return json_error(j, "a word that is none of true, false, null");
    j->at += len;
    return json_done(j, kind);
}

static rf_json_kind json_open(rf_json *j, int object)
{
    if (j->depth == RF_JSON_DEPTH)
        return json_error(j, "nested too deeply");
    uint64_t bit = UINT64_C(1) << j->depth++;
    j->objects = object ? j->objects | bit : j->objects & ~bit;
    j->want = object ? JSON_WANT_KEY_OR_END : JSON_WANT_VALUE_OR_END;
    j->at++;
    return object ? RF_JSON_OBJECT : RF_JSON_ARRAY;
}

static rf_json_kind json_close(rf_json *j)
{
    rf_json_kind kind = json_in_object(j) ? RF_JSON_OBJECT_END : RF_JSON_ARRAY_END;
    j->at++;
    j->depth--;
    return json_done(j, kind);
}

static rf_json_kind json_value(rf_json *j)
{
    switch (json_peek(j)) {
    case '{':
        return json_open(j, 1);
    case '[':
        return json_open(j, 0);
    case '"':
        j->at++;
        return json_string(j) ? json_done(j, RF_JSON_STRING) : RF_JSON_ERROR;
    case 't':
        return json_word(j, "true", RF_JSON_TRUE);
    case 'f':
        return json_word(j, "false", RF_JSON_FALSE);
    case 'n':
        return json_word(j, "null", RF_JSON_NULL);
    case -1:
        return json_error(j, "the text ends in the middle");
    default:
        return json_number(j) ? json_done(j, RF_JSON_NUMBER) : json_error(j, "no value here");
    }
}

static rf_json_kind json_key(rf_json *j)
{
    if (json_peek(j) != '"')
        return json_error(j, json_peek(j) < 0 ? "the text ends in the middle" : "no key here");
    j->at++;
    if (!json_string(j))
        return RF_JSON_ERROR;
    json_space(j);
    if (json_peek(j) != ':')
        return json_error(j, "no ':' after a key");
    j->at++;
    j->want = JSON_WANT_VALUE;
    return RF_JSON_KEY;
}

rf_json_kind rf_json_next(rf_json *j)
{
    if (j->want == JSON_BROKEN)
        return RF_JSON_ERROR;
    json_space(j);
    int c = json_peek(j), closing = json_in_object(j) ? '}' : ']';
    if (j->want == JSON_WANT_NOTHING)
        return c < 0 ? RF_JSON_END : json_error(j, "something after the end");
    if (c == closing && j->want != JSON_WANT_VALUE && j->want != JSON_WANT_KEY)
        return json_close(j);
    if (j->want == JSON_WANT_COMMA_OR_END) {
        if (c != ',')
            return json_error(j, c < 0 ? "the text ends in the middle" : "no ',' here");
        j->at++;
        j->want = json_in_object(j) ? JSON_WANT_KEY : JSON_WANT_VALUE;
        json_space(j);
    }
    if (j->want == JSON_WANT_KEY || j->want == JSON_WANT_KEY_OR_END)
        return json_key(j);
    return json_value(j);
}

rf_json_kind rf_json_skip(rf_json *j, rf_json_kind kind)
{
    if (kind != RF_JSON_OBJECT && kind != RF_JSON_ARRAY)
        return kind;
    for (size_t outside = j->depth - 1; j->depth > outside;)
        if (rf_json_next(j) == RF_JSON_ERROR)
            return RF_JSON_ERROR;
    return kind;
}
