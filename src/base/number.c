/* number.c: decimal to double, exactly.
 *
 * The value D 10^e is compared, as a whole number, with midpoints of neighbouring doubles, and the
 * doubles are searched by halving: their bits, read as an integer, are in the order of their
 * values. That costs some 64 comparisons of long numbers, a few tens of microseconds, and needs
 * neither tables nor a case for subnormals. Numbers are read from configurations, never from data.
 *
 * Both sides are scaled by 2^1075, which makes every midpoint whole: the smallest is 2^-1075.
 */
#include "base/number.h"

#include <string.h>

enum {
    NUMBER_DIGITS = 800, /* a midpoint has at most 768 significant digits */
    NUMBER_LIMBS = 240,  /* of 32 bits: 10^1140 2^2100 is the largest     */
    NUMBER_SHIFT = 1075,
    NUMBER_TOP = 310 /* 10^310 is above every double, 10^-330 below */
};

typedef struct big_number {
    size_t num;
    uint32_t limbs[NUMBER_LIMBS]; /* the lowest first */
} big_number;

/* 0.d[0] d[1] ... 10^point */
typedef struct decimal_number {
    int negative;
    size_t num;
    int64_t point;
    unsigned char digits[NUMBER_DIGITS + 1];
} decimal_number;

static void big_multiply_add(big_number *b, uint32_t factor, uint32_t term)
{
    uint64_t carry = term;
    for (size_t i = 0; i < b->num; i++) {
        carry += (uint64_t)b->limbs[i] * factor;
        b->limbs[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry && b->num < NUMBER_LIMBS)
        b->limbs[b->num++] = (uint32_t)carry;
}

static void big_multiply_power_of_ten(big_number *b, int64_t power)
{
    for (; power >= 9; power -= 9)
        big_multiply_add(b, 1000000000, 0);
    for (; power > 0; power--)
        big_multiply_add(b, 10, 0);
}

static void big_shift(big_number *b, size_t bits)
{
    size_t limbs = bits / 32;
    if (!b->num || b->num + limbs > NUMBER_LIMBS)
        return;
    memmove(b->limbs + limbs, b->limbs, b->num * sizeof *b->limbs);
    memset(b->limbs, 0, limbs * sizeof *b->limbs);
    b->num += limbs;
    if (bits % 32)
        big_multiply_add(b, UINT32_C(1) << bits % 32, 0);
}

static int big_compare(const big_number *a, const big_number *b)
{
    if (a->num != b->num)
        return a->num < b->num ? -1 : 1;
    for (size_t i = a->num; i-- > 0;)
        if (a->limbs[i] != b->limbs[i])
            return a->limbs[i] < b->limbs[i] ? -1 : 1;
    return 0;
}

/* b *= the midpoint between the double of these bits and the next one up, times 2^1075. */
static void big_multiply_midpoint(big_number *b, uint64_t bits)
{
    uint64_t exponent = bits >> 52, fraction = bits & ((UINT64_C(1) << 52) - 1);
    uint64_t odd = 2 * (fraction | (exponent ? UINT64_C(1) << 52 : 0)) + 1;
    big_number high = *b;
    big_multiply_add(b, (uint32_t)odd, 0);
    big_multiply_add(&high, (uint32_t)(odd >> 32), 0);
    big_shift(&high, 32);
    uint64_t carry = 0;
    for (size_t i = 0; i < high.num || carry; i++) {
        uint64_t sum = carry + (i < b->num ? b->limbs[i] : 0) + (i < high.num ? high.limbs[i] : 0);
        if (i >= b->num)
            b->num = i + 1;
        b->limbs[i] = (uint32_t)sum;
        carry = sum >> 32;
    }
    while (b->num && !b->limbs[b->num - 1])
        b->num--;
    big_shift(b, exponent ? exponent - 1 : 0);
}

static double number_from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double decimal_to_double(const decimal_number *d)
{
    const uint64_t infinity = UINT64_C(0x7FF) << 52;
    if (!d->num || d->point < -330)
        return 0;
    if (d->point > NUMBER_TOP)
        return number_from_bits(infinity);
    int64_t power = d->point - (int64_t)d->num;
    big_number value = {0}, scale = {.num = 1, .limbs = {1}};
    for (size_t i = 0; i < d->num; i++)
        big_multiply_add(&value, 10, d->digits[i]);
    big_multiply_power_of_ten(&value, power);
    big_shift(&value, NUMBER_SHIFT);
    big_multiply_power_of_ten(&scale, -power);
    /* Search the first double whose upper midpoint is not below the value. */
    uint64_t low = 0, high = infinity;
    while (low < high) {
        uint64_t bits = low + (high - low) / 2;
        big_number midpoint = scale;
        big_multiply_midpoint(&midpoint, bits);
        int order = big_compare(&value, &midpoint);
        if (order < 0 || (order == 0 && bits % 2 == 0))
            high = bits;
        else
            low = bits + 1;
    }
    return number_from_bits(low);
}

static size_t number_span(const char *text, size_t at, size_t len)
{
    while (at < len && text[at] >= '0' && text[at] <= '9')
        at++;
    return at;
}

/* Append digits; zeros in front move the point, and what comes after 800 is one digit that says
 * "a little more". */
static void decimal_append(decimal_number *d, const char *digits, size_t len, int fraction)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char digit = (unsigned char)(digits[i] - '0');
        if (!d->num && !digit) {
            d->point -= fraction;
            continue;
        }
        d->point += !fraction;
        if (d->num < NUMBER_DIGITS)
            d->digits[d->num++] = digit;
        else if (digit && d->num == NUMBER_DIGITS)
            d->digits[d->num++] = 1;
    }
}

/* The exponent from text[at ..]; far outside of any double it is cut. Returns where it ends. */
static size_t number_exponent(const char *text, size_t at, size_t len, int64_t *out)
{
    int negative = at < len && text[at] == '-';
    if (at < len && (text[at] == '-' || text[at] == '+'))
        at++;
    size_t end = number_span(text, at, len);
    int64_t value = 0;
    for (size_t i = at; i < end; i++)
        if (value < INT64_C(1) << 48)
            value = value * 10 + (text[i] - '0');
    *out = negative ? -value : value;
    return end == at ? 0 : end;
}

int rf_number_parse(const char *text, size_t len, double *out)
{
    decimal_number d = {.negative = len && text[0] == '-'};
    size_t at = (size_t)d.negative, end = number_span(text, at, len);
    int64_t exponent = 0;
    if (end == at || (text[at] == '0' && end > at + 1))
        return 0;
    decimal_append(&d, text + at, end - at, 0);
    if (end < len && text[end] == '.') {
        at = end + 1;
        end = number_span(text, at, len);
        if (end == at)
            return 0;
        decimal_append(&d, text + at, end - at, 1);
    }
    if (end < len && (text[end] == 'e' || text[end] == 'E')) {
        end = number_exponent(text, end + 1, len, &exponent);
        if (!end)
            return 0;
    }
    if (end != len)
        return 0;
    d.point += exponent;
    *out = d.negative ? -decimal_to_double(&d) : decimal_to_double(&d);
    return 1;
}

int rf_number_parse_u64(const char *text, size_t len, uint64_t *out)
{
    uint64_t value = 0;
    if (!len || number_span(text, 0, len) != len || (text[0] == '0' && len > 1))
        return 0;
    for (size_t i = 0; i < len; i++) {
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return 0;
        value = value * 10 + digit;
    }
    *out = value;
    return 1;
}
