/* Any text as fates: refused in one line, or a policy that chooses a fate that there is, knows each
 * op that it was told by number, and no other op after the last of them. */
#include "remat/fates.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

static int known(void *payload, const char *pattern)
{
    (void)payload;
    return rf_pattern_matches(pattern, "attn.norm");
}

static void check_policy(const rf_policy *policy)
{
    static const char *const names[] = {"linear", "gelu", "matmul"};
    uint32_t steps = rf_fates_steps(policy), last = steps < 64 ? steps : 64;
    require(!rf_fates_named(policy, steps) && !rf_fates_named(policy, UINT32_MAX));
    require(!steps || rf_fates_named(policy, steps - 1)[0]);
    for (uint32_t step = 0; step <= last; step++) {
        rf_policy_op op = {.size = sizeof op,
                           .op = names[step % 3],
                           .path = step % 2 ? "attn.norm" : "",
                           .label = step % 5 ? "" : "scores",
                           .region = "",
                           .index = step};
        rf_fate fate = RF_FATE_RECOMPUTE;
        require(!policy->choose(policy->payload, &op, &fate));
        require((unsigned)fate <= RF_FATE_FILE);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rf_context *ctx;
    rf_policy policy;
    rf_fates_parts parts = {known, NULL};
    char *text = malloc(size + 1);
    if (!text || rf_context_create(&ctx, NULL)) {
        free(text);
        return 0;
    }
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    rf_status status = rf_fates_create(&policy, ctx, text, &parts);
    require(status == RF_OK || rf_context_error(ctx)->message[0]);
    if (!status) {
        check_policy(&policy);
        policy.destroy(policy.payload);
    }
    rf_context_destroy(ctx);
    free(text);
    return 0;
}
