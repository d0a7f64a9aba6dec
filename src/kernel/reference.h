/* reference.h: every kernel written plainly, one element at a time, in double precision. It is the
 * truth that the fast tables are tested against, and what runs where nothing else does. */
#ifndef RF_KERNEL_REFERENCE_H
#define RF_KERNEL_REFERENCE_H

#include "kernel/kernel.h"

extern const rf_kernels rf_kernels_reference;

/* Its entries, by the file reference_*.c that they stand in. Other tables have some of them
 * too. */

/* elements */
rf_status rf_reference_unary(const rf_exec *e, rf_unary kind, const rf_view *x, const rf_view *y);
rf_status rf_reference_binary(const rf_exec *e, rf_binary kind, const rf_view *x, const rf_view *y,
                              const rf_view *z);
rf_status rf_reference_affine(const rf_exec *e, double alpha, double beta, const rf_view *x,
                              const rf_view *y);
rf_status rf_reference_fill(const rf_exec *e, double value, const rf_view *y);

/* sums */
rf_status rf_reference_sum(const rf_exec *e, double scale, const rf_view *x, const rf_view *y);
rf_status rf_reference_max_last(const rf_exec *e, const rf_view *x, const rf_view *y,
                                const rf_view *index);
rf_status rf_reference_max_last_grad(const rf_exec *e, const rf_view *g, const rf_view *index,
                                     const rf_view *dx);
rf_status rf_reference_sum_squares(const rf_exec *e, const rf_view *x, double *out);
rf_status rf_reference_matmul(const rf_exec *e, const rf_view *a, const rf_view *b,
                              const rf_view *c);
rf_status rf_reference_matmul_add(const rf_exec *e, const rf_view *a, const rf_view *b,
                                  const rf_view *c);

/* rows; log_sum_exp: of row number `row`, of c elements */
double rf_reference_log_sum_exp(const rf_view *x, int64_t row, int64_t c);
rf_status rf_reference_softmax(const rf_exec *e, int logarithm, const rf_view *x, const rf_view *y);
rf_status rf_reference_softmax_grad(const rf_exec *e, int logarithm, const rf_view *dy,
                                    const rf_view *y, const rf_view *dx);
rf_status rf_reference_layer_norm(const rf_exec *e, double eps, const rf_view *x,
                                  const rf_view *gain, const rf_view *bias, const rf_view *y,
                                  const rf_view *mean, const rf_view *rstd);
rf_status rf_reference_norm_grad(const rf_exec *e, const rf_view *const in[5],
                                 const rf_view *const out[3]);
rf_status rf_reference_rms_norm(const rf_exec *e, double eps, const rf_view *x, const rf_view *gain,
                                const rf_view *y, const rf_view *rstd);
rf_status rf_reference_rms_norm_grad(const rf_exec *e, const rf_view *const in[4],
                                     const rf_view *const out[2]);

/* targets */
rf_status rf_reference_cross_entropy(const rf_exec *e, const int64_t *ignored,
                                     const rf_view *logits, const rf_view *targets,
                                     const rf_view *losses, const rf_view *lse);
rf_status rf_reference_cross_entropy_part_grad(const rf_exec *e, const rf_entropy_part *part,
                                               const rf_view *const in[4], const rf_view *dlogits);
rf_status rf_reference_cross_entropy_grad(const rf_exec *e, const int64_t *ignored,
                                          const rf_view *const in[4], const rf_view *dlogits);
/* log(exp(a) + exp(b)) */
double rf_reference_log_add(double a, double b);
rf_status rf_reference_cross_entropy_part(const rf_exec *e, const rf_entropy_part *part,
                                          const rf_view *const in[2], const rf_view *sums);
rf_status rf_reference_cross_entropy_end(const rf_exec *e, const rf_entropy_part *part,
                                         const rf_view *const in[2], const rf_view *const out[2]);
int64_t rf_reference_count_targets(const int64_t *ignored, const rf_view *targets);
rf_status rf_reference_embedding(const rf_exec *e, const rf_view *table, const rf_view *ids,
                                 const rf_view *y);
rf_status rf_reference_embedding_add(const rf_exec *e, const rf_view *dy, const rf_view *ids,
                                     const rf_view *dtable);
rf_status rf_reference_embedding_grad(const rf_exec *e, const rf_view *dy, const rf_view *ids,
                                      const rf_view *dtable);

/* attention */
rf_status rf_reference_rotary(const rf_exec *e, double base, int inverse, const rf_view *x,
                              const rf_view *y);
rf_status rf_reference_attention(const rf_exec *e, double scale, const rf_view *const in[3],
                                 const rf_view *o, const rf_view *lse);
rf_status rf_reference_attention_grad(const rf_exec *e, double scale, const rf_view *const in[6],
                                      const rf_view *const out[3]);

/* random */
rf_status rf_reference_uniform(const rf_exec *e, rf_rng rng, const rf_view *y);
rf_status rf_reference_normal(const rf_exec *e, rf_rng rng, const rf_view *y);
rf_status rf_reference_dropout(const rf_exec *e, rf_rng rng, double rate, const rf_view *x,
                               const rf_view *y);

/* optim */
rf_status rf_reference_adamw(const rf_exec *e, const double c[7], const rf_view *const pgmv[4]);
rf_status rf_reference_sgd(const rf_exec *e, const double c[5], int first,
                           const rf_view *const pgv[3]);

/* Zero. */
size_t rf_reference_no_workspace(size_t threads, const rf_view *a, const rf_view *b,
                                 const rf_view *c);
size_t rf_reference_no_scratch(size_t threads, const rf_view *x);

/* One element of any type as a double, and back (rounded to nearest even, or truncated to an
 * integer type). index is in elements from data. */
double rf_element_get(const rf_view *view, int64_t index);
void rf_element_set(const rf_view *view, int64_t index, double value);

#endif
