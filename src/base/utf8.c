/* utf8.c: see utf8.h. The second byte's range depends on the first; that is the whole rule. */
#include "base/utf8.h"

size_t rf_utf8_length(const char *text, size_t len)
{
    const unsigned char *b = (const unsigned char *)text;
    unsigned low = 0x80, high = 0xBF;
    if (!len)
        return 0;
    if (b[0] < 0x80)
        return 1;
    size_t num = b[0] < 0xC2 ? 0 : b[0] < 0xE0 ? 2 : b[0] < 0xF0 ? 3 : b[0] < 0xF5 ? 4 : 0;
    if (!num || len < num)
        return 0;
    if (b[0] == 0xE0)
        low = 0xA0; /* else overlong */
    if (b[0] == 0xED)
        high = 0x9F; /* else a surrogate */
    if (b[0] == 0xF0)
        low = 0x90; /* else overlong */
    if (b[0] == 0xF4)
        high = 0x8F; /* else past 10FFFF */
    if (b[1] < low || b[1] > high)
        return 0;
    for (size_t i = 2; i < num; i++)
        if ((b[i] & 0xC0) != 0x80)
            return 0;
    return num;
}

size_t rf_utf8_write(char out[4], uint32_t code)
{
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t num = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = num; i-- > 1; code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)(lead[num] | code);
    return num;
}
