/* The small parts of base that text needs: UTF-8, patterns, sorting. */
#include "base/pattern.h"
#include "base/sort.h"
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Every code point there and back; nothing else of three bytes is a character. */
static void test_utf8_is_exact(void **state)
{
    size_t valid = 0;
    (void)state;
    for (uint32_t code = 0; code <= 0x10FFFF; code++) {
        char text[4];
        if (code >= 0xD800 && code < 0xE000)
            continue;
        size_t len = rf_utf8_write(text, code);
        if (rf_utf8_length(text, len) != len || (len > 1 && rf_utf8_length(text, len - 1)))
            fail_msg("code point %x", (unsigned)code);
    }
    for (uint32_t i = 0; i < 1u << 24; i++) {
        char text[3] = {(char)(i >> 16), (char)(i >> 8), (char)i};
        valid += rf_utf8_length(text, 3) == 3;
    }
    assert_int_equal(valid, 0x10000 - 0x800 - 0x800);
    assert_int_equal(rf_utf8_length("\xF4\x90\x80\x80", 4), 0);
    assert_int_equal(rf_utf8_length("\xF0\x8F\xBF\xBF", 4), 0);
    assert_int_equal(rf_utf8_length("\xF0\x90\x80\x40", 4), 0);
    assert_int_equal(rf_utf8_length("\xF5\x80\x80\x80", 4), 0);
    assert_int_equal(rf_utf8_length("", 0), 0);
}

static void test_patterns(void **state)
{
    static const struct {
        const char *pattern, *text;
        int matches;
    } cases[] = {
        {"", "", 1},
        {"", "a", 0},
        {"*", "", 1},
        {"*", "anything.at.all", 1},
        {"?", "", 0},
        {"h.?.attn.*", "h.3.attn.bias", 1},
        {"h.?.attn.*", "h.13.attn.bias", 0},
        {"*.attn.bias", "h.13.attn.bias", 1},
        {"*.attn.bias", "h.13.attn.bias2", 0},
        {"*a*b", "aaabxb", 1},
        {"*aab", "aaab", 1},
        {"*a*b", "aaabx", 0},
        {"a**c", "abc", 1},
        {"a*?c", "ac", 0},
        {"wte.weight", "wte.weight", 1},
        {"wte.weight", "wte.weigh", 0},
        {"wte.weigh", "wte.weight", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (!rf_pattern_matches(cases[i].pattern, cases[i].text) != !cases[i].matches)
            fail_msg("'%s' on '%s'", cases[i].pattern, cases[i].text);
}

/* What takes time exponential in the stars, if each of them is tried again. */
static void test_many_stars_are_quick(void **state)
{
    char text[2001], pattern[61];
    (void)state;
    memset(text, 'a', 2000);
    text[2000] = 0;
    for (size_t i = 0; i < 60; i++)
        pattern[i] = i % 2 ? '*' : 'a';
    pattern[59] = 'b';
    pattern[60] = 0;
    assert_int_equal(rf_pattern_matches(pattern, text), 0);
}

static int by_value(const void *payload, const void *a, const void *b)
{
    uint32_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    (void)payload;
    return x < y ? -1 : x > y;
}

static void test_sorting(void **state)
{
    uint32_t items[300], sum, x = 12345;
    (void)state;
    for (size_t num = 0; num <= 300; num++) {
        for (size_t i = sum = 0; i < num; i++) {
            x = x * 1664525 + 1013904223;
            sum += items[i] = (x >> 16) % (num % 3 ? 1000 : 5);
        }
        rf_sort(items, num, sizeof *items, by_value, NULL);
        for (size_t i = 0; i < num; i++) {
            assert_true(i == 0 || items[i - 1] <= items[i]);
            sum -= items[i];
        }
        assert_int_equal(sum, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8_is_exact),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_many_stars_are_quick),
        cmocka_unit_test(test_sorting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
