/* element.c: reading and writing one element of any type. */
#include "kernel/reference.h"

#include <string.h>

static float element_from_bf16(uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

static uint16_t element_to_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7FFFFFFF) > 0x7F800000)
        return (uint16_t)(bits >> 16 | 0x40); /* stay NaN */
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

double rf_element_get(const rf_view *view, int64_t i)
{
    switch (view->shape.dtype) {
    case RF_F32:
        return ((const float *)view->data)[i];
    case RF_F64:
        return ((const double *)view->data)[i];
    case RF_BF16:
        return element_from_bf16(((const uint16_t *)view->data)[i]);
    case RF_I32:
        return ((const int32_t *)view->data)[i];
    case RF_I64:
        return (double)((const int64_t *)view->data)[i];
    default:
        return ((const uint8_t *)view->data)[i];
    }
}

void rf_element_set(const rf_view *view, int64_t i, double value)
{
    switch (view->shape.dtype) {
    case RF_F32:
        ((float *)view->data)[i] = (float)value;
        break;
    case RF_F64:
        ((double *)view->data)[i] = value;
        break;
    case RF_BF16:
        ((uint16_t *)view->data)[i] = element_to_bf16((float)value);
        break;
    case RF_I32:
        ((int32_t *)view->data)[i] = (int32_t)value;
        break;
    case RF_I64:
        ((int64_t *)view->data)[i] = (int64_t)value;
        break;
    default:
        ((uint8_t *)view->data)[i] = (uint8_t)value;
        break;
    }
}
