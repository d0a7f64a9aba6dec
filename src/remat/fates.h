/* fates.h: policies written as text: "keep=matmul,linear;host=attn.*;file=@scores". */
#ifndef RF_REMAT_FATES_H
#define RF_REMAT_FATES_H

#include "tensor/context.h"

#include <refrain/checkpoint.h>

/* Which names of parts there are, besides the ops' own; NULL: none. */
typedef struct rf_fates_parts {
    int (*known)(void *payload, const char *pattern);
    void *payload;
} rf_fates_parts;

/* The policy that text describes (owned: end it by its destroy). RF_E_ARGUMENT for a fate or a name
 * that there is not. */
rf_status rf_fates_create(rf_policy *out, rf_context *ctx, const char *text,
                          const rf_fates_parts *parts);

#endif
