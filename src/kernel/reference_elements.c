/* reference_elements.c: element by element; see reference.h. */
#include "kernel/reference_view.h"

#include <math.h>

static double ref_unary_value(rf_unary kind, double x)
{
    const double c = 0.7978845608028654; /* sqrt(2 / pi) */
    switch (kind) {
    case RF_UNARY_NEG:
        return -x;
    case RF_UNARY_EXP:
        return exp(x);
    case RF_UNARY_LOG:
        return log(x);
    case RF_UNARY_SQRT:
        return sqrt(x);
    case RF_UNARY_SIN:
        return sin(x);
    case RF_UNARY_COS:
        return cos(x);
    case RF_UNARY_TANH:
        return tanh(x);
    case RF_UNARY_SIGMOID:
        return 1 / (1 + exp(-x));
    case RF_UNARY_RELU:
        return x > 0 ? x : 0;
    case RF_UNARY_GELU:
        return x / 2 * (1 + erf(x / sqrt(2)));
    case RF_UNARY_GELU_TANH:
        return x / 2 * (1 + tanh(c * (x + 0.044715 * x * x * x)));
    case RF_UNARY_SILU:
        return x / (1 + exp(-x));
    default:
        return x;
    }
}

rf_status rf_reference_unary(const rf_exec *e, rf_unary kind, const rf_view *x, const rf_view *y)
{
    int64_t n = rf_shape_count(&y->shape);
    (void)e;
    for (int64_t i = 0; i < n; i++)
        if (ref_is_integer(x) && ref_is_integer(y) && kind <= RF_UNARY_NEG)
            ref_set_integer(y, i,
                            kind == RF_UNARY_NEG ? -(uint64_t)ref_integer(x, i)
                                                 : (uint64_t)ref_integer(x, i));
        else
            ref_set(y, i, ref_unary_value(kind, ref_get(x, i)));
    return RF_OK;
}

static double ref_gelu_tanh_slope(double x)
{
    const double c = 0.7978845608028654, a = 0.044715;
    double t = tanh(c * (x + a * x * x * x));
    return (1 + t) / 2 + x / 2 * (1 - t * t) * c * (1 + 3 * a * x * x);
}

static double ref_binary_value(rf_binary kind, double x, double y)
{
    double q = 1 / (1 + exp(-y));
    switch (kind) {
    case RF_BINARY_ADD:
        return x + y;
    case RF_BINARY_SUB:
        return x - y;
    case RF_BINARY_MUL:
        return x * y;
    case RF_BINARY_DIV:
        return x / y;
    case RF_BINARY_RELU_GRAD:
        return y > 0 ? x : 0;
    case RF_BINARY_TANH_GRAD:
        return x * (1 - y * y);
    case RF_BINARY_SIGMOID_GRAD:
        return x * y * (1 - y);
    case RF_BINARY_GELU_GRAD:
        return x * ((1 + erf(y / sqrt(2))) / 2 + y * exp(-y * y / 2) * 0.3989422804014327);
    case RF_BINARY_GELU_TANH_GRAD:
        return x * ref_gelu_tanh_slope(y);
    default:
        return x * q * (1 + y * (1 - q));
    }
}

static uint64_t ref_binary_integer(rf_binary kind, uint64_t x, uint64_t y)
{
    return kind == RF_BINARY_ADD ? x + y : kind == RF_BINARY_SUB ? x - y : x * y;
}

rf_status rf_reference_binary(const rf_exec *e, rf_binary kind, const rf_view *x, const rf_view *y,
                              const rf_view *z)
{
    int64_t n = rf_shape_count(&z->shape);
    (void)e;
    for (int64_t i = 0; i < n; i++)
        if (ref_is_integer(z) && kind <= RF_BINARY_MUL)
            ref_set_integer(
                z, i,
                ref_binary_integer(kind, (uint64_t)ref_integer(x, i), (uint64_t)ref_integer(y, i)));
        else
            ref_set(z, i, ref_binary_value(kind, ref_get(x, i), ref_get(y, i)));
    return RF_OK;
}

rf_status rf_reference_affine(const rf_exec *e, double alpha, double beta, const rf_view *x,
                              const rf_view *y)
{
    int64_t n = rf_shape_count(&y->shape);
    (void)e;
    for (int64_t i = 0; i < n; i++)
        ref_set(y, i, alpha * ref_get(x, i) + beta);
    return RF_OK;
}

rf_status rf_reference_fill(const rf_exec *e, double value, const rf_view *y)
{
    int64_t n = rf_shape_count(&y->shape);
    (void)e;
    for (int64_t i = 0; i < n; i++)
        ref_set(y, i, value);
    return RF_OK;
}
