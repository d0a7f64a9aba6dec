/* grad.h: gradients.
 *
 * Ops record themselves when their scope records and an input requires a gradient. What an op
 * keeps for its backward depends on which gradients are wanted: frozen inputs cost nothing.
 * rf_backward walks the record from its end, once, and gives everything back as it goes.
 */
#ifndef REFRAIN_GRAD_H
#define REFRAIN_GRAD_H

#include <refrain/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Only leaves (tensors that no recorded op made) can be told; else RF_E_STATE. Float types only. */
RF_API RF_MUST_USE rf_status rf_tensor_set_requires_grad(rf_tensor *t, int requires_grad);
/* Whether backward gives t a gradient; whether no recorded op made t. */
RF_API int rf_tensor_requires_grad(const rf_tensor *t);
RF_API int rf_tensor_is_leaf(const rf_tensor *t);

/* The precision of products (matmul, linear, conv2d) in this scope and those opened in it later.
 * RF_BF16: their f32 inputs are cast to bf16 and their results back to f32, with sums in f32; casts
 * are recorded, so parameters and gradients stay f32 and no loss needs scaling. A region remembers
 * the precision of its forward. RF_F32 (the start): as they come. Else RF_E_DTYPE. */
RF_API RF_MUST_USE rf_status rf_scope_set_precision(rf_scope *s, rf_dtype products);
RF_API rf_dtype rf_scope_precision(const rf_scope *s);

/* The gradient that backward calls have added up in a leaf; NULL if none (borrowed). */
RF_API rf_tensor *rf_grad(const rf_tensor *t);
/* Drop it, so that the next backward starts afresh. */
RF_API void rf_grad_clear(rf_tensor *t);
/* Replace it by g (its bytes are shared); shapes and types must agree. NULL clears. */
RF_API RF_MUST_USE rf_status rf_grad_set(rf_tensor *t, rf_tensor *g);

/* How a backward runs; NULL uses the graph up and records nothing. */
typedef struct rf_backward_options {
    size_t size;
    rf_tensor *seed;  /* gradient of the result; NULL: ones, for a one-element result      */
    int retain;       /* keep the graph, so that backward can run over it again            */
    int create_graph; /* record the gradients too, for gradients of gradients; so retains  */
    int allow_unused; /* rf_gradients: an input that is not reached gets NULL, no error    */
} rf_backward_options;
#define RF_BACKWARD_OPTIONS_INIT                \
    {                                           \
        sizeof(rf_backward_options), 0, 0, 0, 0 \
    }

/* Add the gradient of loss (one element) to every leaf that it depends on. The graph is used up,
 * and with it the bytes of interior tensors that nobody holds (reading one: RF_E_STALE).
 * A failure leaves no half-added gradient of the leaf at fault; the graph is then used up too. */
RF_API RF_MUST_USE rf_status rf_backward(rf_scope *s, rf_tensor *loss);
/* The same with options; result may have any shape if opts give a seed. */
RF_API RF_MUST_USE rf_status rf_backward_with(rf_scope *s, rf_tensor *result,
                                              const rf_backward_options *opts);
/* The gradients of result for chosen inputs (leaves or not), scoped, one per input; leaves keep
 * their own gradients untouched. Only what the chosen ones need is computed. */
RF_API RF_MUST_USE rf_status rf_gradients(rf_scope *s, rf_tensor *result, const rf_values *inputs,
                                          rf_values *grads, const rf_backward_options *opts);

/* Hooks on saved values: whatever ops save for their backward in a scope (and in those opened in it
 * later) is packed as it is saved and unpacked when backward asks. Of several pairs the innermost
 * applies alone, or, if stacked, hands what it packed to the next one outward: declared order is
 * outside in. Inside a region, pairs of outside see its inputs and what it keeps of outside; pairs
 * of inside see its values, and what a stacked one packs is dropped and recomputed like any value.
 * pack:   *packed (scoped in s, or value itself) is kept in value's stead, and *box, anything of
 *         yours, is kept with it; leave *packed NULL if the box is all. value is not to be changed.
 * unpack: *value (scoped in s) with the shape and type of what was packed.
 * drop:   the box is no longer needed. May be NULL. Not called for a pack that failed. destroy:
 *         likewise the payload. */
typedef struct rf_saved_hooks {
    rf_status (*pack)(void *payload, rf_scope *s, rf_tensor *value, rf_tensor **packed, void **box);
    rf_status (*unpack)(void *payload, rf_scope *s, rf_tensor *packed, void *box,
                        rf_tensor **value);
    void (*drop)(void *payload, void *box);
    void *payload;
    void (*destroy)(void *payload);
    int stacked;
} rf_saved_hooks;
/* On failure the payload is still the caller's. */
RF_API RF_MUST_USE rf_status rf_scope_push_saved_hooks(rf_scope *s, rf_saved_hooks hooks);
/* Save in a tier instead: RF_DEVICE_HOST or RF_DEVICE_FILE. Parameters stay where they are. */
RF_API RF_MUST_USE rf_status rf_scope_push_saved_tier(rf_scope *s, rf_device tier);
/* Take the innermost off that was pushed in this scope; closing it does so for all. */
RF_API RF_MUST_USE rf_status rf_scope_pop_saved_hooks(rf_scope *s);
/* Refuse further pushes here and in scopes opened here (RF_E_STATE, with these words; borrowed).
 * NULL allows them again. */
RF_API void rf_scope_refuse_saved_hooks(rf_scope *s, const char *why);

/* While a guard is open, tensors that backward will read may be changed in place: before the first
 * change of a version that is still needed it is copied, once. The copies go with what needs them.
 * Backward over such a graph after the close is RF_E_STATE. Guards do not nest (RF_E_STATE). */
typedef struct rf_mutation_guard rf_mutation_guard;
RF_API RF_MUST_USE rf_status rf_mutation_guard_open(rf_mutation_guard **out, rf_context *ctx);
/* How many copies were made so far. */
RF_API size_t rf_mutation_guard_clones(const rf_mutation_guard *guard);
RF_API void rf_mutation_guard_close(rf_mutation_guard *guard);

/* While a group is open, all backward calls of its context share what regions recompute: each
 * region runs again at most once for all of them, and what it recomputed is held until it was used
 * or the group closes. The calls must read disjoint saved values, also when the graph is retained;
 * reading one twice is RF_E_CONSUMED, naming the group. Groups do not nest (RF_E_STATE). Backward
 * calls from inside of another backward count for themselves. name is copied. */
typedef struct rf_backward_group rf_backward_group;
RF_API RF_MUST_USE rf_status rf_backward_group_open(rf_backward_group **out, rf_context *ctx,
                                                    const char *name);
RF_API void rf_backward_group_close(rf_backward_group *group);

/* A hook sees the whole gradient of a tensor once per backward, and may put another of the same
 * shape and type in its place (*grad, scoped in s). A failure stops the backward and reaches its
 * caller unchanged. */
typedef struct rf_grad_hook {
    rf_status (*call)(void *payload, rf_scope *s, rf_tensor **grad);
    void *payload;
    void (*destroy)(void *payload);
} rf_grad_hook;
RF_API RF_MUST_USE rf_status rf_tensor_add_grad_hook(rf_tensor *t, rf_grad_hook hook);

/* How many graph nodes are reachable from t, leaves included; 0 for a tensor without a graph. */
RF_API size_t rf_graph_size(const rf_tensor *t);

/* A function of tensors, its payload, and the way to end it. */
typedef struct rf_function {
    rf_status (*call)(void *payload, rf_scope *s, const rf_values *in, rf_values *out);
    void *payload;
    void (*destroy)(void *payload);
} rf_function;

/* How rf_gradcheck compares; NULL and zeros are what is written at each field. */
typedef struct rf_gradcheck_options {
    size_t size;
    double step;      /* 0: 1e-6, for f64                                                   */
    double tolerance; /* 0: 1e-6, relative to 1 + |gradient|                                */
    int second_order; /* check gradients of gradients too                                   */
    size_t outputs;   /* how many results the function has; 0: one                          */
} rf_gradcheck_options;
#define RF_GRADCHECK_OPTIONS_INIT                \
    {                                            \
        sizeof(rf_gradcheck_options), 0, 0, 0, 0 \
    }

/* Compare the function's gradients with central differences, for every f64 input that requires a
 * gradient, weighing the results by fixed pseudo-random weights. RF_E_USER with a message that
 * names input, element and both figures if they disagree. The function must be deterministic. */
RF_API RF_MUST_USE rf_status rf_gradcheck(rf_scope *s, rf_function fn, const rf_values *in,
                                          const rf_gradcheck_options *opts);

#ifdef __cplusplus
}
#endif
#endif
