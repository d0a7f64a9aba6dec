/* onednn_convolution.c: f32 convolutions by oneDNN's primitives, each in the layout that the
 * library likes best for it: blocks of channels, as a rule. Tensors are row-major between ops, so
 * what differs is laid out anew before and after, in the workspace; that is a tenth of the
 * products' time, and half of what the library takes when it is held to our layout.
 *
 * Nothing is kept from call to call: the library itself keeps the code it made, by shape. Its
 * scratch space is ours, so it is in the ledger. Here stand the two C interfaces, of 2.x and 3.x,
 * that systems have.
 */
#include "kernel/library.h"

#if defined(RF_HAVE_ONEDNN)
#include <dnnl.h>

#include <string.h>

/* ---- two interfaces ---- */

typedef dnnl_memory_desc_t onednn_layout;

typedef struct onednn_shape {
    int rank;
    dnnl_dims_t dims;
} onednn_shape;

/* Strides, dilation less one, padding before and after. */
typedef struct onednn_window {
    dnnl_dims_t stride, dilation, before, after;
} onednn_window;

/* What a descriptor is made of; bias may be NULL. */
typedef struct onednn_parts {
    rf_conv_pass pass;
    onednn_layout *x, *w, *y, *bias;
    const onednn_window *window;
    const_dnnl_primitive_desc_t hint; /* of the forward, for a gradient */
    dnnl_engine_t engine;
    dnnl_primitive_attr_t attr;
} onednn_parts;

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t onednn_layout_in;

static onednn_layout_in onednn_in(const onednn_layout *l)
{
    return l ? *l : NULL;
}

static dnnl_status_t onednn_layout_make(onednn_layout *out, const onednn_shape *s,
                                        dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_create_with_tag(out, s->rank, s->dims, dnnl_f32, tag);
}

static void onednn_layout_end(onednn_layout *l)
{
    if (*l)
        dnnl_memory_desc_destroy(*l);
}

static dnnl_status_t onednn_describe(dnnl_primitive_desc_t *out, const onednn_parts *p)
{
    const onednn_window *v = p->window;
    const dnnl_alg_kind_t how = dnnl_convolution_direct;
    switch (p->pass) {
    case RF_CONV_FORWARD:
        return dnnl_convolution_forward_primitive_desc_create(
            out, p->engine, dnnl_forward_training, how, *p->x, *p->w, onednn_in(p->bias), *p->y,
            v->stride, v->dilation, v->before, v->after, p->attr);
    case RF_CONV_GRAD_INPUT:
        return dnnl_convolution_backward_data_primitive_desc_create(
            out, p->engine, how, *p->x, *p->w, *p->y, v->stride, v->dilation, v->before, v->after,
            p->hint, p->attr);
    default:
        return dnnl_convolution_backward_weights_primitive_desc_create(
            out, p->engine, how, *p->x, *p->w, NULL, *p->y, v->stride, v->dilation, v->before,
            v->after, p->hint, p->attr);
    }
}
#else
typedef const dnnl_memory_desc_t *onednn_layout_in;

static onednn_layout_in onednn_in(const onednn_layout *l)
{
    return l;
}

static dnnl_status_t onednn_layout_make(onednn_layout *out, const onednn_shape *s,
                                        dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_init_by_tag(out, s->rank, s->dims, dnnl_f32, tag);
}

static void onednn_layout_end(onednn_layout *l)
{
    (void)l;
}

static dnnl_status_t onednn_describe(dnnl_primitive_desc_t *out, const onednn_parts *p)
{
    const onednn_window *v = p->window;
    const dnnl_alg_kind_t how = dnnl_convolution_direct;
    dnnl_convolution_desc_t d;
    dnnl_status_t status;
    switch (p->pass) {
    case RF_CONV_FORWARD:
        status = dnnl_dilated_convolution_forward_desc_init(&d, dnnl_forward_training, how, p->x,
                                                            p->w, p->bias, p->y, v->stride,
                                                            v->dilation, v->before, v->after);
        break;
    case RF_CONV_GRAD_INPUT:
        status = dnnl_dilated_convolution_backward_data_desc_init(
            &d, how, p->x, p->w, p->y, v->stride, v->dilation, v->before, v->after);
        break;
    default:
        status = dnnl_dilated_convolution_backward_weights_desc_init(
            &d, how, p->x, p->w, NULL, p->y, v->stride, v->dilation, v->before, v->after);
    }
    return status ? status : dnnl_primitive_desc_create(out, &d, p->attr, p->engine, p->hint);
}
#endif

/* ---- what one call is made of ---- */

enum { ONEDNN_X, ONEDNN_W, ONEDNN_Y, ONEDNN_BIAS, ONEDNN_TENSORS };

/* A tensor of the call: as we have it, and as the primitive wants it. */
typedef struct onednn_tensor {
    const rf_view *view; /* NULL: absent */
    onednn_layout plain;
    onednn_layout_in tuned; /* the descriptor's own */
    int argument;
    size_t at, bytes; /* in the workspace; no bytes where the layouts are one */
} onednn_tensor;

typedef struct onednn_call {
    rf_conv_pass pass;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_desc_t desc;
    onednn_tensor t[ONEDNN_TENSORS];
    onednn_layout_in scratch;
    size_t scratch_at, bytes; /* of the workspace */
} onednn_call;

static onednn_window onednn_window_of(const rf_conv_call *c)
{
    onednn_window v;
    memset(&v, 0, sizeof v);
    for (int a = 0; a < 2; a++) {
        const rf_window *w = &c->window;
        v.stride[a] = w->stride[a];
        v.dilation[a] = w->dilation[a] - 1;
        v.before[a] = w->padding[a];
        v.after[a] = (c->y->shape.dims[a + 2] - 1) * w->stride[a] +
                     w->dilation[a] * (w->size[a] - 1) + 1 - c->x->shape.dims[a + 2] -
                     w->padding[a];
    }
    return v;
}

/* The weight of a convolution in groups has an axis more. */
static onednn_shape onednn_shape_of(const rf_conv_call *c, const rf_view *v)
{
    int split = v == c->w && c->groups > 1;
    onednn_shape s = {.rank = v->shape.rank + split};
    memcpy(s.dims + split, v->shape.dims, v->shape.rank * sizeof s.dims[0]);
    if (split) {
        s.dims[0] = c->groups;
        s.dims[1] /= c->groups;
    }
    return s;
}

static dnnl_status_t onednn_plain(onednn_call *o, const rf_conv_call *c, onednn_layout any[4])
{
    static const dnnl_format_tag_t row_major[6] = {
        dnnl_format_tag_undef, dnnl_a, dnnl_ab, dnnl_abc, dnnl_abcd, dnnl_abcde};
    const rf_view *const views[ONEDNN_TENSORS] = {c->x, c->w, c->y, c->bias};
    dnnl_status_t status = dnnl_success;
    for (int i = 0; i < ONEDNN_TENSORS && !status; i++) {
        if (!views[i])
            continue;
        onednn_shape s = onednn_shape_of(c, views[i]);
        o->t[i].view = views[i];
        status = onednn_layout_make(&o->t[i].plain, &s, row_major[s.rank]);
        if (!status)
            status =
                onednn_layout_make(&any[i], &s, i == ONEDNN_BIAS ? dnnl_a : dnnl_format_tag_any);
    }
    return status;
}

/* The descriptor, which has chosen the layouts; a gradient's is told of the forward's. */
static dnnl_status_t onednn_choose(onednn_call *o, const rf_conv_call *c, onednn_layout any[4])
{
    onednn_window window = onednn_window_of(c);
    onednn_parts p = {RF_CONV_FORWARD, &any[0], &any[1],   &any[2], c->bias ? &any[3] : NULL,
                      &window,         NULL,    o->engine, NULL};
    dnnl_primitive_desc_t forward = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(&p.attr);
    if (!status)
        status = dnnl_primitive_attr_set_scratchpad_mode(p.attr, dnnl_scratchpad_mode_user);
    if (!status && c->pass != RF_CONV_FORWARD)
        status = onednn_describe(&forward, &p);
    p.pass = c->pass;
    p.hint = forward;
    if (!status)
        status = onednn_describe(&o->desc, &p);
    if (forward)
        dnnl_primitive_desc_destroy(forward);
    if (p.attr)
        dnnl_primitive_attr_destroy(p.attr);
    return status;
}

static size_t onednn_room(onednn_call *o, size_t bytes)
{
    size_t at = o->bytes;
    o->bytes += (bytes + 63) / 64 * 64;
    return at;
}

/* What is read from the descriptor, and where in the workspace things lie. */
static void onednn_place(onednn_call *o)
{
    static const dnnl_query_t made[3] = {dnnl_query_diff_src_md, dnnl_query_diff_weights_md,
                                         dnnl_query_diff_dst_md};
    static const dnnl_query_t given[4] = {dnnl_query_src_md, dnnl_query_weights_md,
                                          dnnl_query_dst_md, dnnl_query_weights_md};
    static const int args[4] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, DNNL_ARG_BIAS};
    static const int grads[3] = {DNNL_ARG_DIFF_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST};
    for (int i = 0; i < ONEDNN_TENSORS; i++) {
        onednn_tensor *t = &o->t[i];
        /* of a gradient: y, and the one that is made */
        int grad = o->pass != RF_CONV_FORWARD &&
                   (i == ONEDNN_Y || i == (o->pass == RF_CONV_GRAD_INPUT ? ONEDNN_X : ONEDNN_W));
        if (!t->view)
            continue;
        t->argument = grad ? grads[i] : args[i];
        t->tuned =
            dnnl_primitive_desc_query_md(o->desc, grad ? made[i] : given[i], i == ONEDNN_BIAS);
        if (!dnnl_memory_desc_equal(t->tuned, onednn_in(&t->plain)))
            t->bytes = dnnl_memory_desc_get_size(t->tuned);
        t->at = onednn_room(o, t->bytes);
    }
    o->scratch = dnnl_primitive_desc_query_md(o->desc, dnnl_query_scratchpad_md, 0);
    o->scratch_at = onednn_room(o, dnnl_memory_desc_get_size(o->scratch));
}

static rf_status onednn_open(onednn_call *o, const rf_conv_call *c)
{
    onednn_layout any[ONEDNN_TENSORS];
    memset(o, 0, sizeof *o);
    memset(any, 0, sizeof any);
    o->pass = c->pass;
    dnnl_status_t status = dnnl_engine_create(&o->engine, dnnl_cpu, 0);
    if (!status)
        status = onednn_plain(o, c, any);
    if (!status)
        status = onednn_choose(o, c, any);
    if (!status)
        onednn_place(o);
    for (int i = 0; i < ONEDNN_TENSORS; i++)
        onednn_layout_end(&any[i]);
    return rf_library_status(status);
}

static void onednn_close(onednn_call *o)
{
    for (int i = 0; i < ONEDNN_TENSORS; i++)
        onednn_layout_end(&o->t[i].plain);
    if (o->desc)
        dnnl_primitive_desc_destroy(o->desc);
    if (o->stream)
        dnnl_stream_destroy(o->stream);
    if (o->engine)
        dnnl_engine_destroy(o->engine);
}

/* ---- running ---- */

/* A primitive with its memories: arguments, layouts, addresses. Takes desc over. */
typedef struct onednn_run {
    int num, argument[ONEDNN_TENSORS + 1];
    onednn_layout_in layout[ONEDNN_TENSORS + 1];
    void *data[ONEDNN_TENSORS + 1];
} onednn_run;

static void onednn_bind(onednn_run *r, int argument, onednn_layout_in layout, void *data)
{
    r->argument[r->num] = argument;
    r->layout[r->num] = layout;
    r->data[r->num++] = data;
}

static dnnl_status_t onednn_execute(onednn_call *o, dnnl_primitive_desc_t desc, const onednn_run *r)
{
    dnnl_exec_arg_t args[ONEDNN_TENSORS + 1];
    dnnl_primitive_t primitive = NULL;
    int made = 0;
    dnnl_status_t status = dnnl_primitive_create(&primitive, desc);
    for (; made < r->num && !status; made += !status) {
        args[made].arg = r->argument[made];
        status = dnnl_memory_create(&args[made].memory, r->layout[made], o->engine, r->data[made]);
    }
    if (!status)
        status = dnnl_primitive_execute(primitive, o->stream, made, args);
    if (!status)
        status = dnnl_stream_wait(o->stream);
    while (made)
        dnnl_memory_destroy(args[--made].memory);
    if (primitive)
        dnnl_primitive_destroy(primitive);
    return status;
}

/* From our layout to the primitive's in the workspace, or back. */
static dnnl_status_t onednn_reorder(onednn_call *o, const onednn_tensor *t, char *work, int back)
{
    onednn_layout_in layouts[2] = {onednn_in(&t->plain), t->tuned};
    void *data[2] = {t->view->data, work + t->at};
    dnnl_primitive_desc_t desc = NULL;
    onednn_run r = {.num = 0};
    onednn_bind(&r, DNNL_ARG_FROM, layouts[back], data[back]);
    onednn_bind(&r, DNNL_ARG_TO, layouts[!back], data[!back]);
    dnnl_status_t status = dnnl_reorder_primitive_desc_create(&desc, r.layout[0], o->engine,
                                                              r.layout[1], o->engine, NULL);
    if (!status)
        status = onednn_execute(o, desc, &r);
    if (desc)
        dnnl_primitive_desc_destroy(desc);
    return status;
}

static dnnl_status_t onednn_convolve(onednn_call *o, char *work)
{
    static const int results[3] = {ONEDNN_Y, ONEDNN_X, ONEDNN_W}; /* by pass */
    int made = results[o->pass];
    onednn_run r = {.num = 0};
    dnnl_status_t status = dnnl_stream_create(&o->stream, o->engine, dnnl_stream_default_flags);
    for (int i = 0; i < ONEDNN_TENSORS && !status; i++) {
        const onednn_tensor *t = &o->t[i];
        if (!t->view)
            continue;
        if (t->bytes && i != made)
            status = onednn_reorder(o, t, work, 0);
        onednn_bind(&r, t->argument, t->tuned, t->bytes ? work + t->at : t->view->data);
    }
    onednn_bind(&r, DNNL_ARG_SCRATCHPAD, o->scratch, work ? work + o->scratch_at : NULL);
    if (!status)
        status = onednn_execute(o, o->desc, &r);
    if (!status && o->t[made].bytes)
        status = onednn_reorder(o, &o->t[made], work, 1);
    return status;
}

rf_status rf_library_convolution(const rf_exec *e, const rf_conv_call *c)
{
    onednn_call o;
    int before;
    rf_status status = rf_library_begin(e->threads, &before);
    if (status)
        return status;
    status = onednn_open(&o, c);
    if (!status && o.bytes && !e->workspace)
        status = RF_E_MEMORY;
    if (!status)
        status = rf_library_status(onednn_convolve(&o, e->workspace));
    onednn_close(&o);
    rf_library_end(before);
    return status;
}

size_t rf_library_convolution_workspace(size_t threads, const rf_conv_call *c)
{
    onednn_call o;
    int before;
    size_t bytes = 0;
    if (rf_library_begin(threads, &before))
        return bytes;
    if (!onednn_open(&o, c))
        bytes = o.bytes;
    onednn_close(&o);
    rf_library_end(before);
    return bytes;
}
#else
typedef int rf_library_has_no_convolution;
#endif
