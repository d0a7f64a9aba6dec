/* conv_rows.c: the gradient of a convolution's weight where an image has few places, as in the last
 * layers of a network, which have the largest weights. Image by image that is a sum of very thin
 * products, each as large as the weight. Here it is one, over the places of all images:
 *   w (O, C KH KW) = g^T (O, N OH OW) rows (N OH OW, C KH KW)
 * where a row is what one place sees, and g is laid out anew to have a place a row too.
 */
#include "kernel/columns.h"
#include "kernel/parts.h"

#include <string.h>

enum { CONV_ROWS_WINDOW = 64, CONV_ROWS_PLACES = 8, CONV_ROWS_MOST = 1 << 22 };

typedef struct conv_rows {
    const rf_conv_call *c;
    int64_t group, images, in, out, sees, each, places; /* in, out: per group */
    size_t width;
    char *rows, *grads; /* (N OH OW, C KH KW), (N OH OW, O) */
} conv_rows;

static conv_rows conv_rows_of(const rf_conv_call *c)
{
    const int64_t *x = c->x->shape.dims, *y = c->y->shape.dims;
    conv_rows r = {.c = c, .images = x[0], .in = x[1] / c->groups, .out = y[1] / c->groups};
    r.sees = c->window.size[0] * c->window.size[1];
    r.each = r.in * r.sees;
    r.places = y[2] * y[3];
    r.width = rf_dtype_size((rf_dtype)c->x->shape.dtype);
    return r;
}

int rf_conv_rows_fit(const rf_conv_call *c)
{
    const int64_t *y = c->y->shape.dims;
    double window = (double)c->window.size[0] * (double)c->window.size[1];
    double places = (double)y[2] * (double)y[3];
    return c->pass == RF_CONV_GRAD_WEIGHT && window <= CONV_ROWS_WINDOW &&
           places <= CONV_ROWS_PLACES && rf_shape_count(&c->x->shape) &&
           (double)y[0] * places * (double)c->w->shape.dims[1] * window <= CONV_ROWS_MOST;
}

/* c = a b, a = g^T: what the tables of kernels call a product. */
static void conv_rows_product(const conv_rows *r, rf_view abc[3])
{
    uint8_t type = r->c->x->shape.dtype;
    int64_t k = r->images * r->places;
    abc[0] = (rf_view){
        {.dtype = type, .rank = 2, .dims = {r->out, k}}, .strides = {1, r->out}, .data = r->grads};
    abc[1] = (rf_view){
        {.dtype = type, .rank = 2, .dims = {k, r->each}}, .strides = {r->each, 1}, .data = r->rows};
    abc[2] =
        (rf_view){{.dtype = type, .rank = 2, .dims = {r->out, r->each}}, .strides = {r->each, 1}};
    if (r->c->w->data)
        abc[2].data = (char *)r->c->w->data + (size_t)(r->group * r->out * r->each) * r->width;
}

static size_t conv_rows_room(const conv_rows *r, int64_t columns)
{
    return ((size_t)(r->images * r->places * columns) * r->width + 63) / 64 * 64;
}

size_t rf_conv_rows_workspace(size_t threads, const rf_conv_call *c)
{
    conv_rows r = conv_rows_of(c);
    rf_view abc[3];
    conv_rows_product(&r, abc);
    return conv_rows_room(&r, r.each) + conv_rows_room(&r, r.out) +
           c->kernels->matmul_workspace(threads, &abc[0], &abc[1], &abc[2]);
}

/* to[i] = from[at[i % n]] of plane i / n, of `planes` planes; 0 where at is negative. */
static void conv_rows_gather(const conv_rows *r, void *to, const void *from, const int64_t *at)
{
    const int64_t *x = r->c->x->shape.dims, area = x[2] * x[3];
    for (int64_t i = 0, c = 0; c < r->in; c++)
        for (int64_t k = 0; k < r->sees; k++, i++) {
            int64_t source = c * area + at[k];
            if (r->width == 4)
                ((uint32_t *)to)[i] = at[k] < 0 ? 0 : ((const uint32_t *)from)[source];
            else if (r->width == 8)
                ((uint64_t *)to)[i] = at[k] < 0 ? 0 : ((const uint64_t *)from)[source];
            else
                ((uint16_t *)to)[i] = at[k] < 0 ? 0 : ((const uint16_t *)from)[source];
        }
}

/* Where in a plane of x the place sees each element of the window; -1: in the padding. */
static void conv_rows_seen(const conv_rows *r, int64_t place, int64_t at[CONV_ROWS_WINDOW])
{
    const rf_window *w = &r->c->window;
    const int64_t *x = r->c->x->shape.dims, across = r->c->y->shape.dims[3];
    for (int64_t k = 0; k < r->sees; k++) {
        int64_t i = place / across * w->stride[0] + k / w->size[1] * w->dilation[0];
        int64_t j = place % across * w->stride[1] + k % w->size[1] * w->dilation[1];
        i -= w->padding[0];
        j -= w->padding[1];
        at[k] = i < 0 || i >= x[2] || j < 0 || j >= x[3] ? -1 : i * x[3] + j;
    }
}

/* One place of one image: its row, and its gradients. */
static void conv_rows_lay(const void *job, int64_t row)
{
    const conv_rows *r = job;
    const int64_t *x = r->c->x->shape.dims, *y = r->c->y->shape.dims;
    int64_t image = row / r->places, place = row % r->places, at[CONV_ROWS_WINDOW];
    int64_t first = (image * x[1] + r->group * r->in) * x[2] * x[3];
    int64_t grad = (image * y[1] + r->group * r->out) * r->places + place;
    char *to = r->grads + (size_t)(row * r->out) * r->width;
    conv_rows_seen(r, place, at);
    conv_rows_gather(r, r->rows + (size_t)(row * r->each) * r->width,
                     (const char *)r->c->x->data + (size_t)first * r->width, at);
    for (int64_t o = 0; o < r->out; o++)
        memcpy(to + (size_t)o * r->width,
               (const char *)r->c->y->data + (size_t)(grad + o * r->places) * r->width, r->width);
}

rf_status rf_conv_rows(const rf_exec *e, const rf_conv_call *c)
{
    conv_rows r = conv_rows_of(c);
    rf_status status = RF_OK;
    rf_view abc[3];
    r.rows = e->workspace;
    r.grads = r.rows + conv_rows_room(&r, r.each);
    rf_exec inner = {e->threads, r.grads + conv_rows_room(&r, r.out)};
    for (; r.group < c->groups && !status; r.group++) {
        rf_parts_run(e->threads, r.images * r.places, conv_rows_lay, &r);
        conv_rows_product(&r, abc);
        status = c->kernels->matmul(&inner, &abc[0], &abc[1], &abc[2]);
    }
    return status;
}
