/* engine.c: backward is a loop down a list.
 *
 * The nodes reachable from the result are put in order of decreasing clock, which is an order in
 * which every node comes after all that use its outputs; then each is run once: take the gradients
 * of its outputs, ask its op for those of its inputs, add them where they belong, give its slots
 * back. The order depends on the graph alone, so sums are made in the same order every time.
 * A leaf is finished the moment its last user has run.
 *
 * What a run keeps in the nodes is put aside first if another run is under way over them, so a
 * backward may be called from a hook or from inside a region that is being recomputed.
 */
#include "grad/engine.h"
#include "base/sort.h"

#include <refrain/ops.h>

#include <string.h>

/* One node's backward rule at work, with the values that it has asked for so far. */
typedef struct grad_call {
    rf_op_grad grad;
    rf_node *node;
    rf_tensor *grad_in[RF_MAX_INPUTS];
    rf_tensor *saved_in[RF_MAX_INPUTS];
    rf_tensor *saved_out[RF_MAX_OUTPUTS];
} grad_call;

rf_tensor *rf_handle_alias(rf_scope *s, const rf_tensor *t)
{
    rf_tensor *alias = rf_handle_create(t->ctx, s, rf_storage_ref(t->storage), &t->view);
    if (!alias) {
        if (s)
            rf_scope_fail(s, t->ctx->record.error.code, NULL);
        return NULL;
    }
    if (t->node)
        rf_handle_set_node(alias, t->node, t->out);
    alias->requires_grad = t->requires_grad;
    alias->leaf = t->leaf;
    alias->region = t->region;
    alias->is_view = t->is_view;
    return alias;
}

/* Whether t's bytes may be changed without anybody noticing. */
static int run_owns(const rf_run *run, const rf_tensor *t)
{
    return !run->create_graph && !run->ctx->defer && t->storage->refs == 1 &&
           !t->storage->borrowed && !t->storage->pending && rf_view_contiguous(&t->view);
}

/* ---- saved values ---- */

static rf_tensor *saved_unpack(grad_call *call, const rf_slot *slot, rf_edge edge)
{
    rf_scope *s = call->grad.scope;
    rf_storage *storage;
    rf_view view;
    rf_status status = RF_E_STATE;
    if (!slot)
        rf_fail(s->ctx, status, "%s: backward asks for a value that it did not declare",
                call->grad.op->name);
    else
        status = rf_slot_unpack(s->ctx, slot, &storage, &view);
    rf_tensor *t = status ? NULL : rf_handle_create(s->ctx, s, storage, &view);
    if (!t) {
        rf_scope_fail(s, status ? status : s->ctx->record.error.code, NULL);
        return NULL;
    }
    t->region = slot->region;
    if (call->grad.create_graph && edge.node) {
        rf_handle_set_node(t, &edge.node->ref, edge.out);
        t->requires_grad = 1;
        t->leaf = !edge.node->op;
    }
    return t;
}

rf_tensor *rf_op_saved_input(rf_op_grad *grad, size_t index)
{
    grad_call *call = grad->node;
    if (grad->scope->status || index >= grad->num_in)
        return NULL;
    if (!call->saved_in[index])
        call->saved_in[index] =
            saved_unpack(call, rf_node_slot_in(call->node, index), call->node->edges[index]);
    return call->saved_in[index];
}

rf_tensor *rf_op_saved_output(rf_op_grad *grad, size_t index)
{
    grad_call *call = grad->node;
    if (grad->scope->status || index >= grad->num_out)
        return NULL;
    if (!call->saved_out[index])
        call->saved_out[index] = saved_unpack(call, rf_node_slot_out(call->node, index),
                                              (rf_edge){call->node, (uint32_t)index});
    return call->saved_out[index];
}

/* The handle of an interior tensor that nobody holds has no more to say than after its own node. */
static void saved_spend(rf_edge edge, const rf_tensor *t)
{
    rf_node *from = edge.node;
    rf_tensor *handle = from && from->op && !from->captured ? from->handles[edge.out] : NULL;
    if (handle && !handle->holds && handle->storage == t->storage && t->storage->refs == 2)
        rf_handle_stale(handle);
}

rf_tensor *rf_op_take_input(rf_op_grad *grad, size_t index)
{
    const grad_call *call = grad->node;
    const rf_run *run = grad->scope->ctx->run;
    rf_tensor *t = rf_op_saved_input(grad, index);
    if (t && !run->retain && !run->create_graph) {
        rf_slot_release(rf_node_slot_in(call->node, index));
        saved_spend(call->node->edges[index], t);
    }
    return !t || run_owns(run, t) ? t : rf_clone(grad->scope, t);
}

/* ---- adding up ---- */

/* Put added, which is in s, where *sum is. */
static void accumulate_replace(rf_run *run, rf_tensor **sum, const rf_tensor *added)
{
    rf_release(&run->scope, *sum);
    *sum = added ? rf_handle_alias(&run->scope, added) : NULL;
}

rf_tensor *rf_op_grad_sum(rf_op_grad *grad, size_t index)
{
    const grad_call *call = grad->node;
    rf_scope *s = grad->scope;
    rf_run *run = s->ctx->run;
    if (s->status || index >= grad->num_in || !(grad->wanted & (1u << index)) || run->create_graph)
        return NULL;
    rf_edge edge = call->node->edges[index];
    rf_tensor **sum = &edge.node->grads[edge.out];
    if (*sum && !run_owns(run, *sum)) {
        rf_tensor *copy = rf_clone(s, *sum);
        accumulate_replace(run, sum, copy);
        rf_release(s, copy);
    }
    return *sum;
}

static rf_status accumulate(rf_run *run, rf_scope *s, rf_edge edge, rf_tensor *g)
{
    rf_tensor **sum = &edge.node->grads[edge.out];
    if (g == *sum) { /* added to in place */
    } else if (!*sum) {
        *sum = rf_handle_alias(&run->scope, g);
    } else if (run_owns(run, *sum)) {
        rf_add_inplace(s, *sum, g);
    } else {
        accumulate_replace(run, sum, rf_add(s, *sum, g));
    }
    return s->status ? s->status : run->scope.status;
}

rf_status rf_leaf_accumulate(rf_run *run, rf_scope *s, rf_node *leaf, rf_tensor *g)
{
    if (leaf->grad && !run->create_graph) {
        rf_scope quiet;
        rf_scope_begin(&quiet, run->ctx, s);
        quiet.grad = 0;
        rf_add_inplace(&quiet, leaf->grad, g);
        rf_scope_end(&quiet);
        return quiet.status;
    }
    if (leaf->grad)
        g = rf_add(s, leaf->grad, g);
    else if (!run->create_graph && !run_owns(run, g))
        g = rf_clone(s, g);
    rf_tensor *held = g ? rf_handle_alias(NULL, g) : NULL;
    if (!held)
        return s->status ? s->status : run->ctx->record.error.code;
    if (!run->create_graph) {
        rf_status status = rf_storage_force(held->storage);
        if (status) {
            rf_tensor_drop(held);
            return status;
        }
        rf_storage_set_class(held->storage, RF_MEM_GRAD);
    }
    held->region = 0;
    rf_leaf_set_grad(leaf, held);
    return RF_OK;
}

/* ---- one node ---- */

static rf_status node_hooks(rf_run *run, rf_node *node, rf_scope *s)
{
    rf_status status = RF_OK;
    for (rf_hook *h = node->hooks; h && !status; h = h->next) {
        rf_tensor **g = &node->grads[h->out];
        rf_tensor *given = *g;
        if (!*g)
            continue;
        status = h->hook.call(h->hook.payload, s, g);
        if (!status && *g != given) {
            if (!*g || !rf_shape_equal(&(*g)->view.shape, &given->view.shape)) {
                *g = given;
                return rf_fail(run->ctx, RF_E_SHAPE, "a gradient hook changed shape or type");
            }
            *g = rf_handle_alias(&run->scope, *g);
            rf_release(&run->scope, given);
            status = run->scope.status;
        }
    }
    return status;
}

static rf_status node_captures(rf_run *run, rf_node *node)
{
    for (size_t i = 0; i < run->num_captures && node->captured; i++) {
        rf_capture *c = &run->captures[i];
        if (c->node != node || !node->grads[c->out])
            continue;
        c->grad = rf_handle_alias(run->user, node->grads[c->out]);
        if (!c->grad)
            return run->ctx->record.error.code;
        c->grad->region = run->ctx->region;
    }
    return RF_OK;
}

/* Interior tensors that nobody holds have been used up: everything after them has run. */
static void node_spend_outputs(rf_run *run, rf_node *node)
{
    for (uint32_t j = 0; j < node->num_out && node->op && !run->retain && !node->captured; j++) {
        rf_tensor *t = node->handles[j];
        if (t && !t->holds && node != run->root)
            rf_handle_stale(t);
    }
}

static rf_status node_rule(rf_run *run, rf_node *node, rf_scope *s, grad_call *call)
{
    const rf_op_class *op = node->op;
    memset(call, 0, sizeof *call);
    call->node = node;
    call->grad = (rf_op_grad){.scope = s,
                              .op = op,
                              .attrs = node->attrs,
                              .num_in = node->num_in,
                              .num_out = node->num_out,
                              .in_shape = node->in_shape,
                              .out_shape = node->out_shape,
                              .grad_out = node->grads,
                              .grad_in = call->grad_in,
                              .rng = node->rng,
                              .create_graph = run->create_graph,
                              .node = call};
    for (uint32_t i = 0; i < node->num_in; i++)
        if (node->edges[i].node && node->edges[i].node->needed)
            call->grad.wanted |= 1u << i;
    if (!call->grad.wanted) /* a chosen input, and nothing beyond it */
        return RF_OK;
    if (!run->create_graph || !(op->traits & RF_OP_FIRST_ORDER))
        return op->backward(&call->grad);
    if (op->backward_composed)
        return op->backward_composed(&call->grad);
    return rf_fail(run->ctx, RF_E_UNSUPPORTED, "%s has no gradient of its gradient", op->name);
}

static rf_status node_backward(rf_run *run, rf_node *node, rf_scope *s)
{
    grad_call call;
    rf_status status = node_rule(run, node, s, &call);
    status = status ? status : s->status;
    for (uint32_t i = 0; i < node->num_in && !status; i++) {
        rf_tensor *g = call.grad_in[i];
        if (!g || !(call.grad.wanted & (1u << i)))
            continue;
        if (!rf_shape_equal(&g->view.shape, &node->in_shape[i]))
            status = rf_fail(run->ctx, RF_E_SHAPE, "%s: the gradient of input %u has another shape",
                             node->op->name, i);
        else
            status = accumulate(run, s, node->edges[i], g);
    }
    return status;
}

static rf_status run_node(rf_run *run, rf_node *node);

/* A user of these leaves has run, or never will: finish those it was the last of. */
static rf_status node_leaves(rf_run *run, rf_node *node)
{
    rf_status status = RF_OK;
    for (uint32_t i = 0; i < node->num_in && !status; i++) {
        rf_node *from = node->edges[i].node;
        if (!from || from->op || !from->needed)
            continue;
        rf_leaf_used(from, node);
        if (--from->waiting == 0)
            status = run_node(run, from);
    }
    return status;
}

static int node_has_grad(const rf_node *node)
{
    for (uint32_t j = 0; j < node->num_out; j++)
        if (node->grads[j])
            return 1;
    return 0;
}

static rf_status run_node(rf_run *run, rf_node *node)
{
    rf_context *ctx = run->ctx;
    rf_status status = RF_OK;
    rf_scope s;
    const char *op = ctx->op;
    const void *module = ctx->module;
    rf_scope_begin(&s, ctx, &run->scope);
    s.grad = run->create_graph;
    ctx->op = node->op ? node->op->name : NULL;
    ctx->module = node->module;
    if (node->needed && node_has_grad(node)) {
        node_spend_outputs(run, node);
        status = node_hooks(run, node, &s);
        if (!status)
            status = node_captures(run, node);
        if (!status && node->op)
            status = node_backward(run, node, &s);
        else if (!status && !run->captures)
            status = rf_leaf_accumulate(run, &s, node, node->grads[0]);
    }
    for (uint32_t j = 0; j < node->num_out; j++) {
        rf_release(&run->scope, node->grads[j]);
        node->grads[j] = NULL;
    }
    rf_scope_end(&s);
    ctx->op = op;
    ctx->module = module;
    if (node->needed && !run->retain)
        rf_node_consume(node);
    if (status)
        return status;
    return node->op ? node_leaves(run, node) : rf_leaf_whole(run, node);
}

/* ---- the run ---- */

static int run_order(const void *payload, const void *a, const void *b)
{
    (void)payload;
    uint64_t x = (*(rf_node *const *)a)->clock, y = (*(rf_node *const *)b)->clock;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* In order of decreasing clock: leaves, of which a graph has many and none has a clock, are moved
 * behind the others first, which are often in order then. */
static void run_sort(rf_node **nodes, size_t num)
{
    size_t ops = 0;
    int sorted = 1;
    for (size_t i = 0; i < num; i++) {
        rf_node *node = nodes[i];
        if (!node->op)
            continue;
        nodes[i] = nodes[ops];
        nodes[ops] = node;
        sorted = sorted && (!ops || node->clock < nodes[ops - 1]->clock);
        ops++;
    }
    if (!sorted)
        rf_sort(nodes, ops, sizeof *nodes, run_order, NULL);
}

static void run_put_aside(rf_run *run, rf_run_item *item, rf_node *node)
{
    *item = (rf_run_item){node, node->run, node->waiting, node->needed, node->captured, {0}};
    memcpy(item->grads, node->grads, sizeof item->grads);
    memset(node->grads, 0, sizeof node->grads);
    node->run = run->id;
    node->waiting = 0;
    node->captured = 0;
    node->needed = !run->captures;
    if (!node->op && run->taker)
        node->begin = UINT64_MAX;
    node->ref.refs++;
}

static rf_status run_collect(rf_run *run)
{
    rf_context *ctx = run->ctx;
    rf_node **nodes = NULL;
    size_t num = 0, capacity = 0;
    rf_status status = rf_node_collect(run->root, &nodes, &num, &capacity);
    if (!status && !(run->items = rf_host_alloc(ctx, num * sizeof *run->items)))
        status = ctx->record.error.code;
    if (!status)
        run_sort(nodes, num);
    for (size_t i = 0; i < num && !status; i++)
        run_put_aside(run, &run->items[run->num++], nodes[i]);
    rf_host_free(ctx, nodes, capacity * sizeof *nodes);
    return status;
}

/* Which nodes lead to a chosen input, and how many users every leaf waits for. */
static rf_status run_mark(rf_run *run)
{
    for (size_t i = 0; i < run->num_captures; i++)
        if (run->captures[i].node && run->captures[i].node->run == run->id)
            run->captures[i].node->needed = run->captures[i].node->captured = 1;
    for (size_t i = run->num; i-- > 0;) {
        rf_node *node = run->items[i].node;
        int beyond = 0;
        for (uint32_t k = 0; k < node->num_in; k++) {
            rf_node *from = node->edges[k].node;
            if (!from || !from->needed)
                continue;
            beyond = 1;
            from->waiting += !from->op;
        }
        node->needed = (uint8_t)(node->needed || beyond);
        if (beyond && node->consumed)
            return rf_fail(run->ctx, RF_E_CONSUMED,
                           "%s: its saved values were given back by an earlier backward; "
                           "retain keeps them",
                           node->op->name);
    }
    return RF_OK;
}

static void run_end(rf_run *run, rf_status status)
{
    rf_context *ctx = run->ctx;
    rf_run_close(&run->closers);
    rf_scope_end(&run->scope);
    for (size_t i = 0; i < run->num; i++) {
        rf_run_item *item = &run->items[i];
        rf_node *node = item->node;
        if (status && status != RF_E_CONSUMED && node->needed && !run->retain)
            rf_node_consume(node);
        node->run = item->run;
        node->waiting = item->waiting;
        node->needed = item->needed;
        node->captured = item->captured;
        memcpy(node->grads, item->grads, sizeof item->grads);
        rf_node_unref(ctx, &node->ref);
    }
    rf_host_free(ctx, run->items, run->num * sizeof *run->items);
    ctx->run = run->outer;
}

rf_status rf_run_backward(rf_run *run, uint32_t out, rf_tensor *seed)
{
    rf_context *ctx = run->ctx;
    run->id = ++ctx->run_clock;
    run->outer = ctx->run;
    ctx->run = run;
    rf_status status = run_collect(run);
    if (!status)
        status = run_mark(run);
    if (!status && !(run->root->grads[out] = rf_handle_alias(&run->scope, seed)))
        status = ctx->record.error.code;
    for (size_t i = 0; i < run->num && !status; i++) {
        rf_node *node = run->items[i].node;
        if (!node->op && node != run->root)
            continue;
        run->clock = node->clock;
        status = rf_leaf_passed(run, node->clock + 1);
        if (!status)
            status = run_node(run, node);
    }
    if (!status)
        status = rf_leaf_passed(run, 0);
    run_end(run, status);
    return status;
}
