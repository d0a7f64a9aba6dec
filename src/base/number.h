/* number.h: decimal numbers in text, read alike under every locale. */
#ifndef RF_BASE_NUMBER_H
#define RF_BASE_NUMBER_H

#include <stddef.h>
#include <stdint.h>

/* The double nearest to the decimal number that text[0 .. len-1] is, ties to even; too large is
 * infinity. Returns 0 unless all of text is one number: digits, '.', exponent, as JSON has them (a
 * leading '-', no '+', no spaces, a digit on each side of the '.', no superfluous zero in front).
 */
int rf_number_parse(const char *text, size_t len, double *out);
/* Digits only (no sign, no superfluous zero in front); returns 0 for anything else, or if it does
 * not fit. */
int rf_number_parse_u64(const char *text, size_t len, uint64_t *out);

#endif
