/* module.h: parts of a model, and the contract by which APIs compose on them.
 *
 * A module has parameters, buffers and children under names; a path such as "h.3.mlp.weight" finds
 * them. It owns its children and parameters; the root belongs to the user. Calling a module opens a
 * scope for it, runs its pre-hooks, its forward, and its post-hooks, and keeps its outputs for the
 * caller.
 */
#ifndef REFRAIN_MODULE_H
#define REFRAIN_MODULE_H

#include <refrain/grad.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What may happen again when a region that a module runs in is recomputed. ONCE: its results and
 * what its slots need are kept; not in a region inside of a region (RF_E_UNSUPPORTED). */
typedef enum rf_effect {
    RF_EFFECT_REPLAY = 0, /* its forward runs again, effects and all        */
    RF_EFFECT_ONCE = 1,   /* it does not run again                          */
    RF_EFFECT_FORBID = 2  /* it must not run in a region: RF_E_UNSUPPORTED  */
} rf_effect;

/* A dial of a class: how many bytes of its own a module's forward keeps for its backward, which
 * computes the others again. At every setting the ops, their results and gradients are the same, to
 * the bit; only an op's own form differs. A plan (plan.h) turns the dials that nobody has turned.
 * set: from the next call on, keep at most so many bytes; RF_DIAL_ALL: all; RF_DIAL_AUTO: what the
 *   module thinks right, as it does at first.
 * get: what was set. */
typedef struct rf_dial {
    const char *name; /* of what is kept: "logits" */
    void (*set)(rf_module *m, uint64_t bytes);
    uint64_t (*get)(const rf_module *m);
} rf_dial;
#define RF_DIAL_AUTO UINT64_MAX
#define RF_DIAL_ALL  (UINT64_MAX - 1)

/* What a kind of module is. Only forward is required.
 * forward: in->v[0 .. in->num-1] may hold NULLs; fill out->v[0 .. out->num-1] (NULL beforehand)
 *   with tensors of scope s, or from outside it. out->num is what the caller asks for.
 * copy:    make the self of a deep copy; NULL: self is shared as it is (fine for constants).
 *   Children and parameters are copied by the library; use rf_module_find on the new module lazily.
 * destroy: end self. */
typedef struct rf_module_class {
    size_t size;
    const char *name; /* "Linear"; must outlive the module */
    rf_status (*forward)(rf_module *m, rf_scope *s, const rf_values *in, rf_values *out);
    rf_status (*copy)(rf_module *m, void **self_out);
    void (*destroy)(void *self);
    rf_effect effect;    /* what its forward does besides its results */
    const rf_dial *dial; /* NULL: none                                */
} rf_module_class;

/* Create a module (owned). cls must outlive it. On success the module owns self. */
RF_API RF_MUST_USE rf_status rf_module_create(rf_module **out, rf_context *ctx,
                                              const rf_module_class *cls, void *self);
/* End a module and all that it owns. A module inside a parent is first taken out of it. A graph
 * that still needs it for a recompute fails with RF_E_STALE, and does not crash. NULL is fine. */
RF_API void rf_module_destroy(rf_module *m);

/* What the module was made with: its self, its class, its context (all borrowed). */
RF_API void *rf_module_self(const rf_module *m);
RF_API const rf_module_class *rf_module_class_of(const rf_module *m);
RF_API rf_context *rf_module_context(const rf_module *m);
RF_API rf_module *rf_module_parent(const rf_module *m); /* borrowed; NULL at the root          */
RF_API const char *rf_module_name(const rf_module *m);  /* inside its parent; "" at the root   */

/* ---- names --------------------------------------------------------------------------------- */
/* Names are non-empty, without dots, and unique in a module; else RF_E_ARGUMENT. add_param holds t
 * (the caller may drop its own hold) and makes it a leaf that requires a gradient. Adding the same
 * tensor to several modules ties them. Buffers are saved with a model and never get gradients
 * (RF_E_STATE for a tensor that wants one). Either is of class PARAM from then on. */
RF_API RF_MUST_USE rf_status rf_module_add_param(rf_module *m, const char *name, rf_tensor *t);
RF_API RF_MUST_USE rf_status rf_module_add_buffer(rf_module *m, const char *name, rf_tensor *t);
/* Put t in the place of the parameter `name` of m itself, as add_param would add it; ties with
 * other places are not followed. RF_E_NOT_FOUND if m has none of that name. */
RF_API RF_MUST_USE rf_status rf_module_set_param(rf_module *m, const char *name, rf_tensor *t);
/* The parent takes the child over (when this fails the child is still the caller's). */
RF_API RF_MUST_USE rf_status rf_module_add_child(rf_module *m, const char *name, rf_module *child);

/* By path from m; "" is m itself; NULL if there is none (borrowed). */
RF_API rf_module *rf_module_find(rf_module *m, const char *path);
RF_API rf_tensor *rf_module_param(const rf_module *m, const char *path);
RF_API rf_tensor *rf_module_buffer(const rf_module *m, const char *path);
/* How many children m has itself. */
RF_API size_t rf_module_num_children(const rf_module *m);
RF_API rf_module *rf_module_child(const rf_module *m,
                                  size_t index); /* in order of adding; borrowed */
/* Write m's path from its root ("" for the root) to buffer; returns the length it needs without
 * the final zero, as snprintf does. */
RF_API size_t rf_module_path(const rf_module *m, char *buffer, size_t bytes);

/* Visit every module of the tree (parents first), or every parameter, or every buffer, in order of
 * adding, with its path from m. A parameter tied to several places is visited once, at its first
 * path, unless all_paths. A visitor's failure ends the walk and is returned. */
typedef rf_status (*rf_module_visitor)(void *payload, const char *path, rf_module *m);
typedef rf_status (*rf_tensor_visitor)(void *payload, const char *path, rf_tensor *t);
RF_API rf_status rf_module_each(rf_module *m, rf_module_visitor visit, void *payload);
RF_API rf_status rf_module_each_param(rf_module *m, int all_paths, rf_tensor_visitor visit,
                                      void *payload);
RF_API rf_status rf_module_each_buffer(rf_module *m, rf_tensor_visitor visit, void *payload);

/* ---- calling ------------------------------------------------------------------------------- */
/* Run m on in->num tensors for out->num results, which are kept in s. */
RF_API RF_MUST_USE rf_status rf_module_call(rf_module *m, rf_scope *s, const rf_values *in,
                                            rf_values *out);
/* One tensor in, one out; an expression: NULL in, NULL out. */
RF_API rf_tensor *rf_module_call1(rf_module *m, rf_scope *s, rf_tensor *x);

/* Set the dial of m itself that has this name; RF_E_NOT_FOUND if it has none. Between a call and
 * its backward it is a change: RF_E_MUTATED in a region. */
RF_API RF_MUST_USE rf_status rf_module_set_dial(rf_module *m, const char *name, uint64_t bytes);
/* The dial of m itself; NULL: it has none. */
RF_API const rf_dial *rf_module_dial(const rf_module *m);

/* Training (the default) or evaluation, for the whole tree: dropout looks at it. */
RF_API void rf_module_train(rf_module *m, int training);
RF_API int rf_module_training(const rf_module *m);

/* Hooks run in order of adding, outside any region of the module itself: once per forward, never
 * again in a recompute of this module (but again in a recompute of a region around it).
 * pre:  may replace entries of in. A failure ends the call: later pre-hooks and forward don't run.
 * post: may replace entries of out; runs after a failure too (status tells it) unless it was its
 *   own pre that failed or never ran, and cannot turn a failure into a success.
 * Hooks that are added during a call run from the next one on. */
typedef struct rf_module_hook {
    rf_status (*pre)(void *payload, rf_module *m, rf_scope *s, rf_values *in);
    rf_status (*post)(void *payload, rf_module *m, rf_scope *s, rf_values *out, rf_status status);
    void *payload;
    rf_status (*copy)(void *payload, void **payload_out); /* for deep copies; NULL: shared */
    void (*destroy)(void *payload); /* a shared payload ends with the last module that has it */
} rf_module_hook;
/* *id (may be NULL) is for taking it away again, which a hook may do to itself while it runs. On
 * failure the payload is still the caller's. */
RF_API RF_MUST_USE rf_status rf_module_add_hook(rf_module *m, rf_module_hook hook, uint64_t *id);
RF_API RF_MUST_USE rf_status rf_module_remove_hook(rf_module *m, uint64_t id);

/* A copy of the tree with parameters and buffers of its own, tied where they were tied, and with
 * hooks and applied APIs (each with a state of its own) in place (owned). */
RF_API RF_MUST_USE rf_status rf_module_copy(rf_module **out, rf_module *m);

/* ---- the contract -------------------------------------------------------------------------- */
/* A composable API is applied to a module after its construction, in place. It may add hooks and
 * change parameters; it may not change a name, or the order of names, of any parameter, buffer or
 * module in the tree (RF_E_NAMES). Each API is applied at most once to a module (RF_E_APPLIED); two
 * APIs are told apart by their descriptor's address, not by their spelling. Shapes, types and
 * parameter objects may change, unless strict. If apply fails, or a check after it, everything in
 * the tree is as it was before: hooks, parameters and whether they want gradients, buffers, train
 * flags, and the APIs that apply itself applied. So that this can be, nothing that stood before may
 * be taken away meanwhile: removing such a hook or API is RF_E_STATE, and destroying a module of
 * the tree does nothing and makes the API fail (RF_E_NAMES).
 *
 * apply:  do it; state is the one made for this call, shared by all modules of the call.
 * remove: undo it (also called when a later check fails). NULL: the API cannot be removed.
 * copy:   a state for a deep copy; NULL: RF_E_UNSUPPORTED when such a module is copied.
 * conflicts: a NULL-terminated list of descriptors it refuses to share a module with; or NULL. */
typedef struct rf_api rf_api;
struct rf_api {
    size_t size;
    const char *name; /* "checkpoint" */
    rf_status (*apply)(void *state, rf_module *const *modules, size_t num, const void *opts);
    void (*remove)(void *state, rf_module *const *modules, size_t num);
    rf_status (*copy)(void *state, rf_context *ctx, void **state_out);
    void (*destroy)(void *state);
    const rf_api *const *conflicts;
    int strict; /* also refuse changes of shapes, types and identity of parameters */
};

/* Apply api to a list of modules at once: one state, registered on each of them. state becomes the
 * library's (also on failure: api->destroy is called). */
RF_API RF_MUST_USE rf_status rf_api_apply(const rf_api *api, rf_module *const *modules, size_t num,
                                          void *state, const void *opts);
/* Take it away from the whole group that m was given it with. RF_E_NOT_FOUND, RF_E_UNSUPPORTED. */
RF_API RF_MUST_USE rf_status rf_api_remove(const rf_api *api, rf_module *m);
/* The state that applying api to m made (borrowed, the same pointer every time); NULL if never. */
RF_API void *rf_api_state(const rf_api *api, const rf_module *m);
/* The APIs applied to m itself, in order. */
RF_API size_t rf_module_num_apis(const rf_module *m);
RF_API const rf_api *rf_module_api(const rf_module *m, size_t index);

#ifdef __cplusplus
}
#endif
#endif
