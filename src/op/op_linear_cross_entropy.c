/* op_linear_cross_entropy.c: the cross-entropy of the logits x W^T, made a tile at a time: some
 * rows by some columns. The first of them, as many as are wanted, are kept for backward; each of
 * the others is overwritten by the next and made again there. However many are kept, the same is
 * done in the same order: no bit depends on it.
 *
 * With X some rows of x and U some rows of W (the columns of a tile):
 *   forward:   Z = X U^T; log sum exp of its rows joins that of tiles before; targets are picked
 *   backward:  Z, kept or again; D = (softmax(Z) - onehot) g / rows that count
 *              dX += D U;  dU += D^T X
 *
 * In bf16, dX and dU are added up in f32 and rounded at the end. The tiles, their order and the
 * loop over them: head.h.
 */
#include "op/head.h"
#include "op/table.h"

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
    rf_head_job j = rf_head_of(call, 0);
    call->num_out = j.kept ? 3 : 2;
    call->out[2].shape.dtype = j.wide; /* the tiles that are kept */
    call->out[2].shape.rank = 1;
    call->out[2].shape.dims[0] = j.kept_logits;
    return RF_OK;
}

static size_t head_workspace(const rf_op_call *call)
{
    return rf_head_workspace_of(call, 0);
}

static rf_status head_sum_up(rf_head_job *j)
{
    rf_entropy_part part = rf_head_part(j);
    rf_view targets = rf_head_block(&j->targets, j->row, j->rows);
    rf_view sums = rf_head_matrix(RF_F64, j->n, 2, rf_head_at(j, RF_HEAD_SUMS));
    const rf_view *in[2] = {&j->z, &targets};
    sums = rf_head_block(&sums, j->row, j->rows);
    return j->k->cross_entropy_part(&j->e, &part, in, &sums);
}

static rf_status head_forward(rf_op_call *call)
{
    rf_head_job j = rf_head_of(call, 0);
    rf_head_begin(&j, call, &call->out[2]);
    rf_status status = rf_head_each(&j, head_sum_up);
    rf_view sums = rf_head_matrix(RF_F64, j.n, 2, rf_head_at(&j, RF_HEAD_SUMS));
    rf_view losses = rf_head_matrix(j.wide, 1, j.n, rf_head_at(&j, RF_HEAD_LOSSES)), loss = losses;
    rf_view lse = call->out[1];
    rf_entropy_flatten(&lse);
    rf_entropy_flatten(&losses);
    const rf_view *in[2] = {&sums, &j.targets}, *out[2] = {&losses, &lse};
    rf_entropy_part part = rf_head_part(&j);
    if (!status)
        status = j.k->cross_entropy_end(&j.e, &part, in, out);
    if (status)
        return status == RF_E_ARGUMENT
                   ? rf_op_fail(call, status, "a target is outside of the vocabulary")
                   : status;
    loss = rf_head_matrix(j.wide, 1, 1, call->out[0].data);
    rf_entropy_flatten(&loss);
    return j.k->sum(&j.e, rf_entropy_scale(call, &j.targets), &losses, &loss);
}

static rf_op_cost head_cost_of(const rf_op_call *call, size_t x, double products)
{
    rf_head_job j = rf_head_of(call, x);
    double n = (double)j.n, v = (double)j.v, c = (double)j.c;
    return (rf_op_cost){2 * products * n * v * c,
                        products * (n + v) * c * (double)rf_dtype_size(j.dtype)};
}

static rf_op_cost head_cost(const rf_op_call *call)
{
    return head_cost_of(call, 0, 1);
}

static double head_between(rf_op_call *call, void *attrs, int end)
{
    double share = rf_head_form(call, 0, attrs, end, &call->out[2]);
    call->num_out = end ? 3 : 2;
    return share;
}

/* ---- gradients ---- */

static rf_op_reads head_reads(const rf_op_call *call, uint32_t wanted)
{
    return (rf_op_reads){wanted ? 7u : 0, !wanted ? 0 : call->num_out > 2 ? 6u : 2u};
}

static rf_status head_backward(rf_op_grad *grad)
{
    rf_scope *s = grad->scope;
    rf_head_attrs attrs = *(const rf_head_attrs *)grad->attrs;
    rf_tensor *out[2] = {NULL, NULL};
    rf_tensor *in[6] = {grad->grad_out[0], rf_op_saved_input(grad, 0), rf_op_saved_input(grad, 1),
                        rf_op_saved_input(grad, 2), rf_op_saved_output(grad, 1)};
    if (grad->num_out > 2)
        in[5] = rf_op_saved_output(grad, 2);
    if (s->status)
        return s->status;
    attrs.wanted = grad->wanted & 3;
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
    const rf_head_attrs *attrs = grad->attrs;
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

/* The last three: more than one tile in either direction. */
static int head_sample(size_t index, rf_op_sample *out)
{
    static const int64_t x[2][3] = {{2, 3, 4}, {1, 130, 2}}, w[2][2] = {{5, 4}, {70, 2}};
    static const rf_head_attrs rows[6] = {{{0, 0, 0}, RF_HEAD_TILE, 0, RF_LOGITS_AUTO, 0},
                                          {{1, 0, 0}, RF_HEAD_TILE, 0, RF_LOGITS_RECOMPUTE, 0},
                                          {{0, 1, 2}, RF_HEAD_TILE, 0, RF_LOGITS_KEEP, 0},
                                          {{0, 1, 2}, 1, 0, RF_LOGITS_KEEP, 0},
                                          {{0, 1, 2}, 1, 0, RF_LOGITS_RECOMPUTE, 0},
                                          {{0, 1, 2}, 1, 0, RF_LOGITS_PART, 64 * 130 * 4}};
    if (index >= 6)
        return 0;
    *(rf_head_attrs *)(void *)out->attrs = rows[index];
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
    .between = head_between,
};

/* in: g, x, weight, targets, log sum exp, the tiles if they were kept. The results are dx, dW; one
 * not wanted is empty. */
static rf_status head_grad_infer(rf_op_call *call)
{
    int64_t wanted = ((const rf_head_attrs *)call->attrs)->wanted;
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
    return rf_head_workspace_of(call, 1);
}

/* block (+)= a b, block being rows of a gradient, or of its sums in f32. */
static rf_status head_add(const rf_head_job *j, const rf_view *const ab[2], const rf_view *block,
                          int begin)
{
    return begin ? j->k->matmul(&j->e, ab[0], ab[1], block)
                 : j->k->matmul_add(&j->e, ab[0], ab[1], block);
}

/* dX, rows of dx, is whole after the last columns. */
static rf_status head_grad_x(const rf_head_job *j)
{
    rf_view sum = j->dx, to = rf_head_block(&j->dx, j->row, j->rows);
    const rf_view *ab[2] = {&j->z, &j->ws};
    if (j->dtype != j->wide)
        sum = rf_head_matrix(j->wide, j->n, j->c, rf_head_at(j, RF_HEAD_DX));
    sum = rf_head_block(&sum, j->row, j->rows);
    rf_status status = head_add(j, ab, &sum, j->first == 0);
    if (!status && j->dtype != j->wide && j->first + j->cols >= j->v)
        status = j->k->unary(&j->e, RF_UNARY_COPY, &sum, &to);
    return status;
}

/* dU, rows of dW, is whole after the last rows of x. */
static rf_status head_grad_w(const rf_head_job *j)
{
    rf_view to = rf_head_block(&j->dw, j->first, j->cols), sum = to, down = rf_head_swapped(j->z);
    const rf_view *ab[2] = {&down, &j->xs};
    if (j->dtype != j->wide)
        sum = rf_head_matrix(j->wide, to.shape.dims[0], j->c, rf_head_at(j, RF_HEAD_DW));
    rf_status status = head_add(j, ab, &sum, j->row == 0);
    if (!status && j->dtype != j->wide && j->row + j->rows >= j->n)
        status = j->k->unary(&j->e, RF_UNARY_COPY, &sum, &to);
    return status;
}

/* The tile's gradient in bf16. */
static rf_status head_grad_round(rf_head_job *j)
{
    rf_view wide = j->z;
    j->z = rf_head_matrix(j->dtype, wide.shape.dims[0], wide.shape.dims[1],
                          rf_head_at(j, RF_HEAD_NARROW));
    return j->k->unary(&j->e, RF_UNARY_COPY, &wide, &j->z);
}

static rf_status head_grad_tile(rf_head_job *j)
{
    rf_entropy_part part = rf_head_part(j);
    rf_view g = rf_head_matrix(j->wide, 1, 1, rf_head_at(j, RF_HEAD_G));
    rf_view targets = rf_head_block(&j->targets, j->row, j->rows);
    rf_view lse = rf_head_block(&j->lse, j->row, j->rows);
    rf_view z = j->z;
    const rf_view *in[4] = {&g, &z, &targets, &lse};
    j->z.data = rf_head_at(j, RF_HEAD_Z); /* in the place of z, unless that is kept */
    rf_status status = j->k->cross_entropy_part_grad(&j->e, &part, in, &j->z);
    if (!status && j->dtype != j->wide)
        status = head_grad_round(j);
    if (!status && j->wanted & 1)
        status = head_grad_x(j);
    if (!status && j->wanted & 2)
        status = head_grad_w(j);
    return status;
}

static rf_status head_grad_forward(rf_op_call *call)
{
    rf_head_job j = rf_head_of(call, 1);
    rf_view g = call->in[0], scaled = call->in[0];
    rf_head_begin(&j, call, &call->in[5]);
    j.lse = call->in[4];
    j.dx = call->out[0];
    j.dw = call->out[1];
    rf_entropy_flatten(&j.lse);
    if (j.wanted & 1)
        rf_view_rows(&j.dx);
    scaled.data = rf_head_at(&j, RF_HEAD_G);
    rf_status status = j.k->affine(&j.e, rf_entropy_scale(call, &j.targets), 0, &g, &scaled);
    if (!status && !j.n && j.wanted & 2)
        status = j.k->fill(&j.e, 0, &j.dw);
    return status ? status : rf_head_each(&j, head_grad_tile);
}

static rf_op_cost head_grad_cost(const rf_op_call *call)
{
    int64_t wanted = ((const rf_head_attrs *)call->attrs)->wanted;
    double again = 1 - rf_head_share(call, 1);
    return head_cost_of(call, 1, again + (double)(wanted & 1) + (double)(wanted >> 1 & 1));
}

static double head_grad_between(rf_op_call *call, void *attrs, int end)
{
    double share = rf_head_form(call, 1, attrs, end, &call->in[5]);
    if (!end)
        call->in[5] = (rf_view){.shape.dtype = RF_ABSENT};
    return share;
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
    .between = head_grad_between,
};

rf_tensor *rf_linear_cross_entropy(rf_scope *s, rf_tensor *x, rf_tensor *weight, rf_tensor *targets,
                                   const rf_linear_cross_entropy_options *opts)
{
    static const rf_linear_cross_entropy_options defaults = RF_LINEAR_CROSS_ENTROPY_OPTIONS_INIT;
    opts = opts ? opts : &defaults;
    rf_head_attrs a = {{opts->reduction == RF_REDUCTION_SUM, opts->has_ignored != 0, opts->ignored},
                       opts->tile > 0 ? opts->tile : RF_HEAD_TILE,
                       0,
                       opts->logits,
                       opts->part > 0 ? opts->part : 0};
    rf_tensor *in[3] = {rf_contiguous(s, x), rf_contiguous(s, weight), rf_contiguous(s, targets)};
    return rf_expr(s, &rf_op_linear_cross_entropy, in, 3, &a, sizeof a);
}
