/* fates.h: policies written as text: "keep=matmul,linear;host=attn.*;file=@scores", and of single
 * ops, "keep=#3:linear". Those are a claim about a region, which may be a wrong one: the text may
 * be of another model. A policy cannot tell, as it does not see views, nor where the region ends;
 * so a region asks for each of its steps what the text says it is (rf_fates_named), and at its end
 * how many there must be (rf_fates_steps).
 */
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

/* How the text names the op with this number, as a pattern; NULL: not, or the policy is no text. */
const char *rf_fates_named(const rf_policy *policy, uint32_t step);
/* The least number of steps of a region in which there is every op that is told by number. */
uint32_t rf_fates_steps(const rf_policy *policy);

#endif
