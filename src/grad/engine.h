/* engine.h: one backward over a graph. */
#ifndef RF_GRAD_ENGINE_H
#define RF_GRAD_ENGINE_H

#include "grad/node.h"

/* Something to be told when a run ends: a region's recomputed values (remat). */
typedef struct rf_run_closer {
    struct rf_run_closer *next;
    void (*close)(struct rf_run_closer *closer);
} rf_run_closer;

/* A chosen input of rf_gradients, and its gradient once it is whole. */
typedef struct rf_capture {
    rf_node *node;
    uint32_t out;
    rf_tensor *grad; /* in the caller's scope */
} rf_capture;

/* Told of each leaf whose gradient has become whole, when nothing of the run will read the leaf's
 * value any more: it may change the value, and clear the gradient. */
typedef struct rf_leaf_taker {
    rf_status (*take)(struct rf_leaf_taker *taker, rf_tensor *leaf);
} rf_leaf_taker;

/* A node of a run, and what it held for a run around this one. */
typedef struct rf_run_item {
    rf_node *node;
    uint64_t run;
    uint32_t waiting;
    uint8_t needed, captured;
    rf_tensor *grads[RF_MAX_OUTPUTS];
} rf_run_item;

struct rf_run {
    uint64_t id;
    rf_run *outer;
    rf_context *ctx;
    rf_scope *user; /* where captured gradients go                   */
    rf_scope scope; /* gradients on their way                        */
    int retain, create_graph;
    rf_node *root;
    rf_run_item *items; /* in order of decreasing clock                  */
    size_t num;
    rf_capture *captures; /* NULL: gradients go to the leaves            */
    size_t num_captures;
    rf_run_closer *closers;
    rf_leaf_taker *taker; /* NULL: nobody */
    rf_node *later;       /* leaves that wait for it */
    uint64_t later_begin; /* the largest of their begins; 0: none */
    uint64_t clock;       /* of the op that runs, or ran last */
};

/* Tell closer when the backward that runs, or the group that it is in, ends; take it off again
 * before that. */
void rf_run_add_closer(rf_context *ctx, rf_run_closer *closer);
void rf_run_forget_closer(rf_context *ctx, rf_run_closer *closer);
/* Tell them all, and empty the list. */
void rf_run_close(rf_run_closer **closers);
/* The number of the backward that runs, or of its group. */
uint64_t rf_run_number(const rf_context *ctx);
/* The name of the open group that the backward that runs is in; NULL: none. */
const char *rf_run_group(const rf_context *ctx);
/* Run backward from output `out` of root with gradient seed. */
rf_status rf_run_backward(rf_run *run, uint32_t out, rf_tensor *seed);
/* Another handle on the same bytes and graph, in s (NULL: held). NULL: the error is recorded. */
rf_tensor *rf_handle_alias(rf_scope *s, const rf_tensor *t);
/* Add g to a leaf's gradient. */
rf_status rf_leaf_accumulate(rf_run *run, rf_scope *s, rf_node *leaf, rf_tensor *g);

/* The user of a leaf has run. */
void rf_leaf_used(rf_node *leaf, const rf_node *user);
/* The leaf's gradient is whole: it is taken, now or later. */
rf_status rf_leaf_whole(rf_run *run, rf_node *leaf);
/* Everything from `clock` on has run: take what waited for that; 0: all that is left. */
rf_status rf_leaf_passed(rf_run *run, uint64_t clock);

/* rf_backward with a seed (or NULL) and a taker. */
rf_status rf_backward_taken(rf_scope *s, rf_tensor *result, rf_tensor *seed, rf_leaf_taker *taker);

#endif
