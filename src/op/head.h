/* head.h: tiles of the logits of a head, for op_linear_cross_entropy.c.
 *
 * A tile is some rows of x by some rows of W (columns of the logits). Invariant: the tiles follow
 * from shapes and attributes alone, and are gone through in one order, so that the bits do not
 * depend on memory, on the pass, or on what is kept. Columns are the outer loop: a row of dW is
 * whole after one round, and what is added up over many tiles is dx, the smaller of the two. In
 * bf16 products take it as it is and give f32, as everything between is; only the gradient of a
 * tile is rounded again, which its two products would do each for itself.
 */
#ifndef RF_OP_HEAD_H
#define RF_OP_HEAD_H

#include "op/entropy.h"

enum { RF_HEAD_TILE = 8 << 20 }; /* bytes, if nobody says */

typedef struct rf_head_attrs {
    rf_entropy_attrs entropy; /* first: see rf_entropy_scale */
    int64_t tile;             /* bytes of logits at a time   */
    int64_t wanted;           /* of the gradient: 1 dx, 2 dW */
    int64_t logits;           /* rf_logits                   */
    int64_t part;             /* bytes, for RF_LOGITS_PART   */
} rf_head_attrs;

/* What the workspace is made of. */
typedef enum rf_head_area {
    RF_HEAD_Z,      /* the tile, or of kept ones its gradient              */
    RF_HEAD_SUMS,   /* forward: two numbers a row                          */
    RF_HEAD_LOSSES, /* forward                                             */
    RF_HEAD_G,      /* backward: the scaled g                              */
    RF_HEAD_NARROW, /* bf16: the gradient of the tile, rounded             */
    RF_HEAD_DX,     /* bf16: sums before they are rounded; of all rows     */
    RF_HEAD_DW,     /* and of the columns of the tile                      */
    RF_HEAD_PRODUCT,
    RF_HEAD_AREAS
} rf_head_area;

typedef struct rf_head_job {
    rf_op_call *call;
    const rf_kernels *k;
    rf_exec e;
    int64_t n, v, c;    /* rows, vocabulary, width */
    int64_t rows, cols; /* of a tile */
    uint8_t dtype, wide;
    int64_t wanted;      /* gradients; 0: forward */
    int64_t num, kept;   /* tiles, and the first of them, which are kept one after the other */
    int64_t kept_logits; /* in those                                                         */
    size_t at[RF_HEAD_AREAS + 1];
    rf_view x, w, targets, lse, dx, dw;
    char *tiles;  /* of kept ones, the next   */
    int64_t tile; /* the one that is worked on: */
    int64_t row, first;
    rf_view z, xs, ws; /* z in `wide`, or what of it the products of the gradient take */
} rf_head_job;

/* x, W and targets are inputs `x` to x + 2 of call: sizes, tiles, and whether they are kept. */
rf_head_job rf_head_of(const rf_op_call *call, size_t x);
/* The share of the logits that is kept. */
double rf_head_share(const rf_op_call *call, size_t x);
/* Make attrs, which are call's, those of the form that keeps nothing (end 0) or everything (1), and
 * *tiles what that keeps. Returns the share that was kept. */
double rf_head_form(const rf_op_call *call, size_t x, rf_head_attrs *attrs, int end,
                    rf_view *tiles);
size_t rf_head_workspace_of(const rf_op_call *call, size_t x);
/* With tiles that are kept, or are to be, in `kept`. */
void rf_head_begin(rf_head_job *j, rf_op_call *call, const rf_view *kept);
/* body for every tile, its logits being in z. */
rf_status rf_head_each(rf_head_job *j, rf_status (*body)(rf_head_job *j));
/* The columns of the tile. */
rf_entropy_part rf_head_part(const rf_head_job *j);

/* Row-major (rows, cols). */
rf_view rf_head_matrix(uint8_t dtype, int64_t rows, int64_t cols, void *data);
rf_view rf_head_swapped(rf_view m);
/* From row `first` on, at most `count` rows of m; of rank 1 or 2. */
rf_view rf_head_block(const rf_view *m, int64_t first, int64_t count);
void *rf_head_at(const rf_head_job *j, rf_head_area area);

#endif
