/* plain_safetensors.c: see plain_safetensors.h. */
#include "support/plain_safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The header as a string; *data is where the tensors begin. */
static char *plain_header(const unsigned char *file, size_t len, size_t *data)
{
    size_t size = 0;
    char *text;
    if (len < 8)
        return NULL;
    for (int i = 7; i >= 0; i--)
        size = size * 256 + file[i];
    if (size > len - 8 || (text = malloc(size + 1)) == NULL)
        return NULL;
    memcpy(text, file + 8, size);
    text[size] = 0;
    *data = 8 + size;
    return text;
}

static int plain_dims(const char *at, plain_tensor *out)
{
    char *end;
    for (out->rank = 0; *at != ']'; at = *end == ',' ? end + 1 : end) {
        if (out->rank == 8)
            return 0;
        out->dims[out->rank++] = strtoll(at, &end, 10);
        if (end == at)
            return 0;
    }
    return 1;
}

static int plain_scan(const char *text, const char *name, plain_tensor *out, size_t range[2])
{
    char key[300];
    const char *at, *shape, *offsets;
    snprintf(key, sizeof key, "\"%s\":{\"dtype\":\"", name);
    at = strstr(text, key);
    if (!at)
        return 0;
    out->header_at = (size_t)(at - text);
    shape = strstr(at, "\"shape\":[");
    offsets = strstr(at, "\"data_offsets\":[");
    return shape && offsets && sscanf(at + strlen(key), "%7[A-Z0-9]", out->dtype) == 1 &&
           plain_dims(shape + 9, out) && sscanf(offsets + 16, "%zu,%zu", &range[0], &range[1]) == 2;
}

int plain_safetensors_find(const unsigned char *file, size_t len, const char *name,
                           plain_tensor *out)
{
    size_t data = 0, range[2];
    char *text = plain_header(file, len, &data);
    int found = text && plain_scan(text, name, out, range);
    free(text);
    if (!found || range[0] > range[1] || range[1] > len - data)
        return 0;
    out->data = file + data + range[0];
    out->data_at = data + range[0];
    out->bytes = range[1] - range[0];
    return 1;
}
