/* node.h: one recorded op, or a leaf.
 *
 * Invariants: a node refers to the nodes that made its inputs (edges), never to those that use its
 * outputs, so the graph has no cycles. Its clock is larger than those of its inputs' nodes; a
 * leaf's is 0. It holds bytes only through its slots. Nodes are ended in a loop, never recursively.
 */
#ifndef RF_GRAD_NODE_H
#define RF_GRAD_NODE_H

#include "grad/slot.h"

typedef struct rf_node rf_node;

/* Attributes of a call, as the caller gave them. */
typedef struct rf_attrs {
    const void *bytes;
    size_t size;
} rf_attrs;
/* rf_op_run for a product in a scope of another precision (precision.c). */
rf_status rf_precision_run(rf_scope *s, const rf_op_class *op, const rf_values *in,
                           const rf_attrs *attrs, rf_values *out);

typedef struct rf_edge {
    rf_node *node; /* referenced; NULL: no gradient goes there */
    uint32_t out;
} rf_edge;

typedef struct rf_hook {
    struct rf_hook *next;
    uint32_t out;
    rf_grad_hook hook;
} rf_hook;

struct rf_node {
    rf_node_ref ref;
    rf_context *ctx;
    const rf_op_class *op; /* NULL: a leaf */
    const void *module;    /* whose call recorded it */
    uint64_t clock;
    uint64_t begin; /* no recompute reads this node's inputs once all from this clock on have run;
                       of a leaf: the least of its users' (grad/leaf.c) */
    size_t bytes;   /* of this block */
    uint32_t num_in, num_out, num_slots;
    uint32_t wanted; /* inputs that wanted a gradient */
    rf_op_reads reads;
    rf_rng rng;
    uint8_t consumed; /* its slots were given back */

    rf_edge *edges;
    rf_shape *in_shape, *out_shape;
    rf_slot *slots;      /* inputs that reads names, then outputs */
    rf_tensor **handles; /* of the outputs; not referenced, NULL when gone */
    rf_hook *hooks;
    rf_tensor *grad; /* of a leaf; held */

    /* While a backward runs over it (grad/engine.c). */
    uint64_t visit, run;
    uint32_t waiting;
    uint8_t needed, captured;
    rf_node *later; /* a leaf whose gradient is whole, waiting to be taken */

    /* Of a leaf whose gradient a dry run has changed (grad/leaf.c). */
    uint8_t dry_aside;
    rf_node *dry_next;
    rf_tensor *dry_grad; /* from before; held */
    rf_tensor *grads[RF_MAX_OUTPUTS];

    unsigned char attrs[RF_MAX_ATTRS];
};

/* A node with room for num_in edges, num_out outputs and num_slots slots, refs 1. NULL: recorded.
 */
rf_node *rf_node_create(rf_context *ctx, const rf_op_class *op, size_t num_in, size_t num_out,
                        size_t num_slots);
/* The node that t's gradient goes to: of the op that made it, or its own leaf, made now. */
rf_node *rf_node_of(rf_tensor *t);
/* Give a leaf another gradient, which is held, or none. */
void rf_leaf_set_grad(rf_node *leaf, rf_tensor *held);
/* Give the slots back. */
void rf_node_consume(rf_node *node);

/* The slots of a node by number of input or output; NULL if it is none. */
rf_slot *rf_node_slot_in(rf_node *node, size_t index);
rf_slot *rf_node_slot_out(rf_node *node, size_t index);

/* All nodes reachable from root, root first, in an array from rf_host_alloc (*capacity items of
 * sizeof(rf_node *)). */
rf_status rf_node_collect(rf_node *root, rf_node ***out, size_t *num, size_t *capacity);

#endif
