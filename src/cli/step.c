/* step.c: see step.h. This is what a training loop looks like to any user of the library. */
#include "cli/step.h"

#include <math.h>
#include <stdlib.h>

#include <refrain/predict.h>

enum { STEP_HELD_OUT_BATCHES = 16 };

/* One of the batches that make a step. */
typedef struct step_part {
    double share; /* of its loss in the step's */
    int applies;  /* its backward moves the parameters */
    double loss;  /* sum over the parts so far */
} step_part;

/* A scope in which products have the run's precision. */
static rf_status step_open(const session *s, rf_scope **scope)
{
    rf_status status = rf_scope_open(scope, s->ctx, NULL);
    if (status || s->options->precision == TRAIN_PRECISION_F32)
        return status;
    status = rf_scope_set_precision(*scope, RF_BF16);
    if (status)
        rf_scope_close(*scope);
    return status;
}

/* The model's mean loss of a batch, in scope; NULL on failure. */
static rf_tensor *step_loss(session *s, rf_scope *scope, rf_tensor *ids, rf_tensor *targets)
{
    rf_tensor *inputs[2] = {ids, targets}, *loss = NULL;
    rf_values in = {inputs, 2}, out = {&loss, 1};
    return rf_module_call(s->model, scope, &in, &out) ? NULL : loss;
}

/* A loss's value; a dry run has none. */
static rf_status step_read(const session *s, rf_tensor *loss, double *value)
{
    *value = 0;
    return rf_context_dry(s->ctx) ? RF_OK : rf_tensor_item(loss, value);
}

/* Forward and backward. */
static rf_status step_batch_of(session *s, rf_scope *scope, rf_tensor *const *batch,
                               step_part *part)
{
    double value;
    rf_status status;
    rf_tensor *loss = step_loss(s, scope, batch[0], batch[1]);
    if (!loss)
        return rf_scope_status(scope) ? rf_scope_status(scope) : rf_context_error(s->ctx)->code;
    status = step_read(s, loss, &value); /* before backward, which uses the loss up */
    if (status)
        return status;
    if (!isfinite(value))
        return rf_scope_fail(scope, RF_E_USER, "the loss is no longer a number");
    part->loss += part->share * value;
    if (part->share < 1)
        loss = rf_affine(scope, loss, part->share, 0);
    if (!loss)
        return rf_scope_status(scope);
    return part->applies ? rf_optim_backward(s->optim, scope, loss, NULL)
                         : rf_backward(scope, loss);
}

static rf_status step_batch(session *s, step_part *part)
{
    rf_scope *scope;
    rf_tensor *batch[2];
    rf_status status = step_open(s, &scope);
    if (status)
        return status;
    status = rf_dataset_next(s->data, scope, &batch[0], &batch[1]);
    if (!status)
        status = step_batch_of(s, scope, batch, part);
    rf_scope_close(scope);
    return status;
}

/* What is left of a step once all gradients are there. */
static rf_status step_apply(session *s)
{
    double norm;
    rf_status status = RF_OK;
    if (s->options->clip > 0)
        status = rf_clip_grad_norm(s->model, s->options->clip, &norm);
    return status ? status : rf_optim_step(s->optim);
}

rf_status step_take(session *s, figures *f)
{
    const train_options *o = s->options;
    step_part part = {.share = 1.0 / (double)o->accumulate};
    rf_status status = RF_OK;
    f->tokens = o->batch * o->context * o->accumulate;
    rf_optim_set_lr(s->optim, session_lr(s, f->step - 1));
    for (uint64_t i = 0; i < o->accumulate && !status; i++) {
        part.applies = o->step_in_backward && i + 1 == o->accumulate;
        status = step_batch(s, &part);
    }
    f->loss = part.loss;
    if (!status && !o->step_in_backward)
        status = step_apply(s);
    rf_optim_zero_grad(s->optim);
    return status;
}

/* A batch of the tokens 0, 1, 2, ... */
static rf_status step_rehearse_batch(session *s, const int32_t *ids, step_part *part)
{
    const train_options *o = s->options;
    int64_t dims[2] = {(int64_t)o->batch, (int64_t)o->context};
    rf_scope *scope;
    rf_tensor *batch[2];
    rf_status status = step_open(s, &scope);
    if (status)
        return status;
    batch[0] = rf_tensor_copy_in(scope, RF_I32, 2, dims, ids);
    batch[1] = rf_tensor_copy_in(scope, RF_I32, 2, dims, ids);
    status = rf_scope_status(scope);
    if (!status)
        status = step_batch_of(s, scope, batch, part);
    rf_scope_close(scope);
    return status;
}

rf_status step_rehearse(session *s)
{
    const train_options *o = s->options;
    size_t num = (size_t)(o->batch * o->context);
    int32_t *ids = calloc(num, sizeof *ids);
    step_part part = {.share = 1.0 / (double)o->accumulate};
    rf_status status = ids ? RF_OK : RF_E_MEMORY;
    for (size_t i = 0; i < num && ids; i++)
        ids[i] = (int32_t)(i % o->vocab);
    for (uint64_t i = 0; i < o->accumulate && !status; i++)
        status = step_rehearse_batch(s, ids, &part);
    rf_optim_zero_grad(s->optim);
    free(ids);
    return status;
}

/* One held-out batch; RF_E_NOT_FOUND past the last. */
static rf_status step_held_out_batch(session *s, uint64_t index, double *sum)
{
    rf_scope *scope;
    rf_tensor *ids, *targets;
    double value = 0;
    rf_status status = step_open(s, &scope);
    if (status)
        return status;
    rf_scope_set_grad(scope, 0);
    status = rf_dataset_held_out_batch(s->data, scope, index, &ids, &targets);
    if (!status) {
        rf_tensor *loss = step_loss(s, scope, ids, targets);
        status = loss ? step_read(s, loss, &value) : rf_context_error(s->ctx)->code;
    }
    rf_scope_close(scope);
    *sum += value;
    return status;
}

rf_status step_held_out(session *s, double *loss, int *found)
{
    double sum = 0;
    uint64_t num = 0;
    rf_status status = RF_OK;
    rf_module_train(s->model, 0);
    while (num < STEP_HELD_OUT_BATCHES && !status) {
        status = step_held_out_batch(s, num, &sum);
        num += !status;
    }
    rf_module_train(s->model, 1);
    *found = num > 0;
    *loss = num ? sum / (double)num : 0;
    return status == RF_E_NOT_FOUND ? RF_OK : status;
}
