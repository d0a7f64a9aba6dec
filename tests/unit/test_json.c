/* The JSON reader: every token kind, what the grammar refuses, depth, escapes, truncation. */
#include "io/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const char letters[] = "!.{}[]ksntf0";

/* A text as one letter a token, strings and numbers followed by what they hold. */
static const char *trace(const char *text, size_t len)
{
    static char out[1024];
    size_t at = 0;
    rf_json j;
    rf_json_kind kind;
    rf_json_begin(&j, text, len);
    do {
        kind = rf_json_next(&j);
        out[at++] = letters[kind];
        if (kind == RF_JSON_KEY || kind == RF_JSON_STRING)
            at += rf_json_decode(j.token, j.token_len, out + at, sizeof out - at);
        if (kind == RF_JSON_NUMBER)
            at += (size_t)snprintf(out + at, sizeof out - at, "%.*s", (int)j.token_len, j.token);
    } while (kind > RF_JSON_END && at < 900);
    out[at] = 0;
    return out;
}

static void reads_as(const char *text, const char *tokens)
{
    assert_string_equal(trace(text, strlen(text)), tokens);
}

static void test_tokens(void **state)
{
    (void)state;
    reads_as("{}", "{}.");
    reads_as(" [ ] \r\n\t", "[].");
    reads_as("7", "n7.");
    reads_as("\"a\"", "sa.");
    reads_as("[true,false,null]", "[tf0].");
    reads_as("{\"a\":1,\"b\":[2,{\"c\":-3.5e+7}],\"d\":\"e\"}", "{kan1kb[n2{kcn-3.5e+7}]kdse}.");
    reads_as("[[],[[]],{}]", "[[][[]]{}].");
    reads_as("{ \"a\" : 0 , \"a\" : 0 }", "{kan0kan0}.");
}

static void test_strings(void **state)
{
    (void)state;
    reads_as("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "s\"\\/\b\f\n\r\t.");
    reads_as("\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"", "sA\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80.");
    reads_as("\"\xC3\xA9\xF0\x9F\x98\x80\"", "s\xC3\xA9\xF0\x9F\x98\x80.");
    reads_as("\"\x7F\"", "s\x7F.");
    rf_json j;
    char zero[2] = "x";
    rf_json_begin(&j, "\"\\u0000\"", 8);
    assert_int_equal(rf_json_next(&j), RF_JSON_STRING);
    assert_int_equal(rf_json_decode(j.token, j.token_len, zero, sizeof zero), 1);
    assert_int_equal(zero[0], 0);
}

static void test_what_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "[",
        "}",
        "]",
        "[}",
        "{]",
        "[1",
        "[1 2]",
        "[1,]",
        "[,1]",
        "[,]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{1:2}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1}}",
        "{} {}",
        "1 2",
        "tru",
        "truth",
        "True",
        "nul",
        "NaN",
        "Infinity",
        "-",
        "01",
        "+1",
        "1.",
        ".1",
        "1e",
        "1e+",
        "0x10",
        "'a'",
        "\"",
        "\"a",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12G4\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"\\ud800\\udbff\"",
        "\"\\udc00\\udc00\"",
        "\"\t\"",
        "\"\n\"",
        "\"\xFF\"",
        "\"\xC0\x80\"",
        "\"\xED\xA0\x80\"",
        "\"\xF4\x90\x80\x80\"",
        "\"\xE2\x82\"",
        "// no\n1",
        "\xEF\xBB\xBF{}",
        "[1]x",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *tokens = trace(texts[i], strlen(texts[i]));
        if (tokens[strlen(tokens) - 1] != '!')
            fail_msg("'%s' was read as %s", texts[i], tokens);
    }
    assert_string_equal(trace("[1]\0", 4), "[n1]!");
    assert_string_equal(trace("\"\0\"", 3), "!");
}

/* Every proper beginning of a text is an error, and says so again and again. */
static void test_truncation(void **state)
{
    static const char text[] = "{\"a\\u00e9\":[true,false,null,-1.5e3,\"\xE2\x82\xAC\"],\"b\":{}}";
    (void)state;
    for (size_t len = 0; len < sizeof text - 1; len++) {
        rf_json j;
        rf_json_kind kind;
        rf_json_begin(&j, text, len);
        while ((kind = rf_json_next(&j)) > RF_JSON_END)
            ;
        assert_int_equal(kind, RF_JSON_ERROR);
        assert_non_null(j.why);
        assert_true(j.at <= len);
        assert_int_equal(rf_json_next(&j), RF_JSON_ERROR);
    }
}

static void test_depth(void **state)
{
    char text[4 * RF_JSON_DEPTH + 8];
    rf_json j;
    rf_json_kind kind;
    (void)state;
    for (size_t depth = RF_JSON_DEPTH; depth <= RF_JSON_DEPTH + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        rf_json_begin(&j, text, 2 * depth);
        while ((kind = rf_json_next(&j)) > RF_JSON_END)
            ;
        assert_int_equal(kind, depth <= RF_JSON_DEPTH ? RF_JSON_END : RF_JSON_ERROR);
    }
}

static void test_skipping(void **state)
{
    static const char text[] = "{\"a\":[1,{\"b\":[]},2],\"c\":3}";
    rf_json j;
    (void)state;
    rf_json_begin(&j, text, sizeof text - 1);
    assert_int_equal(rf_json_next(&j), RF_JSON_OBJECT);
    assert_int_equal(rf_json_next(&j), RF_JSON_KEY);
    assert_int_equal(rf_json_skip(&j, rf_json_next(&j)), RF_JSON_ARRAY);
    assert_int_equal(rf_json_next(&j), RF_JSON_KEY);
    assert_memory_equal(j.token, "c", 1);
    assert_int_equal(rf_json_skip(&j, rf_json_next(&j)), RF_JSON_NUMBER);
    assert_int_equal(rf_json_next(&j), RF_JSON_OBJECT_END);
    rf_json_begin(&j, "[1,[2}", 6);
    assert_int_equal(rf_json_skip(&j, rf_json_next(&j)), RF_JSON_ERROR);
}

static void test_decoding_into_too_little(void **state)
{
    char out[4] = "####";
    (void)state;
    assert_int_equal(rf_json_decode("ab\\u20ac", 8, out, 2), 5);
    assert_memory_equal(out, "ab##", 4);
    char same[] = "a\\n\\u20ac\\\"b";
    size_t len = rf_json_decode(same, strlen(same), same, strlen(same));
    assert_int_equal(len, 7);
    assert_memory_equal(same, "a\n\xE2\x82\xAC\"b", 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_skipping),
        cmocka_unit_test(test_decoding_into_too_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
