/* op_linear_cross_entropy.c: the cross-entropy of the logits x W^T, made a tile at a time: some
 * rows by some columns. The tiles are kept for backward, or each is overwritten by the next and
 * made again there: one product more, and no bits less, for both forms do the same in the same
 * order.
 *
 * With X some rows of x and U some rows of W (the columns of a tile):
 *   forward:   Z = X U^T; the log sum exp of its rows joins what there is; targets' logits are
 * picked backward:  Z kept or again; D = (softmax(Z) - onehot) g / rows that count; dX += D U;  dU
 * += D^T X
 *
 * Invariant: the tiles follow from shapes and attributes alone, and sums go from the first tile to
 * the last, so the bits do not depend on memory, on the pass, or on what is kept. Columns are the
 * outer loop: a row of dW is whole after one round, and what is added up over many tiles is dx, the
 * smaller of the two. bf16 is widened a block at a time, and everything between is f32.
 */
#include "op/entropy.h"
#include "op/table.h"

enum { HEAD_TILE = 8 << 20, HEAD_ROWS = 2048, HEAD_LEAST = 64 };
#define HEAD_KEPT (512.0 * 1024 * 1024) /* more than this is made again, if nobody says */

typedef struct head_attrs {
    rf_entropy_attrs entropy; /* first: see rf_entropy_scale */
    int64_t tile;             /* bytes of logits at a time   */
    int64_t wanted;           /* of the gradient: 1 dx, 2 dW */
    int64_t logits;           /* rf_logits                   */
} head_attrs;

/* What the workspace is made of. */
typedef enum head_area {
    HEAD_Z,      /* the tile, or of kept ones its gradient              */
    HEAD_SUMS,   /* forward: two numbers a row                          */
    HEAD_LOSSES, /* forward                                             */
    HEAD_G,      /* backward: the scaled g                              */
    HEAD_X,      /* bf16: the rows and columns of the tile, widened     */
    HEAD_W,
    HEAD_DX, /* bf16: sums before they are rounded; of all rows     */
    HEAD_DW, /* and of the columns of the tile                      */
    HEAD_PRODUCT,
    HEAD_AREAS
} head_area;

typedef struct head_job {
    rf_op_call *call;
    const rf_kernels *k;
    rf_exec e;
    int64_t n, v, c;    /* rows, vocabulary, width */
    int64_t rows, cols; /* of a tile */
    uint8_t dtype, wide;
    int64_t wanted; /* gradients; 0: forward */
    int kept;       /* all tiles are there, one after the other */
    size_t at[HEAD_AREAS + 1];
    rf_view x, w, targets, lse, dx, dw;
    char *tiles; /* of kept ones, the next */
    /* the tile that is worked on */
    int64_t row, first;
    rf_view z, xs, ws; /* xs and ws in `wide` */
} head_job;

/* ---- tiles ---- */

static int64_t head_parts(int64_t count, int64_t each)
{
    return (count + each - 1) / each;
}

static int64_t head_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* As many columns as fit beside up to HEAD_ROWS rows; all tiles of nearly the same size. */
static void head_tile(head_job *j, int64_t bytes)
{
    int64_t room = bytes / (int64_t)rf_dtype_size(j->wide), n = j->n > 0 ? j->n : 1, cols;
    j->rows = head_parts(n, head_parts(n, HEAD_ROWS));
    while (j->rows > HEAD_LEAST && j->rows * HEAD_LEAST > room)
        j->rows = head_parts(j->rows, 2);
    cols = room / j->rows / HEAD_LEAST * HEAD_LEAST;
    cols = cols > HEAD_LEAST ? cols : HEAD_LEAST;
    cols = head_parts(j->v, head_parts(j->v, cols));
    j->cols = head_least(head_parts(cols, HEAD_LEAST) * HEAD_LEAST, j->v);
}

/* Row-major (rows, cols). */
static rf_view head_matrix(uint8_t dtype, int64_t rows, int64_t cols, void *data)
{
    rf_view m = {.shape = {.dtype = dtype, .device = RF_DEVICE_CPU, .rank = 2}};
    m.shape.dims[0] = rows;
    m.shape.dims[1] = cols;
    m.strides[0] = cols;
    m.strides[1] = 1;
    m.data = data;
    return m;
}

static rf_view head_swapped(rf_view m)
{
    rf_view_swap_last(&m);
    return m;
}

/* From row `first` on, at most `count` rows of m; of rank 1 or 2. */
static rf_view head_block(const rf_view *m, int64_t first, int64_t count)
{
    rf_view block = *m;
    int64_t row = m->shape.rank > 1 ? m->shape.dims[1] : 1;
    block.shape.dims[0] = head_least(count, m->shape.dims[0] - first);
    if (m->data)
        block.data = (char *)m->data + (size_t)(first * row) * rf_dtype_size(m->shape.dtype);
    return block;
}

static void *head_at(const head_job *j, head_area area)
{
    return (char *)j->call->workspace + j->at[area];
}

/* ---- the workspace ---- */

static size_t head_scratch_of(const head_job *j, int64_t m, int64_t n, int64_t k)
{
    rf_view a = head_matrix(j->wide, m, k, NULL), b = head_matrix(j->wide, k, n, NULL);
    rf_view c = head_matrix(j->wide, m, n, NULL),
            as = head_swapped(head_matrix(j->wide, k, m, NULL)),
            bs = head_swapped(head_matrix(j->wide, n, k, NULL));
    size_t plain = j->k->matmul_workspace(j->e.threads, &a, &b, &c);
    size_t first = j->k->matmul_workspace(j->e.threads, &as, &b, &c);
    size_t second = j->k->matmul_workspace(j->e.threads, &a, &bs, &c);
    plain = plain > first ? plain : first;
    return plain > second ? plain : second;
}

/* The most that any product of any tile wants. */
static size_t head_scratch(const head_job *j)
{
    size_t most = 0;
    for (int edge = 0; edge < 4; edge++) {
        int64_t rows = edge & 1 ? j->n % j->rows : j->rows;
        int64_t cols = edge & 2 ? j->v % j->cols : j->cols;
        const int64_t mnk[3][3] = {{rows, cols, j->c}, {rows, j->c, cols}, {cols, j->c, rows}};
        for (int i = 0; i < (j->wanted ? 3 : 1); i++) {
            size_t bytes = head_scratch_of(j, mnk[i][0], mnk[i][1], mnk[i][2]);
            most = most > bytes ? most : bytes;
        }
    }
    return most;
}

static void head_layout(head_job *j)
{
    size_t wide = rf_dtype_size(j->wide), bytes[HEAD_AREAS] = {0};
    bytes[HEAD_Z] = j->kept && !j->wanted ? 0 : (size_t)(j->rows * j->cols) * wide;
    bytes[HEAD_SUMS] = j->wanted ? 0 : (size_t)j->n * 2 * sizeof(double);
    bytes[HEAD_LOSSES] = j->wanted ? 0 : (size_t)j->n * wide;
    bytes[HEAD_G] = j->wanted ? wide : 0;
    if (j->dtype != j->wide) {
        bytes[HEAD_X] = (size_t)(j->rows * j->c) * wide;
        bytes[HEAD_W] = (size_t)(j->cols * j->c) * wide;
        bytes[HEAD_DX] = j->wanted & 1 ? (size_t)(j->n * j->c) * wide : 0;
        bytes[HEAD_DW] = j->wanted & 2 ? bytes[HEAD_W] : 0;
    }
    bytes[HEAD_PRODUCT] = head_scratch(j);
    for (int i = 0; i < HEAD_AREAS; i++)
        j->at[i + 1] = j->at[i] + ((bytes[i] + 63) & ~(size_t)63);
}

/* x, W and targets are inputs `x` to x + 2. */
static head_job head_of(const rf_op_call *call, size_t x)
{
    const head_attrs *a = call->attrs;
    head_job j = {.k = rf_call_kernels(call), .e = {call->ctx->threads, NULL}};
    j.x = call->in[x];
    j.w = call->in[x + 1];
    j.targets = call->in[x + 2];
    rf_view_rows(&j.x);
    rf_entropy_flatten(&j.targets);
    j.n = j.x.shape.dims[0];
    j.v = j.w.shape.dims[0];
    j.c = j.w.shape.dims[1];
    j.dtype = j.x.shape.dtype;
    j.wide = rf_entropy_wide(j.dtype);
    j.wanted = x ? a->wanted : 0;
    j.kept = a->logits == RF_LOGITS_KEEP ||
             (a->logits == RF_LOGITS_AUTO &&
              (double)j.n * (double)j.v * (double)rf_dtype_size(j.wide) <= HEAD_KEPT);
    head_tile(&j, a->tile);
    return j;
}

static size_t head_workspace_of(const rf_op_call *call, size_t x)
{
    head_job j = head_of(call, x);
    head_layout(&j);
    return j.at[HEAD_AREAS];
}

/* With tiles that are kept, or are to be, in `kept`. */
static void head_begin(head_job *j, rf_op_call *call, const rf_view *kept)
{
    head_layout(j);
    j->call = call;
    j->tiles = j->kept ? kept->data : NULL;
    j->e.workspace = head_at(j, HEAD_PRODUCT);
}

/* ---- the loop ---- */

/* A block in the type that is computed in. */
static rf_status head_widen(const head_job *j, head_area area, rf_view *block)
{
    if (j->dtype == j->wide)
        return RF_OK;
    rf_view from = *block;
    *block = head_matrix(j->wide, from.shape.dims[0], from.shape.dims[1], head_at(j, area));
    return j->k->unary(&j->e, RF_UNARY_COPY, &from, block);
}

/* The tile's logits: made, unless they were kept. */
static rf_status head_logits(head_job *j)
{
    int64_t rows = j->xs.shape.dims[0], cols = j->ws.shape.dims[0];
    rf_view across = head_swapped(j->ws);
    j->z = head_matrix(j->wide, rows, cols, j->kept ? j->tiles : head_at(j, HEAD_Z));
    if (j->kept)
        j->tiles += (size_t)(rows * cols) * rf_dtype_size(j->wide);
    return j->kept && j->wanted ? RF_OK : j->k->matmul(&j->e, &j->xs, &across, &j->z);
}

/* body for every tile. */
static rf_status head_each(head_job *j, rf_status (*body)(head_job *j))
{
    rf_status status = RF_OK;
    for (j->first = 0; j->first < j->v && j->n && !status; j->first += j->cols) {
        j->ws = head_block(&j->w, j->first, j->cols);
        status = head_widen(j, HEAD_W, &j->ws);
        for (j->row = 0; j->row < j->n && !status; j->row += j->rows) {
            j->xs = head_block(&j->x, j->row, j->rows);
            status = head_widen(j, HEAD_X, &j->xs);
            if (!status)
                status = head_logits(j);
            if (!status)
                status = body(j);
        }
    }
    return status;
}

static rf_entropy_part head_part(const head_job *j)
{
    const head_attrs *a = j->call->attrs;
    return (rf_entropy_part){j->first, j->v, rf_entropy_ignored(&a->entropy)};
}

/* ---- forward ---- */

static rf_status head_check(rf_op_call *call, size_t x)
{
    const rf_shape *a = &call->in[x].shape, *w = &call->in[x + 1].shape,
                   *t = &call->in[x + 2].shape;
    rf_status status = rf_infer_need_float(call, x);
    int fits = a->rank == t->rank + 1 && w->rank == 2 && w->dims[0] > 0 &&
               a->dims[a->rank - 1] == w->dims[1];
    for (unsigned i = 0; fits && i < t->rank; i++)
        fits = a->dims[i] == t->dims[i];
    if (!status && !fits)
        return rf_op_fail(call, RF_E_SHAPE,
                          "x (..., C), weight (V, C) and targets (...) are wanted");
    if (!status && (w->dtype != a->dtype || !rf_entropy_is_integer(t->dtype)))
        return rf_op_fail(call, RF_E_DTYPE,
                          "weight must be of x's type, and targets i64, i32 or u8");
    for (size_t i = x; i < x + 3 && !status; i++)
        status = rf_infer_need_contiguous(call, i);
    return status;
}

static rf_status head_infer(rf_op_call *call)
{
    rf_status status = head_check(call, 0);
    if (status)
        return status;
    call->out[0].shape.dtype = rf_entropy_wide(call->in[0].shape.dtype);
    call->out[0].shape.rank = 0;
    call->out[1].shape = call->in[2].shape; /* log sum exp of each row */
    call->out[1].shape.dtype = rf_entropy_wide(call->in[0].shape.dtype);
    head_job j = head_of(call, 0);
    call->num_out = j.kept ? 3 : 2;
    call->out[2].shape.dtype = j.wide; /* the tiles */
    call->out[2].shape.rank = 2;
    call->out[2].shape.dims[0] = j.n;
    call->out[2].shape.dims[1] = j.v;
    return RF_OK;
}

static size_t head_workspace(const rf_op_call *call)
{
    return head_workspace_of(call, 0);
}

static rf_status head_sum_up(head_job *j)
{
    rf_entropy_part part = head_part(j);
    rf_view targets = head_block(&j->targets, j->row, j->rows);
    rf_view sums = head_matrix(RF_F64, j->n, 2, head_at(j, HEAD_SUMS));
    const rf_view *in[2] = {&j->z, &targets};
    sums = head_block(&sums, j->row, j->rows);
    return j->k->cross_entropy_part(&j->e, &part, in, &sums);
}

static rf_status head_forward(rf_op_call *call)
{
    head_job j = head_of(call, 0);
    head_begin(&j, call, &call->out[2]);
    rf_status status = head_each(&j, head_sum_up);
    rf_view sums = head_matrix(RF_F64, j.n, 2, head_at(&j, HEAD_SUMS));
    rf_view losses = head_matrix(j.wide, 1, j.n, head_at(&j, HEAD_LOSSES)), loss = losses;
    rf_view lse = call->out[1];
    rf_entropy_flatten(&lse);
    rf_entropy_flatten(&losses);
    const rf_view *in[2] = {&sums, &j.targets}, *out[2] = {&losses, &lse};
    rf_entropy_part part = head_part(&j);
    if (!status)
        status = j.k->cross_entropy_end(&j.e, &part, in, out);
    if (status)
        return status == RF_E_ARGUMENT
                   ? rf_op_fail(call, status, "a target is outside of the vocabulary")
                   : status;
    loss = head_matrix(j.wide, 1, 1, call->out[0].data);
    rf_entropy_flatten(&loss);
    return j.k->sum(&j.e, rf_entropy_scale(call, &j.targets), &losses, &loss);
}

static rf_op_cost head_cost_of(const rf_op_call *call, size_t x, double products)
{
    head_job j = head_of(call, x);
    double n = (double)j.n, v = (double)j.v, c = (double)j.c;
    return (rf_op_cost){2 * products * n * v * c,
                        products * (n + v) * c * (double)rf_dtype_size(j.dtype)};
}

static rf_op_cost head_cost(const rf_op_call *call)
{
    return head_cost_of(call, 0, 1);
}

/* ---- gradients ---- */

static rf_op_reads head_reads(const rf_op_call *call, uint32_t wanted)
{
    return (rf_op_reads){wanted ? 7u : 0, !wanted ? 0 : call->num_out > 2 ? 6u : 2u};
}

static rf_status head_backward(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    head_attrs attrs = *(const head_attrs *)grad->attrs;
    rf_tensor *out[2] = {NULL, NULL};
    rf_tensor *in[6] = {grad->grad_out[0], rf_op_saved_input(grad, 0), rf_op_saved_input(grad, 1),
                        rf_op_saved_input(grad, 2), rf_op_saved_output(grad, 1)};
    if (grad->num_out > 2)
        in[5] = rf_op_saved_output(grad, 2);
    if (s->status)
        return s->status;
    attrs.wanted = grad->wanted & 3;
    attrs.logits = in[5] ? RF_LOGITS_KEEP : RF_LOGITS_RECOMPUTE;
    rf_values from = {in, 6}, to = {out, 2};
    rf_status status =
        rf_op_run(s, &rf_op_linear_cross_entropy_grad, &from, &attrs, sizeof attrs, &to);
    for (size_t i = 0; i < 2 && !status; i++)
        if (grad->wanted & (1u << i))
            grad->grad_in[i] = out[i];
    return status;
}

/* With all logits, by ops that can be recorded. */
static rf_status head_composed(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    const head_attrs *attrs = grad->attrs;
    const rf_shape *shape = &grad->in_shape[0], *w = &grad->in_shape[1];
    rf_tensor *x = rf_op_saved_input(grad, 0), *weight = rf_op_saved_input(grad, 1);
    rf_tensor *in[3] = {rf_linear(s, x, weight, NULL), rf_op_saved_input(grad, 2),
                        grad->grad_out[0]};
    rf_tensor *d = rf_entropy_slope(s, &attrs->entropy, in);
    d = rf_reshape(s, d, 2, (int64_t[]){-1, w->dims[0]});
    if (grad->wanted & 1)
        grad->grad_in[0] = rf_reshape(s, rf_matmul(s, d, weight), shape->rank, shape->dims);
    if (grad->wanted & 2)
        grad->grad_in[1] =
            rf_matmul_with(s, d, rf_reshape(s, x, 2, (int64_t[]){-1, w->dims[1]}), RF_TRANSPOSE_A);
    return s->status;
}

/* The last two: more than one tile in either direction. */
static int head_sample(size_t index, rf_op_sample *out)
{
    static const int64_t x[2][3] = {{2, 3, 4}, {1, 130, 2}}, w[2][2] = {{5, 4}, {70, 2}};
    static const head_attrs rows[5] = {{{0, 0, 0}, HEAD_TILE, 0, RF_LOGITS_AUTO},
                                       {{1, 0, 0}, HEAD_TILE, 0, RF_LOGITS_RECOMPUTE},
                                       {{0, 1, 2}, HEAD_TILE, 0, RF_LOGITS_KEEP},
                                       {{0, 1, 2}, 1, 0, RF_LOGITS_KEEP},
                                       {{0, 1, 2}, 1, 0, RF_LOGITS_RECOMPUTE}};
    if (index >= 5)
        return 0;
    *(head_attrs *)(void *)out->attrs = rows[index];
    rf_sample_float(out, 0, -1, 1, 3, x[index > 2]);
    rf_sample_float(out, 1, -1, 1, 2, w[index > 2]);
    rf_sample_integer(out, 2, index > 2 ? 70 : 5, 2, x[index > 2]);
    return 1;
}

const rf_op_class rf_op_linear_cross_entropy = {
    .size = sizeof(rf_op_class),
    .name = "linear_cross_entropy",
    .doc = "cross_entropy of the logits x W^T, a tile of them at a time",
    .traits = RF_OP_FIRST_ORDER | RF_OP_PRODUCT,
    .num_out = 1,
    .num_aux = 2,
    .infer = head_infer,
    .forward = head_forward,
    .reads = head_reads,
    .backward = head_backward,
    .backward_composed = head_composed,
    .workspace = head_workspace,
    .cost = head_cost,
    .sample = head_sample,
};

/* in: g, x, weight, targets, log sum exp, the tiles if they were kept. The results are dx, dW; one
 * not wanted is empty. */
static rf_status head_grad_infer(rf_op_call *call)
{
    int64_t wanted = ((const head_attrs *)call->attrs)->wanted;
    for (size_t j = 0; j < 2; j++) {
        call->out[j].shape = call->in[1 + j].shape;
        if (!(wanted & (1 << j))) {
            call->out[j].shape.rank = 1;
            call->out[j].shape.dims[0] = 0;
        }
    }
    return head_check(call, 1);
}

static size_t head_grad_workspace(const rf_op_call *call)
{
    return head_workspace_of(call, 1);
}

/* block (+)= a b, block being rows from `row` on of grad, or in f32 of `area`, from `at` on there.
 */
static rf_status head_add(const head_job *j, const rf_view *const ab[2], const rf_view *block,
                          int begin)
{
    return begin ? j->k->matmul(&j->e, ab[0], ab[1], block)
                 : j->k->matmul_add(&j->e, ab[0], ab[1], block);
}

/* dX, rows of dx, is whole after the last columns. */
static rf_status head_grad_x(const head_job *j)
{
    rf_view sum = j->dx, to = head_block(&j->dx, j->row, j->rows);
    const rf_view *ab[2] = {&j->z, &j->ws};
    if (j->dtype != j->wide)
        sum = head_matrix(j->wide, j->n, j->c, head_at(j, HEAD_DX));
    sum = head_block(&sum, j->row, j->rows);
    rf_status status = head_add(j, ab, &sum, j->first == 0);
    if (!status && j->dtype != j->wide && j->first + j->cols >= j->v)
        status = j->k->unary(&j->e, RF_UNARY_COPY, &sum, &to);
    return status;
}

/* dU, rows of dW, is whole after the last rows of x. */
static rf_status head_grad_w(const head_job *j)
{
    rf_view to = head_block(&j->dw, j->first, j->cols), sum = to, down = head_swapped(j->z);
    const rf_view *ab[2] = {&down, &j->xs};
    if (j->dtype != j->wide)
        sum = head_matrix(j->wide, to.shape.dims[0], j->c, head_at(j, HEAD_DW));
    rf_status status = head_add(j, ab, &sum, j->row == 0);
    if (!status && j->dtype != j->wide && j->row + j->rows >= j->n)
        status = j->k->unary(&j->e, RF_UNARY_COPY, &sum, &to);
    return status;
}

static rf_status head_grad_tile(head_job *j)
{
    rf_entropy_part part = head_part(j);
    rf_view g = head_matrix(j->wide, 1, 1, head_at(j, HEAD_G));
    rf_view targets = head_block(&j->targets, j->row, j->rows);
    rf_view lse = head_block(&j->lse, j->row, j->rows);
    rf_view z = j->z;
    const rf_view *in[4] = {&g, &z, &targets, &lse};
    j->z.data = head_at(j, HEAD_Z); /* in the place of z, unless that is kept */
    rf_status status = j->k->cross_entropy_part_grad(&j->e, &part, in, &j->z);
    if (!status && j->wanted & 1)
        status = head_grad_x(j);
    if (!status && j->wanted & 2)
        status = head_grad_w(j);
    return status;
}

static rf_status head_grad_forward(rf_op_call *call)
{
    head_job j = head_of(call, 1);
    rf_view g = call->in[0], scaled = call->in[0];
    head_begin(&j, call, &call->in[5]);
    j.lse = call->in[4];
    j.dx = call->out[0];
    j.dw = call->out[1];
    rf_entropy_flatten(&j.lse);
    if (j.wanted & 1)
        rf_view_rows(&j.dx);
    scaled.data = head_at(&j, HEAD_G);
    rf_status status = j.k->affine(&j.e, rf_entropy_scale(call, &j.targets), 0, &g, &scaled);
    if (!status && !j.n && j.wanted & 2)
        status = j.k->fill(&j.e, 0, &j.dw);
    return status ? status : head_each(&j, head_grad_tile);
}

static rf_op_cost head_grad_cost(const rf_op_call *call)
{
    int64_t wanted = ((const head_attrs *)call->attrs)->wanted;
    return head_cost_of(call, 1, 1.0 + (double)(wanted & 1) + (double)(wanted >> 1 & 1));
}

const rf_op_class rf_op_linear_cross_entropy_grad = {
    .size = sizeof(rf_op_class),
    .name = "linear_cross_entropy_grad",
    .doc = "dx = D W and dW = D^T x, D = (softmax(x W^T) - onehot(target)) g / rows that count",
    .num_out = 2,
    .infer = head_grad_infer,
    .forward = head_grad_forward,
    .workspace = head_grad_workspace,
    .cost = head_grad_cost,
};

rf_tensor *rf_linear_cross_entropy(rf_scope *s, rf_tensor *x, rf_tensor *weight, rf_tensor *targets,
                                   const rf_linear_cross_entropy_options *opts)
{
    static const rf_linear_cross_entropy_options defaults = RF_LINEAR_CROSS_ENTROPY_OPTIONS_INIT;
    opts = opts ? opts : &defaults;
    head_attrs a = {{opts->reduction == RF_REDUCTION_SUM, opts->has_ignored != 0, opts->ignored},
                    opts->tile > 0 ? opts->tile : HEAD_TILE,
                    0,
                    opts->logits};
    rf_tensor *in[3] = {rf_contiguous(s, x), rf_contiguous(s, weight), rf_contiguous(s, targets)};
    return rf_expr(s, &rf_op_linear_cross_entropy, in, 3, &a, sizeof a);
}
