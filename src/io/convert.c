/* convert.c: see convert.h. Every type fits a double exactly, so there is one rounding, on the way
 * out of it. */
#include "io/convert.h"
#include "base/bytes.h"

#include <math.h>
#include <string.h>

static double convert_from_f32_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t convert_to_f32_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* 1 sign, 5 exponent, 10 fraction. */
static double convert_from_f16_bits(uint32_t bits)
{
    int exponent = (int)(bits >> 10 & 31);
    double fraction = bits & 1023;
    double value = exponent == 31 ? (fraction ? (double)NAN : (double)INFINITY)
                   : exponent     ? ldexp(1024 + fraction, exponent - 25)
                                  : ldexp(fraction, -24);
    return bits >> 15 ? -value : value;
}

/* Through f32 rounded to odd: where that is inexact its last bit is set, which no tie has, so that
 * the second rounding sees which side of a tie the double was on. */
static uint32_t convert_to_bf16_bits(double value)
{
    float nearest = (float)value;
    uint32_t bits = convert_to_f32_bits(nearest);
    if (value != value)
        return bits >> 16 | 0x40;
    if ((double)nearest != value) {
        bits -= fabs((double)nearest) > fabs(value);
        bits |= 1;
    }
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
}

static double convert_get(const rf_stored_type *type, const unsigned char *src)
{
    uint64_t bits;
    double value;
    switch (type->dtype) {
    case RF_F32:
        return convert_from_f32_bits(rf_get_u32(src));
    case RF_BF16:
        return convert_from_f32_bits(rf_get_u16(src) << 16);
    case RF_F64:
        bits = rf_get_u64(src);
        memcpy(&value, &bits, sizeof value);
        return value;
    default:
        return convert_from_f16_bits(rf_get_u16(src));
    }
}

static void convert_put(rf_dtype dtype, double value, unsigned char *dst)
{
    uint64_t bits;
    switch (dtype) {
    case RF_F32:
        rf_put_u32(dst, convert_to_f32_bits((float)value));
        return;
    case RF_BF16:
        bits = convert_to_bf16_bits(value);
        dst[0] = (unsigned char)bits;
        dst[1] = (unsigned char)(bits >> 8);
        return;
    default:
        memcpy(&bits, &value, sizeof bits);
        rf_put_u64(dst, bits);
    }
}

void rf_elements_convert(const rf_stored_type *type, const void *src, rf_dtype dtype, void *dst,
                         size_t num)
{
    const unsigned char *from = src;
    unsigned char *to = dst;
    size_t size = rf_dtype_size(dtype);
    for (size_t i = 0; i < num; i++, from += type->bits / 8, to += size)
        convert_put(dtype, convert_get(type, from), to);
}
