/* reference_sums.c: sums over axes, largest of a row, and products; see reference.h. */
#include "kernel/reference_view.h"

/* The sum of those `count` elements of x that element o of y stands for; in f64, whatever the type:
 * a sum that is rounded at every step stands still. */
static double ref_sum_to(const rf_view *x, const rf_view *y, int64_t o, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t kept = o, summed = i, at = 0;
        for (int axis = x->shape.rank - 1; axis >= 0; axis--) {
            int64_t dim = x->shape.dims[axis], *from = y->shape.dims[axis] == 1 ? &summed : &kept;
            at += *from % dim * x->strides[axis];
            *from /= dim;
        }
        sum += rf_element_get(x, at);
    }
    return sum;
}

rf_status rf_reference_sum(const rf_exec *e, double scale, const rf_view *x, const rf_view *y)
{
    int64_t n = rf_shape_count(&y->shape), each = n ? rf_shape_count(&x->shape) / n : 0;
    (void)e;
    for (int64_t o = 0; o < n; o++)
        ref_set(y, o, scale * ref_sum_to(x, y, o, each));
    return RF_OK;
}

rf_status rf_reference_max_last(const rf_exec *e, const rf_view *x, const rf_view *y,
                                const rf_view *index)
{
    int64_t c = ref_last(x), rows = rf_shape_count(&y->shape);
    (void)e;
    for (int64_t r = 0; r < rows; r++) {
        int64_t best = 0;
        for (int64_t k = 1; k < c; k++)
            if (ref_get(x, r * c + k) > ref_get(x, r * c + best))
                best = k;
        ref_set(y, r, ref_get(x, r * c + best));
        ((int64_t *)index->data)[ref_at(index, r)] = best;
    }
    return RF_OK;
}

rf_status rf_reference_max_last_grad(const rf_exec *e, const rf_view *g, const rf_view *index,
                                     const rf_view *dx)
{
    int64_t c = ref_last(dx), rows = rf_shape_count(&g->shape);
    rf_status status = rf_reference_fill(e, 0, dx);
    for (int64_t r = 0; r < rows; r++)
        ref_set(dx, r * c + ref_integer(index, r), ref_get(g, r));
    return status;
}

rf_status rf_reference_sum_squares(const rf_exec *e, const rf_view *x, double *out)
{
    int64_t n = rf_shape_count(&x->shape);
    (void)e;
    *out = 0;
    for (int64_t i = 0; i < n; i++)
        *out += ref_get(x, i) * ref_get(x, i);
    return RF_OK;
}

/* ---- products ---- */

/* The sum over k for element i of c, from `sum` on. */
static double ref_product(const rf_view *a, const rf_view *b, const rf_view *c, int64_t i,
                          double sum)
{
    unsigned r = c->shape.rank;
    int64_t m = c->shape.dims[r - 2], n = c->shape.dims[r - 1], k = a->shape.dims[r - 1];
    int64_t col = i % n, row = i / n % m, batch = i / n / m;
    for (int64_t p = 0; p < k; p++)
        sum += ref_get(a, (batch * m + row) * k + p) * ref_get(b, (batch * k + p) * n + col);
    return sum;
}

rf_status rf_reference_matmul(const rf_exec *e, const rf_view *a, const rf_view *b,
                              const rf_view *c)
{
    int64_t count = rf_shape_count(&c->shape);
    (void)e;
    for (int64_t i = 0; i < count; i++)
        ref_set(c, i, ref_product(a, b, c, i, 0));
    return RF_OK;
}

rf_status rf_reference_matmul_add(const rf_exec *e, const rf_view *a, const rf_view *b,
                                  const rf_view *c)
{
    int64_t count = rf_shape_count(&c->shape);
    (void)e;
    if (c->shape.dtype != RF_F32 && c->shape.dtype != RF_F64)
        return RF_E_DTYPE;
    for (int64_t i = 0; i < count; i++)
        ref_set(c, i, ref_product(a, b, c, i, ref_get(c, i)));
    return RF_OK;
}
