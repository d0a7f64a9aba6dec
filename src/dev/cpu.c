/* cpu.c: the processor as a device: its memory is the context's allocator. */
#include "dev/device.h"

#include <string.h>

static void *cpu_alloc(const rf_allocator *host, void *queue, size_t bytes)
{
    (void)queue;
    return rf_allocator_get(host, bytes);
}

static void cpu_free(const rf_allocator *host, void *queue, void *p, size_t bytes)
{
    (void)queue;
    rf_allocator_put(host, p, bytes);
}

static rf_status cpu_copy_in(void *queue, void *dst, const void *host, size_t bytes)
{
    (void)queue;
    if (bytes)
        memcpy(dst, host, bytes);
    return RF_OK;
}

static rf_status cpu_copy_out(void *queue, void *host, const void *src, size_t bytes)
{
    return cpu_copy_in(queue, host, src, bytes);
}

const rf_device_class rf_device_cpu = {.size = sizeof(rf_device_class),
                                       .version = RF_DEVICE_VERSION,
                                       .name = "cpu",
                                       .has_bytes = 1,
                                       .alloc = cpu_alloc,
                                       .free = cpu_free,
                                       .copy_in = cpu_copy_in,
                                       .copy_out = cpu_copy_out};
