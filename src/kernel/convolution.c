/* convolution.c: products of weights with columns (columns.h), image by image and group by group.
 *   y = w c,   c' = w^T y (folded back: x),   w = the sum over images of y c^T
 * where c (C / groups KH KW, OH OW) are the columns of x.
 *
 * Where there are as many images as threads, each thread takes its share of them, one product at a
 * time; else the threads share each product. Which of the two follows from shapes and the thread
 * count. A part's workspace: its outcome, the columns of one image, the product's own, and for w
 * one product and the part's sum, which are added in the order of the parts.
 */
#include "kernel/columns.h"
#include "kernel/parts.h"
#include "kernel/reference.h"

#include <string.h>

typedef struct conv_job {
    const rf_conv_call *c;
    int64_t parts;
    size_t inner;                                 /* threads of one part        */
    int64_t images, groups;                       /* N, groups                  */
    int64_t in, out, each, see;                   /* per group: C, O; KH KW C; OH OW */
    int pointwise;                                /* the columns are the image  */
    size_t width;                                 /* bytes of an element        */
    size_t columns, product, sum, scratch, bytes; /* of a part's workspace */
    char *workspace;
} conv_job;

static rf_view conv_matrix(const conv_job *j, int64_t rows, int64_t cols, void *data)
{
    rf_view v = {.shape = {.dtype = j->c->x->shape.dtype, .rank = 2, .dims = {rows, cols}},
                 .strides = {cols, 1},
                 .data = data};
    return v;
}

static rf_view conv_swapped(rf_view v)
{
    rf_view t = v;
    t.shape.dims[0] = v.shape.dims[1];
    t.shape.dims[1] = v.shape.dims[0];
    t.strides[0] = v.strides[1];
    t.strides[1] = v.strides[0];
    return t;
}

/* The product of one pass: c = a b. */
static void conv_product(const conv_job *j, rf_view w, rf_view y, rf_view columns, rf_view abc[3])
{
    switch (j->c->pass) {
    case RF_CONV_FORWARD:
        abc[0] = w;
        abc[1] = columns;
        abc[2] = y;
        break;
    case RF_CONV_GRAD_INPUT:
        abc[0] = conv_swapped(w);
        abc[1] = y;
        abc[2] = columns;
        break;
    default:
        abc[0] = y;
        abc[1] = conv_swapped(columns);
        abc[2] = w;
    }
}

/* Sizes of a part's workspace, rounded up to 64; in double first, for they may be anything. */
static size_t conv_room(double elements, size_t width)
{
    double bytes = elements * (double)width;
    return bytes < 0x1p60 ? ((size_t)bytes + 63) / 64 * 64 : (size_t)1 << 60;
}

static size_t conv_wide(const conv_job *j)
{
    return j->c->x->shape.dtype == RF_F64 ? sizeof(double) : sizeof(float);
}

static void conv_rooms(conv_job *j)
{
    rf_view abc[3];
    int grad_weight = j->c->pass == RF_CONV_GRAD_WEIGHT;
    j->columns = j->pointwise ? 0 : conv_room((double)j->each * (double)j->see, j->width);
    j->product = grad_weight ? conv_room((double)j->out * (double)j->each, j->width) : 0;
    j->sum = grad_weight
                 ? conv_room((double)j->out * (double)j->each * (double)j->groups, conv_wide(j))
                 : 0;
    conv_product(j, conv_matrix(j, j->out, j->each, NULL), conv_matrix(j, j->out, j->see, NULL),
                 conv_matrix(j, j->each, j->see, NULL), abc);
    j->scratch = j->c->kernels->matmul_workspace(j->inner, &abc[0], &abc[1], &abc[2]);
    j->scratch = (j->scratch + 63) / 64 * 64;
    j->bytes = 64 + j->columns + j->product + j->sum + j->scratch;
}

static conv_job conv_job_of(size_t threads, const rf_conv_call *c)
{
    conv_job j = {.c = c, .parts = 1, .inner = threads, .groups = c->groups};
    const rf_window *w = &c->window;
    const int64_t *x = c->x->shape.dims, *y = c->y->shape.dims;
    j.images = x[0];
    if (threads > 1 && j.images >= (int64_t)threads) {
        j.parts = (int64_t)threads;
        j.inner = 1;
    }
    j.in = x[1] / c->groups;
    j.out = y[1] / c->groups;
    j.each = j.in * w->size[0] * w->size[1];
    j.see = y[2] * y[3];
    j.pointwise = w->size[0] == 1 && w->size[1] == 1 && w->stride[0] == 1 && w->stride[1] == 1 &&
                  !w->padding[0] && !w->padding[1];
    j.width = rf_dtype_size((rf_dtype)c->x->shape.dtype);
    conv_rooms(&j);
    return j;
}

size_t rf_convolution_workspace(size_t threads, const rf_conv_call *c)
{
    if (rf_conv_rows_fit(c))
        return rf_conv_rows_workspace(threads, c);
    conv_job j = conv_job_of(threads, c);
    return j.bytes > ((size_t)1 << 62) / (size_t)j.parts ? (size_t)1 << 62
                                                         : j.bytes * (size_t)j.parts;
}

/* ---- one part ---- */

static void *conv_at(const conv_job *j, const rf_view *v, int64_t elements)
{
    return (char *)v->data + (size_t)elements * j->width;
}

/* A part's sum of the gradients of group `group`'s weight, plus one image's. */
static void conv_accumulate(const conv_job *j, const rf_view *from, void *sum, int64_t group)
{
    int64_t n = j->out * j->each, at = group * n;
    if (from->shape.dtype == RF_F64) {
        for (int64_t i = 0; i < n; i++)
            ((double *)sum)[at + i] += ((const double *)from->data)[i];
    } else if (from->shape.dtype == RF_F32) {
        for (int64_t i = 0; i < n; i++)
            ((float *)sum)[at + i] += ((const float *)from->data)[i];
    } else {
        for (int64_t i = 0; i < n; i++)
            ((float *)sum)[at + i] += (float)rf_element_get(from, i);
    }
}

static rf_status conv_add_bias(const conv_job *j, const rf_exec *e, const rf_view *y, int64_t group)
{
    const rf_view *bias = j->c->bias;
    if (!bias)
        return RF_OK;
    rf_view b = conv_matrix(j, j->out, j->see, conv_at(j, bias, group * j->out));
    b.strides[0] = 1;
    b.strides[1] = 0;
    return j->c->kernels->binary(e, RF_BINARY_ADD, y, &b, y);
}

static rf_status conv_group(const conv_job *j, char *work, int64_t image, int64_t group)
{
    const rf_conv_call *c = j->c;
    const int64_t *xd = c->x->shape.dims, *yd = c->y->shape.dims;
    char *sum = work + 64 + j->columns + j->product;
    rf_exec e = {j->inner, sum + j->sum};
    rf_columns cols = {
        .window = &c->window, .x = *c->x, .places = {yd[2], yd[3]}, .threads = j->inner};
    cols.x.shape = (rf_shape){c->x->shape.dtype, 0, 3, {j->in, xd[2], xd[3]}};
    cols.x.data = conv_at(j, c->x, (image * xd[1] + group * j->in) * xd[2] * xd[3]);
    cols.columns = conv_matrix(j, j->each, j->see, j->pointwise ? cols.x.data : work + 64);
    rf_view y =
        conv_matrix(j, j->out, j->see, conv_at(j, c->y, (image * yd[1] + group * j->out) * j->see));
    rf_view w = conv_matrix(j, j->out, j->each, work + 64 + j->columns), abc[3];
    if (c->pass != RF_CONV_GRAD_WEIGHT)
        w.data = conv_at(j, c->w, group * j->out * j->each);
    if (c->pass != RF_CONV_GRAD_INPUT && !j->pointwise)
        rf_columns_unfold(&cols);
    conv_product(j, w, y, cols.columns, abc);
    rf_status status = c->kernels->matmul(&e, &abc[0], &abc[1], &abc[2]);
    if (!status && c->pass == RF_CONV_FORWARD)
        status = conv_add_bias(j, &e, &y, group);
    else if (!status && c->pass == RF_CONV_GRAD_INPUT && !j->pointwise)
        rf_columns_fold(&cols);
    else if (!status && c->pass == RF_CONV_GRAD_WEIGHT)
        conv_accumulate(j, &w, sum, group);
    return status;
}

static void conv_part(const void *job, int64_t part)
{
    const conv_job *j = job;
    char *work = j->workspace + (size_t)part * j->bytes;
    rf_status status = RF_OK;
    int64_t lo, hi;
    memset(work + 64 + j->columns + j->product, 0, j->sum);
    rf_parts_share(j->images, j->parts, part, &lo, &hi);
    for (; lo < hi; lo++)
        for (int64_t group = 0; group < j->groups && !status; group++)
            status = conv_group(j, work, lo, group);
    *(rf_status *)(void *)work = status;
}

/* ---- all of them ---- */

/* w = the parts' sums, in their order. */
static void conv_collect(const conv_job *j)
{
    int64_t n = rf_shape_count(&j->c->w->shape);
    const char *sums = j->workspace + 64 + j->columns + j->product;
    for (int64_t i = 0; i < n; i++) {
        double total = 0;
        for (int64_t part = 0; part < j->parts; part++) {
            const void *sum = sums + (size_t)part * j->bytes;
            total += conv_wide(j) == 8 ? ((const double *)sum)[i] : ((const float *)sum)[i];
        }
        rf_element_set(j->c->w, i, total);
    }
}

rf_status rf_convolution(const rf_exec *e, const rf_conv_call *c)
{
    if (rf_conv_rows_fit(c))
        return rf_conv_rows(e, c);
    conv_job j = conv_job_of(e->threads, c);
    rf_status status = RF_OK;
    j.workspace = e->workspace;
    rf_parts_run(e->threads, j.parts, conv_part, &j);
    for (int64_t part = 0; part < j.parts && !status; part++)
        status = *(rf_status *)(void *)(j.workspace + (size_t)part * j.bytes);
    if (!status && c->pass == RF_CONV_GRAD_WEIGHT)
        conv_collect(&j);
    return status;
}
