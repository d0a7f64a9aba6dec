/* device.h: what a device is: a versioned table. Allocation, freeing and copying take a queue from
 * the first version on; the processor and meta ignore it. */
#ifndef RF_DEV_DEVICE_H
#define RF_DEV_DEVICE_H

#include "base/alloc.h"

#define RF_DEVICE_VERSION 1

typedef struct rf_device_class {
    size_t size;
    uint32_t version;
    const char *name;
    int has_bytes; /* 0: shapes only; kernels are not called */
    /* Aligned to 64; NULL is RF_E_MEMORY. host is the context's allocator. */
    void *(*alloc)(const rf_allocator *host, void *queue, size_t bytes);
    void (*free)(const rf_allocator *host, void *queue, void *p, size_t bytes);
    /* Between this device and the processor's memory. */
    rf_status (*copy_in)(void *queue, void *dst, const void *host, size_t bytes);
    rf_status (*copy_out)(void *queue, void *host, const void *src, size_t bytes);
} rf_device_class;

extern const rf_device_class rf_device_cpu;
extern const rf_device_class rf_device_meta;
extern const rf_device_class rf_device_dry;

#endif
