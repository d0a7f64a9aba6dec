/* plan.h: train in so many bytes, as fast as they allow.
 *
 *     rf_plan *plan;
 *     rf_plan_options opts = RF_PLAN_OPTIONS_INIT;
 *     opts.budget = 600 << 20;
 *     rf_plan_create(&plan, model, &(rf_training_step){my_step, &my_state}, &opts);
 *     rf_plan_apply(plan, model);
 *
 * A plan says which parts of a model are regions, what each keeps, and what the dials of its
 * modules are set to (rf_dial, such as how many of its logits a GPT-2 keeps). It is found by
 * running the caller's step dry (predict.h) with thousands of candidates: so its peak is true, to
 * the byte, and a budget is held or refused before the first real step. It is carried out by
 * rf_checkpoint, rf_checkpoint_ranges and rf_module_set_dial, as a user would by hand, and the bits
 * are those without it.
 *
 * A plan is no part of what it plans: its own memory comes from the allocator beside the ledger.
 *
 * The model stands as it is meant to train: optimiser made, no rf_checkpoint on the parts that a
 * plan is to decide about (what is checkpointed already stays as it is, and so does a dial that was
 * turned).
 */
#ifndef REFRAIN_PLAN_H
#define REFRAIN_PLAN_H

#include <refrain/module.h>
#include <refrain/costs.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A plan. */
typedef struct rf_plan rf_plan;

/* Tiers in which values may wait for backward: bits of rf_plan_options.tiers. */
typedef enum rf_plan_tier {
    RF_PLAN_HOST = 1, /* RF_FATE_HOST: more of the processor's memory, beside the budget */
    RF_PLAN_FILE = 2  /* RF_FATE_FILE: the context's spill file                          */
} rf_plan_tier;

/* How to plan. */
typedef struct rf_plan_options {
    size_t size;
    uint64_t budget; /* bytes of RF_MEM_ALL on the processor: all that the context holds; 0: only
                        the curve is found, and the plan is the fastest                         */
    rf_costs *costs; /* what ops cost; NULL: measured now, within five seconds; what was measured
                        in this context before is known still                                   */
    double seconds;  /* to spend on the search at most; 0: 10                                  */
    int no_pool;     /* rf_planner_step leaves the context's memory as it is                   */
    unsigned tiers;  /* besides keeping and computing again; 0: none                           */
} rf_plan_options;
#define RF_PLAN_OPTIONS_INIT                   \
    {                                          \
        sizeof(rf_plan_options), 0, 0, 0, 0, 0 \
    }

/* Find a plan for the step (owned). RF_E_BUDGET if there is none: rf_error's limit_needed is the
 * smallest budget that works. Errors of rf_predict. */
RF_API RF_MUST_USE rf_status rf_plan_create(rf_plan **out, rf_module *m,
                                            const rf_training_step *step,
                                            const rf_plan_options *opts);
/* End it; what it was applied to stays as it is. NULL is fine. */
RF_API void rf_plan_destroy(rf_plan *plan);

/* Make the parts of m regions as the plan says: all of them, or none (RF_E_NOT_FOUND where m has no
 * such part, RF_E_APPLIED where one is checkpointed or turned already). A plan that was made for
 * another model with such parts fails when its first step runs: RF_E_ARGUMENT, by name. */
RF_API RF_MUST_USE rf_status rf_plan_apply(const rf_plan *plan, rf_module *m);
/* Take it away again. */
RF_API RF_MUST_USE rf_status rf_plan_clear(const rf_plan *plan, rf_module *m);

/* The same plan (owned) for models in another context, or in this one: one that was found in a dry
 * context is carried out where there are bytes. */
RF_API RF_MUST_USE rf_status rf_plan_copy(rf_plan **out, const rf_plan *plan, rf_context *ctx);

/* What is known of a plan. */
typedef struct rf_plan_info {
    uint64_t budget;     /* that was asked for; 0: none                                      */
    uint64_t peak;       /* of the step with it, as rf_prediction.peak[RF_MEM_ALL]           */
    double seconds;      /* of the step with it, by costs                                    */
    uint64_t plain_peak; /* the same without any plan                                        */
    double plain_seconds;
    uint64_t smallest; /* the smallest budget for which a plan is known; 0: not looked for */
    uint64_t bound;    /* no plan can have a smaller peak                                  */
    uint64_t tries;    /* candidates that were run                                         */
} rf_plan_info;
RF_API rf_plan_info rf_plan_info_of(const rf_plan *plan);

/* One part: a module, a run of the children of a sequential container, or a module's dial. */
typedef struct rf_plan_part {
    const char *path;    /* from the model's root: "h.3" (borrowed)                            */
    size_t first, count; /* of a container's children; count 0: the module itself              */
    const char *fates;   /* as in rf_checkpoint_options; "": nothing is kept (borrowed)        */
    const char *dial;    /* the name of the dial; NULL: the part is a region (borrowed)        */
    uint64_t bytes;      /* that the dial keeps at most                                        */
} rf_plan_part;
RF_API size_t rf_plan_num_parts(const rf_plan *plan);
RF_API rf_plan_part rf_plan_part_at(const rf_plan *plan, size_t index);

/* The curve: for each peak the fewest seconds, by rising peak and falling time. */
typedef struct rf_plan_point {
    uint64_t peak;
    double seconds;
} rf_plan_point;
RF_API size_t rf_plan_num_points(const rf_plan *plan);
RF_API rf_plan_point rf_plan_point_at(const rf_plan *plan, size_t index);

/* As lines for people: a table of the parts, and the curve. */
RF_API RF_MUST_USE rf_status rf_plan_text(const rf_plan *plan, rf_write sink);

/* A plan of somebody's own, or from a file: parts one by one (path and fates are copied; a list of
 * ranges of one container as rf_checkpoint_ranges wants it), and then what rf_predict tells of it
 * when it is applied to m. */
RF_API RF_MUST_USE rf_status rf_plan_begin(rf_plan **out, rf_context *ctx);
RF_API RF_MUST_USE rf_status rf_plan_add_part(rf_plan *plan, const rf_plan_part *part);
/* Run step dry with the plan on m, which is then as before; budget 0: any peak will do, else
 * RF_E_BUDGET where it is more. */
RF_API RF_MUST_USE rf_status rf_plan_check(rf_plan *plan, rf_module *m,
                                           const rf_training_step *step, uint64_t budget);

/* ---- one pool -------------------------------------------------------------------------------- */
/* Let all tensors of ctx on the processor lie in one pool of so many bytes (the budget; 0: what was
 * ever in use at once), so that the process holds no more than the ledger says: step runs dry, as
 * the model is now, and each block of it gets its place beforehand. Call it when the plan is
 * applied, and rf_pool_step at the start of every step; what was not foreseen finds room behind.
 * After the first step no page comes or goes. Once more is fine: for another step.
 * RF_E_STATE where the context's memory is the caller's own, or it is dry; RF_E_MEMORY where the
 * system gives no addresses. The context then goes on without. */
RF_API RF_MUST_USE rf_status rf_pool_use(rf_context *ctx, uint64_t bytes,
                                         const rf_training_step *step);
/* A step begins. Nothing without a pool. */
RF_API void rf_pool_step(rf_context *ctx);

/* ---- files ----------------------------------------------------------------------------------- */
/* A plan as JSON, which may be read, edited by hand and used on another machine:
 *
 *   {"format": "refrain-plan", "version": 1,
 *    "budget": 629145600, "peak": 628923456, "nanoseconds": 1520000000,
 *    "plain_peak": 1073741824, "plain_nanoseconds": 1480000000, "smallest": 0, "bound": 0,
 *    "parts": [{"path": "h", "first": 0, "count": 3, "fates": ""},
 *              {"path": "h.3.mlp", "fates": "keep=linear"},
 *              {"path": "", "dial": "logits", "bytes": 8388608}],
 *    "curve": [{"peak": 628923456, "nanoseconds": 1520000000}]}
 *
 * Parts alone are what a plan does; its figures are what was foretold where it was made, and may be
 * left out: rf_plan_check tells them anew. The file is written atomically. */
RF_API RF_MUST_USE rf_status rf_plan_save(const rf_plan *plan, const char *path);
/* Read one (owned), for a model in ctx. A file that is anything else is RF_E_FORMAT, and the
 * message says what is wrong and where; RF_E_IO if it can't be read. */
RF_API RF_MUST_USE rf_status rf_plan_load(rf_plan **out, rf_context *ctx, const char *path);

/* ---- shapes that change ---------------------------------------------------------------------- */
/* Plans for a model whose steps have different shapes: one for each, made when it first comes. */
typedef struct rf_planner rf_planner;

/* A planner for m (owned; end it before m). opts is copied: its budget is each shape's, its costs
 * stay the caller's. */
RF_API RF_MUST_USE rf_status rf_planner_create(rf_planner **out, rf_module *m,
                                               const rf_plan_options *opts);
/* Take its plan off the model, and end it. NULL is fine. */
RF_API void rf_planner_destroy(rf_planner *planner);

/* What tells steps apart: sizes of the caller's choice, such as batch and context. */
typedef struct rf_step_shape {
    const int64_t *sizes;
    size_t num; /* at most 16 */
} rf_step_shape;
/* Run step with the plan for its shape: planned now if it is the first of its kind. RF_E_BUDGET
 * where no plan is small enough: the message names the shape, limit_needed is its smallest budget,
 * and the step did not run. */
RF_API RF_MUST_USE rf_status rf_planner_step(rf_planner *planner, rf_step_shape shape,
                                             const rf_training_step *step);
/* The plan that is on the model now (borrowed); NULL: none. How many shapes were planned. */
RF_API const rf_plan *rf_planner_current(const rf_planner *planner);
RF_API size_t rf_planner_num(const rf_planner *planner);

#ifdef __cplusplus
}
#endif
#endif
