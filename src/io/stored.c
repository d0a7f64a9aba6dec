/* stored.c: the element types that safetensors files have, and shapes as text. */
#include "io/header.h"

#include <stdio.h>
#include <string.h>

/* Ours first, in the order of rf_dtype. */
static const rf_stored_type stored_types[] = {
    {"F32", 32, RF_F32, 1},       {"F64", 64, RF_F64, 1},       {"BF16", 16, RF_BF16, 1},
    {"I32", 32, RF_I32, 0},       {"I64", 64, RF_I64, 0},       {"U8", 8, RF_U8, 0},
    {"F16", 16, RF_DTYPES, 1},    {"BOOL", 8, RF_DTYPES, 0},    {"I8", 8, RF_DTYPES, 0},
    {"I16", 16, RF_DTYPES, 0},    {"U16", 16, RF_DTYPES, 0},    {"U32", 32, RF_DTYPES, 0},
    {"U64", 64, RF_DTYPES, 0},    {"F8_E4M3", 8, RF_DTYPES, 0}, {"F8_E5M2", 8, RF_DTYPES, 0},
    {"F8_E8M0", 8, RF_DTYPES, 0}, {"F6_E2M3", 6, RF_DTYPES, 0}, {"F6_E3M2", 6, RF_DTYPES, 0},
    {"F4", 4, RF_DTYPES, 0},      {"C64", 64, RF_DTYPES, 0},
};

const rf_stored_type *rf_stored_type_find(const char *name)
{
    for (size_t i = 0; i < sizeof stored_types / sizeof stored_types[0]; i++)
        if (strcmp(stored_types[i].name, name) == 0)
            return &stored_types[i];
    return NULL;
}

const rf_stored_type *rf_stored_type_of(rf_dtype dtype)
{
    return &stored_types[dtype < RF_DTYPES ? dtype : 0];
}

const char *rf_dims_text(size_t rank, const int64_t *dims, char *buffer, size_t bytes)
{
    size_t at = 0;
    buffer[0] = 0;
    for (size_t i = 0; i < rank && at < bytes; i++)
        at += (size_t)snprintf(buffer + at, bytes - at, i ? ", %lld" : "(%lld", (long long)dims[i]);
    if (at < bytes)
        snprintf(buffer + at, bytes - at, rank ? ")" : "()");
    return buffer;
}
