/* checkpoint.h: the centre. Give activation bytes back after the forward; compute them again when
 * backward asks for them, with the same bits.
 *
 *     rf_checkpoint(block, NULL);
 *
 * A checkpointed region is recorded like any other code: the graph, the outputs and the gradients
 * are the same. But where an op would keep a value that the region itself computed, it keeps only
 * a number. The first time that backward asks for one, the region's function runs again from its
 * inputs, with the generator, the train flag and the wanted gradients of the first time, and the
 * values are computed as they are asked for: what no gradient needs is not computed again. They
 * live until the node that asked has run.
 *
 * What the function may do. It runs once in the forward and once per backward that needs it. In a
 * recompute, tensors have shapes but no bytes until someone reads them:
 *   - reading a value (rf_tensor_item, rf_tensor_copy_out, rf_tensor_data) computes it there and
 *     then, so branches on values take the same way as before;
 *   - in-place ops compute what they change, and everything that still has to read the old value;
 *   - an error that it returns reaches the caller of backward unchanged;
 *   - side effects of its own (printing, counting) happen again. Ask rf_pass_current.
 * Inputs changed in place between forward and backward are RF_E_MUTATED, and so are, for the region
 * of a module, its parameters, train flags and inner hooks; if it was a parameter, the error's
 * message and path name it. What the function reads besides its inputs and its module's parameters
 * must still be alive and unchanged by then.
 *
 * Regions nest to any depth: a value belongs to the innermost region that computed it, the inputs
 * of an inner region are values of the outer one, and every region runs again at most once per
 * backward.
 */
#ifndef REFRAIN_CHECKPOINT_H
#define REFRAIN_CHECKPOINT_H

#include <refrain/module.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The passes of a region. */
typedef enum rf_pass {
    RF_PASS_PLAIN = 0,    /* in no region            */
    RF_PASS_FORWARD = 1,  /* in a region, first time */
    RF_PASS_RECOMPUTE = 2 /* in a region, again      */
} rf_pass;

/* In which pass the code that runs with scope s is. */
RF_API rf_pass rf_pass_current(const rf_scope *s);
/* The same of a context: for kernels, which know no scope (rf_op_call.ctx), and callbacks. A kernel
 * that runs because backward asks for a value again is in the recompute, though the region's
 * function has returned by then; backward rules and gradient hooks are where backward was called.
 */
RF_API rf_pass rf_context_pass(const rf_context *ctx);
/* The number of the run of a region that the code belongs to, of the innermost; 0: of none. Every
 * run has a new one, a recompute too; it is the `region` of the events of trace.h. */
RF_API uint64_t rf_context_region(const rf_context *ctx);

/* What a recompute checks of the values that it saves. */
typedef enum rf_verify {
    RF_VERIFY_DEFAULT = 0, /* shapes                                                         */
    RF_VERIFY_SHAPES = 1,  /* as many values as in the forward, of equal shape, type, device */
    RF_VERIFY_NONE = 2,    /* nothing; a value that does not fit its gradient is RF_E_SHAPE  */
    RF_VERIFY_SAMPLED = 3, /* shapes, and a hash of up to 64 elements of every value         */
    RF_VERIFY_VALUES = 4   /* shapes, and a hash of every element: RF_E_REPLAY_VALUE         */
} rf_verify;

/* What becomes of the results of an op in a region. */
typedef enum rf_fate {
    RF_FATE_RECOMPUTE = 0, /* computed again when backward asks                              */
    RF_FATE_KEEP = 1,      /* kept in memory: neither they nor what only they need runs again */
    RF_FATE_HOST = 2,      /* kept in the processor's memory, in a ledger of its own          */
    RF_FATE_FILE = 3       /* kept in the context's spill file                                */
} rf_fate;

/* One op of a region that has just run, for a policy to look at. Views and in-place ops are not
 * shown. All borrowed, for the length of the call. */
typedef struct rf_policy_op {
    size_t size;
    const char *op;          /* "matmul"                                             */
    const char *path;        /* of the module whose forward runs, from its root      */
    const char *label;       /* of the scope: rf_scope_set_label                     */
    const char *region;      /* the options' label                                   */
    const rf_module *module; /* the region's own, or that which ran around it; may be NULL */
    uint64_t index;          /* of the op in the region, from 0, views and all       */
    const rf_values *in;
    const rf_values *out; /* auxiliaries too; computed, may be read             */
    uint64_t bytes;       /* of out                                             */
    double flops;
} rf_policy_op;

/* Who chooses. choose is called once for every op, in the forward only, after the op; *fate is
 * RF_FATE_RECOMPUTE beforehand. A failure ends the region's forward. */
typedef struct rf_policy {
    rf_status (*choose)(void *payload, const rf_policy_op *op, rf_fate *fate);
    void *payload;
    void (*destroy)(void *payload);
} rf_policy;

/* Run around the region's function in both passes. leave runs whenever enter succeeded, also after
 * an error. An error of enter is returned in the function's stead. */
typedef struct rf_region_hooks {
    rf_status (*enter)(void *payload, rf_scope *s, rf_pass pass);
    void (*leave)(void *payload, rf_scope *s, rf_pass pass, rf_status status);
    void *payload;
    void (*destroy)(void *payload);
} rf_region_hooks;

/* How a region runs; NULL is: no hooks, shapes are checked, random numbers are the same again. */
typedef struct rf_checkpoint_options {
    size_t size;
    rf_region_hooks hooks; /* taken over: destroyed with the module's state or the call     */
    rf_verify verify;
    int fresh_random;  /* do not replay the generator: recompute draws new numbers          */
    int no_early_stop; /* a recompute runs every op as it comes, needed or not              */
    const char *label; /* copied; appears in errors and reports                             */
    /* Selective: who chooses what is kept (taken over like hooks), or, shorter, a text such as
     * "keep=matmul,linear;host=gelu;file=attn.*": after a fate (spill is file too) the names of
     * ops, or of parts of the module (with all that is in them), or @ and a label; * and ? match
     * as in rf_pattern_matches, and the first that fits decides. A name that nothing has is
     * RF_E_ARGUMENT. "keep=#3:linear,#7:gelu" is single ops, by their number in the region
     * (rf_policy_op.index) and their name: a region in which an op of that number is no such op,
     * is a view or in place, or is missing, fails with RF_E_ARGUMENT. Only one of the two. */
    rf_policy policy;
    const char *fates;
    int debug; /* remember the ops of both passes: see rf_mismatch_num */
} rf_checkpoint_options;
#define RF_CHECKPOINT_OPTIONS_INIT                                                               \
    {                                                                                            \
        sizeof(rf_checkpoint_options), {0, 0, 0, 0}, RF_VERIFY_DEFAULT, 0, 0, 0, {0, 0, 0}, 0, 0 \
    }

/* What the last recompute that differed from its forward looked like, if its region was made with
 * debug: the ops of both passes in order, and the number of the first that differs (-1: none).
 * pass is RF_PASS_FORWARD or RF_PASS_RECOMPUTE. */
typedef struct rf_mismatch_op {
    const char *op;   /* borrowed until the next mismatch, as is path */
    const char *path; /* of the module                                */
    size_t rank;      /* of its first result                          */
    int64_t dims[RF_MAX_RANK];
} rf_mismatch_op;
RF_API size_t rf_mismatch_num(const rf_context *ctx, rf_pass pass);
RF_API RF_MUST_USE rf_status rf_mismatch_at(const rf_context *ctx, rf_pass pass, size_t index,
                                            rf_mismatch_op *out);
RF_API int64_t rf_mismatch_first(const rf_context *ctx);

/* Make every call of m a region from now on. In place; names, class and structure stay. Applied
 * through the contract: twice is RF_E_APPLIED. A deep copy of m is checkpointed too, with a state
 * of its own; it shares the payload of opts->hooks, which ends with the last that uses it. */
RF_API RF_MUST_USE rf_status rf_checkpoint(rf_module *m, const rf_checkpoint_options *opts);
/* Take it away. RF_E_NOT_FOUND if m is not checkpointed. Graphs already recorded stay valid, but
 * for those of regions around m, which would now run something else: RF_E_MUTATED. */
RF_API RF_MUST_USE rf_status rf_checkpoint_clear(rf_module *m);
/* Let m refuse: wherever it stands in a region, what its slots need is kept, and its results, so
 * that nothing of it is computed again. Regions inside of it stay regions. RF_E_CONFLICT with
 * rf_checkpoint on m itself. Undone by rf_checkpoint_never_clear (RF_E_NOT_FOUND). */
RF_API RF_MUST_USE rf_status rf_checkpoint_never(rf_module *m);
RF_API RF_MUST_USE rf_status rf_checkpoint_never_clear(rf_module *m);

/* Whether calls of m itself are regions. */
RF_API int rf_checkpoint_applied(const rf_module *m);
/* The descriptor of this API, for rf_api_state and lists of conflicts. */
RF_API extern const rf_api rf_checkpoint_api;

/* Which modules of a tree; path is from the walk's root. Not zero: this one. */
typedef struct rf_module_predicate {
    int (*match)(void *payload, const char *path, rf_module *m);
    void *payload;
} rf_module_predicate;

/* rf_checkpoint on every module below root (never root itself) that which.match chooses, each once;
 * where a parent and a part of it match, regions nest. All or none: if one cannot be (RF_E_APPLIED
 * where one is checkpointed already) nothing has changed. match must leave the tree as it is. Each
 * can be cleared alone; they share the payload of opts->hooks, which ends with the last that uses
 * it. *applied (may be NULL) is how many were checkpointed; none is no failure. */
RF_API RF_MUST_USE rf_status rf_checkpoint_where(rf_module *root, rf_module_predicate which,
                                                 const rf_checkpoint_options *opts,
                                                 size_t *applied);

/* A run of children of a sequential container (rf_nn_sequential) that is to be a region. */
typedef struct rf_range {
    size_t first, count;
    const rf_checkpoint_options *region; /* its own; NULL: the call's */
} rf_range;

/* How many ranges may stand around a child. */
enum { RF_RANGE_DEPTH = 512 };

/* Make every call of a sequential container run these ranges of its children as regions. The list
 * is in the order of the first child, an outer range before those inside of it. A range inside of a
 * range is a region in that region, ranges that do not touch follow each other, children in no
 * range run plainly, and those that are checkpointed themselves are regions inside of all that.
 * A range of depth d (0: inside of no other) runs again at most d + 1 times in a backward.
 * RF_E_ARGUMENT for no range at all, an empty one, one past the last child, one twice, a list in
 * another order, ranges that overlap, more than RF_RANGE_DEPTH around a child, and for a module
 * that is no sequential container; RF_E_CONFLICT with rf_checkpoint and rf_checkpoint_sequential on
 * m. Where ranges share options (opts is all those's that have none) they share hooks and policy,
 * which are taken over once, also on failure. Ranges are of the children as they are now: a call
 * after m got or lost one is RF_E_STATE. A deep copy of m has the same ranges. */
RF_API RF_MUST_USE rf_status rf_checkpoint_ranges(rf_module *m, const rf_range *ranges, size_t num,
                                                  const rf_checkpoint_options *opts);
/* How many ranges of m are regions by rf_checkpoint_ranges. */
RF_API size_t rf_checkpoint_ranges_num(const rf_module *m);
/* Range number index, as it was given; out->region is what its settings are now (fates are a
 * policy), borrowed until they are cleared, to be read alone. RF_E_NOT_FOUND if m has no ranges,
 * RF_E_ARGUMENT if it has none of that index. */
RF_API RF_MUST_USE rf_status rf_checkpoint_ranges_report(const rf_module *m, size_t index,
                                                         rf_range *out);
/* Take them away. RF_E_NOT_FOUND if m has no ranges. Graphs already recorded stay valid. */
RF_API RF_MUST_USE rf_status rf_checkpoint_ranges_clear(rf_module *m);

/* How a sequential container is run in segments. */
typedef struct rf_sequential_options {
    size_t size;
    size_t segments; /* how many: from 1 to as many as there are children                    */
    int tail;        /* make the last segment a region too                                   */
    const rf_checkpoint_options *region; /* of every region; NULL: defaults. Its hooks are
                                            taken over, also on failure                      */
} rf_sequential_options;
#define RF_SEQUENTIAL_OPTIONS_INIT             \
    {                                          \
        sizeof(rf_sequential_options), 1, 0, 0 \
    }

/* Ranges by rule: make a sequential container run as `segments` groups of children, as even as
 * floor(n / segments) allows: all but the last are regions, the last takes the rest and is plain
 * (unless opts->tail). segments 1 without tail means no region at all. RF_E_ARGUMENT for 0, for
 * more segments than children, and for a module that is no sequential container. Cleared by
 * rf_checkpoint_sequential_clear. */
RF_API RF_MUST_USE rf_status rf_checkpoint_sequential_with(rf_module *m,
                                                           const rf_sequential_options *opts);
/* The same with a plain last segment. */
RF_API RF_MUST_USE rf_status rf_checkpoint_sequential(rf_module *m, size_t segments,
                                                      const rf_checkpoint_options *opts);
/* One segment: which children it runs, and whether it is a region. */
typedef struct rf_segment {
    size_t first, count;
    int checkpointed;
} rf_segment;
/* In how many segments m is run; 0: in none. */
RF_API size_t rf_checkpoint_sequential_num(const rf_module *m);
/* The split as a call of m would make it now (it may have got or lost children since).
 * RF_E_NOT_FOUND if m is not run in segments, RF_E_ARGUMENT if it has no segment of that index. */
RF_API RF_MUST_USE rf_status rf_checkpoint_sequential_report(const rf_module *m, size_t index,
                                                             rf_segment *out);
/* Take that away. RF_E_NOT_FOUND if m is not run in segments. */
RF_API RF_MUST_USE rf_status rf_checkpoint_sequential_clear(rf_module *m);

/* Run fn as a region, once. fn.payload must stay valid until the graph is gone; fn.destroy, if
 * given, is then called with it. */
RF_API RF_MUST_USE rf_status rf_checkpoint_call(rf_scope *s, rf_function fn, const rf_values *in,
                                                rf_values *out, const rf_checkpoint_options *opts);

/* Name what is computed in this scope and those opened in it from now on, for policies; NULL: no
 * name. Borrowed. */
RF_API void rf_scope_set_label(rf_scope *s, const char *label);

/* For this scope and those opened in it: early stop off (0), on (1), or as the options say (-1).
 * What counts is the setting when the region's forward runs. */
RF_API void rf_scope_set_early_stop(rf_scope *s, int setting);

#ifdef __cplusplus
}
#endif
#endif
