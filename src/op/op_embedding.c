/* op_embedding.c: rows of a table at ids.
 * dtable = the rows of g added up at their ids; linear in g, so its own gradient is a lookup.
 * The table is large and few of its rows are touched: where there is a sum of gradients already
 * (the head's, if the two are tied) the rows are added to that, and no second table is made.
 */
#include "op/expr.h"
#include "op/table.h"

/* Ids, and everything before them, as they must be. */
static rf_status embedding_ids(rf_op_call *call, size_t ids)
{
    uint8_t dtype = call->in[ids].shape.dtype;
    rf_status status = RF_OK;
    if (dtype != RF_I64 && dtype != RF_I32 && dtype != RF_U8)
        return rf_op_fail(call, RF_E_DTYPE, "ids must be i64, i32 or u8");
    for (size_t i = 0; i <= ids && !status; i++)
        status = rf_infer_need_contiguous(call, i);
    return status;
}

static rf_status embedding_infer(rf_op_call *call)
{
    const rf_shape *table = &call->in[0].shape;
    rf_shape *out = &call->out[0].shape;
    rf_status status = rf_infer_need_float(call, 0);
    if (status)
        return status;
    *out = call->in[1].shape;
    if (table->rank != 2 || out->rank == RF_MAX_RANK)
        return rf_op_fail(call, RF_E_SHAPE, "the table must be (V, C)");
    out->dims[out->rank++] = table->dims[1];
    out->dtype = table->dtype;
    return embedding_ids(call, 1);
}

static rf_status embedding_outside(rf_op_call *call, rf_status status)
{
    return status == RF_E_ARGUMENT ? rf_op_fail(call, status, "an id is outside of the table")
                                   : status;
}

static rf_status embedding_forward(rf_op_call *call)
{
    rf_exec e = rf_call_exec(call);
    return embedding_outside(
        call, rf_call_kernels(call)->embedding(&e, &call->in[0], &call->in[1], &call->out[0]));
}

static rf_op_reads embedding_reads(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    return (rf_op_reads){wanted ? 2u : 0, 0};
}

static rf_status embedding_backward(rf_op_grad *grad)
{
    int64_t rows = grad->in_shape[0].dims[0];
    rf_scope *s = grad->scope;
    rf_tensor *sum = rf_op_grad_sum(grad, 0);
    rf_tensor *in[3] = {sum, rf_contiguous(s, grad->grad_out[0]), rf_op_saved_input(grad, 1)};
    grad->grad_in[0] = sum ? rf_expr(s, &rf_op_embedding_add_inplace, in, 3, NULL, 0)
                           : rf_expr(s, &rf_op_embedding_grad, in + 1, 2, &rows, sizeof rows);
    return s->status;
}

static int64_t embedding_below(const rf_op_call *call, size_t input)
{
    return input == 1 ? call->in[0].shape.dims[0] : 0;
}

static int embedding_sample(size_t index, rf_op_sample *out)
{
    static const int64_t table[2] = {5, 3}, ids[2] = {2, 4};
    rf_sample_float(out, 0, -1, 1, 2, table);
    rf_sample_integer(out, 1, 5, 2, ids);
    return index == 0;
}

const rf_op_class rf_op_embedding = {
    .size = sizeof(rf_op_class),
    .name = "embedding",
    .doc = "rows of a table at ids",
    .num_out = 1,
    .infer = embedding_infer,
    .forward = embedding_forward,
    .reads = embedding_reads,
    .backward = embedding_backward,
    .sample = embedding_sample,
    .index_below = embedding_below,
};

static rf_status embedding_grad_infer(rf_op_call *call)
{
    const rf_shape *g = &call->in[0].shape;
    rf_shape *out = &call->out[0].shape;
    rf_status status = rf_infer_first(call);
    if (status)
        return status;
    if (g->rank != call->in[1].shape.rank + 1)
        return rf_op_fail(call, RF_E_SHAPE, "g and ids do not go together");
    out->rank = 2;
    out->dims[0] = *(const int64_t *)call->attrs;
    out->dims[1] = g->dims[g->rank - 1];
    return embedding_ids(call, 1);
}

static rf_status embedding_grad_forward(rf_op_call *call)
{
    rf_exec e = rf_call_exec(call);
    return embedding_outside(
        call, rf_call_kernels(call)->embedding_grad(&e, &call->in[0], &call->in[1], &call->out[0]));
}

static rf_status embedding_grad_backward(rf_op_grad *grad)
{
    rf_tensor *h = rf_contiguous(grad->scope, grad->grad_out[0]);
    grad->grad_in[0] = rf_embedding(grad->scope, h, rf_op_saved_input(grad, 1));
    return grad->scope->status;
}

static int64_t embedding_grad_below(const rf_op_call *call, size_t input)
{
    return input == 1 ? *(const int64_t *)call->attrs : 0;
}

static int embedding_grad_sample(size_t index, rf_op_sample *out)
{
    static const int64_t g[3] = {2, 4, 3}, ids[2] = {2, 4};
    *(int64_t *)(void *)out->attrs = 5;
    rf_sample_float(out, 0, -1, 1, 3, g);
    rf_sample_integer(out, 1, 5, 2, ids);
    return index == 0;
}

const rf_op_class rf_op_embedding_grad = {
    .size = sizeof(rf_op_class),
    .name = "embedding_grad",
    .doc = "rows of g added up at their ids",
    .num_out = 1,
    .infer = embedding_grad_infer,
    .forward = embedding_grad_forward,
    .reads = embedding_reads,
    .backward = embedding_grad_backward,
    .sample = embedding_grad_sample,
    .index_below = embedding_grad_below,
};

static rf_status embedding_add_infer(rf_op_call *call)
{
    const rf_shape *table = &call->in[0].shape, *g = &call->in[1].shape, *ids = &call->in[2].shape;
    rf_status status = rf_infer_first(call);
    if (status)
        return status;
    int fits = table->rank == 2 && g->rank == ids->rank + 1 && g->dtype == table->dtype &&
               g->dims[g->rank - 1] == table->dims[1];
    for (unsigned i = 0; fits && i < ids->rank; i++)
        fits = g->dims[i] == ids->dims[i];
    if (!fits)
        return rf_op_fail(call, RF_E_SHAPE, "the table, g and ids do not go together");
    return embedding_ids(call, 2);
}

static rf_status embedding_add_forward(rf_op_call *call)
{
    rf_exec e = rf_call_exec(call);
    return embedding_outside(
        call, rf_call_kernels(call)->embedding_add(&e, &call->in[1], &call->in[2], &call->out[0]));
}

static rf_op_reads embedding_add_reads(const rf_op_call *call, uint32_t wanted)
{
    (void)call;
    return (rf_op_reads){wanted & 2 ? 4u : 0, 0};
}

static rf_status embedding_add_backward(rf_op_grad *grad)
{
    rf_tensor *h = grad->grad_out[0];
    if (grad->wanted & 1)
        grad->grad_in[0] = h;
    if (grad->wanted & 2)
        grad->grad_in[1] = rf_embedding(grad->scope, h, rf_op_saved_input(grad, 2));
    return grad->scope->status;
}

static int embedding_add_sample(size_t index, rf_op_sample *out)
{
    static const int64_t table[2] = {5, 3}, g[3] = {2, 4, 3}, ids[2] = {2, 4};
    rf_sample_float(out, 0, -1, 1, 2, table);
    rf_sample_float(out, 1, -1, 1, 3, g);
    rf_sample_integer(out, 2, 5, 2, ids);
    return index == 0;
}

const rf_op_class rf_op_embedding_add_inplace = {
    .size = sizeof(rf_op_class),
    .name = "embedding_add_inplace",
    .doc = "x becomes x + the rows of g added up at their ids",
    .traits = RF_OP_INPLACE,
    .num_out = 1,
    .infer = embedding_add_infer,
    .forward = embedding_add_forward,
    .reads = embedding_add_reads,
    .backward = embedding_add_backward,
    .sample = embedding_add_sample,
};

rf_tensor *rf_embedding(rf_scope *s, rf_tensor *table, rf_tensor *ids)
{
    rf_tensor *in[2] = {rf_contiguous(s, table), rf_contiguous(s, ids)};
    return rf_expr(s, &rf_op_embedding, in, 2, NULL, 0);
}
