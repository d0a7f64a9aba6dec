/* head.c: see head.h. */
#include "op/head.h"

enum { HEAD_ROWS = 2048, HEAD_LEAST = 64 };
#define HEAD_KEPT (512.0 * 1024 * 1024) /* more than this is made again, if nobody says */

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
static void head_tile(rf_head_job *j, int64_t bytes)
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

rf_view rf_head_matrix(uint8_t dtype, int64_t rows, int64_t cols, void *data)
{
    rf_view m = {.shape = {.dtype = dtype, .device = RF_DEVICE_CPU, .rank = 2}};
    m.shape.dims[0] = rows;
    m.shape.dims[1] = cols;
    m.strides[0] = cols;
    m.strides[1] = 1;
    m.data = data;
    return m;
}

rf_view rf_head_swapped(rf_view m)
{
    rf_view_swap_last(&m);
    return m;
}

rf_view rf_head_block(const rf_view *m, int64_t first, int64_t count)
{
    rf_view block = *m;
    int64_t row = m->shape.rank > 1 ? m->shape.dims[1] : 1;
    block.shape.dims[0] = head_least(count, m->shape.dims[0] - first);
    if (m->data)
        block.data = (char *)m->data + (size_t)(first * row) * rf_dtype_size(m->shape.dtype);
    return block;
}

void *rf_head_at(const rf_head_job *j, rf_head_area area)
{
    return (char *)j->call->workspace + j->at[area];
}

/* ---- the workspace ---- */

static size_t head_scratch_of(const rf_head_job *j, const int64_t mnk[3])
{
    int64_t m = mnk[0], n = mnk[1], k = mnk[2];
    rf_view a = rf_head_matrix(j->dtype, m, k, NULL), b = rf_head_matrix(j->dtype, k, n, NULL);
    rf_view c = rf_head_matrix(j->wide, m, n, NULL),
            as = rf_head_swapped(rf_head_matrix(j->dtype, k, m, NULL)),
            bs = rf_head_swapped(rf_head_matrix(j->dtype, n, k, NULL));
    size_t plain = j->k->matmul_workspace(j->e.threads, &a, &b, &c);
    size_t first = j->k->matmul_workspace(j->e.threads, &as, &b, &c);
    size_t second = j->k->matmul_workspace(j->e.threads, &a, &bs, &c);
    plain = plain > first ? plain : first;
    return plain > second ? plain : second;
}

/* The most that any product of any tile wants. */
static size_t head_scratch(const rf_head_job *j)
{
    size_t most = 0;
    for (int edge = 0; edge < 4; edge++) {
        int64_t rows = edge & 1 ? j->n % j->rows : j->rows;
        int64_t cols = edge & 2 ? j->v % j->cols : j->cols;
        const int64_t mnk[3][3] = {{rows, cols, j->c}, {rows, j->c, cols}, {cols, j->c, rows}};
        for (int i = 0; i < (j->wanted ? 3 : 1); i++) {
            size_t bytes = head_scratch_of(j, mnk[i]);
            most = most > bytes ? most : bytes;
        }
    }
    return most;
}

static void head_layout(rf_head_job *j)
{
    size_t wide = rf_dtype_size(j->wide), bytes[RF_HEAD_AREAS] = {0};
    bytes[RF_HEAD_Z] = j->kept == j->num && !j->wanted ? 0 : (size_t)(j->rows * j->cols) * wide;
    bytes[RF_HEAD_SUMS] = j->wanted ? 0 : (size_t)j->n * 2 * sizeof(double);
    bytes[RF_HEAD_LOSSES] = j->wanted ? 0 : (size_t)j->n * wide;
    bytes[RF_HEAD_G] = j->wanted ? wide : 0;
    if (j->dtype != j->wide) {
        size_t narrow = rf_dtype_size(j->dtype);
        bytes[RF_HEAD_NARROW] = j->wanted ? (size_t)(j->rows * j->cols) * narrow : 0;
        bytes[RF_HEAD_DX] = j->wanted & 1 ? (size_t)(j->n * j->c) * wide : 0;
        bytes[RF_HEAD_DW] = j->wanted & 2 ? (size_t)(j->cols * j->c) * wide : 0;
    }
    bytes[RF_HEAD_PRODUCT] = head_scratch(j);
    for (int i = 0; i < RF_HEAD_AREAS; i++)
        j->at[i + 1] = j->at[i] + ((bytes[i] + 63) & ~(size_t)63);
}

/* Logits in the first `num` tiles: whole rounds over the rows, and some of one more. */
static int64_t head_logits_in(const rf_head_job *j, int64_t num)
{
    int64_t high = head_parts(j->n, j->rows), first = num / high * j->cols;
    int64_t cols = head_least(first, j->v), row = num % high * j->rows;
    return j->n * cols + row * head_least(j->cols, j->v - cols);
}

/* The most tiles that are within so many bytes. */
static int64_t head_fitting(const rf_head_job *j, int64_t bytes)
{
    int64_t low = 0, high = j->num, logits = bytes / (int64_t)rf_dtype_size(j->wide);
    while (low < high) {
        int64_t middle = low + (high - low + 1) / 2;
        if (head_logits_in(j, middle) <= logits)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static void head_keep(rf_head_job *j, const rf_head_attrs *a)
{
    double bytes = (double)j->n * (double)j->v * (double)rf_dtype_size(j->wide);
    j->num = j->n ? head_parts(j->n, j->rows) * head_parts(j->v, j->cols) : 0;
    if (a->logits == RF_LOGITS_KEEP || (a->logits == RF_LOGITS_AUTO && bytes <= HEAD_KEPT))
        j->kept = j->num;
    else if (a->logits == RF_LOGITS_PART)
        j->kept = head_fitting(j, a->part);
    j->kept_logits = j->kept ? head_logits_in(j, j->kept) : 0;
}

rf_head_job rf_head_of(const rf_op_call *call, size_t x)
{
    const rf_head_attrs *a = call->attrs;
    rf_head_job j = {.k = rf_call_kernels(call), .e = {call->ctx->threads, NULL}};
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
    head_tile(&j, a->tile);
    head_keep(&j, a);
    return j;
}

double rf_head_share(const rf_op_call *call, size_t x)
{
    rf_head_job j = rf_head_of(call, x);
    return j.num ? (double)j.kept_logits / ((double)j.n * (double)j.v) : 1;
}

double rf_head_form(const rf_op_call *call, size_t x, rf_head_attrs *attrs, int end, rf_view *tiles)
{
    double share = rf_head_share(call, x);
    attrs->logits = end ? RF_LOGITS_KEEP : RF_LOGITS_RECOMPUTE;
    attrs->part = 0;
    rf_head_job j = rf_head_of(call, x);
    *tiles = rf_head_matrix(j.wide, 1, j.kept_logits, NULL);
    rf_entropy_flatten(tiles);
    return share;
}

size_t rf_head_workspace_of(const rf_op_call *call, size_t x)
{
    rf_head_job j = rf_head_of(call, x);
    head_layout(&j);
    return j.at[RF_HEAD_AREAS];
}

void rf_head_begin(rf_head_job *j, rf_op_call *call, const rf_view *kept)
{
    head_layout(j);
    j->call = call;
    j->tiles = j->kept ? kept->data : NULL;
    j->e.workspace = rf_head_at(j, RF_HEAD_PRODUCT);
}

/* ---- the loop ---- */

/* The tile's logits: made, unless they were kept. */
static rf_status head_logits(rf_head_job *j)
{
    int64_t rows = j->xs.shape.dims[0], cols = j->ws.shape.dims[0];
    int kept = j->tile++ < j->kept;
    rf_view across = rf_head_swapped(j->ws);
    j->z = rf_head_matrix(j->wide, rows, cols, kept ? j->tiles : rf_head_at(j, RF_HEAD_Z));
    if (kept)
        j->tiles += (size_t)(rows * cols) * rf_dtype_size(j->wide);
    return kept && j->wanted ? RF_OK : j->k->matmul(&j->e, &j->xs, &across, &j->z);
}

rf_status rf_head_each(rf_head_job *j, rf_status (*body)(rf_head_job *j))
{
    rf_status status = RF_OK;
    for (j->first = 0; j->first < j->v && j->n && !status; j->first += j->cols) {
        j->ws = rf_head_block(&j->w, j->first, j->cols);
        for (j->row = 0; j->row < j->n && !status; j->row += j->rows) {
            j->xs = rf_head_block(&j->x, j->row, j->rows);
            status = head_logits(j);
            if (!status)
                status = body(j);
        }
    }
    return status;
}

rf_entropy_part rf_head_part(const rf_head_job *j)
{
    const rf_head_attrs *a = j->call->attrs;
    return (rf_entropy_part){j->first, j->v, rf_entropy_ignored(&a->entropy)};
}
