/* handle.h: the inside of tensors. */
#ifndef RF_TENSOR_HANDLE_H
#define RF_TENSOR_HANDLE_H

#include "tensor/scope.h"
#include "tensor/storage.h"

/* The part of a graph node that handles know. */
typedef struct rf_node_ref {
    uint32_t refs;
    void (*forget)(struct rf_node_ref *node, const rf_tensor *t); /* t is gone          */
    void (*end)(rf_context *ctx, struct rf_node_ref *node);       /* refs came to 0     */
} rf_node_ref;

struct rf_tensor {
    rf_context *ctx;
    rf_scope *scope;        /* NULL: in none, kept by holds     */
    rf_tensor *prev, *next; /* in the scope                     */
    rf_storage *storage;    /* NULL: stale                      */
    rf_view view;           /* data unused: see rf_tensor_view  */
    rf_node_ref *node;      /* what made it, or its own leaf    */
    uint32_t out;           /* which output of node             */
    uint32_t holds;
    uint64_t region; /* the activation that made it, 0: none */
    uint8_t requires_grad;
    uint8_t leaf;    /* node is its own leaf */
    uint8_t is_view; /* names part of another tensor's bytes, or them in another shape */
};

/* A handle in scope s (NULL: held once, in no scope); takes over one reference to storage, also on
 * failure. */
rf_tensor *rf_handle_create(rf_context *ctx, rf_scope *s, rf_storage *storage, const rf_view *view);
/* End a handle that nobody holds: out of its scope, references given back. */
void rf_handle_end(rf_tensor *t);
/* Let go of the bytes; reading is RF_E_STALE from now on. */
void rf_handle_stale(rf_tensor *t);
void rf_handle_set_node(rf_tensor *t, rf_node_ref *node, uint32_t out);
void rf_node_unref(rf_context *ctx, rf_node_ref *node);

/* The view with its address; bytes must be computed (rf_storage_force). */
rf_view rf_tensor_view(const rf_tensor *t);
/* Row-major strides for a shape. */
void rf_view_set_contiguous(rf_view *view);
/* Bytes that a row-major tensor of this shape needs; 0 if it overflows or a size is negative. */
int rf_shape_bytes(const rf_shape *shape, size_t *bytes);
int rf_shape_equal(const rf_shape *a, const rf_shape *b);
/* "(2, 3) f32" into buffer. Returns buffer. */
const char *rf_shape_text(const rf_shape *shape, char *buffer, size_t bytes);

#endif
