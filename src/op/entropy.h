/* entropy.h: what the two forms of cross-entropy share: from logits, and from what makes them. */
#ifndef RF_OP_ENTROPY_H
#define RF_OP_ENTROPY_H

#include "op/expr.h"

typedef struct rf_entropy_attrs {
    int64_t sum; /* RF_REDUCTION_SUM */
    int64_t has_ignored, ignored;
} rf_entropy_attrs;

static inline const int64_t *rf_entropy_ignored(const rf_entropy_attrs *a)
{
    return a->has_ignored ? &a->ignored : NULL;
}

static inline int rf_entropy_is_integer(uint8_t dtype)
{
    return dtype == RF_I64 || dtype == RF_I32 || dtype == RF_U8;
}

/* The type of sums over a row. */
static inline uint8_t rf_entropy_wide(uint8_t dtype)
{
    return dtype == RF_F64 ? RF_F64 : RF_F32;
}

static inline void rf_entropy_flatten(rf_view *view)
{
    view->shape.dims[0] = rf_shape_count(&view->shape);
    view->shape.rank = 1;
    view->strides[0] = 1;
}

/* What a row's loss counts in the result. */
static inline double rf_entropy_scale(const rf_op_call *call, const rf_view *targets)
{
    const rf_entropy_attrs *a = call->attrs;
    int64_t n = rf_call_kernels(call)->count_targets(rf_entropy_ignored(a), targets);
    return a->sum || !n ? 1 : 1 / (double)n;
}

/* The gradient of logits by ops that can be recorded; in: logits, targets, g.
 * (softmax(x) m - onehot) g scale, where m is 1 for rows that count: the sum of their onehot. */
rf_tensor *rf_entropy_slope(rf_scope *s, const rf_entropy_attrs *a, rf_tensor *const in[3]);

#endif
