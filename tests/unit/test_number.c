/* Decimal to double, against known hard cases and against the C library under its own locale. */
#include "base/number.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void same_as_libc(const char *text)
{
    double value = -1;
    assert_int_equal(rf_number_parse(text, strlen(text), &value), 1);
    if (bits_of(value) != bits_of(strtod(text, NULL)))
        fail_msg("%s: %.17g and not %.17g", text, value, strtod(text, NULL));
}

static void test_hard_cases(void **state)
{
    static const char *const texts[] = {
        "0",
        "-0",
        "1",
        "0.1",
        "-0.001e3",
        "9007199254740993",
        "9007199254740993.0000000000000000000000000000000000000001",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017"
        "977587207096330286416692887910946555547851940402630657488671505820681908902000708383676273"
        "854845817711531764475730270069855571366959622842914819860834936475292719074168444365510704"
        "342711559699508093042880",
        "1e309",
        "1e99999999999999999999",
        "1e-99999999999999999999",
        "0e99999999999999999999",
        "2.2250738585072011e-308",
        "2.2250738585072014e-308",
        "4.9406564584124654e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "6.631236846766476e-316",
        "3.518437208883201171875e13",
        "62.5364939768271845828",
        "8.10109172351e-10",
        "1.50000000000000011102230246251565",
        "1.00000000000000011102230246251565404236316680908203125",
        "1.00000000000000011102230246251565404236316680908203124",
        "1.00000000000000011102230246251565404236316680908203126",
        "12345678901234567890e-400",
        "0.000000000000000000000000000000000000000000000000000000000000000000000000000000000001e90",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        same_as_libc(texts[i]);
}

/* A tie is broken by the thousandth digit, which is past what is kept. */
static void test_more_digits_than_kept(void **state)
{
    char text[1400];
    (void)state;
    memset(text, '0', sizeof text);
    memcpy(text, "1.00000000000000011102230246251565404236316680908203125", 55);
    text[1000] = 0;
    same_as_libc(text);
    text[1000] = '1';
    text[1001] = 0;
    same_as_libc(text);
    memset(text, '9', sizeof text);
    text[1399] = 0;
    same_as_libc(text); /* infinity */
    text[1] = '.';
    same_as_libc(text);
}

static void test_random_numbers(void **state)
{
    uint64_t x = UINT64_C(88172645463325252);
    int rounds = getenv("RF_TEST_FAST") ? 300 : 3000;
    (void)state;
    for (int i = 0; i < rounds; i++) {
        char text[64];
        double value;
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        uint64_t bits = i % 4 ? x : x & ~(UINT64_C(0x7FF) << 52); /* a quarter are subnormal */
        memcpy(&value, &bits, sizeof value);
        if (value - value != 0)
            continue;
        snprintf(text, sizeof text, "%.*e", (int)(x % 25), value);
        same_as_libc(text);
    }
}

static void test_what_is_no_number(void **state)
{
    static const char *const texts[] = {"",    "-",    "+1",  ".5",    "5.",   "01",  "-01",
                                        "1e",  "1e+",  "0x1", "1 ",    " 1",   "nan", "inf",
                                        "1,5", "1.e3", "--1", "1e1.5", "1e--1"};
    double value = 7;
    uint64_t whole = 7;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(rf_number_parse(texts[i], strlen(texts[i]), &value), 0);
        assert_int_equal(rf_number_parse_u64(texts[i], strlen(texts[i]), &whole), 0);
    }
    assert_true(value == 7 && whole == 7);
    assert_int_equal(rf_number_parse_u64("1.0", 3, &whole), 0);
    assert_int_equal(rf_number_parse_u64("-1", 2, &whole), 0);
    assert_int_equal(rf_number_parse_u64("18446744073709551616", 20, &whole), 0);
    assert_int_equal(rf_number_parse_u64("18446744073709551615", 20, &whole), 1);
    assert_true(whole == UINT64_MAX);
    assert_int_equal(rf_number_parse_u64("0", 1, &whole), 1);
    assert_int_equal(whole, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hard_cases),
        cmocka_unit_test(test_more_digits_than_kept),
        cmocka_unit_test(test_random_numbers),
        cmocka_unit_test(test_what_is_no_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
