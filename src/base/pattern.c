/* pattern.c: see pattern.h. Only the last '*' is ever tried again: what one before it could take
 * more of, the last one can too. So there is no recursion and no exponential pattern. */
#include "base/pattern.h"

#include <stddef.h>

int rf_pattern_matches(const char *pattern, const char *text)
{
    const char *star = NULL, *from = NULL; /* after the last '*', and where its run ends */
    while (*text) {
        if (*pattern == '*') {
            star = ++pattern;
            from = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star;
            text = ++from;
        } else {
            return 0;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}
