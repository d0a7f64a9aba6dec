/* Any bytes as a problem: it is read or refused with one line; what is small enough is solved for a
 * budget that may fit or not, and the answer is JSON whose figures agree with each other. */
#include "io/json.h"

#include <stdlib.h>
#include <string.h>

#include <refrain/problem.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_NODES = 9, FUZZ_STAGES = 4 };

static void require(int holds)
{
    if (!holds)
        abort();
}

static rf_status take(void *payload, const void *bytes, size_t num)
{
    rf_json j;
    rf_json_kind kind;
    (void)payload;
    rf_json_begin(&j, bytes, num);
    while ((kind = rf_json_next(&j)) > RF_JSON_END) {
    }
    require(kind == RF_JSON_END);
    return RF_OK;
}

static void solve(rf_problem *p, uint64_t budget)
{
    rf_problem_options opts = RF_PROBLEM_OPTIONS_INIT;
    opts.seconds = 1e-3;
    require(rf_problem_solve(p, budget, &opts) == RF_OK);
    rf_problem_answer a = rf_problem_answer_of(p);
    require(a.asked && a.budget == budget && a.lower_bound <= a.smallest_budget);
    require(a.binds < rf_problem_num(p) && a.smallest_budget <= a.plain_peak);
    if (a.feasible)
        require(a.peak <= budget && a.peak >= a.lower_bound && a.cost >= 0 && a.num_steps > 0);
    else
        require(budget < a.smallest_budget);
    require(rf_problem_json(p, (rf_write){take, NULL}) == RF_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rf_context_options opts = RF_CONTEXT_OPTIONS_INIT;
    rf_context *ctx;
    rf_problem *p;
    opts.threads = 1;
    opts.isa = "portable";
    require(rf_context_create(&ctx, &opts) == RF_OK);
    rf_status status = rf_problem_read(&p, ctx, (const char *)data, size, "problem");
    require(status == RF_OK || status == RF_E_FORMAT);
    require((p == NULL) == (status != RF_OK));
    if (status)
        require(!strchr(rf_context_error(ctx)->message, '\n'));
    size_t most = p && rf_problem_kind_of(p) == RF_PROBLEM_CHAIN ? FUZZ_STAGES : FUZZ_NODES;
    if (p && rf_problem_num(p) <= most) {
        solve(p, 8);
        uint64_t smallest = rf_problem_answer_of(p).smallest_budget;
        solve(p, smallest);
        require(rf_problem_answer_of(p).feasible);
        if (smallest)
            solve(p, smallest - 1);
    }
    rf_problem_destroy(p);
    rf_context_destroy(ctx);
    return 0;
}
