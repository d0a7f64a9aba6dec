/* memo.h: seconds of calls that were asked for before, found by the words of a call instead of the
 * text of its key (profile.h), which takes longer than all else of a dry op. */
#ifndef RF_PLAN_MEMO_H
#define RF_PLAN_MEMO_H

#include "plan/profile.h"

enum { RF_MEMO_PLACES = 4096 };

typedef struct rf_memo {
    rf_costs *costs;
    size_t num;
    struct {
        uint64_t key;
        double seconds;
    } places[RF_MEMO_PLACES];
} rf_memo;

/* As rf_costs_of; a context's cost function, with the memo as payload. */
double rf_memo_of(void *memo, const rf_op_call *call);

#endif
