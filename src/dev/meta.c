/* meta.c: shapes without bytes. The ledger is kept as if the bytes were there, which is what makes
 * a dry run a prediction. */
#include "dev/device.h"

static void *meta_alloc(const rf_allocator *host, void *queue, size_t bytes)
{
    (void)host;
    (void)queue;
    (void)bytes;
    return NULL;
}

static void meta_free(const rf_allocator *host, void *queue, void *p, size_t bytes)
{
    (void)host;
    (void)queue;
    (void)p;
    (void)bytes;
}

static rf_status meta_copy_in(void *queue, void *dst, const void *host, size_t bytes)
{
    (void)queue;
    (void)dst;
    (void)host;
    (void)bytes;
    return RF_OK; /* nothing to write to */
}

static rf_status meta_copy_out(void *queue, void *host, const void *src, size_t bytes)
{
    (void)queue;
    (void)host;
    (void)src;
    (void)bytes;
    return RF_E_DEVICE; /* a shape has no values to read */
}

/* The processor in a dry run (tensor/dry.h). */
const rf_device_class rf_device_dry = {.size = sizeof(rf_device_class),
                                       .version = RF_DEVICE_VERSION,
                                       .name = "cpu",
                                       .has_bytes = 0,
                                       .alloc = meta_alloc,
                                       .free = meta_free,
                                       .copy_in = meta_copy_in,
                                       .copy_out = meta_copy_out};

const rf_device_class rf_device_meta = {.size = sizeof(rf_device_class),
                                        .version = RF_DEVICE_VERSION,
                                        .name = "meta",
                                        .has_bytes = 0,
                                        .alloc = meta_alloc,
                                        .free = meta_free,
                                        .copy_in = meta_copy_in,
                                        .copy_out = meta_copy_out};
