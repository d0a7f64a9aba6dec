/* op_matmul.c: C = A' B', ' being an optional swap of the last two axes; leading axes broadcast.
 *   C = A B:       dA = g B^T,   dB = A^T g
 *   C = A^T B:     dA = B g^T,   dB = A g
 *   C = A B^T:     dA = g B,     dB = g^T A
 *   C = A^T B^T:   dA = B^T g^T, dB = g^T A^T
 */
#include "op/expr.h"
#include "op/table.h"

/* The operands as they are multiplied: swapped if asked for. */
static void matmul_operands(const rf_op_call *call, rf_view *a, rf_view *b)
{
    int64_t t = *(const int64_t *)call->attrs;
    *a = call->in[0];
    *b = call->in[1];
    if (t & RF_TRANSPOSE_A)
        rf_view_swap_last(a);
    if (t & RF_TRANSPOSE_B)
        rf_view_swap_last(b);
}

static rf_status matmul_unlike(rf_op_call *call)
{
    char a[128], b[128];
    return rf_fail(call->ctx, RF_E_SHAPE, "matmul: %s and %s do not go together",
                   rf_shape_text(&call->in[0].shape, a, sizeof a),
                   rf_shape_text(&call->in[1].shape, b, sizeof b));
}

/* Leading axes of the result: those of a and b, broadcast. */
static int matmul_lead(const rf_shape *a, const rf_shape *b, rf_shape *out)
{
    unsigned rank = a->rank > b->rank ? a->rank : b->rank;
    out->rank = (uint8_t)rank;
    for (unsigned i = 0; i + 2 < rank; i++) {
        int64_t x = i + a->rank >= rank ? a->dims[i + a->rank - rank] : 1;
        int64_t y = i + b->rank >= rank ? b->dims[i + b->rank - rank] : 1;
        if (x != y && x != 1 && y != 1)
            return 0;
        out->dims[i] = x == 1 ? y : x;
    }
    return 1;
}

static rf_status matmul_infer(rf_op_call *call)
{
    rf_view a, b;
    rf_shape *c = &call->out[0].shape;
    rf_status status = rf_infer_need_float(call, 0);
    if (status)
        return status;
    if (call->in[0].shape.rank < 2 || call->in[1].shape.rank < 2)
        return matmul_unlike(call);
    if (call->in[0].shape.dtype != call->in[1].shape.dtype)
        return rf_op_fail(call, RF_E_DTYPE, "the inputs differ in type");
    matmul_operands(call, &a, &b);
    unsigned ra = a.shape.rank, rb = b.shape.rank;
    if (a.shape.dims[ra - 1] != b.shape.dims[rb - 2] || !matmul_lead(&a.shape, &b.shape, c))
        return matmul_unlike(call);
    c->dtype = a.shape.dtype;
    c->dims[c->rank - 2] = a.shape.dims[ra - 2];
    c->dims[c->rank - 1] = b.shape.dims[rb - 1];
    return RF_OK;
}

/* Give an operand the leading axes of the result, keeping its last two. */
static void matmul_widen(rf_view *x, const rf_shape *c)
{
    rf_shape like = *c;
    like.dims[c->rank - 2] = x->shape.dims[x->shape.rank - 2];
    like.dims[c->rank - 1] = x->shape.dims[x->shape.rank - 1];
    rf_view_broadcast(x, &like);
}

/* The three views as the kernel wants them. Rows of a that lie one after the other are one product
 * when b has no leading axes. */
static void matmul_views(const rf_op_call *call, rf_view *a, rf_view *b, rf_view *c)
{
    matmul_operands(call, a, b);
    *c = call->out[0];
    if (b->shape.rank == 2 && rf_view_contiguous(a)) {
        rf_view_rows(a);
        rf_view_rows(c);
        return;
    }
    matmul_widen(a, &c->shape);
    matmul_widen(b, &c->shape);
}

static size_t matmul_workspace(const rf_op_call *call)
{
    rf_view a, b, c;
    matmul_views(call, &a, &b, &c);
    return rf_call_kernels(call)->matmul_workspace(call->ctx->threads, &a, &b, &c);
}

static rf_status matmul_forward(rf_op_call *call)
{
    rf_view a, b, c;
    rf_exec e = rf_call_exec(call);
    matmul_views(call, &a, &b, &c);
    return rf_call_kernels(call)->matmul(&e, &a, &b, &c);
}

static rf_op_reads matmul_reads(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    return (rf_op_reads){(wanted & 1 ? 2u : 0) | (wanted & 2 ? 1u : 0), 0};
}

static rf_status matmul_backward(rf_op_grad *grad)
{
    /* By the four cases above: which product gives dA and dB, and whether g comes second. */
    static const struct {
        rf_transpose a, b;
        int a_last, b_last;
    } rows[4] = {{RF_TRANSPOSE_B, RF_TRANSPOSE_A, 0, 1},
                 {RF_TRANSPOSE_B, RF_TRANSPOSE_NONE, 1, 1},
                 {RF_TRANSPOSE_NONE, RF_TRANSPOSE_A, 0, 0},
                 {RF_TRANSPOSE_BOTH, RF_TRANSPOSE_BOTH, 1, 0}};
    int64_t t = *(const int64_t *)grad->attrs;
    rf_scope *s = grad->scope;
    rf_tensor *g = grad->grad_out[0];
    if (grad->wanted & 1) {
        rf_tensor *b = rf_op_saved_input(grad, 1);
        rf_tensor *da = rows[t].a_last ? rf_matmul_with(s, b, g, rows[t].a)
                                       : rf_matmul_with(s, g, b, rows[t].a);
        grad->grad_in[0] = rf_grad_to(grad, da, 0);
    }
    if (grad->wanted & 2) {
        rf_tensor *a = rf_op_saved_input(grad, 0);
        rf_tensor *db = rows[t].b_last ? rf_matmul_with(s, a, g, rows[t].b)
                                       : rf_matmul_with(s, g, a, rows[t].b);
        grad->grad_in[1] = rf_grad_to(grad, db, 1);
    }
    return s->status;
}

static rf_op_cost matmul_cost(const rf_op_call *call)
{
    rf_view a, b;
    matmul_operands(call, &a, &b);
    double k = (double)a.shape.dims[a.shape.rank - 1];
    double c = (double)rf_shape_count(&call->out[0].shape);
    double bytes = c + (double)rf_shape_count(&a.shape) + (double)rf_shape_count(&b.shape);
    return (rf_op_cost){2 * k * c, bytes * (double)rf_dtype_size(a.shape.dtype)};
}

static int matmul_sample(size_t index, rf_op_sample *out)
{
    static const int64_t a[4][3] = {{3, 4}, {4, 3}, {2, 3, 4}, {2, 4, 3}};
    static const int64_t b[4][3] = {{4, 5}, {4, 5}, {5, 4}, {1, 5, 4}};
    if (index >= 4)
        return 0;
    *(int64_t *)(void *)out->attrs = (int64_t)index;
    rf_sample_float(out, 0, -1, 1, index < 2 ? 2 : 3, a[index]);
    rf_sample_float(out, 1, -1, 1, index < 3 ? 2 : 3, b[index]);
    return 1;
}

const rf_op_class rf_op_matmul = {
    .size = sizeof(rf_op_class),
    .name = "matmul",
    .doc = "A B over the last two axes, either of them swapped first",
    .traits = RF_OP_PRODUCT,
    .num_out = 1,
    .infer = matmul_infer,
    .forward = matmul_forward,
    .reads = matmul_reads,
    .backward = matmul_backward,
    .workspace = matmul_workspace,
    .cost = matmul_cost,
    .sample = matmul_sample,
};

rf_tensor *rf_matmul_with(rf_scope *s, rf_tensor *a, rf_tensor *b, rf_transpose transpose)
{
    int64_t attrs = transpose & RF_TRANSPOSE_BOTH;
    return rf_expr(s, &rf_op_matmul, (rf_tensor *[]){a, b}, 2, &attrs, sizeof attrs);
}

rf_tensor *rf_matmul(rf_scope *s, rf_tensor *a, rf_tensor *b)
{
    return rf_matmul_with(s, a, b, RF_TRANSPOSE_NONE);
}
