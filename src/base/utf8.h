/* utf8.h: characters as UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing past 10FFFF. */
#ifndef RF_BASE_UTF8_H
#define RF_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the character that text begins with, 1 to 4; 0 if it is none, or len is 0. */
size_t rf_utf8_length(const char *text, size_t len);
/* Write a character (no surrogate, at most 10FFFF) as 1 to 4 bytes; returns how many. */
size_t rf_utf8_write(char out[4], uint32_t code);

#endif
