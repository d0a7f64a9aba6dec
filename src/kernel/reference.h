/* reference.h: every kernel written plainly, one element at a time, in double precision. It is the
 * truth that the fast tables are tested against, and what runs where nothing else does. */
#ifndef RF_KERNEL_REFERENCE_H
#define RF_KERNEL_REFERENCE_H

#include "kernel/kernel.h"

extern const rf_kernels rf_kernels_reference;

/* Those of its entries that stand in other tables too. */
rf_status rf_reference_sum(const rf_exec *e, double scale, const rf_view *x, const rf_view *y);
rf_status rf_reference_max_last(const rf_exec *e, const rf_view *x, const rf_view *y,
                                const rf_view *index);
rf_status rf_reference_max_last_grad(const rf_exec *e, const rf_view *g, const rf_view *index,
                                     const rf_view *dx);
rf_status rf_reference_cross_entropy_end(const rf_exec *e, const rf_entropy_part *part,
                                         const rf_view *const in[2], const rf_view *const out[2]);
/* log(exp(a) + exp(b)) */
double rf_reference_log_add(double a, double b);
int64_t rf_reference_count_targets(const int64_t *ignored, const rf_view *targets);
rf_status rf_reference_rotary(const rf_exec *e, double base, int inverse, const rf_view *x,
                              const rf_view *y);
rf_status rf_reference_normal(const rf_exec *e, rf_rng rng, const rf_view *y);
rf_status rf_reference_attention(const rf_exec *e, double scale, const rf_view *const in[3],
                                 const rf_view *o, const rf_view *lse);
rf_status rf_reference_attention_grad(const rf_exec *e, double scale, const rf_view *const in[6],
                                      const rf_view *const out[3]);
rf_status rf_reference_uniform(const rf_exec *e, rf_rng rng, const rf_view *y);
rf_status rf_reference_dropout(const rf_exec *e, rf_rng rng, double rate, const rf_view *x,
                               const rf_view *y);
size_t rf_reference_no_scratch(size_t threads, const rf_view *x);

/* One element of any type as a double, and back (rounded to nearest even, or truncated to an
 * integer type). index is in elements from data. */
double rf_element_get(const rf_view *view, int64_t index);
void rf_element_set(const rf_view *view, int64_t index, double value);

#endif
