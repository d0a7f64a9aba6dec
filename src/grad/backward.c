/* backward.c: the public face of the engine, and what leaves can be asked. */
#include "grad/engine.h"

#include <refrain/ops.h>

static int backward_is_float(const rf_tensor *t)
{
    return t->view.shape.dtype == RF_F32 || t->view.shape.dtype == RF_F64 ||
           t->view.shape.dtype == RF_BF16;
}

rf_status rf_tensor_set_requires_grad(rf_tensor *t, int requires_grad)
{
    if (t->node && !t->leaf)
        return rf_fail(t->ctx, RF_E_STATE, "only a leaf can be told whether it wants a gradient");
    if (requires_grad && !backward_is_float(t))
        return rf_fail(t->ctx, RF_E_DTYPE, "%s tensors have no gradient",
                       rf_dtype_name(rf_tensor_dtype(t)));
    t->requires_grad = requires_grad != 0;
    return RF_OK;
}

int rf_tensor_requires_grad(const rf_tensor *t)
{
    return t->requires_grad;
}

int rf_tensor_is_leaf(const rf_tensor *t)
{
    return !t->node || t->leaf;
}

static rf_node *backward_leaf(const rf_tensor *t)
{
    return t->leaf ? (rf_node *)t->node : NULL;
}

rf_tensor *rf_grad(const rf_tensor *t)
{
    rf_node *leaf = backward_leaf(t);
    return leaf ? leaf->grad : NULL;
}

void rf_grad_clear(rf_tensor *t)
{
    rf_node *leaf = backward_leaf(t);
    if (!leaf)
        return;
    rf_leaf_set_grad(leaf, NULL);
}

rf_status rf_grad_set(rf_tensor *t, rf_tensor *g)
{
    rf_context *ctx = t->ctx;
    if (!g) {
        rf_grad_clear(t);
        return RF_OK;
    }
    if (!t->requires_grad || (t->node && !t->leaf))
        return rf_fail(ctx, RF_E_STATE, "only a leaf that requires a gradient has one");
    if (!g->storage || !rf_shape_equal(&t->view.shape, &g->view.shape))
        return rf_fail(ctx, RF_E_SHAPE, "the gradient has another shape or type than its tensor");
    rf_node *leaf = rf_node_of(t);
    rf_tensor *held = leaf ? rf_handle_alias(NULL, g) : NULL;
    if (!held)
        return ctx->record.error.code;
    rf_leaf_set_grad(leaf, held);
    return RF_OK;
}

rf_status rf_tensor_add_grad_hook(rf_tensor *t, rf_grad_hook hook)
{
    if (!t->requires_grad)
        return rf_fail(t->ctx, RF_E_STATE, "a tensor without a gradient has no use for a hook");
    rf_node *node = rf_node_of(t);
    rf_hook *entry = node ? rf_host_alloc(t->ctx, sizeof *entry) : NULL;
    if (!entry)
        return t->ctx->record.error.code;
    *entry = (rf_hook){.out = t->out, .hook = hook};
    rf_hook **at = &node->hooks;
    while (*at)
        at = &(*at)->next;
    *at = entry;
    return RF_OK;
}

/* ---- running ---- */

static rf_status backward_check(const rf_tensor *result, const rf_tensor *seed)
{
    rf_context *ctx = result->ctx;
    if (!result->requires_grad)
        return rf_fail(ctx, RF_E_STATE,
                       "backward: the result depends on nothing that requires a "
                       "gradient");
    if (!seed && rf_tensor_count(result) != 1)
        return rf_fail(ctx, RF_E_SHAPE, "backward: a result of %lld elements needs a seed",
                       (long long)rf_tensor_count(result));
    if (seed && (!seed->storage || !rf_shape_equal(&seed->view.shape, &result->view.shape)))
        return rf_fail(ctx, RF_E_SHAPE,
                       "backward: the seed has another shape or type than the "
                       "result");
    return RF_OK;
}

/* run says how, and where gradients go. */
static rf_status backward_begin(rf_run *run, rf_scope *s, rf_tensor *result, rf_tensor *seed)
{
    rf_status status = backward_check(result, seed);
    if (status)
        return status;
    run->ctx = s->ctx;
    run->user = s;
    run->root = rf_node_of(result);
    if (!run->root)
        return s->ctx->record.error.code;
    rf_scope_begin(&run->scope, s->ctx, s);
    run->scope.grad = run->create_graph;
    if (!seed)
        seed = rf_full(&run->scope, rf_tensor_dtype(result), rf_tensor_rank(result),
                       rf_tensor_dims(result), 1.0);
    if (!seed) {
        rf_scope_end(&run->scope);
        return run->scope.status;
    }
    return rf_run_backward(run, result->out, seed);
}

static rf_status backward_run(rf_scope *s, rf_tensor *result, const rf_backward_options *opts,
                              rf_capture *captures, size_t num)
{
    static const rf_backward_options defaults = RF_BACKWARD_OPTIONS_INIT;
    opts = opts ? opts : &defaults;
    rf_run run = {.retain = opts->retain || opts->create_graph,
                  .create_graph = opts->create_graph,
                  .captures = captures,
                  .num_captures = num};
    return backward_begin(&run, s, result, opts->seed);
}

static rf_status backward_expression(rf_scope *s, const rf_tensor *result)
{
    if (s->status)
        return s->status;
    if (!result)
        return rf_scope_fail(s, RF_E_ARGUMENT, "backward: there is no result");
    if (!result->storage)
        return rf_scope_fail(s, RF_E_STALE, "backward: the result was used up by a backward");
    return RF_OK;
}

rf_status rf_backward_with(rf_scope *s, rf_tensor *result, const rf_backward_options *opts)
{
    rf_status status = backward_expression(s, result);
    return status ? status : backward_run(s, result, opts, NULL, 0);
}

rf_status rf_backward_taken(rf_scope *s, rf_tensor *result, rf_tensor *seed, rf_leaf_taker *taker)
{
    rf_run run = {.taker = taker};
    rf_status status = backward_expression(s, result);
    return status ? status : backward_begin(&run, s, result, seed);
}

rf_status rf_backward(rf_scope *s, rf_tensor *loss)
{
    return rf_backward_with(s, loss, NULL);
}

static rf_status gradients_give(rf_scope *s, rf_capture *captures, rf_values *grads,
                                const rf_backward_options *opts)
{
    rf_status status = RF_OK;
    for (size_t i = 0; i < grads->num && !status; i++) {
        grads->v[i] = captures[i].grad;
        if (!captures[i].grad && !(opts && opts->allow_unused))
            status = rf_fail(s->ctx, RF_E_ARGUMENT,
                             "gradients: the result does not depend on "
                             "input %zu",
                             i);
    }
    return status;
}

rf_status rf_gradients(rf_scope *s, rf_tensor *result, const rf_values *inputs, rf_values *grads,
                       const rf_backward_options *opts)
{
    rf_context *ctx = s->ctx;
    rf_status status = backward_expression(s, result);
    for (size_t i = 0; i < grads->num; i++)
        grads->v[i] = NULL;
    if (!status && grads->num != inputs->num)
        status = rf_fail(ctx, RF_E_ARGUMENT, "gradients: %zu inputs but %zu gradients", inputs->num,
                         grads->num);
    if (status)
        return status;
    size_t bytes = (inputs->num + 1) * sizeof(rf_capture);
    rf_capture *captures = rf_host_alloc(ctx, bytes);
    if (!captures)
        return ctx->record.error.code;
    for (size_t i = 0; i < inputs->num; i++)
        if (inputs->v[i])
            captures[i] = (rf_capture){(rf_node *)inputs->v[i]->node, inputs->v[i]->out, NULL};
    status = backward_run(s, result, opts, captures, inputs->num);
    if (!status)
        status = gradients_give(s, captures, grads, opts);
    rf_host_free(ctx, captures, bytes);
    return status;
}
