/* pattern.h: names by pattern. The function is public: whoever takes patterns from a user (the
 * command does) means the same by them. */
#ifndef RF_BASE_PATTERN_H
#define RF_BASE_PATTERN_H

#include <refrain/base.h>

#endif
