/* hash.c: hashes as the public API has them. */
#include <refrain/io.h>

#include "base/hash.h"
#include "io/elements.h"

uint64_t rf_hash64(const void *data, size_t len, uint64_t seed)
{
    rf_hasher h;
    rf_hasher_begin(&h, seed);
    rf_hasher_add(&h, data, len);
    return rf_hasher_end(&h);
}

static rf_status hash_take(void *payload, const void *data, size_t len)
{
    rf_hasher_add(payload, data, len);
    return RF_OK;
}

static rf_status hash_param(void *payload, const char *path, rf_tensor *t)
{
    (void)path;
    return rf_elements_out(t, hash_take, payload);
}

rf_status rf_module_hash(rf_module *m, uint64_t *out)
{
    rf_hasher h;
    rf_hasher_begin(&h, 0);
    rf_status status = rf_module_each_param(m, 0, hash_param, &h);
    if (!status)
        *out = rf_hasher_end(&h);
    return status;
}
