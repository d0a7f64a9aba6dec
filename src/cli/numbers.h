/* numbers.h: numbers as users write them. The same under every locale, because the command never
 * sets one; the whole text must be the number. Each returns 1, or 0 and leaves *out as it was. */
#ifndef RF_CLI_NUMBERS_H
#define RF_CLI_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

/* "1000": digits only. */
int numbers_count(const char *text, uint64_t *out);
/* "3e-4", "-0.5": finite. */
int numbers_real(const char *text, double *out);
/* "512MiB", "2GiB", "1048576", "64 KiB": bytes. MB and the like are powers of ten. */
int numbers_size(const char *text, uint64_t *out);

enum { NUMBERS_TEXT = 32 };
/* For reading: "12.3 MiB", "1.2M", "1m05s". Return buffer, which has NUMBERS_TEXT bytes. */
const char *numbers_show_bytes(char *buffer, uint64_t bytes);
const char *numbers_show_rate(char *buffer, double per_second);
const char *numbers_show_seconds(char *buffer, double seconds);

#endif
