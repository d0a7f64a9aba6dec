/* optim.h: optimisers, schedules, clipping. State is allocated when the optimiser is created. */
#ifndef REFRAIN_OPTIM_H
#define REFRAIN_OPTIM_H

#include <refrain/module.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An optimiser of the parameters of a module. */
typedef struct rf_optim rf_optim;

/* Options of the parameters whose path from the module matches the pattern ('*' stands for any run
 * of characters, '?' for one); the first group that matches decides, else the optimiser's own
 * figures stand. A NaN field stands for "as the optimiser". */
typedef struct rf_param_group {
    const char *pattern;
    double lr_scale; /* multiplies the learning rate; 0 freezes the step of the group   */
    double weight_decay;
} rf_param_group;

/* Options of stochastic gradient descent; NULL is plain, with lr 1e-2. */
typedef struct rf_sgd_options {
    size_t size;
    double lr; /* 0: 1e-2 */
    double momentum;
    double dampening;
    double weight_decay; /* added to the gradient */
    int nesterov;
    const rf_param_group *groups; /* copied */
    size_t num_groups;
    rf_device moments; /* where momenta wait between steps: see below */
} rf_sgd_options;
#define RF_SGD_OPTIONS_INIT                                        \
    {                                                              \
        sizeof(rf_sgd_options), 0, 0, 0, 0, 0, 0, 0, RF_DEVICE_CPU \
    }

/* p -= lr (momentum b + ...): v = momentum v + (1 - dampening) g; p -= lr v. */
RF_API RF_MUST_USE rf_status rf_optim_sgd(rf_optim **out, rf_module *m, const rf_sgd_options *opts);

/* Options of AdamW; zeros are what is written at each field. */
typedef struct rf_adamw_options {
    size_t size;
    double lr;           /* 0: 1e-3  */
    double beta1, beta2; /* 0: 0.9, 0.999 */
    double eps;          /* 0: 1e-8  */
    double weight_decay; /* decoupled: p -= lr weight_decay p (Loshchilov & Hutter 2019) */
    const rf_param_group *groups;
    size_t num_groups;
    rf_device moments; /* where m and v wait between steps: see below */
} rf_adamw_options;
#define RF_ADAMW_OPTIONS_INIT                                        \
    {                                                                \
        sizeof(rf_adamw_options), 0, 0, 0, 0, 0, 0, 0, RF_DEVICE_CPU \
    }
/* AdamW over the parameters of m that require a gradient (owned). */
RF_API RF_MUST_USE rf_status rf_optim_adamw(rf_optim **out, rf_module *m,
                                            const rf_adamw_options *opts);

/* Where moments wait between steps: RF_DEVICE_CPU (zero) is beside their parameter, in memory.
 * RF_DEVICE_FILE is the spill file of the context (spill_folder), with the same bits, as long as
 * the disk does what it should: the file gets room for all of them when the optimiser is created
 * (RF_E_IO if the folder or the room is not there); in memory are three buffers of at most 4 MiB
 * each, whatever the model's size, and the file's own. A step reads each parameter's moments as it
 * comes to it and writes them back, the next ones being read and the last ones written meanwhile;
 * after a step all of it is in the file. The ledger has the buffers as optimiser's on the
 * processor, and the moments as optimiser's in RF_DEVICE_FILE.
 *
 * A step that can't read or write there is RF_E_IO. If nothing but the read of moments failed that
 * are at most 4 MiB, their parameter and all that were not moved yet are as they were. Otherwise
 * moments are lost, the parameter at hand may have been moved in part, and every later step is
 * RF_E_IO too, until rf_state_load gives back a saved state. Other places are RF_E_ARGUMENT. */

/* Parameters that do not require a gradient when the optimiser is created get no state and are
 * never touched. Parameters without a gradient at a step are skipped. */
RF_API RF_MUST_USE rf_status rf_optim_step(rf_optim *opt);
/* How backward and step run in one; NULL and zeros are the defaults. */
typedef struct rf_optim_backward_options {
    size_t size;
    rf_tensor *seed; /* gradient of the loss; NULL: one, for a one-element loss               */
    double max_norm; /* not above 0, else RF_E_UNSUPPORTED: to clip, all gradients must be there
                        before the first is applied                                           */
} rf_optim_backward_options;
#define RF_OPTIM_BACKWARD_OPTIONS_INIT          \
    {                                           \
        sizeof(rf_optim_backward_options), 0, 0 \
    }

/* rf_backward, rf_optim_step and rf_optim_zero_grad in one, with the same bits in parameters, state
 * and counters; but each gradient is applied and given back the moment it is whole (after all uses
 * of the parameter, its hooks, and the sum with a gradient that was there before), so that all of
 * them are never held at once. A parameter that a checkpointed region read, with a gradient or
 * without (under rf_detach, or by rf_tensor_item), or that is in its module, is applied when the
 * outermost region is done, as a recompute reads it; one whose bytes something else has saved (as
 * under rf_detach), or that the loss does not reach but that has a gradient, at the end.
 * Gradients of tensors that are not the optimiser's are added up as rf_backward does.
 *
 * RF_E_STATE inside a region, another backward or a group of them, and where a hook's own backward
 * gives a gradient to a parameter that was applied already. After a failure that came before the
 * backward (those above, a loss without a gradient, no memory for the list) nothing has changed.
 * After any other, the parameters whose gradients were whole by then and nothing waited for have
 * been applied, state and counter too; all others are as they were, rf_optim_steps as well, and
 * those whose gradient was whole still have it. Restoring a saved state is the way back. */
RF_API RF_MUST_USE rf_status rf_optim_backward(rf_optim *opt, rf_scope *s, rf_tensor *loss,
                                               const rf_optim_backward_options *opts);
/* Drop the gradients of the optimiser's parameters. */
RF_API void rf_optim_zero_grad(rf_optim *opt);
/* The learning rate from the next step on. */
RF_API void rf_optim_set_lr(rf_optim *opt, double lr);
RF_API double rf_optim_lr(const rf_optim *opt);
RF_API uint64_t rf_optim_steps(const rf_optim *opt); /* steps taken */
/* End it and its state; the module stays. NULL is fine. */
RF_API void rf_optim_destroy(rf_optim *opt);

/* The state by name ("step", "h.0.attn.c_attn.weight/m" ...), for saving and restoring: visit in a
 * fixed order; tensors are borrowed and may be overwritten. Moments that wait in a file are handed
 * out as copies in memory that live as long as their visit and are written back after it, one at a
 * time. */
RF_API rf_status rf_optim_each_state(rf_optim *opt, rf_tensor_visitor visit, void *payload);
/* Say how many steps were taken, after restoring a state. */
RF_API void rf_optim_set_steps(rf_optim *opt, uint64_t steps);

/* The 2-norm of all gradients together; if above max_norm they are scaled by max_norm / norm. The
 * sum runs in a fixed order, so it is the same every time. max_norm <= 0 only measures. */
RF_API RF_MUST_USE rf_status rf_clip_grad_norm(rf_module *m, double max_norm, double *norm);

/* Learning rate as a function of the step (0, 1, ...): rises linearly over warmup steps to peak,
 * then falls to final at step total, linearly or as a half cosine, and stays there. */
typedef enum rf_schedule_kind {
    RF_SCHEDULE_CONSTANT,
    RF_SCHEDULE_LINEAR,
    RF_SCHEDULE_COSINE
} rf_schedule_kind;
typedef struct rf_schedule {
    rf_schedule_kind kind;
    double peak, final;
    uint64_t warmup, total;
} rf_schedule;
RF_API double rf_schedule_at(const rf_schedule *schedule, uint64_t step);

#ifdef __cplusplus
}
#endif
#endif
