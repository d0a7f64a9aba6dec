/* node.c: making and ending graph nodes. See node.h. */
#include "grad/node.h"

static void node_drop_hooks(rf_node *node)
{
    while (node->hooks) {
        rf_hook *hook = node->hooks;
        node->hooks = hook->next;
        if (hook->hook.destroy)
            hook->hook.destroy(hook->hook.payload);
        rf_host_free(node->ctx, hook, sizeof *hook);
    }
}

void rf_node_consume(rf_node *node)
{
    for (uint32_t i = 0; i < node->num_slots; i++)
        rf_slot_release(&node->slots[i]);
    node->consumed = node->num_slots > 0;
}

/* Nodes whose last reference went wait in the graveyard, linked through their run field's place:
 * ending one drops references to others, which then wait too instead of recursing. */
static void node_end(rf_context *ctx, rf_node_ref *ref)
{
    rf_node *node = (rf_node *)ref;
    node->edges[-1].node = ctx->graveyard;
    ctx->graveyard = node;
    if (ctx->burying)
        return;
    ctx->burying = 1;
    while (ctx->graveyard) {
        node = ctx->graveyard;
        ctx->graveyard = node->edges[-1].node;
        rf_node_consume(node);
        for (uint32_t i = 0; i < node->num_in; i++)
            rf_node_unref(ctx, node->edges[i].node ? &node->edges[i].node->ref : NULL);
        rf_tensor_drop(node->grad);
        node_drop_hooks(node);
        ctx->live_nodes--;
        rf_host_free(ctx, node, node->bytes);
    }
    ctx->burying = 0;
}

static void node_forget(rf_node_ref *ref, const rf_tensor *t)
{
    rf_node *node = (rf_node *)ref;
    uint32_t out = 0;
    while (out < node->num_out && node->handles[out] != t)
        out++;
    if (out == node->num_out)
        return; /* an alias */
    node->handles[out] = NULL;
    if (!node->op) {
        /* Nobody can read a leaf's gradient without its handle; and a recorded gradient would keep
         * the leaf alive for ever. */
        rf_leaf_set_grad(node, NULL);
    }
}

rf_node *rf_node_create(rf_context *ctx, const rf_op_class *op, size_t num_in, size_t num_out,
                        size_t num_slots)
{
    size_t bytes = sizeof(rf_node) + (num_in + 1) * sizeof(rf_edge) +
                   (num_in + num_out) * sizeof(rf_shape) + num_slots * sizeof(rf_slot) +
                   num_out * sizeof(rf_tensor *);
    rf_node *node = rf_host_alloc(ctx, bytes);
    if (!node)
        return NULL;
    node->ref = (rf_node_ref){.refs = 1, .forget = node_forget, .end = node_end};
    node->ctx = ctx;
    node->op = op;
    node->module = ctx->module;
    node->bytes = bytes;
    node->clock = op ? ++ctx->node_clock : 0;
    node->begin = ctx->keeper ? ctx->region_begin : node->clock;
    node->num_in = (uint32_t)num_in;
    node->num_out = (uint32_t)num_out;
    node->num_slots = (uint32_t)num_slots;
    node->edges = (rf_edge *)(void *)(node + 1) + 1; /* edges[-1] links the graveyard */
    node->slots = (rf_slot *)(void *)(node->edges + num_in);
    node->in_shape = (rf_shape *)(void *)(node->slots + num_slots);
    node->out_shape = node->in_shape + num_in;
    node->handles = (rf_tensor **)(void *)(node->out_shape + num_out);
    ctx->live_nodes++;
    return node;
}

rf_node *rf_node_of(rf_tensor *t)
{
    if (t->node || !t->requires_grad)
        return (rf_node *)t->node;
    rf_node *leaf = rf_node_create(t->ctx, NULL, 0, 1, 0);
    if (!leaf)
        return NULL;
    leaf->out_shape[0] = t->view.shape;
    leaf->handles[0] = t;
    rf_handle_set_node(t, &leaf->ref, 0);
    rf_node_unref(t->ctx, &leaf->ref); /* the handle's reference stays */
    t->leaf = 1;
    return leaf;
}

static uint32_t node_bits(uint32_t mask)
{
    uint32_t n = 0;
    for (; mask; mask &= mask - 1)
        n++;
    return n;
}

rf_slot *rf_node_slot_in(rf_node *node, size_t index)
{
    uint32_t bit = 1u << index;
    return index < 32 && node->reads.inputs & bit
               ? &node->slots[node_bits(node->reads.inputs & (bit - 1))]
               : NULL;
}

rf_slot *rf_node_slot_out(rf_node *node, size_t index)
{
    uint32_t bit = 1u << index;
    return index < 32 && node->reads.outputs & bit
               ? &node->slots[node_bits(node->reads.inputs) +
                              node_bits(node->reads.outputs & (bit - 1))]
               : NULL;
}

static rf_status collect_push(rf_node *node, rf_node ***out, size_t *num, size_t *capacity)
{
    rf_status status = rf_host_grow(node->ctx, out, *num, capacity, sizeof **out);
    if (!status)
        (*out)[(*num)++] = node;
    return status;
}

rf_status rf_node_collect(rf_node *root, rf_node ***out, size_t *num, size_t *capacity)
{
    rf_context *ctx = root->ctx;
    uint64_t visit = ++ctx->run_clock;
    root->visit = visit;
    rf_status status = collect_push(root, out, num, capacity);
    for (size_t i = 0; i < *num && !status; i++) {
        rf_node *node = (*out)[i];
        for (uint32_t k = 0; k < node->num_in && !status; k++) {
            rf_node *next = node->edges[k].node;
            if (!next || next->visit == visit)
                continue;
            next->visit = visit;
            status = collect_push(next, out, num, capacity);
        }
    }
    return status;
}

size_t rf_graph_size(const rf_tensor *t)
{
    rf_node **nodes = NULL;
    size_t num = 0, capacity = 0;
    if (t->node && !rf_node_collect((rf_node *)t->node, &nodes, &num, &capacity))
        rf_host_free(t->ctx, nodes, capacity * sizeof *nodes);
    return num;
}
