/* pattern.h: names by pattern: '*' is any run of characters, '?' any one, the rest itself. */
#ifndef RF_BASE_PATTERN_H
#define RF_BASE_PATTERN_H

/* Whether all of text fits. Steps are at most the product of the two lengths. */
int rf_pattern_matches(const char *pattern, const char *text);

#endif
