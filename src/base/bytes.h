/* bytes.h: numbers as little-endian bytes, which is how every file of ours holds them. Compilers
 * make one move of each of these; on a big-endian machine they are still right. */
#ifndef RF_BASE_BYTES_H
#define RF_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

static inline uint32_t rf_get_u16(const void *from)
{
    const unsigned char *b = from;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8;
}

static inline uint32_t rf_get_u32(const void *from)
{
    const unsigned char *b = from;
    return rf_get_u16(b) | rf_get_u16(b + 2) << 16;
}

static inline uint64_t rf_get_u64(const void *from)
{
    const unsigned char *b = from;
    return (uint64_t)rf_get_u32(b) | (uint64_t)rf_get_u32(b + 4) << 32;
}

static inline void rf_put_u32(void *to, uint32_t value)
{
    unsigned char *b = to;
    for (int i = 0; i < 4; i++)
        b[i] = (unsigned char)(value >> 8 * i);
}

static inline void rf_put_u64(void *to, uint64_t value)
{
    rf_put_u32(to, (uint32_t)value);
    rf_put_u32((unsigned char *)to + 4, (uint32_t)(value >> 32));
}

/* Whether numbers lie in this machine's memory as they do in files. */
static inline int rf_host_is_little(void)
{
    const uint16_t one = 1;
    return *(const unsigned char *)&one;
}

/* Turn num elements of `size` bytes (1, 2, 4, 8) around, each in its place. */
static inline void rf_swap_bytes(void *data, size_t num, size_t size)
{
    unsigned char *b = data;
    for (size_t i = 0; i < num; i++, b += size)
        for (size_t low = 0, high = size - 1; low < high; low++, high--) {
            unsigned char byte = b[low];
            b[low] = b[high];
            b[high] = byte;
        }
}

#endif
