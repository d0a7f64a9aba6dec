/* Any bytes as JSON: the reader ends, stays inside the text, agrees with itself about depth, and
 * what it calls a number is one. */
#include "base/number.h"
#include "base/utf8.h"
#include "io/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

static void check_string(const rf_json *j)
{
    size_t len = rf_json_decode(j->token, j->token_len, NULL, 0);
    char *plain = malloc(len + 1);
    require(len <= j->token_len);
    if (!plain)
        return;
    require(rf_json_decode(j->token, j->token_len, plain, len) == len);
    for (size_t at = 0, step; at < len; at += step) {
        step = rf_utf8_length(plain + at, len - at);
        require(step > 0);
    }
    free(plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rf_json j;
    rf_json_kind kind;
    size_t depth = 0, tokens = 0;
    double value;
    rf_json_begin(&j, (const char *)data, size);
    while ((kind = rf_json_next(&j)) > RF_JSON_END) {
        depth += kind == RF_JSON_OBJECT || kind == RF_JSON_ARRAY;
        depth -= kind == RF_JSON_OBJECT_END || kind == RF_JSON_ARRAY_END;
        require(depth == j.depth && depth <= RF_JSON_DEPTH && ++tokens <= size && j.at <= size);
        if (kind == RF_JSON_KEY || kind == RF_JSON_STRING)
            check_string(&j);
        if (kind == RF_JSON_NUMBER)
            require(rf_number_parse(j.token, j.token_len, &value) && value == value);
    }
    require(kind == RF_JSON_END ? depth == 0 : j.why != NULL);
    return 0;
}
