/* elements.h: unary, binary, affine, fill. f32 and bf16 here, a gathered chunk at a time; copies of
 * one type as bytes; everything else is the reference's.
 *
 * A span reads each vector before it writes it, so an output may be an input.
 */
#ifndef RF_KERNEL_VECTOR_ELEMENTS_H
#define RF_KERNEL_VECTOR_ELEMENTS_H

#include "kernel/vector/loops.h"
#include "kernel/vector/math.h"

typedef void (*vec_unary_fn)(const float *x, float *y, int64_t n);
typedef void (*vec_binary_fn)(const float *x, const float *y, float *z, int64_t n);

RF_INLINE void vec_map(const float *x, float *y, int64_t n, vec (*f)(vec))
{
    int64_t i = 0;
    for (; i + RF_LANES <= n; i += RF_LANES)
        vec_store(y + i, f(vec_load(x + i)));
    if (i < n)
        vec_store_part(y + i, n - i, f(vec_load_part(x + i, n - i, 1)));
}

RF_INLINE void vec_map_pair(const float *x, const float *y, float *z, int64_t n, vec (*f)(vec, vec))
{
    int64_t i = 0;
    for (; i + RF_LANES <= n; i += RF_LANES)
        vec_store(z + i, f(vec_load(x + i), vec_load(y + i)));
    if (i < n)
        vec_store_part(z + i, n - i,
                       f(vec_load_part(x + i, n - i, 1), vec_load_part(y + i, n - i, 1)));
}

RF_INLINE vec vec_same(vec x)
{
    return x;
}

RF_INLINE vec vec_negated(vec x)
{
    return -x;
}

/* x where x > 0, else 0 (of NaN too) */
RF_INLINE vec vec_relu(vec x)
{
    return vec_max(x, (vec){0});
}

RF_INLINE vec vec_add(vec x, vec y)
{
    return x + y;
}

RF_INLINE vec vec_sub(vec x, vec y)
{
    return x - y;
}

RF_INLINE vec vec_mul(vec x, vec y)
{
    return x * y;
}

RF_INLINE vec vec_div(vec x, vec y)
{
    return x / y;
}

RF_INLINE vec vec_relu_grad(vec g, vec y)
{
    return vec_pick(y > 0.0f, g, (vec){0});
}

RF_INLINE vec vec_tanh_grad(vec g, vec y)
{
    return g * vec_fma(-y, y, vec_all(1));
}

RF_INLINE vec vec_sigmoid_grad(vec g, vec y)
{
    return g * y * (1.0f - y);
}

static void vec_span_copy(const float *x, float *y, int64_t n)
{
    vec_map(x, y, n, vec_same);
}

static void vec_span_neg(const float *x, float *y, int64_t n)
{
    vec_map(x, y, n, vec_negated);
}

static void vec_span_exp(const float *x, float *y, int64_t n)
{
    vec_map(x, y, n, vec_exp);
}

static void vec_span_log(const float *x, float *y, int64_t n)
{
    vec_map(x, y, n, vec_log);
}

static void vec_span_sqrt(const float *x, float *y, int64_t n)
{
    vec_map(x, y, n, vec_sqrt);
}

static void vec_span_sin(const float *x, float *y, int64_t n)
{
    vec_map(x, y, n, vec_sin);
}

static void vec_span_cos(const float *x, float *y, int64_t n)
{
    vec_map(x, y, n, vec_cos);
}

static void vec_span_tanh(const float *x, float *y, int64_t n)
{
    vec_map(x, y, n, vec_tanh);
}

static void vec_span_sigmoid(const float *x, float *y, int64_t n)
{
    vec_map(x, y, n, vec_sigmoid);
}

static void vec_span_relu(const float *x, float *y, int64_t n)
{
    vec_map(x, y, n, vec_relu);
}

static void vec_span_gelu(const float *x, float *y, int64_t n)
{
    vec_map(x, y, n, vec_gelu);
}

static void vec_span_gelu_tanh(const float *x, float *y, int64_t n)
{
    vec_map(x, y, n, vec_gelu_tanh);
}

static void vec_span_silu(const float *x, float *y, int64_t n)
{
    vec_map(x, y, n, vec_silu);
}

static void vec_span_add(const float *x, const float *y, float *z, int64_t n)
{
    vec_map_pair(x, y, z, n, vec_add);
}

static void vec_span_sub(const float *x, const float *y, float *z, int64_t n)
{
    vec_map_pair(x, y, z, n, vec_sub);
}

static void vec_span_mul(const float *x, const float *y, float *z, int64_t n)
{
    vec_map_pair(x, y, z, n, vec_mul);
}

static void vec_span_div(const float *x, const float *y, float *z, int64_t n)
{
    vec_map_pair(x, y, z, n, vec_div);
}

static void vec_span_relu_grad(const float *x, const float *y, float *z, int64_t n)
{
    vec_map_pair(x, y, z, n, vec_relu_grad);
}

static void vec_span_tanh_grad(const float *x, const float *y, float *z, int64_t n)
{
    vec_map_pair(x, y, z, n, vec_tanh_grad);
}

static void vec_span_sigmoid_grad(const float *x, const float *y, float *z, int64_t n)
{
    vec_map_pair(x, y, z, n, vec_sigmoid_grad);
}

static void vec_span_gelu_grad(const float *x, const float *y, float *z, int64_t n)
{
    vec_map_pair(x, y, z, n, vec_gelu_grad);
}

static void vec_span_gelu_tanh_grad(const float *x, const float *y, float *z, int64_t n)
{
    vec_map_pair(x, y, z, n, vec_gelu_tanh_grad);
}

static void vec_span_silu_grad(const float *x, const float *y, float *z, int64_t n)
{
    vec_map_pair(x, y, z, n, vec_silu_grad);
}

static const vec_unary_fn vec_unary_spans[RF_UNARY_KINDS] = {
    [RF_UNARY_COPY] = vec_span_copy,       [RF_UNARY_NEG] = vec_span_neg,
    [RF_UNARY_EXP] = vec_span_exp,         [RF_UNARY_LOG] = vec_span_log,
    [RF_UNARY_SQRT] = vec_span_sqrt,       [RF_UNARY_SIN] = vec_span_sin,
    [RF_UNARY_COS] = vec_span_cos,         [RF_UNARY_TANH] = vec_span_tanh,
    [RF_UNARY_SIGMOID] = vec_span_sigmoid, [RF_UNARY_RELU] = vec_span_relu,
    [RF_UNARY_GELU] = vec_span_gelu,       [RF_UNARY_GELU_TANH] = vec_span_gelu_tanh,
    [RF_UNARY_SILU] = vec_span_silu,
};

static const vec_binary_fn vec_binary_spans[RF_BINARY_KINDS] = {
    [RF_BINARY_ADD] = vec_span_add,
    [RF_BINARY_SUB] = vec_span_sub,
    [RF_BINARY_MUL] = vec_span_mul,
    [RF_BINARY_DIV] = vec_span_div,
    [RF_BINARY_RELU_GRAD] = vec_span_relu_grad,
    [RF_BINARY_TANH_GRAD] = vec_span_tanh_grad,
    [RF_BINARY_SIGMOID_GRAD] = vec_span_sigmoid_grad,
    [RF_BINARY_GELU_GRAD] = vec_span_gelu_grad,
    [RF_BINARY_GELU_TANH_GRAD] = vec_span_gelu_tanh_grad,
    [RF_BINARY_SILU_GRAD] = vec_span_silu_grad,
};

static void vec_unary_span(const vec_walk *w, const int64_t *pos, int64_t n)
{
    const vec_loop *l = &w->loop;
    const vec_unary_fn f = *(const vec_unary_fn *)w->job;
    int64_t sx = l->strides[0][0], sy = l->strides[1][0];
    int64_t step =
        sx == 1 && sy == 1 && l->view[0]->shape.dtype == RF_F32 && l->view[1]->shape.dtype == RF_F32
            ? n
            : RF_VEC_CHUNK;
    for (int64_t i = 0; i < n; i += step) {
        float x_buffer[RF_VEC_CHUNK], y_buffer[RF_VEC_CHUNK];
        int64_t m = n - i < step ? n - i : step, at = pos[1] + i * sy;
        const float *x = vec_fetch(l->view[0], pos[0] + i * sx, sx, m, x_buffer);
        float *y = vec_place(l->view[1], at, sy, y_buffer);
        f(x, y, m);
        vec_deliver(l->view[1], at, sy, m, y);
    }
}

static void vec_binary_span(const vec_walk *w, const int64_t *pos, int64_t n)
{
    const vec_loop *l = &w->loop;
    const vec_binary_fn f = *(const vec_binary_fn *)w->job;
    int64_t sx = l->strides[0][0], sy = l->strides[1][0], sz = l->strides[2][0];
    int plain = sx == 1 && sy == 1 && sz == 1 && l->view[0]->shape.dtype == RF_F32 &&
                l->view[1]->shape.dtype == RF_F32 && l->view[2]->shape.dtype == RF_F32;
    int64_t step = plain ? n : RF_VEC_CHUNK;
    for (int64_t i = 0; i < n; i += step) {
        float x_buffer[RF_VEC_CHUNK], y_buffer[RF_VEC_CHUNK], z_buffer[RF_VEC_CHUNK];
        int64_t m = n - i < step ? n - i : step, at = pos[2] + i * sz;
        const float *x = vec_fetch(l->view[0], pos[0] + i * sx, sx, m, x_buffer);
        const float *y = vec_fetch(l->view[1], pos[1] + i * sy, sy, m, y_buffer);
        float *z = vec_place(l->view[2], at, sz, z_buffer);
        f(x, y, z, m);
        vec_deliver(l->view[2], at, sz, m, z);
    }
}

/* From one type to another, straight from where it lies to where it goes. */
static void vec_cast_span(const vec_walk *w, const int64_t *pos, int64_t n)
{
    const vec_loop *l = &w->loop;
    int64_t sx = l->strides[0][0], sy = l->strides[1][0];
    for (int64_t i = 0; i < n; i += RF_VEC_CHUNK) {
        float buffer[RF_VEC_CHUNK];
        int64_t m = n - i < RF_VEC_CHUNK ? n - i : RF_VEC_CHUNK, at = pos[1] + i * sy;
        float *y = vec_place(l->view[1], at, sy, buffer);
        vec_deliver(l->view[1], at, sy, m, vec_fetch(l->view[0], pos[0] + i * sx, sx, m, y));
    }
}

static void vec_copy_span(const vec_walk *w, const int64_t *pos, int64_t n)
{
    const vec_loop *l = &w->loop;
    int64_t size = *(const int64_t *)w->job, sx = l->strides[0][0], sy = l->strides[1][0];
    const char *x = (const char *)l->view[0]->data + pos[0] * size;
    char *y = (char *)l->view[1]->data + pos[1] * size;
    if (sx == 1 && sy == 1) {
        memmove(y, x, (size_t)(n * size));
        return;
    }
    for (int64_t i = 0; i < n; i++)
        switch (size) {
        case 4:
            memcpy(y + i * sy * 4, x + i * sx * 4, 4);
            break;
        case 8:
            memcpy(y + i * sy * 8, x + i * sx * 8, 8);
            break;
        default:
            memcpy(y + i * sy * size, x + i * sx * size, (size_t)size);
        }
}

/* ---- copies of 4-byte elements whose input is contiguous along another axis than the output ----
 */

/* Moves that axis to place 1; 0 if it is not such a copy. The order of axes means nothing here. */
static int vec_turn_find(vec_loop *l)
{
    for (int axis = 1; axis < l->rank && l->strides[1][0] == 1 && l->strides[0][0] != 1; axis++) {
        if (l->strides[0][axis] != 1)
            continue;
        int64_t dim = l->dims[axis];
        l->dims[axis] = l->dims[1];
        l->dims[1] = dim;
        for (int v = 0; v < 2; v++) {
            int64_t stride = l->strides[v][axis];
            l->strides[v][axis] = l->strides[v][1];
            l->strides[v][1] = stride;
        }
        return 1;
    }
    return 0;
}

/* RF_LANES columns of the output, at one place of the axes from 2 on. */
static void vec_turn_part(const void *job, int64_t part)
{
    const vec_loop *l = job;
    int64_t strips = (l->dims[0] + RF_LANES - 1) / RF_LANES, i = part % strips * RF_LANES;
    int64_t pos[2] = {i * l->strides[0][0], i}, rows = l->dims[0] - i;
    part /= strips;
    for (int axis = 2; axis < l->rank; axis++) {
        for (int v = 0; v < 2; v++)
            pos[v] += part % l->dims[axis] * l->strides[v][axis];
        part /= l->dims[axis];
    }
    rows = rows < RF_LANES ? rows : RF_LANES;
    vec_transpose_strip((const float *)l->view[0]->data + pos[0], l->strides[0][0], rows,
                        l->dims[1], (float *)l->view[1]->data + pos[1], l->strides[1][1], rows);
}

static void vec_turn_run(const rf_exec *e, const vec_loop *l)
{
    rf_exec few = *e;
    if (l->count < RF_VEC_PART)
        few.threads = 1;
    if (l->count)
        vec_run(&few, l->count / l->dims[0] / l->dims[1] * ((l->dims[0] + RF_LANES - 1) / RF_LANES),
                vec_turn_part, l);
}

static int64_t vec_dtype_size(unsigned dtype)
{
    static const int64_t sizes[] = {
        [RF_F32] = 4, [RF_F64] = 8, [RF_BF16] = 2, [RF_I32] = 4, [RF_I64] = 8, [RF_U8] = 1};
    return sizes[dtype];
}

static rf_status vec_unary(const rf_exec *e, rf_unary kind, const rf_view *x, const rf_view *y)
{
    const rf_view *const views[] = {x, y};
    int64_t size = vec_dtype_size(x->shape.dtype);
    vec_walk w;
    w.span = vec_unary_span;
    if (kind == RF_UNARY_COPY && x->shape.dtype == y->shape.dtype) {
        w.span = vec_copy_span;
        w.job = &size;
    } else if (kind == RF_UNARY_COPY && vec_is_float(x) && vec_is_float(y)) {
        w.span = vec_cast_span;
    } else if (vec_is_float(x) && vec_is_float(y)) {
        w.job = &vec_unary_spans[kind];
    } else {
        return rf_kernels_reference.unary(e, kind, x, y);
    }
    vec_loop_begin(&w.loop, views, 2);
    if (w.span == vec_copy_span && size == 4 && vec_turn_find(&w.loop))
        vec_turn_run(e, &w.loop);
    else
        vec_walk_run(e, &w);
    return RF_OK;
}

static rf_status vec_binary(const rf_exec *e, rf_binary kind, const rf_view *x, const rf_view *y,
                            const rf_view *z)
{
    const rf_view *const views[] = {x, y, z};
    vec_walk w;
    if (!vec_is_float(x) || !vec_is_float(y) || !vec_is_float(z))
        return rf_kernels_reference.binary(e, kind, x, y, z);
    w.span = vec_binary_span;
    w.job = &vec_binary_spans[kind];
    vec_loop_begin(&w.loop, views, 3);
    vec_walk_run(e, &w);
    return RF_OK;
}

static void vec_affine_span(const vec_walk *w, const int64_t *pos, int64_t n)
{
    const vec_loop *l = &w->loop;
    const float *c = w->job;
    vec alpha = vec_all(c[0]), beta = vec_all(c[1]);
    int64_t sx = l->strides[0][0], sy = l->strides[1][0];
    for (int64_t i = 0; i < n; i += RF_VEC_CHUNK) {
        float x_buffer[RF_VEC_CHUNK], y_buffer[RF_VEC_CHUNK];
        int64_t m = n - i < RF_VEC_CHUNK ? n - i : RF_VEC_CHUNK, at = pos[1] + i * sy, j = 0;
        const float *x = vec_fetch(l->view[0], pos[0] + i * sx, sx, m, x_buffer);
        float *y = vec_place(l->view[1], at, sy, y_buffer);
        for (; j + RF_LANES <= m; j += RF_LANES)
            vec_store(y + j, vec_fma(alpha, vec_load(x + j), beta));
        if (j < m)
            vec_store_part(y + j, m - j, vec_fma(alpha, vec_load_part(x + j, m - j, 0), beta));
        vec_deliver(l->view[1], at, sy, m, y);
    }
}

static rf_status vec_affine(const rf_exec *e, double alpha, double beta, const rf_view *x,
                            const rf_view *y)
{
    const rf_view *const views[] = {x, y};
    const float c[2] = {(float)alpha, (float)beta};
    vec_walk w;
    if (!vec_is_float(x) || !vec_is_float(y))
        return rf_kernels_reference.affine(e, alpha, beta, x, y);
    w.span = vec_affine_span;
    w.job = c;
    vec_loop_begin(&w.loop, views, 2);
    vec_walk_run(e, &w);
    return RF_OK;
}

static void vec_fill_span(const vec_walk *w, const int64_t *pos, int64_t n)
{
    float *y = (float *)w->loop.view[0]->data + pos[0];
    int64_t stride = w->loop.strides[0][0];
    float value = *(const float *)w->job;
    for (int64_t i = 0; i < n; i++)
        y[i * stride] = value;
}

static rf_status vec_fill(const rf_exec *e, double value, const rf_view *y)
{
    const float narrow = (float)value;
    vec_walk w;
    if (y->shape.dtype != RF_F32)
        return rf_kernels_reference.fill(e, value, y);
    w.span = vec_fill_span;
    w.job = &narrow;
    vec_loop_begin(&w.loop, &y, 1);
    vec_walk_run(e, &w);
    return RF_OK;
}

#endif
